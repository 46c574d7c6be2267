/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See monitor.h. The first message is `start`: memory, kernel, command line, devices, and all
 * descriptors that they need. Then the main thread waits for questions (`stats`, `stop`), console
 * input and the guest's end; messages for people go to the supervisor as notifications (`log`),
 * since the jail has no stderr.
 */
#include "core/monitor.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "core/acpi.h"
#include "core/boot.h"
#include "core/device.h"
#include "core/err.h"
#include "core/jail.h"
#include "core/pci_priv.h"
#include "core/pm.h"
#include "core/reset.h"
#include "core/rpc.h"
#include "core/serial.h"
#include "core/vm_priv.h"

#define PREFAULT_LINE_MS 3000

struct monitor_nic {
	char name[16];
	struct device_conf conf;
	struct device *dev;
};

struct monitor {
	int control;
	struct vm *vm;
	struct serial *serial;
	struct pm *pm;
	struct monitor_nic nic[MONITOR_MAX_NICS + MONITOR_MAX_DISKS]; /* disks come last */
	unsigned int n_nics, n_disks;     /* all of them; the disks among them */
	struct device_fd fd[RPC_MAX_FDS]; /* what came with `start` and was not taken yet */
	unsigned int n_fds;
	int console_in;
	const char *jail;
	json_t *paused;   /* NULL: it runs; else names of devices whose bus mastering is off */
	bool wrong_words; /* the start failed for a device's options */
	struct timespec started;
};

/* --- descriptors of `start` --- */
static int monitor_take_fd(struct monitor *m, const char *name)
{
	for (unsigned int i = 0; i < m->n_fds; i++)
		if (m->fd[i].fd >= 0 && !strcmp(m->fd[i].name, name)) {
			int fd = m->fd[i].fd;

			m->fd[i].fd = -1;
			return fd;
		}
	return -1;
}

/* Descriptors named "nic0:tap" belong to nic0 under the name "tap". */
static int monitor_give_nic_fds(struct monitor *m, struct monitor_nic *nic)
{
	size_t len = strlen(nic->name);

	for (unsigned int i = 0; i < m->n_fds; i++) {
		struct device_fd f = m->fd[i];

		if (f.fd < 0 || strncmp(f.name, nic->name, len) || f.name[len] != ':')
			continue;
		if (nic->conf.n_fds == DEVICE_MAX_FDS)
			return -E2BIG;
		m->fd[i].fd = -1;
		memmove(f.name, f.name + len + 1, strlen(f.name + len + 1) + 1);
		nic->conf.fds[nic->conf.n_fds++] = f;
	}
	return 0;
}

static int monitor_name_fds(struct monitor *m, json_t *names, const int *fds, unsigned int n)
{
	if (!json_is_array(names) || json_array_size(names) != n) {
		for (unsigned int i = 0; i < n; i++)
			close(fds[i]);
		return -EPROTO;
	}
	m->n_fds = n;
	for (unsigned int i = 0; i < n; i++) {
		const char *name = json_string_value(json_array_get(names, i));

		snprintf(m->fd[i].name, sizeof(m->fd[i].name), "%s", name ? name : "");
		m->fd[i].fd = fds[i];
	}
	return 0;
}

/* --- building the guest --- */
/* Any thread: a message of its own, as those of monitor_log() are. */
static void monitor_want_fd(void *opaque, const char *device, const char *name)
{
	struct monitor *m = opaque;

	rpc_send(m->control,
		 rpc_request(-1, "want_fd", json_pack("{s:s, s:s}", "nic", device, "name", name)),
		 NULL, 0);
}

/* What the user is told while memory is made present: a line after a second, then every few. */
struct monitor_prefault {
	uint64_t bytes;
	long long next_ms;
};

static void monitor_prefaulted(void *opaque, uint64_t done)
{
	struct monitor_prefault *p = opaque;

	if (rpc_now_ms() < p->next_ms)
		return;
	p->next_ms = rpc_now_ms() + PREFAULT_LINE_MS;
	err_say("making guest memory present: %llu of %llu MiB", (unsigned long long)(done >> 20),
		(unsigned long long)(p->bytes >> 20));
}

static int monitor_make_mem(json_t *params, struct guest_mem **mem)
{
	const struct mem_conf conf = {
		.size = (uint64_t)json_integer_value(json_object_get(params, "mem_bytes")),
		.page_size = (uint64_t)json_integer_value(json_object_get(params, "page_bytes")),
		.alone = !json_is_true(json_object_get(params, "share_mem")),
	};
	struct monitor_prefault p = { .bytes = conf.size, .next_ms = rpc_now_ms() + 1000 };
	int ret;

	if (conf.page_size && conf.page_size != MEM_PAGE_2M && conf.page_size != MEM_PAGE_1G)
		return -EPROTO;
	ret = mem_create_conf(&conf, mem);
	if (ret == 0 && json_is_true(json_object_get(params, "prefault"))) {
		ret = mem_prefault(*mem, 0, NULL, monitor_prefaulted, &p);
		if (ret < 0)
			mem_destroy(*mem);
	}
	return ret;
}

/* Host CPUs for the threads: "pin" has one for each vCPU, or is not there; "pin_io". */
static int monitor_pin(struct monitor *m, json_t *params)
{
	json_t *list = json_object_get(params, "pin"), *io = json_object_get(params, "pin_io"),
	       *cpu;
	size_t i;

	if (list && json_array_size(list) != m->vm->n_vcpus)
		return -EPROTO;
	json_array_foreach(list, i, cpu) {
		json_int_t n = json_integer_value(cpu);

		if (!json_is_integer(cpu) || n < 0 || n >= CPU_SETSIZE)
			return -EPROTO;
		m->vm->vcpu[i].host_cpu = (int)n;
	}
	if (io && (json_integer_value(io) < 0 || json_integer_value(io) >= CPU_SETSIZE))
		return -EPROTO;
	if (io)
		io_pin(m->vm->io, (int)json_integer_value(io));
	return 0;
}

static int monitor_make_vm(struct monitor *m, json_t *params)
{
	unsigned int cpus = (unsigned int)json_integer_value(json_object_get(params, "cpus"));
	struct guest_mem *mem;
	int kvm_fd = monitor_take_fd(m, "kvm"), ret;

	if (kvm_fd < 0 || !cpus || cpus > VM_MAX_VCPUS)
		return -EPROTO;
	ret = monitor_make_mem(params, &mem);
	if (ret < 0) {
		close(kvm_fd);
		return ret;
	}
	ret = kvm_vm_create(kvm_fd, mem, cpus, &m->vm);
	if (ret == 0) {
		m->vm->want_fd = monitor_want_fd;
		m->vm->want_fd_opaque = m;
	}
	for (unsigned int i = 0; i < cpus && ret == 0; i++)
		ret = kvm_vcpu_create(m->vm, i);
	return ret < 0 ? ret : monitor_pin(m, params);
}

static int monitor_boot(struct monitor *m, json_t *params)
{
	const char *cmdline = json_string_value(json_object_get(params, "cmdline"));
	int kernel = monitor_take_fd(m, "kernel"), initrd = monitor_take_fd(m, "initrd");
	struct acpi_conf acpi = { .n_cpus = m->vm->n_vcpus,
				  .mmio64_base = m->vm->pci->mmio64_base,
				  .mmio64_end = m->vm->pci->mmio64_end };
	struct boot_entry e;
	gpa_t rsdp = 0;
	int ret = acpi_build(m->vm->mem, &acpi, &rsdp);

	if (ret == 0)
		ret = boot_load(m->vm->mem, kernel, initrd, cmdline ? cmdline : "", rsdp, &e);
	close(kernel);
	if (initrd >= 0)
		close(initrd);
	return ret < 0 ? ret : kvm_vcpu_set_entry(&m->vm->vcpu[0], &e);
}

static int monitor_add_nic(struct monitor *m, json_t *desc)
{
	const char *name = json_string_value(json_object_get(desc, "name")),
		   *text = json_string_value(json_object_get(desc, "opts"));
	struct monitor_nic *nic = &m->nic[m->n_nics];
	int ret;

	if (!name || !text || m->n_nics == MONITOR_MAX_NICS + MONITOR_MAX_DISKS)
		return -EPROTO;
	snprintf(nic->name, sizeof(nic->name), "%s", name);
	nic->conf.name = nic->name;
	ret = opts_parse(text, &nic->conf.opts);
	if (ret == 0)
		ret = monitor_give_nic_fds(m, nic);
	m->n_nics++;
	if (ret == 0)
		ret = device_create(m->vm, &nic->conf, &nic->dev);
	m->wrong_words = ret == -EINVAL;
	return ret;
}

static int monitor_build(struct monitor *m, json_t *params)
{
	json_t *nics = json_object_get(params, "nics"), *disks = json_object_get(params, "disks"),
	       *desc;
	size_t i;
	int ret = monitor_make_vm(m, params);

	m->console_in = monitor_take_fd(m, "console_in");
	if (ret == 0)
		ret = serial_create(m->vm, monitor_take_fd(m, "console_out"), &m->serial);
	if (ret == 0)
		ret = reset_create(m->vm);
	if (ret == 0)
		ret = pm_create(m->vm, &m->pm);
	json_array_foreach(nics, i, desc)
		if (ret == 0)
			ret = monitor_add_nic(m, desc);
	json_array_foreach(disks, i, desc)
		if (ret == 0 && (ret = monitor_add_nic(m, desc)) == 0)
			m->n_disks++;
	if (ret == 0)
		ret = monitor_boot(m, params);
	return ret;
}

static int monitor_run(struct monitor *m)
{
	int ret = jail_enter(&m->jail);

	if (ret == 0)
		ret = io_start(m->vm->io);
	if (ret == 0)
		ret = serial_start(m->serial);
	/* the first CPU runs when the others are there to be woken by it */
	for (unsigned int i = m->vm->n_vcpus; i-- > 0 && ret == 0;)
		ret = kvm_vcpu_start(&m->vm->vcpu[i]);
	clock_gettime(CLOCK_MONOTONIC, &m->started);
	return ret;
}

static void monitor_destroy(struct monitor *m)
{
	if (m->vm) {
		vm_request_stop(m->vm, VM_STOP_ASKED);
		if (m->paused)
			io_resume(m->vm->io);
		kvm_vcpu_join_all(m->vm);
		io_stop(m->vm->io);
	}
	for (unsigned int i = 0; i < m->n_nics; i++) {
		device_destroy(m->nic[i].dev);
		opts_free(m->nic[i].conf.opts);
		for (unsigned int k = 0; k < m->nic[i].conf.n_fds; k++)
			if (m->nic[i].conf.fds[k].fd >= 0)
				close(m->nic[i].conf.fds[k].fd);
	}
	json_decref(m->paused);
	serial_destroy(m->serial);
	pm_destroy(m->pm);
	vm_destroy(m->vm);
	for (unsigned int i = 0; i < m->n_fds; i++)
		if (m->fd[i].fd >= 0)
			close(m->fd[i].fd);
}

/* --- questions --- */
struct json_sink {
	struct stats_sink sink;
	json_t *object;
};

static void json_sink_put(struct stats_sink *s, const char *name, uint64_t value)
{
	json_object_set_new(((struct json_sink *)s)->object, name, json_integer((json_int_t)value));
}

/* Exits to user space of one vCPU at one moment. */
struct exits_now {
	uint64_t total, io, mmio, hlt, intr, shutdown, other;
};

/*
 * Reads the vCPUs' exits and the console's accesses as of one moment, so that the console's can be
 * subtracted: again until the console stood still meanwhile (at most one access is then on its way
 * a vCPU). A guest that floods its console gets what the last try gave.
 */
static uint64_t monitor_sample(struct monitor *m, struct exits_now *now)
{
	uint64_t before, after = serial_accesses(m->serial);

	for (int tries = 0; tries < 1000; tries++) {
		before = after;
		for (unsigned int i = 0; i < m->vm->n_vcpus; i++) {
			struct vcpu_exits *e = &m->vm->vcpu[i].exits;

			now[i] = (struct exits_now){ e->total, e->io,       e->mmio, e->hlt,
						     e->intr,  e->shutdown, e->other };
		}
		after = serial_accesses(m->serial);
		if (before == after)
			break;
	}
	return after;
}

static json_t *monitor_vcpu_stats(struct vcpu *v, const struct exits_now *e)
{
	struct json_sink kvm = { .sink.put = json_sink_put, .object = json_object() };

	kvm_stats_read(v->stats_fd, &kvm.sink);
	return json_pack("{s:i, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:o}", "index",
			 (int)v->index, "user_exits", "total", (json_int_t)e->total, "io",
			 (json_int_t)e->io, "mmio", (json_int_t)e->mmio, "hlt", (json_int_t)e->hlt,
			 "intr", (json_int_t)e->intr, "shutdown", (json_int_t)e->shutdown, "other",
			 (json_int_t)e->other, "kvm", kvm.object);
}

static json_t *monitor_stats(struct monitor *m)
{
	struct json_sink regions = { .sink.put = json_sink_put, .object = json_object() };
	json_t *vcpus = json_array(), *nics = json_array(), *disks = json_array();
	struct exits_now exits[VM_MAX_VCPUS];
	struct timespec now;

	stats_put(&regions.sink, "serial", monitor_sample(m, exits));
	for (unsigned int i = 0; i < m->vm->n_vcpus; i++)
		json_array_append_new(vcpus, monitor_vcpu_stats(&m->vm->vcpu[i], &exits[i]));
	pci_bus_stats(m->vm->pci, &regions.sink);
	for (unsigned int i = 0; i < m->n_nics; i++) {
		struct json_sink c = { .sink.put = json_sink_put, .object = json_object() };
		struct device *d = m->nic[i].dev;

		if (d->ops->stats)
			d->ops->stats(d, &c.sink);
		json_array_append_new(i < m->n_nics - m->n_disks ? nics : disks,
				      json_pack("{s:s, s:s, s:o}", "name", m->nic[i].name, "type",
						d->type->name, "counters", c.object));
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	return json_pack("{s:I, s:s, s:o, s:o, s:I, s:b, s:o, s:o}", "uptime_ms",
			 (json_int_t)((now.tv_sec - m->started.tv_sec) * 1000 +
				      (now.tv_nsec - m->started.tv_nsec) / 1000000),
			 "jail", m->jail, "vcpus", vcpus, "regions", regions.object,
			 "coalesced_writes", (json_int_t)atomic_load(&m->vm->coalesced_writes),
			 "io_polling", io_is_polling(m->vm->io), "nics", nics, "disks", disks);
}

/* A descriptor that a device has asked for. False: nobody takes it. */
static bool monitor_late_fd(struct monitor *m, const json_t *params, int fd)
{
	const char *nic = json_string_value(json_object_get(params, "nic")),
		   *name = json_string_value(json_object_get(params, "name"));

	for (unsigned int i = 0; i < m->n_nics && nic && name; i++) {
		struct device *d = m->nic[i].dev;

		if (strcmp(m->nic[i].name, nic) || !d->ops->late_fd)
			continue;
		d->ops->late_fd(d, name, fd);
		return true;
	}
	return false;
}

/* --- standing still --- */
/* The first n devices go on. */
static void monitor_resume_devices(struct monitor *m, unsigned int n)
{
	while (n-- > 0)
		if (m->nic[n].dev->ops->resume)
			m->nic[n].dev->ops->resume(m->nic[n].dev);
}

/* Names of those whose bus mastering is off go into `off`. */
static int monitor_pause_devices(struct monitor *m, json_t *off)
{
	for (unsigned int i = 0; i < m->n_nics; i++) {
		struct device *d = m->nic[i].dev;
		int ret = d->ops->pause ? d->ops->pause(d) : 0;

		if (ret > 0)
			json_array_append_new(off, json_string(m->nic[i].name));
		if (ret < 0) {
			monitor_resume_devices(m, i);
			return ret;
		}
	}
	return 0;
}

/* Nobody moves in the guest or for it when this returns 0. Pausing twice is pausing once. */
static int monitor_pause(struct monitor *m)
{
	json_t *off = json_array();
	int ret = kvm_vcpu_pause_all(m->vm);

	if (ret == 0) {
		io_pause(m->vm->io);
		ret = monitor_pause_devices(m, off);
		if (ret == 0) {
			m->paused = off;
			return 0;
		}
		io_resume(m->vm->io);
		kvm_vcpu_resume_all(m->vm);
	}
	json_decref(off);
	return ret;
}

static json_t *monitor_answer_pause(struct monitor *m, json_int_t id)
{
	int ret = m->paused ? 0 : monitor_pause(m);

	if (ret == -ETIMEDOUT)
		return rpc_error(id, RPC_FAILED,
				 "a CPU of the guest does not come to rest; try again, or stop it");
	if (ret == -ECANCELED)
		return rpc_error(id, RPC_FAILED, "the guest is ending");
	if (ret < 0)
		return rpc_error(id, RPC_FAILED,
				 "a device cannot be kept from the guest's memory (what the guest "
				 "was started by says which); stop the guest instead");
	return rpc_result(id, json_pack("{s:O}", "bus_master_off", m->paused));
}

static json_t *monitor_answer_resume(struct monitor *m, json_int_t id)
{
	if (m->paused) {
		monitor_resume_devices(m, m->n_nics);
		io_resume(m->vm->io);
		kvm_vcpu_resume_all(m->vm);
		json_decref(m->paused);
		m->paused = NULL;
	}
	return rpc_result(id, json_object());
}

/* The guest is asked to shut down when it listens to its power button, ended when not or `now`. */
static json_t *monitor_stop(struct monitor *m, json_int_t id, const json_t *params)
{
	/* who stands still hears no button */
	bool asked = !json_is_true(json_object_get(params, "now")) && !m->paused &&
		     pm_press_power_button(m->pm);

	if (!asked)
		vm_request_stop(m->vm, VM_STOP_ASKED);
	return rpc_result(id, json_pack("{s:b}", "asked", asked));
}

/* One message of the supervisor. False: it is gone. */
static bool monitor_answer(struct monitor *m)
{
	const char *method;
	json_int_t id;
	json_t *msg;
	unsigned int n = 0;
	int fds[RPC_MAX_FDS], ret = rpc_recv(m->control, 0, &msg, fds, RPC_MAX_FDS, &n);

	if (ret == -EPROTO || ret == -ETIMEDOUT)
		return true;
	if (ret < 0)
		return false;
	method = json_string_value(json_object_get(msg, "method"));
	if (method && !strcmp(method, "late_fd") && n == 1 &&
	    monitor_late_fd(m, json_object_get(msg, "params"), fds[0]))
		n = 0;
	for (unsigned int i = 0; i < n; i++)
		close(fds[i]);
	id = json_integer_value(json_object_get(msg, "id"));
	if (method && !strcmp(method, "stats")) {
		rpc_send(m->control, rpc_result(id, monitor_stats(m)), NULL, 0);
	} else if (method && !strcmp(method, "stop")) {
		rpc_send(m->control, monitor_stop(m, id, json_object_get(msg, "params")), NULL, 0);
	} else if (method && !strcmp(method, "pause")) {
		rpc_send(m->control, monitor_answer_pause(m, id), NULL, 0);
	} else if (method && !strcmp(method, "resume")) {
		rpc_send(m->control, monitor_answer_resume(m, id), NULL, 0);
	} else if (json_object_get(msg, "id")) {
		rpc_send(m->control, rpc_error(id, RPC_NO_METHOD, "no such method"), NULL, 0);
	}
	json_decref(msg);
	return true;
}

static void monitor_console(struct monitor *m)
{
	uint8_t buf[64];
	unsigned int room = serial_room(m->serial);
	ssize_t n;

	if (!room)
		return;
	n = read(m->console_in, buf, room < sizeof(buf) ? room : sizeof(buf));
	if (n > 0) {
		serial_input(m->serial, buf, (unsigned int)n);
	} else if (n == 0 || errno != EINTR) {
		close(m->console_in);
		m->console_in = -1;
	}
}

static void monitor_serve(struct monitor *m)
{
	while (atomic_load(&m->vm->stop) == VM_STOP_NONE) {
		bool room = m->console_in >= 0 && serial_room(m->serial);
		struct pollfd p[] = {
			{ .fd = m->control, .events = POLLIN },
			{ .fd = m->vm->stop_fd, .events = POLLIN },
			{ .fd = room ? m->console_in : -1, .events = POLLIN },
			/* what cannot wait until the guest goes on */
			{ .fd = m->paused ? io_urgent_fd(m->vm->io) : -1, .events = POLLIN },
		};
		/* a full FIFO is looked at again soon: the guest takes bytes without telling us */
		int n = poll(p, 4, m->console_in >= 0 && !room ? 5 : -1);

		if (n <= 0)
			continue;
		if (p[0].revents && !monitor_answer(m))
			return;
		if (p[2].revents)
			monitor_console(m);
		if (p[3].revents && m->paused)
			io_look_urgent(m->vm->io);
	}
}

static void monitor_log(void *opaque, const char *line)
{
	struct monitor *m = opaque;

	rpc_send(m->control, rpc_request(-1, "log", json_pack("{s:s}", "line", line)), NULL, 0);
}

static const char *const stop_word[] = {
	[VM_STOP_NONE] = "supervisor gone", [VM_STOP_ASKED] = "stopped", [VM_STOP_RESET] = "reset",
	[VM_STOP_POWEROFF] = "poweroff",    [VM_STOP_ERROR] = "error",
};

int monitor_main(int control)
{
	struct monitor m = { .control = control, .console_in = -1, .jail = "none" };
	int fds[RPC_MAX_FDS], ret, stop;
	unsigned int n;
	json_t *msg, *params;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	ret = rpc_recv(control, 10000, &msg, fds, RPC_MAX_FDS, &n);
	if (ret < 0)
		return err_ret(FL_USAGE,
			       "fourlane-vmm: no guest was described on descriptor %d; it is "
			       "started by 'fourlane run'",
			       control);
	err_set_sink(monitor_log, &m);
	params = json_object_get(msg, "params");
	ret = monitor_name_fds(&m, json_object_get(params, "fds"), fds, n);
	if (ret == 0)
		ret = monitor_build(&m, params);
	if (ret == 0)
		ret = monitor_run(&m);
	json_decref(msg);
	if (ret < 0) {
		if (ret == -EPROTO)
			err_say("starting the guest: its description makes no sense to this "
				"monitor; are "
				"fourlane and fourlane-vmm of the same version?");
		rpc_send(control,
			 rpc_error(1, m.wrong_words ? RPC_INVALID_PARAMS : ret,
				   "the guest could not be started"),
			 NULL, 0);
		monitor_destroy(&m);
		return err_to_exit(ret);
	}
	rpc_send(control, rpc_result(1, json_pack("{s:s}", "jail", m.jail)), NULL, 0);
	monitor_serve(&m);
	stop = atomic_load(&m.vm->stop);
	monitor_destroy(&m);
	rpc_send(control, rpc_request(-1, "ended", json_pack("{s:s}", "why", stop_word[stop])),
		 NULL, 0);
	return stop == VM_STOP_ERROR ? FL_FAILED : FL_DONE;
}

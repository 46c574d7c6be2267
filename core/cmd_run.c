/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `fourlane run`: reads the words, the rest is the supervisor's. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cmd.h"
#include "core/guest_conf.h"
#include "core/mem.h"
#include "core/rpc.h"
#include "core/supervisor.h"

static const struct command run_command;

/* More CPUs than there are is allowed, to try things; it is not what one wants to measure. */
static void warn_of_cpus(const char *name, unsigned int n)
{
	cpu_set_t set;
	unsigned int have;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return;
	have = (unsigned int)CPU_COUNT(&set);
	if (n > have)
		err_say("guest '%s': its %u CPUs take turns on the %u that it may use here; "
			"give it no more than those for speed",
			name, n, have);
}

/* --hugepages and --pin, which are looked at when memory and CPUs are known. */
static int place_guest(struct supervisor_conf *c, const char *hugepages, const char *list,
		       struct cpu_pin *pin)
{
	cpu_set_t allowed;
	int ret;

	if (hugepages && !strcmp(hugepages, "2M"))
		c->page_bytes = MEM_PAGE_2M;
	else if (hugepages && !strcmp(hugepages, "1G"))
		c->page_bytes = MEM_PAGE_1G;
	else if (hugepages)
		return cmd_usage(&run_command, "--hugepages '%s' is neither 2M nor 1G", hugepages);
	if (c->page_bytes && c->mem_bytes % c->page_bytes)
		return cmd_usage(&run_command, "--mem is no multiple of --hugepages %s", hugepages);
	if (!list)
		return FL_DONE;
	c->pin = pin;
	if (cpu_pin_parse(list, c->cpus, pin) < 0)
		return FL_USAGE;
	ret = sched_getaffinity(0, sizeof(allowed), &allowed) < 0 ? -errno : 0;
	if (ret < 0)
		return err_ret(ret, "asking which CPUs may be used: %s; leave out --pin",
			       strerror(-ret));
	return cpu_pin_check(pin, &allowed);
}

/* The control protocol carries UTF-8 only. */
static bool words_are_text(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		json_t *text = json_string(argv[i]);

		if (!text)
			return false;
		json_decref(text);
	}
	return true;
}

/*
 * In a process of its own, which has our descriptors until the guest runs: what goes wrong before
 * is said here. Gives the status of that process if it does not come so far.
 */
static int run_detached(struct supervisor_conf *c)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	int p[2], status = 0;
	pid_t pid;
	char ready;

	fflush(NULL);
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_ret(-errno, "making a pipe: %s; raise 'ulimit -n'", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		c->ready_fd = p[1];
		return supervisor_run(c);
	}
	close(p[1]);
	if (pid < 0) {
		close(p[0]);
		return err_ret(-errno, "starting a process: %s; raise 'ulimit -u'",
			       strerror(errno));
	}
	sigaction(SIGINT, &ignore, NULL); /* it has had the signal as well, and ends */
	status = read(p[0], &ready, 1) == 1 ? 0 : -1;
	close(p[0]);
	if (status == 0) {
		printf("%s\n", c->name);
		return FL_DONE;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : FL_FAILED;
}

/* The words, whoever gave them, into what the supervisor wants. `file`: of the guest, or NULL. */
static int run_words(const struct guest_words *w, const char *file, bool detach)
{
	const char *mem = w->mem ? w->mem : "256M", *cpus = w->cpus ? w->cpus : "1";
	struct supervisor_conf c = { .name = w->name,
				     .prefault = w->prefault,
				     .kernel = w->kernel,
				     .initrd = w->initrd,
				     .append = w->append,
				     .nics = w->nics,
				     .disks = w->disks,
				     .no_reboot = w->no_reboot,
				     .no_reset = w->no_reset,
				     .ready_fd = -1 };
	unsigned long long mem_bytes, n_cpus;
	struct cpu_pin pin;
	char own[32];
	int ret;

	snprintf(own, sizeof(own), "guest-%d", (int)getpid());
	if (!c.kernel && file)
		return err_ret(FL_USAGE, "%s: kernel: it is missing; give it there or as --kernel",
			       file);
	if (!c.kernel)
		return cmd_usage(&run_command, "--kernel is missing");
	if (c.name && !rpc_name_ok(c.name))
		return cmd_usage(&run_command,
				 "--name '%s' is no name: 1 to 32 letters, digits, '_', '-' or '.'",
				 c.name);
	if (cmd_number(mem, GUEST_MIN_MEM, GUEST_MAX_MEM, &mem_bytes) < 0)
		return cmd_usage(&run_command, "--mem '%s' is no size from 2M to 1024G", mem);
	if (cmd_number(cpus, 1, GUEST_MAX_CPUS, &n_cpus) < 0)
		return cmd_usage(&run_command, "--cpus '%s' is no number from 1 to %d", cpus,
				 GUEST_MAX_CPUS);
	if (!c.name)
		c.name = own;
	c.mem_bytes = mem_bytes;
	c.cpus = (unsigned int)n_cpus;
	ret = place_guest(&c, w->hugepages, w->pin, &pin);
	if (ret != FL_DONE)
		return ret;
	warn_of_cpus(c.name, c.cpus);
	return detach ? run_detached(&c) : supervisor_run(&c);
}

static int run_run(int argc, char **argv)
{
	struct guest_words w = { 0 };
	struct guest_conf *conf = NULL;
	bool detach = false;
	struct cmd_option opts[] = {
		{ .name = "name", .value = &w.name },
		{ .name = "mem", .value = &w.mem },
		{ .name = "cpus", .value = &w.cpus },
		{ .name = "hugepages", .value = &w.hugepages },
		{ .name = "prefault", .flag = &w.prefault },
		{ .name = "pin", .value = &w.pin },
		{ .name = "kernel", .value = &w.kernel },
		{ .name = "initrd", .value = &w.initrd },
		{ .name = "append", .value = &w.append },
		{ .name = "nic", .list = &w.nics },
		{ .name = "disk", .list = &w.disks },
		{ .name = "no-reboot", .flag = &w.no_reboot },
		{ .name = "no-reset", .flag = &w.no_reset },
		{ .name = "detach", .flag = &detach },
		{ 0 },
	};
	bool text = words_are_text(argc, argv);
	int n = cmd_options(&run_command, argc, argv, opts, false), ret = FL_DONE;

	if (n < 0)
		ret = FL_USAGE;
	else if (n > 1)
		ret = cmd_usage(&run_command, "'%s' is one word too many", argv[2]);
	else if (!text)
		ret = cmd_usage(&run_command, "a word is no UTF-8 text");
	else if (n == 1)
		ret = guest_conf_load(argv[1], &w, &conf);
	if (ret == FL_DONE)
		ret = run_words(&w, n == 1 ? argv[1] : NULL, detach);
	else if (ret == -EINVAL)
		ret = FL_USAGE; /* wrong words in the file */
	guest_conf_free(conf);
	free(w.nics);
	free(w.disks);
	return ret;
}

static const struct command run_command = {
	.name = "run",
	.group = CMD_RUN,
	.summary = "run a guest in the foreground",
	.run = run_run,
	.usage = "--kernel FILE [options]\n"
		 "       fourlane run GUEST.yaml [options]\n"
		 "\n"
		 "Runs a guest until it powers off or is stopped. Its first serial port is "
		 "standard input and output.\n"
		 "One that resets starts again, with its name, NICs, disks and console; five "
		 "resets within 10 s end it (status 1).\n"
		 "\n"
		 "  --kernel FILE     Linux (vmlinuz or vmlinux), or the microguest (mg.elf)\n"
		 "  --initrd FILE     initial RAM disk\n"
		 "  --append TEXT     kernel command line\n"
		 "  --name NAME       for ps, stats and stop (default: guest-PID)\n"
		 "  --detach          in the background once it runs; its name is printed (see "
		 "console)\n"
		 "  --no-reboot       a reset ends the run, with status 4\n"
		 "  --no-reset        take functions of the host that cannot be reset, though "
		 "another guest had them\n"
		 "  --mem SIZE        guest memory, with K, M or G (default 256M)\n"
		 "  --hugepages SIZE  2M or 1G: guest memory of huge pages that the host has set "
		 "aside\n"
		 "  --prefault        find all of the guest's memory before it starts\n"
		 "  --cpus N          virtual CPUs, 1 to 64 (default 1)\n"
		 "  --pin LIST        a host CPU for each vCPU, and for the I/O thread: "
		 "2,4-6,io:1\n"
		 "  --disk SPEC       a virtio-blk disk; may stand several times:\n"
		 "      PATH[,ro][,serial=TEXT][,direct=on][,queues=N]         raw image file or "
		 "block device\n"
		 "  --nic SPEC        a NIC; may stand several times:\n"
		 "      e1000[,mac=M][,backend=B[,...]]                        emulated Intel "
		 "82540EM\n"
		 "      "
		 "virtio[,mac=M][,queues=N][,queue_size=N][,mtu=N][,packed=on][,offloads=off]\n"
		 "            [,mergeable=off][,backend=B[,...]]               virtio-net\n"
		 "      vfio,host=BDF[,rombar=off][,no-reset=on]               any PCI function "
		 "of the host (see assign)\n"
		 "      vfio,fd=N[,iommufd-fd=N]\n"
		 "      vfio,host=BDF,group-fd=N[,container-fd=N]              the same, opened by "
		 "the caller\n"
		 "      vf,host=BDF[,mac=M][,vlan=N]                           an SR-IOV virtual "
		 "function (see vf)\n"
		 "      vf,tenant=NAME                                         one of a tenant's, "
		 "as its file says (see tenant)\n"
		 "            [,dma=auto|type1|iommufd]                        of both: how its "
		 "DMA is "
		 "mapped\n"
		 "    backends: null, loop, tap[,ifname=IF],\n"
		 "      vhost[,ifname=IF]                                      a tap served by the "
		 "kernel (virtio only)\n"
		 "      switch[,switch=NAME][,port=NAME]                       a port of "
		 "fourlane-switch, or\n"
		 "      switch,socket=PATH[,role=client|server][,wait=S]       any vhost-user "
		 "switch\n"
		 "\n"
		 "GUEST.yaml has the same words; an option here overrides the file's, --nic and "
		 "--disk its whole list.\n"
		 "Relative paths of kernel, initrd and disks are taken from the file's folder:\n"
		 "  name: web              # or kernel, initrd, append, mem, hugepages, prefault, "
		 "cpus, pin, reboot: false\n"
		 "  kernel: vmlinuz\n"
		 "  append: console=ttyS0 root=/dev/vda\n"
		 "  prefault: true\n"
		 "  disks: [\"root.img\", \"data.img,ro\"]\n"
		 "  nics: [\"virtio,backend=tap\"]\n"
		 "Guests of /etc/fourlane/guests/NAME.yaml start at boot by 'systemctl enable "
		 "fourlane-guest@NAME'.\n"
		 "\n"
		 "Example: fourlane run --kernel mg.elf --append 'dev=virtio mode=tx "
		 "tsc=2000000000' --nic virtio\n",
};
COMMAND(&run_command);

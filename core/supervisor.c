/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See supervisor.h. One thread, one poll loop: signals, the monitor's socket and end (pidfd),
 * clients of the guest's socket, console input. The monitor is not trusted: its messages are parsed
 * as a stranger's.
 */
#include "core/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <dirent.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "core/console.h"
#include "core/err.h"
#include "core/guest_watch.h"
#include "core/late_fd.h"
#include "core/paths.h"
#include "core/prep_priv.h"
#include "core/reboot.h"
#include "core/rpc_server.h"

#define ANSWER_MS 3000
#define STOP_MS   5000
#define PAUSE_MS  20000 /* a switch that does not let go of its rings is cut off after a while */
#define MIN_FILES 64
#define START_MS  300000 /* pinning a large guest takes its time */

struct supervisor {
	const struct supervisor_conf *conf;
	struct prep_guest guest;
	char lock_path[PATH_MAX];
	int lock_fd, sig_fd, control, pid_fd;
	int console_w; /* to the monitor's UART; -1: closed */
	pid_t pid;
	bool stdin_open, tty_changed, stopping, started, locked;
	bool paused;
	bool deaf;           /* the monitor has let a question go unanswered */
	long long grace_end; /* the guest was asked to shut down and may until then; 0: not asked */
	struct termios tty;
	struct rpc_server *server;
	struct console *console; /* of a detached guest, else NULL */
	struct late_fds late;
	struct guest_watches watches;
	json_int_t next_id;
	char why[32]; /* why the guest ended, as the monitor said */
	struct reboots reboots;
};

static json_t *sup_method(void *opaque, const char *method, json_t *params, json_int_t id);

static bool sup_detached(const struct supervisor *s)
{
	return s->conf->ready_fd >= 0;
}

/* --- the guest's name, lock and socket --- */
/* Is the file that we hold the one that the path names? A guest that ends removes its own. */
static bool sup_lock_is_current(const struct supervisor *s)
{
	struct stat held, named;

	return fstat(s->lock_fd, &held) == 0 && stat(s->lock_path, &named) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static int sup_lock(struct supervisor *s)
{
	const struct timespec nap = { .tv_nsec = 10000000 };
	char dir[PATH_MAX - 64];
	int ret = paths_run_dir(dir, sizeof(dir));

	if (ret < 0)
		return ret;
	snprintf(s->lock_path, sizeof(s->lock_path), "%s/%s.lock", dir, s->conf->name);
	/* more than once: `ps` holds the lock for a moment, and the file may be a guest's that just
	 * ends */
	for (int i = 0; i < 10; i++) {
		s->lock_fd = open(s->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
		if (s->lock_fd < 0)
			return err_ret(-errno,
				       "opening %s: %s; run as root, or set XDG_RUNTIME_DIR",
				       s->lock_path, strerror(errno));
		s->locked = flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0 && sup_lock_is_current(s);
		if (s->locked)
			return 0;
		close(s->lock_fd);
		s->lock_fd = -1;
		nanosleep(&nap, NULL);
	}
	return err_ret(-EEXIST,
		       "starting guest '%s': one of that name is running; stop it or give "
		       "another --name",
		       s->conf->name);
}

static int sup_listen(struct supervisor *s)
{
	char path[PATH_MAX];
	int ret = rpc_socket_path(s->conf->name, path, sizeof(path));

	/* a socket that is there is a dead guest's: we hold the lock */
	return ret < 0 ? ret : rpc_server_open(path, sup_method, s, &s->server);
}

/* --- preparation --- */
static int sup_open(struct supervisor *s, const char *what, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0 && !strcmp(what, "kvm") && (errno == ENOENT || errno == ENODEV))
		return err_ret(-ENODEV,
			       "opening /dev/kvm: %s; load kvm_intel or kvm_amd, and turn "
			       "virtualisation on in the firmware",
			       strerror(errno));
	if (fd < 0 && !strcmp(what, "kvm"))
		return err_ret(errno == EACCES || errno == EPERM ? -EOPNOTSUPP : -errno,
			       "opening /dev/kvm: %s; join the group 'kvm' or run as root",
			       strerror(errno));
	if (fd < 0)
		return err_ret(-errno, "opening the %s %s: %s; check the path", what, path,
			       strerror(errno));
	return prep_guest_fd(&s->guest, what, fd);
}

static int sup_console(struct supervisor *s)
{
	int p[2], out, ret;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_ret(-errno, "making a pipe: %s; raise 'ulimit -n'", strerror(errno));
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	s->console_w = p[1];
	if (prep_guest_fd(&s->guest, "console_in", p[0]) < 0)
		return -E2BIG;
	if (sup_detached(s)) {
		ret = console_open(s->conf->name, &out, &s->console);
		if (ret < 0)
			return ret;
	} else if ((out = dup(STDOUT_FILENO)) < 0) {
		return err_ret(-errno, "using standard output: %s; do not close it",
			       strerror(errno));
	}
	return prep_guest_fd(&s->guest, "console_out", out);
}

static int sup_prepare(struct supervisor *s)
{
	const struct supervisor_conf *c = s->conf;
	int ret = 0;

	/* wrong words are found before the host is looked at */
	for (const char **n = c->nics; n && *n && ret == 0; n++)
		ret = prep_check_nic(*n);
	for (const char **d = c->disks; d && *d && ret == 0; d++)
		ret = prep_check_disk(*d);
	if (ret == 0)
		ret = sup_open(s, "kvm", "/dev/kvm", O_RDWR);
	if (ret == 0)
		ret = sup_open(s, "kernel", c->kernel, O_RDONLY);
	if (ret == 0 && c->initrd)
		ret = sup_open(s, "initrd", c->initrd, O_RDONLY);
	if (ret == 0)
		ret = sup_console(s);
	for (const char **n = c->nics; n && *n && ret == 0; n++)
		ret = prep_guest_nic(&s->guest, *n);
	for (const char **d = c->disks; d && *d && ret == 0; d++)
		ret = prep_guest_disk(&s->guest, *d);
	if (ret == 0)
		guest_watches_open(&s->watches, &s->guest);
	return ret;
}

/* --- the monitor's process --- */
static void sup_child(const char *program, int control, int log, pid_t parent)
{
	int null, said = STDERR_FILENO;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid(); /* Ctrl-C is the supervisor's */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(FL_FAILED);
	if (log >= 0) { /* what it says goes there, but that it could not be started */
		said = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, MONITOR_CONTROL_FD + 1);
		if (said < 0 || dup2(log, STDERR_FILENO) < 0)
			_exit(FL_FAILED);
	}
	if (control == MONITOR_CONTROL_FD)
		fcntl(control, F_SETFD, 0);
	else if (dup2(control, MONITOR_CONTROL_FD) < 0)
		_exit(FL_FAILED);
	if (said > MONITOR_CONTROL_FD + 1)
		syscall(SYS_close_range, MONITOR_CONTROL_FD + 1, said - 1, 0);
	syscall(SYS_close_range, said > MONITOR_CONTROL_FD ? said + 1 : MONITOR_CONTROL_FD + 1, ~0u,
		0);
	/* the user's terminal is not the monitor's: its console has descriptors of its own */
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(FL_FAILED);
	fcntl(null, F_SETFD, FD_CLOEXEC);
	execl(program, "fourlane-vmm", (char *)NULL);
	dup2(said, STDERR_FILENO);
	err_say("starting %s: %s; run 'make' or 'make install'", program, strerror(errno));
	_exit(FL_FAILED);
}

static int sup_spawn(struct supervisor *s)
{
	char program[PATH_MAX];
	int sv[2], ret = paths_find_program("fourlane-vmm", program, sizeof(program));
	pid_t parent = getpid();
	struct timeval patience = { .tv_sec = 2 };

	if (ret < 0)
		return ret;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_ret(-errno, "making the monitor's socket: %s; raise 'ulimit -n'",
			       strerror(errno));
	/* neither side waits for ever for one that does not read */
	for (int i = 0; i < 2; i++)
		setsockopt(sv[i], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	s->pid = fork();
	if (s->pid == 0)
		sup_child(program, sv[1], s->console ? console_log_fd(s->console) : -1, parent);
	close(sv[1]);
	s->control = sv[0];
	if (s->pid < 0)
		return err_ret(-errno, "starting the monitor: %s; raise 'ulimit -u'",
			       strerror(errno));
	s->pid_fd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	return s->pid_fd < 0 ? err_ret(-errno, "watching the monitor: %s; use Linux 5.3 or newer",
				       strerror(errno))
			     : 0;
}

/* What is said only when the user wants it. */
static void sup_add_placement(const struct supervisor_conf *c, json_t *params)
{
	json_t *pin;

	if (c->page_bytes)
		json_object_set_new(params, "page_bytes", json_integer((json_int_t)c->page_bytes));
	if (c->prefault)
		json_object_set_new(params, "prefault", json_true());
	if (c->pin && c->pin->n) {
		pin = json_array();
		for (unsigned int i = 0; i < c->pin->n; i++)
			json_array_append_new(pin, json_integer(c->pin->vcpu[i]));
		json_object_set_new(params, "pin", pin);
	}
	if (c->pin && c->pin->io >= 0)
		json_object_set_new(params, "pin_io", json_integer(c->pin->io));
}

static json_t *sup_nic(const struct supervisor *s, const struct prep_nic *n)
{
	return json_pack("{s:s, s:s+}", "name", n->name, "opts", n->device_opts,
			 n->first_opts && !s->reboots.n ? n->first_opts : "");
}

static int sup_send_start(struct supervisor *s)
{
	struct prep_guest *g = &s->guest;
	json_t *nics = json_array(), *disks = json_array(), *names = json_array(), *params;
	int fds[RPC_MAX_FDS];

	for (unsigned int i = 0; i < g->n_nics; i++)
		json_array_append_new(nics, sup_nic(s, &g->slot[i].nic));
	for (unsigned int i = 0; i < g->n_disks; i++)
		json_array_append_new(disks, json_pack("{s:s, s:s}", "name", g->disk[i].name,
						       "opts", g->disk[i].device_opts));
	for (unsigned int i = 0; i < g->n_fds; i++) {
		json_array_append_new(names, json_string(g->fd[i].name));
		fds[i] = g->fd[i].fd;
	}
	params = json_pack("{s:I, s:i, s:s, s:o, s:o, s:o}", "mem_bytes",
			   (json_int_t)s->conf->mem_bytes, "cpus", (int)s->conf->cpus, "cmdline",
			   s->conf->append ? s->conf->append : "", "nics", nics, "disks", disks,
			   "fds", names);
	if (!params || json_array_size(nics) != g->n_nics || json_array_size(names) != g->n_fds ||
	    json_array_size(disks) != g->n_disks) {
		json_decref(params);
		return -EILSEQ;
	}
	sup_add_placement(s->conf, params);
	if (g->shares_memory)
		json_object_set_new(params, "share_mem", json_true());
	return rpc_send(s->control, rpc_request(1, "start", params), fds, g->n_fds);
}

/* A notification of the monitor. */
static void sup_notified(struct supervisor *s, json_t *msg)
{
	const char *method = json_string_value(json_object_get(msg, "method"));
	json_t *params = json_object_get(msg, "params");
	const char *line = json_string_value(json_object_get(params, "line")),
		   *why = json_string_value(json_object_get(params, "why"));

	if (method && line && !strcmp(method, "log")) {
		/* it wrote the usual prefix already; say it as ours, control characters masked */
		err_say("%s", !strncmp(line, "fourlane: ", 10) ? line + 10 : line);
	} else if (method && why && !strcmp(method, "ended")) {
		snprintf(s->why, sizeof(s->why), "%s", why);
	} else if (method && !strcmp(method, "want_fd")) {
		late_fd_want(&s->late, &s->guest, params);
	}
}

/*
 * Waits for the answer to question `id`, serving the monitor's notifications meanwhile, but no
 * longer than the time given however many of them there are. Before the guest runs a signal ends
 * the waiting (-EINTR). *answer is a new reference.
 */
static int sup_wait_answer(struct supervisor *s, json_int_t id, int timeout_ms, json_t **answer)
{
	long long end = rpc_now_ms() + timeout_ms;

	for (;;) {
		struct pollfd p[] = { { .fd = s->control, .events = POLLIN },
				      { .fd = s->started ? -1 : s->sig_fd, .events = POLLIN } };
		long long left = end - rpc_now_ms();
		json_t *msg;
		int ret;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(p, 2, (int)left) <= 0)
			continue;
		if (p[1].revents)
			return -EINTR;
		ret = rpc_recv(s->control, 0, &msg, NULL, 0, NULL);
		if (ret < 0)
			return ret;
		if (json_is_integer(json_object_get(msg, "id")) &&
		    json_integer_value(json_object_get(msg, "id")) == id) {
			*answer = msg;
			return 0;
		}
		sup_notified(s, msg);
		json_decref(msg);
	}
}

/*
 * One question to the monitor. After one that was not answered in time no other is tried: a deaf
 * monitor must not stop us.
 */
static int sup_ask(struct supervisor *s, const char *method, json_t *params, int timeout_ms,
		   json_t **answer)
{
	json_int_t id = s->next_id++;
	json_t *request = rpc_request(id, method, params);
	int ret = -ETIMEDOUT;

	if (s->deaf)
		json_decref(request);
	else
		ret = rpc_send(s->control, request, NULL, 0);

	if (ret == 0)
		ret = sup_wait_answer(s, id, timeout_ms, answer);
	if (ret < 0)
		s->deaf = true;
	return ret;
}

static int sup_start(struct supervisor *s)
{
	json_t *answer = NULL;
	int ret = sup_send_start(s), code;

	prep_guest_sent(&s->guest);
	if (ret < 0)
		return err_ret(
			ret,
			"telling the monitor what to run: %s; is fourlane-vmm of the same version?",
			strerror(-ret));
	ret = sup_wait_answer(s, 1, START_MS, &answer);
	if (ret == -EINTR)
		return ret; /* the user has thought better of it */
	if (ret == -ETIMEDOUT)
		return err_ret(ret,
			       "starting guest '%s': not ready after %d s; give it less memory",
			       s->conf->name, START_MS / 1000);
	if (ret < 0)
		return err_ret(
			-ECHILD,
			"starting guest '%s': the monitor ended before it ran; see the lines above",
			s->conf->name);
	code = (int)json_integer_value(json_object_get(json_object_get(answer, "error"), "code"));
	json_decref(answer);
	s->next_id = 2;
	if (code == RPC_INVALID_PARAMS)
		return FL_USAGE; /* a wrong --nic: the device has said why */
	if (code < 0)
		return code; /* it has said why */
	s->started = true;
	return 0;
}

/* --- answers to clients --- */
static uint64_t sup_cpu_ns(pid_t pid)
{
	char path[64], line[128];
	uint64_t sum = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' &&
		    paths_read_line(line, sizeof(line), "%s/%s/schedstat", path, e->d_name) > 0)
			sum += strtoull(line, NULL, 10);
	if (d)
		closedir(d);
	return sum;
}

/* Field 43 of /proc/PID/stat: time in guest mode, in clock ticks (proc(5)). */
static uint64_t sup_guest_ns(pid_t pid)
{
	char line[1024], *p;
	int field = 2;

	if (paths_read_line(line, sizeof(line), "/proc/%d/stat", pid) < 0 ||
	    !(p = strrchr(line, ')')))
		return 0;
	while (field < 43 && (p = strchr(p, ' '))) {
		p++;
		field++;
	}
	return p ? strtoull(p, NULL, 10) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK)) : 0;
}

static void sup_add_disk_facts(struct supervisor *s, json_t *disks)
{
	json_t *disk;
	size_t i;

	json_array_foreach(disks, i, disk) {
		if (i == s->guest.n_disks)
			break;
		json_object_set_new(disk, "path", json_string(s->guest.disk[i].path));
		json_object_set_new(disk, "options", json_string(s->guest.disk[i].device_opts));
	}
}

static void sup_add_facts(struct supervisor *s, json_t *stats)
{
	json_t *nics = json_object_get(stats, "nics"), *nic;
	size_t i;

	sup_add_disk_facts(s, json_object_get(stats, "disks"));
	json_object_set_new(stats, "version", json_integer(1));
	json_object_set_new(stats, "guest", json_string(s->conf->name));
	json_object_set_new(stats, "resets", json_integer(s->reboots.n));
	json_object_set_new(stats, "monitor",
			    json_pack("{s:i, s:I, s:I}", "pid", (int)s->pid, "cpu_ns",
				      (json_int_t)sup_cpu_ns(s->pid), "guest_ns",
				      (json_int_t)sup_guest_ns(s->pid)));
	json_array_foreach(nics, i, nic) {
		struct prep_nic *n = i < s->guest.n_nics ? &s->guest.slot[i].nic : NULL;
		const char *backend = n ? opts_take(n->opts, "backend") : NULL;

		if (!n)
			break;
		json_object_set_new(nic, "lane", json_string(n->lane));
		json_object_set_new(nic, "options", json_string(n->device_opts));
		if (s->guest.slot[i].type->prepare == prep_software || backend)
			json_object_set_new(nic, "backend",
					    json_string(backend ? backend : "null"));
	}
	guest_watches_stats(&s->watches, stats);
}

/*
 * Asks the guest to shut down; ends it when it does not listen to its power button, when it has
 * been asked before, or `now`. True: it has been asked, and has STOP_GRACE_MS.
 */
static bool sup_stop(struct supervisor *s, bool now)
{
	json_t *answer;
	bool asked = false;

	if (s->stopping)
		return false;
	now |= s->grace_end != 0;
	if (sup_ask(s, "stop", json_pack("{s:b}", "now", now), ANSWER_MS, &answer) == 0) {
		asked = json_is_true(json_object_get(json_object_get(answer, "result"), "asked"));
		json_decref(answer);
	}
	s->stopping = now || !asked;
	if (!s->stopping)
		s->grace_end = rpc_now_ms() + STOP_GRACE_MS;
	return !s->stopping;
}

/* `pause` or `resume`. */
static json_t *sup_pause(struct supervisor *s, const char *method, json_int_t id)
{
	json_t *answer, *reply;
	const char *why;

	if (sup_ask(s, method, NULL, PAUSE_MS, &answer) < 0)
		return rpc_error(id, RPC_FAILED, "the monitor does not answer; stop the guest");
	why = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
	if (why) {
		reply = rpc_error(id, RPC_FAILED, why);
	} else {
		s->paused = !strcmp(method, "pause");
		reply = rpc_result(id, json_incref(json_object_get(answer, "result")));
	}
	json_decref(answer);
	return reply;
}

static json_t *sup_method(void *opaque, const char *method, json_t *params, json_int_t id)
{
	struct supervisor *s = opaque;
	json_t *answer, *result;
	int ret;

	if (!strcmp(method, "info"))
		return rpc_result(
			id, json_pack("{s:s, s:i, s:i, s:I, s:i, s:s}", "guest", s->conf->name,
				      "pid", (int)getpid(), "monitor_pid", (int)s->pid, "mem_bytes",
				      (json_int_t)s->conf->mem_bytes, "cpus", (int)s->conf->cpus,
				      "state", s->paused ? "paused" : "running"));
	if (!strcmp(method, "stop")) {
		bool now = json_is_true(json_object_get(params, "now"));

		return rpc_result(id, json_pack("{s:b}", "asked", sup_stop(s, now)));
	}
	if (!strcmp(method, "pause") || !strcmp(method, "resume"))
		return sup_pause(s, method, id);
	if (strcmp(method, "stats"))
		return rpc_error(id, RPC_NO_METHOD,
				 "there is no such method; there are: info, pause, resume, stats, "
				 "stop");
	ret = sup_ask(s, method, NULL, ANSWER_MS, &answer);
	if (ret < 0)
		return rpc_error(id, RPC_FAILED, "the monitor does not answer; stop the guest");
	result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	if (!json_is_object(result)) {
		json_decref(result);
		return rpc_error(id, RPC_FAILED,
				 "the monitor's answer makes no sense; stop the guest");
	}
	sup_add_facts(s, result);
	return rpc_result(id, result);
}

/* --- the loop --- */
static void sup_detach(struct supervisor *s)
{
	console_take_std(s->console);
	setsid();
	s->stdin_open = false;
	/* whoever waited for us may have been killed: the guest runs */
	if (write(s->conf->ready_fd, "", 1) < 0)
		err_say("guest '%s' runs, but who started it is gone", s->conf->name);
	close(s->conf->ready_fd);
}

static void sup_tty(struct supervisor *s)
{
	struct termios raw;

	if (sup_detached(s)) {
		sup_detach(s);
		return;
	}
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &s->tty) < 0)
		return;
	if (tcgetpgrp(STDIN_FILENO) != getpgrp()) {
		s->stdin_open = false; /* in the background the terminal is somebody else's */
		return;
	}
	raw = s->tty;
	raw.c_lflag &= ~(unsigned int)(ICANON | ECHO); /* signals stay: Ctrl-C ends the guest */
	raw.c_iflag &= ~(unsigned int)ICRNL;
	s->tty_changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* Room for one read of ours. What the guest has not taken yet stays with whoever types it. */
static bool sup_console_room(const struct supervisor *s)
{
	struct pollfd p = { .fd = s->console_w, .events = POLLOUT };

	return (s->stdin_open || s->console) && poll(&p, 1, 0) > 0;
}

static void sup_stdin(struct supervisor *s)
{
	char buf[256];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	if (n <= 0) {
		/* the end of our input is not the end of the guest's line: it just stays silent */
		s->stdin_open = n < 0 && errno == EINTR;
		return;
	}
	if (write(s->console_w, buf, (size_t)n) < 0 && errno != EAGAIN) {
		close(s->console_w);
		s->console_w = -1;
		s->stdin_open = false;
	}
}

static void sup_control(struct supervisor *s, bool *gone)
{
	json_t *msg;
	int ret = rpc_recv(s->control, 0, &msg, NULL, 0, NULL);

	if (ret == 0) {
		sup_notified(s, msg);
		json_decref(msg);
	} else if (ret == -EPIPE || ret == -ECONNRESET) {
		*gone = true;
	}
}

static int sup_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void sup_loop(struct supervisor *s)
{
	bool gone = false;
	long long deadline = 0;

	for (;;) {
		bool room = sup_console_room(s);
		struct pollfd p[6 + CONSOLE_FDS + GUEST_WATCHES_MAX] = {
			{ .fd = s->pid_fd, .events = POLLIN },
			{ .fd = s->sig_fd, .events = POLLIN },
			{ .fd = gone ? -1 : s->control, .events = POLLIN },
			{ .fd = rpc_server_fd(s->server), .events = POLLIN },
			{ .fd = room && s->stdin_open ? STDIN_FILENO : -1, .events = POLLIN },
			{ .fd = (s->stdin_open || s->console) && !room ? s->console_w : -1,
			  .events = POLLOUT },
		};
		struct signalfd_siginfo si;

		console_watch(s->console, room, p + 6);
		guest_watches_poll(&s->watches, p + 6 + CONSOLE_FDS);
		if (poll(p, sizeof(p) / sizeof(p[0]),
			 late_fd_timeout(&s->late, s->stopping || s->grace_end ? 100 : -1)) < 0 &&
		    errno != EINTR) {
			err_say("waiting for guest '%s': %s; ending it", s->conf->name,
				strerror(errno));
			kill(s->pid, SIGKILL);
			break;
		}
		if (p[2].revents)
			sup_control(s, &gone);
		if (p[0].revents)
			break;
		if (p[1].revents && read(s->sig_fd, &si, sizeof(si)) == sizeof(si) &&
		    sup_stop(s, false))
			err_say("guest '%s' is shutting down; once more ends it at once",
				s->conf->name);
		if (s->grace_end && rpc_now_ms() > s->grace_end)
			sup_stop(s, true);
		if (p[3].revents)
			rpc_server_step(s->server);
		if (p[4].revents)
			sup_stdin(s);
		if (s->console)
			console_serve(s->console, p + 6, s->console_w);
		guest_watches_serve(&s->watches, p + 6 + CONSOLE_FDS);
		if (!gone && !s->stopping && !s->deaf)
			late_fd_try(&s->late, &s->guest, s->control);
		else
			s->late.n = 0;
		if (s->stopping && !deadline)
			deadline = rpc_now_ms() + STOP_MS;
		if (deadline && rpc_now_ms() > deadline)
			kill(s->pid, SIGKILL);
	}
	while (!gone) { /* what it said last */
		struct pollfd p = { .fd = s->control, .events = POLLIN };

		if (poll(&p, 1, 0) <= 0)
			break;
		sup_control(s, &gone);
	}
}

static int sup_reap(struct supervisor *s)
{
	int status = 0;

	if (s->pid <= 0)
		return FL_FAILED;
	/* a start that failed: what has ended by itself keeps its own status */
	if (!s->started && waitpid(s->pid, &status, WNOHANG) == 0) {
		kill(s->pid, SIGKILL);
		s->stopping = true;
	} else if (!s->started) {
		s->pid = 0;
	}
	while (s->pid && waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	s->pid = 0;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (s->stopping)
		return FL_DONE;
	return err_ret(FL_FAILED, "guest '%s': its monitor was killed by signal %d (%s); %s",
		       s->conf->name, WTERMSIG(status), strsignal(WTERMSIG(status)),
		       WTERMSIG(status) == SIGSYS
			       ? "it made a system call that its jail forbids: report this"
			       : "start it again");
}

static void sup_cleanup(struct supervisor *s)
{
	if (s->tty_changed)
		tcsetattr(STDIN_FILENO, TCSANOW, &s->tty);
	rpc_server_close(s->server);
	guest_watches_close(&s->watches);
	console_close(s->console);
	prep_guest_release(&s->guest);
	if (s->locked)
		unlink(s->lock_path);
	for (int *fd = (int[]){ s->lock_fd, s->sig_fd, s->control, s->pid_fd, s->console_w, -2 };
	     *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
}

/* poll() refuses more entries than descriptors are allowed. */
static int sup_check_limits(const struct supervisor *s)
{
	struct rlimit rl;

	if (s->sig_fd < 0)
		return err_ret(-EMFILE,
			       "starting guest '%s': no descriptor for signals; raise 'ulimit -n'",
			       s->conf->name);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < MIN_FILES)
		return err_ret(-EMFILE,
			       "starting guest '%s': %llu descriptors are too few; raise 'ulimit "
			       "-n' to %d",
			       s->conf->name, (unsigned long long)rl.rlim_cur, MIN_FILES);
	return 0;
}

/* --- from start to end --- */
/* One life of the guest. Its status, or a negative errno after a message. */
static int sup_live(struct supervisor *s)
{
	int ret = sup_spawn(s), status = FL_DONE;

	if (ret == 0)
		ret = sup_start(s);
	if (ret == -EINTR)
		ret = FL_DONE;
	if (s->started) {
		if (!s->reboots.n)
			sup_tty(s);
		sup_loop(s);
	}
	if (s->pid > 0)
		status = sup_reap(s);
	return ret ? ret : status;
}

/* Who wanted its end has it by a reset, too. */
static bool sup_was_reset(const struct supervisor *s)
{
	return s->started && !strcmp(s->why, "reset") && !s->stopping && !s->grace_end;
}

/*
 * A monitor serves one life. The next one gets the same descriptors: name, socket, console, disks
 * and NICs are ours, and stay. -EINTR: the user wants to end.
 */
static int sup_again(struct supervisor *s)
{
	if (s->conf->no_reboot)
		return FL_RESET;
	if (!reboot_again(&s->reboots, rpc_now_ms()))
		return err_ret(
			FL_FAILED,
			"guest '%s': it has reset %d times within %d s; see what its console "
			"says, or give --no-reboot",
			s->conf->name, REBOOT_LIMIT, REBOOT_WINDOW_MS / 1000);
	close(s->control);
	close(s->pid_fd);
	s->control = s->pid_fd = -1;
	s->started = s->paused = s->deaf = false;
	s->why[0] = '\0';
	s->late.n = 0;
	return prep_guest_again(&s->guest);
}

static int sup_run(struct supervisor *s)
{
	int ret = sup_live(s);

	while (ret == FL_DONE && sup_was_reset(s)) {
		ret = sup_again(s);
		if (ret == -EINTR)
			return FL_DONE;
		if (ret == 0)
			ret = sup_live(s);
	}
	return ret;
}

int supervisor_run(const struct supervisor_conf *conf)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->conf = conf;
	s->guest.name = conf->name;
	s->guest.mem_bytes = conf->mem_bytes;
	s->guest.no_reset = conf->no_reset;
	s->lock_fd = s->sig_fd = s->control = s->pid_fd = s->console_w = -1;
	s->stdin_open = true;
	s->sig_fd = s->guest.sig_fd = sup_signals();
	if ((ret = sup_check_limits(s)) == 0 && (ret = sup_lock(s)) == 0 &&
	    (ret = sup_listen(s)) == 0)
		ret = sup_prepare(s);
	if (ret == -EINTR)
		ret = err_ret(-ECANCELED,
			      "starting guest '%s': a signal came while its devices were waited "
			      "for, nothing has run; run it again",
			      conf->name);
	if (ret == -EINVAL)
		ret = FL_USAGE; /* a wrong --nic or --disk, and only that gives EINVAL here */
	if (ret == 0)
		ret = sup_run(s);
	sup_cleanup(s);
	free(s);
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a monitor costs that hands a NIC to the microguest, seen from outside, the same way for all
 * monitors: onlooker IFNAME GUEST_MIB SECONDS LOG COMMAND...
 *
 * COMMAND starts a microguest that sends over the NIC (mode=tx ms=1000); IFNAME is the port at the
 * other end of its wire. The guest is told to go twice. Of the first time the first frame at IFNAME
 * is waited for; in the midst of the second the exits are counted (KVM's debugfs), where no access
 * of the console is among them. Then the memory that COMMAND's processes have for themselves is
 * added up (/proc/PID/smaps), without the mapping that is as large as the guest's memory. Prints
 *
 *	HELLO_US READY_US FIRST_FRAME_US PRIVATE_KIB DIRTY_KIB GUEST_KIB FRAMES EXITS MMIO HOST_IRQ
 *
 * in one line. Times count from just before COMMAND's process is made; FRAMES go with the exits, of
 * which MMIO are for accesses of devices' memory and HOST_IRQ for interrupts of the host. What was
 * said is in LOG. Exit status: 0; 1 something of it did not come within SECONDS (COMMAND is ended
 * then) or is not to be had, with a message; 2 wrong words. `onlooker tsc` prints the TSC's
 * frequency in Hz. Static, so that it runs in any software host.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench/guest/mg_frame.h"

#define MAX_OUTPUT    (1 << 20)
#define MAX_PROCESSES 16
#define KVM_DEBUGFS   "/sys/kernel/debug/kvm"
#define SETTLE_US     200000 /* of the second go: the guest is warm */
#define WINDOW_US     700000
#define MAX_TRIES     100

enum counter { EXITS, MMIO, HOST_IRQ, N_COUNTERS };
static const char *const counter_name[N_COUNTERS] = { "exits", "mmio_exits", "irq_exits" };

struct look {
	pid_t pid;
	int in, out, wire; /* its stdin and stdout; the packet socket */
	long long began, end, first;
	size_t n;
	char said[MAX_OUTPUT];
};

struct memory {
	unsigned long long private_kib, dirty_kib, guest_kib;
	bool found; /* a mapping as large as the guest's memory */
};

static int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "onlooker: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	return -1;
}

/* The clock of the kernel's time stamps of frames. */
static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

/* --- the other end of the wire ------------------------------------------- */
static int wire_open(const char *ifname)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(MG_FRAME_ETHERTYPE),
				  .sll_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0 || !at.sll_ifindex || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0)
		return fail("listening at %s: %s; is it there, and are you root?", ifname,
			    strerror(errno));
	return fd;
}

/* When the frame came in that waits in the socket; 0 when none waits. */
static long long wire_first(int fd)
{
	char frame[64], control[256];
	struct iovec iov = { frame, sizeof(frame) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct timespec t;

	if (recvmsg(fd, &m, 0) < 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&t, CMSG_DATA(c), sizeof(t));
			return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
		}
	return now_us();
}

/* --- the monitor --------------------------------------------------------- */
static pid_t start(struct look *l, char **argv)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return -1;
	l->began = now_us();
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(in[0], 0) == 0 && dup2(out[1], 1) == 1)
			execvp(argv[0], argv);
		fail("starting %s: %s; is it there?", argv[0], strerror(errno));
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	l->in = in[1];
	l->out = out[0];
	return pid;
}

/* Reads until what came from `from` on has a whole line that begins with `word`: where it begins,
 * or NULL. Takes the first frame's time on the way. */
static const char *expect(struct look *l, const char *word, size_t from)
{
	const char *at;
	long long left;
	ssize_t got = 1;

	for (;;) {
		l->said[l->n] = '\0';
		at = strstr(l->said + from, word);
		if (at && strchr(at, '\n'))
			return at;
		left = l->end - now_us();
		if (strstr(l->said, "FL FAIL") || got <= 0 || left <= 0 || l->n == MAX_OUTPUT - 1)
			return fail("no '%s' from it", word), NULL;
		struct pollfd p[] = { { .fd = l->out, .events = POLLIN },
				      { .fd = l->first ? -1 : l->wire, .events = POLLIN } };

		if (poll(p, 2, (int)(left / 1000) + 1) <= 0)
			continue;
		if (p[1].revents && (l->first = wire_first(l->wire))) {
			close(l->wire); /* what follows would only cost time */
			l->wire = -1;
		}
		if (p[0].revents)
			got = read(l->out, l->said + l->n, MAX_OUTPUT - 1 - l->n);
		l->n += p[0].revents && got > 0 ? (size_t)got : 0;
	}
}

static int say(struct look *l, char c)
{
	return write(l->in, &c, 1) == 1 ? 0 : fail("it does not take a command");
}

/* --- its processes ------------------------------------------------------- */
static pid_t parent_of(pid_t pid)
{
	char path[64], line[512] = "", *at;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (f && fgets(line, sizeof(line), f) && (at = strrchr(line, ')')))
		sscanf(at + 1, " %*c %d", &parent);
	if (f)
		fclose(f);
	return parent;
}

/* It and all that it has started. A parent has not always the smaller number: until none is added.
 */
static int processes_of(pid_t root, pid_t *list)
{
	int n = 1, before = 0;

	list[0] = root;
	while (n > before && n < MAX_PROCESSES) {
		DIR *d = opendir("/proc");
		struct dirent *e;

		before = n;
		while (d && n < MAX_PROCESSES && (e = readdir(d))) {
			pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
			bool mine = false, there = false;
			pid_t parent = pid > 0 ? parent_of(pid) : 0;

			for (int i = 0; i < n; i++) {
				there |= list[i] == pid;
				mine |= list[i] == parent;
			}
			if (pid > 0 && mine && !there)
				list[n++] = pid;
		}
		if (d)
			closedir(d);
	}
	return n;
}

/* A line of smaps that begins a mapping: its size; 0 for the others. */
static unsigned long long mapping_bytes(const char *line)
{
	unsigned long long from, to;

	return isxdigit((unsigned char)line[0]) && sscanf(line, "%llx-%llx ", &from, &to) == 2
		       ? to - from
		       : 0;
}

static int add_memory(pid_t pid, unsigned long long guest_bytes, struct memory *m)
{
	char path[64], line[4608];
	unsigned long long bytes, kib;
	bool guest = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return fail("reading %s: %s; are you root?", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		bytes = mapping_bytes(line);
		if (bytes)
			guest = bytes == guest_bytes;
		m->found |= guest;
		if (guest && sscanf(line, "Rss: %llu", &kib) == 1)
			m->guest_kib += kib;
		if (guest)
			continue;
		if (sscanf(line, "Private_Clean: %llu", &kib) == 1)
			m->private_kib += kib;
		if (sscanf(line, "Private_Dirty: %llu", &kib) == 1 ||
		    sscanf(line, "Private_Hugetlb: %llu", &kib) == 1) {
			m->private_kib += kib;
			m->dirty_kib += kib;
		}
	}
	fclose(f);
	return 0;
}

static int memory_of(const pid_t *list, int n, unsigned long long guest_bytes, struct memory *m)
{
	for (int i = 0; i < n; i++)
		if (add_memory(list[i], guest_bytes, m) < 0)
			return -1;
	return m->found ? 0
			: fail("no mapping of it is as large as the guest's memory; nothing can be "
			       "taken off");
}

static bool counter_read(const char *vm, int c, unsigned long long *value)
{
	char path[640];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), KVM_DEBUGFS "/%s/%s", vm, counter_name[c]);
	f = fopen(path, "r");
	ok = f && fscanf(f, "%llu", value) == 1;
	if (f)
		fclose(f);
	return ok;
}

/* The VM of one of the processes: KVM_DEBUGFS/THREAD-DESCRIPTOR. All of one instant: no exit came
 * while they were read. */
static int counters_of(const pid_t *list, int n, unsigned long long *counter)
{
	DIR *d = opendir(KVM_DEBUGFS);
	char vm[256] = "", path[640];
	unsigned long long before = 0;
	bool whole = false;
	struct dirent *e;

	while (d && !vm[0] && (e = readdir(d)))
		for (int i = 0; i < n && isdigit((unsigned char)e->d_name[0]); i++) {
			snprintf(path, sizeof(path), "/proc/%d/task/%ld", (int)list[i],
				 strtol(e->d_name, NULL, 10));
			if (access(path, F_OK) == 0)
				snprintf(vm, sizeof(vm), "%s", e->d_name);
		}
	if (d)
		closedir(d);
	for (int i = 0; vm[0] && !whole && i < MAX_TRIES; i++) {
		if (!counter_read(vm, EXITS, &before))
			vm[0] = '\0';
		for (int c = N_COUNTERS - 1; vm[0] && c >= 0; c--)
			if (!counter_read(vm, c, &counter[c]))
				vm[0] = '\0';
		whole = before == counter[EXITS];
	}
	return vm[0] ? 0
		     : fail("no counters of its VM in " KVM_DEBUGFS
			    "; 'mount -t debugfs none /sys/kernel/debug', as root");
}

/* --- all of it ----------------------------------------------------------- */
static unsigned long long field(const char *line, const char *name)
{
	const char *at = strstr(line, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* The second go: exits in the midst of it, and the frames of that time. */
static int count(struct look *l, const pid_t *list, int n, unsigned long long *frames,
		 unsigned long long *exits)
{
	unsigned long long before[N_COUNTERS], ns;
	long long from, us;
	const char *result;
	size_t mark = l->n;

	if (say(l, 'g') < 0)
		return -1;
	usleep(SETTLE_US);
	from = now_us();
	if (counters_of(list, n, before) < 0)
		return -1;
	usleep(WINDOW_US);
	us = now_us() - from;
	if (counters_of(list, n, exits) < 0 || !(result = expect(l, "FL RESULT", mark)))
		return -1;
	for (int c = 0; c < N_COUNTERS; c++)
		exits[c] -= before[c];
	ns = field(result, " ns=");
	*frames = ns ? (unsigned long long)((double)field(result, " frames=") * (double)us * 1e3 /
					    (double)ns)
		     : 0;
	return *frames ? 0 : fail("it has sent nothing");
}

static int look(struct look *l, unsigned long long guest_bytes)
{
	unsigned long long exits[N_COUNTERS], frames;
	long long hello = 0, ready = 0;
	struct memory m = { 0 };
	pid_t list[MAX_PROCESSES];
	int n;

	if (expect(l, "FL HELLO", 0))
		hello = now_us();
	if (hello && expect(l, "FL READY", 0))
		ready = now_us();
	if (!ready || say(l, 'g') < 0 || !expect(l, "FL RESULT", 0))
		return -1;
	if (!l->first)
		return fail("no frame of it has come out of the wire");
	n = processes_of(l->pid, list);
	if (count(l, list, n, &frames, exits) < 0 || memory_of(list, n, guest_bytes, &m) < 0 ||
	    say(l, 'q') < 0 || !expect(l, "FL BYE", 0))
		return -1;
	printf("%lld %lld %lld %llu %llu %llu %llu %llu %llu %llu\n", hello - l->began,
	       ready - l->began, l->first - l->began, m.private_kib, m.dirty_kib, m.guest_kib,
	       frames, exits[EXITS], exits[MMIO], exits[HOST_IRQ]);
	return 0;
}

/* Waits for its end, after a failure not for long. */
static void end(struct look *l, bool failed)
{
	int status;

	close(l->in);
	if (failed)
		kill(l->pid, SIGTERM);
	for (int ms = 0; ms < 5000; ms += 10) {
		if (waitpid(l->pid, &status, WNOHANG))
			return;
		usleep(10000);
	}
	kill(l->pid, SIGKILL);
	waitpid(l->pid, &status, 0);
}

static int keep(const struct look *l, const char *path)
{
	FILE *f = fopen(path, "w");
	int ret = f && fwrite(l->said, 1, l->n, f) == l->n ? 0 : -1;

	if (f && fclose(f))
		ret = -1;
	return ret < 0 ? fail("writing %s: %s", path, strerror(errno)) : 0;
}

/* The TSC's frequency, which the microguest wants to be told; over 100 ms. */
static int print_tsc(void)
{
	unsigned long long tsc = __rdtsc();
	long long us = now_us();

	usleep(100000);
	tsc = __rdtsc() - tsc;
	printf("%llu\n", tsc * 1000000 / (unsigned long long)(now_us() - us));
	return 0;
}

int main(int argc, char **argv)
{
	struct look *l = calloc(1, sizeof(*l));
	int ret;

	if (argc == 2 && !strcmp(argv[1], "tsc"))
		return print_tsc();
	if (argc < 6 || !l) {
		fprintf(stderr, "usage: onlooker IFNAME GUEST_MIB SECONDS LOG COMMAND...\n"
				"       onlooker tsc\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	l->wire = wire_open(argv[1]);
	if (l->wire < 0)
		return 1;
	l->pid = start(l, argv + 5);
	if (l->pid < 0)
		return fail("starting it: %s", strerror(errno)), 1;
	l->end = l->began + atoll(argv[3]) * 1000000;
	ret = look(l, strtoull(argv[2], NULL, 10) << 20);
	end(l, ret < 0);
	if (keep(l, argv[4]) < 0)
		ret = -1;
	return ret < 0;
}

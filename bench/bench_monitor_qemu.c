/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same guest under QEMU, for the ratio: same device, same command line, same traffic. CPU time
 * is what the kernel accounts for the process; exits are not asked for. Where QEMU is looked for
 * stands at bench_qemu_find().
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "core/paths.h"
#include "iommu/iommu.h"
#include "vfio/vfio.h"

#define MICROVM_ECAM "0xe0000000" /* QEMU: include/hw/i386/microvm.h */
#define MAX_WORDS    48
#define QEMU_TEXTS   4 /* words that are put together */

#define VIRTIO_NET "virtio-net-pci,disable-legacy=on"

/* --- start --------------------------------------------------------------- */
/* Words that are the same for every guest, in `text`, which is cut into them. */
static unsigned int qemu_fixed_words(const char **argv, unsigned int n, char *text)
{
	char *save = NULL;

	for (char *w = strtok_r(text, " ", &save); w && n < MAX_WORDS;
	     w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	return n;
}

/* A polling receiver on QEMU's E1000 reads ICR after RDT, and waits a second after RCTL. */
static const char *qemu_patience(const struct bench_boot *b)
{
	bool receives = !strcmp(b->backend, "tap") && !strstr(b->words, "mode=tx");

	return receives && !strcmp(b->device, "e1000") ? " icr=1 settle_ms=1100" : "";
}

/*
 * Two NICs at the ports of our switch, which wants to see the guest's memory. The guest sends by
 * nth=0, receives by nth=1: functions lie in the order of these words.
 */
static unsigned int qemu_switch_words(const struct bench_boot *b, const char **argv, unsigned int n,
				      char text[QEMU_TEXTS][PATH_MAX + 64])
{
	static const char memory[] = "memory-backend-memfd,id=m0,size=%uM,share=on";
	static const char *const netdev[] = { "vhost-user,id=n0,chardev=v0",
					      "vhost-user,id=n1,chardev=v1" };
	static const char *const device[] = { VIRTIO_NET ",netdev=n0", VIRTIO_NET ",netdev=n1" };

	argv[n++] = "-object";
	snprintf(text[2], PATH_MAX + 64, memory, b->mem_mb);
	argv[n++] = text[2];
	argv[n++] = "-machine";
	argv[n++] = "memory-backend=m0";
	for (int i = 0; i < 2; i++) {
		snprintf(text[i], PATH_MAX + 64, "socket,id=v%d,path=%s/%c.sock", i, b->sw->dir,
			 'a' + i);
		argv[n++] = "-chardev";
		argv[n++] = text[i];
		argv[n++] = "-netdev";
		argv[n++] = netdev[i];
		argv[n++] = "-device";
		argv[n++] = device[i];
	}
	argv[n++] = "-nic";
	argv[n++] = "none";
	return n;
}

/* The one NIC: a function of the host, a tap of ours, or nothing behind it. */
static void qemu_device(const struct bench_boot *b, char *device, size_t size)
{
	if (!strcmp(b->backend, "wire"))
		snprintf(device, size, "vfio-pci,host=%s", b->host);
	else
		snprintf(device, size, "%s%s", !strcmp(b->device, "e1000") ? "e1000" : VIRTIO_NET,
			 !strcmp(b->backend, "tap") ? ",netdev=n0" : "");
}

/* Linux has a root disk and an initramfs. */
static unsigned int qemu_linux_words(const struct bench_boot *b, const char **argv, unsigned int n,
				     char *drive)
{
	snprintf(drive, PATH_MAX + 64, "file=%s,if=none,id=d0,format=raw,readonly=on", b->disk);
	argv[n++] = "-initrd";
	argv[n++] = b->initrd;
	argv[n++] = "-drive";
	argv[n++] = drive;
	argv[n++] = "-device";
	argv[n++] = "virtio-blk-pci,drive=d0";
	return n;
}

static void qemu_words(const struct bench_boot *b, const char **argv, char *fixed, char *device,
		       char *append, char text[QEMU_TEXTS][PATH_MAX + 64])
{
	unsigned int n = 0;

	for (; n < b->qemu->n_words; n++)
		argv[n] = b->qemu->words[n];
	n = qemu_fixed_words(argv, n, fixed);
	argv[n++] = "-kernel";
	argv[n++] = b->kernel;
	argv[n++] = "-append";
	argv[n++] = append;
	if (!strcmp(b->backend, "switch")) {
		n = qemu_switch_words(b, argv, n, text);
	} else {
		argv[n++] = "-device";
		argv[n++] = device;
		argv[n++] = !strcmp(b->backend, "tap") ? "-netdev" : "-nic";
		argv[n++] = !strcmp(b->backend, "tap") ? "tap,id=n0,fd=3,vhost=off" : "none";
	}
	if (b->initrd)
		n = qemu_linux_words(b, argv, n, text[3]);
	argv[n] = NULL;
}

/*
 * The microguest needs no firmware, and qboot starts it in a tenth of a second where SeaBIOS takes
 * four. Linux gets the board that people have: its E1000 driver wants an I/O BAR, which microvm
 * does not give.
 */
static void qemu_fixed(const struct bench_boot *b, char *fixed, size_t size)
{
	snprintf(fixed, size,
		 "-accel kvm -cpu host%s -m %u -nodefaults -no-user-config -display none "
		 "-no-reboot -chardev stdio,id=c,signal=off -serial chardev:c",
		 b->initrd ? " -M q35"
			   : ",-arch-capabilities -M microvm,pcie=on,x-option-roms=off -bios "
			     "qboot.rom -device isa-debug-exit,iobase=0xf4,iosize=1",
		 b->mem_mb);
}

/* `run` binds a VF by itself, for QEMU we do. */
static int qemu_take(struct bench_guest *g, const char *bdf)
{
	char driver[64] = "", state[PATH_MAX];
	struct vfio_sys sys;
	int ret;

	paths_link_name(driver, sizeof(driver), "/sys/bus/pci/devices/%s/driver", bdf);
	if (iommu_driver_is_vfio(driver))
		return 0;
	ret = vfio_sys_real(&sys, state, sizeof(state));
	if (ret == 0)
		ret = vfio_assign(&sys, &bdf, 1, 0);
	if (ret == 0)
		snprintf(g->assigned, sizeof(g->assigned), "%s", bdf);
	return ret;
}

static int qemu_start(struct bench_guest *g, const struct bench_boot *b, char *why, size_t size)
{
	bool tap = !strcmp(b->backend, "tap");
	const char *argv[MAX_WORDS + 32];
	char append[640], device[64], text[QEMU_TEXTS][PATH_MAX + 64], fixed[512];
	int ret;

	if (tap && (g->tap = bench_tap_open(b->ifname)) < 0)
		return snprintf(why, size, "making tap %s: %s", b->ifname, strerror(-g->tap)),
		       g->tap;
	if (!strcmp(b->backend, "wire") && (ret = qemu_take(g, b->host)) < 0)
		return snprintf(why, size, "binding %s to vfio-pci for QEMU failed", b->host), ret;
	if (b->initrd)
		snprintf(append, sizeof(append), "%s", b->words);
	else
		snprintf(append, sizeof(append), "dev=%s ecam=" MICROVM_ECAM "%s %s", b->device,
			 qemu_patience(b), b->words);
	qemu_device(b, device, sizeof(device));
	qemu_fixed(b, fixed, sizeof(fixed));
	qemu_words(b, argv, fixed, device, append, text);
	if (b->qemu->modules[0])
		setenv("QEMU_MODULE_DIR", b->qemu->modules, 1);
	ret = bench_child_start(&g->child, argv, g->tap, false);
	if (ret < 0)
		snprintf(why, size, "starting QEMU: %s", strerror(-ret));
	return ret;
}

/* --- CPU time ------------------------------------------------------------ */
/* Field 43 of /proc/PID/stat, proc(5), in clock ticks. */
static int qemu_guest_ticks(pid_t pid, uint64_t *ticks)
{
	char line[1024], *at;

	if (paths_read_line(line, sizeof(line), "/proc/%d/stat", (int)pid) <= 0 ||
	    !(at = strrchr(line, ')')))
		return -ESRCH;
	for (int field = 2; field < 43 && at; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -EPROTO;
	*ticks = strtoull(at, NULL, 10);
	return 0;
}

static int qemu_counters(struct bench_guest *g, struct bench_counters *c)
{
	struct timespec t;
	uint64_t ticks, cpu;
	clockid_t clock;

	*c = (struct bench_counters){ 0 };
	if (clock_getcpuclockid(g->child.pid, &clock) || clock_gettime(clock, &t) < 0 ||
	    qemu_guest_ticks(g->child.pid, &ticks) < 0)
		return 0;
	cpu = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	c->guest_ns = ticks * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
	c->cpu_ns = cpu - c->guest_ns; /* only differences of it are used */
	c->has_cpu = true;
	return 0;
}

static void qemu_release(struct bench_guest *g)
{
	const char *list[] = { g->assigned };
	char state[PATH_MAX];
	struct vfio_sys sys;

	if (g->assigned[0] && vfio_sys_real(&sys, state, sizeof(state)) == 0)
		vfio_unassign(&sys, list, 1, 0);
	g->assigned[0] = '\0';
	if (g->tap >= 0)
		close(g->tap);
	g->tap = -1;
}

const struct bench_monitor bench_monitor_qemu = {
	.name = "qemu",
	.start = qemu_start,
	.counters = qemu_counters,
	.release = qemu_release,
};

/* --- where it is --------------------------------------------------------- */
static void qemu_cache(char *buf, size_t size)
{
	const char *cache = getenv("FOURLANE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
		   *home = getenv("HOME");

	if (cache && *cache)
		snprintf(buf, size, "%s", cache);
	else if (geteuid() == 0)
		snprintf(buf, size, "/var/cache/fourlane");
	else if (xdg && *xdg)
		snprintf(buf, size, "%s/fourlane", xdg);
	else
		snprintf(buf, size, "%s/.cache/fourlane", home ? home : "");
}

static bool qemu_in_path(struct bench_qemu *q)
{
	char path[4096], *save = NULL;

	snprintf(path, sizeof(path), "%s", getenv("PATH") ? getenv("PATH") : "/usr/bin");
	for (char *dir = strtok_r(path, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		snprintf(q->words[0], PATH_MAX, "%s/qemu-system-x86_64", dir);
		if (access(q->words[0], X_OK) == 0)
			return true;
	}
	return false;
}

/* The software host's QEMU is unpacked, not installed: its own dynamic linker runs it. */
static bool qemu_of_lab(struct bench_qemu *q, const char *cache)
{
	char labs[PATH_MAX - 256];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(labs, sizeof(labs), "%s/lab", cache);
	d = opendir(labs);
	while (d && !found && (e = readdir(d))) {
		char root[PATH_MAX];

		snprintf(root, sizeof(root), "%s/%s/qemu/usr", labs, e->d_name);
		if (e->d_name[0] == '.' || access(root, X_OK) < 0)
			continue;
		snprintf(q->words[0], PATH_MAX, "%s/lib64/ld-linux-x86-64.so.2", root);
		snprintf(q->words[1], PATH_MAX, "--library-path");
		snprintf(q->words[2], PATH_MAX, "%s/lib/x86_64-linux-gnu", root);
		snprintf(q->words[3], PATH_MAX, "%s/bin/qemu-system-x86_64", root);
		snprintf(q->words[4], PATH_MAX, "-L");
		snprintf(q->words[5], PATH_MAX, "%s/share/qemu", root);
		snprintf(q->words[6], PATH_MAX, "-L");
		snprintf(q->words[7], PATH_MAX, "%s/share/seabios", root);
		snprintf(q->modules, sizeof(q->modules), "%s/lib/x86_64-linux-gnu/qemu", root);
		found = access(q->words[0], X_OK) == 0 && access(q->words[3], R_OK) == 0;
	}
	if (d)
		closedir(d);
	q->n_words = 8;
	return found;
}

/* "QEMU emulator version 11.1.3 (Debian ...)": also shows that it starts at all. */
static int qemu_ask_version(struct bench_qemu *q)
{
	const char *argv[16];
	struct bench_child c;
	struct bench_signals none = { .fd = -1 };
	char line[256] = "";
	unsigned int n = 0;

	for (; n < q->n_words; n++)
		argv[n] = q->words[n];
	argv[n++] = "--version";
	argv[n] = NULL;
	if (bench_child_start(&c, argv, -1, false) < 0)
		return -ENOENT;
	if (bench_child_line(&c, &none, 10000, line, sizeof(line)) < 0 ||
	    sscanf(line, "QEMU emulator version %31[0-9.]", q->version) != 1)
		q->version[0] = '\0';
	bench_child_end(&c, 2000);
	bench_child_free(&c);
	return q->version[0] ? 0 : -ENOENT;
}

int bench_qemu_find(struct bench_qemu *q)
{
	const char *given = getenv("FOURLANE_QEMU");
	char cache[PATH_MAX - 512];

	*q = (struct bench_qemu){ .n_words = 1 };
	if (given && *given)
		return snprintf(q->words[0], PATH_MAX, "%s", given), qemu_ask_version(q);
	if (qemu_in_path(q))
		return qemu_ask_version(q);
	qemu_cache(cache, sizeof(cache));
	snprintf(q->words[0], PATH_MAX, "%s/qemu/qemu-system-x86_64", cache);
	if (access(q->words[0], X_OK) == 0)
		return qemu_ask_version(q);
	return qemu_of_lab(q, cache) ? qemu_ask_version(q) : -ENOENT;
}

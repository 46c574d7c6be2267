/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What process 1 of the software host does before it serves: mounts, modules, the four ports of the
 * wire with their names. In C rather than in a script because each program started costs some 50 ms
 * of emulated time. Called once by agent.c.
 */
#include "agent_boot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_PORTS        4
#define PORTS_LIMIT_MS 60000

static const struct boot_mount {
	const char *type, *where, *options;
} mounts[] = {
	{ "devpts", "/dev/pts", "mode=620,ptmxmode=666" },
	{ "tmpfs", "/dev/shm", "mode=1777" },
	{ "hugetlbfs", "/dev/hugepages", NULL },
	{ "tmpfs", "/tmp", "mode=1777" },
	{ "debugfs", "/sys/kernel/debug", NULL },
	{ "tracefs", "/sys/kernel/tracing", NULL },
	{ "cgroup2", "/sys/fs/cgroup", NULL },
};

static int boot_mounts(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const struct boot_mount *m = &mounts[i];

		mkdir(m->where, 0755);
		if (mount(m->type, m->where, m->type, 0, m->options) < 0 && errno != EBUSY) {
			printf("lab: mounting %s: %s\n", m->where, strerror(errno));
			return -1;
		}
	}
	mkdir("/run/lock", 0755);
	return 0;
}

static int boot_links(void)
{
	return symlink("/proc/self/fd", "/dev/fd") | symlink("/proc/self/fd/0", "/dev/stdin") |
	       symlink("/proc/self/fd/1", "/dev/stdout") |
	       symlink("/proc/self/fd/2", "/dev/stderr");
}

/* Value of lab.KEY=... of the kernel's command line, "?" when it is not there. */
static void boot_word(const char *line, const char *key, char *buf, size_t size)
{
	char pattern[32];
	const char *at;

	snprintf(pattern, sizeof(pattern), "lab.%s=", key);
	at = strstr(line, pattern);
	at = at ? at + strlen(pattern) : "?";
	snprintf(buf, size, "%.*s", (int)strcspn(at, " \n"), at);
}

/* The file by which the programs inside know where they are. */
static int boot_identity(void)
{
	char line[4096] = "", qemu[64], iommu[64], modules[64];
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	struct utsname u;
	FILE *f;

	if (fd < 0 || read(fd, line, sizeof(line) - 1) < 0 || uname(&u) < 0)
		return -1;
	close(fd);
	boot_word(line, "qemu", qemu, sizeof(qemu));
	boot_word(line, "iommu", iommu, sizeof(iommu));
	boot_word(line, "modules", modules, sizeof(modules));
	f = fopen("/etc/fourlane-lab", "we");
	if (!f)
		return -1;
	fprintf(f, "where=lab\nkernel=%s\nqemu=%s\niommu=%s\nmodules=%s\n", u.release, qemu, iommu,
		modules);
	return fclose(f);
}

static pid_t boot_start(const char *const *argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	return pid;
}

static int boot_end(pid_t pid, const char *what)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status)) {
		printf("lab: %s failed\n", what);
		return -1;
	}
	return 0;
}

/* --- the ports --- */

/* The name of the interface with that MAC address: 0, or -1. */
static int port_find(const char *mac, char name[IFNAMSIZ])
{
	DIR *d = opendir("/sys/class/net");
	struct dirent *e;
	int ret = -1;

	while (d && ret < 0 && (e = readdir(d))) {
		char path[300], address[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/sys/class/net/%s/address", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(address, sizeof(address), f) && !strncmp(address, mac, strlen(mac))) {
			snprintf(name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, e->d_name);
			ret = 0;
		}
		fclose(f);
	}
	if (d)
		closedir(d);
	return ret;
}

static int port_up(int sock, const char *name)
{
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(sock, SIOCGIFFLAGS, &r) < 0)
		return -1;
	r.ifr_flags |= IFF_UP;
	return ioctl(sock, SIOCSIFFLAGS, &r);
}

static int port_rename(int sock, const char *from, const char *to)
{
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", from);
	snprintf(r.ifr_newname, sizeof(r.ifr_newname), "%s", to);
	return ioctl(sock, SIOCSIFNAME, &r);
}

/* lab0 to lab3 in the order of their addresses 52:54:00:aa:00:01 to :04; the driver finds them in
 * its own time. */
static int boot_ports(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), waited = 0;

	port_up(sock, "lo");
	for (int i = 0; i < N_PORTS; i++) {
		char mac[18], name[IFNAMSIZ], want[IFNAMSIZ];

		snprintf(mac, sizeof(mac), "52:54:00:aa:00:%02x", i + 1);
		snprintf(want, sizeof(want), "lab%d", i);
		while (port_find(mac, name) < 0) {
			if (waited++ > PORTS_LIMIT_MS / 5) {
				printf("lab: port %d of the wire is missing\n", i);
				return -1;
			}
			nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
		}
		if (port_rename(sock, name, want) < 0 || port_up(sock, want) < 0) {
			printf("lab: bringing up port %d of the wire: %s\n", i, strerror(errno));
			return -1;
		}
	}
	return close(sock);
}

int agent_boot(void)
{
	const char *const igb[] = { "modprobe", "igb", "async_probe", NULL };
	const char *const others[] = { "modprobe", "-a",       "kvm_amd",          "nvme",
				       "tun",      "vfio-pci", "vfio_iommu_type1", NULL };
	pid_t a, b;

	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (boot_mounts() < 0)
		return -1;
	a = boot_start(igb);
	b = boot_start(others);
	if (boot_links() < 0 || sethostname("lab", 3) < 0 || boot_identity() < 0) {
		printf("lab: writing its first files: %s\n", strerror(errno));
		return -1;
	}
	if (boot_end(a, "loading igb") < 0 || boot_ports() < 0)
		return -1;
	return boot_end(b, "loading modules");
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into a program inside the software host: the power goes (sysrq b, nothing is written
 * any more) before its CUT-th call of fsync() or fdatasync(). With CUT=0 the calls are only
 * counted, into the file COUNT.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned long calls;

static void before_sync(void)
{
	const char *cut = getenv("CUT");
	int fd;

	if (!cut || ++calls != strtoul(cut, NULL, 10))
		return;
	fd = open("/proc/sysrq-trigger", O_WRONLY);
	if (fd >= 0 && write(fd, "b", 1) == 1)
		pause();
	_exit(99);
}

int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

	before_sync();
	return real(fd);
}

int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

	before_sync();
	return real(fd);
}

__attribute__((destructor)) static void count(void)
{
	const char *path = getenv("COUNT");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (!f)
		return;
	fprintf(f, "%lu\n", calls);
	fclose(f);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Folders of sockets, locks and state, and small reads and writes of sysfs files (see paths.h). XDG
 * Base Directory 0.8.
 */
#include "core/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/err.h"

int paths_fill_standard_fds(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -EBADF;
	return 0;
}

/* In a folder that anybody may write to, another user can have been there first. */
static int paths_own_dir(const char *path)
{
	struct stat st;

	if (geteuid() == 0 || (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
			       st.st_uid == geteuid() && !(st.st_mode & 022)))
		return 0;
	return err_ret(
		-EPERM,
		"using %s: it is not a folder of yours alone; set XDG_RUNTIME_DIR to one that is",
		path);
}

static int paths_make_dir(const char *path, mode_t mode)
{
	struct group *gr;

	if (mkdir(path, mode) < 0) {
		if (errno == EEXIST)
			return paths_own_dir(path);
		return err_ret(-errno, "making %s: %s; make it by hand, or run as root", path,
			       strerror(errno));
	}
	gr = getuid() == 0 ? getgrnam("fourlane") : NULL;
	if (gr && chown(path, (uid_t)-1, gr->gr_gid) < 0)
		return err_ret(-errno, "giving %s to group fourlane: %s; check the group", path,
			       strerror(errno));
	return chmod(path, mode) < 0 ? -errno : 0;
}

static int paths_user_dir(char *buf, size_t size, const char *xdg, const char *under_home)
{
	const char *base = getenv(xdg), *home = getenv("HOME");
	char parent[PATH_MAX];
	int n;

	if (base && *base == '/')
		n = snprintf(parent, sizeof(parent), "%s", base);
	else if (home && *home == '/' && under_home)
		n = snprintf(parent, sizeof(parent), "%s/%s", home, under_home);
	else
		n = snprintf(parent, sizeof(parent), "/tmp/fourlane-%u", getuid());
	if (n < 0 || (size_t)n >= sizeof(parent))
		return -ENAMETOOLONG;
	for (char *p = parent + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(parent, 0755);
		*p = '/';
	}
	if (mkdir(parent, 0700) < 0 && errno != EEXIST)
		return err_ret(-errno, "making %s: %s; set %s to a folder of yours", parent,
			       strerror(errno), xdg);
	if (!strncmp(parent, "/tmp/", 5) && paths_own_dir(parent) < 0)
		return -EPERM;
	n = snprintf(buf, size, "%s/fourlane", parent);
	if (n < 0 || (size_t)n >= size)
		return err_ret(-ENAMETOOLONG,
			       "using %s: the path is too long; set %s to a shorter one", parent,
			       xdg);
	return 0;
}

static int paths_dir(char *buf, size_t size, const char *root_path, mode_t mode, const char *xdg,
		     const char *under_home)
{
	int ret = 0;

	if (geteuid() == 0)
		ret = (size_t)snprintf(buf, size, "%s", root_path) >= size ? -ENAMETOOLONG : 0;
	else
		ret = paths_user_dir(buf, size, xdg, under_home);
	return ret < 0 ? ret : paths_make_dir(buf, mode);
}

int paths_run_dir(char *buf, size_t size)
{
	return paths_dir(buf, size, PATHS_ROOT_RUN_DIR, 0750, "XDG_RUNTIME_DIR", NULL);
}

int paths_find_socket(char *buf, size_t size, const char *below)
{
	char dir[PATH_MAX], roots[PATH_MAX];
	int ret = paths_run_dir(dir, sizeof(dir));

	if (ret < 0)
		return ret;
	snprintf(roots, sizeof(roots), "%s/%s", PATHS_ROOT_RUN_DIR, below);
	if ((size_t)snprintf(buf, size, "%s/%s", dir, below) >= size)
		return err_ret(-ENAMETOOLONG,
			       "using %s: the path is too long; set XDG_RUNTIME_DIR to a shorter "
			       "one",
			       dir);
	if (access(buf, F_OK) < 0 && access(roots, F_OK) == 0)
		snprintf(buf, size, "%s", roots);
	return 0;
}

/*
 * Asked with a socket of another kind: the kernel says whether it is dead (unix(7): ECONNREFUSED)
 * and whoever does listen sees no connection (EPROTOTYPE).
 */
bool paths_is_dead_socket(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool dead = fd >= 0 &&
		    (size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) <
			    sizeof(sa.sun_path) &&
		    connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return dead;
}

int paths_state_dir(char *buf, size_t size)
{
	return paths_dir(buf, size, PATHS_ROOT_STATE_DIR, 0755, "XDG_STATE_HOME", ".local/state");
}

int paths_self_dir(char *buf, size_t size)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return err_ret(-errno, "finding this program: %s; mount /proc", strerror(errno));
	exe[n] = '\0';
	return (size_t)snprintf(buf, size, "%s", dirname(exe)) >= size ? -ENAMETOOLONG : 0;
}

int paths_find_program(const char *name, char *buf, size_t size)
{
	char dir[PATH_MAX];
	int ret = paths_self_dir(dir, sizeof(dir));

	if (ret < 0)
		return ret;
	for (int i = 0; i < 2; i++) {
		if ((size_t)snprintf(buf, size, "%s/%s%s", dir, i ? "../libexec/fourlane/" : "",
				     name) >= size)
			return -ENAMETOOLONG;
		if (access(buf, R_OK) == 0)
			return 0;
	}
	return err_ret(-ENOENT,
		       "finding %s: neither in %s nor in %s/../libexec/fourlane; run 'make' or "
		       "'make install'",
		       name, dir, dir);
}

int paths_read_line(char *buf, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	ssize_t n;
	int fd, err;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	err = errno;
	close(fd);
	if (n < 0)
		return -err;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return (int)strlen(buf);
}

int paths_write(const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	ssize_t n;
	int fd, err;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	err = errno;
	close(fd);
	if (n < 0)
		return -err;
	return (size_t)n == strlen(text) ? 0 : -EIO;
}

int paths_link_name(char *buf, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	va_list ap;
	ssize_t n;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	return (size_t)snprintf(buf, size, "%s", basename(target)) >= size ? -ENAMETOOLONG : 0;
}

uint64_t paths_status_number(const char *proc, const char *pid, const char *key, int base,
			     uint64_t absent)
{
	char path[PATH_MAX], line[256];
	uint64_t n = absent;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/status", proc, pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key))) {
			n = strtoull(line + strlen(key), NULL, base);
			break;
		}
	if (f)
		fclose(f);
	return n;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files and folders into the software host and out of it, as commands that run inside: a file is
 * its bytes through `cat`, a folder a tar stream. So the agent knows nothing of files. Also puts
 * this build's programs into /opt/fourlane/bin.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/lab/lab_priv.h"
#include "core/err.h"
#include "core/paths.h"

#define PROGRAMS_DIR "/opt/fourlane/bin"
#define STAMP_BYTES  1024

static const char *const programs[] = { "fourlane", "fourlane-vmm", "fourlane-switch", "mg.elf" };
#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* A command of ours inside, without terminal; its stderr is ours. */
static int copy_run(struct lab *lab, const char *const *argv, int in, int out)
{
	const struct lab_command c = { .argv = argv, .in = in, .out = out, .err = STDERR_FILENO };

	return lab_run(lab, &c);
}

/* Starts our own tar with one end of a pipe as its stdin (fd 0) or stdout (fd 1); the other end in
 * *end. */
static pid_t copy_start_tar(char *const *argv, int fd, int *end)
{
	pid_t parent = getpid(), pid;
	sigset_t none;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		if (getppid() == parent && dup2(p[fd], fd) == fd)
			execvp(argv[0], argv);
		_exit(127);
	}
	*end = p[!fd];
	close(p[fd]);
	if (pid < 0)
		close(*end);
	return pid < 0 ? -errno : pid;
}

/* Our tar on one side, a command inside on the other. 0 when both are well. */
static int copy_through_tar(struct lab *lab, char *const *ours, bool out_of_lab,
			    const char *const *theirs, const char *what)
{
	int end = -1, ret, status = 0;
	pid_t pid = copy_start_tar(ours, out_of_lab ? 0 : 1, &end);

	if (pid < 0)
		return err_ret(pid, "lab: copying %s: starting tar: %s; end some processes", what,
			       strerror(-pid));
	ret = copy_run(lab, theirs, out_of_lab ? -1 : end, out_of_lab ? end : STDERR_FILENO);
	close(end);
	if (ret < 0)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (ret < 0)
		return ret;
	if (ret > 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return err_ret(
			-EIO,
			"lab: copying %s: tar failed (inside %d, here %d); look at its words above",
			what, ret,
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}

static int copy_in_file(struct lab *lab, const char *from, const char *to, mode_t mode)
{
	char mode_text[8];
	const char *const argv[] = {
		"sh",
		"-c",
		"d=$2; case $d in */) d=$d$3 ;; esac; [ -d \"$d\" ] && d=$d/$3; mkdir -p "
		"\"${d%/*}\" && "
		"cat >\"$d.part\" && chmod $1 \"$d.part\" && mv -f \"$d.part\" \"$d\"",
		"copy-in",
		mode_text,
		to,
		strrchr(from, '/') ? strrchr(from, '/') + 1 : from,
		NULL
	};
	int fd = open(from, O_RDONLY | O_CLOEXEC), ret;

	snprintf(mode_text, sizeof(mode_text), "%o", mode & 0777);
	if (fd < 0)
		return err_ret(-errno, "lab: copying %s: %s; check the name", from,
			       strerror(errno));
	ret = copy_run(lab, argv, fd, STDERR_FILENO);
	close(fd);
	return ret > 0 ? err_ret(-EIO,
				 "lab: copying %s to %s: it failed inside; is there memory left?",
				 from, to)
		       : ret;
}

int lab_copy_in(struct lab *lab, const char *from, const char *to)
{
	char *const ours[] = { "tar", "-C", (char *)from, "--owner=0", "--group=0",
			       "-cf", "-",  ".",          NULL };
	const char *const theirs[] = {
		"sh", "-c", "mkdir -p \"$1\" && exec tar -C \"$1\" -xf -", "copy-in", to, NULL
	};
	struct stat st;

	if (stat(from, &st) < 0)
		return err_ret(-errno, "lab: copying %s: %s; check the name", from,
			       strerror(errno));
	if (S_ISDIR(st.st_mode))
		return copy_through_tar(lab, ours, false, theirs, from);
	return copy_in_file(lab, from, to, st.st_mode);
}

/*
 * What `path` is inside: 'd', 'x' an executable file, 'f' another; negative errno after a message.
 */
static int copy_kind(struct lab *lab, const char *path)
{
	const char *const argv[] = {
		"sh",
		"-c",
		"if [ -d \"$1\" ]; then exit 10; elif [ ! -r \"$1\" ]; then exit 13; "
		"elif [ -x \"$1\" ]; then exit 11; else exit 12; fi",
		"copy-out",
		path,
		NULL
	};
	int ret = copy_run(lab, argv, -1, STDERR_FILENO);

	switch (ret) {
	case 10: return 'd';
	case 11: return 'x';
	case 12: return 'f';
	case 13:
		return err_ret(-ENOENT,
			       "lab: copying %s out: there is no such file inside; did the command "
			       "make it?",
			       path);
	default:
		return ret < 0 ? ret
			       : err_ret(-EIO,
					 "lab: copying %s out: it failed inside; look at the words "
					 "above",
					 path);
	}
}

/* The file has no name until it is whole, so that nothing half stays when we are killed. */
static int copy_out_file(struct lab *lab, const char *from, const char *to, mode_t mode)
{
	const char *const argv[] = { "cat", "--", from, NULL };
	char *copy = strdup(to), name[64];
	int fd = copy ? open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, mode) : -1, ret;
	bool named = false;

	free(copy);
	if (fd < 0) {
		fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
		named = true;
	}
	if (fd < 0)
		return err_ret(-errno, "lab: writing %s: %s; check the folder", to,
			       strerror(errno));
	ret = copy_run(lab, argv, -1, fd);
	if (ret > 0)
		ret = err_ret(-EIO,
			      "lab: copying %s out: it failed inside; look at the words above",
			      from);
	if (!ret && !named) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		unlink(to);
		if (linkat(AT_FDCWD, name, AT_FDCWD, to, AT_SYMLINK_FOLLOW) < 0)
			ret = err_ret(-errno, "lab: writing %s: %s; check the folder", to,
				      strerror(errno));
	}
	close(fd);
	return ret;
}

int lab_copy_out(struct lab *lab, const char *from, const char *to)
{
	char *const ours[] = { "tar", "-C", (char *)to, "--no-same-owner", "-xf", "-", NULL };
	const char *const theirs[] = { "tar", "-C", from, "-cf", "-", ".", NULL };
	int kind = copy_kind(lab, from);
	struct stat st;
	char *path;
	int ret;

	if (kind < 0)
		return kind;
	if (kind == 'd') {
		if (mkdir(to, 0755) < 0 && errno != EEXIST)
			return err_ret(-errno, "lab: making %s: %s; check the folder above it", to,
				       strerror(errno));
		return copy_through_tar(lab, ours, true, theirs, from);
	}
	if (stat(to, &st) < 0 || !S_ISDIR(st.st_mode))
		return copy_out_file(lab, from, to, kind == 'x' ? 0755 : 0644);
	if (asprintf(&path, "%s/%s", to, strrchr(from, '/') ? strrchr(from, '/') + 1 : from) < 0)
		return -ENOMEM;
	ret = copy_out_file(lab, from, path, kind == 'x' ? 0755 : 0644);
	free(path);
	return ret;
}

/* --- our programs --- */

struct program_set {
	char paths[N_PROGRAMS][PATH_MAX];
	size_t n;
	char stamp[STAMP_BYTES]; /* changes with any of them */
};

/* Beside this program, or in libexec; what is not built is left out. */
static void programs_find(struct program_set *set)
{
	char dir[PATH_MAX - 64];
	size_t at = 0;

	set->n = 0;
	set->stamp[0] = '\0';
	if (paths_self_dir(dir, sizeof(dir)) < 0)
		return;
	for (size_t i = 0; i < 2 * N_PROGRAMS; i++) {
		char *path = set->paths[set->n];
		struct stat st;

		snprintf(path, PATH_MAX, "%s/%s%s", dir, i % 2 ? "../libexec/fourlane/" : "",
			 programs[i / 2]);
		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		at += (size_t)snprintf(set->stamp + at, sizeof(set->stamp) - at,
				       "%s:%lu:%ld:%ld.%09ld\n", programs[i / 2], st.st_ino,
				       (long)st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		set->n++;
		i |= 1; /* found: not looked for in libexec */
	}
}

/* Whether the lab has these very programs: 1 or 0, or negative errno. */
static int programs_are_there(struct lab *lab, const struct program_set *set)
{
	const char *const argv[] = {
		"sh",       "-c",       "[ \"$(cat /run/lab/programs 2>/dev/null)\" = \"$1\" ]",
		"programs", set->stamp, NULL
	};
	char stamp[STAMP_BYTES];
	const char *const with_stamp[] = { argv[0], argv[1], argv[2], argv[3], stamp, NULL };
	int ret;

	/* $(...) drops the last newline */
	snprintf(stamp, sizeof(stamp), "%s", set->stamp);
	if (stamp[0])
		stamp[strlen(stamp) - 1] = '\0';
	ret = copy_run(lab, with_stamp, -1, STDERR_FILENO);
	return ret < 0 ? ret : ret == 0;
}

int lab_push_programs(struct lab *lab)
{
	char dirs[N_PROGRAMS][PATH_MAX], *argv[8 + 3 * N_PROGRAMS];
	struct program_set set;
	const char *const theirs[] = { "sh",
				       "-c",
				       "tar -C \"$1\" -xf - && printf %s \"$2\" >/run/lab/programs",
				       "programs",
				       PROGRAMS_DIR,
				       set.stamp,
				       NULL };
	size_t n = 0;
	int ret;

	programs_find(&set);
	if (!set.n)
		return 0;
	ret = lab->guardian ? 0 : programs_are_there(lab, &set);
	if (ret)
		return ret < 0 ? ret : 0;
	for (char *const *w = (char *const[]){ "tar", "--owner=0", "--group=0", "-chf", "-", NULL };
	     *w; w++)
		argv[n++] = *w;
	for (size_t i = 0; i < set.n; i++) {
		char *slash = strrchr(set.paths[i], '/');

		snprintf(dirs[i], sizeof(dirs[i]), "%.*s", (int)(slash - set.paths[i]),
			 set.paths[i]);
		argv[n++] = "-C";
		argv[n++] = dirs[i];
		argv[n++] = slash + 1;
	}
	argv[n] = NULL;
	return copy_through_tar(lab, argv, false, theirs, "the programs");
}

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

/* What programs say while they copy: only its first line is of use, in our own one line. */
static int said_open(void)
{
	int fd = memfd_create("fourlane-said", MFD_CLOEXEC);

	return fd < 0 ? err_ret(-errno, "lab: copying: %s; is there memory left?", strerror(errno))
		      : fd;
}

static const char *said_line(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

/* A command of ours inside, without terminal; what it says on stderr goes to `said`. */
static int copy_run(struct lab *lab, const char *const *argv, int in, int out, int said)
{
	const struct lab_command c = { .argv = argv, .in = in, .out = out, .err = said };

	return lab_run(lab, &c);
}

/*
 * Asks inside by a few lines of shell with up to three words. Its status, or negative errno; the
 * first line of its answer, or of its reason when the status is not 0.
 */
static int copy_ask(struct lab *lab, const char *script, const char *const words[3], char *line,
		    size_t size)
{
	const char *const argv[] = {
		"sh", "-c", script, "copy", words[0], words[1], words[2], NULL
	};
	int said = said_open(), ret;

	if (said < 0)
		return said;
	ret = copy_run(lab, argv, -1, said, said);
	said_line(said, line, size);
	close(said);
	return ret;
}

/* Starts our own tar with one end of a pipe as its stdin (fd 0) or stdout (fd 1); the other end in
 * *end. */
static pid_t copy_start_tar(char *const *argv, int fd, int said, int *end)
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
		if (getppid() == parent && dup2(p[fd], fd) == fd && dup2(said, 2) == 2)
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
	int end = -1, ret, status = 0, said = said_open();
	char line[256];
	pid_t pid;

	if (said < 0)
		return said;
	pid = copy_start_tar(ours, out_of_lab ? 0 : 1, said, &end);
	if (pid < 0) {
		close(said);
		return err_ret(pid, "lab: copying %s: starting tar: %s; end some processes", what,
			       strerror(-pid));
	}
	ret = copy_run(lab, theirs, out_of_lab ? -1 : end, out_of_lab ? end : said, said);
	close(end);
	if (ret < 0)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (ret >= 0 && (ret > 0 || status))
		ret = err_ret(-EIO, "lab: copying %s: %s; is there room and may it be written?",
			      what, said_line(said, line, sizeof(line)));
	close(said);
	return ret;
}

/* To the very name `to` inside, whose folders are made. What is no plain file is written in place.
 */
static int copy_in_file(struct lab *lab, const char *from, const char *to, mode_t mode)
{
	char mode_text[8], line[256];
	static const char script[] =
		"mkdir -p \"${2%/*}/\" || exit 1\n"
		"if { [ ! -e \"$2\" ] || { [ -f \"$2\" ] && [ ! -h \"$2\" ]; }; } &&\n"
		"	{ true >\"$2.part\"; } 2>/dev/null; then\n"
		"	cat >\"$2.part\" && chmod \"$1\" \"$2.part\" && mv -f \"$2.part\" \"$2\" "
		"&& exit\n"
		"	rm -f \"$2.part\"; exit 1\n"
		"fi; exec cat >\"$2\"";
	const char *const argv[] = { "sh", "-c", script, "copy", mode_text, to, NULL };
	int fd = open(from, O_RDONLY | O_CLOEXEC), said, ret;

	snprintf(mode_text, sizeof(mode_text), "%o", mode & 0777);
	if (fd < 0)
		return err_ret(-errno, "lab: copying %s: %s; check the name", from,
			       strerror(errno));
	said = ret = said_open();
	if (said >= 0) {
		ret = copy_run(lab, argv, fd, said, said);
		if (ret > 0)
			ret = err_ret(
				-EIO,
				"lab: copying %s to %s inside: %s; is there room and may it be "
				"written?",
				from, to, said_line(said, line, sizeof(line)));
		close(said);
	}
	close(fd);
	return ret;
}

static int copy_in_folder(struct lab *lab, const char *from, const char *to)
{
	char *const ours[] = { "tar", "-C", (char *)from, "--owner=0", "--group=0",
			       "-cf", "-",  ".",          NULL };
	const char *const theirs[] = { "sh",   "-c", "mkdir -p \"$1\" && exec tar -C \"$1\" -xf -",
				       "copy", to,   NULL };

	return copy_through_tar(lab, ours, false, theirs, from);
}

static int copy_stat(const char *from, struct stat *st)
{
	return stat(from, st) < 0 ? err_ret(-errno, "lab: copying %s: %s; check the name", from,
					    strerror(errno))
				  : 0;
}

/* The last part of a path; "." for one that ends in none (its content is meant), as cp does. */
static char *copy_base(const char *path)
{
	const char *end = path + strlen(path), *base;

	while (end > path && end[-1] == '/')
		end--;
	base = end;
	while (base > path && base[-1] != '/')
		base--;
	if (base == end || (end - base == 2 && !memcmp(base, "..", 2)))
		return strdup(".");
	return strndup(base, (size_t)(end - base));
}

/*
 * The place inside for `from`, as `script` decides with $1 the place asked for, $2 the last part of
 * `from`, $3 "folder" or "file": its status 0 means $1, INTO $1/$2, another that it says why not.
 * *place is the caller's to free. 0 or negative errno after a message.
 */
#define INTO 10
static int copy_place_inside(struct lab *lab, const char *script, const char *from, bool folder,
			     const char *to, char **place)
{
	char *base = copy_base(from), line[256];
	const char *const words[] = { to, base, folder ? "folder" : "file" };
	int ret = base ? copy_ask(lab, script, words, line, sizeof(line)) : -ENOMEM;

	if (ret > 0 && ret != INTO)
		ret = err_ret(-EIO, "lab: copying %s: %s; check the name", from, line);
	if (ret >= 0)
		ret = asprintf(place, "%s%s%s", to, ret ? "/" : "", ret ? base : "") < 0 ? -ENOMEM
											 : 0;
	free(base);
	return ret;
}

int lab_put(struct lab *lab, const char *from, const char *to)
{
	static const char script[] =
		"d=$1; no() { echo \"$*\"; exit 1; }\n"
		"if [ -d \"$d\" ]; then d=$d/$2; into=10; fi\n"
		"p=${d%/*}/\n"
		"[ -d \"$p\" ] || no \"there is no folder $p inside\"\n"
		"if [ $3 = folder ]; then [ ! -e \"$d\" ] || [ -d \"$d\" ] || no \"$d is no "
		"folder\"\n"
		"else case $d in */) no \"there is no folder $d inside\" ;; esac\n"
		"[ ! -d \"$d\" ] || no \"$d is a folder\"; fi\n"
		"exit ${into:-0}";
	struct stat st;
	char *place;
	int ret = copy_stat(from, &st);

	if (!ret)
		ret = copy_place_inside(lab, script, from, S_ISDIR(st.st_mode), to, &place);
	if (ret)
		return ret;
	ret = S_ISDIR(st.st_mode) ? copy_in_folder(lab, from, place)
				  : copy_in_file(lab, from, place, st.st_mode);
	free(place);
	return ret;
}

int lab_copy_in(struct lab *lab, const char *from, const char *to)
{
	static const char script[] = "case $1 in */) exit 10 ;; esac; [ ! -d \"$1\" ] || exit 10";
	struct stat st;
	char *place;
	int ret = copy_stat(from, &st);

	if (ret)
		return ret;
	if (S_ISDIR(st.st_mode))
		return copy_in_folder(lab, from, to);
	ret = copy_place_inside(lab, script, from, false, to, &place);
	if (ret)
		return ret;
	ret = copy_in_file(lab, from, place, st.st_mode);
	free(place);
	return ret;
}

/* Type and mode of `path` inside; negative errno after a message. */
static int copy_mode(struct lab *lab, const char *path, mode_t *mode)
{
	char line[256];
	int ret = copy_ask(
		lab,
		"if [ ! -e \"$1\" ]; then echo 'there is no such file inside'; exit 1; fi\n"
		"if [ ! -f \"$1\" ] && [ ! -d \"$1\" ]; then echo 'it is neither a file nor a "
		"folder'; exit 1; fi\n"
		"exec stat -Lc %f -- \"$1\"",
		(const char *const[]){ path, NULL, NULL }, line, sizeof(line));

	if (ret > 0)
		ret = err_ret(-ENOENT, "lab: copying %s out: %s; check the name", path, line);
	if (!ret)
		*mode = (mode_t)strtoul(line, NULL, 16);
	return ret;
}

/*
 * Where the bytes go. A plain file has no name until it is whole (*nameless), so that nothing half
 * stays when we are killed; what is no plain file is written in place.
 */
static int copy_create(const char *to, mode_t mode, bool *nameless)
{
	struct stat st;
	bool there = lstat(to, &st) == 0;
	char *copy;
	int fd = -1;

	*nameless = false;
	if (there && S_ISREG(st.st_mode) && access(to, W_OK) < 0)
		return -errno;
	if (!there || S_ISREG(st.st_mode)) {
		copy = strdup(to);
		fd = copy ? open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
		free(copy);
		*nameless = fd >= 0;
	}
	if (fd < 0)
		fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd >= 0 && (*nameless || !there) && fchmod(fd, mode) < 0) {
		close(fd);
		fd = -1;
	}
	return fd < 0 ? -errno : fd;
}

static int copy_name(int fd, const char *to)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	unlink(to);
	return linkat(AT_FDCWD, name, AT_FDCWD, to, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int copy_out_file(struct lab *lab, const char *from, const char *to, mode_t mode)
{
	const char *const argv[] = { "cat", "--", from, NULL };
	char line[256];
	bool nameless;
	int fd = copy_create(to, mode & 0777, &nameless), said, ret;

	if (fd < 0)
		return err_ret(fd, "lab: writing %s: %s; check the folder", to, strerror(-fd));
	said = ret = said_open();
	if (said >= 0) {
		ret = copy_run(lab, argv, -1, fd, said);
		if (ret > 0)
			ret = err_ret(-EIO, "lab: copying %s out: %s; check the name", from,
				      said_line(said, line, sizeof(line)));
		close(said);
	}
	if (!ret && nameless) {
		ret = copy_name(fd, to);
		if (ret < 0)
			err_say("lab: writing %s: %s; check the folder", to, strerror(-ret));
	}
	close(fd);
	return ret;
}

/* Without the bits by which a program gets its owner's rights: its owner inside is root. */
static int copy_out_folder(struct lab *lab, const char *from, const char *to)
{
	char *const ours[] = { "tar", "-C", (char *)to, "--no-same-owner", "-pxf", "-", NULL };
	const char *const theirs[] = { "tar", "-C", from, "--mode=ug-s", "-cf", "-", ".", NULL };

	if (mkdir(to, 0755) < 0 && errno != EEXIST)
		return err_ret(-errno, "lab: making %s: %s; check the folder above it", to,
			       strerror(errno));
	return copy_through_tar(lab, ours, true, theirs, from);
}

/* As copy_place_inside(), here. *place is the caller's to free. */
static int copy_place_here(const char *from, bool folder, const char *to, char **place)
{
	struct stat st;
	bool into = stat(to, &st) == 0 && S_ISDIR(st.st_mode);
	char *base = copy_base(from);
	int ret = base && asprintf(place, "%s%s%s", to, into ? "/" : "", into ? base : "") >= 0
			  ? 0
			  : -ENOMEM;

	free(base);
	if (ret)
		return ret;
	if (!into && to[strlen(to) - 1] == '/')
		ret = err_ret(-ENOENT, "lab: copying %s out: there is no folder %s; make it first",
			      from, to);
	else if (stat(*place, &st) == 0 && S_ISDIR(st.st_mode) != folder)
		ret = err_ret(folder ? -ENOTDIR : -EISDIR,
			      "lab: copying %s out: %s is %s folder; take another name", from,
			      *place, folder ? "no" : "a");
	if (ret)
		free(*place);
	return ret;
}

int lab_get(struct lab *lab, const char *from, const char *to)
{
	mode_t mode;
	char *place;
	int ret = copy_mode(lab, from, &mode);

	if (!ret)
		ret = copy_place_here(from, S_ISDIR(mode), to, &place);
	if (ret)
		return ret;
	ret = S_ISDIR(mode) ? copy_out_folder(lab, from, place)
			    : copy_out_file(lab, from, place, mode);
	free(place);
	return ret;
}

int lab_copy_out(struct lab *lab, const char *from, const char *to)
{
	mode_t mode;
	int ret = copy_mode(lab, from, &mode);

	if (ret)
		return ret;
	return S_ISDIR(mode) ? copy_out_folder(lab, from, to) : lab_get(lab, from, to);
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
	ret = copy_run(lab, with_stamp, -1, STDERR_FILENO, STDERR_FILENO);
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

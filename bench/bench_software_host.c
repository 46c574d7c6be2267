/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second table: `fourlane lab run` starts a software host, runs `fourlane compare --where host`
 * in it with the same words and hands its JSON document out. Where QEMU is to stand beside the
 * lanes with a real device, the one of the software host's own image goes in, too. Called by
 * cmd_compare.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/lab/lab.h"
#include "core/err.h"
#include "core/paths.h"

#define INSIDE    "/tmp/fourlane-compare.json"
#define BUILD_S   900 /* for getting the image and booting it */
#define LAB_TEXTS 7
#define LAB_QEMU  "/root/qemu" /* inside */
#define COPY_S    60
#define MAX_WORDS 48

/* What is made for it outside, and goes with it. */
struct lab_files {
	char result[64];
	char qemu[64]; /* a folder, "" when QEMU does not go in */
};

/* About twice what the runs inside may take: 23 rows a size and 6 beside QEMU, whose starts are
 * slower, and every start and end of a guest. */
static unsigned int lab_seconds(const struct bench *b)
{
	unsigned int run_ms = b->o.window_ms + 2500;

	/* 7 boots of a Linux guest, 2 under QEMU, and one to see whether it boots; at most 5 rows a
	 * size, two of TCP */
	if (b->o.kind == BENCH_LINUX)
		return 300 +
		       2 * 9 * b->o.runs * (30 + (3 * b->o.n_sizes + 2) * (run_ms + 1000) / 1000);
	return 120 + (unsigned int)(2ull * 35 * b->o.n_sizes * b->o.runs * run_ms / 1000);
}

static unsigned int words_add(const char **argv, unsigned int n, const char *const *words)
{
	while (*words)
		argv[n++] = *words++;
	argv[n] = NULL;
	return n;
}

static unsigned int lab_words(const struct bench *b, const char **argv, char text[LAB_TEXTS][96],
			      const char *self, const struct lab_files *f)
{
	const char *const start[] = { self,    "lab",        "run",   "--fresh", "--timeout",
				      text[4], "--copy-out", text[5], NULL };
	const char *const qemu[] = { "--copy-in", text[6], "--env",
				     "FOURLANE_QEMU=" LAB_QEMU "/qemu", NULL };
	const char *const cpus[] = { "--cpus", "1", NULL };
	const char *const inside[] = { "--",
				       "/opt/fourlane/bin/fourlane",
				       "compare",
				       "--where",
				       "host",
				       "--json",
				       INSIDE,
				       "--guest",
				       bench_kind_name[b->o.kind],
				       "--peer",
				       f->qemu[0] ? "qemu" : "none",
				       NULL };
	unsigned int n;
	size_t at = 0;

	snprintf(text[4], 96, "%u", lab_seconds(b));
	snprintf(text[5], 96, INSIDE ":%s", f->result);
	snprintf(text[6], 96, "%s:" LAB_QEMU, f->qemu);
	n = words_add(argv, 0, start);
	if (f->qemu[0])
		n = words_add(argv, n, qemu);
	/* with two, busy Linux guests lose their way in QEMU's SVM */
	if (b->o.kind == BENCH_LINUX)
		n = words_add(argv, n, cpus);
	n = words_add(argv, n, inside);
	for (enum bench_lane l = 0; l < LANE_N; l++)
		if (b->o.lanes & 1u << l)
			at += (size_t)snprintf(text[0] + at, 96 - at, "%s%s", at ? "," : "",
					       bench_lane_name[l]);
	at = 0;
	for (unsigned int i = 0; i < b->o.n_sizes; i++)
		at += (size_t)snprintf(text[1] + at, 96 - at, "%s%u", i ? "," : "", b->o.sizes[i]);
	snprintf(text[2], 96, "%u.%03u", b->o.window_ms / 1000, b->o.window_ms % 1000);
	snprintf(text[3], 96, "%u", b->o.runs);
	return words_add(argv, n,
			 (const char *const[]){ "--lanes", text[0], "--sizes", text[1], "--seconds",
						text[2], "--runs", text[3], NULL });
}

/* Runs it to its end, its messages being ours. 0, *status filled; -EINTR, or after a message. */
static int run_to_end(struct bench *b, const char *const *argv, unsigned int seconds,
		      const char *what, int *status)
{
	uint64_t end = bench_now_ns() + seconds * 1000000000ull;
	struct bench_child c;
	int ret = bench_child_start(&c, argv, -1, true), done = 0;

	if (ret < 0)
		return err_ret(ret, "compare: %s: %s; end some processes", what, strerror(-ret));
	while (ret == 0 && !(done = waitpid(c.pid, status, WNOHANG) == c.pid)) {
		if (bench_now_ns() > end)
			ret = err_ret(-ETIMEDOUT,
				      "compare: %s has not finished within %u s; try 'fourlane lab "
				      "run -- true'",
				      what, seconds);
		else
			ret = bench_pause(&b->sig, 50);
	}
	if (done)
		c.pid = 0;
	bench_child_end(&c, 0);
	bench_child_free(&c);
	return ret;
}

static int lab_read(const char *file, json_t **doc)
{
	json_error_t e;

	*doc = json_load_file(file, 0, &e);
	if (json_is_object(*doc) && json_is_array(json_object_get(*doc, "results")))
		return 0;
	json_decref(*doc);
	*doc = NULL;
	return err_ret(-EIO, "compare: the software host gave no result; see its messages above, "
			     "or try 'fourlane lab run -- fourlane compare'");
}

/* --- what goes in and comes out ------------------------------------------ */
static int files_qemu(struct bench *b, struct lab_files *f)
{
	char script[PATH_MAX];
	struct lab_image image;
	int status = 0, ret = lab_image_wait(b->sig.fd, &image);

	if (ret == 0)
		ret = paths_find_program("lab/qemu_copy.sh", script, sizeof(script));
	if (ret < 0)
		return ret;
	snprintf(f->qemu, sizeof(f->qemu), "/tmp/fourlane-qemu.XXXXXX");
	if (!mkdtemp(f->qemu)) {
		f->qemu[0] = '\0';
		return err_ret(-errno, "compare: making a folder in /tmp: %s; free some space",
			       strerror(errno));
	}
	ret = run_to_end(b, (const char *const[]){ "bash", script, image.dir, f->qemu, NULL },
			 COPY_S, "copying QEMU", &status);
	return ret == 0 && status ? -EIO : ret;
}

static int files_make(struct bench *b, struct lab_files *f)
{
	int fd;

	snprintf(f->result, sizeof(f->result), "/tmp/fourlane-compare.XXXXXX");
	fd = mkstemp(f->result);
	if (fd < 0) {
		f->result[0] = '\0';
		return err_ret(-errno, "compare: making a file in /tmp: %s; free some space",
			       strerror(errno));
	}
	close(fd);
	/* only where it is of use */
	return b->o.peer && b->o.lanes & (1u << LANE_DIRECT | 1u << LANE_VF) ? files_qemu(b, f) : 0;
}

static void files_drop(struct lab_files *f)
{
	struct bench_child c;

	if (f->result[0])
		unlink(f->result);
	if (!f->qemu[0] ||
	    bench_child_start(&c, (const char *const[]){ "rm", "-rf", f->qemu, NULL }, -1, true) <
		    0)
		return;
	bench_child_end(&c, COPY_S * 1000);
	bench_child_free(&c);
}

int bench_software_host(struct bench *b, json_t **doc, int *status)
{
	char self[PATH_MAX], text[LAB_TEXTS][96];
	const char *argv[MAX_WORDS];
	struct lab_files f = { 0 };
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int ret = files_make(b, &f), ended = 0;

	self[n > 0 ? n : 0] = '\0';
	if (ret == 0) {
		lab_words(b, argv, text, self, &f);
		ret = run_to_end(b, argv, BUILD_S + lab_seconds(b), "the software host", &ended);
	}
	*status = WIFEXITED(ended) ? WEXITSTATUS(ended) : FL_FAILED;
	if (ret == 0 && *status == FL_UNSUPPORTED)
		ret = -EOPNOTSUPP;
	if (ret == 0)
		ret = lab_read(f.result, doc);
	files_drop(&f);
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second table: `fourlane lab run` starts a software host, runs `fourlane compare --where host`
 * in it with the same words and hands its JSON document out. Called by cmd_compare.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "core/err.h"

#define INSIDE    "/tmp/fourlane-compare.json"
#define BUILD_S   900 /* for getting the image and booting it */
#define LAB_TEXTS 5
#define MAX_WORDS 48

/* About twice what the runs inside may take: 23 rows a size, and every start and end of a guest. */
static unsigned int lab_seconds(const struct bench *b)
{
	unsigned int run_ms = b->o.window_ms + 2500;

	/* 7 boots of a Linux guest and one to see whether it boots; at most 5 rows a size, two of
	 * TCP */
	if (b->o.kind == BENCH_LINUX)
		return 300 +
		       2 * 7 * b->o.runs * (30 + (3 * b->o.n_sizes + 2) * (run_ms + 1000) / 1000);
	return 120 + (unsigned int)(2ull * 23 * b->o.n_sizes * b->o.runs * run_ms / 1000);
}

static unsigned int lab_words(const struct bench *b, const char **argv, char text[LAB_TEXTS][96],
			      const char *self, const char *copy_out)
{
	unsigned int n = 0;
	size_t at = 0;

	snprintf(text[4], 96, "%u", lab_seconds(b));
	for (const char *const *w =
		     (const char *const[]){ self, "lab", "run", "--fresh", "--timeout", text[4],
					    "--copy-out", copy_out, NULL };
	     *w; w++)
		argv[n++] = *w;
	/* with two, busy Linux guests lose their way in QEMU's SVM */
	if (b->o.kind == BENCH_LINUX) {
		argv[n++] = "--cpus";
		argv[n++] = "1";
	}
	for (const char *const *w =
		     (const char *const[]){
			     "--", "/opt/fourlane/bin/fourlane", "compare", "--where", "host",
			     "--json", INSIDE, "--guest", bench_kind_name[b->o.kind], "--peer",
			     b->o.peer && b->o.kind == BENCH_LINUX ? "qemu" : "none", NULL };
	     *w; w++)
		argv[n++] = *w;
	for (enum bench_lane l = 0; l < LANE_N; l++)
		if (b->o.lanes & 1u << l)
			at += (size_t)snprintf(text[0] + at, 96 - at, "%s%s", at ? "," : "",
					       bench_lane_name[l]);
	at = 0;
	for (unsigned int i = 0; i < b->o.n_sizes; i++)
		at += (size_t)snprintf(text[1] + at, 96 - at, "%s%u", i ? "," : "", b->o.sizes[i]);
	snprintf(text[2], 96, "%u.%03u", b->o.window_ms / 1000, b->o.window_ms % 1000);
	snprintf(text[3], 96, "%u", b->o.runs);
	for (const char *const *w =
		     (const char *const[]){ "--lanes", text[0], "--sizes", text[1], "--seconds",
					    text[2], "--runs", text[3], NULL };
	     *w; w++)
		argv[n++] = *w;
	argv[n] = NULL;
	return n;
}

static int lab_wait(struct bench *b, struct bench_child *c, int *status)
{
	unsigned int seconds = BUILD_S + lab_seconds(b);
	uint64_t end = bench_now_ns() + seconds * 1000000000ull;

	for (;;) {
		if (waitpid(c->pid, status, WNOHANG) == c->pid) {
			c->pid = 0;
			return 0;
		}
		if (bench_now_ns() > end)
			return err_ret(-ETIMEDOUT,
				       "compare: the software host has not finished within %u s; "
				       "try 'fourlane lab run -- true'",
				       seconds);
		if (bench_pause(&b->sig, 50) < 0)
			return -EINTR;
	}
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

int bench_software_host(struct bench *b, json_t **doc, int *status)
{
	char self[PATH_MAX], file[] = "/tmp/fourlane-compare.XXXXXX", copy_out[128],
			     text[LAB_TEXTS][96];
	const char *argv[MAX_WORDS];
	struct bench_child c;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int fd = mkstemp(file), ret, ended = 0;

	if (fd < 0)
		return err_ret(-errno, "compare: making a file in /tmp: %s; free some space",
			       strerror(errno));
	close(fd);
	self[n > 0 ? n : 0] = '\0';
	snprintf(copy_out, sizeof(copy_out), INSIDE ":%s", file);
	lab_words(b, argv, text, self, copy_out);
	ret = bench_child_start(&c, argv, -1, true);
	if (ret < 0)
		err_say("compare: starting the software host: %s; end some processes",
			strerror(-ret));
	else
		ret = lab_wait(b, &c, &ended);
	bench_child_end(&c, 0);
	bench_child_free(&c);
	*status = WIFEXITED(ended) ? WEXITSTATUS(ended) : FL_FAILED;
	if (ret == 0 && *status == FL_UNSUPPORTED)
		ret = -EOPNOTSUPP;
	if (ret == 0)
		ret = lab_read(file, doc);
	unlink(file);
	return ret;
}

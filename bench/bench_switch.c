/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fourlane-switch of our own for a run: started with the ports that the run wants, asked for its
 * counters, ended. Its name carries our process id, its configuration is a file in memory, so
 * nothing is left behind. Called by bench_run.c and, to see what a NIC can do, by bench_lane.c.
 */
#include "bench/bench.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/rpc.h"

#define START_MS  30000 /* a NIC in the software host takes its time */
#define ANSWER_MS 5000
#define END_MS    5000

static void nothing_said(void *opaque, const char *line)
{
}

int bench_switch_find(char *path, size_t size)
{
	int ret;

	err_set_sink(nothing_said, NULL);
	ret = paths_find_program("fourlane-switch", path, size);
	err_set_sink(NULL, NULL);
	return ret;
}

void bench_switch_name(char *name, size_t size)
{
	snprintf(name, size, "cmp-%d", (int)getpid());
}

/* --- start and end ------------------------------------------------------- */
static int switch_conf(const char *ports)
{
	char text[512];
	int fd = memfd_create("switch.yaml", MFD_CLOEXEC), n;

	n = snprintf(text, sizeof(text), "workers: 1\nmemory_mb: %d\nports:\n%s",
		     strstr(ports, "vmdq") ? 128 : 16, ports);
	if (fd >= 0 && (n >= (int)sizeof(text) || write(fd, text, (size_t)n) != n)) {
		close(fd);
		return -EIO;
	}
	return fd < 0 ? -errno : fd;
}

/* Until it serves; the line says where its sockets are. */
static int switch_await(struct bench *b, struct bench_switch *s)
{
	char line[PATH_MAX + 64];
	const char *at;
	int ret;

	do {
		ret = bench_child_line(&s->child, &b->sig, START_MS, line, sizeof(line));
		at = ret == 0 ? strstr(line, " serves at ") : NULL;
	} while (ret == 0 && !at);
	if (ret == 0)
		snprintf(s->dir, sizeof(s->dir), "%s", at + strlen(" serves at "));
	return ret;
}

int bench_switch_start(struct bench *b, struct bench_switch *s, const char *ports, char *why,
		       size_t size)
{
	char path[PATH_MAX], said[128];
	int ret = bench_switch_find(path, sizeof(path)), conf;

	bench_switch_name(s->name, sizeof(s->name));
	conf = ret < 0 ? ret : switch_conf(ports);
	if (conf < 0)
		return snprintf(why, size, "fourlane-switch: %s", strerror(-conf)), conf;
	ret = bench_child_start(&s->child,
				(const char *const[]){ path, "--name", s->name, "--config",
						       "/proc/self/fd/3", NULL },
				conf, false);
	close(conf);
	if (ret == 0)
		ret = switch_await(b, s);
	if (ret < 0) {
		bench_child_why(&s->child, said, sizeof(said));
		snprintf(why, size, "fourlane-switch does not serve: %s",
			 said[0] ? said : strerror(-ret));
	}
	return ret;
}

void bench_switch_end(struct bench_switch *s)
{
	if (s->child.pid > 0) {
		kill(s->child.pid, SIGTERM);
		bench_child_end(&s->child, END_MS);
	}
	bench_child_free(&s->child);
}

/* --- questions ----------------------------------------------------------- */
static json_t *switch_ask(const struct bench_switch *s, const char *method)
{
	char path[PATH_MAX + 32], what[64];
	json_t *answer;

	snprintf(path, sizeof(path), "%s/control.sock", s->dir);
	snprintf(what, sizeof(what), "switch '%s'", s->name);
	return rpc_call_path(path, what, "run it again", method, NULL, ANSWER_MS, &answer) == 0
		       ? answer
		       : NULL;
}

static const json_t *switch_port(const json_t *answer, const char *name)
{
	json_t *port;
	size_t i;

	json_array_foreach(json_object_get(answer, "ports"), i, port)
		if (!strcmp(name, json_string_value(json_object_get(port, "name"))))
			return port;
	return NULL;
}

json_t *bench_switch_stats(const struct bench_switch *s)
{
	return switch_ask(s, "stats");
}

uint64_t bench_switch_missed(const struct bench_switch *s)
{
	static const char *const keys[] = { "rx_missed", "rx_errors", "rx_no_mbuf" };
	json_t *answer = switch_ask(s, "ports");
	const json_t *nic = json_object_get(switch_port(answer, "pool"), "nic");
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		n += (uint64_t)json_integer_value(json_object_get(nic, keys[i]));
	json_decref(answer);
	return n;
}

const json_t *bench_switch_drops(const json_t *stats, const char *port, const char *side)
{
	return json_object_get(switch_port(stats, port), side);
}

int bench_switch_pool(const struct bench_switch *s, char *why, size_t size)
{
	json_t *answer = switch_ask(s, "ports");
	const json_t *port = switch_port(answer, "pool");
	const char *how = json_string_value(json_object_get(port, "how")),
		   *said = json_string_value(json_object_get(port, "why"));
	int ret = how && !strcmp(how, "hardware") ? 0 : -EOPNOTSUPP;

	snprintf(why, size, "%s", said ? said : "the switch does not say how it makes the pool");
	json_decref(answer);
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's lines (bench/guest/mg_main.c, mg_loop.c, bench/linux/init.sh) as numbers. A guest is
 * not trusted: a line with a field missing, twice there or without sense is refused. Called by
 * bench_run.c.
 */
#include "bench/bench.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define RESULT "FL RESULT "
#define READY  "FL READY "
#define MS_NS  1000000ull

struct result_field {
	const char *name;
	size_t at;
	unsigned int directions; /* that must tell it, one bit each */
};
#define FIELD(n, d) \
	{ \
#n, offsetof(struct bench_result, n), d \
	}
#define ANY      (~0u)
#define PINGPONG (1u << BENCH_PINGPONG)
#define CROSS    (1u << BENCH_CROSS)
static const struct result_field fields[] = {
	FIELD(frames, ANY),       FIELD(bytes, ANY),       FIELD(ns, ANY),
	FIELD(total, ANY),        FIELD(kicks, ANY),       FIELD(lost, ANY),
	FIELD(bad, ANY),          FIELD(p50_ns, PINGPONG), FIELD(p99_ns, PINGPONG),
	FIELD(samples, PINGPONG), FIELD(sent, CROSS),
};

/* " name=NUMBER" followed by a blank or the end; exactly once. */
static int result_number(const char *line, const char *name, uint64_t *out)
{
	size_t len = strlen(name);
	bool found = false;

	for (const char *at = line; (at = strstr(at, name)); at += len) {
		unsigned long long value;
		char *end;

		if (at == line || at[-1] != ' ' || at[len] != '=')
			continue;
		if (found || !isdigit((unsigned char)at[len + 1]))
			return -EPROTO;
		errno = 0;
		value = strtoull(at + len + 1, &end, 10);
		if (errno || (*end && *end != ' '))
			return -EPROTO;
		*out = value;
		found = true;
	}
	return found ? 0 : -EPROTO;
}

int bench_result_parse(const char *line, enum bench_direction d, struct bench_result *r)
{
	char mode[32];

	*r = (struct bench_result){ 0 };
	snprintf(mode, sizeof(mode), " mode=%s ", bench_direction_name[d]);
	if (strncmp(line, RESULT, sizeof(RESULT) - 1) || !strstr(line, mode))
		return -EPROTO;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!(fields[i].directions & 1u << d))
			continue;
		if (result_number(line, fields[i].name, (uint64_t *)((char *)r + fields[i].at)) < 0)
			return -EPROTO;
	}
	if (strstr(line, " other=") && result_number(line, "other", &r->other) < 0)
		return -EPROTO;
	/* a window of less than a millisecond or more than an hour, or a window with more frames
	 * than the whole run */
	if (r->ns < MS_NS || r->ns > 3600000 * MS_NS || r->frames > r->total)
		return -EPROTO;
	if (d == BENCH_CROSS && r->sent < r->total && !r->bad)
		return -EPROTO;
	return 0;
}

int bench_ready_parse(const char *line, uint8_t mac[6])
{
	unsigned int m[6];
	char end;

	if (strncmp(line, READY, sizeof(READY) - 1))
		return -EPROTO;
	if (sscanf(line + sizeof(READY) - 1, "mac=%2x:%2x:%2x:%2x:%2x:%2x%c", &m[0], &m[1], &m[2],
		   &m[3], &m[4], &m[5], &end) != 7 ||
	    end != ' ')
		return -EPROTO;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)m[i];
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pieces of one run that both kinds of guest have: bench_run.c is these and the microguest's
 * run, bench_run_linux.c the runs of a Linux guest. Only those two include this.
 */
#ifndef BENCH_BENCH_RUN_H
#define BENCH_BENCH_RUN_H

#include "bench/bench.h"

#define BENCH_SETTLE_MS 30 /* after the guest's result, until what it sent is counted */

/* What belongs to the run while it lasts. */
struct bench_run {
	struct bench *b;
	const struct bench_row *row;
	struct bench_sample *s;
	struct bench_guest guest;
	char ifname[16]; /* the interface at the other end, "" none */
	uint8_t mac[6];  /* the guest's */
	struct bench_counters before, after;
	struct bench_traffic *traffic;
	struct bench_traffic_count count;
	struct bench_switch sw; /* when the row needs one */
	json_t *sw_stats;       /* its counters at the end, or NULL */
	json_t *sw_before;      /* and at the beginning, NULL: all 0 */
	int counter;            /* of frames on the wire, or -1 */
	uint64_t in0, dropped0; /* the interface's counters before */
	uint64_t missed0, fifo0;
	uint64_t nic_missed0; /* of the switch's NIC */
};

/* bench_run_init - for a row; a name for the guest, an interface for the other end. */
void bench_run_init(struct bench_run *r, struct bench *b, const struct bench_row *row,
		    struct bench_sample *s);
/* bench_run_fail - the sample's `why`, with what the guest's monitor said last. Always -EIO. */
int bench_run_fail(struct bench_run *r, const char *why);
bool bench_run_on(const struct bench_run *r, const char *backend);
/*
 * bench_run_expect - the guest's next line that begins with `want` ("": any); others are passed
 * over. 0, -EINTR, -EREMOTEIO when the guest said FL FAIL, -EIO when it ended or was silent; the
 * last two fill the sample's `why`.
 */
int bench_run_expect(struct bench_run *r, const char *want, int timeout_ms, char *line,
		     size_t size);
/* bench_run_switch - starts the one that the row needs, if it needs one. 0, -EINTR or negative
 * errno with `why` filled. */
int bench_run_switch(struct bench_run *r);
/* bench_run_note - the interface's counters, from which the run counts. */
void bench_run_note(struct bench_run *r);
/*
 * bench_run_measure - says `command` to the guest that is ready and takes its RESULT within
 * answer_ms, the monitor's counters before and after and what the switch has counted; a row of
 * direction BENCH_RX has frames sent to the guest for source_ms. The traffic, which the caller may
 * have started, is ended. 0, -EINTR or -EIO, why filled.
 */
int bench_run_measure(struct bench_run *r, const struct bench_monitor *m, const char *command,
		      unsigned int source_ms, int answer_ms);
/* bench_run_figures - all of the sample from the guest's result and the counters before and after.
 * 0 or -EIO, why filled. */
int bench_run_figures(struct bench_run *r);
/* bench_run_end - ends guest and switch; `quit` (NULL: at once) is what the guest is told. */
void bench_run_end(struct bench_run *r, const struct bench_monitor *m, const char *quit);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Things on the host that concern a running guest and that its monitor cannot see, because it is
 * jailed: a folder registers a struct guest_watch, and the guest's supervisor polls its descriptor
 * beside its own. One thread, the supervisor's.
 */
#ifndef CORE_GUEST_WATCH_H
#define CORE_GUEST_WATCH_H

#include <jansson.h>
#include <poll.h>

#include "core/prep.h"
#include "core/registry.h"

struct guest_watch {
	const char *name;
	/*
	 * The NICs are prepared, the monitor does not run yet. Gives the watch's own state, NULL
	 * when this guest has nothing to watch. What cannot be watched is said here, and no reason
	 * not to run.
	 */
	void *(*open)(const struct prep_guest *g);
	/* What is polled for POLLIN, -1: nothing (any more). */
	int (*fd)(const void *state);
	/* It is readable. Without waiting, and a bounded piece of work. */
	void (*ready)(void *state);
	/* Adds what was seen to the answer of `fourlane stats`. */
	void (*stats)(const void *state, json_t *stats);
	/* The guest has ended. */
	void (*close)(void *state);
};
#define GUEST_WATCH(ptr) REGISTER(fl_guest_watches, struct guest_watch, ptr)

/* --- for the supervisor --------------------------------------------------- */
#define GUEST_WATCHES_MAX 2

/* Zero-initialised. */
struct guest_watches {
	struct {
		const struct guest_watch *watch;
		void *state;
	} at[GUEST_WATCHES_MAX];
	unsigned int n;
};

void guest_watches_open(struct guest_watches *w, const struct prep_guest *g);
/* guest_watches_poll - what to poll for: fills all of p. guest_watches_serve - after poll(). */
void guest_watches_poll(const struct guest_watches *w, struct pollfd p[GUEST_WATCHES_MAX]);
void guest_watches_serve(struct guest_watches *w, const struct pollfd p[GUEST_WATCHES_MAX]);
void guest_watches_stats(const struct guest_watches *w, json_t *stats);
void guest_watches_close(struct guest_watches *w); /* idempotent */

#endif

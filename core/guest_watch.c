/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See guest_watch.h: goes round the watches that are registered, for the supervisor. */
#include "core/guest_watch.h"

REGISTRY(fl_guest_watches, struct guest_watch);

void guest_watches_open(struct guest_watches *w, const struct prep_guest *g)
{
	struct guest_watch const *const *it;

	REGISTRY_FOREACH(fl_guest_watches, it) {
		void *state = w->n < GUEST_WATCHES_MAX ? (*it)->open(g) : NULL;

		if (!state)
			continue;
		w->at[w->n].watch = *it;
		w->at[w->n++].state = state;
	}
}

void guest_watches_poll(const struct guest_watches *w, struct pollfd p[GUEST_WATCHES_MAX])
{
	for (unsigned int i = 0; i < GUEST_WATCHES_MAX; i++)
		p[i] = (struct pollfd){
			.fd = i < w->n ? w->at[i].watch->fd(w->at[i].state) : -1,
			.events = POLLIN,
		};
}

void guest_watches_serve(struct guest_watches *w, const struct pollfd p[GUEST_WATCHES_MAX])
{
	for (unsigned int i = 0; i < w->n; i++)
		if (p[i].revents)
			w->at[i].watch->ready(w->at[i].state);
}

void guest_watches_stats(const struct guest_watches *w, json_t *stats)
{
	for (unsigned int i = 0; i < w->n; i++)
		w->at[i].watch->stats(w->at[i].state, stats);
}

void guest_watches_close(struct guest_watches *w)
{
	while (w->n) {
		w->n--;
		w->at[w->n].watch->close(w->at[w->n].state);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vhost-user back-end played by a unit test, in a thread on one end of a socket pair. It does
 * everything right unless it is told where to go wrong, and keeps what it was sent.
 */
#ifndef TESTS_UNIT_HELPER_VHOST_BE_H
#define TESTS_UNIT_HELPER_VHOST_BE_H

#include <pthread.h>
#include <stdbool.h>

#include "pv-net/vhost_user_priv.h"

#define BE_RINGS 16

enum be_fault {
	BE_GOOD,
	BE_DIE,        /* closes instead of answering */
	BE_MUTE,       /* reads on and never answers */
	BE_SHORT,      /* the answer is 4 bytes too short, and says so */
	BE_HUGE,       /* the answer says that 4 GiB follow */
	BE_HALF,       /* half a header, then nothing */
	BE_OTHER,      /* the answer to another request */
	BE_NO_REPLY,   /* the answer lacks the REPLY flag */
	BE_EXTRA_FD,   /* a descriptor comes with the answer */
	BE_REFUSE,     /* REPLY_ACK says no */
	BE_WRONG_RING, /* GET_VRING_BASE is answered for another ring */
	BE_TWICE,      /* the answer comes twice */
};

struct be {
	uint64_t features, protocol, queue_num; /* offered */
	uint32_t bad_request;
	enum be_fault fault;

	int sock, front; /* front: the front-end's end, taken by the test */
	pthread_t thread;
	bool running;

	pthread_mutex_t lock; /* below */
	unsigned int n_messages, n_got[64], n_filters, n_stopped;
	uint64_t set_features, set_protocol;
	struct vhost_user_memory memory;
	struct vhost_user_filter filter;
	struct be_ring {
		uint32_t num, base;
		struct vhost_user_vring_addr addr;
		int kick, call;
		bool enabled, no_call;
	} ring[BE_RINGS];
};

/* be_init - all that a switch offers; change it before be_start(), which makes the socket pair. */
void be_init(struct be *be);
int be_start(struct be *be);
void be_stop(struct be *be); /* closes the connection when it is there still */
/* be_got - how often a request came so far. */
unsigned int be_got(struct be *be, uint32_t request);
/* be_await - until it came n times; fails the test after 20 s. */
void be_await(struct be *be, uint32_t request, unsigned int n);

#endif

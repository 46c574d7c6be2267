/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end `null`: a cable that ends nowhere. Every frame is taken and done at once, nothing is
 * ever received. It is the default and the measure of what a front-end costs by itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/nic.h"

#define NULL_QUEUES 8

struct null_nic {
	struct nic_backend be;          /* first: the seam hands this around */
	unsigned int done[NULL_QUEUES]; /* frames taken, not yet reported */
};

static void null_destroy(struct nic_backend *be)
{
	free(be);
}

static unsigned int null_send(struct nic_backend *be, unsigned int q,
			      const struct nic_tx_frame *frames, unsigned int n)
{
	struct null_nic *s = (struct null_nic *)be;

	for (unsigned int i = 0; i < n; i++)
		be->n.tx_bytes += frames[i].len;
	be->n.tx_frames += n;
	s->done[q % NULL_QUEUES] += n;
	return n;
}

static unsigned int null_sent(struct nic_backend *be, unsigned int q)
{
	struct null_nic *s = (struct null_nic *)be;
	unsigned int n = s->done[q % NULL_QUEUES];

	s->done[q % NULL_QUEUES] = 0;
	return n;
}

static unsigned int null_receive(struct nic_backend *be, unsigned int q, unsigned int max)
{
	return 0;
}

static void null_reset(struct nic_backend *be)
{
	memset(((struct null_nic *)be)->done, 0, sizeof(((struct null_nic *)be)->done));
}

static const struct nic_backend_ops null_ops = {
	.destroy = null_destroy,
	.send = null_send,
	.sent = null_sent,
	.receive = null_receive,
	.reset = null_reset,
};

static int null_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		       struct nic_backend **out)
{
	struct null_nic *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->be.ops = &null_ops;
	s->be.n_pairs = NULL_QUEUES;
	s->be.offloads = NIC_OFFLOAD_ALL;
	*out = &s->be;
	return 0;
}

static const struct nic_backend_type null_type = {
	.name = "null",
	.help = "frames go nowhere, none comes",
	.create = null_create,
};
NIC_BACKEND(&null_type);

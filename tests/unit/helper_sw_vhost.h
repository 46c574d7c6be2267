/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A front-end of vhost-user for tests of the switch's back-end: says what it is told over a
 * socketpair, shares a memfd, and records what the back-end tells its user.
 */
#ifndef TESTS_UNIT_HELPER_SW_VHOST_H
#define TESTS_UNIT_HELPER_SW_VHOST_H

#include "core/proto/virtio_net_abi.h"
#include "vswitch/vhost.h"

#define FE_FEATURES \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | \
	 VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC))
#define FE_F30 VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES)
#define FE_PROTOCOL \
	(VIRTIO_BIT(VHOST_USER_PROTOCOL_F_MQ) | VIRTIO_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
	 VIRTIO_BIT(VHOST_USER_PROTOCOL_F_FL_FILTER))
#define FE_MEM_SIZE (1u << 20)
#define FE_GPA      UINT64_C(0x40000000)
#define FE_USER     UINT64_C(0x7f1200000000)
#define FE_SIZE     256 /* entries of a ring */

/* What the back-end has told, ring by ring. */
struct fe_ring {
	bool running, enabled;
	unsigned int n_starts, n_stops;
	struct vhost_ring_conf conf;
	uint16_t next; /* what the next stop gives */
	int call_fd;
};

struct fe {
	int sock, memfd;
	uint8_t *mem; /* of memfd */
	struct vhost_conn *conn;
	struct fe_ring ring[VHOST_MAX_RINGS];
	struct vhost_user_filter filter;
	bool has_filter;
	unsigned int n_filters;
	bool sent;      /* the newest bytes went out wholly */
	bool wrong;     /* the back-end called in an order that it must not */
	char last[256]; /* the newest line of err_say() */
	unsigned int n_said;
	unsigned int n_fds; /* open before everything */
};

extern const struct vhost_ops fe_ops; /* for a struct fe */

/* fe_open - two pairs; fe_close - also when the connection has gone, true: no descriptor leaked. */
void fe_open(struct fe *fe);
bool fe_close(struct fe *fe);
void fe_hang_up(struct fe *fe); /* the back-end's side: what its caller does after a fault */
unsigned int fe_count_fds(void);

/* fe_send_raw - any bytes with any descriptors. fe_send - one message as it should be. */
void fe_send_raw(struct fe *fe, const void *bytes, size_t size, const int *fds, unsigned int n_fds);
void fe_send(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
	     unsigned int n_fds);
/* fe_say - sends it and lets the back-end work: 0 or its error. */
int fe_say(struct fe *fe, uint32_t request, const void *payload, uint32_t size);
int fe_say_fds(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
	       unsigned int n_fds);
int fe_say_u64(struct fe *fe, uint32_t request, uint64_t v);
int fe_say_state(struct fe *fe, uint32_t request, uint32_t ring, uint32_t num);
int fe_say_addr(struct fe *fe, uint32_t ring, uint64_t desc, uint64_t avail, uint64_t used);
/* fe_say_event - with a new eventfd, which is closed here afterwards. */
int fe_say_event(struct fe *fe, uint32_t request, uint64_t v);
/* fe_say_memory - n regions, each with the memfd. */
int fe_say_memory(struct fe *fe, const struct vhost_user_region *r, uint32_t n);
/* fe_answer - bytes of the next answer's payload, -1 when there is none or it is not of `request`.
 */
int fe_answer(struct fe *fe, uint32_t request, void *payload, size_t size);

struct vhost_user_region fe_region(void); /* the whole memfd */
uint64_t fe_ring_user(uint32_t ring);     /* where its descriptors are; then avail, then used */
/* The steps of a good front-end. 0 or the back-end's error. */
int fe_handshake(struct fe *fe);
int fe_start_ring(struct fe *fe, uint32_t ring); /* its used index is 7 */
/* fe_set_used - the used index of a ring where fe_start_ring() puts it. */
void fe_set_used(struct fe *fe, uint32_t ring, uint16_t idx);
int fe_start_all(struct fe *fe); /* handshake, memory, rings 0 and 1 enabled */

#endif

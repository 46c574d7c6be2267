/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames through virtio-net: from hand-made chains to a back-end that this file registers ("catch":
 * it keeps what it is given, holds completions as told and delivers frames on command) and back;
 * then the same with `loop`. VIRTIO 1.2 section 5.1.6.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "helper_virtio.h"

#define F_NEXT  1
#define F_WRITE 2
#define HDR     12

/* --- the back-end --- */
struct catch_nic {
	struct nic_backend be;
	unsigned int accept; /* frames that send() still takes */
	unsigned int hold;   /* of the frames taken, so many are not done yet */
	unsigned int n_taken, n_reported, resets;
	struct iovec last[NIC_MAX_IOV]; /* of the last frame taken */
	unsigned int last_n;
	uint32_t len[256];
	uint8_t first_byte[256];
	unsigned int rx_left; /* frames to deliver */
	uint32_t rx_len;
	uint64_t rx_no_buffer;
};

static void catch_destroy(struct nic_backend *be)
{
	free(be);
}

static unsigned int catch_send(struct nic_backend *be, unsigned int q,
			       const struct nic_tx_frame *frames, unsigned int n)
{
	struct catch_nic *c = (struct catch_nic *)be;
	unsigned int i;

	for (i = 0; i < n && c->accept; i++, c->accept--) {
		memcpy(c->last, frames[i].iov, frames[i].n_iov * sizeof(c->last[0]));
		c->last_n = frames[i].n_iov;
		c->len[c->n_taken % 256] = frames[i].len;
		c->first_byte[c->n_taken++ % 256] = *(uint8_t *)frames[i].iov[0].iov_base;
		c->hold++;
	}
	return i;
}

static unsigned int catch_sent(struct nic_backend *be, unsigned int q)
{
	struct catch_nic *c = (struct catch_nic *)be;
	unsigned int n = c->n_taken - c->n_reported - c->hold;

	c->n_reported += n;
	return n;
}

static unsigned int catch_receive(struct nic_backend *be, unsigned int q, unsigned int max)
{
	struct catch_nic *c = (struct catch_nic *)be;
	struct nic_rx_done done[NIC_BURST];
	unsigned int n = 0, pos = 0, handled = 0, n_bufs;

	for (; handled < max && c->rx_left; handled++, c->rx_left--) {
		struct iovec iov[NIC_MAX_IOV];
		uint32_t room, left = c->rx_len;
		unsigned int k =
			nic_rx_gather(be->fe, q, pos, c->rx_len, iov, NIC_MAX_IOV, &n_bufs, &room);

		if (!k) {
			c->rx_no_buffer++;
			continue;
		}
		for (unsigned int i = 0; i < k && left; i++) {
			uint32_t part = left < iov[i].iov_len ? left : (uint32_t)iov[i].iov_len;

			memset(iov[i].iov_base, 0x5a, part);
			left -= part;
		}
		done[n++] = (struct nic_rx_done){ .len = c->rx_len, .n_bufs = (uint16_t)n_bufs };
		pos += n_bufs;
	}
	if (n)
		be->fe->ops->rx_done(be->fe, q, done, n);
	return handled;
}

static void catch_reset(struct nic_backend *be)
{
	struct catch_nic *c = (struct catch_nic *)be;

	c->resets++;
	c->hold = 0;
}

static const struct nic_backend_ops catch_ops = {
	.destroy = catch_destroy,
	.send = catch_send,
	.sent = catch_sent,
	.receive = catch_receive,
	.reset = catch_reset,
};

static int catch_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
			struct nic_backend **out)
{
	struct catch_nic *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->be.ops = &catch_ops;
	c->accept = ~0u;
	*out = &c->be;
	return 0;
}

static const struct nic_backend_type catch_type = { .name = "catch", .create = catch_create };
NIC_BACKEND(&catch_type);

/* --- the guest --- */
static struct catch_nic *nic(struct vg *g)
{
	return (struct catch_nic *)g->v->be;
}

static int setup(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,backend=catch", -1);
	*state = &g;
	return 0;
}

static int setup_loop(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,backend=loop", -1);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	vg_down(*state);
	return 0;
}

/* Done with everything taken from now on at once. */
static void poll_done(struct vg *g)
{
	vg_poll(g);
	nic(g)->hold = 0;
	vg_poll(g);
}

static uint64_t buf(unsigned int i)
{
	return VG_DATA + 0x1000 * i;
}

/* Posts one frame of `len` bytes whose header stands before it, in one descriptor. */
static void post_frame(struct vg *g, unsigned int i, uint32_t len)
{
	memset(vg_ptr(g, buf(i)), 0, HDR);
	memset(vg_ptr(g, buf(i) + HDR), (int)i, 64);
	vg_set_desc(g, VG_TX, i % g->size, buf(i), HDR + len, 0, 0);
	vg_post(g, VG_TX, (uint16_t)(i % g->size));
}

static void post_rx(struct vg *g, unsigned int i, uint32_t len)
{
	vg_set_desc(g, VG_RX, i % g->size, buf(64 + i), len, F_WRITE, 0);
	vg_post(g, VG_RX, (uint16_t)(i % g->size));
}

static void deliver(struct vg *g, unsigned int n, uint32_t len)
{
	nic(g)->rx_left = n;
	nic(g)->rx_len = len;
	vg_poll(g);
}

/* --- transmit --- */
static void tx_frame_reaches_the_back_end_where_it_lies(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	post_frame(g, 3, 60);
	poll_done(g);
	assert_int_equal(nic(g)->n_taken, 1);
	assert_int_equal(nic(g)->len[0], 60);
	assert_int_equal(nic(g)->last_n, 1);
	assert_ptr_equal(nic(g)->last[0].iov_base, vg_ptr(g, buf(3) + HDR));
	assert_int_equal(vg_used(g, VG_TX)->idx, 1);
	assert_int_equal(vg_used(g, VG_TX)->ring[0].id, 3);
	assert_int_equal(vg_used(g, VG_TX)->ring[0].len, 0);
}

static void tx_header_may_lie_in_many_descriptors(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	vg_set_desc(g, VG_TX, 0, buf(0), 1, F_NEXT, 1);
	vg_set_desc(g, VG_TX, 1, buf(1), 7, F_NEXT, 2);
	vg_set_desc(g, VG_TX, 2, buf(2), 0, F_NEXT, 3);
	vg_set_desc(g, VG_TX, 3, buf(3), 3, F_NEXT, 4);
	vg_set_desc(g, VG_TX, 4, buf(4), 21, F_NEXT, 5);
	vg_set_desc(g, VG_TX, 5, buf(5), 40, 0, 0);
	vg_post(g, VG_TX, 0);
	poll_done(g);
	assert_int_equal(nic(g)->len[0], 60);
	assert_int_equal(nic(g)->last_n, 2);
	assert_ptr_equal(nic(g)->last[0].iov_base, vg_ptr(g, buf(4) + 1));
}

static void tx_header_is_read_over_its_pieces(void **state)
{
	struct vg *g = *state;

	/* gso_type is the second byte, alone in the second descriptor */
	vg_start(g, VG_F_NET, 16);
	*(uint8_t *)vg_ptr(g, buf(1)) = 1;
	vg_set_desc(g, VG_TX, 0, buf(0), 1, F_NEXT, 1);
	vg_set_desc(g, VG_TX, 1, buf(1), 1, F_NEXT, 2);
	vg_set_desc(g, VG_TX, 2, buf(2), 70, 0, 0);
	vg_post(g, VG_TX, 0);
	poll_done(g);
	assert_int_equal(nic(g)->n_taken, 0);
	assert_int_equal(vg_counter(g, "tx_refused_offload"), 1);
}

static void tx_chain_shorter_than_header_or_frame_is_dropped(void **state)
{
	static const uint32_t len[] = { 0, 1, 11, 12, 12 + 13 };
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	for (unsigned int i = 0; i < 5; i++) {
		vg_set_desc(g, VG_TX, i, buf(i), len[i], 0, 0);
		vg_post(g, VG_TX, (uint16_t)i);
	}
	post_frame(g, 5, 14);
	poll_done(g);
	assert_int_equal(vg_counter(g, "tx_drop_too_short"), 5);
	assert_int_equal(nic(g)->n_taken, 1);
	assert_int_equal(vg_used(g, VG_TX)->idx, 6);
	assert_int_equal(vg_status(g), 15);
}

static void tx_frame_that_is_too_long_or_in_too_many_pieces_is_dropped(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 128);
	post_frame(g, 0, NIC_MAX_FRAME);
	post_frame(g, 1, NIC_MAX_FRAME + 1);
	for (uint16_t i = 2; i < 70; i++)
		vg_set_desc(g, VG_TX, i, buf(2), 20, i < 69 ? F_NEXT : 0, i + 1);
	vg_post(g, VG_TX, 2);
	poll_done(g);
	assert_int_equal(nic(g)->n_taken, 1);
	assert_int_equal(vg_counter(g, "tx_drop_too_long"), 2);
	assert_int_equal(vg_used(g, VG_TX)->idx, 3);
	assert_int_equal(vg_status(g), 15);
}

static void tx_frame_that_asks_for_an_offload_is_dropped(void **state)
{
	static const struct virtio_net_hdr bad[] = {
		{ .flags = 1, .csum_start = 60000, .csum_offset = 60000 },
		{ .gso_type = 1, .gso_size = 0, .hdr_len = 54 },
		{ .gso_type = 4, .gso_size = 1, .hdr_len = 0xffff },
		{ .gso_type = 3 },
		{ .gso_type = 5 },
		{ .gso_type = 0x80 },
		{ .gso_type = 0x7f },
		{ .gso_type = 255, .flags = 255 },
	};
	const unsigned int n = sizeof(bad) / sizeof(bad[0]);
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	for (unsigned int i = 0; i < n; i++) {
		post_frame(g, i, 60);
		memcpy(vg_ptr(g, buf(i)), &bad[i], sizeof(bad[i]));
	}
	post_frame(g, n, 60);
	((struct virtio_net_hdr *)vg_ptr(g, buf(n)))->hdr_len =
		0xffff; /* a hint without meaning here */
	poll_done(g);
	assert_int_equal(vg_counter(g, "tx_drop_error"), n);
	assert_int_equal(nic(g)->n_taken, 1);
	assert_int_equal(vg_status(g), 15);
}

static void tx_chain_with_writable_descriptor_breaks_the_device(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	vg_set_desc(g, VG_TX, 0, buf(0), 80, F_NEXT, 1);
	vg_set_desc(g, VG_TX, 1, buf(1), 80, F_WRITE, 0);
	vg_post(g, VG_TX, 0);
	poll_done(g);
	assert_int_equal(vg_status(g), 15 | 64);
	assert_int_equal(nic(g)->n_taken, 0);
	assert_int_equal(vg_poll(g), 0);
}

static void tx_frames_stay_in_order_when_the_back_end_is_full(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 256);
	nic(g)->accept = 3;
	for (unsigned int i = 0; i < 100; i++)
		post_frame(g, i, 60);
	poll_done(g);
	assert_int_equal(nic(g)->n_taken, 3);
	assert_int_equal(vg_used(g, VG_TX)->idx, 3);
	assert_int_equal(vg_poll(g), 0); /* nothing to do until it takes more */
	for (unsigned int n = 0; n < 97; n += 9) {
		nic(g)->accept = 9;
		poll_done(g);
	}
	poll_done(g);
	assert_int_equal(nic(g)->n_taken, 100);
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(nic(g)->first_byte[i], i);
		assert_int_equal(vg_used(g, VG_TX)->ring[i].id, i);
	}
}

static void tx_buffers_come_back_only_when_the_back_end_is_done(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	for (unsigned int i = 0; i < 5; i++)
		post_frame(g, i, 60);
	vg_poll(g);
	assert_int_equal(nic(g)->n_taken, 5);
	assert_int_equal(vg_used(g, VG_TX)->idx, 0);
	nic(g)->hold = 2;
	vg_poll(g);
	assert_int_equal(vg_used(g, VG_TX)->idx, 3);
	nic(g)->hold = 0;
	vg_poll(g);
	assert_int_equal(vg_used(g, VG_TX)->idx, 5);
}

static void tx_burst_gives_one_interrupt_and_none_when_not_wanted(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 64);
	for (unsigned int i = 0; i < 40; i++)
		post_frame(g, i, 60);
	poll_done(g);
	assert_int_equal(vg_counter(g, "interrupts"), 1);
	assert_int_equal(vg_read(g, 0x1000, 1), 1);
	vg_avail(g, VG_TX)->flags = 1;
	for (unsigned int i = 40; i < 80; i++)
		post_frame(g, i, 60);
	poll_done(g);
	assert_int_equal(vg_used(g, VG_TX)->idx, 80);
	assert_int_equal(vg_counter(g, "interrupts"), 1);
	assert_int_equal(vg_read(g, 0x1000, 1), 0);
}

static void tx_notifications_are_off_while_polled_and_on_at_rest(void **state)
{
	struct vg *g = *state;
	struct io_poller *p = &g->v->poller;

	vg_start(g, VG_F_NET, 16);
	vg_poll(g);
	assert_int_equal(vg_used(g, VG_TX)->flags, 0);
	p->wake(p);
	assert_int_equal(vg_used(g, VG_TX)->flags, 1);
	assert_int_equal(vg_used(g, VG_RX)->flags, 1);
	p->rest(p);
	assert_int_equal(vg_used(g, VG_TX)->flags, 0);
	assert_int_equal(vg_used(g, VG_RX)->flags, 1); /* no frame waits for a buffer */
	p->wake(p);
	deliver(g, 1, 60);
	p->rest(p);
	assert_int_equal(vg_used(g, VG_RX)->flags, 0);
	/* a driver that comes while the thread polls is told with the next round */
	p->wake(p);
	vg_start(g, VG_F_NET, 16);
	vg_poll(g);
	assert_int_equal(vg_used(g, VG_TX)->flags, 1);
}

static void device_without_bus_mastering_touches_nothing(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	vg_cfg_write(g, 4, 2, 2);
	post_frame(g, 0, 60);
	poll_done(g);
	assert_int_equal(nic(g)->n_taken, 0);
	vg_cfg_write(g, 4, 2, 6);
	poll_done(g);
	assert_int_equal(nic(g)->n_taken, 1);
}

/* --- receive --- */
static void rx_frame_lies_behind_a_zero_header(void **state)
{
	static const uint8_t header[HDR] = { [10] = 1 };
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	memset(vg_ptr(g, buf(64 + 2)), 0xee, 1600);
	post_rx(g, 2, 1526);
	deliver(g, 1, 60);
	assert_int_equal(vg_used(g, VG_RX)->idx, 1);
	assert_int_equal(vg_used(g, VG_RX)->ring[0].id, 2);
	assert_int_equal(vg_used(g, VG_RX)->ring[0].len, 72);
	assert_memory_equal(vg_ptr(g, buf(66)), header, HDR);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(66) + 12), 0x5a);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(66) + 71), 0x5a);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(66) + 72), 0xee);
	assert_int_equal(vg_read(g, 0x1000, 1), 1);
}

static void rx_header_may_lie_in_pieces(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	for (unsigned int i = 0; i < 4; i++)
		memset(vg_ptr(g, buf(64 + i)), 0xee, 128);
	vg_set_desc(g, VG_RX, 0, buf(64), 5, F_WRITE | F_NEXT, 1);
	vg_set_desc(g, VG_RX, 1, buf(65), 6, F_WRITE | F_NEXT, 2);
	vg_set_desc(g, VG_RX, 2, buf(66), 1, F_WRITE | F_NEXT, 3);
	vg_set_desc(g, VG_RX, 3, buf(67), 100, F_WRITE, 0);
	vg_post(g, VG_RX, 0);
	deliver(g, 1, 100);
	assert_int_equal(vg_used(g, VG_RX)->ring[0].len, 112);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(64) + 4), 0);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(64) + 5), 0xee);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(65) + 5), 1); /* low byte of num_buffers */
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(66)), 0);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(67)), 0x5a);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(67) + 100), 0xee);
}

static void rx_mergeable_frame_takes_several_buffers_and_one_header(void **state)
{
	struct vg *g = *state;
	const struct virtq_used_elem *e = vg_used(g, VG_RX)->ring;

	vg_start(g, VG_F_NET | VG_F_MRG, 16);
	for (unsigned int i = 0; i < 8; i++)
		post_rx(g, i, 512);
	deliver(g, 2, 1400); /* 500 + 512 + 388, twice */
	assert_int_equal(vg_used(g, VG_RX)->idx, 6);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(e[i].id, i);
	assert_int_equal(e[0].len, 512);
	assert_int_equal(e[1].len, 512);
	assert_int_equal(e[2].len, 388);
	assert_int_equal(e[5].len, 388);
	assert_int_equal(((struct virtio_net_hdr *)vg_ptr(g, buf(64)))->num_buffers, 3);
	assert_int_equal(((struct virtio_net_hdr *)vg_ptr(g, buf(67)))->num_buffers, 3);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(65)), 0x5a);
	assert_int_equal(*(uint8_t *)vg_ptr(g, buf(66) + 387), 0x5a);
	assert_int_equal(vg_counter(g, "interrupts"), 1);
	/* the two buffers left do not hold another one, and stay */
	deliver(g, 1, 1400);
	assert_int_equal(nic(g)->rx_no_buffer, 1);
	deliver(g, 1, 1000);
	assert_int_equal(vg_used(g, VG_RX)->idx, 8);
}

static void mergeable_buffers_are_offered_unless_they_are_off(void **state)
{
	struct vg *g = *state, off;

	vg_write(g, 0, 4, 0);
	assert_int_equal(vg_read(g, 4, 4) & VG_F_MRG, VG_F_MRG);
	vg_up(&off, "virtio,backend=loop,mergeable=off", -1);
	vg_write(&off, 0, 4, 0);
	assert_int_equal(vg_read(&off, 4, 4) & VG_F_MRG, 0);
	vg_down(&off);
}

static void rx_frame_never_spreads_without_mergeable_buffers(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	for (unsigned int i = 0; i < 4; i++)
		post_rx(g, i, 512);
	deliver(g, 1, 501);
	assert_int_equal(vg_used(g, VG_RX)->idx, 0);
	assert_int_equal(nic(g)->rx_no_buffer, 1);
	deliver(g, 1, 500);
	assert_int_equal(vg_used(g, VG_RX)->idx, 1);
	assert_int_equal(vg_status(g), 15);
}

static void rx_chain_with_readable_descriptor_breaks_the_device(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 16);
	vg_set_desc(g, VG_RX, 0, buf(64), 20, F_NEXT, 1);
	vg_set_desc(g, VG_RX, 1, buf(65), 2000, F_WRITE, 0);
	vg_post(g, VG_RX, 0);
	deliver(g, 1, 60);
	assert_int_equal(vg_status(g), 15 | 64);
	assert_int_equal(vg_used(g, VG_RX)->idx, 0);
}

static void rx_buffer_without_room_breaks_the_device(void **state)
{
	static const uint32_t len[] = { 0, 1, 11, 12 };
	struct vg *g = *state;

	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		vg_start(g, VG_F_NET | VG_F_MRG, 16);
		post_rx(g, 0, len[i]);
		deliver(g, 1, 60);
		assert_int_equal(vg_status(g), 15 | 64);
	}
	/* an empty one further back could be asked for for ever */
	vg_start(g, VG_F_NET | VG_F_MRG, 16);
	post_rx(g, 0, 40);
	post_rx(g, 1, 0);
	deliver(g, 1, 60);
	assert_int_equal(vg_status(g), 15 | 64);
}

static void rx_goes_on_after_a_guest_that_did_not_refill(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET | VG_F_MRG, 16);
	for (unsigned int i = 0; i < 16; i++)
		post_rx(g, i, 1526);
	for (unsigned int n = 0; n < 100; n++)
		deliver(g, 64, 60);
	assert_int_equal(vg_used(g, VG_RX)->idx, 16);
	assert_int_equal(nic(g)->rx_no_buffer, 6400 - 16);
	for (unsigned int i = 16; i < 20; i++)
		post_rx(g, i, 1526);
	deliver(g, 3, 60);
	assert_int_equal(vg_used(g, VG_RX)->idx, 19);
	assert_int_equal(vg_status(g), 15);
}

static void rx_indices_wrap(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET | VG_F_MRG, 4);
	for (unsigned int i = 0; i < 70000; i++) {
		post_rx(g, i % 4, 1526);
		deliver(g, 1, 60 + i % 1000);
		assert_int_equal(vg_used(g, VG_RX)->idx, (uint16_t)(i + 1));
		assert_int_equal(vg_used(g, VG_RX)->ring[i % 4].len, 72 + i % 1000);
	}
}

/* --- reset --- */
static void reset_with_frames_in_flight_leaves_nothing_to_the_next_driver(void **state)
{
	struct vg *g = *state;

	for (unsigned int round = 0; round < 20; round++) {
		vg_start(g, VG_F_NET, 16);
		nic(g)->accept = 4;
		for (unsigned int i = 0; i < 9; i++)
			post_frame(g, i, 60);
		vg_poll(g); /* 4 with the back-end, 5 walked and waiting */
		assert_int_equal(g->v->tx[0].n_in_flight, 4);
		vg_set_status(g, 0);
		assert_int_equal(nic(g)->resets, 2 * round + 1);
		nic(g)->accept = ~0u;
		vg_start(g, VG_F_NET, 16);
		post_frame(g, 0, 60);
		post_frame(g, 1, 60);
		vg_poll(g);
		vg_poll(g);
		assert_int_equal(vg_used(g, VG_TX)->idx,
				 0); /* what is done is not of this driver */
		vg_set_status(g, 0);
	}
	assert_int_equal(nic(g)->n_taken, 20 * (4 + 2));
}

static void reset_in_the_middle_of_traffic_from_another_thread(void **state)
{
	struct vg *g = *state;

	/* the real I/O thread polls, we are the vCPU */
	assert_int_equal(io_start(vm_io(g->vm)), 0);
	for (unsigned int round = 0; round < 200; round++) {
		vg_start(g, VG_F_NET | VG_F_MRG | (round & 1 ? VG_F_EVENT : 0), 64);
		for (unsigned int i = 0; i < 32; i++)
			post_rx(g, i, 1526);
		for (unsigned int i = 0; i < 64; i++) {
			post_frame(g, i, 60);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			if (i % 16 == 0)
				vg_write(g, 0x3004, 2, 1);
		}
		vg_set_status(g, 0);
		assert_int_equal(vg_status(g), 0);
	}
	io_stop(vm_io(g->vm));
}

/* --- loop --- */
static void loop_brings_frames_back(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET | VG_F_MRG | VG_F_INDIRECT | VG_F_EVENT, 64);
	for (unsigned int n = 0; n < 50; n++) {
		for (unsigned int i = 0; i < 60; i++)
			post_rx(g, (n * 60 + i) % 64, 300);
		for (unsigned int i = 0; i < 30; i++)
			post_frame(g, i, 400);
		while (vg_poll(g))
			;
		assert_int_equal(vg_used(g, VG_RX)->idx, (n + 1) * 60);
		assert_int_equal(vg_used(g, VG_TX)->idx, (n + 1) * 30);
	}
	assert_int_equal(vg_counter(g, "rx_frames"), 1500);
	assert_int_equal(vg_counter(g, "tx_frames"), 1500);
	/* without buffers: lost with its cause, transmit goes on */
	post_frame(g, 0, 400);
	while (vg_poll(g))
		;
	assert_int_equal(vg_counter(g, "rx_drop_no_buffer"), 1);
	assert_int_equal(vg_used(g, VG_TX)->idx, 1501);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tx_frame_reaches_the_back_end_where_it_lies),
		T(tx_header_may_lie_in_many_descriptors),
		T(tx_header_is_read_over_its_pieces),
		T(tx_chain_shorter_than_header_or_frame_is_dropped),
		T(tx_frame_that_is_too_long_or_in_too_many_pieces_is_dropped),
		T(tx_frame_that_asks_for_an_offload_is_dropped),
		T(tx_chain_with_writable_descriptor_breaks_the_device),
		T(tx_frames_stay_in_order_when_the_back_end_is_full),
		T(tx_buffers_come_back_only_when_the_back_end_is_done),
		T(tx_burst_gives_one_interrupt_and_none_when_not_wanted),
		T(tx_notifications_are_off_while_polled_and_on_at_rest),
		T(device_without_bus_mastering_touches_nothing),
		T(rx_frame_lies_behind_a_zero_header),
		T(rx_header_may_lie_in_pieces),
		T(rx_mergeable_frame_takes_several_buffers_and_one_header),
		T(mergeable_buffers_are_offered_unless_they_are_off),
		T(rx_frame_never_spreads_without_mergeable_buffers),
		T(rx_chain_with_readable_descriptor_breaks_the_device),
		T(rx_buffer_without_room_breaks_the_device),
		T(rx_goes_on_after_a_guest_that_did_not_refill),
		T(rx_indices_wrap),
		T(reset_with_frames_in_flight_leaves_nothing_to_the_next_driver),
		T(reset_in_the_middle_of_traffic_from_another_thread),
		cmocka_unit_test_setup_teardown(loop_brings_frames_back, setup_loop, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

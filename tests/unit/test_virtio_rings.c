/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net on a back-end that works on the rings itself: what is handed over and when it is taken
 * back, interrupts, the control queue and what a guest may do wrong with it. The back-end here
 * writes down what it is told.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper_virtio.h"

#define PAIRS  3
#define CTRL   (2 * PAIRS)
#define F_MQ   (VIRTIO_BIT(VIRTIO_NET_F_MQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ))
#define OK_ALL (1 | 2 | 8 | 4)

struct book {
	struct nic_backend be; /* first */
	unsigned int n_start, n_stop, n_enable, n_call, n_late;
	bool running;
	uint64_t features;
	unsigned int n;
	struct nic_ring ring[NIC_MAX_RINGS];
};

static void book_destroy(struct nic_backend *be)
{
	free(be);
}

static unsigned int book_none(struct nic_backend *be, unsigned int q, unsigned int max)
{
	fail_msg("a back-end with rings is asked for frames");
	return 0;
}

static unsigned int book_send(struct nic_backend *be, unsigned int q, const struct nic_tx_frame *f,
			      unsigned int n)
{
	return book_none(be, q, n);
}

static unsigned int book_sent(struct nic_backend *be, unsigned int q)
{
	return book_none(be, q, 0);
}

static uint64_t book_features(struct nic_backend *be, uint64_t offered, unsigned int *max_pairs)
{
	*max_pairs = 4;
	return offered &
	       ~(VIRTIO_BIT(VIRTIO_F_RING_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_RING_PACKED));
}

static void book_start(struct nic_backend *be, uint64_t features, const struct nic_ring *ring,
		       unsigned int n)
{
	struct book *b = (struct book *)be;

	assert_false(b->running);
	b->running = true;
	b->n_start++;
	b->features = features;
	b->n = n;
	memcpy(b->ring, ring, n * sizeof(*ring));
}

static void book_stop(struct nic_backend *be)
{
	struct book *b = (struct book *)be;

	b->running = false;
	b->n_stop++;
}

static void book_enable(struct nic_backend *be, unsigned int ring, bool on)
{
	struct book *b = (struct book *)be;

	assert_true(b->running && ring < b->n);
	b->ring[ring].enabled = on;
	b->n_enable++;
}

static void book_call(struct nic_backend *be, unsigned int ring, int call_fd)
{
	struct book *b = (struct book *)be;

	assert_true(b->running && ring < b->n);
	b->ring[ring].call_fd = call_fd;
	b->n_call++;
}

static void book_late(struct nic_backend *be, const char *name, int fd)
{
	((struct book *)be)->n_late += !strcmp(name, "socket");
	close(fd);
}

static const struct nic_backend_ops book_ops = {
	.destroy = book_destroy,
	.send = book_send,
	.sent = book_sent,
	.receive = book_none,
	.rings_features = book_features,
	.rings_start = book_start,
	.rings_stop = book_stop,
	.ring_enable = book_enable,
	.ring_call = book_call,
	.late_fd = book_late,
};

static int book_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		       struct nic_backend **out)
{
	struct book *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->be.ops = &book_ops;
	*out = &b->be;
	return 0;
}

static const struct nic_backend_type book_type = { .name = "book", .create = book_create };
NIC_BACKEND(&book_type);

static struct book *book(struct vg *g)
{
	return (struct book *)g->v->be;
}

static int setup(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,backend=book", -1);
	*state = &g;
	return 0;
}

static int setup_several(void **state)
{
	static struct vg g;

	vg_up(&g, "virtio,backend=book,queues=3", -1);
	*state = &g;
	return 0;
}

static int teardown(void **state)
{
	vg_down(*state);
	return 0;
}

/* A driver that uses all pairs and the control queue. */
static void start_several(struct vg *g, uint64_t features)
{
	vg_start_all(g, VG_F_NET | features, 64, CTRL + 1);
}

static uint64_t drain(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) < 0 ? 0 : n;
}

/* MSI-X of the function as a whole. */
static void msix(struct vg *g, bool on)
{
	unsigned int at = vg_cfg_read(g, 0x34, 1);

	while (at && vg_cfg_read(g, at, 1) != 0x11)
		at = vg_cfg_read(g, at + 1, 1);
	assert_int_not_equal(at, 0);
	vg_cfg_write(g, at + 2, 2, on ? 0x8000 : 0);
}

static void bus_master(struct vg *g, bool on)
{
	vg_cfg_write(g, 4, 2, on ? 0x6 : 0x2);
}

/* --- handing over --- */
static void rings_are_handed_over_when_the_driver_is_ready(void **state)
{
	struct vg *g = *state;
	struct book *b = book(g);

	vg_start(g, VG_F_NET | VG_F_MRG, 128);
	assert_int_equal(b->n_start, 1);
	assert_int_equal(b->n, 2);
	assert_true(b->features & VG_F_MRG);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(b->ring[i].size, 128);
		assert_ptr_equal(vg_ptr(g, b->ring[i].desc), vg_desc(g, i));
		assert_ptr_equal(vg_ptr(g, b->ring[i].avail), vg_avail(g, i));
		assert_ptr_equal(vg_ptr(g, b->ring[i].used), vg_used(g, i));
		assert_true(b->ring[i].enabled);
		assert_int_equal(b->ring[i].kick_fd, g->v->vd.queue[i].kick.fd);
	}
	/* the poller has nothing to do with frames now */
	vg_set_desc(g, VG_TX, 0, VG_DATA, 100, 0, 0);
	vg_post(g, VG_TX, 0);
	assert_int_equal(vg_poll(g), 0);
	assert_int_equal(vg_used(g, VG_TX)->idx, 0);
}

static void only_what_the_backend_serves_is_offered(void **state)
{
	struct vg *g = *state;

	vg_negotiate(g, VG_F_NET | VG_F_INDIRECT);
	assert_int_equal(vg_status(g) & 8, 0);
	vg_negotiate(g, VG_F_NET | VG_F_EVENT | VG_F_MRG);
	assert_int_equal(vg_status(g) & 8, 8);
}

static void reset_takes_the_rings_back(void **state)
{
	struct vg *g = *state;
	struct book *b = book(g);

	vg_start(g, VG_F_NET, 64);
	vg_set_status(g, 0);
	assert_false(b->running);
	vg_set_status(g, 0);
	assert_int_equal(b->n_stop, 1);
	vg_start(g, VG_F_NET, 32);
	assert_true(b->running);
	assert_int_equal(b->ring[1].size, 32);
}

static void bus_mastering_off_takes_them_back_until_it_is_on(void **state)
{
	struct vg *g = *state;
	struct book *b = book(g);

	vg_start(g, VG_F_NET, 64);
	bus_master(g, false);
	assert_false(b->running);
	bus_master(g, true);
	assert_true(b->running);
	vg_set_status(g, 0);
	bus_master(g, false);
	vg_start(g, VG_F_NET, 64);
	assert_false(b->running);
	bus_master(g, true);
	assert_true(b->running);
	assert_int_equal(b->n_start, 3);
}

static void driver_that_gives_up_stops_the_rings(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 64);
	vg_set_status(g, OK_ALL | 128);
	vg_poll(g);
	assert_false(book(g)->running);
}

static void driver_without_both_queues_hands_nothing_over(void **state)
{
	struct vg *g = *state;

	vg_negotiate(g, VG_F_NET);
	vg_setup_queue(g, VG_RX, 64);
	vg_set_status(g, OK_ALL);
	assert_int_equal(book(g)->n_start, 0);
}

static void trapped_doorbell_reaches_the_backend(void **state)
{
	struct vg *g = *state;
	struct book *b = book(g);

	vg_start(g, VG_F_NET, 64);
	vg_write(g, 0x3000 + 4, 2, 1);
	assert_int_equal(drain(b->ring[1].kick_fd), 1);
	assert_int_equal(drain(b->ring[0].kick_fd), 0);
	vg_write(g, 0x3000, 2, 2);
	vg_write(g, 0x3000, 2, 0xffff);
	assert_int_equal(drain(b->ring[0].kick_fd), 0);
}

static void late_descriptor_goes_to_the_backend(void **state)
{
	struct vg *g = *state;

	g->v->dev.ops->late_fd(&g->v->dev, "socket", eventfd(0, 0));
	assert_int_equal(book(g)->n_late, 1);
}

/* --- interrupts --- */
static void vectors_go_straight_to_the_backend(void **state)
{
	struct vg *g = *state;
	struct book *b = book(g);

	msix(g, true);
	vg_start(g, VG_F_NET, 64);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(b->ring[i].call_fd, pci_msix_fd(&g->v->vd.pci, i));
	vg_write(g, 0x16, 2, VG_TX);
	vg_write(g, 0x1a, 2, 2);
	assert_int_equal(b->n_call, 1);
	assert_int_equal(b->ring[1].call_fd, pci_msix_fd(&g->v->vd.pci, 2));
	vg_write(g, 0x1a, 2, 0xffff);
	assert_int_equal(b->ring[1].call_fd, -1);
	vg_write(g, 0x1a, 2, 1000); /* there is none: none */
	assert_int_equal(b->n_call, 2);
}

static void msix_on_and_off_moves_the_interrupts(void **state)
{
	struct vg *g = *state;
	struct book *b = book(g);
	int line;

	vg_start(g, VG_F_NET, 64);
	line = b->ring[0].call_fd;
	assert_int_equal(b->ring[1].call_fd, line);
	msix(g, true);
	assert_int_equal(b->ring[0].call_fd, pci_msix_fd(&g->v->vd.pci, 0));
	msix(g, false);
	assert_int_equal(b->ring[0].call_fd, line);
}

static void signal_without_msix_is_a_line_and_a_status_bit(void **state)
{
	struct vg *g = *state;
	struct book *b = book(g);

	vg_start(g, VG_F_NET, 64);
	assert_int_equal(eventfd_write(b->ring[0].call_fd, 1), 0);
	g->v->intx.ready(&g->v->intx, 0);
	vg_poll(g);
	assert_int_equal(vm_fake_counts(g->vm)->line_level, 1);
	assert_int_equal(vg_read(g, 0x1000, 1), 1);
	assert_int_equal(vm_fake_counts(g->vm)->line_level, 0);
	assert_int_equal(drain(b->ring[0].call_fd), 0);
}

static void link_of_the_backend_is_the_guests(void **state)
{
	struct vg *g = *state;

	vg_start(g, VG_F_NET, 64);
	assert_int_equal(vg_read(g, 0x2006, 2), 1);
	g->v->fe.ops->link(&g->v->fe, false);
	vg_poll(g);
	assert_int_equal(vg_read(g, 0x2006, 2), 0);
	assert_int_equal(vg_read(g, 0x1000, 1), 2);
	assert_true(book(g)->running); /* it goes on with the next one by itself */
	g->v->fe.ops->link(&g->v->fe, true);
	vg_poll(g);
	assert_int_equal(vg_read(g, 0x2006, 2), 1);
}

/* --- several queues --- */
static void one_pair_has_its_control_queue_behind_it(void **state)
{
	static const uint8_t cmd[] = { 0, 0, 0 };
	struct vg *g = *state;

	assert_int_equal(vg_read(g, 0x12, 2), 3);
	vg_negotiate(g, VG_F_NET | F_MQ);
	assert_int_equal(vg_status(g) & 8, 0); /* one pair has no MQ */
	vg_start_all(g,
		     VG_F_NET | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_RX),
		     64, 3);
	assert_int_equal(book(g)->n, 2);
	assert_true(g->v->be->filter.promisc);
	assert_int_equal(vg_command(g, 2, cmd, sizeof(cmd)), 0);
	assert_false(g->v->be->filter.promisc);
	vg_set_status(g, 0);
	assert_true(g->v->be->filter.promisc);
}

static void link_that_comes_back_wants_an_announcement(void **state)
{
	static const uint8_t ack[] = { 3, 0 };
	struct vg *g = *state;

	vg_start_all(g,
		     VG_F_NET | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) |
			     VIRTIO_BIT(VIRTIO_NET_F_GUEST_ANNOUNCE),
		     64, 3);
	assert_int_equal(vg_read(g, 0x2006, 2), 1);
	g->v->fe.ops->link(&g->v->fe, false);
	vg_poll(g);
	assert_int_equal(vg_read(g, 0x2006, 2), 0);
	g->v->fe.ops->link(&g->v->fe, true);
	vg_poll(g);
	assert_int_equal(vg_read(g, 0x2006, 2), 1 | 2);
	assert_int_equal(vg_read(g, 0x1000, 1) & 2, 2);
	assert_int_equal(vg_command(g, 2, ack, sizeof(ack)), 0);
	assert_int_equal(vg_read(g, 0x2006, 2), 1);
	/* down and up again before the guest looks */
	g->v->fe.ops->link(&g->v->fe, false);
	g->v->fe.ops->link(&g->v->fe, true);
	vg_poll(g);
	assert_int_equal(vg_read(g, 0x2006, 2), 1 | 2);
	/* a driver that does not know of it is not asked */
	vg_start(g, VG_F_NET, 64);
	g->v->fe.ops->link(&g->v->fe, false);
	vg_poll(g);
	g->v->fe.ops->link(&g->v->fe, true);
	vg_poll(g);
	assert_int_equal(vg_read(g, 0x2006, 2), 1);
}

static void several_pairs_are_told_and_start_with_one(void **state)
{
	struct vg *g = *state;
	struct book *b = book(g);

	assert_int_equal(vg_read(g, 0x12, 2), CTRL + 1);
	assert_int_equal(vg_read(g, 0x2008, 2), PAIRS);
	start_several(g, F_MQ);
	assert_int_equal(b->n, 2 * PAIRS);
	for (unsigned int i = 0; i < 2 * PAIRS; i++)
		assert_int_equal(b->ring[i].enabled, i < 2);
}

static void driver_without_mq_uses_the_first_pair(void **state)
{
	struct vg *g = *state;

	start_several(g, 0);
	assert_int_equal(book(g)->n, 2);
	vg_set_status(g, 0);
	/* the control queue's place would be another one */
	vg_negotiate(g, VG_F_NET | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ));
	assert_int_equal(vg_status(g) & 8, 0);
	vg_negotiate(g, VG_F_NET | VIRTIO_BIT(VIRTIO_NET_F_MQ));
	assert_int_equal(vg_status(g) & 8, 0);
}

static void more_pairs_than_the_back_end_has_are_refused(void **state)
{
	struct vg *g = *state;
	struct device_conf conf = { .name = "nic1" };
	struct device *dev;

	assert_int_equal(opts_parse("virtio,backend=book,queues=5", &conf.opts), 0);
	assert_int_equal(device_create(g->vm, &conf, &dev), -EINVAL);
	assert_non_null(strstr(g->message, "queues=5"));
	opts_free(conf.opts);
	assert_int_equal(opts_parse("virtio,backend=book,queues=9", &conf.opts), 0);
	assert_int_equal(device_create(g->vm, &conf, &dev), -EINVAL);
	opts_free(conf.opts);
}

static void packed_rings_need_a_back_end_that_has_them(void **state)
{
	struct vg *g = *state;
	struct device_conf conf = { .name = "nic1" };
	struct device *dev;

	assert_int_equal(opts_parse("virtio,backend=book,packed=on", &conf.opts), 0);
	assert_int_equal(device_create(g->vm, &conf, &dev), -EOPNOTSUPP);
	assert_non_null(strstr(g->message, "packed=on"));
	opts_free(conf.opts);
}

/* --- control queue --- */
static uint8_t command(struct vg *g, const void *cmd, uint32_t len)
{
	return vg_command(g, CTRL, cmd, len);
}

static uint8_t set_pairs(struct vg *g, unsigned int n)
{
	const uint8_t cmd[] = { 4, 0, (uint8_t)n, (uint8_t)(n >> 8) };

	return command(g, cmd, sizeof(cmd));
}

static void driver_sets_the_number_of_pairs(void **state)
{
	static const unsigned int row[] = { 3, 1, 2, 3, 3 };
	struct vg *g = *state;
	struct book *b = book(g);

	start_several(g, F_MQ);
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		assert_int_equal(set_pairs(g, row[k]), 0);
		for (unsigned int i = 0; i < 2 * PAIRS; i++)
			assert_int_equal(b->ring[i].enabled, i < 2 * row[k]);
	}
	assert_int_equal(b->n_enable, 4 + 4 + 2 + 2);
	assert_int_equal(set_pairs(g, 2), 0);
	/* they are kept over a loss of bus mastering, not over a reset */
	bus_master(g, false);
	bus_master(g, true);
	assert_true(b->ring[3].enabled);
	assert_false(b->ring[4].enabled);
	vg_set_status(g, 0);
	start_several(g, F_MQ);
	assert_false(b->ring[2].enabled);
}

static void wrong_number_of_pairs_is_an_error(void **state)
{
	static const unsigned int row[] = { 0, 4, 5, 8, 0x100, 0x8000, 0xffff };
	struct vg *g = *state;

	start_several(g, F_MQ);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_int_equal(set_pairs(g, row[i]), 1);
	assert_int_equal(book(g)->n_enable, 0);
	assert_int_equal(set_pairs(g, 2), 0);
}

static void pairs_that_were_not_set_up_cannot_be_used(void **state)
{
	struct vg *g = *state;

	vg_start_all(g, VG_F_NET | F_MQ, 64, 0);
	vg_negotiate(g, VG_F_NET | F_MQ);
	for (unsigned int q = 0; q < 4; q++)
		vg_setup_queue(g, q, 64);
	vg_setup_queue(g, CTRL, 64);
	vg_set_status(g, OK_ALL);
	assert_int_equal(book(g)->n, 4);
	assert_int_equal(set_pairs(g, 3), 1);
	assert_int_equal(set_pairs(g, 2), 0);
}

static void every_other_command_is_answered_with_an_error(void **state)
{
	struct vg *g = *state;

	start_several(g, F_MQ);
	for (unsigned int c = 0; c < 0x10000; c++) {
		const uint8_t cmd[] = { (uint8_t)(c >> 8), (uint8_t)c, 1, 0 };

		if (c != 0x400)
			assert_int_equal(command(g, cmd, sizeof(cmd)), 1);
	}
	assert_int_equal(vg_status(g), OK_ALL);
	assert_int_equal(book(g)->n_enable, 0);
}

static void payload_of_a_wrong_length_is_an_error(void **state)
{
	static const uint32_t row[] = { 0, 1, 2, 3, 5, 6, 64, 4096, 0x10000 };
	static uint8_t cmd[0x10000] = { 4, 0, 2, 0 };
	struct vg *g = *state;

	start_several(g, F_MQ);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_int_equal(command(g, cmd, row[i]), 1);
	assert_int_equal(book(g)->n_enable, 0);
	assert_int_equal(vg_status(g), OK_ALL);
}

static void command_in_single_bytes_is_understood(void **state)
{
	static const uint8_t cmd[] = { 4, 0, 3, 0 };
	struct vg *g = *state;

	start_several(g, F_MQ);
	memcpy(vg_ptr(g, VG_DATA), cmd, 4);
	for (uint16_t i = 0; i < 4; i++)
		vg_set_desc(g, CTRL, i, VG_DATA + i, 1, 1, i + 1);
	vg_set_desc(g, CTRL, 4, VG_DATA + 100, 64, 2, 0); /* more room than a status needs */
	vg_post(g, CTRL, 0);
	vg_poll(g);
	assert_int_equal(*(uint8_t *)vg_ptr(g, VG_DATA + 100), 0);
	assert_true(book(g)->ring[5].enabled);
}

static void chain_without_a_status_byte_stops_the_device(void **state)
{
	struct vg *g = *state;

	start_several(g, F_MQ);
	vg_set_desc(g, CTRL, 0, VG_DATA, 4, 0, 0);
	vg_post(g, CTRL, 0);
	vg_poll(g);
	assert_int_equal(vg_status(g) & 64, 64);
	assert_false(book(g)->running);
	assert_int_equal(vg_used(g, CTRL)->idx, 0);
	/* and only a reset mends it */
	bus_master(g, false);
	bus_master(g, true);
	assert_false(book(g)->running);
	vg_set_status(g, 0);
	start_several(g, F_MQ);
	assert_int_equal(set_pairs(g, 2), 0);
}

static void hostile_control_chain_stops_the_device(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next, head;
	} row[] = {
		{ VG_MEM - 2, 4, 1, 1, 0 },                          /* beyond the memory */
		{ UINT64_MAX, 4, 1, 1, 0 }, { VG_DATA, 4, 1, 0, 0 }, /* a loop */
		{ VG_DATA, 4, 1, 64, 0 },                            /* next beyond the table */
		{ VG_DATA, 4, 1, 1, 64 },                            /* head beyond the table */
		{ VG_DATA, 16, 4, 0, 0 }, /* an indirect table that was not negotiated */
		{ VG_DATA, 4, 3, 2, 0 },  /* a readable one behind a writable one */
	};
	struct vg *g = *state;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		start_several(g, F_MQ);
		vg_set_desc(g, CTRL, 0, row[i].addr, row[i].len, row[i].flags, row[i].next);
		vg_set_desc(g, CTRL, 1, VG_DATA + 8, 1, 2, 0);
		vg_set_desc(g, CTRL, 2, VG_DATA + 8, 1, 0, 0);
		vg_post(g, CTRL, row[i].head);
		vg_poll(g);
		assert_int_equal(vg_status(g) & 64, 64);
		assert_false(book(g)->running);
		vg_set_status(g, 0);
	}
	start_several(g, F_MQ);
	vg_avail(g, CTRL)->idx = 65;
	vg_poll(g);
	assert_int_equal(vg_status(g) & 64, 64);
}

static void full_control_queue_is_worked_off(void **state)
{
	static const uint8_t cmd[] = { 4, 0, 2, 0 };
	struct vg *g = *state;

	start_several(g, F_MQ | VG_F_EVENT);
	memcpy(vg_ptr(g, VG_DATA), cmd, 4);
	vg_set_desc(g, CTRL, 0, VG_DATA, 4, 1, 1);
	vg_set_desc(g, CTRL, 1, VG_DATA + 8, 1, 2, 0);
	for (unsigned int i = 0; i < 64; i++)
		vg_post(g, CTRL, 0);
	for (unsigned int i = 0; i < 10; i++)
		vg_poll(g);
	assert_int_equal(vg_used(g, CTRL)->idx, 64);
	/* asks to be told of the next one */
	assert_int_equal((uint16_t)vg_used(g, CTRL)->ring[64].id, 64);
}

static void control_queue_waits_for_bus_mastering(void **state)
{
	struct vg *g = *state;

	start_several(g, F_MQ);
	bus_master(g, false);
	assert_int_equal(set_pairs(g, 2), 0xee);
	bus_master(g, true);
	vg_poll(g);
	assert_int_equal(vg_used(g, CTRL)->idx, 1);
	assert_true(book(g)->ring[3].enabled);
}

#define ONE(name)     cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SEVERAL(name) cmocka_unit_test_setup_teardown(name, setup_several, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONE(rings_are_handed_over_when_the_driver_is_ready),
		ONE(only_what_the_backend_serves_is_offered),
		ONE(reset_takes_the_rings_back),
		ONE(bus_mastering_off_takes_them_back_until_it_is_on),
		ONE(driver_that_gives_up_stops_the_rings),
		ONE(driver_without_both_queues_hands_nothing_over),
		ONE(trapped_doorbell_reaches_the_backend),
		ONE(late_descriptor_goes_to_the_backend),
		ONE(vectors_go_straight_to_the_backend),
		ONE(msix_on_and_off_moves_the_interrupts),
		ONE(signal_without_msix_is_a_line_and_a_status_bit),
		ONE(link_of_the_backend_is_the_guests),
		ONE(one_pair_has_its_control_queue_behind_it),
		ONE(link_that_comes_back_wants_an_announcement),
		SEVERAL(several_pairs_are_told_and_start_with_one),
		SEVERAL(driver_without_mq_uses_the_first_pair),
		ONE(more_pairs_than_the_back_end_has_are_refused),
		ONE(packed_rings_need_a_back_end_that_has_them),
		SEVERAL(driver_sets_the_number_of_pairs),
		SEVERAL(wrong_number_of_pairs_is_an_error),
		SEVERAL(pairs_that_were_not_set_up_cannot_be_used),
		SEVERAL(every_other_command_is_answered_with_an_error),
		SEVERAL(payload_of_a_wrong_length_is_an_error),
		SEVERAL(command_in_single_bytes_is_understood),
		SEVERAL(chain_without_a_status_byte_stops_the_device),
		SEVERAL(hostile_control_chain_stops_the_device),
		SEVERAL(full_control_queue_is_worked_off),
		SEVERAL(control_queue_waits_for_bus_mastering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

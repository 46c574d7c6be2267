/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back-end `switch` under an E1000: the rings that the monitor drives for its guest, with the
 * other side played here on the same memory, honest and not. The messages are helper_vhost_be's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper_e1000.h"
#include "helper_vhost_be.h"
#include "pv-net/vring_driver.h"

#define N_POSTED 64u
#define STEP     4096u
#define TX_DATA  (EG_DATA + 0x200000ull)
#define EOP_RS   (E1000_TXC_EOP | E1000_TXC_RS)
#define ACCEPT   (E1000_RCTL_UPE | E1000_RCTL_MPE | E1000_RCTL_BAM | E1000_RCTL_SECRC)

struct side { /* the switch's view of one ring */
	struct be_ring ring;
	uint16_t avail, used;
};

struct fixture {
	struct eg g;
	struct be be, *other; /* other: the switch that came after it */
	struct side rx, tx;
	uint8_t (*rx_hdr)[16]; /* of the chains, by their number */
	bool io_runs;          /* the I/O thread goes on: the test does not poll */
};

/* --- the switch --- */
static struct virtq_desc *desc_of(struct side *s, unsigned int i)
{
	return (struct virtq_desc *)(uintptr_t)s->ring.addr.desc + i % VRING_SIZE;
}

static struct virtq_avail *avail_of(struct side *s)
{
	return (struct virtq_avail *)(uintptr_t)s->ring.addr.avail;
}

static struct virtq_used *used_of(struct side *s)
{
	return (struct virtq_used *)(uintptr_t)s->ring.addr.used;
}

static void *side_ptr(struct fixture *f, uint64_t gpa, uint32_t len)
{
	const struct vhost_user_memory *m = &f->be.memory;

	for (unsigned int i = 0; i < m->n_regions; i++) {
		uint64_t off = gpa - m->region[i].guest_phys_addr;

		if (off < m->region[i].memory_size && len <= m->region[i].memory_size - off)
			return (void *)(uintptr_t)(m->region[i].userspace_addr + off);
	}
	fail_msg("a descriptor points outside of what the back-end was shown");
	return NULL;
}

static unsigned int side_n_avail(const struct side *s)
{
	return (uint16_t)(__atomic_load_n(&avail_of((struct side *)s)->idx, __ATOMIC_ACQUIRE) -
			  s->avail);
}

static uint16_t side_take(struct side *s)
{
	assert_true(side_n_avail(s) > 0);
	return avail_of(s)->ring[s->avail++ % VRING_SIZE];
}

static void side_put(struct side *s, uint32_t id, uint32_t len)
{
	used_of(s)->ring[s->used++ % VRING_SIZE] = (struct virtq_used_elem){ .id = id, .len = len };
}

static void side_publish(struct side *s)
{
	__atomic_store_n(&used_of(s)->idx, s->used, __ATOMIC_RELEASE);
}

/* The rings as the messages told, when both were started for the nth time. */
static void side_attach(struct fixture *f, unsigned int nth)
{
	be_await(&f->be, VHOST_USER_SET_VRING_KICK, 2 * nth);
	pthread_mutex_lock(&f->be.lock);
	f->rx = (struct side){ .ring = f->be.ring[0] };
	f->tx = (struct side){ .ring = f->be.ring[1] };
	pthread_mutex_unlock(&f->be.lock);
	f->rx.avail = f->rx.used = (uint16_t)f->rx.ring.base;
	f->tx.avail = f->tx.used = (uint16_t)f->tx.ring.base;
	assert_int_equal(f->rx.ring.num, VRING_SIZE);
	if (side_n_avail(&f->rx))
		f->rx_hdr = side_ptr(
			f, desc_of(&f->rx, avail_of(&f->rx)->ring[f->rx.avail % VRING_SIZE])->addr,
			16);
}

/* Bytes i of the test's frames; the destination is `to` of the first byte. */
static void make_frame(uint8_t *frame, uint32_t len, uint8_t to)
{
	for (uint32_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i < 6 ? to : i * 7 + len);
}

/* A frame into as many of the lent chains as it takes. Gives the address of its first byte. */
static void *side_deliver(struct fixture *f, const uint8_t *frame, uint32_t len)
{
	struct virtio_net_hdr hdr = { .num_buffers = 0 }, *where = NULL;
	uint8_t *first = NULL;
	uint32_t at = 0;
	uint16_t n = 0;

	do {
		uint16_t id = side_take(&f->rx), i = id;
		uint32_t used = 0;

		n++;
		for (;;) {
			struct virtq_desc d = *desc_of(&f->rx, i);
			uint8_t *p = side_ptr(f, d.addr, d.len);
			uint32_t skip = 0, part;

			assert_true(d.flags & VIRTQ_DESC_F_WRITE);
			if (!where) {
				where = (struct virtio_net_hdr *)(void *)p;
				skip = VIRTIO_NET_HDR_SIZE;
			}
			part = d.len - skip < len - at ? d.len - skip : len - at;
			if (part && !first)
				first = p + skip;
			memcpy(p + skip, frame + at, part);
			at += part;
			used += skip + part;
			if (!(d.flags & VIRTQ_DESC_F_NEXT) || at == len)
				break;
			i = d.next;
		}
		side_put(&f->rx, id, used);
	} while (at < len);
	hdr.num_buffers = n;
	memcpy(where, &hdr, sizeof(hdr));
	side_publish(&f->rx);
	return first;
}

static void *deliver(struct fixture *f, uint32_t len, uint8_t to)
{
	uint8_t frame[NIC_MAX_FRAME];

	make_frame(frame, len, to);
	return side_deliver(f, frame, len);
}

/* The next frame out, put together. Gives its length; *id is its chain. */
static uint32_t side_read(struct fixture *f, uint8_t *frame, uint16_t *id)
{
	uint16_t i = *id = side_take(&f->tx);
	uint32_t len = 0;
	bool first = true;

	for (;; first = false) {
		struct virtq_desc d = *desc_of(&f->tx, i);

		assert_false(d.flags & VIRTQ_DESC_F_WRITE);
		if (first)
			assert_int_equal(d.len, VIRTIO_NET_HDR_SIZE);
		else
			memcpy(frame + len, side_ptr(f, d.addr, d.len), d.len);
		len += first ? 0 : d.len;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return len;
		i = d.next;
	}
}

/* --- the guest --- */
static void guest_send(struct fixture *f, unsigned int idx, uint32_t len)
{
	make_frame(eg_ptr(&f->g, TX_DATA + idx * STEP), len, 2);
	eg_legacy(&f->g, idx, TX_DATA + idx * STEP, (uint16_t)len, EOP_RS);
	eg_write(&f->g, E1000_TDT, idx + 1);
}

static bool guest_sent(struct fixture *f, unsigned int idx)
{
	return eg_tx_status(&f->g, idx) & E1000_TXD_STAT_DD;
}

/* Is that frame in receive descriptors idx on, whole? Gives the descriptors. */
static unsigned int guest_got(struct fixture *f, unsigned int idx, uint32_t len, uint8_t to)
{
	uint8_t frame[NIC_MAX_FRAME];
	uint32_t at = 0;
	unsigned int n = 0;
	struct e1000_rx_desc d;

	make_frame(frame, len, to);
	do {
		d = eg_rx(&f->g, idx + n++);
		if (!(d.status & E1000_RXD_STAT_DD) || at + d.length > len ||
		    memcmp(eg_ptr(&f->g, d.addr), frame + at, d.length))
			return 0;
		at += d.length;
	} while (!(d.status & E1000_RXD_STAT_EOP));
	return at == len ? n : 0;
}

static void guest_start_rx(struct fixture *f, uint32_t rctl)
{
	eg_start_rx(&f->g, 2 * N_POSTED, rctl);
	eg_post(&f->g, N_POSTED, STEP);
}

/* --- life --- */
static void up(struct fixture *f, uint32_t rctl)
{
	int fd = be_start(&f->be);

	eg_up_fd(&f->g, "e1000," EG_OPTS ",backend=switch,port=x", "socket", fd);
	/* the connection's thread is started by the I/O thread; the rest is polled by the test */
	assert_int_equal(io_start(vm_io(f->g.vm)), 0);
	eg_write(&f->g, E1000_CTRL, E1000_CTRL_SLU);
	eg_start_tx(&f->g, 64);
	guest_start_rx(f, rctl);
	be_await(&f->be, VHOST_USER_SET_VRING_KICK, 2);
	if (f->io_runs)
		return;
	io_stop(vm_io(f->g.vm));
	eg_poll(&f->g, 2);
	side_attach(f, 1);
}

static struct fixture fx;

static int setup(void **state)
{
	memset(&fx, 0, sizeof(fx));
	be_init(&fx.be);
	up(&fx, ACCEPT);
	*state = &fx;
	return 0;
}

/* The I/O thread goes on, and has lent all buffers. */
static int setup_running(void **state)
{
	memset(&fx, 0, sizeof(fx));
	be_init(&fx.be);
	fx.io_runs = true;
	up(&fx, ACCEPT);
	side_attach(&fx, 1);
	for (int i = 0; i < 20000 && side_n_avail(&fx.rx) < N_POSTED; i++)
		usleep(1000);
	*state = &fx;
	return 0;
}

static int setup_without_filter(void **state)
{
	memset(&fx, 0, sizeof(fx));
	be_init(&fx.be);
	fx.be.protocol &= ~VIRTIO_BIT(VHOST_USER_PROTOCOL_F_FL_FILTER);
	up(&fx, E1000_RCTL_BAM | E1000_RCTL_SECRC);
	*state = &fx;
	return 0;
}

static int setup_old_switch(void **state)
{
	memset(&fx, 0, sizeof(fx));
	be_init(&fx.be);
	fx.be.features = VIRTIO_BIT(VIRTIO_F_VERSION_1);
	fx.be.protocol = 0;
	up(&fx, ACCEPT);
	*state = &fx;
	return 0;
}

static int setup_small_buffers(void **state)
{
	memset(&fx, 0, sizeof(fx));
	be_init(&fx.be);
	up(&fx, ACCEPT | E1000_RCTL_BSIZE_256);
	*state = &fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	io_stop(vm_io(f->g.vm));
	eg_down(&f->g);
	be_stop(&f->be);
	if (f->other)
		be_stop(f->other);
	return 0;
}

/* --- out --- */
static void frame_leaves_from_where_the_guest_has_it(void **state)
{
	struct fixture *f = *state;
	uint8_t got[NIC_MAX_FRAME], want[1000];
	uint16_t id;

	guest_send(f, 0, 1000);
	eg_poll(&f->g, 1);
	assert_false(guest_sent(f, 0));
	make_frame(want, 1000, 2);
	assert_int_equal(side_read(f, got, &id), 1000);
	assert_memory_equal(got, want, 1000);
	assert_int_equal(desc_of(&f->tx, desc_of(&f->tx, id)->next)->addr, TX_DATA);
	side_put(&f->tx, id, 0);
	side_publish(&f->tx);
	eg_poll(&f->g, 1);
	assert_true(guest_sent(f, 0));
	assert_int_equal(eg_stat(&f->g, "tx_frames"), 1);
}

static void padding_of_a_short_frame_goes_along(void **state)
{
	struct fixture *f = *state;
	uint8_t got[NIC_MAX_FRAME], want[60] = { 0 };
	uint16_t id;

	eg_write(&f->g, E1000_TCTL, eg_read(&f->g, E1000_TCTL) | E1000_TCTL_PSP);
	guest_send(f, 0, 20);
	make_frame(want, 20, 2);
	eg_poll(&f->g, 1);
	assert_int_equal(side_read(f, got, &id), 60);
	assert_memory_equal(got, want, 60);
}

/* The longest header that offloads change is no guest memory: it goes along as a copy. */
static void header_that_the_device_changed_goes_along(void **state)
{
	struct fixture *f = *state;
	struct e1000_tx_legacy_desc *desc = eg_ptr(&f->g, EG_TX_RING);
	uint8_t got[NIC_MAX_FRAME], want[1000];
	uint16_t id;

	eg_write(&f->g, E1000_CTRL, E1000_CTRL_SLU | E1000_CTRL_VME);
	make_frame(want, 1000, 2);
	memcpy(eg_ptr(&f->g, TX_DATA), want, 1000);
	eg_legacy(&f->g, 0, TX_DATA, 1000,
		  E1000_TXC_EOP | E1000_TXC_RS | E1000_TXC_IC | E1000_TXC_VLE);
	desc->css = 200;
	desc->cso = 255;
	eg_write(&f->g, E1000_TDT, 1);
	eg_poll(&f->g, 1);
	assert_int_equal(side_read(f, got, &id), 1004);
	assert_memory_equal(got, want, 12);
	assert_memory_equal(got + 16, want + 12, 243);
	assert_memory_not_equal(got + 259, want + 255, 2);
	assert_memory_equal(got + 261, want + 257, 743);
}

static void frames_that_come_back_in_another_order_are_done_in_theirs(void **state)
{
	struct fixture *f = *state;
	uint8_t got[NIC_MAX_FRAME];
	uint16_t id[3];

	for (unsigned int i = 0; i < 3; i++)
		guest_send(f, i, 100);
	eg_poll(&f->g, 1);
	for (unsigned int i = 0; i < 3; i++)
		side_read(f, got, &id[i]);
	side_put(&f->tx, id[2], 0);
	side_put(&f->tx, id[1], 0);
	side_publish(&f->tx);
	eg_poll(&f->g, 1);
	assert_false(guest_sent(f, 0) || guest_sent(f, 1) || guest_sent(f, 2));
	side_put(&f->tx, id[0], 0);
	side_publish(&f->tx);
	eg_poll(&f->g, 1);
	assert_true(guest_sent(f, 0) && guest_sent(f, 1) && guest_sent(f, 2));
}

static void a_full_ring_holds_the_guest_back(void **state)
{
	struct fixture *f = *state;
	uint8_t got[NIC_MAX_FRAME];
	uint16_t id;

	/* far more than the ring holds, in rounds of a lap of the guest's ring */
	for (unsigned int round = 0; round < 3000; round++) {
		unsigned int idx = round % 63, sent = 0;

		make_frame(eg_ptr(&f->g, TX_DATA), 64, 2);
		eg_legacy(&f->g, round % 64, TX_DATA, 64, EOP_RS);
		eg_write(&f->g, E1000_TDT, (round + 1) % 64);
		eg_poll(&f->g, 1);
		if (idx < 40)
			continue; /* let some gather */
		for (; side_n_avail(&f->tx); sent++) {
			assert_int_equal(side_read(f, got, &id), 64);
			side_put(&f->tx, id, 0);
		}
		side_publish(&f->tx);
		eg_poll(&f->g, 1);
	}
	eg_poll(&f->g, 4);
	assert_int_equal(eg_stat(&f->g, "tx_frames"), 3000);
	assert_int_equal(eg_stat(&f->g, "switch_ring_errors"), 0);
}

/* --- in --- */
static void frame_comes_into_the_posted_buffer(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(side_n_avail(&f->rx), N_POSTED);
	for (unsigned int i = 0; i < 10; i++) {
		void *at = deliver(f, 60 + 100 * i, 2);

		assert_ptr_equal(at, eg_ptr(&f->g, EG_DATA + i * STEP));
	}
	assert_int_equal(eg_poll(&f->g, 1), 10);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(guest_got(f, i, 60 + 100 * i, 2), 1);
	assert_int_equal(eg_read(&f->g, E1000_RDH), 10);
	assert_int_equal(eg_stat(&f->g, "rx_copies"), 0);
	eg_write(&f->g, E1000_RDT, N_POSTED + 10);
	eg_poll(&f->g, 1);
	assert_int_equal(side_n_avail(&f->rx), N_POSTED);
}

static void frame_over_several_buffers_is_put_together(void **state)
{
	struct fixture *f = *state;
	static const uint32_t len[] = { 244, 245, 256, 257, 500, 512, 513, 1024, 1518 };
	unsigned int idx = 0, n;

	for (unsigned int i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		deliver(f, len[i], 2);
		eg_poll(&f->g, 1);
		n = guest_got(f, idx, len[i], 2);
		assert_int_equal(n, (len[i] + 255) / 256);
		idx += n;
	}
	assert_int_equal(eg_stat(&f->g, "rx_frames"), 9);
	assert_true(eg_stat(&f->g, "rx_copies") >= 7);
	assert_int_equal(eg_stat(&f->g, "switch_ring_errors"), 0);
}

static void buffers_go_round_without_loss_or_mix(void **state)
{
	struct fixture *f = *state;
	unsigned int idx = 0;

	/* sizes that leave buffers over now and then, many laps of both rings */
	for (unsigned int i = 0; i < 3000; i++) {
		uint32_t len = 60 + i * 37 % 1458;
		unsigned int need = (len + 255) / 256;

		deliver(f, len, 2);
		eg_poll(&f->g, 1);
		for (unsigned int k = 0; k < need; k++) {
			struct e1000_rx_desc d = eg_rx(&f->g, (idx + k) % (2 * N_POSTED));

			assert_true(d.status & E1000_RXD_STAT_DD);
			assert_int_equal(!!(d.status & E1000_RXD_STAT_EOP), k + 1 == need);
			assert_int_equal(d.length, k + 1 == need ? len - 256 * k : 256);
			assert_int_equal(((uint8_t *)eg_ptr(&f->g, d.addr))[d.length - 1],
					 (uint8_t)((256 * k + d.length - 1) * 7 + len));
			d = (struct e1000_rx_desc){ .addr = d.addr };
			memcpy(eg_ptr(&f->g,
				      EG_RX_RING + 16 * ((idx + k + N_POSTED) % (2 * N_POSTED))),
			       &(struct e1000_rx_desc){ .addr = EG_DATA + (idx + k + N_POSTED) %
										  (2 * N_POSTED) *
										  STEP },
			       16);
		}
		idx = (idx + need) % (2 * N_POSTED);
		eg_write(&f->g, E1000_RDT, (idx + N_POSTED) % (2 * N_POSTED));
		eg_poll(&f->g, 1);
	}
	assert_int_equal(eg_stat(&f->g, "rx_frames"), 3000);
	assert_int_equal(eg_stat(&f->g, "switch_ring_errors"), 0);
}

static void what_the_guest_refuses_costs_no_descriptor(void **state)
{
	struct fixture *f = *state;

	deliver(f, 100, 0xff);
	deliver(f, 200, 0x33); /* multicast: not asked for */
	deliver(f, 300, 0xff);
	deliver(f, 8, 0xff);
	deliver(f, 3000, 0xff); /* LPE is off; one buffer is too small for it, too */
	deliver(f, 400, 0xff);
	eg_poll(&f->g, 1);
	assert_int_equal(guest_got(f, 0, 100, 0xff), 1);
	assert_int_equal(guest_got(f, 1, 300, 0xff), 1);
	assert_int_equal(guest_got(f, 2, 400, 0xff), 1);
	assert_int_equal(eg_read(&f->g, E1000_RDH), 3);
	assert_int_equal(eg_stat(&f->g, "rx_drop_filtered"), 1);
	assert_int_equal(eg_stat(&f->g, "rx_drop_too_short"), 1);
	assert_int_equal(eg_stat(&f->g, "rx_drop_too_long"), 1);
	assert_int_equal(eg_stat(&f->g, "rx_copies"), 2);
}

static void frames_are_in_place_again_when_all_lent_buffers_were_back(void **state)
{
	struct fixture *f = *state;
	unsigned int idx = 0;
	uint64_t copies;

	deliver(f, 200, 0x33);
	for (unsigned int i = 1; i < N_POSTED; i++)
		deliver(f, 100, 0xff);
	while (eg_poll(&f->g, 1))
		;
	copies = eg_stat(&f->g, "rx_copies");
	assert_int_equal(copies, N_POSTED - 1);
	idx = eg_read(&f->g, E1000_RDH);
	assert_int_equal(idx, N_POSTED - 1);
	deliver(f, 150, 0xff);
	eg_poll(&f->g, 1);
	assert_int_equal(guest_got(f, idx, 150, 0xff), 1);
	assert_int_equal(eg_stat(&f->g, "rx_copies"), copies);
}

static uint32_t filter_flags(struct fixture *f)
{
	uint32_t flags;

	pthread_mutex_lock(&f->be.lock);
	flags = f->be.filter.flags;
	pthread_mutex_unlock(&f->be.lock);
	return flags & (VHOST_USER_FILTER_PROMISC | VHOST_USER_FILTER_BROADCAST);
}

static void filters_are_the_switchs_when_it_has_them(void **state)
{
	struct fixture *f = *state;

	eg_write(&f->g, E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_BAM | E1000_RCTL_SECRC);
	eg_poll(&f->g, 1);
	for (int i = 0; i < 20000 && filter_flags(f) != VHOST_USER_FILTER_BROADCAST; i++)
		usleep(1000);
	assert_int_equal(filter_flags(f), VHOST_USER_FILTER_BROADCAST);
	assert_memory_equal(f->be.filter.mac[0], eg_mac, 6);
	/* new filters alone disturb no ring */
	assert_int_equal(f->be.n_stopped, 0);
}

static void a_switch_without_any_feature_serves_too(void **state)
{
	struct fixture *f = *state;
	uint8_t got[NIC_MAX_FRAME];
	uint16_t id;

	assert_int_equal(f->be.set_features, VIRTIO_BIT(VIRTIO_F_VERSION_1));
	for (unsigned int i = 0; i < 5; i++) {
		deliver(f, 1518, 2);
		guest_send(f, i, 1518);
		eg_poll(&f->g, 1);
		assert_int_equal(guest_got(f, i, 1518, 2), 1);
		assert_int_equal(side_read(f, got, &id), 1518);
		side_put(&f->tx, id, 0);
		side_publish(&f->tx);
		eg_poll(&f->g, 1);
		assert_true(guest_sent(f, i));
	}
	assert_int_equal(eg_stat(&f->g, "rx_copies"), 0);
}

/* --- withdrawing --- */
static void buffers_are_back_when_receive_goes_off(void **state)
{
	struct fixture *f = *state;
	uint32_t rctl = eg_read(&f->g, E1000_RCTL);

	deliver(f, 100, 2);
	eg_write(&f->g, E1000_RCTL, rctl & ~E1000_RCTL_EN);
	assert_int_equal(f->be.n_stopped, 2); /* before the write has returned */
	eg_poll(&f->g, 2);
	assert_int_equal(eg_rx(&f->g, 0).status, 0);
	assert_int_equal(eg_stat(&f->g, "rx_drop_no_buffer"), 1);
	eg_write(&f->g, E1000_RCTL, rctl);
	eg_poll(&f->g, 1);
	side_attach(f, 2);
	assert_int_equal(side_n_avail(&f->rx), N_POSTED);
	assert_ptr_equal(deliver(f, 222, 2), eg_ptr(&f->g, EG_DATA));
	eg_poll(&f->g, 1);
	assert_int_equal(guest_got(f, 0, 222, 2), 1);
}

static void buffers_are_back_when_their_ring_or_the_bus_changes(void **state)
{
	struct fixture *f = *state;
	static const uint32_t reg[] = { E1000_RDBAL, E1000_RDBAH, E1000_RDLEN, E1000_RDH };
	unsigned int n = 0;

	for (unsigned int i = 0; i < sizeof(reg) / sizeof(reg[0]); i++) {
		eg_write(&f->g, reg[i], eg_read(&f->g, reg[i]));
		assert_int_equal(f->be.n_stopped, n += 2);
		eg_poll(&f->g, 1);
		side_attach(f, 1 + n / 2);
	}
	eg_write(&f->g, E1000_RDT, N_POSTED / 2); /* some of them taken back */
	assert_int_equal(f->be.n_stopped, n += 2);
	eg_poll(&f->g, 1);
	side_attach(f, 1 + n / 2);
	assert_int_equal(side_n_avail(&f->rx), N_POSTED / 2);
	eg_cfg_write(&f->g, 0x04, 3);
	assert_int_equal(f->be.n_stopped, n += 2);
	eg_poll(&f->g, 2);
	assert_int_equal(be_got(&f->be, VHOST_USER_SET_VRING_KICK), n);
	eg_cfg_write(&f->g, 0x04, 7);
	eg_poll(&f->g, 1);
	side_attach(f, 1 + n / 2);
	assert_int_equal(eg_stat(&f->g, "switch_ring_errors"), 0);
}

static void frames_out_wait_while_buffers_are_withdrawn(void **state)
{
	struct fixture *f = *state;
	uint8_t got[NIC_MAX_FRAME];
	uint16_t id;

	for (unsigned int i = 0; i < 3; i++)
		guest_send(f, i, 100 + i);
	eg_poll(&f->g, 1);
	side_read(f, got, &id);
	side_put(&f->tx, id, 0);
	side_publish(&f->tx);
	eg_write(&f->g, E1000_RDH, 0);
	eg_poll(&f->g, 1);
	side_attach(f, 2);
	assert_true(guest_sent(f, 0));
	assert_false(guest_sent(f, 1));
	assert_int_equal(side_n_avail(&f->tx), 2);
	for (unsigned int i = 1; i < 3; i++) {
		assert_int_equal(side_read(f, got, &id), 100 + i);
		side_put(&f->tx, id, 0);
	}
	side_publish(&f->tx);
	eg_poll(&f->g, 1);
	assert_true(guest_sent(f, 1) && guest_sent(f, 2));
}

static void reset_takes_everything_back(void **state)
{
	struct fixture *f = *state;
	uint8_t got[NIC_MAX_FRAME];
	uint16_t id;

	guest_send(f, 0, 100);
	eg_poll(&f->g, 1);
	eg_write(&f->g, E1000_CTRL, E1000_CTRL_RST);
	assert_int_equal(f->be.n_stopped, 2);
	eg_poll(&f->g, 2);
	assert_int_equal(eg_read(&f->g, E1000_CTRL) & E1000_CTRL_RST, 0);
	eg_start_tx(&f->g, 64);
	guest_start_rx(f, ACCEPT);
	guest_send(f, 0, 200);
	eg_poll(&f->g, 1);
	side_attach(f, 2);
	assert_int_equal(side_read(f, got, &id), 200);
	assert_int_equal(side_n_avail(&f->tx), 0);
	eg_poll(&f->g, 1);
	assert_false(guest_sent(f, 0)); /* the old frame's end is not the new one's */
}

/* --- the other side goes and comes --- */
static void guest_goes_on_without_a_switch_and_gets_the_next_one(void **state)
{
	struct fixture *f = *state;
	static struct be next; /* its thread goes on until the teardown */

	for (unsigned int i = 0; i < 3; i++)
		guest_send(f, i, 100);
	deliver(f, 100, 2);
	eg_poll(&f->g, 1);
	assert_true(eg_read(&f->g, E1000_STATUS) & E1000_STATUS_LU);
	be_stop(&f->be);
	for (int i = 0; i < 20000 && !vm_fake_counts(f->g.vm)->wanted_fds; i++)
		usleep(1000);
	assert_int_equal(vm_fake_counts(f->g.vm)->wanted_fds, 1);
	assert_false(eg_read(&f->g, E1000_STATUS) & E1000_STATUS_LU);
	for (unsigned int i = 3; i < 6; i++)
		guest_send(f, i, 100);
	eg_poll(&f->g, 3);
	for (unsigned int i = 0; i < 6; i++)
		assert_true(guest_sent(f, i));
	assert_int_equal(eg_stat(&f->g, "tx_drop_link_down"), 3);

	be_init(&next);
	f->other = &next;
	f->g.dev->ops->late_fd(f->g.dev, "socket", be_start(&next));
	/* the back-end's link is up a moment before the device is told: the guest's is what counts
	 */
	for (int i = 0; i < 20000 && !(eg_read(&f->g, E1000_STATUS) & E1000_STATUS_LU); i++)
		usleep(1000);
	assert_true(eg_read(&f->g, E1000_STATUS) & E1000_STATUS_LU);
	eg_poll(&f->g, 1);
	be_await(&next, VHOST_USER_SET_VRING_KICK, 2);
	pthread_mutex_lock(&next.lock);
	f->rx = (struct side){ .ring = next.ring[0] };
	f->tx = (struct side){ .ring = next.ring[1] };
	f->be.memory = next.memory;
	pthread_mutex_unlock(&next.lock);
	assert_int_equal(side_n_avail(&f->tx), 0);
	assert_int_equal(side_n_avail(&f->rx), N_POSTED - 1);
	assert_ptr_equal(deliver(f, 123, 2), eg_ptr(&f->g, EG_DATA + STEP));
	eg_poll(&f->g, 1);
	assert_int_equal(guest_got(f, 0, 100, 2), 1);
	assert_int_equal(guest_got(f, 1, 123, 2), 1);
}

static void a_descriptor_of_another_name_is_not_taken(void **state)
{
	struct fixture *f = *state;
	int p[2];
	char c;

	assert_int_equal(pipe(p), 0);
	f->g.dev->ops->late_fd(f->g.dev, "tap", p[1]);
	assert_int_equal(read(p[0], &c, 1), 0); /* closed */
	close(p[0]);
}

/* --- calls --- */
static unsigned int busy_poll(struct io_poller *p)
{
	return 1;
}

static void a_call_wakes_the_thread_that_rests(void **state)
{
	struct fixture *f = *state;
	struct io *io = vm_io(f->g.vm);
	const uint64_t one = 1;
	const uint16_t *event = (uint16_t *)(void *)((char *)avail_of(&f->rx) +
						     VIRTQ_USED_EVENT_OFFSET(VRING_SIZE));

	for (unsigned int i = 0; i < 3; i++) {
		/* it asks for the call in its last look, after it said that it polls no more */
		for (int k = 0;
		     k < 20000 &&
		     (io_is_polling(io) || __atomic_load_n(event, __ATOMIC_ACQUIRE) != f->rx.used);
		     k++)
			usleep(1000);
		assert_false(io_is_polling(io));
		assert_int_equal(__atomic_load_n(event, __ATOMIC_ACQUIRE), f->rx.used);
		deliver(f, 100, 2);
		assert_int_equal(write(f->rx.ring.call, &one, sizeof(one)), sizeof(one));
		for (int k = 0; k < 20000 && eg_read(&f->g, E1000_RDH) == i; k++)
			usleep(1000);
		assert_int_equal(guest_got(f, i, 100, 2), 1);
	}
}

static void no_call_is_wanted_while_the_thread_polls(void **state)
{
	struct fixture *f = *state;
	struct io_poller busy = { .poll = busy_poll };
	const uint16_t *event = (uint16_t *)(void *)((char *)avail_of(&f->rx) +
						     VIRTQ_USED_EVENT_OFFSET(VRING_SIZE));

	assert_int_equal(io_add_poller(vm_io(f->g.vm), &busy), 0);
	io_wake(vm_io(f->g.vm));
	for (int k = 0; k < 20000 && __atomic_load_n(event, __ATOMIC_ACQUIRE) == f->rx.used; k++)
		usleep(1000);
	assert_false(virtq_need_event(__atomic_load_n(event, __ATOMIC_ACQUIRE),
				      (uint16_t)(f->rx.used + VRING_SIZE), f->rx.used));
	io_remove_poller(vm_io(f->g.vm), &busy);
}

/* --- a switch that breaks the rules --- */
static void assert_breach(struct fixture *f)
{
	uint64_t dropped = eg_stat(&f->g, "tx_drop_error");

	eg_poll(&f->g, 2);
	assert_int_equal(eg_stat(&f->g, "switch_ring_errors"), 1);
	assert_int_equal(f->be.n_stopped, 2);
	assert_non_null(strstr(f->g.message, "broke the rules"));
	/* the guest goes on */
	guest_send(f, 5, 100);
	eg_poll(&f->g, 2);
	assert_true(guest_sent(f, 5));
	assert_true(eg_stat(&f->g, "tx_drop_error") > dropped);
	assert_int_equal(be_got(&f->be, VHOST_USER_SET_VRING_KICK), 2);
	/* and has it back with a reset */
	eg_write(&f->g, E1000_CTRL, E1000_CTRL_RST);
	eg_poll(&f->g, 2);
	guest_start_rx(f, ACCEPT);
	eg_poll(&f->g, 1);
	side_attach(f, 2);
	assert_ptr_equal(deliver(f, 100, 2), eg_ptr(&f->g, EG_DATA));
	eg_poll(&f->g, 1);
	assert_int_equal(guest_got(f, 0, 100, 2), 1);
}

static void send_five(struct fixture *f, uint16_t id[5])
{
	uint8_t got[NIC_MAX_FRAME];

	for (unsigned int i = 0; i < 5; i++)
		guest_send(f, i, 100);
	eg_poll(&f->g, 1);
	for (unsigned int i = 0; i < 5; i++)
		side_read(f, got, &id[i]);
}

static void used_id_beyond_the_ring_is_not_followed(void **state)
{
	struct fixture *f = *state;
	uint16_t id[5];

	send_five(f, id);
	side_put(&f->tx, 0x10000 + id[0], 0);
	side_publish(&f->tx);
	assert_breach(f);
}

static void used_id_of_no_chain_is_not_followed(void **state)
{
	struct fixture *f = *state;
	uint16_t id[5];

	send_five(f, id);
	side_put(&f->tx, desc_of(&f->tx, id[0])->next, 0); /* the middle of one */
	side_publish(&f->tx);
	assert_breach(f);
}

static void chain_used_twice_is_not_believed(void **state)
{
	struct fixture *f = *state;
	uint16_t id[5];

	send_five(f, id);
	side_put(&f->tx, id[0], 0);
	side_put(&f->tx, id[0], 0);
	side_publish(&f->tx);
	assert_breach(f);
}

static void more_used_than_given_is_not_believed(void **state)
{
	struct fixture *f = *state;
	uint16_t id[5];

	send_five(f, id);
	for (unsigned int i = 0; i < 6; i++)
		side_put(&f->tx, id[i % 5], 0);
	side_publish(&f->tx);
	assert_breach(f);
}

static void used_index_that_goes_back_is_not_believed(void **state)
{
	struct fixture *f = *state;

	f->rx.used--;
	side_publish(&f->rx);
	assert_breach(f);
}

static void received_length_above_the_buffer_is_not_believed(void **state)
{
	struct fixture *f = *state;

	side_deliver(f, (const uint8_t[60]){ 0 }, 60);
	used_of(&f->rx)->ring[0].len = VIRTIO_NET_HDR_SIZE + 2048 - VIRTIO_NET_HDR_SIZE + 1;
	assert_breach(f);
}

static void received_length_below_the_header_is_not_believed(void **state)
{
	struct fixture *f = *state;

	side_deliver(f, (const uint8_t[60]){ 0 }, 60);
	used_of(&f->rx)->ring[0].len = VIRTIO_NET_HDR_SIZE - 1;
	assert_breach(f);
}

static void received_out_of_order_is_not_believed(void **state)
{
	struct fixture *f = *state;

	side_take(&f->rx);
	side_put(&f->rx, side_take(&f->rx), 100);
	side_publish(&f->rx);
	assert_breach(f);
}

static void set_num_buffers(struct fixture *f, uint16_t n)
{
	uint16_t id = avail_of(&f->rx)->ring[0];
	struct virtio_net_hdr *h;

	deliver(f, 100, 2);
	h = side_ptr(f, desc_of(&f->rx, id)->addr, sizeof(*h));
	h->num_buffers = n;
}

static void frame_of_no_buffer_is_not_believed(void **state)
{
	set_num_buffers(*state, 0);
	assert_breach(*state);
}

static void frame_of_more_buffers_than_came_is_not_believed(void **state)
{
	set_num_buffers(*state, 2);
	assert_breach(*state);
}

/* Random bytes wherever the other side can write: nothing is believed that could hurt. */
static void rings_full_of_noise_are_survived(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 1;
	unsigned int n_breaches = 0;

	for (unsigned int i = 0; i < 3000; i++) {
		struct side *s = (seed >> 9) & 1 ? &f->rx : &f->tx;
		unsigned int n = 1 + (seed >> 10) % 8;

		if (s == &f->tx) {
			guest_send(f, i % 60, 100 + i % 1000);
			eg_poll(&f->g, 1);
		}
		while (n--) {
			uint32_t what = seed >> 16 & 7;

			seed = seed * 1103515245 + 12345;
			/* often what would be right, so that some of it is taken */
			if (what < 5 && side_n_avail(s))
				side_put(s, side_take(s), seed >> 18 & 0xff);
			else if (what == 5)
				side_put(s, seed >> 12, seed);
			else if (what == 6)
				memset((char *)desc_of(s, seed >> 20), (int)(seed >> 8), 16);
			else
				s->used = (uint16_t)(s->used + (seed >> 30));
			if (what < 5 && s == &f->rx)
				f->rx_hdr[(s->avail - 1) % VRING_SIZE][10] =
					(uint8_t)(1 + (seed >> 28) / 14);
		}
		side_publish(s);
		eg_poll(&f->g, 2);
		if (eg_stat(&f->g, "switch_ring_errors") == n_breaches)
			continue;
		n_breaches++;
		eg_write(&f->g, E1000_CTRL, E1000_CTRL_RST);
		eg_poll(&f->g, 1);
		eg_start_tx(&f->g, 64);
		guest_start_rx(f, ACCEPT | E1000_RCTL_BSIZE_256);
		eg_poll(&f->g, 1);
		side_attach(f, 1 + n_breaches);
	}
	assert_true(n_breaches > 100);
	assert_true(eg_stat(&f->g, "rx_frames") > 100);
}

/* --- the ring alone --- */
static int ring_setup(void **state)
{
	static struct vring r;
	void *mem = NULL;

	assert_int_equal(posix_memalign(&mem, 64, VRING_BYTES), 0);
	vring_init(&r, mem, 0x1000, true);
	*state = &r;
	return 0;
}

static int ring_teardown(void **state)
{
	free(((struct vring *)*state)->desc);
	return 0;
}

static void ring_tells_the_device_only_when_it_wants_to_be_told(void **state)
{
	struct vring *r = *state;
	struct vring_seg seg = { .gpa = 0x2000, .len = 10 };
	uint16_t *event =
		(uint16_t *)(void *)((char *)r->used + VIRTQ_AVAIL_EVENT_OFFSET(VRING_SIZE));

	assert_false(vring_publish(r));
	vring_add(r, &seg, 1, false);
	assert_true(vring_publish(r));
	vring_add(r, &seg, 1, false);
	assert_false(vring_publish(r)); /* the event stayed where it was */
	*event = 3;
	vring_add(r, &seg, 1, false);
	assert_false(vring_publish(r));
	vring_add(r, &seg, 1, false);
	assert_true(vring_publish(r));
	r->event_idx = false;
	r->used->flags = VIRTQ_USED_F_NO_NOTIFY;
	vring_add(r, &seg, 1, false);
	assert_false(vring_publish(r));
	r->used->flags = 0;
	vring_add(r, &seg, 1, false);
	assert_true(vring_publish(r));
}

static void ring_goes_round_its_indices(void **state)
{
	struct vring *r = *state;
	struct vring_seg seg[3] = { { 0x2000, 10 }, { 0x3000, 20 }, { 0x4000, 30 } };

	for (unsigned int i = 0; i < 70000; i++) {
		unsigned int n = 1 + i % 3, room = vring_room(r);
		uint16_t head = r->desc_tail % VRING_SIZE;

		vring_add(r, seg, n, true);
		assert_int_equal(vring_room(r), room - n);
		vring_publish(r);
		assert_int_equal(r->avail->idx, (uint16_t)(i + 1));
		r->used->ring[i % VRING_SIZE] = (struct virtq_used_elem){ .id = head, .len = 5 };
		r->used->idx++;
		assert_int_equal(vring_used(r), 1);
		assert_int_equal(vring_used_in_order(r, 0), 5);
		assert_int_equal(vring_complete(r), 1);
		assert_int_equal(vring_room(r), VRING_SIZE);
	}
}

static void ring_chain_without_descriptors_keeps_its_place(void **state)
{
	struct vring *r = *state;
	struct vring_seg seg = { .gpa = 0x2000, .len = 10 };

	vring_add(r, &seg, 1, false);
	vring_add_none(r);
	vring_add(r, &seg, 1, false);
	vring_publish(r);
	assert_int_equal(vring_complete(r), 0);
	assert_false(vring_has_hole(r));
	r->used->ring[0].id = 0;
	r->used->idx = 1;
	assert_int_equal(vring_complete(r), 2);
	r->used->ring[1].id = 1;
	r->used->idx = 2;
	assert_int_equal(vring_complete(r), 1);
	assert_int_equal(vring_room(r), VRING_SIZE);
}

#define T(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define T_PLAIN(name) cmocka_unit_test_setup_teardown(name, setup_without_filter, teardown)
#define T_SMALL(name) cmocka_unit_test_setup_teardown(name, setup_small_buffers, teardown)
#define T_OLD(name)   cmocka_unit_test_setup_teardown(name, setup_old_switch, teardown)
#define T_IO(name)    cmocka_unit_test_setup_teardown(name, setup_running, teardown)
#define T_RING(name)  cmocka_unit_test_setup_teardown(name, ring_setup, ring_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(frame_leaves_from_where_the_guest_has_it),
		T(padding_of_a_short_frame_goes_along),
		T(header_that_the_device_changed_goes_along),
		T(frames_that_come_back_in_another_order_are_done_in_theirs),
		T(a_full_ring_holds_the_guest_back),
		T(frame_comes_into_the_posted_buffer),
		T_SMALL(frame_over_several_buffers_is_put_together),
		T_SMALL(buffers_go_round_without_loss_or_mix),
		T_PLAIN(what_the_guest_refuses_costs_no_descriptor),
		T_PLAIN(frames_are_in_place_again_when_all_lent_buffers_were_back),
		T(filters_are_the_switchs_when_it_has_them),
		T_OLD(a_switch_without_any_feature_serves_too),
		T(buffers_are_back_when_receive_goes_off),
		T(buffers_are_back_when_their_ring_or_the_bus_changes),
		T(frames_out_wait_while_buffers_are_withdrawn),
		T(reset_takes_everything_back),
		T(guest_goes_on_without_a_switch_and_gets_the_next_one),
		T(a_descriptor_of_another_name_is_not_taken),
		T_IO(a_call_wakes_the_thread_that_rests),
		T_IO(no_call_is_wanted_while_the_thread_polls),
		T(used_id_beyond_the_ring_is_not_followed),
		T(used_id_of_no_chain_is_not_followed),
		T(chain_used_twice_is_not_believed),
		T(more_used_than_given_is_not_believed),
		T(used_index_that_goes_back_is_not_believed),
		T(received_length_above_the_buffer_is_not_believed),
		T(received_length_below_the_header_is_not_believed),
		T(received_out_of_order_is_not_believed),
		T(frame_of_no_buffer_is_not_believed),
		T(frame_of_more_buffers_than_came_is_not_believed),
		T_SMALL(rings_full_of_noise_are_survived),
		T_RING(ring_tells_the_device_only_when_it_wants_to_be_told),
		T_RING(ring_goes_round_its_indices),
		T_RING(ring_chain_without_descriptors_keeps_its_place),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front-end of vhost-user against back-ends that are good, slow, dead and hostile: what they
 * are told, what survives a reconnect, and that neither descriptors nor threads stay behind.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/err.h"
#include "core/proto/virtio_net_abi.h"
#include "helper_count.h"
#include "helper_vhost_be.h"
#include "pv-net/vhost_user.h"

#define MEM_SIZE (4ull << 20)
#define RINGS    4
#define EXTRA    (1ull << 40)
#define FEATURES \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF) | \
	 VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX))

struct fx {
	struct guest_mem *mem;
	struct vhost_user_conf conf;
	struct vhost_user *vu;
	struct nic_ring ring[RINGS];
	_Atomic unsigned int n_up, n_down, n_lost, n_said;
	char said[256];
};

static void fx_link(void *opaque, bool up)
{
	struct fx *f = opaque;

	atomic_fetch_add(up ? &f->n_up : &f->n_down, 1);
}

static void fx_lost(void *opaque)
{
	atomic_fetch_add(&((struct fx *)opaque)->n_lost, 1);
}

static void fx_heard(void *opaque, const char *line)
{
	struct fx *f = opaque;

	snprintf(f->said, sizeof(f->said), "%s", line);
	atomic_fetch_add(&f->n_said, 1);
}

static void await(const _Atomic unsigned int *n, unsigned int want)
{
	for (int i = 0; i < 20000 && atomic_load(n) < want; i++)
		usleep(1000);
	assert_int_equal(atomic_load(n), want);
}

static void await_up(struct fx *f, bool up)
{
	for (int i = 0; i < 20000 && vhost_user_is_up(f->vu) != up; i++)
		usleep(1000);
	assert_int_equal(vhost_user_is_up(f->vu), up);
}

static struct virtq_used *used_of(struct fx *f, unsigned int i)
{
	return mem_ptr(f->mem, f->ring[i].used, 4);
}

static int setup(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));

	err_set_sink(fx_heard, f);
	assert_int_equal(mem_create(MEM_SIZE, &f->mem), 0);
	for (unsigned int i = 0; i < RINGS; i++)
		f->ring[i] = (struct nic_ring){
			.size = 256,
			.desc = 0x10000 * (i + 1),
			.avail = 0x10000 * (i + 1) + 0x4000,
			.used = 0x10000 * (i + 1) + 0x8000,
			.kick_fd = eventfd(0, EFD_NONBLOCK),
			.call_fd = eventfd(0, EFD_NONBLOCK),
			.enabled = i < 2,
		};
	f->conf = (struct vhost_user_conf){ .name = "nic0",
					    .mem = f->mem,
					    .features = FEATURES,
					    .link = fx_link,
					    .lost = fx_lost,
					    .opaque = f };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fx *f = *state;

	vhost_user_destroy(f->vu);
	for (unsigned int i = 0; i < RINGS; i++) {
		close(f->ring[i].kick_fd);
		close(f->ring[i].call_fd);
	}
	mem_destroy(f->mem);
	err_set_sink(NULL, NULL);
	free(f);
	return 0;
}

static void connect_good(struct fx *f, struct be *be)
{
	be_init(be);
	assert_int_equal(vhost_user_create(&f->conf, be_start(be), &f->vu), 0);
}

/* Another back-end after a loss, the way the supervisor gives it. */
static void reconnect(struct fx *f, struct be *be)
{
	vhost_user_connected(f->vu, be_start(be));
}

static uint64_t drain(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) < 0 ? 0 : n;
}

struct sink {
	struct stats_sink sink;
	const char *name;
	uint64_t value;
};

static void sink_put(struct stats_sink *s, const char *name, uint64_t value)
{
	struct sink *k = (struct sink *)s;

	if (!strcmp(name, k->name))
		k->value = value;
}

static uint64_t counter(struct fx *f, const char *name)
{
	struct sink k = { .sink.put = sink_put, .name = name, .value = UINT64_MAX };

	vhost_user_stats(f->vu, &k.sink);
	return k.value;
}

/* --- the first handshake --- */
static void first_handshake_settles_features_and_pairs(void **state)
{
	struct fx *f = *state;
	struct be be;

	connect_good(f, &be);
	assert_int_equal(vhost_user_features(f->vu), FEATURES);
	assert_int_equal(vhost_user_max_pairs(f->vu), 4);
	assert_true(vhost_user_has_filter(f->vu));
	assert_true(vhost_user_is_up(f->vu));
	assert_int_equal(be_got(&be, VHOST_USER_SET_OWNER), 1);
	assert_int_equal(be_got(&be, VHOST_USER_SET_FEATURES), 0);
	assert_int_equal(be.set_protocol, be.protocol);
	be_stop(&be);
}

static void backend_without_protocol_features_is_used_without_them(void **state)
{
	struct fx *f = *state;
	struct be be;

	be_init(&be);
	be.features &= ~VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES);
	assert_int_equal(vhost_user_create(&f->conf, be_start(&be), &f->vu), 0);
	assert_int_equal(vhost_user_max_pairs(f->vu), 1);
	assert_false(vhost_user_has_filter(f->vu));
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	be_await(&be, VHOST_USER_SET_VRING_KICK, 2);
	assert_int_equal(be_got(&be, VHOST_USER_GET_PROTOCOL_FEATURES), 0);
	assert_int_equal(be_got(&be, VHOST_USER_SET_VRING_ENABLE), 0);
	be_stop(&be);
}

static void number_of_queues_is_clamped(void **state)
{
	static const struct {
		uint64_t says;
		unsigned int pairs;
	} row[] = { { 0, 1 }, { 1, 1 }, { 8, 8 }, { 9, 8 }, { UINT64_MAX, 8 } };
	struct fx *f = *state;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct be be;

		be_init(&be);
		be.queue_num = row[i].says;
		assert_int_equal(vhost_user_create(&f->conf, be_start(&be), &f->vu), 0);
		assert_int_equal(vhost_user_max_pairs(f->vu), row[i].pairs);
		vhost_user_destroy(f->vu);
		f->vu = NULL;
		be_stop(&be);
	}
}

static void first_handshake_fails_with_its_reason(void **state)
{
	static const struct {
		uint32_t request;
		enum be_fault fault;
		int ret;
	} row[] = {
		{ VHOST_USER_GET_FEATURES, BE_DIE, -EPIPE },
		{ VHOST_USER_GET_FEATURES, BE_MUTE, -ETIMEDOUT },
		{ VHOST_USER_GET_FEATURES, BE_HALF, -ETIMEDOUT },
		{ VHOST_USER_GET_FEATURES, BE_SHORT, -EPROTO },
		{ VHOST_USER_GET_FEATURES, BE_HUGE, -EPROTO },
		{ VHOST_USER_GET_FEATURES, BE_OTHER, -EPROTO },
		{ VHOST_USER_GET_FEATURES, BE_NO_REPLY, -EPROTO },
		{ VHOST_USER_GET_FEATURES, BE_EXTRA_FD, -EPROTO },
		{ VHOST_USER_GET_FEATURES, BE_TWICE, -EPROTO },
		{ VHOST_USER_GET_PROTOCOL_FEATURES, BE_DIE, -EPIPE },
		{ VHOST_USER_SET_PROTOCOL_FEATURES, BE_DIE, -EPIPE },
		{ VHOST_USER_GET_QUEUE_NUM, BE_EXTRA_FD, -EPROTO },
		{ VHOST_USER_SET_OWNER, BE_DIE, -EPIPE },
		{ VHOST_USER_SET_OWNER, BE_REFUSE, -EPROTO },
	};
	struct fx *f = *state;
	unsigned int before = count_fds();

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		unsigned int said = atomic_load(&f->n_said);
		struct be be;

		be_init(&be);
		be.bad_request = row[i].request;
		be.fault = row[i].fault;
		assert_int_equal(vhost_user_create(&f->conf, be_start(&be), &f->vu), row[i].ret);
		assert_int_equal(atomic_load(&f->n_said), said + 1);
		be_stop(&be);
	}
	assert_int_equal(count_fds(), before);
}

static void backend_without_version_1_is_refused(void **state)
{
	struct fx *f = *state;
	struct be be;

	be_init(&be);
	be.features &= ~VIRTIO_BIT(VIRTIO_F_VERSION_1);
	assert_int_equal(vhost_user_create(&f->conf, be_start(&be), &f->vu), -EPROTO);
	be_stop(&be);
}

/* --- rings --- */
static void start_tells_memory_and_rings(void **state)
{
	struct fx *f = *state;
	struct be be;
	uintptr_t base = (uintptr_t)mem_region(f->mem, 0)->hva;

	connect_good(f, &be);
	used_of(f, 1)->idx = 77;
	/* what is between driver and device is not passed on */
	vhost_user_start(f->vu, FEATURES | VIRTIO_BIT(VIRTIO_NET_F_MAC), f->ring, RINGS);
	assert_int_equal(be.set_features, FEATURES | VIRTIO_BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	assert_int_equal(be.memory.n_regions, 1);
	assert_int_equal(be.memory.region[0].guest_phys_addr, 0);
	assert_int_equal(be.memory.region[0].memory_size, MEM_SIZE);
	assert_int_equal(be.memory.region[0].userspace_addr, base);
	for (unsigned int i = 0; i < RINGS; i++) {
		assert_int_equal(be.ring[i].num, 256);
		assert_int_equal(be.ring[i].base, i == 1 ? 77 : 0);
		assert_int_equal(be.ring[i].addr.desc, base + f->ring[i].desc);
		assert_int_equal(be.ring[i].addr.avail, base + f->ring[i].avail);
		assert_int_equal(be.ring[i].addr.used, base + f->ring[i].used);
		assert_int_equal(be.ring[i].enabled, i < 2);
		assert_true(be.ring[i].kick >= 0 && be.ring[i].call >= 0);
		/* the same eventfds: what is written here is read there */
		assert_true(drain(be.ring[i].kick) >= 1);
		assert_int_equal(eventfd_write(be.ring[i].call, 5), 0);
		assert_int_equal(drain(f->ring[i].call_fd), 5);
	}
	assert_true(vhost_user_is_up(f->vu));
	be_stop(&be);
}

static void extra_region_holds_rings_too(void **state)
{
	struct fx *f = *state;
	int fd = memfd_create("extra", MFD_CLOEXEC);
	struct vhost_user_extra x = { .gpa = EXTRA, .size = 0x20000, .fd = fd };
	struct be be;

	assert_int_equal(ftruncate(fd, 0x20000), 0);
	x.hva = mmap(NULL, x.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	f->conf.extra = &x;
	connect_good(f, &be);
	f->ring[0].desc = EXTRA;
	f->ring[0].avail = EXTRA + 0x4000;
	f->ring[0].used = EXTRA + 0x8000;
	((struct virtq_used *)((char *)x.hva + 0x8000))->idx = 9;
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	assert_int_equal(be.memory.n_regions, 2);
	assert_int_equal(be.memory.region[1].guest_phys_addr, EXTRA);
	assert_int_equal(be.ring[0].addr.used, (uintptr_t)x.hva + 0x8000);
	assert_int_equal(be.ring[0].base, 9);
	vhost_user_destroy(f->vu);
	f->vu = NULL;
	be_stop(&be);
	munmap(x.hva, x.size);
	close(fd);
}

static void ring_outside_of_memory_is_not_handed_over(void **state)
{
	struct fx *f = *state;
	struct be be;

	connect_good(f, &be);
	f->ring[1].used = MEM_SIZE - 16;
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	assert_int_equal(be_got(&be, VHOST_USER_SET_VRING_ADDR), 0);
	assert_int_equal(atomic_load(&f->n_said), 1);
	be_stop(&be);
}

static void stop_takes_every_ring_back_and_start_goes_on(void **state)
{
	struct fx *f = *state;
	struct be be;

	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, RINGS);
	vhost_user_stop(f->vu);
	assert_int_equal(be_got(&be, VHOST_USER_GET_VRING_BASE), RINGS);
	vhost_user_stop(f->vu);
	assert_int_equal(be_got(&be, VHOST_USER_GET_VRING_BASE), RINGS);
	for (unsigned int i = 0; i < RINGS; i++)
		assert_false(be.ring[i].enabled);
	used_of(f, 0)->idx = 300;
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	assert_int_equal(be.ring[0].base, 300);
	assert_int_equal(be_got(&be, VHOST_USER_SET_MEM_TABLE), 1);
	assert_int_equal(atomic_load(&f->n_lost), 0);
	be_stop(&be);
}

static void pause_takes_the_rings_back_and_resume_goes_on(void **state)
{
	struct fx *f = *state;
	struct be be;

	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	vhost_user_pause(f->vu);
	assert_int_equal(be_got(&be, VHOST_USER_GET_VRING_BASE), 2);
	assert_false(be.ring[0].enabled);
	assert_true(vhost_user_is_up(f->vu)); /* the guest is not told */
	used_of(f, 0)->idx = 300;
	drain(f->ring[0].kick_fd);
	vhost_user_resume(f->vu);
	assert_int_equal(be.ring[0].base, 300);
	assert_true(be.ring[0].enabled);
	assert_int_equal(drain(f->ring[0].kick_fd), 1); /* a kick of before may be lost */
	assert_int_equal(atomic_load(&f->n_lost), 0);
	be_stop(&be);
}

static void pause_without_rings_leaves_them_off(void **state)
{
	struct fx *f = *state;
	struct be be;

	connect_good(f, &be);
	vhost_user_pause(f->vu);
	vhost_user_resume(f->vu);
	assert_int_equal(be_got(&be, VHOST_USER_SET_VRING_KICK), 0);
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	vhost_user_pause(f->vu);
	vhost_user_stop(f->vu);
	vhost_user_resume(f->vu);
	assert_int_equal(be_got(&be, VHOST_USER_SET_VRING_KICK), 2);
	be_stop(&be);
}

static void next_backend_waits_for_the_end_of_the_pause(void **state)
{
	struct fx *f = *state;
	struct be be, next;

	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	vhost_user_pause(f->vu);
	be_stop(&be);
	await(&f->n_lost, 1);
	be_init(&next);
	reconnect(f, &next);
	await_up(f, true);
	assert_int_equal(be_got(&next, VHOST_USER_SET_VRING_KICK), 0);
	vhost_user_resume(f->vu);
	assert_int_equal(be_got(&next, VHOST_USER_SET_VRING_KICK), 2);
	be_stop(&next);
}

static void stop_cuts_a_backend_that_keeps_the_rings(void **state)
{
	static const enum be_fault fault[] = { BE_MUTE, BE_WRONG_RING, BE_SHORT, BE_DIE };

	for (size_t i = 0; i < sizeof(fault) / sizeof(fault[0]); i++) {
		struct fx *f;
		struct be be;

		setup(state);
		f = *state;
		be_init(&be);
		be.bad_request = VHOST_USER_GET_VRING_BASE;
		be.fault = fault[i];
		assert_int_equal(vhost_user_create(&f->conf, be_start(&be), &f->vu), 0);
		vhost_user_start(f->vu, FEATURES, f->ring, 2);
		vhost_user_stop(f->vu);
		/* it is told by the end of the connection, so its thread ends by itself */
		pthread_join(be.thread, NULL);
		close(be.sock);
		be.running = false;
		await(&f->n_lost, 1);
		assert_false(vhost_user_is_up(f->vu));
		be_stop(&be);
		teardown(state);
	}
}

static void enable_and_call_change_while_running(void **state)
{
	struct fx *f = *state;
	struct be be;

	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, RINGS);
	vhost_user_enable(f->vu, 2, true);
	assert_true(be.ring[2].enabled);
	vhost_user_enable(f->vu, 2, false);
	assert_false(be.ring[2].enabled);
	vhost_user_set_call(f->vu, 0, -1);
	assert_true(be.ring[0].no_call);
	drain(f->ring[1].call_fd);
	vhost_user_set_call(f->vu, 0, f->ring[1].call_fd);
	assert_false(be.ring[0].no_call);
	/* an interrupt that went the old way is not lost */
	assert_int_equal(drain(f->ring[1].call_fd), 1);
	vhost_user_enable(f->vu, RINGS, true);
	vhost_user_set_call(f->vu, 1000, -1);
	be_stop(&be);
}

static void filter_goes_to_a_backend_that_knows_it(void **state)
{
	struct nic_filter filter = {
		.broadcast = true, .n_macs = 1, .hash = true, .hash_shift = 3
	};
	struct fx *f = *state;
	struct be be, next;

	connect_good(f, &be);
	filter.mac[0][5] = 7;
	filter.hash_table[127] = 0x80000001;
	vhost_user_set_filter(f->vu, &filter);
	be_await(&be, VHOST_USER_FL_SET_FILTER, 1);
	assert_int_equal(be.filter.flags, VHOST_USER_FILTER_BROADCAST | VHOST_USER_FILTER_HASH);
	assert_int_equal(be.filter.n_macs, 1);
	assert_int_equal(be.filter.mac[0][5], 7);
	assert_int_equal(be.filter.hash_shift, 3);
	assert_int_equal(be.filter.hash_table[127], 0x80000001);
	be_stop(&be);
	await(&f->n_lost, 1);
	be_init(&next);
	reconnect(f, &next); /* the next one starts without: it is told again */
	be_await(&next, VHOST_USER_FL_SET_FILTER, 1);
	assert_memory_equal(&next.filter, &be.filter, sizeof(be.filter));
	be_stop(&next);
}

/* --- the other side goes and comes --- */
static void rings_go_on_with_the_next_backend(void **state)
{
	struct fx *f = *state;
	struct be be, next;

	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	be_stop(&be);
	await(&f->n_lost, 1);
	await(&f->n_down, 1);
	assert_false(vhost_user_is_up(f->vu));
	used_of(f, 0)->idx = 1234;
	for (unsigned int i = 0; i < 2; i++) {
		drain(f->ring[i].kick_fd);
		drain(f->ring[i].call_fd);
	}
	be_init(&next);
	reconnect(f, &next);
	await(&f->n_up, 1);
	assert_int_equal(next.ring[0].base, 1234);
	for (unsigned int i = 0; i < 2; i++) {
		/* kicks and interrupts of before may be lost: both sides look once */
		assert_int_equal(drain(f->ring[i].kick_fd), 1);
		assert_int_equal(drain(f->ring[i].call_fd), 1);
	}
	assert_int_equal(counter(f, "vhost_connects"), 2);
	assert_int_equal(counter(f, "vhost_lost"), 1);
	be_stop(&next);
}

static void start_without_a_backend_is_done_when_it_comes(void **state)
{
	struct fx *f = *state;
	struct be be, next;

	connect_good(f, &be);
	be_stop(&be);
	await(&f->n_lost, 1);
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	vhost_user_stop(f->vu);
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	be_init(&next);
	reconnect(f, &next);
	await_up(f, true);
	assert_true(next.ring[1].enabled);
	be_stop(&next);
}

static void backend_that_offers_less_is_refused_and_the_next_taken(void **state)
{
	struct fx *f = *state;
	struct be be, less[3], next;

	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, RINGS);
	be_stop(&be);
	await(&f->n_lost, 1);
	for (unsigned int i = 0; i < 3; i++) {
		be_init(&less[i]);
		if (i == 0)
			less[i].features &= ~VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
		else if (i == 1)
			less[i].queue_num = 1;
		else
			less[i].protocol &= ~VIRTIO_BIT(VHOST_USER_PROTOCOL_F_FL_FILTER);
		reconnect(f, &less[i]);
		await(&f->n_lost, 2 + i);
		assert_int_equal(be_got(&less[i], VHOST_USER_SET_VRING_KICK), 0);
		assert_non_null(strstr(f->said, "less than is in use"));
		be_stop(&less[i]);
	}
	assert_false(vhost_user_is_up(f->vu));
	be_init(&next);
	reconnect(f, &next);
	await_up(f, true);
	assert_int_equal(counter(f, "vhost_refused"), 3);
	be_stop(&next);
}

static void backend_that_fails_anywhere_in_the_start_is_cut(void **state)
{
	static const struct {
		uint32_t request;
		enum be_fault fault;
	} row[] = {
		{ VHOST_USER_SET_FEATURES, BE_REFUSE },  { VHOST_USER_SET_MEM_TABLE, BE_DIE },
		{ VHOST_USER_SET_MEM_TABLE, BE_MUTE },   { VHOST_USER_SET_VRING_NUM, BE_DIE },
		{ VHOST_USER_SET_VRING_BASE, BE_OTHER }, { VHOST_USER_SET_VRING_ADDR, BE_EXTRA_FD },
		{ VHOST_USER_SET_VRING_KICK, BE_HUGE },  { VHOST_USER_SET_VRING_CALL, BE_SHORT },
		{ VHOST_USER_SET_VRING_ENABLE, BE_DIE }, { VHOST_USER_SET_VRING_ENABLE, BE_TWICE },
	};
	struct fx *f = *state;
	unsigned int lost = 0, before;
	struct be be;

	before = count_fds();
	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	be_stop(&be);
	await(&f->n_lost, ++lost);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct be bad;

		be_init(&bad);
		bad.bad_request = row[i].request;
		bad.fault = row[i].fault;
		reconnect(f, &bad);
		await(&f->n_lost, ++lost);
		be_stop(&bad);
	}
	be_init(&be);
	reconnect(f, &be);
	await_up(f, true);
	vhost_user_destroy(f->vu);
	f->vu = NULL;
	be_stop(&be);
	assert_int_equal(count_fds(), before);
}

static void word_that_nobody_asked_for_ends_the_connection(void **state)
{
	struct fx *f = *state;
	struct be be;

	connect_good(f, &be);
	assert_int_equal(send(be.sock, "x", 1, 0), 1);
	await(&f->n_lost, 1);
	assert_int_equal(counter(f, "vhost_refused"), 1);
	be_stop(&be);
}

static void twenty_reconnects_leave_nothing_behind(void **state)
{
	struct fx *f = *state;
	unsigned int before = 0;
	struct be be;

	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, RINGS);
	for (unsigned int i = 0; i < 20; i++) {
		be_stop(&be);
		await(&f->n_lost, i + 1);
		if (i == 0)
			before = count_fds();
		assert_int_equal(count_fds(), before);
		be_init(&be);
		reconnect(f, &be);
		await(&f->n_up, i + 1);
	}
	assert_int_equal(counter(f, "vhost_connects"), 21);
	be_stop(&be);
}

static void newer_connection_replaces_the_older(void **state)
{
	struct fx *f = *state;
	struct be be, next;

	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	be_init(&next);
	reconnect(f, &next);
	be_await(&next, VHOST_USER_SET_VRING_ENABLE, 2);
	pthread_join(be.thread, NULL); /* the end was told to the older */
	close(be.sock);
	be.running = false;
	be_stop(&be);
	be_stop(&next);
}

static void thread_waits_for_the_io_thread(void **state)
{
	struct fx *f = *state;
	struct be be;
	struct io *io;

	assert_int_equal(io_create(&io), 0);
	f->conf.io = io;
	connect_good(f, &be);
	vhost_user_start(f->vu, FEATURES, f->ring, 2);
	assert_int_equal(be_got(&be, VHOST_USER_SET_FEATURES), 0);
	assert_int_equal(io_start(io), 0);
	be_await(&be, VHOST_USER_SET_VRING_ENABLE, 2);
	io_stop(io);
	vhost_user_destroy(f->vu);
	f->vu = NULL;
	be_stop(&be);
	io_destroy(io);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(first_handshake_settles_features_and_pairs),
		T(backend_without_protocol_features_is_used_without_them),
		T(number_of_queues_is_clamped),
		T(first_handshake_fails_with_its_reason),
		T(backend_without_version_1_is_refused),
		T(start_tells_memory_and_rings),
		T(extra_region_holds_rings_too),
		T(ring_outside_of_memory_is_not_handed_over),
		T(stop_takes_every_ring_back_and_start_goes_on),
		cmocka_unit_test(stop_cuts_a_backend_that_keeps_the_rings),
		T(pause_takes_the_rings_back_and_resume_goes_on),
		T(pause_without_rings_leaves_them_off),
		T(next_backend_waits_for_the_end_of_the_pause),
		T(enable_and_call_change_while_running),
		T(filter_goes_to_a_backend_that_knows_it),
		T(rings_go_on_with_the_next_backend),
		T(start_without_a_backend_is_done_when_it_comes),
		T(backend_that_offers_less_is_refused_and_the_next_taken),
		T(backend_that_fails_anywhere_in_the_start_is_cut),
		T(word_that_nobody_asked_for_ends_the_connection),
		T(twenty_reconnects_leave_nothing_behind),
		T(newer_connection_replaces_the_older),
		T(thread_waits_for_the_io_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

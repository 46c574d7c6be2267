/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch's back-end of vhost-user: a good front-end gets what it wants, and none of the ways in
 * which others have broken theirs does it any harm. The comments name where each was seen first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "core/rpc.h"
#include "helper_sw_vhost.h"

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static int up(void **state)
{
	static struct fe fe;

	fe_open(&fe);
	*state = &fe;
	return 0;
}

/* Each test ends here: everything was given back, no descriptor is left. */
static int down(void **state)
{
	return fe_close(*state) ? 0 : -1;
}

#define good(expr)    assert_int_equal(expr, 0)
#define refused(expr) assert_int_equal(expr, -EPROTO)

/* --- what a good front-end gets --- */
static void offers_its_features_and_protocol_features(void **state)
{
	struct fe *fe = *state;
	uint64_t v = 0;

	good(fe_say(fe, VHOST_USER_GET_FEATURES, NULL, 0));
	assert_int_equal(fe_answer(fe, VHOST_USER_GET_FEATURES, &v, sizeof(v)), 8);
	assert_true(v == (FE_FEATURES | FE_F30));
	good(fe_say(fe, VHOST_USER_GET_PROTOCOL_FEATURES, NULL, 0));
	assert_int_equal(fe_answer(fe, VHOST_USER_GET_PROTOCOL_FEATURES, &v, sizeof(v)), 8);
	assert_true(v == ((UINT64_C(1) << 0) | (UINT64_C(1) << 3) | (UINT64_C(1) << 48)));
	good(fe_say_u64(fe, VHOST_USER_SET_PROTOCOL_FEATURES, FE_PROTOCOL));
	good(fe_say(fe, VHOST_USER_GET_QUEUE_NUM, NULL, 0));
	assert_int_equal(fe_answer(fe, VHOST_USER_GET_QUEUE_NUM, &v, sizeof(v)), 8);
	assert_int_equal(v, 2);
}

static void good_front_end_gets_running_rings(void **state)
{
	struct fe *fe = *state;
	const struct vhost_ring_conf *c = &fe->ring[1].conf;
	struct vhost_conn_info info;

	good(fe_start_all(fe));
	assert_true(fe->ring[0].running && fe->ring[1].running && !fe->ring[2].running);
	assert_true(fe->ring[1].enabled);
	assert_int_equal(c->size, FE_SIZE);
	assert_int_equal(c->base, 7);
	assert_true(c->features == (FE_FEATURES | FE_F30));
	assert_true(c->kick_fd >= 0 && c->call_fd >= 0);
	assert_ptr_equal(c->desc, vhost_mem_ptr(c->mem, FE_GPA + 0x10000, 1));
	assert_int_equal(fe->mem[0x10000], 1); /* what the recorder wrote there */
	assert_int_equal(fe->mem[0x14000], 2);
	assert_int_equal(fe->mem[0x18000], 3);
	vhost_conn_info(fe->conn, &info);
	assert_int_equal(info.n_rings_running, 2);
	assert_int_equal(info.n_regions, 1);
	assert_int_equal(info.mem_bytes, FE_MEM_SIZE);
	assert_true(info.protocol_features == FE_PROTOCOL);
	assert_int_equal(fe->n_said, 0);
}

static void ring_waits_until_it_is_complete(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();
	uint64_t at = fe_ring_user(0);

	good(fe_handshake(fe));
	good(fe_say_memory(fe, &r, 1));
	good(fe_say_event(fe, VHOST_USER_SET_VRING_KICK, 0));
	good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, FE_SIZE));
	assert_false(fe->ring[0].running);
	good(fe_say_addr(fe, 0, at, at + 0x4000, at + 0x8000));
	assert_true(fe->ring[0].running);
	assert_int_equal(fe->ring[0].conf.call_fd, -1);
}

static void answers_what_wants_an_answer(void **state)
{
	struct fe *fe = *state;
	struct {
		struct vhost_user_hdr hdr;
		uint64_t v;
	} __attribute__((packed))
	m = { { VHOST_USER_SET_FEATURES, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, 8 },
	      FE_FEATURES | FE_F30 };
	uint64_t v = 1;

	/* not before REPLY_ACK is negotiated */
	good(fe_say(fe, VHOST_USER_SET_OWNER, NULL, 0));
	fe_send_raw(fe, &m, sizeof(m), NULL, 0);
	good(vhost_conn_ready(fe->conn));
	assert_int_equal(fe_answer(fe, VHOST_USER_SET_FEATURES, &v, sizeof(v)), -1);
	good(fe_handshake(fe));
	fe_send_raw(fe, &m, sizeof(m), NULL, 0);
	good(vhost_conn_ready(fe->conn));
	assert_int_equal(fe_answer(fe, VHOST_USER_SET_FEATURES, &v, sizeof(v)), 8);
	assert_int_equal(v, 0);
}

static void message_in_pieces_is_one_message(void **state)
{
	struct fe *fe = *state;
	struct {
		struct vhost_user_hdr hdr;
		uint64_t v;
	} __attribute__((packed))
	m = { { VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 8 }, FE_FEATURES };
	struct vhost_conn_info info;

	good(fe_say(fe, VHOST_USER_SET_OWNER, NULL, 0));
	for (size_t i = 0; i < sizeof(m); i++) {
		vhost_conn_info(fe->conn, &info);
		assert_int_equal(info.n_messages, 1);
		fe_send_raw(fe, (uint8_t *)&m + i, 1, NULL, 0);
		good(vhost_conn_ready(fe->conn));
	}
	vhost_conn_info(fe->conn, &info);
	assert_int_equal(info.n_messages, 2);
	assert_true(info.features == FE_FEATURES);
}

/* A descriptor may come with any piece of its message. */
static void descriptor_with_a_later_piece_counts(void **state)
{
	struct fe *fe = *state;
	struct {
		struct vhost_user_hdr hdr;
		uint64_t v;
	} __attribute__((packed)) m = { { VHOST_USER_SET_VRING_CALL, VHOST_USER_VERSION, 8 }, 1 };
	int fd = eventfd(0, EFD_CLOEXEC);

	good(fe_handshake(fe));
	fe_send_raw(fe, &m, sizeof(m.hdr), NULL, 0);
	good(vhost_conn_ready(fe->conn));
	fe_send_raw(fe, &m.v, sizeof(m.v), &fd, 1);
	good(vhost_conn_ready(fe->conn));
	close(fd);
}

static void several_messages_keep_their_descriptors(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();
	uint64_t at = fe_ring_user(0), call = 0, kick = 0;
	int call_fd = eventfd(3, EFD_CLOEXEC), kick_fd = eventfd(5, EFD_CLOEXEC);
	eventfd_t got;

	good(fe_handshake(fe));
	good(fe_say_memory(fe, &r, 1));
	good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, FE_SIZE));
	good(fe_say_addr(fe, 0, at, at + 0x4000, at + 0x8000));
	fe_send(fe, VHOST_USER_SET_VRING_CALL, &call, 8, &call_fd, 1);
	fe_send(fe, VHOST_USER_SET_VRING_KICK, &kick, 8, &kick_fd, 1);
	good(vhost_conn_ready(fe->conn));
	assert_true(fe->ring[0].running);
	good(eventfd_read(fe->ring[0].conf.call_fd, &got));
	assert_int_equal(got, 3);
	good(eventfd_read(fe->ring[0].conf.kick_fd, &got));
	assert_int_equal(got, 5);
	close(call_fd);
	close(kick_fd);
}

static void many_messages_are_handled_in_turns(void **state)
{
	struct fe *fe = *state;
	struct vhost_conn_info info;

	for (unsigned int i = 0; i < 100; i++)
		fe_send(fe, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0);
	good(vhost_conn_ready(fe->conn));
	vhost_conn_info(fe->conn, &info);
	assert_in_range(info.n_messages, 1, 99);
	for (unsigned int i = 0; i < 100; i++)
		good(vhost_conn_ready(fe->conn));
	vhost_conn_info(fe->conn, &info);
	assert_int_equal(info.n_messages, 100);
}

static void get_base_stops_the_ring_until_a_new_kick(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_vring_state s = { 0 };

	good(fe_start_all(fe));
	fe->ring[1].next = 4711;
	good(fe_say_state(fe, VHOST_USER_GET_VRING_BASE, 1, 0));
	assert_false(fe->ring[1].running);
	assert_true(fe->ring[0].running);
	assert_int_equal(fe_answer(fe, VHOST_USER_GET_VRING_BASE, &s, sizeof(s)), 8);
	assert_int_equal(s.index, 1);
	assert_int_equal(s.num, 4711);
	good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 1, FE_SIZE));
	assert_false(fe->ring[1].running);
	good(fe_say_event(fe, VHOST_USER_SET_VRING_KICK, 1));
	assert_true(fe->ring[1].running);
	assert_int_equal(fe->ring[1].conf.base, 4711);
}

/* DPDK's virtio-user tells base 0 to a back-end that comes back to rings in use. */
static void ring_begins_at_its_used_index(void **state)
{
	struct fe *fe = *state;

	good(fe_start_all(fe));
	good(fe_say_state(fe, VHOST_USER_GET_VRING_BASE, 0, 0));
	good(fe_say_state(fe, VHOST_USER_SET_VRING_BASE, 0, 0));
	fe_set_used(fe, 0, 1234);
	good(fe_say_event(fe, VHOST_USER_SET_VRING_KICK, 0));
	assert_int_equal(fe->ring[0].conf.base, 1234);
}

/* DPDK's virtio-user, when it listens, says SET_OWNER only to the first back-end. */
static void owner_is_not_waited_for_where_we_connect(void **state)
{
	struct fe *fe = *state;

	vhost_conn_assume_owner(fe->conn);
	good(fe_say_state(fe, VHOST_USER_SET_VRING_ENABLE, 0, 0));
	good(fe_say_u64(fe, VHOST_USER_SET_FEATURES, FE_FEATURES));
}

static void enable_reaches_a_running_ring(void **state)
{
	struct fe *fe = *state;

	good(fe_start_all(fe));
	good(fe_say_state(fe, VHOST_USER_SET_VRING_ENABLE, 0, 0));
	assert_false(fe->ring[0].enabled);
	assert_true(fe->ring[0].running);
	good(fe_say_state(fe, VHOST_USER_SET_VRING_ENABLE, 0, 1));
	assert_true(fe->ring[0].enabled);
	good(fe_say_state(fe, VHOST_USER_SET_VRING_ENABLE, 3, 1)); /* before it runs */
	good(fe_start_ring(fe, 3));
	assert_true(fe->ring[3].conf.enabled);
}

static void ring_is_enabled_by_its_kick_without_protocol_features(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();
	uint64_t at = fe_ring_user(0);

	good(fe_say(fe, VHOST_USER_SET_OWNER, NULL, 0));
	good(fe_say_u64(fe, VHOST_USER_SET_FEATURES, FE_FEATURES));
	good(fe_say_memory(fe, &r, 1));
	good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, FE_SIZE));
	good(fe_say_addr(fe, 0, at, at + 0x4000, at + 0x8000));
	good(fe_say_event(fe, VHOST_USER_SET_VRING_KICK, 0));
	assert_true(fe->ring[0].running && fe->ring[0].conf.enabled);
}

/* Whatever came first: the kick or the features. */
static void kick_before_features_enables_nothing(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();
	uint64_t at = fe_ring_user(0);

	good(fe_say(fe, VHOST_USER_SET_OWNER, NULL, 0));
	good(fe_say_memory(fe, &r, 1));
	good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, FE_SIZE));
	good(fe_say_addr(fe, 0, at, at + 0x4000, at + 0x8000));
	good(fe_say_event(fe, VHOST_USER_SET_VRING_KICK, 0));
	assert_false(fe->ring[0].running);
	good(fe_say_u64(fe, VHOST_USER_SET_FEATURES, FE_FEATURES | FE_F30));
	assert_true(fe->ring[0].running && !fe->ring[0].conf.enabled);
}

static void ring_with_protocol_features_starts_disabled(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();
	uint64_t at = fe_ring_user(0);

	good(fe_handshake(fe));
	good(fe_say_memory(fe, &r, 1));
	good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, FE_SIZE));
	good(fe_say_addr(fe, 0, at, at + 0x4000, at + 0x8000));
	good(fe_say_event(fe, VHOST_USER_SET_VRING_KICK, 0));
	assert_true(fe->ring[0].running && !fe->ring[0].conf.enabled);
}

static void kick_without_descriptor_is_a_polled_ring(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();
	uint64_t at = fe_ring_user(0);

	good(fe_handshake(fe));
	good(fe_say_memory(fe, &r, 1));
	good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, FE_SIZE));
	good(fe_say_addr(fe, 0, at, at + 0x4000, at + 0x8000));
	good(fe_say_u64(fe, VHOST_USER_SET_VRING_KICK, VHOST_USER_VRING_NOFD));
	assert_true(fe->ring[0].running);
	assert_int_equal(fe->ring[0].conf.kick_fd, -1);
}

static void call_changes_while_the_ring_runs(void **state)
{
	struct fe *fe = *state;
	int before;

	good(fe_start_all(fe));
	before = fe->ring[0].call_fd;
	good(fe_say_event(fe, VHOST_USER_SET_VRING_CALL, 0));
	assert_true(fe->ring[0].running && fe->ring[0].n_stops == 0);
	assert_int_not_equal(fe->ring[0].call_fd, before);
	good(fe_say_u64(fe, VHOST_USER_SET_VRING_CALL, VHOST_USER_VRING_NOFD));
	assert_int_equal(fe->ring[0].call_fd, -1);
}

/* A worker must not be made to wait in a read or write of an event. */
static void events_are_made_non_blocking(void **state)
{
	struct fe *fe = *state;
	eventfd_t got;

	good(fe_start_all(fe));
	assert_int_equal(eventfd_read(fe->ring[0].conf.kick_fd, &got), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(eventfd_read(fe->ring[0].conf.call_fd, &got), -1);
	assert_int_equal(errno, EAGAIN);
}

static void filter_is_told_and_ends_with_the_connection(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_filter f = { .flags = VHOST_USER_FILTER_HASH | VHOST_USER_FILTER_VLAN,
				       .n_macs = 16,
				       .hash_shift = 4 };

	good(fe_handshake(fe));
	f.mac[15][5] = 0x77;
	good(fe_say(fe, VHOST_USER_FL_SET_FILTER, &f, sizeof(f)));
	assert_true(fe->has_filter);
	assert_memory_equal(&fe->filter, &f, sizeof(f));
	fe_hang_up(fe);
	assert_false(fe->has_filter);
}

static void reset_owner_stops_all_rings(void **state)
{
	struct fe *fe = *state;

	good(fe_start_all(fe));
	good(fe_say(fe, VHOST_USER_RESET_OWNER, NULL, 0));
	assert_false(fe->ring[0].running || fe->ring[1].running);
	good(fe_start_ring(fe, 0));
	assert_true(fe->ring[0].running);
}

static void features_change_while_rings_run(void **state)
{
	struct fe *fe = *state;
	uint64_t fewer = VIRTIO_BIT(VIRTIO_F_VERSION_1) | FE_F30;

	good(fe_start_all(fe));
	good(fe_say_u64(fe, VHOST_USER_SET_FEATURES, FE_FEATURES | FE_F30)); /* no change */
	assert_int_equal(fe->ring[0].n_stops, 0);
	good(fe_say_u64(fe, VHOST_USER_SET_FEATURES, fewer));
	assert_int_equal(fe->ring[0].n_stops, 1);
	assert_true(fe->ring[0].running);
	assert_true(fe->ring[0].conf.features == fewer);
}

static void other_side_gone_is_no_fault(void **state)
{
	struct fe *fe = *state;

	good(fe_start_all(fe));
	shutdown(fe->sock, SHUT_RDWR);
	assert_int_equal(vhost_conn_ready(fe->conn), -EPIPE);
	assert_int_equal(fe->n_said, 0);
	fe_hang_up(fe);
	assert_false(fe->ring[0].running || fe->ring[1].running);
}

/* --- memory --- */
static void mem_table_is_replaced_while_rings_run(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r[2] = { fe_region(), fe_region() };

	good(fe_start_all(fe));
	/* the same ring addresses, but the file's halves are exchanged in guest memory */
	r[0].memory_size = r[1].memory_size = FE_MEM_SIZE / 2;
	r[0].guest_phys_addr += FE_MEM_SIZE / 2;
	r[1].mmap_offset = FE_MEM_SIZE / 2;
	r[1].userspace_addr += FE_MEM_SIZE / 2;
	fe->ring[0].next = 99;
	good(fe_say_memory(fe, r, 2));
	assert_int_equal(fe->ring[0].n_stops, 1);
	assert_int_equal(fe->ring[0].n_starts, 2);
	assert_int_equal(fe->ring[0].conf.base, 99);
	assert_ptr_equal(fe->ring[0].conf.desc,
			 vhost_mem_ptr(fe->ring[0].conf.mem, FE_GPA + FE_MEM_SIZE / 2, 1));
	assert_true(fe->ring[0].conf.mem->region[0].gpa < fe->ring[0].conf.mem->region[1].gpa);
}

/* e7cb7fdf54, 2a2904fa9c: stale translations after a region went */
static void ring_without_its_region_stays_stopped(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region(), whole = fe_region();
	void *page;

	good(fe_start_all(fe));
	page = fe->ring[0].conf.mem->region[0].map;
	r.memory_size = 0x10000; /* ring 0 only */
	good(fe_say_memory(fe, &r, 1));
	assert_true(fe->ring[0].running);
	assert_false(fe->ring[1].running);
	assert_null(vhost_mem_ptr(fe->ring[0].conf.mem, FE_GPA + 0x10000, 1));
	assert_null(vhost_mem_ptr(fe->ring[0].conf.mem, FE_GPA + 0xffff, 2));
	assert_non_null(vhost_mem_ptr(fe->ring[0].conf.mem, FE_GPA + 0xffff, 1));
	good(fe_say_memory(fe, NULL, 0));
	assert_false(fe->ring[0].running);
	assert_int_equal(msync(page, 4096, MS_ASYNC), -1); /* nothing is there any more */
	good(fe_say_memory(fe, &whole, 1));
	assert_true(fe->ring[0].running && fe->ring[1].running);
}

static void offset_that_is_no_multiple_of_a_page_is_used(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();

	fe->mem[0x12340 + 0x10000] = 0xaa;
	r.mmap_offset = 0x12340;
	r.memory_size = 0x30000;
	good(fe_handshake(fe));
	good(fe_say_memory(fe, &r, 1));
	good(fe_start_ring(fe, 0));
	assert_int_equal(*(uint8_t *)vhost_mem_ptr(fe->ring[0].conf.mem, FE_GPA + 0x10000, 1),
			 0xaa);
	assert_int_equal(fe->mem[0x12340], 1);
}

static void huge_pages_are_mapped_and_unmapped_whole(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_memory m = { .n_regions = 1, .region[0] = fe_region() };
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	void *page = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, 2 << 20) == 0)
		page = mmap(NULL, 2 << 20, PROT_READ, MAP_SHARED, fd, 0); /* if there is one */
	if (page == MAP_FAILED) {
		close(fd);
		skip();
	}
	munmap(page, 2 << 20);
	m.region[0].mmap_offset = 0x80000;
	good(fe_handshake(fe));
	good(fe_say_fds(fe, VHOST_USER_SET_MEM_TABLE, &m, VHOST_USER_MEMORY_SIZE(1), &fd, 1));
	good(fe_start_ring(fe, 0));
	page = (void *)(uintptr_t)fe->ring[0].conf.mem->region[0].map;
	good(fe_say_memory(fe, NULL, 0));
	assert_int_equal(msync(page, 4096, MS_ASYNC), -1); /* nothing is there any more */
	close(fd);
}

static void refuse_region(struct fe *fe, struct vhost_user_region r, const char *why)
{
	struct vhost_conn_info info;

	good(fe_handshake(fe));
	refused(fe_say_memory(fe, &r, 1));
	vhost_conn_info(fe->conn, &info);
	assert_int_equal(info.n_regions, 0);
	assert_int_equal(fe->n_said, 1);
	assert_non_null(strstr(fe->last, why)); /* by the check that is meant, not by luck */
}

/* CVE-2018-1059, 0fe99cf73e */
static void region_whose_offset_and_size_overflow_is_refused(void **state)
{
	struct vhost_user_region r = fe_region();

	r.mmap_offset = UINT64_MAX - FE_MEM_SIZE + 1;
	refuse_region(*state, r, "overflow");
}

static void region_whose_offset_is_negative_is_refused(void **state)
{
	struct vhost_user_region r = fe_region();

	r.mmap_offset = UINT64_C(1) << 63;
	refuse_region(*state, r, "overflow");
}

static void region_of_size_zero_is_refused(void **state)
{
	struct vhost_user_region r = fe_region();

	r.memory_size = 0;
	r.mmap_offset = 1; /* so that there is something to map */
	refuse_region(*state, r, "size 0");
}

/* CVE-2018-1059: guest addresses beyond what is mapped; here the file ends before the region */
static void region_longer_than_its_file_is_refused(void **state)
{
	struct vhost_user_region r = fe_region();

	r.memory_size++;
	refuse_region(*state, r, "longer");
}

static void region_at_an_offset_past_its_file_is_refused(void **state)
{
	struct vhost_user_region r = fe_region();

	r.mmap_offset = 1;
	refuse_region(*state, r, "longer");
}

static void region_past_the_end_of_guest_addresses_is_refused(void **state)
{
	struct vhost_user_region r = fe_region();

	r.guest_phys_addr = UINT64_MAX - 0x1000;
	refuse_region(*state, r, "address space");
}

static void region_past_the_end_of_user_addresses_is_refused(void **state)
{
	struct vhost_user_region r = fe_region();

	r.userspace_addr = UINT64_MAX - 0x1000;
	refuse_region(*state, r, "address space");
}

static void region_larger_than_any_guest_is_refused(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();

	r.memory_size = UINT64_C(5) << 40;
	good(ftruncate(fe->memfd, (off_t)r.memory_size));
	refuse_region(fe, r, "4 TiB");
}

/* c6420a3632 */
static void nine_regions_are_refused(void **state)
{
	struct fe *fe = *state;
	struct {
		uint32_t n, padding;
		struct vhost_user_region r[9];
	} m = { .n = 9 };
	int fds[9];

	for (unsigned int i = 0; i < 9; i++) {
		m.r[i] = (struct vhost_user_region){ i * 0x1000, 0x1000, i * 0x1000, i * 0x1000 };
		fds[i] = fe->memfd;
	}
	good(fe_handshake(fe));
	refused(fe_say_fds(fe, VHOST_USER_SET_MEM_TABLE, &m, sizeof(m), fds, 8));
}

static void nine_regions_in_the_size_of_eight_are_refused(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_memory m = { .n_regions = 9 };

	good(fe_handshake(fe));
	refused(fe_say(fe, VHOST_USER_SET_MEM_TABLE, &m, sizeof(m)));
}

/* CVE-2020-10726: a count that is larger than the payload */
static void more_regions_than_the_payload_holds_are_refused(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_memory m = { .n_regions = 2, .region = { fe_region(), fe_region() } };
	int fds[2] = { fe->memfd, fe->memfd };

	m.region[1].guest_phys_addr += FE_MEM_SIZE;
	m.region[1].userspace_addr += FE_MEM_SIZE;
	good(fe_handshake(fe));
	/* what is left of an earlier message is no region */
	good(fe_say_fds(fe, VHOST_USER_SET_MEM_TABLE, &m, VHOST_USER_MEMORY_SIZE(2), fds, 2));
	refused(fe_say_fds(fe, VHOST_USER_SET_MEM_TABLE, &m, VHOST_USER_MEMORY_SIZE(1), fds, 2));
}

static void refuse_two(struct fe *fe, struct vhost_user_region a, struct vhost_user_region b)
{
	struct vhost_user_region r[2] = { a, b };

	good(fe_handshake(fe));
	refused(fe_say_memory(fe, r, 2));
}

static void regions_overlapping_in_guest_memory_are_refused(void **state)
{
	struct vhost_user_region a = fe_region(), b = fe_region();

	b.userspace_addr += FE_MEM_SIZE;
	b.guest_phys_addr += FE_MEM_SIZE - 1;
	refuse_two(*state, a, b);
}

static void regions_overlapping_in_user_addresses_are_refused(void **state)
{
	struct vhost_user_region a = fe_region(), b = fe_region();

	b.guest_phys_addr += FE_MEM_SIZE;
	b.userspace_addr -= FE_MEM_SIZE - 1;
	refuse_two(*state, a, b);
}

static void regions_side_by_side_are_taken(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r[2] = { fe_region(), fe_region() };

	r[1].guest_phys_addr += FE_MEM_SIZE;
	r[1].userspace_addr += FE_MEM_SIZE;
	good(fe_handshake(fe));
	good(fe_say_memory(fe, r, 2));
}

static void file_that_is_no_memory_is_refused(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_memory m = { .n_regions = 1, .region[0] = fe_region() };
	int pipes[2];

	good(fe_handshake(fe));
	good(pipe(pipes));
	refused(fe_say_fds(fe, VHOST_USER_SET_MEM_TABLE, &m, VHOST_USER_MEMORY_SIZE(1), pipes, 1));
	assert_non_null(strstr(fe->last, "no memory"));
	close(pipes[0]);
	close(pipes[1]);
}

static void folder_of_memory_is_refused(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_memory m = { .n_regions = 1, .region[0] = fe_region() };
	int fd = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		skip();
	m.region[0].memory_size = 1;
	good(fe_handshake(fe));
	refused(fe_say_fds(fe, VHOST_USER_SET_MEM_TABLE, &m, VHOST_USER_MEMORY_SIZE(1), &fd, 1));
	assert_non_null(strstr(fe->last, "no memory"));
	close(fd);
}

static void table_that_is_refused_leaves_the_old_one(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r[2] = { fe_region(), fe_region() };

	good(fe_start_all(fe));
	r[1].guest_phys_addr += FE_MEM_SIZE;
	r[1].userspace_addr += FE_MEM_SIZE;
	r[1].mmap_offset = 1;
	refused(fe_say_memory(fe, r, 2));
	assert_true(fe->ring[0].running && fe->ring[0].n_stops == 0);
}

/* CVE-2020-10722, CVE-2018-1059: addresses that the regions do not cover */
static void refuse_ring_at(struct fe *fe, uint64_t desc, uint64_t avail, uint64_t used)
{
	struct vhost_user_region r = fe_region();
	int ret;

	good(fe_handshake(fe));
	good(fe_say_memory(fe, &r, 1));
	good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, FE_SIZE));
	ret = fe_say_addr(fe, 0, desc, avail, used);
	refused(ret ?: fe_say_event(fe, VHOST_USER_SET_VRING_KICK, 0));
	assert_int_equal(fe->ring[0].n_starts, 0);
}

#define IN(x)    (FE_USER + (x))
#define BELOW(n) (FE_USER + FE_MEM_SIZE - (n))
static void ring_whose_descriptors_leave_the_region_is_refused(void **state)
{
	refuse_ring_at(*state, BELOW(VIRTQ_DESC_SIZE(FE_SIZE) - 16), IN(0), IN(0x4000));
}

static void ring_whose_used_event_leaves_the_region_is_refused(void **state)
{
	refuse_ring_at(*state, IN(0), BELOW(VIRTQ_AVAIL_SIZE(FE_SIZE) - 2), IN(0x4000));
}

static void ring_whose_avail_event_leaves_the_region_is_refused(void **state)
{
	refuse_ring_at(*state, IN(0), IN(0x4000), BELOW((VIRTQ_USED_SIZE(FE_SIZE) - 2) & ~3u));
}

static void ring_before_the_region_is_refused(void **state)
{
	refuse_ring_at(*state, FE_USER - 16, IN(0x4000), IN(0x8000));
}

static void ring_at_the_end_of_addresses_is_refused(void **state)
{
	refuse_ring_at(*state, UINT64_MAX - 15, IN(0x4000), IN(0x8000));
}

/* Ring addresses are the front-end's, not the guest's. */
static void ring_at_a_guest_address_is_refused(void **state)
{
	refuse_ring_at(*state, FE_GPA, FE_GPA + 0x4000, FE_GPA + 0x8000);
}

static void unaligned_descriptors_are_refused(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_addr(*state, 0, IN(8), IN(0x4000), IN(0x8000)));
}

static void unaligned_available_ring_is_refused(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_addr(*state, 0, IN(0), IN(0x4001), IN(0x8000)));
}

static void unaligned_used_ring_is_refused(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_addr(*state, 0, IN(0), IN(0x4000), IN(0x8002)));
}

static void ring_in_an_unaligned_region_is_refused(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();

	r.mmap_offset = 8; /* aligned for all but descriptors */
	r.memory_size -= 8;
	good(fe_handshake(fe));
	good(fe_say_memory(fe, &r, 1));
	refused(fe_start_ring(fe, 0));
	assert_int_equal(fe->ring[0].n_starts, 0);
}

static void ring_before_any_memory_is_refused(void **state)
{
	struct fe *fe = *state;

	good(fe_handshake(fe));
	refused(fe_start_ring(fe, 0));
}

/* --- the shape of messages --- */
/* CVE-2019-14818, CVE-2022-0669: descriptors that nobody closes */
static void descriptor_with_a_message_that_takes_none_is_refused(void **state)
{
	struct fe *fe = *state;
	uint64_t v = FE_FEATURES;

	good(fe_handshake(fe));
	refused(fe_say_fds(fe, VHOST_USER_SET_FEATURES, &v, 8, &fe->memfd, 1));
}

static void two_descriptors_for_one_event_are_refused(void **state)
{
	struct fe *fe = *state;
	int fds[2] = { eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC) };
	uint64_t v = 0;

	good(fe_handshake(fe));
	refused(fe_say_fds(fe, VHOST_USER_SET_VRING_CALL, &v, 8, fds, 2));
	close(fds[0]);
	close(fds[1]);
}

static void event_without_its_descriptor_is_refused(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_u64(*state, VHOST_USER_SET_VRING_KICK, 0));
}

static void descriptor_beside_the_no_descriptor_flag_is_refused(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_event(*state, VHOST_USER_SET_VRING_KICK, VHOST_USER_VRING_NOFD));
}

static void event_that_is_no_eventfd_is_refused(void **state)
{
	struct fe *fe = *state;
	uint64_t v = 0;

	good(fe_handshake(fe));
	refused(fe_say_fds(fe, VHOST_USER_SET_VRING_KICK, &v, 8, &fe->memfd, 1));
}

static void fewer_descriptors_than_regions_are_refused(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_memory m = { .n_regions = 1, .region[0] = fe_region() };

	good(fe_handshake(fe));
	refused(fe_say(fe, VHOST_USER_SET_MEM_TABLE, &m, VHOST_USER_MEMORY_SIZE(1)));
}

static void more_descriptors_than_regions_are_refused(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_memory m = { .n_regions = 1, .region[0] = fe_region() };
	int fds[2] = { fe->memfd, fe->memfd };

	good(fe_handshake(fe));
	refused(fe_say_fds(fe, VHOST_USER_SET_MEM_TABLE, &m, VHOST_USER_MEMORY_SIZE(1), fds, 2));
}

static void more_descriptors_than_any_message_takes_are_refused(void **state)
{
	struct fe *fe = *state;
	int fds[16];
	struct vhost_user_memory m = { .n_regions = 8 };

	for (unsigned int i = 0; i < 16; i++)
		fds[i] = fe->memfd;
	good(fe_handshake(fe));
	refused(fe_say_fds(fe, VHOST_USER_SET_MEM_TABLE, &m, sizeof(m), fds, 16));
}

/* Descriptors with each byte of one message: they are counted over all pieces. */
static void descriptors_over_many_pieces_are_bounded(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_hdr hdr = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION, 264 };
	int ret = 0;

	good(fe_handshake(fe));
	for (size_t i = 0; i < sizeof(hdr) && ret == 0; i++) {
		fe_send_raw(fe, (uint8_t *)&hdr + i, 1, &fe->memfd, 1);
		ret = vhost_conn_ready(fe->conn);
	}
	refused(ret);
}

static void payload_of_another_size_is_refused(void **state)
{
	uint64_t v[2] = { FE_FEATURES };

	good(fe_handshake(*state));
	refused(fe_say(*state, VHOST_USER_SET_FEATURES, v, 16));
}

static void payload_that_is_too_short_is_refused(void **state)
{
	uint64_t v = FE_FEATURES;

	good(fe_handshake(*state));
	refused(fe_say(*state, VHOST_USER_SET_FEATURES, &v, 4));
}

/* Refused by its header: nothing of four gigabytes is waited for. */
static void payload_of_four_gigabytes_is_refused(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_hdr hdr = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION, UINT32_MAX };

	good(fe_handshake(fe));
	fe_send_raw(fe, &hdr, sizeof(hdr), NULL, 0);
	refused(vhost_conn_ready(fe->conn));
}

static void request_that_is_unknown_is_refused(void **state)
{
	static const uint32_t request[] = { 0, 26, 27, 33, 41, 1000, 0x464c0002, UINT32_MAX };

	for (size_t i = 0; i < sizeof(request) / sizeof(request[0]); i++) {
		struct fe fe;

		fe_open(&fe);
		good(fe_handshake(&fe));
		refused(fe_say(&fe, request[i], NULL, 0));
		assert_true(fe_close(&fe));
	}
	fe_close(*state);
	fe_open(*state); /* its messages are ours again */
}

static void request_before_set_owner_is_refused(void **state)
{
	refused(fe_say_u64(*state, VHOST_USER_SET_FEATURES, FE_FEATURES));
}

static void ring_before_set_owner_is_refused(void **state)
{
	refused(fe_say_state(*state, VHOST_USER_SET_VRING_NUM, 0, 256));
}

static void request_of_a_protocol_feature_not_negotiated_is_refused(void **state)
{
	good(fe_say(*state, VHOST_USER_SET_OWNER, NULL, 0));
	refused(fe_say(*state, VHOST_USER_GET_QUEUE_NUM, NULL, 0));
}

static void filter_without_its_protocol_feature_is_refused(void **state)
{
	struct vhost_user_filter f = { 0 };

	good(fe_say(*state, VHOST_USER_SET_OWNER, NULL, 0));
	refused(fe_say(*state, VHOST_USER_FL_SET_FILTER, &f, sizeof(f)));
}

static void features_that_were_not_offered_are_refused(void **state)
{
	struct fe *fe = *state;

	good(fe_say(fe, VHOST_USER_SET_OWNER, NULL, 0));
	refused(fe_say_u64(fe, VHOST_USER_SET_FEATURES,
			   FE_FEATURES | VIRTIO_BIT(VIRTIO_F_RING_PACKED)));
}

static void dirty_log_by_features_is_refused(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_u64(*state, VHOST_USER_SET_FEATURES,
			   FE_FEATURES | VIRTIO_BIT(VHOST_F_LOG_ALL)));
}

static void protocol_features_that_were_not_offered_are_refused(void **state)
{
	refused(fe_say_u64(*state, VHOST_USER_SET_PROTOCOL_FEATURES,
			   VIRTIO_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)));
}

static void refuse_flags(struct fe *fe, uint32_t flags)
{
	struct vhost_user_hdr hdr = { VHOST_USER_GET_FEATURES, flags, 0 };

	fe_send_raw(fe, &hdr, sizeof(hdr), NULL, 0);
	refused(vhost_conn_ready(fe->conn));
}

static void another_version_is_refused(void **state)
{
	refuse_flags(*state, 2);
}

static void answer_instead_of_a_request_is_refused(void **state)
{
	refuse_flags(*state, VHOST_USER_VERSION | VHOST_USER_REPLY);
}

static void unknown_flags_are_refused(void **state)
{
	refuse_flags(*state, VHOST_USER_VERSION | 0x10);
}

static void filter_with_too_many_addresses_is_refused(void **state)
{
	struct vhost_user_filter f = { .n_macs = 17 };

	good(fe_handshake(*state));
	refused(fe_say(*state, VHOST_USER_FL_SET_FILTER, &f, sizeof(f)));
}

static void filter_with_a_wrong_shift_is_refused(void **state)
{
	struct vhost_user_filter f = { .flags = VHOST_USER_FILTER_HASH, .hash_shift = 1 };

	good(fe_handshake(*state));
	refused(fe_say(*state, VHOST_USER_FL_SET_FILTER, &f, sizeof(f)));
}

/* --- rings --- */
static void refuse_num(struct fe *fe, uint32_t n)
{
	good(fe_handshake(fe));
	refused(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, n));
}

static void ring_of_no_entries_is_refused(void **state)
{
	refuse_num(*state, 0);
}

static void ring_size_that_is_no_power_of_two_is_refused(void **state)
{
	refuse_num(*state, 255);
}

static void ring_larger_than_the_standard_allows_is_refused(void **state)
{
	refuse_num(*state, 65536);
}

static void ring_size_whose_low_half_is_fine_is_refused(void **state)
{
	refuse_num(*state, 0x80000100);
}

static void base_beyond_16_bits_is_refused(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_state(*state, VHOST_USER_SET_VRING_BASE, 0, 0x10000));
}

/* CVE-2020-10723: an index that is checked after it was cut to 16 bits */
static void ring_number_is_not_truncated(void **state)
{
	static const uint32_t request[] = { VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
					    VHOST_USER_GET_VRING_BASE,
					    VHOST_USER_SET_VRING_ENABLE };
	static const uint32_t ring[] = { 4, 0xff, 0x10000, 0x10001, 0x80000000, UINT32_MAX };

	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 6; k++) {
			struct fe fe;

			fe_open(&fe);
			good(fe_handshake(&fe));
			refused(fe_say_state(&fe, request[i], ring[k], 1));
			assert_true(fe_close(&fe));
		}
	fe_close(*state);
	fe_open(*state);
}

static void ring_number_of_addresses_is_not_truncated(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_addr(*state, 0x10000, IN(0), IN(0x4000), IN(0x8000)));
}

static void ring_number_of_an_event_is_not_truncated(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_event(*state, VHOST_USER_SET_VRING_KICK, 0x10000));
}

static void ring_number_of_an_event_past_the_last_is_refused(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_event(*state, VHOST_USER_SET_VRING_CALL, 4));
}

static void enable_with_another_number_is_refused(void **state)
{
	good(fe_handshake(*state));
	refused(fe_say_state(*state, VHOST_USER_SET_VRING_ENABLE, 0, 2));
}

static size_t allocated(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
						       : mallinfo2().uordblks;
}

static void repeat_settings(struct fe *fe, unsigned int n)
{
	uint64_t at = fe_ring_user(0);

	for (unsigned int i = 0; i < n; i++) {
		good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, i & 1 ? 128 : 256));
		good(fe_say_addr(fe, 0, at, at + 0x4000, at + 0x8000));
		good(fe_say_state(fe, VHOST_USER_SET_VRING_BASE, 0, i & 0xffff));
	}
}

/* 612e17cf6d: each repetition leaked; 2a2904fa9c: use after free */
static void settings_of_a_running_ring_repeat_in_constant_memory(void **state)
{
	struct fe *fe = *state;
	unsigned int fds;
	size_t bytes;

	good(fe_start_all(fe));
	repeat_settings(fe, 100);
	bytes = allocated();
	fds = fe_count_fds();
	repeat_settings(fe, 33334); /* 10^5 messages */
	assert_true(fe->ring[0].running);
	assert_int_equal(fe->ring[0].n_starts, fe->ring[0].n_stops + 1);
	assert_int_equal(allocated(), bytes);
	assert_int_equal(fe_count_fds(), fds);
}

static void settings_of_a_stopped_ring_repeat_in_constant_memory(void **state)
{
	struct fe *fe = *state;
	size_t bytes;

	good(fe_handshake(fe));
	repeat_settings(fe, 100);
	bytes = allocated();
	repeat_settings(fe, 33334);
	assert_int_equal(fe->ring[0].n_starts, 0);
	assert_int_equal(allocated(), bytes);
}

static void events_and_tables_repeat_without_a_leak(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_region r = fe_region();
	unsigned int fds;
	size_t bytes;

	good(fe_start_all(fe));
	good(fe_say_event(fe, VHOST_USER_SET_VRING_ERR, 0));
	fds = fe_count_fds();
	bytes = allocated();
	for (unsigned int i = 0; i < 2000; i++) {
		good(fe_say_event(fe, VHOST_USER_SET_VRING_KICK, 0));
		good(fe_say_event(fe, VHOST_USER_SET_VRING_CALL, 0));
		good(fe_say_event(fe, VHOST_USER_SET_VRING_ERR, 0));
		good(fe_say_memory(fe, &r, 1));
	}
	for (unsigned int i = 0; i < 5000; i++) /* more than there are guarded mappings */
		good(fe_say_memory(fe, &r, 1));
	assert_int_equal(fe_count_fds(), fds);
	assert_int_equal(allocated(), bytes);
}

/* A size that the old addresses do not hold stops the ring until new addresses come. */
static void ring_that_grows_past_its_region_waits_for_addresses(void **state)
{
	struct fe *fe = *state;

	good(fe_start_all(fe));
	good(fe_say_addr(fe, 0, BELOW(VIRTQ_DESC_SIZE(FE_SIZE)), IN(0x4000), IN(0x8000)));
	assert_true(fe->ring[0].running);
	good(fe_say_state(fe, VHOST_USER_SET_VRING_NUM, 0, 2 * FE_SIZE));
	assert_false(fe->ring[0].running);
	good(fe_say_addr(fe, 0, BELOW(VIRTQ_DESC_SIZE(2 * FE_SIZE)), IN(0x4000), IN(0x8000)));
	assert_true(fe->ring[0].running);
	assert_int_equal(fe->ring[0].conf.size, 2 * FE_SIZE);
}

/* --- what is not offered --- */
static void refuse_unoffered(struct fe *fe, uint32_t request, uint32_t size)
{
	static const uint8_t payload[64];

	good(fe_handshake(fe));
	refused(fe_say_fds(fe, request, payload, size, &fe->memfd, 1));
}

/* CVE-2021-3839, CVE-2020-10726: number of queues, queue size, offset and size of the log */
static void inflight_get_is_refused(void **state)
{
	refuse_unoffered(*state, VHOST_USER_GET_INFLIGHT_FD, 24);
}

static void inflight_set_is_refused(void **state)
{
	refuse_unoffered(*state, VHOST_USER_SET_INFLIGHT_FD, 24);
}

/* CVE-2020-10722, CVE-2019-14835 */
static void log_base_is_refused(void **state)
{
	refuse_unoffered(*state, VHOST_USER_SET_LOG_BASE, 16);
}

static void log_descriptor_is_refused(void **state)
{
	refuse_unoffered(*state, VHOST_USER_SET_LOG_FD, 0);
}

static void log_of_a_ring_is_refused(void **state)
{
	struct vhost_user_vring_addr a = { .flags = 1, .log = FE_GPA };

	good(fe_handshake(*state));
	refused(fe_say(*state, VHOST_USER_SET_VRING_ADDR, &a, sizeof(a)));
}

static void memory_slots_are_refused(void **state)
{
	refuse_unoffered(*state, VHOST_USER_ADD_MEM_REG, 40);
}

static void iotlb_is_refused(void **state)
{
	refuse_unoffered(*state, VHOST_USER_IOTLB_MSG, 32);
}

static void postcopy_is_refused(void **state)
{
	refuse_unoffered(*state, VHOST_USER_POSTCOPY_ADVISE, 0);
}

/* --- a front-end that is slow, or silent, or does not read --- */
static void silence_after_accept_expires(void **state)
{
	struct fe *fe = *state;
	long long now = rpc_now_ms(), deadline = vhost_conn_deadline_ms(fe->conn);

	assert_in_range(deadline, now, now + VHOST_SILENCE_MS);
	assert_false(vhost_conn_expired(fe->conn, deadline - 1));
	assert_true(vhost_conn_expired(fe->conn, deadline));
}

static void half_a_header_expires(void **state)
{
	struct fe *fe = *state;
	struct vhost_user_hdr hdr = { VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0 };
	long long deadline;

	good(fe_handshake(fe));
	fe_send_raw(fe, &hdr, 6, NULL, 0);
	good(vhost_conn_ready(fe->conn)); /* does not wait */
	deadline = vhost_conn_deadline_ms(fe->conn);
	assert_in_range(deadline, 1, rpc_now_ms() + VHOST_MESSAGE_MS);
	/* one byte more, later, gives no more time */
	usleep(3000);
	fe_send_raw(fe, (uint8_t *)&hdr + 6, 1, NULL, 0);
	good(vhost_conn_ready(fe->conn));
	assert_int_equal(vhost_conn_deadline_ms(fe->conn), deadline);
	assert_false(vhost_conn_expired(fe->conn, deadline - 1));
	assert_true(vhost_conn_expired(fe->conn, deadline));
}

static void half_a_payload_expires(void **state)
{
	struct fe *fe = *state;
	struct {
		struct vhost_user_hdr hdr;
		uint32_t half;
	} m = { { VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 8 }, 0 };

	good(fe_handshake(fe));
	fe_send_raw(fe, &m, sizeof(m), NULL, 0);
	good(vhost_conn_ready(fe->conn));
	assert_true(vhost_conn_expired(fe->conn, rpc_now_ms() + VHOST_MESSAGE_MS));
}

static void whole_messages_have_no_deadline(void **state)
{
	struct fe *fe = *state;

	good(fe_start_all(fe));
	assert_int_equal(vhost_conn_deadline_ms(fe->conn), -1);
	assert_false(vhost_conn_expired(fe->conn, INT64_MAX));
}

/* 98b5ecbf76: a frozen guest. Its answers are kept up to a bound, nothing waits for it. */
static void front_end_that_does_not_read_its_answers_is_refused(void **state)
{
	struct fe *fe = *state;
	bool waited = false;
	int ret = 0;

	for (unsigned int i = 0; i < 100000 && ret == 0; i++) {
		ret = fe_say(fe, VHOST_USER_GET_FEATURES, NULL, 0);
		waited |= vhost_conn_wants_write(fe->conn);
	}
	refused(ret);
	assert_true(waited);
}

static void answers_that_waited_arrive_whole(void **state)
{
	struct fe *fe = *state;
	unsigned int asked = 0, got = 0;
	uint64_t v;

	while (!vhost_conn_wants_write(fe->conn) && asked < 100000) {
		good(fe_say(fe, VHOST_USER_GET_FEATURES, NULL, 0));
		asked++;
	}
	for (unsigned int i = 0; i < 2 * asked; i++) {
		if (fe_answer(fe, VHOST_USER_GET_FEATURES, &v, sizeof(v)) == 8)
			got += v == (FE_FEATURES | FE_F30);
		good(vhost_conn_ready(fe->conn));
	}
	assert_int_equal(got, asked);
	assert_false(vhost_conn_wants_write(fe->conn));
}

static void faults_are_said_at_a_limited_rate(void **state)
{
	struct fe *fe = *state;
	struct err_limit limit = { 0 };

	for (unsigned int i = 0; i < 50; i++) {
		int sock[2];
		struct vhost_conn *c;

		good(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
		good(vhost_conn_create(sock[0], "p1", 0, 1, &fe_ops, fe, &c));
		vhost_conn_set_limit(c, &limit);
		assert_int_equal(write(sock[1], "nonsense....", 12), 12);
		refused(vhost_conn_ready(c));
		vhost_conn_destroy(c);
		close(sock[1]);
	}
	assert_int_equal(limit.count, 50);
	assert_in_range(fe->n_said, 1, 10);
	assert_non_null(strstr(fe->last, "p1"));
}

static void more_than_eight_pairs_cannot_be_created(void **state)
{
	struct fe *fe = *state;
	struct vhost_conn *c;

	assert_int_equal(vhost_conn_create(dup(fe->sock), "p1", 0, 9, &fe_ops, fe, &c), -EINVAL);
	assert_int_equal(vhost_conn_create(dup(fe->sock), "p1", 0, 0, &fe_ops, fe, &c), -EINVAL);
}

/* --- memory that its owner takes away --- */
static void memory_made_shorter_ends_the_connection_only(void **state)
{
	struct fe *fe = *state;
	volatile uint8_t *p;

	good(vhost_sigbus_install());
	good(fe_start_all(fe));
	p = vhost_mem_ptr(fe->ring[0].conf.mem, FE_GPA + 0x50000, 1);
	fe->mem[0x50000] = 0x5a;
	assert_int_equal(*p, 0x5a);
	good(ftruncate(fe->memfd, 0));
	/* what a worker does then: it reads zeros and writes to nowhere */
	assert_int_equal(*p, 0);
	*p = 1;
	p = vhost_mem_ptr(fe->ring[0].conf.mem, FE_GPA + FE_MEM_SIZE - 1, 1);
	*p = 2;
	assert_int_equal(*p, 2);
	refused(vhost_conn_ready(fe->conn));
	assert_non_null(strstr(fe->last, "shorter"));
	fe_hang_up(fe);
	assert_false(fe->ring[0].running);
	signal(SIGBUS, SIG_DFL);
}

/* A fault in memory that no guest shared is ours, and ends as it always does. */
static void fault_elsewhere_still_ends_the_process(void **state)
{
	struct fe *fe = *state;
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGBUS, SIG_DFL);
		if (vhost_sigbus_install() < 0 || fe_start_all(fe) < 0 || ftruncate(fe->memfd, 0))
			_exit(2);
		alarm(10);
		_exit(fe->mem[0] ? 3 : 4); /* the front-end's own mapping */
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(offers_its_features_and_protocol_features),
		T(good_front_end_gets_running_rings),
		T(ring_waits_until_it_is_complete),
		T(answers_what_wants_an_answer),
		T(message_in_pieces_is_one_message),
		T(descriptor_with_a_later_piece_counts),
		T(several_messages_keep_their_descriptors),
		T(many_messages_are_handled_in_turns),
		T(get_base_stops_the_ring_until_a_new_kick),
		T(ring_begins_at_its_used_index),
		T(owner_is_not_waited_for_where_we_connect),
		T(enable_reaches_a_running_ring),
		T(ring_is_enabled_by_its_kick_without_protocol_features),
		T(kick_before_features_enables_nothing),
		T(ring_with_protocol_features_starts_disabled),
		T(kick_without_descriptor_is_a_polled_ring),
		T(call_changes_while_the_ring_runs),
		T(events_are_made_non_blocking),
		T(filter_is_told_and_ends_with_the_connection),
		T(reset_owner_stops_all_rings),
		T(features_change_while_rings_run),
		T(other_side_gone_is_no_fault),
		T(mem_table_is_replaced_while_rings_run),
		T(ring_without_its_region_stays_stopped),
		T(offset_that_is_no_multiple_of_a_page_is_used),
		T(huge_pages_are_mapped_and_unmapped_whole),
		T(region_whose_offset_and_size_overflow_is_refused),
		T(region_whose_offset_is_negative_is_refused),
		T(region_of_size_zero_is_refused),
		T(region_longer_than_its_file_is_refused),
		T(region_at_an_offset_past_its_file_is_refused),
		T(region_past_the_end_of_guest_addresses_is_refused),
		T(region_past_the_end_of_user_addresses_is_refused),
		T(region_larger_than_any_guest_is_refused),
		T(nine_regions_are_refused),
		T(nine_regions_in_the_size_of_eight_are_refused),
		T(more_regions_than_the_payload_holds_are_refused),
		T(regions_overlapping_in_guest_memory_are_refused),
		T(regions_overlapping_in_user_addresses_are_refused),
		T(regions_side_by_side_are_taken),
		T(file_that_is_no_memory_is_refused),
		T(folder_of_memory_is_refused),
		T(table_that_is_refused_leaves_the_old_one),
		T(ring_whose_descriptors_leave_the_region_is_refused),
		T(ring_whose_used_event_leaves_the_region_is_refused),
		T(ring_whose_avail_event_leaves_the_region_is_refused),
		T(ring_before_the_region_is_refused),
		T(ring_at_the_end_of_addresses_is_refused),
		T(ring_at_a_guest_address_is_refused),
		T(unaligned_descriptors_are_refused),
		T(unaligned_available_ring_is_refused),
		T(unaligned_used_ring_is_refused),
		T(ring_in_an_unaligned_region_is_refused),
		T(ring_before_any_memory_is_refused),
		T(descriptor_with_a_message_that_takes_none_is_refused),
		T(two_descriptors_for_one_event_are_refused),
		T(event_without_its_descriptor_is_refused),
		T(descriptor_beside_the_no_descriptor_flag_is_refused),
		T(event_that_is_no_eventfd_is_refused),
		T(fewer_descriptors_than_regions_are_refused),
		T(more_descriptors_than_regions_are_refused),
		T(more_descriptors_than_any_message_takes_are_refused),
		T(descriptors_over_many_pieces_are_bounded),
		T(payload_of_another_size_is_refused),
		T(payload_that_is_too_short_is_refused),
		T(payload_of_four_gigabytes_is_refused),
		T(request_that_is_unknown_is_refused),
		T(request_before_set_owner_is_refused),
		T(ring_before_set_owner_is_refused),
		T(request_of_a_protocol_feature_not_negotiated_is_refused),
		T(filter_without_its_protocol_feature_is_refused),
		T(features_that_were_not_offered_are_refused),
		T(dirty_log_by_features_is_refused),
		T(protocol_features_that_were_not_offered_are_refused),
		T(another_version_is_refused),
		T(answer_instead_of_a_request_is_refused),
		T(unknown_flags_are_refused),
		T(filter_with_too_many_addresses_is_refused),
		T(filter_with_a_wrong_shift_is_refused),
		T(ring_of_no_entries_is_refused),
		T(ring_size_that_is_no_power_of_two_is_refused),
		T(ring_larger_than_the_standard_allows_is_refused),
		T(ring_size_whose_low_half_is_fine_is_refused),
		T(base_beyond_16_bits_is_refused),
		T(ring_number_is_not_truncated),
		T(ring_number_of_addresses_is_not_truncated),
		T(ring_number_of_an_event_is_not_truncated),
		T(ring_number_of_an_event_past_the_last_is_refused),
		T(enable_with_another_number_is_refused),
		T(settings_of_a_running_ring_repeat_in_constant_memory),
		T(settings_of_a_stopped_ring_repeat_in_constant_memory),
		T(events_and_tables_repeat_without_a_leak),
		T(ring_that_grows_past_its_region_waits_for_addresses),
		T(inflight_get_is_refused),
		T(inflight_set_is_refused),
		T(log_base_is_refused),
		T(log_descriptor_is_refused),
		T(log_of_a_ring_is_refused),
		T(memory_slots_are_refused),
		T(iotlb_is_refused),
		T(postcopy_is_refused),
		T(silence_after_accept_expires),
		T(half_a_header_expires),
		T(half_a_payload_expires),
		T(whole_messages_have_no_deadline),
		T(front_end_that_does_not_read_its_answers_is_refused),
		T(answers_that_waited_arrive_whole),
		T(faults_are_said_at_a_limited_rate),
		T(more_than_eight_pairs_cannot_be_created),
		T(memory_made_shorter_ends_the_connection_only),
		T(fault_elsewhere_still_ends_the_process),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

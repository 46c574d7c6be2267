/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tap back-end against the kernel's own tap driver, in a network namespace of this test:
 * virtio-net on one side, a packet socket on the interface on the other. Needs root; without, only
 * the names are tested and the rest is skipped.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <cmocka.h>

#include "helper_virtio.h"
#include "pv-net/tap_open.h"

#define F_WRITE 2
#define TYPE    0x88b5 /* for experiments: nobody else sends it */

struct fix {
	struct vg g;
	struct tap_iface iface;
	int packet;
};

static const char *why_not; /* why the kernel's tap cannot be tested here */

/* --- names --- */
static void name_made_for_a_guest_is_stable_and_fits(void **state)
{
	char a[16], b[16], c[16];

	tap_name_make(a, "web-server-with-a-very-long-name", 0);
	tap_name_make(b, "web-server-with-a-very-long-name", 0);
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), 12);
	tap_name_make(b, "web-server-with-a-very-long-name", 1);
	tap_name_make(c, "web-server-with-a-very-long-namf", 0);
	assert_string_not_equal(a, b);
	assert_string_not_equal(a, c);
	tap_name_make(b, "", ~0u);
	assert_in_range(strlen(b), 1, 15);
}

static void ignore(void *opaque, const char *line)
{
}

static void name_that_the_kernel_would_change_or_refuse_is_refused(void **state)
{
	static const char *const bad[] = { "",      ".",    "..",
					   "tap%d", "a/b",  "../x",
					   "a b",   "a:1",  "0123456789abcdef",
					   "t\nap", "t\x80" };

	err_set_sink(ignore, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tap_name_check(bad[i]), -EINVAL);
	assert_int_equal(tap_name_check("tap0"), 0);
	assert_int_equal(tap_name_check("0123456789abcde"), 0);
	err_set_sink(NULL, NULL);
}

/* --- interfaces --- */
static int flags_of(const char *name)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), ret;
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	ret = ioctl(s, SIOCGIFFLAGS, &r) < 0 ? -errno : r.ifr_flags;
	close(s);
	return ret;
}

static void set_flag(const char *name, int flag, bool on)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	assert_int_equal(ioctl(s, SIOCGIFFLAGS, &r), 0);
	r.ifr_flags = (short)(on ? r.ifr_flags | flag : r.ifr_flags & ~flag);
	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &r), 0);
	close(s);
}

static void set_mtu(const char *name, int mtu)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = { .ifr_mtu = mtu };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	assert_int_equal(ioctl(s, SIOCSIFMTU, &r), 0);
	close(s);
}

static void need_tap(void)
{
	if (!why_not)
		return;
	print_message("# skipped: %s\n", why_not);
	skip();
}

/* One queue. */
static int open_one(const char *name, bool must_be_new, struct tap_iface *t)
{
	const struct tap_wish w = { .must_be_new = must_be_new, .n_queues = 1 };
	int fd[TAP_MAX_QUEUES], ret = tap_open(name, &w, t, fd);

	return ret < 0 ? ret : fd[0];
}

static void created_tap_is_up_and_goes_with_its_descriptor(void **state)
{
	struct tap_iface t;
	int fd;

	need_tap();
	fd = open_one("fltest0", true, &t);
	assert_true(fd >= 0);
	assert_true(t.created);
	assert_true(flags_of("fltest0") & IFF_UP);
	err_set_sink(ignore, NULL);
	assert_int_equal(open_one("fltest0", true, &t), -EEXIST);
	assert_int_equal(open_one("fltest0", false, &t), -EBUSY);
	err_set_sink(NULL, NULL);
	close(fd);
	assert_int_equal(flags_of("fltest0"), -ENODEV);
}

static void tap_that_was_there_is_put_back_as_it_was(void **state)
{
	struct tap_iface t;

	need_tap();
	assert_int_equal(system("ip tuntap add fltest1 mode tap"), 0);
	assert_false(flags_of("fltest1") & IFF_UP);
	for (int round = 0; round < 2; round++) {
		int fd = open_one("fltest1", false, &t);

		assert_true(fd >= 0);
		assert_false(t.created);
		assert_int_equal(t.raised, round == 0);
		assert_true(flags_of("fltest1") & IFF_UP);
		tap_put_back(&t, fd);
		close(fd);
		assert_int_equal(!!(flags_of("fltest1") & IFF_UP), round);
		set_flag("fltest1", IFF_UP, true);
	}
	assert_int_equal(system("ip link del fltest1"), 0);
}

static void interface_of_another_kind_is_refused(void **state)
{
	struct tap_iface t;

	need_tap();
	err_set_sink(ignore, NULL);
	assert_int_equal(open_one("lo", false, &t), -EINVAL);
	err_set_sink(NULL, NULL);
}

static int mtu_of(const char *name)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	assert_int_equal(ioctl(s, SIOCGIFMTU, &r), 0);
	close(s);
	return r.ifr_mtu;
}

static void close_all(int *fd)
{
	for (unsigned int i = 0; i < TAP_MAX_QUEUES; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static void interface_carries_the_mtu_or_is_refused(void **state)
{
	struct tap_wish w = { .must_be_new = true, .n_queues = 1, .mtu = 9000 };
	int fd[TAP_MAX_QUEUES];
	struct tap_iface t;

	need_tap();
	assert_int_equal(tap_open("fltest0", &w, &t, fd), 0);
	assert_int_equal(mtu_of("fltest0"), 9000);
	close_all(fd);
	assert_int_equal(system("ip tuntap add fltest1 mode tap"), 0);
	w.must_be_new = false;
	err_set_sink(ignore, NULL);
	assert_int_equal(tap_open("fltest1", &w, &t, fd), -ERANGE);
	err_set_sink(NULL, NULL);
	assert_int_equal(mtu_of("fltest1"), 1500); /* it is not ours to change */
	w.mtu = 1400;
	assert_int_equal(tap_open("fltest1", &w, &t, fd), 0);
	assert_int_equal(mtu_of("fltest1"), 1500);
	close_all(fd);
	assert_int_equal(system("ip link del fltest1"), 0);
}

static void several_queues_are_of_one_interface(void **state)
{
	struct tap_wish w = { .must_be_new = true, .n_queues = 4 };
	int fd[TAP_MAX_QUEUES];
	struct tap_iface t;

	need_tap();
	assert_int_equal(tap_open("fltest0", &w, &t, fd), 0);
	for (unsigned int i = 0; i < TAP_MAX_QUEUES; i++)
		assert_int_equal(fd[i] >= 0, i < 4);
	close_all(fd);
	assert_int_equal(flags_of("fltest0"), -ENODEV);
	/* one that is there has to be of the kind, but one of its queues may be had alone */
	assert_int_equal(system("ip tuntap add fltest1 mode tap"), 0);
	w.must_be_new = false;
	err_set_sink(ignore, NULL);
	assert_int_equal(tap_open("fltest1", &w, &t, fd), -EINVAL);
	err_set_sink(NULL, NULL);
	assert_int_equal(system("ip link del fltest1; ip tuntap add fltest1 mode tap multi_queue"),
			 0);
	assert_int_equal(tap_open("fltest1", &w, &t, fd), 0);
	assert_false(t.created);
	close_all(fd);
	w.n_queues = 1;
	assert_int_equal(tap_open("fltest1", &w, &t, fd), 0);
	close_all(fd);
	assert_int_equal(system("ip link del fltest1"), 0);
}

/* --- frames --- */
static int setup(void **state)
{
	static struct fix f;
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(TYPE) };
	int fd;

	memset(&f, 0, sizeof(f));
	*state = &f;
	if (why_not)
		return 0;
	fd = open_one("fltest2", true, &f.iface);
	if (fd < 0)
		return -1;
	vg_up(&f.g, "virtio,backend=tap,ifname=fltest2", fd);
	f.packet = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(TYPE));
	a.sll_ifindex = (int)if_nametoindex("fltest2");
	return bind(f.packet, (struct sockaddr *)&a, sizeof(a));
}

static int teardown(void **state)
{
	struct fix *f = *state;

	if (why_not)
		return 0;
	close(f->packet);
	vg_down(&f->g);
	return 0;
}

static uint32_t make_frame(uint8_t *p, uint32_t len, uint8_t dst)
{
	static const uint8_t head[14] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, TYPE >> 8, TYPE & 0xff
	};

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(p, head, sizeof(head));
	p[5] = dst;
	return len;
}

static void host_sends(struct fix *f, uint32_t len, uint8_t dst)
{
	static uint8_t p[9100];

	assert_int_equal(send(f->packet, p, make_frame(p, len, dst), 0), len);
}

static void post_rx(struct vg *g, unsigned int i, uint32_t len)
{
	vg_set_desc(g, VG_RX, i, VG_DATA + 0x1000 * i, len, F_WRITE, 0);
	vg_post(g, VG_RX, (uint16_t)i);
}

/* The packet socket hands frames to the interface by a queue: they are there soon, not at once. */
static void poll_until_rx(struct vg *g, unsigned int used)
{
	for (int i = 0; i < 2000 && vg_used(g, VG_RX)->idx < used; i++) {
		vg_poll(g);
		usleep(1000);
	}
	assert_int_equal(vg_used(g, VG_RX)->idx, used);
}

static void frames_go_out(void **state)
{
	struct fix *f = *state;
	uint8_t want[1514], got[2000];

	need_tap();
	vg_start(&f->g, VG_F_NET, 16);
	for (uint32_t n = 0; n < 5; n++) {
		memset(vg_ptr(&f->g, VG_DATA), 0, 12);
		make_frame((uint8_t *)vg_ptr(&f->g, VG_DATA) + 12, 60 + 300 * n, 1);
		vg_set_desc(&f->g, VG_TX, 0, VG_DATA, 12 + 30, 1, 1);
		vg_set_desc(&f->g, VG_TX, 1, VG_DATA + 42, 30 + 300 * n, 0, 0);
		vg_post(&f->g, VG_TX, 0);
		vg_poll(&f->g);
		assert_int_equal(vg_used(&f->g, VG_TX)->idx, n + 1);
		make_frame(want, 60 + 300 * n, 1);
		assert_int_equal(recv(f->packet, got, sizeof(got), 0), 60 + 300 * n);
		assert_memory_equal(got, want, 60 + 300 * n);
	}
	assert_int_equal(vg_counter(&f->g, "tx_frames"), 5);
	assert_int_equal(vg_counter(&f->g, "tx_bytes"), 5 * 60 + 300 * 10);
}

static void frames_come_in_where_the_guest_posted(void **state)
{
	struct fix *f = *state;
	uint8_t want[1514];

	need_tap();
	vg_start(&f->g, VG_F_NET, 16);
	for (unsigned int i = 0; i < 8; i++)
		post_rx(&f->g, i, 1526);
	for (uint32_t n = 0; n < 4; n++)
		host_sends(f, 60 + 484 * n, 1);
	poll_until_rx(&f->g, 4);
	for (uint32_t n = 0; n < 4; n++) {
		make_frame(want, 60 + 484 * n, 1);
		assert_int_equal(vg_used(&f->g, VG_RX)->ring[n].len, 72 + 484 * n);
		assert_memory_equal((uint8_t *)vg_ptr(&f->g, VG_DATA + 0x1000 * n) + 12, want,
				    60 + 484 * n);
	}
	assert_int_equal(vg_counter(&f->g, "rx_frames"), 4);
	assert_int_equal(vg_counter(&f->g, "rx_copies"), 0);
}

static void frames_wait_in_the_interface_until_there_is_a_buffer(void **state)
{
	struct fix *f = *state;

	need_tap();
	vg_start(&f->g, VG_F_NET | VG_F_MRG, 16);
	for (unsigned int i = 0; i < 5; i++)
		host_sends(f, 100, 1);
	usleep(20000);
	assert_int_equal(vg_poll(&f->g), 0); /* work that cannot be done keeps nobody awake */
	assert_true(f->g.v->rx[0].starved);
	post_rx(&f->g, 0, 1526);
	poll_until_rx(&f->g, 1);
	for (unsigned int i = 1; i < 6; i++)
		post_rx(&f->g, i, 1526);
	poll_until_rx(&f->g, 5);
	assert_int_equal(vg_counter(&f->g, "rx_drop_no_buffer"), 0);
}

static void long_frame_is_spread_and_only_the_first_is_copied(void **state)
{
	struct fix *f = *state;
	uint8_t want[9014], got[9014];

	need_tap();
	set_mtu("fltest2", 9000);
	vg_start(&f->g, VG_F_NET | VG_F_MRG, 64);
	for (unsigned int i = 0; i < 30; i++)
		post_rx(&f->g, i, 1000);
	host_sends(f, 9014, 1);
	host_sends(f, 9014, 1);
	host_sends(f, 60, 1);
	poll_until_rx(&f->g, 10 + 10 + 1);
	make_frame(want, 9014, 1);
	for (unsigned int frame = 0; frame < 2; frame++) {
		uint32_t have = 0;

		for (unsigned int i = 0; i < 10; i++) {
			uint32_t skip = i ? 0 : 12,
				 len = vg_used(&f->g, VG_RX)->ring[frame * 10 + i].len - skip;

			assert_in_range(len, 1, sizeof(got) - have);
			memcpy(got + have,
			       (uint8_t *)vg_ptr(&f->g, VG_DATA + 0x1000 * (frame * 10 + i)) + skip,
			       len);
			have += len;
		}
		assert_int_equal(have, 9014);
		assert_memory_equal(got, want, 9014);
	}
	assert_int_equal(vg_used(&f->g, VG_RX)->ring[20].len, 72);
	assert_int_equal(vg_counter(&f->g, "rx_copies"), 1);
}

static void frame_longer_than_a_guest_takes_is_dropped(void **state)
{
	struct fix *f = *state;

	need_tap();
	set_mtu("fltest2", 9000);
	vg_start(&f->g, VG_F_NET, 16);
	for (unsigned int i = 0; i < 4; i++)
		post_rx(&f->g, i, 1526);
	host_sends(f, 9014, 1);
	host_sends(f, 1516, 1); /* the device would take it, this guest's buffers do not hold it */
	host_sends(f, 1514, 1);
	poll_until_rx(&f->g, 1);
	assert_int_equal(vg_used(&f->g, VG_RX)->ring[0].len, 1526);
	assert_int_equal(vg_counter(&f->g, "rx_drop_too_long"), 1);
	assert_int_equal(vg_counter(&f->g, "rx_drop_no_buffer"), 1);
	assert_int_equal(vg_counter(&f->g, "rx_frames"), 1);
}

static void refused_frame_spends_no_buffer(void **state)
{
	/* 8 addresses and broadcast are more than the kernel's filter compares: then it passes all
	 * and we refuse */
	struct nic_filter few = { .broadcast = true, .n_macs = 1, .mac = { { 2, 0, 0, 0, 0, 1 } } },
			  many = few;
	struct fix *f = *state;

	need_tap();
	many.n_macs = 8;
	for (uint8_t i = 1; i < 8; i++)
		memcpy(many.mac[i], (uint8_t[6]){ 2, 0, 0, 0, 1, i }, 6);
	vg_start(&f->g, VG_F_NET, 16);
	for (unsigned int i = 0; i < 4; i++)
		post_rx(&f->g, i, 1526);
	nic_set_filter(f->g.v->be, &few);
	host_sends(f, 100, 9);
	host_sends(f, 101, 1);
	poll_until_rx(&f->g, 1);
	assert_int_equal(vg_counter(&f->g, "rx_drop_filtered"), 0); /* it did not come so far */
	nic_set_filter(f->g.v->be, &many);
	host_sends(f, 102, 9);
	host_sends(f, 103, 1);
	poll_until_rx(&f->g, 2);
	assert_int_equal(vg_counter(&f->g, "rx_drop_filtered"), 1);
	assert_int_equal(vg_used(&f->g, VG_RX)->ring[0].len, 113);
	assert_int_equal(vg_used(&f->g, VG_RX)->ring[1].len, 115);
}

static void frames_to_an_interface_that_is_down_are_dropped(void **state)
{
	struct fix *f = *state;

	need_tap();
	vg_start(&f->g, VG_F_NET, 16);
	set_flag("fltest2", IFF_UP, false);
	for (uint16_t i = 0; i < 3; i++) {
		memset(vg_ptr(&f->g, VG_DATA), 0, 12);
		vg_set_desc(&f->g, VG_TX, i, VG_DATA, 12 + 60, 0, 0);
		vg_post(&f->g, VG_TX, i);
	}
	vg_poll(&f->g);
	assert_int_equal(vg_used(&f->g, VG_TX)->idx, 3);
	assert_int_equal(vg_counter(&f->g, "tx_drop_link_down"), 3);
	assert_int_equal(vg_counter(&f->g, "tx_frames"), 0);
}

static void sleeping_thread_wakes_for_a_frame_and_sleeps_without_buffers(void **state)
{
	struct fix *f = *state;
	struct vg *g = &f->g;

	need_tap();
	vg_start(g, VG_F_NET, 16);
	post_rx(g, 0, 1526);
	assert_int_equal(io_start(vm_io(g->vm)), 0);
	for (int i = 0; i < 2000 && io_is_polling(vm_io(g->vm)); i++)
		usleep(1000);
	host_sends(f, 100, 1);
	for (int i = 0; i < 5000 && __atomic_load_n(&vg_used(g, VG_RX)->idx, __ATOMIC_ACQUIRE) < 1;
	     i++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(&vg_used(g, VG_RX)->idx, __ATOMIC_ACQUIRE), 1);
	/* no buffer is left: the frame stays, the thread goes to sleep all the same */
	host_sends(f, 100, 1);
	usleep(20000);
	for (int i = 0; i < 5000 && io_is_polling(vm_io(g->vm)); i++)
		usleep(1000);
	assert_false(io_is_polling(vm_io(g->vm)));
	/* and a refill with its kick gets it */
	assert_int_equal(__atomic_load_n(&vg_used(g, VG_RX)->flags, __ATOMIC_ACQUIRE), 0);
	vg_post(g, VG_RX, 0);
	vg_write(g, 0x3000, 2, 0);
	for (int i = 0; i < 5000 && __atomic_load_n(&vg_used(g, VG_RX)->idx, __ATOMIC_ACQUIRE) < 2;
	     i++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(&vg_used(g, VG_RX)->idx, __ATOMIC_ACQUIRE), 2);
	io_stop(vm_io(g->vm));
}

static void device_without_its_descriptor_is_refused(void **state)
{
	struct guest_mem *mem;
	struct device_conf conf = { .name = "nic0" };
	struct device *dev = NULL;
	struct vm *vm;

	err_set_sink(ignore, NULL);
	assert_int_equal(mem_create(VG_MEM, &mem), 0);
	assert_int_equal(vm_create_fake(mem, &vm), 0);
	assert_int_equal(opts_parse("virtio,backend=tap", &conf.opts), 0);
	assert_int_equal(device_create(vm, &conf, &dev), -ENOENT);
	opts_free(conf.opts);
	vm_destroy(vm);
	mem_destroy(mem);
	err_set_sink(NULL, NULL);
}

/* --- several queues --- */
#define PAIRS 4
#define F_MQ  (VIRTIO_BIT(VIRTIO_NET_F_MQ) | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ))

static int setup_several(void **state)
{
	struct tap_wish w = { .must_be_new = true, .n_queues = PAIRS };
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(TYPE) };
	int fd[TAP_MAX_QUEUES];
	static struct fix f;

	memset(&f, 0, sizeof(f));
	*state = &f;
	if (why_not)
		return 0;
	if (tap_open("fltest2", &w, &f.iface, fd) < 0)
		return -1;
	vg_up_fds(&f.g, "virtio,backend=tap,ifname=fltest2,queues=4", fd, PAIRS);
	f.packet = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(TYPE));
	a.sll_ifindex = (int)if_nametoindex("fltest2");
	return bind(f.packet, (struct sockaddr *)&a, sizeof(a));
}

static unsigned int rx_total(struct vg *g)
{
	unsigned int n = 0;

	for (unsigned int p = 0; p < PAIRS; p++)
		n += vg_used(g, VIRTIO_NET_QUEUE_RX(p))->idx;
	return n;
}

/* UDP over IPv4 of many flows: the kernel spreads them over the queues that are on. */
static void host_sends_flow(struct fix *f, uint16_t port)
{
	uint8_t p[60] = { 2, 0, 0,    0, 0, 1,  2, 0, 0, 0, 0,  2,
			  8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17 };
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_IP),
				 .sll_ifindex = (int)if_nametoindex("fltest2") };

	p[26] = p[30] = 10;
	p[33] = 1;
	p[34] = (uint8_t)(port >> 8);
	p[35] = (uint8_t)port;
	p[39] = 26;
	assert_int_equal(sendto(f->packet, p, sizeof(p), 0, (struct sockaddr *)&a, sizeof(a)), 60);
}

static void flows_are_spread_over_the_pairs_in_use(void **state)
{
	static const uint8_t four[] = { 4, 0, PAIRS, 0 }, two[] = { 4, 0, 2, 0 };
	struct fix *f = *state;
	struct vg *g = &f->g;
	unsigned int busy, before;

	need_tap();
	vg_start_all(g, VG_F_NET | F_MQ, 64, 2 * PAIRS + 1);
	for (unsigned int p = 0; p < PAIRS; p++)
		for (uint16_t i = 0; i < 64; i++) {
			vg_set_desc(g, 2 * p, i, VG_DATA + 0x20000 + 0x800 * (64 * p + i), 1526,
				    F_WRITE, 0);
			vg_post(g, 2 * p, i);
		}
	for (unsigned int step = 0; step < 3; step++) { /* with one pair, four, two */
		uint16_t was[PAIRS];

		if (step)
			assert_int_equal(vg_command(g, 2 * PAIRS, step == 1 ? four : two, 4), 0);
		for (unsigned int p = 0; p < PAIRS; p++)
			was[p] = vg_used(g, 2 * p)->idx;
		before = rx_total(g);
		for (uint16_t port = 0; port < 24; port++)
			host_sends_flow(f, (uint16_t)(1000 + 77 * port));
		for (int i = 0; i < 2000 && rx_total(g) < before + 24; i++) {
			vg_poll(g);
			usleep(1000);
		}
		assert_int_equal(rx_total(g), before + 24);
		busy = 0;
		for (unsigned int p = 0; p < PAIRS; p++)
			busy |= (vg_used(g, 2 * p)->idx != was[p]) << p;
		assert_true(step == 0 ? busy == 1 : step == 1 ? busy > 3 : busy <= 3);
	}
	assert_int_equal(vg_counter(g, "tap_errors"), 0);
}

static void frames_go_out_by_every_pair(void **state)
{
	static const uint8_t four[] = { 4, 0, PAIRS, 0 };
	struct fix *f = *state;
	struct vg *g = &f->g;
	uint8_t got[2000];

	need_tap();
	vg_start_all(g, VG_F_NET | F_MQ, 64, 2 * PAIRS + 1);
	assert_int_equal(vg_command(g, 2 * PAIRS, four, sizeof(four)), 0);
	for (unsigned int p = 0; p < PAIRS; p++) {
		memset(vg_ptr(g, VG_DATA), 0, 12);
		make_frame((uint8_t *)vg_ptr(g, VG_DATA) + 12, 60 + p, 1);
		vg_set_desc(g, 2 * p + 1, 0, VG_DATA, 12 + 60 + p, 0, 0);
		vg_post(g, 2 * p + 1, 0);
		vg_poll(g);
		assert_int_equal(vg_used(g, 2 * p + 1)->idx, 1);
		assert_int_equal(recv(f->packet, got, sizeof(got), 0), 60 + p);
	}
	assert_int_equal(vg_counter(g, "tx_frames"), PAIRS);
}

/* --- offloads --- */
#define F_OFFLOAD \
	(VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | \
	 VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4))
#define TCP_HEAD (14 + 20 + 20)
#define TCP_SIZE 20000

static int setup_vnet_hdr(void **state)
{
	struct tap_wish w = { .must_be_new = true, .n_queues = 1, .vnet_hdr = true };
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	int fd[TAP_MAX_QUEUES], one = 1;
	static struct fix f;

	memset(&f, 0, sizeof(f));
	*state = &f;
	if (why_not)
		return 0;
	if (tap_open("fltest2", &w, &f.iface, fd) < 0)
		return -1;
	vg_up(&f.g, "virtio,backend=tap,ifname=fltest2", fd[0]);
	f.packet = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_IP));
	/* the kernel's own header, ten bytes, before what is sent and received here */
	if (setsockopt(f.packet, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0)
		return -1;
	a.sll_ifindex = (int)if_nametoindex("fltest2");
	return bind(f.packet, (struct sockaddr *)&a, sizeof(a));
}

static uint32_t sum16(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += (uint32_t)p[i] << (i & 1 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* TCP over IPv4 with the checksum left to do: only the pseudo header's is there. */
static void make_tcp(uint8_t *p, uint32_t len)
{
	const uint32_t tcp = len - 34;
	uint32_t sum;

	memset(p, 0, TCP_HEAD);
	for (uint32_t i = TCP_HEAD; i < len; i++)
		p[i] = (uint8_t)(i * 3);
	p[0] = p[6] = 2;
	p[5] = 1;
	p[11] = 2;
	p[12] = 8;
	p[14] = 0x45;
	p[16] = (uint8_t)((len - 14) >> 8);
	p[17] = (uint8_t)(len - 14);
	p[22] = 64;
	p[23] = 6;
	p[26] = p[30] = 10;
	p[29] = 1;
	p[33] = 2;
	sum = ~sum16(p + 14, 20, 0);
	p[24] = (uint8_t)(sum >> 8);
	p[25] = (uint8_t)sum;
	p[34] = p[36] = 9;
	p[46] = 0x50;
	p[47] = 0x10; /* ACK */
	sum = sum16(p + 26, 8, 6 + tcp);
	p[50] = (uint8_t)(sum >> 8);
	p[51] = (uint8_t)sum;
}

static bool tcp_sum_ok(const uint8_t *p, uint32_t len)
{
	return sum16(p + 34, len - 34, sum16(p + 26, 8, 6 + len - 34)) == 0xffff;
}

static const struct virtio_net_hdr tso = { .flags = 1,
					   .gso_type = 1,
					   .hdr_len = TCP_HEAD,
					   .gso_size = 1448,
					   .csum_start = 34,
					   .csum_offset = 16 };

static void header_goes_out_with_its_frame(void **state)
{
	static uint8_t want[TCP_SIZE], got[TCP_SIZE + 100];
	struct fix *f = *state;
	struct vg *g = &f->g;
	struct virtio_net_hdr h;

	need_tap();
	vg_start(g, VG_F_NET | F_OFFLOAD, 16);
	make_tcp(want, TCP_SIZE);
	memcpy(vg_ptr(g, VG_DATA), &tso, sizeof(tso));
	memcpy(vg_ptr(g, VG_DATA + 12), want, TCP_SIZE);
	vg_set_desc(g, VG_TX, 0, VG_DATA, 12 + TCP_SIZE, 0, 0);
	vg_post(g, VG_TX, 0);
	vg_poll(g);
	assert_int_equal(vg_counter(g, "tx_frames"), 1);
	assert_int_equal(recv(f->packet, got, sizeof(got), 0), 10 + TCP_SIZE);
	memcpy(&h, got, 10);
	assert_int_equal(h.flags & 1, 1);
	assert_int_equal(h.gso_type, 1);
	assert_int_equal(h.gso_size, 1448);
	assert_int_equal(h.csum_start, 34);
	assert_memory_equal(got + 10, want, TCP_SIZE);
	/* a header that the kernel itself would refuse costs the frame and nothing else */
	h = tso;
	h.gso_type = 4;
	memcpy(vg_ptr(g, VG_DATA), &h, sizeof(h));
	vg_post(g, VG_TX, 0);
	vg_poll(g);
	assert_int_equal(vg_counter(g, "tx_frames"), 1);
	assert_int_equal(vg_counter(g, "tx_refused_offload"), 1);
	assert_int_equal(vg_used(g, VG_TX)->idx, 2);
}

static void host_sends_tso(struct fix *f)
{
	static uint8_t p[10 + TCP_SIZE];

	memcpy(p, &tso, 10);
	make_tcp(p + 10, TCP_SIZE);
	assert_int_equal(send(f->packet, p, sizeof(p), 0), sizeof(p));
}

static void post_many(struct vg *g, uint32_t len)
{
	for (unsigned int i = 0; i < 64; i++) {
		vg_set_desc(g, VG_RX, i, VG_DATA + 0x1000 * i, len, F_WRITE, 0);
		vg_post(g, VG_RX, (uint16_t)i);
	}
}

static void long_frame_comes_in_whole_with_its_header(void **state)
{
	static uint8_t want[TCP_SIZE], got[TCP_SIZE];
	struct fix *f = *state;
	struct vg *g = &f->g;
	struct virtio_net_hdr h;
	uint32_t have = 0;

	need_tap();
	vg_start(g, VG_F_NET | VG_F_MRG | F_OFFLOAD, 64);
	post_many(g, 1526);
	host_sends_tso(f);
	poll_until_rx(g, (12 + TCP_SIZE + 1525) / 1526);
	memcpy(&h, vg_ptr(g, VG_DATA), sizeof(h));
	assert_int_equal(h.flags, 1);
	assert_int_equal(h.gso_type, 1);
	assert_int_equal(h.gso_size, 1448);
	assert_int_equal(h.csum_start, 34);
	assert_int_equal(h.num_buffers, 14);
	for (unsigned int i = 0; i < 14; i++) {
		uint32_t skip = i ? 0 : 12, len = vg_used(g, VG_RX)->ring[i].len - skip;

		assert_in_range(len, 1, sizeof(got) - have);
		memcpy(got + have, (uint8_t *)vg_ptr(g, VG_DATA + 0x1000 * i) + skip, len);
		have += len;
	}
	make_tcp(want, TCP_SIZE);
	assert_int_equal(have, TCP_SIZE);
	assert_memory_equal(got + TCP_HEAD, want + TCP_HEAD, TCP_SIZE - TCP_HEAD);
	host_sends_tso(f); /* the next one is expected: nothing of it is copied */
	poll_until_rx(g, 28);
	assert_int_equal(vg_counter(g, "rx_copies"), 1);
}

/* Who did not ask for it gets segments with their checksums; and so does who asks no more. */
static void guest_without_offloads_gets_segments(void **state)
{
	static const uint8_t off[10] = { 5, 0 };
	struct fix *f = *state;
	struct vg *g = &f->g;

	need_tap();
	for (unsigned int round = 0; round < 2; round++) {
		vg_start_all(g,
			     VG_F_NET | VG_F_MRG |
				     (round ? F_OFFLOAD | VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ) |
						      VIRTIO_BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)
					    : 0),
			     64, 3);
		if (round)
			assert_int_equal(vg_command(g, 2, off, sizeof(off)), 0);
		post_many(g, 1526);
		host_sends_tso(f);
		poll_until_rx(g, (TCP_SIZE - TCP_HEAD + 1447) / 1448);
		for (unsigned int i = 0; i < 14; i++) {
			const uint8_t *p = vg_ptr(g, VG_DATA + 0x1000 * i);

			assert_int_equal(p[0], 0);
			assert_int_equal(p[1], 0);
			assert_true(tcp_sum_ok(p + 12, vg_used(g, VG_RX)->ring[i].len - 12));
		}
	}
}

static void without_the_header_nothing_is_offered(void **state)
{
	struct fix *f = *state;

	need_tap();
	vg_write(&f->g, 0, 4, 0);
	assert_int_equal(vg_read(&f->g, 4, 4) & (uint32_t)F_OFFLOAD, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_made_for_a_guest_is_stable_and_fits),
		cmocka_unit_test(name_that_the_kernel_would_change_or_refuse_is_refused),
		cmocka_unit_test(device_without_its_descriptor_is_refused),
		cmocka_unit_test(created_tap_is_up_and_goes_with_its_descriptor),
		cmocka_unit_test(tap_that_was_there_is_put_back_as_it_was),
		cmocka_unit_test(interface_of_another_kind_is_refused),
		cmocka_unit_test(interface_carries_the_mtu_or_is_refused),
		cmocka_unit_test(several_queues_are_of_one_interface),
		cmocka_unit_test_setup_teardown(flows_are_spread_over_the_pairs_in_use,
						setup_several, teardown),
		cmocka_unit_test_setup_teardown(frames_go_out_by_every_pair, setup_several,
						teardown),
		cmocka_unit_test_setup_teardown(header_goes_out_with_its_frame, setup_vnet_hdr,
						teardown),
		cmocka_unit_test_setup_teardown(long_frame_comes_in_whole_with_its_header,
						setup_vnet_hdr, teardown),
		cmocka_unit_test_setup_teardown(guest_without_offloads_gets_segments,
						setup_vnet_hdr, teardown),
		T(without_the_header_nothing_is_offered),
		T(frames_go_out),
		T(frames_come_in_where_the_guest_posted),
		T(frames_wait_in_the_interface_until_there_is_a_buffer),
		T(long_frame_is_spread_and_only_the_first_is_copied),
		T(frame_longer_than_a_guest_takes_is_dropped),
		T(refused_frame_spends_no_buffer),
		T(frames_to_an_interface_that_is_down_are_dropped),
		T(sleeping_thread_wakes_for_a_frame_and_sleeps_without_buffers),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		why_not = "a network namespace needs root";
	else if (access("/dev/net/tun", R_OK | W_OK) < 0)
		why_not = "there is no /dev/net/tun (modprobe tun)";
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seam between front-ends and back-ends: filters, gathering posted buffers, the loop's
 * promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/err.h"
#include "core/nic.h"

#define N_BUFS   8
#define BUF_SIZE 128

struct fake_fe {
	struct nic_frontend fe;
	uint8_t buf[N_BUFS][BUF_SIZE];
	unsigned int posted, taken, frames;
	struct nic_rx_done last;
};

static unsigned int fake_rx_buf(struct nic_frontend *fe, unsigned int q, unsigned int pos,
				bool first, struct iovec *iov, unsigned int max)
{
	struct fake_fe *f = (struct fake_fe *)fe;

	if (f->taken + pos >= f->posted || !max)
		return 0;
	*iov = (struct iovec){ f->buf[(f->taken + pos) % N_BUFS], BUF_SIZE };
	return 1;
}

static void fake_rx_done(struct nic_frontend *fe, unsigned int q, const struct nic_rx_done *done,
			 unsigned int n)
{
	struct fake_fe *f = (struct fake_fe *)fe;

	for (unsigned int i = 0; i < n; i++)
		f->taken += done[i].n_bufs;
	f->frames += n;
	f->last = done[n - 1];
}

static const struct nic_frontend_ops fe_ops = { .rx_buf = fake_rx_buf, .rx_done = fake_rx_done };

static struct nic_backend *make(struct fake_fe *f, const char *text)
{
	struct device_conf conf = { .name = "nic0" };
	struct nic_backend *be = NULL;

	memset(f, 0, sizeof(*f));
	f->fe = (struct nic_frontend){ .ops = &fe_ops, .max_frame = 1518 };
	assert_int_equal(opts_parse(text, &conf.opts), 0);
	assert_int_equal(nic_backend_create(NULL, &conf, &f->fe, &be), 0);
	opts_free(conf.opts);
	return be;
}

static uint8_t frame[200] = { 0x52, 0x54, 0, 1, 2, 3, 2, 2, 2, 2, 2, 2, 8, 0 };

static unsigned int send_one(struct nic_backend *be, uint32_t len)
{
	struct iovec iov[2] = { { frame, 20 }, { frame + 20, len - 20 } };
	struct nic_tx_frame f = { .iov = iov, .n_iov = 2, .len = len };

	return nic_send(be, 0, &f, 1);
}

static void loop_gives_back_what_was_sent(void **state)
{
	struct fake_fe f;
	struct nic_backend *be = make(&f, "x,backend=loop");

	for (size_t i = 14; i < sizeof(frame); i++)
		frame[i] = (uint8_t)i;
	f.posted = 8;
	assert_int_equal(send_one(be, 200), 1);
	assert_int_equal(nic_sent(be, 0), 0); /* not before it is delivered */
	assert_int_equal(f.frames, 0);        /* and never from within send */
	assert_int_equal(nic_receive(be, 0, 64), 1);
	assert_int_equal(nic_sent(be, 0), 1);
	assert_int_equal(f.last.n_bufs, 2);
	assert_int_equal(f.last.len, 200);
	assert_memory_equal(f.buf[0], frame, 128);
	assert_memory_equal(f.buf[1], frame + 128, 72);
	nic_backend_destroy(be);
}

static void loop_without_buffers_drops_and_goes_on(void **state)
{
	struct fake_fe f;
	struct nic_backend *be = make(&f, "x,backend=loop");

	assert_int_equal(send_one(be, 64), 1);
	nic_receive(be, 0, 64);
	assert_int_equal(nic_sent(be, 0), 1);
	assert_int_equal(be->n.rx_drop[NIC_DROP_NO_BUFFER], 1);
	f.posted = 1;
	send_one(be, 64);
	nic_receive(be, 0, 64);
	assert_int_equal(f.frames, 1);
	nic_backend_destroy(be);
}

static void loop_pushes_back_when_full(void **state)
{
	struct fake_fe f;
	struct nic_backend *be = make(&f, "x,backend=loop");
	unsigned int n = 0;

	while (send_one(be, 64) && n < 100000)
		n++;
	assert_in_range(n, 64, 4096);
	while (nic_receive(be, 0, 64))
		;
	assert_int_equal(nic_sent(be, 0), n);
	assert_int_equal(send_one(be, 64), 1);
	nic_backend_destroy(be);
}

static void loop_refused_frame_spends_no_buffer(void **state)
{
	struct fake_fe f;
	struct nic_backend *be = make(&f, "x,backend=loop");
	struct nic_filter filter = { .n_macs = 1, .mac = { { 0x52, 0x54, 0, 9, 9, 9 } } };

	f.posted = 4;
	nic_set_filter(be, &filter);
	send_one(be, 64);
	nic_receive(be, 0, 64);
	assert_int_equal(f.frames + f.taken, 0);
	assert_int_equal(be->n.rx_drop[NIC_DROP_FILTERED], 1);
	assert_int_equal(nic_sent(be, 0), 1);
	nic_backend_destroy(be);
}

static void loop_reset_forgets_guest_memory(void **state)
{
	struct fake_fe f;
	struct nic_backend *be = make(&f, "x,backend=loop");

	f.posted = 4;
	send_one(be, 64);
	nic_reset(be);
	assert_int_equal(nic_receive(be, 0, 64), 0);
	assert_int_equal(nic_sent(be, 0), 0);
	assert_int_equal(f.frames, 0);
	nic_backend_destroy(be);
}

static void null_is_done_at_once(void **state)
{
	struct fake_fe f;
	struct nic_backend *be = make(&f, "x");

	assert_int_equal(send_one(be, 64), 1);
	assert_int_equal(nic_sent(be, 0), 1);
	assert_int_equal(nic_sent(be, 0), 0);
	assert_int_equal(be->n.tx_frames, 1);
	assert_int_equal(nic_receive(be, 0, 64), 0);
	nic_backend_destroy(be);
}

static char said[256];

static void catch (void *opaque, const char *line)
{
	strncpy(said, line, sizeof(said) - 1);
}

static void unknown_backend_is_refused_with_the_list(void **state)
{
	struct device_conf conf = { .name = "nic0" };
	struct fake_fe f = { .fe.ops = &fe_ops };
	struct nic_backend *be;

	opts_parse("x,backend=carrier-pigeon", &conf.opts);
	err_set_sink(catch, NULL);
	assert_int_equal(nic_backend_create(NULL, &conf, &f.fe, &be), -EINVAL);
	err_set_sink(NULL, NULL);
	assert_non_null(strstr(said, "null"));
	assert_non_null(strstr(said, "loop"));
	assert_non_null(strstr(said, "tap"));
	opts_free(conf.opts);
}

static void filter_takes_what_the_device_would(void **state)
{
	uint8_t ours[18] = { 0x52, 0x54, 0, 1, 2, 3 }, other[18] = { 0x52, 0x54, 0, 9, 9, 9 },
		multi[18] = { 1, 0, 0x5e, 0, 0x12, 0x34 },
		bcast[18] = { 255, 255, 255, 255, 255, 255 },
		tagged[18] = { 0x52, 0x54, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0x81, 0, 0x20, 100 };
	struct nic_filter f = { .n_macs = 1, .mac = { { 0x52, 0x54, 0, 1, 2, 3 } } };
	unsigned int bit;

	assert_true(nic_filter_match(&f, ours, 60));
	assert_false(nic_filter_match(&f, other, 60));
	assert_false(nic_filter_match(&f, bcast, 60));
	assert_false(nic_filter_match(&f, multi, 60));
	assert_false(nic_filter_match(&f, ours, 13));
	f.broadcast = true;
	assert_true(nic_filter_match(&f, bcast, 60));
	f.hash = true;
	f.hash_shift = 4; /* MO 0: bits 47:36 of the address */
	bit = (0x12 | 0x34 << 8) >> 4 & 0xfff;
	f.hash_table[bit / 32] = 1u << (bit % 32);
	assert_true(nic_filter_match(&f, multi, 60));
	f.hash_shift = 0;
	assert_false(nic_filter_match(&f, multi, 60));
	f.all_multicast = true;
	assert_true(nic_filter_match(&f, multi, 60));
	f.vlan = true;
	assert_false(nic_filter_match(&f, tagged, 60));
	f.vlan_table[100 / 32] = 1u << (100 % 32);
	assert_true(nic_filter_match(&f, tagged, 60));
	assert_true(nic_filter_match(&f, ours, 60)); /* untagged passes */
	f.vlan_table[100 / 32] = 0;
	f.promisc = true;
	assert_true(nic_filter_match(&f, other, 60));
	assert_false(nic_filter_match(&f, tagged,
				      60)); /* promiscuous mode does not lift the VLAN filter */
}

static void gather_says_no_when_too_little_is_posted(void **state)
{
	struct fake_fe f;
	struct nic_backend *be = make(&f, "x,backend=loop");
	struct iovec iov[16];
	unsigned int bufs;
	uint32_t room;

	f.posted = 2;
	assert_int_equal(nic_rx_gather(&f.fe, 0, 0, 257, iov, 16, &bufs, &room), 0);
	assert_int_equal(nic_rx_gather(&f.fe, 0, 0, 256, iov, 16, &bufs, &room), 2);
	assert_int_equal(nic_rx_gather(&f.fe, 0, 0, 256, iov, 1, &bufs, &room), 0);
	assert_int_equal(nic_rx_gather(&f.fe, 0, 1, 128, iov, 16, &bufs, &room), 1);
	assert_int_equal(room, 128);
	nic_backend_destroy(be);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_gives_back_what_was_sent),
		cmocka_unit_test(loop_without_buffers_drops_and_goes_on),
		cmocka_unit_test(loop_pushes_back_when_full),
		cmocka_unit_test(loop_refused_frame_spends_no_buffer),
		cmocka_unit_test(loop_reset_forgets_guest_memory),
		cmocka_unit_test(null_is_done_at_once),
		cmocka_unit_test(unknown_backend_is_refused_with_the_list),
		cmocka_unit_test(filter_takes_what_the_device_would),
		cmocka_unit_test(gather_says_no_when_too_little_is_posted),
	};

	return cmocka_run_group_tests_name("core/nic", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the five parts of `ethtool -t ethX offline` do to an 82540EM, step by step as Linux's driver
 * does it: registers, EEPROM, interrupts, loopback by the PHY, link. And the other loopbacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "helper_e1000.h"

static int up(void **state)
{
	static struct eg g;

	eg_up(&g, "e1000," EG_OPTS);
	eg_tap(&g);
	eg_write(&g, E1000_CTRL, E1000_CTRL_SLU);
	*state = &g;
	return 0;
}

static int down(void **state)
{
	eg_down(*state);
	return 0;
}

static uint16_t phy_get(struct eg *g, uint32_t reg)
{
	eg_write(g, E1000_MDIC, 2u << 26 | 1u << 21 | reg << 16);
	assert_int_equal(eg_read(g, E1000_MDIC) >> 28, 1);
	return (uint16_t)eg_read(g, E1000_MDIC);
}

static void phy_set(struct eg *g, uint32_t reg, uint16_t val)
{
	eg_write(g, E1000_MDIC, 1u << 26 | 1u << 21 | reg << 16 | val);
	assert_int_equal(eg_read(g, E1000_MDIC) >> 28, 1);
}

/* --- 1: registers --- */
/* Four patterns, cut by `write`; what is read back is cut by `mask` as well. */
static void pattern(struct eg *g, uint32_t off, uint32_t mask, uint32_t write)
{
	static const uint32_t value[] = { 0x5a5a5a5a, 0xa5a5a5a5, 0, 0xffffffff };

	for (int i = 0; i < 4; i++) {
		eg_write(g, off, value[i] & write);
		if (eg_read(g, off) != (value[i] & write & mask))
			fail_msg("register %#x: %#x written, %#x read", off, value[i] & write,
				 eg_read(g, off));
	}
}

static void set_and_check(struct eg *g, uint32_t off, uint32_t mask, uint32_t write)
{
	eg_write(g, off, write & mask);
	assert_int_equal(eg_read(g, off) & mask, write & mask);
}

static void e1000_ethtool_registers_hold_their_bits(void **state)
{
	static const struct {
		uint32_t off, mask, write;
	} plain[] = {
		{ 0x0028, 0xffffffff, 0xffffffff }, /* FCAL */
		{ 0x002c, 0x0000ffff, 0xffffffff }, /* FCAH */
		{ 0x0030, 0x0000ffff, 0xffffffff }, /* FCT */
		{ 0x0038, 0x0000ffff, 0xffffffff }, /* VET */
		{ 0x2820, 0x0000ffff, 0xffffffff }, /* RDTR */
		{ 0x2804, 0xffffffff, 0xffffffff }, /* RDBAH */
		{ 0x2808, 0x000fff80, 0x000fffff }, /* RDLEN */
		{ 0x2810, 0x0000ffff, 0x0000ffff }, /* RDH */
		{ 0x2818, 0x0000ffff, 0x0000ffff }, /* RDT */
		{ 0x2168, 0x0000fff8, 0x0000fff8 }, /* FCRTH */
		{ 0x0170, 0x0000ffff, 0x0000ffff }, /* FCTTV */
		{ 0x0410, 0x3fffffff, 0x3fffffff }, /* TIPG */
		{ 0x3804, 0xffffffff, 0xffffffff }, /* TDBAH */
		{ 0x3808, 0x000fff80, 0x000fffff }, /* TDLEN */
	};
	struct eg *g = *state;
	uint32_t status = eg_read(g, E1000_STATUS);

	eg_write(g, E1000_STATUS, 0xfffff833);
	assert_int_equal(eg_read(g, E1000_STATUS) & 0xfffff833, status & 0xfffff833);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		pattern(g, plain[i].off, plain[i].mask, plain[i].write);
	set_and_check(g, E1000_RCTL, 0xffffffff, 0);
	set_and_check(g, E1000_RCTL, 0x06dfb3fe, 0x003ffffb);
	set_and_check(g, E1000_TCTL, 0xffffffff, 0);
	set_and_check(g, E1000_RCTL, 0x06dfb3fe, 0xffffffff);
	pattern(g, 0x2800, 0xfffffff0, 0xffffffff); /* RDBAL */
	pattern(g, 0x0178, 0xc000ffff, 0x0000ffff); /* TXCW */
	pattern(g, 0x3800, 0xfffffff0, 0xffffffff); /* TDBAL */
	pattern(g, 0x3820, 0x0000ffff, 0x0000ffff); /* TIDV */
	for (uint32_t i = 0; i < 15; i++)
		pattern(g, 0x5404 + 8 * i, 0x8003ffff, 0xffffffff);
	for (uint32_t i = 0; i < 128; i++)
		pattern(g, 0x5200 + 4 * i, 0xffffffff, 0xffffffff);
	/* all of it while the device runs with what stands in them: nothing happens */
	eg_poll(g, 2);
	eg_write(g, E1000_CTRL, E1000_CTRL_RST);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_RCTL), 0);
}

/* --- 2: EEPROM, as the driver reads it: bit by bit --- */
static unsigned int clock_bit(struct eg *g, unsigned int in)
{
	eg_write(g, E1000_EECD, 0x42 | in << 2);
	eg_write(g, E1000_EECD, 0x43 | in << 2);
	eg_write(g, E1000_EECD, 0x42 | in << 2);
	return eg_read(g, E1000_EECD) >> 3 & 1;
}

static void send_bits(struct eg *g, uint32_t bits, unsigned int n)
{
	while (n--)
		clock_bit(g, bits >> n & 1);
}

static void deselect(struct eg *g)
{
	eg_write(g, E1000_EECD, 0x40);
	eg_write(g, E1000_EECD, 0x42);
}

static uint16_t word(struct eg *g, uint32_t addr)
{
	uint16_t v = 0;

	deselect(g);
	send_bits(g, 6u << 6 | addr, 9);
	for (int i = 0; i < 16; i++)
		v = (uint16_t)(v << 1 | clock_bit(g, 0));
	deselect(g);
	return v;
}

static uint16_t sum(struct eg *g)
{
	uint16_t v = 0;

	for (uint32_t i = 0; i < 64; i++)
		v = (uint16_t)(v + word(g, i));
	return v;
}

static void e1000_ethtool_eeprom_checksum_is_right(void **state)
{
	struct eg *g = *state;

	assert_int_equal(sum(g), 0xbaba);
	assert_int_equal(word(g, 0), 0x5452);
}

static void write_word(struct eg *g, uint32_t addr, uint16_t val)
{
	deselect(g);
	send_bits(g, 5u << 22 | addr << 16 | val, 25);
	deselect(g);
	assert_true(eg_read(g, E1000_EECD) & E1000_EECD_DO); /* done */
}

/* ethtool -E: writing on, the word, the new checksum, writing off. */
static void e1000_ethtool_eeprom_is_written_when_writing_is_on(void **state)
{
	struct eg *g = *state;
	uint16_t old = word(g, 0x20), check = word(g, 0x3f);

	write_word(g, 0x20, 0x1234);
	assert_int_equal(word(g, 0x20), old);
	deselect(g);
	send_bits(g, 4u << 6 | 3u << 4, 9);
	write_word(g, 0x20, 0x1234);
	write_word(g, 0x3f, (uint16_t)(check - 0x1234 + old));
	assert_int_equal(word(g, 0x20), 0x1234);
	deselect(g);
	send_bits(g, 4u << 6, 9);
	write_word(g, 0x20, 0x5678);
	assert_int_equal(word(g, 0x20), 0x1234);
	assert_int_equal(sum(g), 0xbaba);
	/* a reset does not undo it */
	eg_write(g, E1000_CTRL, E1000_CTRL_RST);
	eg_poll(g, 1);
	assert_int_equal(word(g, 0x20), 0x1234);
}

/* --- 3: interrupts --- */
static bool line(struct eg *g)
{
	return vm_fake_counts(g->vm)->line_level;
}

/* What the driver's handler sees: called only when the line is up. */
static uint32_t handler(struct eg *g)
{
	return line(g) ? eg_read(g, E1000_ICR) : 0;
}

static void e1000_ethtool_interrupt_test(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_IMC, 0xffffffff);
	for (int i = 0; i < 10; i++) {
		uint32_t mask = 1u << i;

		/* masked: nothing */
		eg_write(g, E1000_IMC, mask);
		eg_write(g, E1000_ICS, mask);
		assert_int_equal(handler(g) & mask, 0);
		/* unmasked: it comes */
		eg_write(g, E1000_IMS, mask);
		eg_write(g, E1000_ICS, mask);
		assert_int_equal(handler(g) & mask, mask);
		assert_false(line(g));
		/* all others, masked: nothing */
		eg_write(g, E1000_IMC, ~mask & 0x7fff);
		eg_write(g, E1000_ICS, ~mask & 0x7fff);
		assert_int_equal(handler(g), 0);
	}
	eg_write(g, E1000_IMC, 0xffffffff);
}

/* --- 4: loopback --- */
#define LB_RING 256
#define LB_SIZE 1024
#define LB_TX   (EG_DATA + 0x100000)

static void lb_frame(struct eg *g, uint64_t gpa)
{
	uint8_t *p = eg_ptr(g, gpa);

	memset(p, 0xff, LB_SIZE);
	memset(p + LB_SIZE / 2, 0xaa, LB_SIZE / 2 - 1);
	p[LB_SIZE / 2 + 10] = 0xbe;
	p[LB_SIZE / 2 + 12] = 0xaf;
}

/* Rings of 256, all but one buffer posted; 64 frames a round, compared byte by byte. */
static void lb_run(struct eg *g, uint32_t rctl)
{
	unsigned int tail = 0, head = 0;

	eg_start_tx(g, LB_RING);
	eg_start_rx(g, LB_RING, rctl | E1000_RCTL_BAM);
	for (unsigned int i = 0; i < LB_RING; i++) {
		lb_frame(g, LB_TX + i * LB_SIZE);
		eg_legacy(g, i, LB_TX + i * LB_SIZE, LB_SIZE, E1000_TXC_EOP | E1000_TXC_IFCS);
	}
	eg_post(g, LB_RING - 1, 2048);
	for (int round = 0; round < 3; round++) {
		tail = (tail + 64) % LB_RING;
		eg_write(g, E1000_TDT, tail);
		eg_poll(g, 4);
		assert_int_equal(eg_read(g, E1000_TDH), tail);
		for (int i = 0; i < 64; i++, head++) {
			assert_int_equal(eg_rx(g, head).status & 3, 3);
			assert_int_equal(eg_rx(g, head).length, LB_SIZE + 4);
			assert_memory_equal(eg_ptr(g, EG_DATA + 2048ull * head), eg_ptr(g, LB_TX),
					    LB_SIZE);
		}
	}
	assert_int_equal(eg_read(g, E1000_RDH), head);
}

static void e1000_ethtool_loopback_by_the_phy(void **state)
{
	struct eg *g = *state;

	phy_set(g, 16, 0x0808);
	phy_set(g, 0, 0x9140);
	phy_set(g, 0, 0x8140);
	phy_set(g, 0, 0x4140);
	eg_write(g, E1000_CTRL,
		 (eg_read(g, E1000_CTRL) & ~E1000_CTRL_SPEED) | E1000_CTRL_FRCSPD |
			 E1000_CTRL_FRCDPLX | E1000_CTRL_SPEED_1000 | E1000_CTRL_FD |
			 E1000_CTRL_ILOS);
	phy_set(g, 29, 0x001f);
	phy_set(g, 30, 0x8ffc);
	phy_set(g, 29, 0x001a);
	phy_set(g, 30, 0x8ff0);
	lb_run(g, 0);
	assert_int_equal(g->tap->n_taken, 0); /* the wire saw none of it */
	assert_int_equal(eg_stat(g, "loopback_frames"), 192);
	/* the driver's end of it: frames take the wire again */
	assert_int_equal(phy_get(g, 0), 0x4140);
	phy_set(g, 0, 0x0140);
	phy_set(g, 0, 0x8140);
	eg_poll(g, 1);
	eg_write(g, E1000_TDT, 200);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 8);
}

static void e1000_loopback_by_the_mac(void **state)
{
	struct eg *g = *state;

	phy_set(g, 0, 0x1940); /* needs no PHY */
	lb_run(g, E1000_RCTL_LBM_MAC);
	assert_int_equal(g->tap->n_taken, 0);
}

static void e1000_loopback_by_the_transceiver(void **state)
{
	struct eg *g = *state;

	lb_run(g, E1000_RCTL_LBM_PHY);
	assert_int_equal(g->tap->n_taken, 0);
}

/* What comes in by the wire meanwhile reaches nobody; what was under way is finished. */
static void e1000_loopback_cuts_the_wire_off(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_start_rx(g, 8, 0);
	eg_post(g, 4, 2048);
	eg_legacy(g, 0, EG_DATA + 0x10000, 100, E1000_TXC_EOP | E1000_TXC_RS);
	g->tap->hold = true;
	eg_write(g, E1000_TDT, 1);
	eg_poll(g, 1);
	assert_int_equal(eg_tx_status(g, 0), 0);
	eg_write(g, E1000_RCTL, E1000_RCTL_EN | E1000_RCTL_LBM_MAC);
	eg_deliver(g, eg_mac, 100);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_resets, 1);
	assert_int_equal(eg_tx_status(g, 0), E1000_TXD_STAT_DD);
	assert_int_equal(eg_rx(g, 0).status, 0);
	eg_write(g, E1000_RCTL, E1000_RCTL_EN);
	eg_poll(g, 1);
	assert_int_equal(eg_rx(g, 0).status & 3, 3);
}

/* --- 5: link --- */
static void e1000_ethtool_link_is_the_back_ends(void **state)
{
	struct eg *g = *state;

	assert_true(phy_get(g, 1) & 4);
	assert_true(eg_read(g, E1000_STATUS) & 2);
	g->d->fe.ops->link(&g->d->fe, false);
	assert_false(eg_read(g, E1000_STATUS) & 2);
	assert_int_equal(phy_get(g, 17) & 0x0400, 0);
	assert_int_equal(phy_get(g, 5), 0);
	g->d->fe.ops->link(&g->d->fe, true);
	/* low until it was read */
	assert_false(phy_get(g, 1) & 4);
	assert_true(phy_get(g, 1) & 4);
	assert_true(eg_read(g, E1000_STATUS) & 2);
}

static void e1000_link_change_interrupts_an_idle_guest(void **state)
{
	struct eg *g = *state;

	eg_read(g, E1000_ICR);
	eg_write(g, E1000_IMS, E1000_INT_LSC);
	g->d->fe.ops->link(&g->d->fe, false);
	eg_poll(g, 1);
	assert_true(line(g));
	assert_int_equal(eg_read(g, E1000_ICR), E1000_INT_LSC);
	eg_poll(g, 1);
	assert_false(line(g));
}

/* ip link set down without wake-up: the driver takes the PHY's power. */
static void e1000_phy_without_power_has_no_link_and_moves_no_frame(void **state)
{
	struct eg *g = *state;

	eg_start_tx(g, 8);
	eg_start_rx(g, 8, 0);
	eg_post(g, 4, 2048);
	eg_read(g, E1000_ICR);
	phy_set(g, 0, (uint16_t)(phy_get(g, 0) | 0x0800));
	assert_false(eg_read(g, E1000_STATUS) & 2);
	assert_int_equal(eg_read(g, E1000_ICR), E1000_INT_LSC);
	eg_legacy(g, 0, EG_DATA + 0x10000, 100, E1000_TXC_EOP | E1000_TXC_RS);
	eg_write(g, E1000_TDT, 1);
	eg_deliver(g, eg_mac, 100);
	eg_poll(g, 2);
	assert_int_equal(g->tap->n_taken, 0);
	assert_int_equal(eg_read(g, E1000_RDH), 0);
	phy_set(g, 0, 0x1140);
	assert_true(eg_read(g, E1000_STATUS) & 2);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_taken, 1);
}

/* STATUS follows what was negotiated or forced (ethtool -s speed, duplex, advertise). */
static void e1000_speed_is_negotiated_or_forced(void **state)
{
	static const struct {
		uint16_t anar, gctrl, ctrl;
		uint32_t speed, fd, lu;
	} want[] = {
		{ 0x01e1, 0x0300, 0x1340, 2, 1, 2 }, { 0x01e1, 0x0000, 0x1340, 1, 1, 2 },
		{ 0x00e1, 0x0000, 0x1340, 1, 0, 2 }, { 0x0061, 0x0000, 0x1340, 0, 1, 2 },
		{ 0x0021, 0x0000, 0x1340, 0, 0, 2 }, { 0x0001, 0x0000, 0x1340, 3, 1, 0 },
		{ 0x0001, 0x0000, 0x2100, 1, 1, 2 }, { 0x0001, 0x0000, 0x0000, 0, 0, 2 },
	};
	struct eg *g = *state;
	uint32_t status;

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		phy_set(g, 4, want[i].anar);
		phy_set(g, 9, want[i].gctrl);
		phy_set(g, 0, want[i].ctrl);
		status = eg_read(g, E1000_STATUS);
		assert_int_equal(status & 2, want[i].lu);
		if (!want[i].lu)
			continue;
		assert_int_equal(status >> 6 & 3, want[i].speed);
		assert_int_equal(status & 1, want[i].fd);
	}
	/* the MAC's own word goes above the PHY's */
	eg_write(g, E1000_CTRL,
		 E1000_CTRL_SLU | E1000_CTRL_FRCSPD | E1000_CTRL_FRCDPLX | E1000_CTRL_SPEED_100 |
			 E1000_CTRL_FD);
	assert_int_equal(eg_read(g, E1000_STATUS) & 0xc1, 0x41);
}

/* The PHY's interrupt: enabled in the PHY, let in by CTRL_EXT. */
static void e1000_phy_interrupt_comes_by_its_pin(void **state)
{
	struct eg *g = *state;

	phy_set(g, 18, 0x0400);
	eg_read(g, E1000_ICR);
	phy_set(g, 0, 0x1340);
	assert_false(eg_read(g, E1000_ICR) & E1000_INT_PHYINT);
	assert_true(eg_read(g, E1000_CTRL_EXT) & 0x20);
	assert_true(phy_get(g, 19) & 0x0400);
	assert_false(eg_read(g, E1000_CTRL_EXT) & 0x20);
	eg_write(g, E1000_CTRL_EXT, 2);
	phy_set(g, 0, 0x1340);
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_PHYINT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		T(e1000_ethtool_registers_hold_their_bits),
		T(e1000_ethtool_eeprom_checksum_is_right),
		T(e1000_ethtool_eeprom_is_written_when_writing_is_on),
		T(e1000_ethtool_interrupt_test),
		T(e1000_ethtool_loopback_by_the_phy),
		T(e1000_loopback_by_the_mac),
		T(e1000_loopback_by_the_transceiver),
		T(e1000_loopback_cuts_the_wire_off),
		T(e1000_ethtool_link_is_the_back_ends),
		T(e1000_link_change_interrupts_an_idle_guest),
		T(e1000_phy_without_power_has_no_link_and_moves_no_frame),
		T(e1000_speed_is_negotiated_or_forced),
		T(e1000_phy_interrupt_comes_by_its_pin),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

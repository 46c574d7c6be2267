/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of the emulated 82540EM: every row of the table, every width, and the numbers of the
 * manual once more as literals, because the model and the guest's driver share one header and a
 * wrong number in it would fool both.
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
	*state = &g;
	return 0;
}

static int down(void **state)
{
	eg_down(*state);
	return 0;
}

/* Document 317453, revision 4.0, section 13.3, as literals. */
static const struct {
	uint32_t at;
	const char *name;
} manual[] = {
	{ 0x00000, "CTRL" },    { 0x00004, "CTRL_DUP" }, { 0x00008, "STATUS" },
	{ 0x00010, "EECD" },    { 0x00014, "EERD" },     { 0x00018, "CTRL_EXT" },
	{ 0x00020, "MDIC" },    { 0x00028, "FCAL" },     { 0x0002c, "FCAH" },
	{ 0x00030, "FCT" },     { 0x00038, "VET" },      { 0x000c0, "ICR" },
	{ 0x000c4, "ITR" },     { 0x000c8, "ICS" },      { 0x000d0, "IMS" },
	{ 0x000d8, "IMC" },     { 0x00100, "RCTL" },     { 0x00170, "FCTTV" },
	{ 0x00178, "TXCW" },    { 0x00400, "TCTL" },     { 0x00410, "TIPG" },
	{ 0x00458, "AIFS" },    { 0x00e00, "LEDCTL" },   { 0x01000, "PBA" },
	{ 0x02160, "FCRTL" },   { 0x02168, "FCRTH" },    { 0x02410, "RDFH" },
	{ 0x02418, "RDFT" },    { 0x02420, "RDFHS" },    { 0x02428, "RDFTS" },
	{ 0x02430, "RDFPC" },   { 0x02800, "RDBAL" },    { 0x02804, "RDBAH" },
	{ 0x02808, "RDLEN" },   { 0x02810, "RDH" },      { 0x02818, "RDT" },
	{ 0x02820, "RDTR" },    { 0x02828, "RXDCTL" },   { 0x0282c, "RADV" },
	{ 0x02c00, "RSRPD" },   { 0x03000, "TXDMAC" },   { 0x03410, "TDFH" },
	{ 0x03418, "TDFT" },    { 0x03420, "TDFHS" },    { 0x03428, "TDFTS" },
	{ 0x03430, "TDFPC" },   { 0x03800, "TDBAL" },    { 0x03804, "TDBAH" },
	{ 0x03808, "TDLEN" },   { 0x03810, "TDH" },      { 0x03818, "TDT" },
	{ 0x03820, "TIDV" },    { 0x03828, "TXDCTL" },   { 0x0382c, "TADV" },
	{ 0x03830, "TSPMT" },   { 0x04000, "CRCERRS" },  { 0x04004, "ALGNERRC" },
	{ 0x04008, "SYMERRS" }, { 0x0400c, "RXERRC" },   { 0x04010, "MPC" },
	{ 0x04014, "SCC" },     { 0x04018, "ECOL" },     { 0x0401c, "MCC" },
	{ 0x04020, "LATECOL" }, { 0x04028, "COLC" },     { 0x04030, "DC" },
	{ 0x04034, "TNCRS" },   { 0x04038, "SEC" },      { 0x0403c, "CEXTERR" },
	{ 0x04040, "RLEC" },    { 0x04048, "XONRXC" },   { 0x0404c, "XONTXC" },
	{ 0x04050, "XOFFRXC" }, { 0x04054, "XOFFTXC" },  { 0x04058, "FCRUC" },
	{ 0x0405c, "PRC64" },   { 0x04060, "PRC127" },   { 0x04064, "PRC255" },
	{ 0x04068, "PRC511" },  { 0x0406c, "PRC1023" },  { 0x04070, "PRC1522" },
	{ 0x04074, "GPRC" },    { 0x04078, "BPRC" },     { 0x0407c, "MPRC" },
	{ 0x04080, "GPTC" },    { 0x04088, "GORCL" },    { 0x0408c, "GORCH" },
	{ 0x04090, "GOTCL" },   { 0x04094, "GOTCH" },    { 0x040a0, "RNBC" },
	{ 0x040a4, "RUC" },     { 0x040a8, "RFC" },      { 0x040ac, "ROC" },
	{ 0x040b0, "RJC" },     { 0x040b4, "MGTPRC" },   { 0x040b8, "MGTPDC" },
	{ 0x040bc, "MGTPTC" },  { 0x040c0, "TORL" },     { 0x040c4, "TORH" },
	{ 0x040c8, "TOTL" },    { 0x040cc, "TOTH" },     { 0x040d0, "TPR" },
	{ 0x040d4, "TPT" },     { 0x040d8, "PTC64" },    { 0x040dc, "PTC127" },
	{ 0x040e0, "PTC255" },  { 0x040e4, "PTC511" },   { 0x040e8, "PTC1023" },
	{ 0x040ec, "PTC1522" }, { 0x040f0, "MPTC" },     { 0x040f4, "BPTC" },
	{ 0x040f8, "TSCTC" },   { 0x040fc, "TSCTFC" },   { 0x05000, "RXCSUM" },
	{ 0x05200, "MTA" },     { 0x053fc, "MTA" },      { 0x05400, "RA" },
	{ 0x05404, "RA" },      { 0x0547c, "RA" },       { 0x05600, "VFTA" },
	{ 0x057fc, "VFTA" },    { 0x05800, "WUC" },      { 0x05808, "WUFC" },
	{ 0x05810, "WUS" },     { 0x05820, "MANC" },     { 0x05838, "IPAV" },
	{ 0x05840, "IP4AT" },   { 0x05858, "IP4AT" },    { 0x05880, "IP6AT" },
	{ 0x0588c, "IP6AT" },   { 0x05900, "WUPL" },     { 0x05a00, "WUPM" },
	{ 0x05a7c, "WUPM" },    { 0x05f00, "FFLT" },     { 0x05f18, "FFLT" },
	{ 0x09000, "FFMT" },    { 0x093f8, "FFMT" },     { 0x09800, "FFVT" },
	{ 0x09bf8, "FFVT" },    { 0x10000, "PBM" },      { 0x1fffc, "PBM" },
};

static void e1000_offsets_are_those_of_the_manual(void **state)
{
	struct eg *g = *state;
	unsigned int rows = 0;

	for (size_t i = 0; i < sizeof(manual) / sizeof(manual[0]); i++) {
		assert_non_null(e1000_reg_name(g->d, manual[i].at));
		assert_string_equal(e1000_reg_name(g->d, manual[i].at), manual[i].name);
		rows += i == 0 || strcmp(manual[i].name, manual[i - 1].name);
	}
	assert_int_equal(rows, e1000_n_regs);
}

static void e1000_bits_are_those_of_the_manual(void **state)
{
	static const struct {
		uint32_t ours, manual;
	} bit[] = {
		{ E1000_CTRL_FD, 1 },
		{ E1000_CTRL_SLU, 1u << 6 },
		{ E1000_CTRL_RST, 1u << 26 },
		{ E1000_CTRL_VME, 1u << 30 },
		{ E1000_CTRL_PHY_RST, 1u << 31 },
		{ E1000_STATUS_FD, 1 },
		{ E1000_STATUS_LU, 2 },
		{ E1000_STATUS_SPEED_1000, 0x80 },
		{ E1000_EERD_START, 1 },
		{ E1000_EERD_DONE, 0x10 },
		{ E1000_EERD_ADDR_SHIFT, 8 },
		{ E1000_EERD_DATA_SHIFT, 16 },
		{ E1000_EECD_SK, 1 },
		{ E1000_EECD_CS, 2 },
		{ E1000_EECD_DI, 4 },
		{ E1000_EECD_DO, 8 },
		{ E1000_EECD_EE_REQ, 0x40 },
		{ E1000_EECD_EE_GNT, 0x80 },
		{ E1000_EECD_EE_PRES, 0x100 },
		{ E1000_MDIC_OP_WRITE, 1u << 26 },
		{ E1000_MDIC_OP_READ, 2u << 26 },
		{ E1000_MDIC_R, 1u << 28 },
		{ E1000_MDIC_I, 1u << 29 },
		{ E1000_MDIC_E, 1u << 30 },
		{ E1000_INT_TXDW, 1 },
		{ E1000_INT_TXQE, 2 },
		{ E1000_INT_LSC, 4 },
		{ E1000_INT_RXDMT0, 0x10 },
		{ E1000_INT_RXO, 0x40 },
		{ E1000_INT_RXT0, 0x80 },
		{ E1000_INT_MDAC, 0x200 },
		{ E1000_RCTL_EN, 2 },
		{ E1000_RCTL_SBP, 4 },
		{ E1000_RCTL_UPE, 8 },
		{ E1000_RCTL_MPE, 0x10 },
		{ E1000_RCTL_LPE, 0x20 },
		{ E1000_RCTL_RDMTS, 0x300 },
		{ E1000_RCTL_MO, 0x3000 },
		{ E1000_RCTL_BAM, 0x8000 },
		{ E1000_RCTL_BSIZE, 0x30000 },
		{ E1000_RCTL_VFE, 1u << 18 },
		{ E1000_RCTL_BSEX, 1u << 25 },
		{ E1000_RCTL_SECRC, 1u << 26 },
		{ E1000_TCTL_EN, 2 },
		{ E1000_TCTL_PSP, 8 },
		{ E1000_RAH_AV, 1u << 31 },
		{ E1000_RXD_STAT_DD, 1 },
		{ E1000_RXD_STAT_EOP, 2 },
		{ E1000_TXC_EOP, 1 },
		{ E1000_TXC_RS, 8 },
		{ E1000_TXC_DEXT, 0x20 },
		{ E1000_TXC_TSE, 4 },
		{ E1000_TXD_STAT_DD, 1 },
		{ E1000_TXX_LEN, 0xfffff },
		{ E1000_TXX_DTYP_DATA, 0x100000 },
		{ E1000_PCI_VENDOR, 0x8086 },
		{ E1000_PCI_DEVICE, 0x100e },
		{ E1000_MEM_BAR_SIZE, 128 * 1024 },
		{ E1000_EEPROM_SUM, 0xbaba },
		{ E1000_EEPROM_CHECKSUM, 0x3f },
		{ E1000_IOADDR, 0 },
		{ E1000_IODATA, 4 },
	};

	for (size_t i = 0; i < sizeof(bit) / sizeof(bit[0]); i++)
		if (bit[i].ours != bit[i].manual)
			fail_msg("constant %zu is %#x, the manual says %#x", i, bit[i].ours,
				 bit[i].manual);
}

static void e1000_pci_identity_is_the_82540em(void **state)
{
	struct eg *g = *state;

	assert_int_equal(eg_cfg_read(g, 0x00), 0x100e8086);
	assert_int_equal(eg_cfg_read(g, 0x08) >> 8, 0x020000);
	assert_int_equal(eg_cfg_read(g, 0x2c), 0x001e8086);
	assert_int_equal(eg_cfg_read(g, 0x3c) >> 8 & 0xff, 1);
	eg_cfg_write(g, 0x10, 0xffffffff);
	assert_int_equal(eg_cfg_read(g, 0x10), 0xfffe0000);
	eg_cfg_write(g, 0x14, 0xffffffff);
	assert_int_equal(eg_cfg_read(g, 0x14), 0xffffffc1);
}

static void e1000_rows_share_no_offset(void **state)
{
	struct eg *g = *state;

	for (unsigned int i = 0; i < e1000_n_regs; i++)
		for (uint32_t k = 0; k < e1000_reg_table[i].count; k++) {
			uint32_t off = e1000_reg_table[i].offset + k * e1000_reg_table[i].stride;

			assert_true(off + 4 <= E1000_MEM_BAR_SIZE && !(off & 3));
			assert_int_equal(g->d->row[off / 4], i + 1);
		}
}

static bool is(const struct e1000_reg *r, const char *name)
{
	return !strcmp(r->name, name);
}

static void check_reset_values(struct eg *g)
{
	for (unsigned int i = 0; i < e1000_n_regs; i++) {
		const struct e1000_reg *r = &e1000_reg_table[i];

		if (is(r, "CTRL_DUP") || is(r, "STATUS") || is(r, "EECD") || is(r, "RA"))
			continue; /* not a stored value, or loaded from the EEPROM */
		for (uint32_t k = 0; k < r->count; k++)
			if (eg_read(g, r->offset + k * r->stride) != r->reset)
				fail_msg("%s is not %#x after reset", r->name, r->reset);
	}
	assert_int_equal(eg_read(g, E1000_RAL(0)), 0x12005452);
	assert_int_equal(eg_read(g, E1000_RAH(0)), 0x80005634);
	assert_int_equal(eg_read(g, E1000_RAL(1)) | eg_read(g, E1000_RAH(1)), 0);
	assert_int_equal(eg_read(g, E1000_EECD), E1000_EECD_EE_PRES | E1000_EECD_DO);
}

static void write_everywhere(struct eg *g, uint32_t val)
{
	for (unsigned int i = 0; i < e1000_n_regs; i++) {
		const struct e1000_reg *r = &e1000_reg_table[i];

		for (uint32_t k = 0; k < r->count && r->offset > E1000_CTRL_DUP; k++)
			eg_write(g, r->offset + k * r->stride, val);
	}
}

static void e1000_every_register_has_its_reset_value_and_gets_it_back(void **state)
{
	struct eg *g = *state;

	check_reset_values(g);
	write_everywhere(g, 0xffffffff);
	eg_write(g, E1000_CTRL, E1000_CTRL_RST);
	eg_poll(g, 1);
	check_reset_values(g);
}

static void e1000_every_plain_register_keeps_its_writable_bits(void **state)
{
	static const uint32_t pattern[] = { 0xffffffff, 0x55555555, 0xaaaaaaaa, 0 };
	struct eg *g = *state;

	for (unsigned int i = 0; i < e1000_n_regs; i++) {
		const struct e1000_reg *r = &e1000_reg_table[i];

		for (uint32_t k = 0; k < r->count && !r->read && !r->write; k++)
			for (size_t p = 0; p < 4; p++) {
				uint32_t off = r->offset + k * r->stride;

				eg_write(g, off, pattern[p]);
				assert_int_equal(eg_read(g, off),
						 (r->reset & ~r->wmask) | (pattern[p] & r->wmask));
			}
	}
}

static void e1000_ring_registers_are_masked_to_whole_units(void **state)
{
	static const struct {
		uint32_t off, mask;
	} ring[] = {
		{ 0x2800, 0xfffffff0 }, { 0x2804, 0xffffffff }, { 0x2808, 0x000fff80 },
		{ 0x2810, 0xffff },     { 0x2818, 0xffff },     { 0x3800, 0xfffffff0 },
		{ 0x3804, 0xffffffff }, { 0x3808, 0x000fff80 }, { 0x3810, 0xffff },
		{ 0x3818, 0xffff },
	};
	struct eg *g = *state;

	for (size_t i = 0; i < 10; i++) {
		eg_write(g, ring[i].off, 0xffffffff);
		assert_int_equal(eg_read(g, ring[i].off), ring[i].mask);
	}
}

/* CVE-2015-7549's class: tables reached by odd widths and offsets. */
static void e1000_every_register_survives_every_width(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_MTA, 0x12345678);
	for (uint64_t off = 0; off < E1000_MEM_BAR_SIZE; off++)
		for (unsigned int size = 1; size <= 8; size *= 2) {
			if (off + size > E1000_MEM_BAR_SIZE || (size == 4 && !(off & 3)))
				continue;
			eg_store(g, off, size, ~0ull);
			if (eg_access(g, off, size))
				fail_msg("%u bytes at %#lx are not 0", size, (unsigned long)off);
		}
	assert_int_equal(eg_read(g, E1000_MTA), 0x12345678);
	assert_int_equal(g->d->n.resets, 0);
	assert_true(eg_stat(g, "odd_accesses") > 0);
}

static void e1000_accesses_past_the_end_belong_to_nobody(void **state)
{
	struct eg *g = *state;
	uint64_t v;

	for (unsigned int size = 1; size <= 8; size *= 2)
		for (uint64_t k = 1; k < size + 8; k++) {
			uint64_t off = E1000_MEM_BAR_SIZE - size + k;

			assert_false(bus_write(vm_mmio(g->vm), 0, g->bar + off, size, ~0ull));
			assert_false(bus_read(vm_mmio(g->vm), 0, g->bar + off, size, &v));
		}
}

static void e1000_offsets_without_register_read_zero(void **state)
{
	struct eg *g = *state;
	uint64_t n = 0;

	for (uint32_t off = 0; off < E1000_MEM_BAR_SIZE; off += 4) {
		if (e1000_reg_name(g->d, off))
			continue;
		eg_write(g, off, 0xffffffff);
		assert_int_equal(eg_read(g, off), 0);
		n += 2;
	}
	assert_true(n > 0);
	assert_int_equal(eg_stat(g, "unknown_registers"), n);
}

static void e1000_io_bar_reaches_every_register(void **state)
{
	struct eg *g = *state;

	eg_io_write(g, 0, 4, E1000_MTA + 8);
	assert_int_equal(eg_io_read(g, 0, 4), E1000_MTA + 8);
	eg_io_write(g, 4, 4, 0xcafe0001);
	assert_int_equal(eg_io_read(g, 4, 4), 0xcafe0001);
	assert_int_equal(eg_read(g, E1000_MTA + 8), 0xcafe0001);
}

static void e1000_io_bar_ignores_what_it_cannot_reach(void **state)
{
	static const uint32_t nowhere[] = { 0x20000, 0x20004,    1,          2,         3,
					    0x5201,  0x7fffffff, 0xfffffffc, 0xffffffff };
	struct eg *g = *state;

	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		eg_io_write(g, 0, 4, nowhere[i]);
		eg_io_write(g, 4, 4, 0xffffffff);
		assert_int_equal(eg_io_read(g, 4, 4), 0);
	}
	for (unsigned int off = 0; off < 64; off++)
		for (unsigned int size = 1; size <= 4 && off + size <= 64; size *= 2) {
			eg_io_write(g, off, size, 0);
			if (off != 0 && off != 4)
				assert_int_equal(eg_io_read(g, off, size), 0);
		}
	eg_io_write(g, 0, 4, 0);
	assert_int_equal(g->d->n.resets, 0);
}

static void e1000_icr_is_cleared_by_reading_and_moves_the_line(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_ICS, E1000_INT_RXT0 | E1000_INT_LSC);
	assert_int_equal(vm_fake_counts(g->vm)->line_level, 0);
	eg_write(g, E1000_IMS, E1000_INT_RXT0);
	assert_int_equal(eg_read(g, E1000_IMS), E1000_INT_RXT0);
	assert_int_equal(vm_fake_counts(g->vm)->line_level, 1);
	assert_int_equal(eg_read(g, E1000_ICR), E1000_INT_RXT0 | E1000_INT_LSC);
	assert_int_equal(vm_fake_counts(g->vm)->line_level, 0);
	assert_int_equal(eg_read(g, E1000_ICR), 0);
	assert_int_equal(eg_stat(g, "interrupts"), 1);
}

static void e1000_imc_masks_and_icr_is_cleared_by_ones(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_IMS, 0xffffffff);
	assert_int_equal(eg_read(g, E1000_IMS), E1000_INT_ALL);
	eg_write(g, E1000_ICS, E1000_INT_TXDW | E1000_INT_RXO);
	eg_write(g, E1000_IMC, 0xffffffff);
	assert_int_equal(vm_fake_counts(g->vm)->line_level, 0);
	assert_int_equal(eg_read(g, E1000_IMS), 0);
	eg_write(g, E1000_ICR, E1000_INT_TXDW);
	assert_int_equal(eg_read(g, E1000_ICR), E1000_INT_RXO);
	assert_int_equal(eg_read(g, E1000_ICS) | eg_read(g, E1000_IMC), 0);
}

static uint16_t eerd(struct eg *g, uint32_t word)
{
	eg_write(g, E1000_EERD, word << 8 | 1);
	assert_true(eg_read(g, E1000_EERD) & 0x10);
	return (uint16_t)(eg_read(g, E1000_EERD) >> 16);
}

static void e1000_eeprom_holds_the_address_and_a_right_checksum(void **state)
{
	struct eg *g = *state;
	uint16_t sum = 0;

	assert_int_equal(eerd(g, 0), 0x5452);
	assert_int_equal(eerd(g, 1), 0x1200);
	assert_int_equal(eerd(g, 2), 0x5634);
	for (uint32_t i = 0; i < 64; i++)
		sum = (uint16_t)(sum + eerd(g, i));
	assert_int_equal(sum, 0xbaba);
	for (uint32_t i = 64; i < 256; i++)
		assert_int_equal(eerd(g, i), 0);
	eg_write(g, E1000_EERD, 0);
	assert_int_equal(eg_read(g, E1000_EERD) & 0x10, 0);
}

/* One clock of the microwire: the bit in, what comes out. */
static unsigned int microwire(struct eg *g, unsigned int in)
{
	unsigned int out;

	eg_write(g, E1000_EECD, 0x42 | in << 2);
	eg_write(g, E1000_EECD, 0x43 | in << 2);
	out = eg_read(g, E1000_EECD) >> 3 & 1;
	eg_write(g, E1000_EECD, 0x42 | in << 2);
	return out;
}

static void microwire_send(struct eg *g, uint32_t bits, unsigned int n)
{
	while (n--)
		microwire(g, bits >> n & 1);
}

static void e1000_eeprom_reads_the_same_bit_by_bit(void **state)
{
	struct eg *g = *state;

	eg_write(g, E1000_EECD, 0x40);
	assert_true(eg_read(g, E1000_EECD) & 0x80);
	for (uint32_t word = 0; word < 64; word++) {
		uint16_t v = 0;

		eg_write(g, E1000_EECD, 0x42);
		microwire_send(g, 6u << 6 | word, 9); /* start bit, read */
		for (int i = 0; i < 16; i++)
			v = (uint16_t)(v << 1 | microwire(g, 0));
		eg_write(g, E1000_EECD, 0x40);
		assert_int_equal(v, eerd(g, word));
	}
}

static void e1000_eeprom_survives_endless_clocks(void **state)
{
	struct eg *g = *state;

	for (unsigned int op = 0; op < 4; op++) {
		eg_write(g, E1000_EECD, 0x42);
		microwire_send(g, 4 | op, 3);
		for (int i = 0; i < 5000; i++)
			microwire(g, i % 3 == 0);
		eg_write(g, E1000_EECD, 0);
	}
	assert_int_equal(eerd(g, 0), 0x5452);
}

static uint32_t mdic(struct eg *g, uint32_t op, uint32_t phy, uint32_t reg, uint32_t data)
{
	eg_write(g, E1000_MDIC, op << 26 | phy << 21 | reg << 16 | data);
	return eg_read(g, E1000_MDIC);
}

static void e1000_phy_is_an_m88_with_its_link_up(void **state)
{
	struct eg *g = *state;

	assert_int_equal(mdic(g, 2, 1, 2, 0) & 0xffff, 0x0141);
	assert_int_equal(mdic(g, 2, 1, 3, 0) & 0xfff0, 0x0c20);
	assert_int_equal(mdic(g, 2, 1, 1, 0) & 0x24, 0x24);
	assert_int_equal(mdic(g, 2, 1, 17, 0) & 0xac00, 0xac00);
	assert_int_equal(mdic(g, 2, 1, 2, 0) >> 28, 1); /* ready, no error */
}

static void e1000_mdic_of_nobody_is_an_error(void **state)
{
	struct eg *g = *state;

	for (uint32_t op = 0; op < 4; op++)
		for (uint32_t phy = 0; phy < 32; phy++)
			for (uint32_t reg = 0; reg < 32; reg++) {
				bool good = phy == 1 && (op == 1 || op == 2);

				assert_int_equal(mdic(g, op, phy, reg, 0) >> 28 & 7, good ? 1 : 5);
			}
	/* identity cannot be written */
	mdic(g, 1, 1, 2, 0xffff);
	assert_int_equal(mdic(g, 2, 1, 2, 0) & 0xffff, 0x0141);
}

static void e1000_phy_reset_and_negotiation_clear_themselves(void **state)
{
	struct eg *g = *state;

	mdic(g, 1, 1, 4, 0x0001);
	mdic(g, 1, 1, 0, 0x9200);
	assert_int_equal(mdic(g, 2, 1, 0, 0) & 0x8200, 0);
	assert_int_not_equal(mdic(g, 2, 1, 4, 0) & 0xffff, 0x0001);
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_LSC);
	eg_write(g, E1000_MDIC, 2u << 26 | 1u << 21 | E1000_MDIC_I);
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_MDAC);
}

static void e1000_link_needs_slu_and_the_back_end(void **state)
{
	struct eg *g = *state;

	assert_false(eg_read(g, E1000_STATUS) & 2);
	eg_write(g, E1000_CTRL, E1000_CTRL_SLU);
	assert_true(eg_read(g, E1000_STATUS) & 2);
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_LSC);
	g->d->fe.ops->link(&g->d->fe, false);
	eg_poll(g, 1);
	assert_false(eg_read(g, E1000_STATUS) & 2);
	assert_int_equal(mdic(g, 2, 1, 1, 0) & 4, 0);
	assert_true(eg_read(g, E1000_ICR) & E1000_INT_LSC);
	g->d->fe.ops->link(&g->d->fe, false);
	eg_poll(g, 1);
	assert_int_equal(eg_read(g, E1000_ICR), 0);
}

static void e1000_statistics_are_cleared_by_reading_and_stop_at_their_maximum(void **state)
{
	struct eg *g = *state;

	for (unsigned int i = 0; i < e1000_n_regs; i++)
		if (e1000_reg_table[i].read == e1000_stat_read) {
			e1000_stat_add(g->d, e1000_reg_table[i].offset, 7);
			assert_int_equal(eg_read(g, e1000_reg_table[i].offset), 7);
			assert_int_equal(eg_read(g, e1000_reg_table[i].offset), 0);
		}
	e1000_stat_add(g->d, E1000_GPTC, 0xfffffff0);
	e1000_stat_add(g->d, E1000_GPTC, 0x100);
	assert_int_equal(eg_read(g, E1000_GPTC), 0xffffffff);
}

static void e1000_octet_pairs_are_cleared_by_their_high_half(void **state)
{
	struct e1000_tally t = { .n = 1, .bytes = 0xfffffffff };
	struct eg *g = *state;

	e1000_tally_tx(g->d, &t);
	e1000_tally_tx(g->d, &t);
	assert_int_equal(eg_read(g, 0x4090), 0xfffffffe);
	assert_int_equal(eg_read(g, 0x4090), 0xfffffffe);
	assert_int_equal(eg_read(g, 0x4094), 0x1f);
	assert_int_equal(eg_read(g, 0x4090) | eg_read(g, 0x4094), 0);
}

static void e1000_reset_reads_as_set_until_the_back_end_has_let_go(void **state)
{
	struct eg *g = *state;

	eg_tap(g);
	eg_write(g, E1000_IMS, E1000_INT_ALL);
	eg_write(g, E1000_CTRL, E1000_CTRL_RST);
	assert_true(eg_read(g, E1000_CTRL) & E1000_CTRL_RST);
	assert_int_equal(g->tap->n_resets, 0);
	/* a driver that sets a bit of what it read means no second reset */
	eg_write(g, E1000_CTRL, eg_read(g, E1000_CTRL) | E1000_CTRL_SLU);
	eg_poll(g, 1);
	assert_int_equal(g->tap->n_resets, 1);
	assert_false(eg_read(g, E1000_CTRL) & E1000_CTRL_RST);
	assert_true(eg_read(g, E1000_CTRL) & E1000_CTRL_SLU);
	assert_int_equal(eg_read(g, E1000_IMS), 0);
	assert_int_equal(eg_stat(g, "resets"), 1);
}

static void e1000_doorbells_are_coalesced_from_the_first_one_on(void **state)
{
	struct eg *g = *state;
	struct io_poller *p = &g->d->poller;

	eg_start_tx(g, 8);
	p->wake(p);
	eg_poll(g, 1);
	assert_int_equal(vm_fake_counts(g->vm)->coalesced, 0); /* nobody has rung yet */
	p->rest(p);
	eg_write(g, E1000_TDT, 0);
	eg_poll(g, 1);
	assert_int_equal(vm_fake_counts(g->vm)->coalesced, 0); /* the thread is not awake yet */
	p->wake(p);
	eg_poll(g, 1);
	assert_int_equal(vm_fake_counts(g->vm)->coalesced, 2);
	/* the BAR moves: the zones go with it */
	eg_cfg_write(g, 0x10, (uint32_t)g->bar + 0x1000000);
	assert_int_equal(vm_fake_counts(g->vm)->coalesced, 0);
	eg_poll(g, 1);
	assert_int_equal(vm_fake_counts(g->vm)->coalesced, 2);
	assert_int_equal(g->d->zone_base, g->bar + 0x1000000);
	/* the ring is closed for its sleep (vm_ring.c), which the zones need not know */
	p->rest(p);
	assert_int_equal(vm_fake_counts(g->vm)->coalesced, 2);
	eg_cfg_write(g, 0x10, (uint32_t)g->bar);
	assert_int_equal(vm_fake_counts(g->vm)->coalesced, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		T(e1000_offsets_are_those_of_the_manual),
		T(e1000_bits_are_those_of_the_manual),
		T(e1000_pci_identity_is_the_82540em),
		T(e1000_rows_share_no_offset),
		T(e1000_every_register_has_its_reset_value_and_gets_it_back),
		T(e1000_every_plain_register_keeps_its_writable_bits),
		T(e1000_ring_registers_are_masked_to_whole_units),
		T(e1000_every_register_survives_every_width),
		T(e1000_accesses_past_the_end_belong_to_nobody),
		T(e1000_offsets_without_register_read_zero),
		T(e1000_io_bar_reaches_every_register),
		T(e1000_io_bar_ignores_what_it_cannot_reach),
		T(e1000_icr_is_cleared_by_reading_and_moves_the_line),
		T(e1000_imc_masks_and_icr_is_cleared_by_ones),
		T(e1000_eeprom_holds_the_address_and_a_right_checksum),
		T(e1000_eeprom_reads_the_same_bit_by_bit),
		T(e1000_eeprom_survives_endless_clocks),
		T(e1000_phy_is_an_m88_with_its_link_up),
		T(e1000_mdic_of_nobody_is_an_error),
		T(e1000_phy_reset_and_negotiation_clear_themselves),
		T(e1000_link_needs_slu_and_the_back_end),
		T(e1000_statistics_are_cleared_by_reading_and_stop_at_their_maximum),
		T(e1000_octet_pairs_are_cleared_by_their_high_half),
		T(e1000_reset_reads_as_set_until_the_back_end_has_let_go),
		T(e1000_doorbells_are_coalesced_from_the_first_one_on),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The microguest's course: read the command line, bring the device up, say READY, then run the
 * packet loop each time COM1 brings a 'g', until it brings a 'q' (an 'r': it resets). Called by
 * start.S in ring 3, calls the drivers and mg_loop.c. Options are words key=value: dev mode size
 * batch warm_ms ms tsc ecam pool dst seed echo kick icr settle_ms nth first_ms check (64, or all),
 * and for the NIC at the other end dev2 nth2: with mode=cross it receives (and says its address to
 * the switch first), with mode=pingpong it sends back. dev=blk is a disk (mg_blk.c), mode=smp wakes
 * the other processors (mg_smp.c). mode=bars, config and decode misuse an 82576's configuration
 * space first (mg_abuse.c), stray= its DMA. Lines on COM1: FL HELLO, READY, RESULT, BYE, FAIL.
 */
#include "mg_frame.h"
#include "mg_lib.h"

#define POOL_DEFAULT 0xd0000000 /* below the ECAM window of the boards we know */
#define LINK_WAIT_MS 10000
#define BATCH_MAX    (MG_N_SLOTS / 2) /* so that the device has work while we fill */

struct hvm_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t n_modules;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
};
#define HVM_START_MAGIC 0x336ec578

_Static_assert(offsetof(struct hvm_start_info, cmdline) == 24, "PVH start info");

void mg_main(const struct hvm_start_info *info) __attribute__((noreturn));

static const struct mg_driver *const drivers[] = {
	&mg_driver_e1000,
	&mg_driver_virtio,
	&mg_driver_igb,
	&mg_driver_igbvf,
};

static const struct {
	const char *name;
	int tx, rx;
	void (*run)(struct mg *mg);
} modes[] = {
	{ "tx", 1, 0, mg_loop_tx },
	{ "rx", 0, 1, mg_loop_rx },
	{ "pingpong", 1, 1, mg_loop_pingpong },
	{ "cross", 1, 0, mg_loop_cross },
	{ "bars", 1, 0, mg_abuse_bars },
	{ "config", 1, 0, mg_abuse_config },
	{ "decode", 1, 0, mg_abuse_decode },
};

static void read_options(struct mg *mg, const char *cmdline)
{
	static const uint8_t nobody[6] = { 0x52, 0x54, 0x00, 0x99, 0x99, 0x99 };
	struct mg_opts *opt = &mg->opt;
	uint64_t batch = mg_opt_number(cmdline, "batch", 32);

	opt->cmdline = cmdline;
	opt->hz = mg_opt_number(cmdline, "tsc", 0);
	opt->ecam = mg_opt_number(cmdline, "ecam", 0);
	opt->pool = mg_opt_number(cmdline, "pool", POOL_DEFAULT);
	opt->size = (uint32_t)mg_opt_number(cmdline, "size", 64);
	opt->batch = batch < 1 ? 1 : batch > BATCH_MAX ? BATCH_MAX : (uint32_t)batch;
	opt->seed = (uint32_t)mg_opt_number(cmdline, "seed", 1);
	opt->warm_ms = (uint32_t)mg_opt_number(cmdline, "warm_ms", 200);
	opt->ms = (uint32_t)mg_opt_number(cmdline, "ms", 1000);
	opt->settle_ms = (uint32_t)mg_opt_number(cmdline, "settle_ms", 0);
	opt->nth = (uint32_t)mg_opt_number(cmdline, "nth", 0);
	opt->first_ms = (uint32_t)mg_opt_number(cmdline, "first_ms", 0);
	opt->stray = mg_opt_number(cmdline, "stray", 0);
	opt->check_all = mg_opt_is(cmdline, "check", "all");
	opt->icr = mg_opt_number(cmdline, "icr", 0) != 0;
	opt->kick = mg_opt_number(cmdline, "kick", 0) != 0;
	opt->echo = mg_opt_number(cmdline, "echo", 0) != 0 && mg_opt_is(cmdline, "mode", "rx");
	if (mg_opt_is(cmdline, "mode", "pingpong"))
		memset(opt->dst, 0xff, 6);
	else
		memcpy(opt->dst, nobody, 6);
	mg_opt_mac(cmdline, "dst", opt->dst);
	opt->has_dst = mg_opt_text(cmdline, "dst") != NULL;
}

static void check_options(const struct mg_opts *opt)
{
	if (opt->hz < 1000000)
		mg_fail("tsc= (the TSC's frequency in Hz) is missing");
	if (opt->size < MG_FRAME_MIN || opt->size > MG_FRAME_MAX)
		mg_fail("size= is outside 60..9000");
	if (!opt->ms || opt->ms > 3600000 || opt->warm_ms > 3600000 || opt->settle_ms > 3600000 ||
	    opt->first_ms > 3600000)
		mg_fail("ms=, warm_ms=, settle_ms= or first_ms= is out of range");
}

/* Buffers touched and filled, so that nothing of it happens in the measured window. */
static void prepare_memory(struct mg *mg)
{
	mg->stride = mg->opt.size > MG_SMALL_MAX ? MG_BUF_LARGE : MG_BUF_SMALL;
	mg->tx_buf = mg_alloc((size_t)MG_N_SLOTS * mg->stride, 4096);
	mg->rx_buf = mg_alloc((size_t)MG_N_SLOTS * mg->stride, 4096);
	mg->samples = mg_alloc(MG_N_SAMPLES * sizeof(uint32_t), 4096);
}

static void fill_frames(struct mg *mg)
{
	for (uint32_t slot = 0; slot < MG_N_SLOTS; slot++) {
		mg_frame_fill(mg_tx_frame(mg, slot), mg->opt.size, mg->opt.dst, mg->mac,
			      mg->opt.seed);
		mg->tx_len[slot] = mg->opt.size;
	}
}

static void wait_for_link(struct mg *mg)
{
	uint64_t start = mg_tsc(), limit = mg_ticks(mg, LINK_WAIT_MS);

	while (!mg->drv->link(mg)) {
		if (mg_tsc() - start > limit)
			mg_fail("no link");
		mg_wait_us(mg, 1000);
	}
}

static void bring_up_nic(struct mg *mg)
{
	const char *problem;

	prepare_memory(mg);
	problem = mg->drv->init(mg);
	if (problem)
		mg_fail(problem);
	mg->tx_free = mg->tx_room;
	if (mg->opt.batch > mg->tx_room)
		mg->opt.batch = mg->tx_room;
}

static const struct mg_driver *find_driver(const struct mg *mg, const char *key)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (mg_opt_is(mg->opt.cmdline, key, drivers[i]->name))
			return drivers[i];
	return NULL;
}

/* The second NIC takes both directions: it says its address before it receives. */
static void bring_up_peer(struct mg *mg, struct mg *peer)
{
	peer->opt = mg->opt; /* also the addresses that BARs have taken */
	peer->opt.tx = peer->opt.rx = 1;
	peer->opt.echo = mg_opt_is(mg->opt.cmdline, "mode", "pingpong");
	peer->drv = find_driver(mg, "dev2");
	if (!peer->drv)
		mg_fail("dev2= is none of e1000, virtio, igb, igbvf");
	peer->opt.nth = (uint32_t)mg_opt_number(mg->opt.cmdline, "nth2",
						peer->drv == mg->drv ? mg->opt.nth + 1 : 0);
	bring_up_nic(peer);
	memcpy(peer->opt.dst, mg->mac, 6);
	if (!mg->opt.has_dst)
		memcpy(mg->opt.dst, peer->mac, 6);
	mg->peer = peer;
}

static void bring_up(struct mg *mg)
{
	static struct mg peer;

	bring_up_nic(mg);
	if (mg_opt_is(mg->opt.cmdline, "mode", "cross") ||
	    (mg_opt_is(mg->opt.cmdline, "mode", "pingpong") &&
	     mg_opt_text(mg->opt.cmdline, "dev2")))
		bring_up_peer(mg, &peer);
	for (struct mg *nic = mg; nic; nic = nic->peer) {
		fill_frames(nic);
		/* link=any: the device reads memory without one, too */
		if (!mg_opt_is(mg->opt.cmdline, "link", "any"))
			wait_for_link(nic);
	}
	mg_wait_us(mg, UINT64_C(1000) * mg->opt.settle_ms);
	mg_puts("FL READY mac=");
	mg_put_mac(mg->mac);
	mg_puts(mg->drv->link(mg) ? " link=up" : " link=down");
	if (mg->peer) {
		mg_puts(" mac2=");
		mg_put_mac(mg->peer->mac);
	}
	mg_puts("\n");
}

static int wait_for_command(struct mg *mg)
{
	for (;;) {
		int c = mg_getc();

		if (c == 'r')
			mg_reset();
		if (c == 'g' || c == 'q')
			return c;
		mg_wait_us(mg, 1000);
	}
}

static void __attribute__((noreturn)) bye(void)
{
	mg_puts("FL BYE\n");
	mg_quit(0);
}

static void hello(const struct mg_opts *opt)
{
	mg_puts("FL HELLO dev=");
	mg_put_opt(opt->cmdline, "dev");
	mg_puts(" mode=");
	mg_put_opt(opt->cmdline, "mode");
	mg_puts(" ring=3\n");
}

void mg_main(const struct hvm_start_info *info)
{
	static struct mg mg;
	void (*run)(struct mg * mg) = NULL;
	int has_cmdline = info && info->magic == HVM_START_MAGIC && info->cmdline;

	read_options(&mg, has_cmdline ? (const char *)info->cmdline : "");
	hello(&mg.opt);
	if (mg_opt_is(mg.opt.cmdline, "mode", "fault")) /* shows that exceptions are reported */
		asm volatile("ud2");
	if (mg_opt_is(mg.opt.cmdline, "mode", "probe")) {
		mg_pci_list(&mg);
		bye();
	}
	check_options(&mg.opt);
	if (mg_opt_is(mg.opt.cmdline, "mode", "smp")) {
		mg_smp_bring_up(&mg);
		while (wait_for_command(&mg) == 'g')
			mg_smp_count(&mg);
		bye();
	}
	if (mg_opt_is(mg.opt.cmdline, "dev", "blk")) { /* no NIC: one mode, verify */
		mg_blk_bring_up(&mg);
		while (wait_for_command(&mg) == 'g')
			mg_blk_verify(&mg);
		bye();
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (mg_opt_is(mg.opt.cmdline, "mode", modes[i].name)) {
			run = modes[i].run;
			mg.opt.tx = modes[i].tx || mg.opt.echo;
			mg.opt.rx = modes[i].rx;
		}
	}
	mg.drv = find_driver(&mg, "dev");
	if (!run)
		mg_fail("mode= is none of tx, rx, pingpong, cross, bars, config, decode, probe");
	if (!mg.drv)
		mg_fail("dev= is none of e1000, virtio, igb, igbvf");
	bring_up(&mg);
	while (wait_for_command(&mg) == 'g')
		run(&mg);
	bye();
}

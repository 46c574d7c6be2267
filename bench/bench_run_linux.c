/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs of a Linux guest: one boot for all rows of a lane and back-end, then row by row a command to
 * its /init (bench/linux/init.sh says which there are), with the counters read before and after.
 * Its NIC and the other end get addresses of 198.18.0.0/15 (RFC 2544, for benchmarks), which end
 * with the run, and know each other, so that nobody asks while frames are counted. Called by
 * cmd_compare.c; the pieces that the microguest has, too, are in bench_run.c.
 */
#include "bench/bench_run.h"

#include <errno.h>
#include <net/ethernet.h>
#include <string.h>
#include <unistd.h>

#define MEM_MB      384
#define BOOT_MS     30000
#define FIRST_MS    5000   /* a kernel that talks early says its first line at once */
#define LAB_BOOT_MS 150000 /* everything is emulated there */
#define ANSWER_MS   40000  /* beyond warm-up and window: a NIC finds its link, pings are slow */
#define MORE_MS     200    /* a source goes on this long after the window */
#define LAB_MORE_MS 2500
#define IPERF_PORT  "18901"                         /* also in init.sh */
#define HEADERS     (ETH_HLEN + 20 + 8 + BENCH_FCS) /* of a ping's frame */

/* What belongs to a boot besides the run. */
struct linux_net {
	uint32_t here, there; /* addresses */
	struct bench_child server;
	bool has_address;
};

static void address_text(uint32_t a, char text[16])
{
	snprintf(text, 16, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

/* --- start --------------------------------------------------------------- */
/* With `talks` its kernel says what it does from the beginning on, so that one that does nothing is
 * seen soon. */
static int linux_boot(struct bench_run *r, const struct bench_monitor *m, bool talks)
{
	struct bench *b = r->b;
	char line[256], words[128], why[160] = "";
	struct bench_boot boot = { .mem_mb = MEM_MB,
				   .device = r->row->guest_device,
				   .backend = r->row->backend,
				   .nic = r->row->nic,
				   .host = r->row->host,
				   .ifname = r->ifname,
				   .sw = &r->sw,
				   .words = words,
				   .kernel = b->files.kernel,
				   .initrd = b->files.initrd,
				   .disk = b->files.disk,
				   .qemu = &b->qemu };
	int ret;

	/* in the software host each instruction counts */
	snprintf(words, sizeof(words), "console=ttyS0 panic=-1 %s",
		 b->lab  ? "quiet mitigations=off nokaslr"
		 : talks ? "earlyprintk=serial,ttyS0,115200"
			 : "quiet");
	ret = m->start(&r->guest, &boot, why, sizeof(why));
	if (ret < 0)
		return bench_run_fail(r, why);
	if (talks && !b->lab)
		ret = bench_run_expect(r, "", FIRST_MS, line, sizeof(line));
	if (ret == 0)
		ret = bench_run_expect(r, "FL READY", b->lab ? LAB_BOOT_MS : BOOT_MS, line,
				       sizeof(line));
	if (ret == 0 && (bench_ready_parse(line, r->mac) < 0 ||
			 sscanf(line, "FL READY mac=%*s kernel=%63s", b->files.version) != 1))
		return bench_run_fail(r, "the guest's READY line makes no sense");
	return ret;
}

static int linux_ask(struct bench_run *r, const char *command)
{
	char line[256];

	bench_child_say(&r->guest.child, command);
	return bench_run_expect(r, "FL OK", ANSWER_MS, line, sizeof(line));
}

/* A port of iperf3 at our end of the lane. Whether it serves is seen when the guest calls it. */
static int linux_server(struct linux_net *n)
{
	char here[16];

	address_text(n->here, here);
	/* what it prints in a boot is less than its pipe holds */
	return bench_child_start(
		&n->server,
		(const char *const[]){ "iperf3", "-s", "-B", here, "-p", IPERF_PORT, NULL }, -1,
		false);
}

/* Addresses at both ends. Other comparisons on this host have other addresses. */
static int linux_network(struct bench_run *r, struct linux_net *n)
{
	char here[16], there[16], command[96], why[96];
	unsigned int id = (unsigned int)getpid();
	uint8_t mac[6];
	int ret;

	if (bench_run_on(r, "switch"))
		return linux_ask(r, "far\n");
	n->here = 198u << 24 | (18 + (id >> 14 & 1)) << 16 | (id & 0x3fff) << 2 | 1;
	n->there = n->here + 1;
	ret = bench_netdev_mac(r->ifname, mac);
	if (ret == 0)
		ret = bench_netdev_address(r->ifname, n->here, 30, true);
	n->has_address = ret == 0;
	if (ret == 0)
		ret = bench_netdev_neighbour(r->ifname, n->there, r->mac);
	if (ret < 0) {
		snprintf(why, sizeof(why), "an address for %s: %s", r->ifname, strerror(-ret));
		return bench_run_fail(r, why);
	}
	address_text(n->here, here);
	address_text(n->there, there);
	snprintf(command, sizeof(command), "net %s %s %02x:%02x:%02x:%02x:%02x:%02x\n", there, here,
		 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	ret = linux_ask(r, command);
	if (ret == 0 && linux_server(n) < 0)
		return bench_run_fail(r, "iperf3 does not start here");
	return ret;
}

/* --- one row ------------------------------------------------------------- */
static void linux_command(const struct bench_run *r, const struct linux_net *n, char *text,
			  size_t size)
{
	const struct bench_options *o = &r->b->o;
	unsigned int bytes = r->row->frame_bytes - BENCH_FCS;
	char peer[16] = "198.18.0.2"; /* the far end in init.sh */
	uint8_t m[6] = { 0 };

	if (n->here)
		address_text(n->here, peer);
	switch (r->row->direction) {
	case BENCH_TX:
		bench_netdev_mac(r->ifname, m);
		snprintf(text, size, "tx %u %u %u %02x:%02x:%02x:%02x:%02x:%02x\n", bytes,
			 o->warm_ms, o->window_ms, m[0], m[1], m[2], m[3], m[4], m[5]);
		return;
	case BENCH_RX: snprintf(text, size, "rx %u %u\n", o->warm_ms, o->window_ms); return;
	case BENCH_CROSS:
		snprintf(text, size, "cross %u %u %u\n", bytes, o->warm_ms, o->window_ms);
		return;
	case BENCH_TCP_OUT:
	case BENCH_TCP_IN:
		/* iperf3 knows whole seconds only */
		snprintf(text, size, "tcp %s %u %s\n",
			 r->row->direction == BENCH_TCP_OUT ? "out" : "in",
			 (o->window_ms + 999) / 1000, peer);
		return;
	default:
		/* some tenths of a second of them */
		snprintf(text, size, "pingpong %u %u %s\n",
			 r->b->lab || o->window_ms < 100 ? 100 : o->window_ms,
			 r->row->frame_bytes - (unsigned int)HEADERS, peer);
	}
}

static int linux_traffic_ready(struct bench_run *r)
{
	r->counter = -1;
	r->count = (struct bench_traffic_count){ 0 };
	r->nic_missed0 = 0;
	if (r->row->ports)
		r->sw_before = bench_switch_stats(&r->sw);
	if (r->row->lane == LANE_VMDQ)
		r->nic_missed0 = bench_switch_missed(&r->sw);
	if (!r->ifname[0])
		return 0;
	bench_run_note(r);
	if (r->row->direction == BENCH_TX && bench_run_on(r, "wire"))
		r->counter = bench_counter_open(r->ifname, ETHERTYPE_IP);
	return 0;
}

static int linux_measure(struct bench_run *r, const struct bench_monitor *m,
			 const struct linux_net *n)
{
	unsigned int ms = r->b->o.warm_ms + r->b->o.window_ms;
	char command[96];

	linux_command(r, n, command, sizeof(command));
	/* the guest sees the first frame within milliseconds, in the software host later; the
	 * window must end before the source does */
	return bench_run_measure(r, m, command, ms + (r->b->lab ? LAB_MORE_MS : MORE_MS),
				 (int)ms + ANSWER_MS);
}

/* 0; -EREMOTEIO when it failed and the guest can go on; -EINTR or -EIO. */
static int linux_row(struct bench_run *r, const struct bench_monitor *m, const struct linux_net *n)
{
	int ret = linux_traffic_ready(r);

	if (ret == 0)
		ret = linux_measure(r, m, n);
	if (ret == 0 && bench_run_figures(r) < 0)
		ret = -EREMOTEIO;
	if (r->counter >= 0)
		close(r->counter);
	r->counter = -1;
	json_decref(r->sw_before);
	json_decref(r->sw_stats);
	r->sw_before = r->sw_stats = NULL;
	bench_counters_free(&r->before);
	bench_counters_free(&r->after);
	return ret;
}

/* --- all of it ----------------------------------------------------------- */
static void linux_end(struct bench_run *r, const struct bench_monitor *m, struct linux_net *n,
		      int ret)
{
	bench_child_end(&n->server, 0);
	bench_child_free(&n->server);
	if (n->has_address)
		bench_netdev_address(r->ifname, n->here, 30, false);
	bench_run_end(r, m, ret == 0 ? "quit\n" : NULL);
}

static int linux_start(struct bench_run *r, const struct bench_monitor *m, struct linux_net *n)
{
	int ret = bench_pause(&r->b->sig, 0);

	if (ret == 0)
		ret = bench_run_switch(r);
	if (ret == 0)
		ret = linux_boot(r, m, false);
	return ret == 0 ? linux_network(r, n) : ret;
}

int bench_linux_probe(struct bench *b, char *why, size_t size)
{
	static const struct bench_row row = { .backend = "none", .guest_device = "" };
	struct linux_net n = { .server = { .in = -1, .out = -1, .err = -1 } };
	struct bench_sample s = { 0 };
	struct bench_run r;
	int ret;

	bench_run_init(&r, b, &row, &s);
	ret = linux_boot(&r, &bench_monitor_fourlane, true);
	linux_end(&r, &bench_monitor_fourlane, &n, ret);
	snprintf(why, size, "%s", s.why);
	return ret == 0 || ret == -EINTR ? ret : -EOPNOTSUPP;
}

unsigned int bench_rows_together(const struct bench *b, unsigned int first)
{
	const struct bench_row *r = &b->row[first];
	unsigned int n = 1;

	while (first + n < b->n_rows && b->row[first + n].lane == r->lane &&
	       !strcmp(b->row[first + n].backend, r->backend))
		n++;
	return n;
}

static struct bench_sample *sample_of(struct bench_row *row, const struct bench_monitor *m,
				      unsigned int run)
{
	return m == &bench_monitor_fourlane ? &row->ours[run] : &row->theirs[run];
}

int bench_run_linux(struct bench *b, unsigned int first, unsigned int n,
		    const struct bench_monitor *m, unsigned int run)
{
	struct linux_net net = { .server = { .in = -1, .out = -1, .err = -1 } };
	struct bench_sample start = { .done = true };
	struct bench_run r;
	int ret;

	bench_run_init(&r, b, &b->row[first], &start);
	ret = linux_start(&r, m, &net);
	for (struct bench_row *row = &b->row[first]; row < &b->row[first + n]; row++) {
		struct bench_sample *s = sample_of(row, m, run);

		if (ret == -EINTR || (run && !sample_of(row, m, run - 1)->ok))
			continue;
		*s = (struct bench_sample){ .done = true };
		if (ret < 0) {
			/* what ended the guest ends the rows behind it, too */
			snprintf(s->why, sizeof(s->why), "%s", start.why);
			continue;
		}
		r.row = row;
		r.s = s;
		ret = linux_row(&r, m, &net);
		if (ret == -EREMOTEIO)
			ret = 0;
		if (ret < 0)
			snprintf(start.why, sizeof(start.why), "%s", s->why);
	}
	linux_end(&r, m, &net, ret);
	return ret == -EINTR ? ret : 0;
}

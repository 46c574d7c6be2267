/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fourlane-vgen: the guests at both ends of a switch under test. Two DPDK ports (virtio-user as a
 * rule): port 0 sends UDP over IPv4 as fast as its ring takes it, port 1 counts what arrives and
 * looks at its length, and at the content of a sample. One thread does both, so that a switch with
 * one worker has a CPU of its own. Called by bench/peers/switch and by the tests of interworking.
 *
 *   fourlane-vgen EAL-WORDS -- [key=value]...
 *
 * Prints one line a window, READY before the first; words that are not known end it with status 2.
 * DPDK 22.11, Programmer's Guide, "Poll Mode Driver for Emulated Virtio NIC".
 */
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define N_MBUFS     4095
#define N_RX_MBUFS  12287
#define MBUF_CACHE  256
#define MBUF_BYTES  (2048 + RTE_PKTMBUF_HEADROOM)
#define RX_BURST    64
#define BURST_MAX   64
#define MAX_SIZES   8
#define FRAME_MIN   64
#define FRAME_MAX   1518
#define LINK_MS     15000
#define DRAIN_MS    2000 /* for frames that are still on their way, at most */
#define QUIET_MS    50   /* nothing for so long: none is */
#define LINK_EVERY  50   /* ms between looks at the link, which is when virtio-user reconnects */
#define PAYLOAD     (14 + 20 + 8)
#define PAYLOAD_SEQ PAYLOAD
#define PAYLOAD_TAG (PAYLOAD + 8)
#define PATTERN     (PAYLOAD + 12)
#define SEQ_BITS    40 /* of a frame's number; above it the window's */

static const char usage[] =
	"usage: fourlane-vgen EAL-WORDS -- [key=value]...\n\n"
	"  sizes=64,512,1518  bytes of a frame without its FCS\n"
	"  windows=1 ms=250 warm_ms=100   windows a size, and how long each is\n"
	"  check=64    the content of every so many frames is compared; 1: of all, and their "
	"order\n"
	"  seed=1      of the content\n"
	"  flows=1 macs=1   UDP source ports and MAC pairs taken in turn\n"
	"  rate=0      frames a second (0: what the ring takes)\n"
	"  burst=32 ring=1024\n"
	"  probe=A,B   measure before and after each window how near CPUs A and B are\n"
	"  both=0      1: port 1 sends, too, and port 0 checks\n";

struct opts {
	unsigned int size[MAX_SIZES], n_sizes;
	unsigned int windows, ms, warm_ms, check, seed, flows, macs, rate, burst, ring, both;
	int probe[2];
};

/* A direction: port `from` sends to port `to`. */
struct lane {
	uint16_t from, to;
	struct rte_mempool *pool[MAX_SIZES]; /* frames of a size, written once */
	struct rte_mbuf *pending[BURST_MAX];
	unsigned int n_pending;
	uint64_t seq, expect;
	uint64_t sent, received, bad, other, late, disorder;
	uint64_t bursts, bursts_cut; /* sent; not taken whole by the ring */
	uint64_t looked;
};

struct vgen {
	struct opts opt;
	unsigned int size, size_idx; /* now */
	uint32_t epoch; /* counts windows: a frame of an earlier one is late, not wrong */
	struct rte_mempool *rx_pool;
	struct lane lane[2];
	unsigned int n_lanes;
	uint64_t next_link, hz;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = 1;
}

/* --- frames ------------------------------------------------------------------------------------
 */
/* Byte i of a frame, i at least PATTERN: differs by seed and size. */
static uint8_t pattern(const struct vgen *v, unsigned int size, unsigned int i)
{
	return (uint8_t)((v->opt.seed * UINT32_C(2654435761) >> 24) + size + i);
}

static void frame_addresses(struct rte_ether_addr *a, uint8_t port, uint16_t k)
{
	const uint8_t mac[6] = { 2, port, 0, 0, (uint8_t)(k >> 8), (uint8_t)k };

	memcpy(a->addr_bytes, mac, sizeof(mac));
}

struct frames {
	const struct vgen *v;
	const struct lane *lane;
	unsigned int size;
};

static void frame_write(struct rte_mempool *pool, void *opaque, void *obj, unsigned int index)
{
	struct rte_mbuf *m = obj;
	const struct frames *f = opaque;
	const struct vgen *v = f->v;
	const struct lane *lane = f->lane;
	uint8_t *data = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
	struct rte_ether_hdr *eth = (void *)data;
	struct rte_ipv4_hdr *ip = (void *)(eth + 1);
	struct rte_udp_hdr *udp = (void *)(ip + 1);
	uint32_t tag = v->opt.seed + f->size;

	memset(data, 0, f->size);
	frame_addresses(&eth->dst_addr, (uint8_t)lane->to, (uint16_t)(index % v->opt.macs));
	frame_addresses(&eth->src_addr, (uint8_t)lane->from, (uint16_t)(index % v->opt.macs));
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(f->size - sizeof(*eth)));
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	/* RFC 2544, appendix C.2.2: addresses for such measurements */
	ip->src_addr = rte_cpu_to_be_32(RTE_IPV4(198, 18, 0, 1 + lane->from));
	ip->dst_addr = rte_cpu_to_be_32(RTE_IPV4(198, 18, 0, 1 + lane->to));
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->src_port = rte_cpu_to_be_16((uint16_t)(1024 + index % v->opt.flows));
	udp->dst_port = RTE_BE16(9);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(f->size - sizeof(*eth) - sizeof(*ip)));
	memcpy(data + PAYLOAD_TAG, &tag, sizeof(tag));
	for (unsigned int i = PATTERN; i < f->size; i++)
		data[i] = pattern(v, f->size, i);
}

/* Is it one of ours at all? Others (IPv6 of a guest, say) are no fault. */
static bool frame_is_ours(const uint8_t *data, unsigned int len)
{
	const struct rte_ether_hdr *eth = (const void *)data;

	return len >= PATTERN && eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) &&
	       eth->src_addr.addr_bytes[0] == 2 && data[36] == 0 && data[37] == 9;
}

/*
 * Was it sent in an earlier window? Where all frames are compared they are numbered, with the
 * window's number in the upper bits; else only another size tells.
 */
static bool frame_is_late(const struct vgen *v, const uint8_t *data, unsigned int len)
{
	uint64_t seq;
	uint32_t tag;

	memcpy(&seq, data + PAYLOAD_SEQ, sizeof(seq));
	memcpy(&tag, data + PAYLOAD_TAG, sizeof(tag));
	if (v->opt.check == 1)
		return seq >> SEQ_BITS < v->epoch;
	return len != v->size && tag == v->opt.seed + len;
}

static bool frame_is_whole(const struct vgen *v, const struct lane *lane, const uint8_t *data)
{
	uint32_t tag;

	memcpy(&tag, data + PAYLOAD_TAG, sizeof(tag));
	if (tag != v->opt.seed + v->size || data[7] != lane->from || data[1] != lane->to)
		return false;
	for (unsigned int i = PATTERN; i < v->size; i++)
		if (data[i] != pattern(v, v->size, i))
			return false;
	return true;
}

/* --- the two ends --------------------------------------------------------------------------------
 */
static bool lane_fill(struct vgen *v, struct lane *lane)
{
	unsigned int want = v->opt.burst - lane->n_pending;
	struct rte_mbuf **m = &lane->pending[lane->n_pending];

	if (rte_mempool_get_bulk(lane->pool[v->size_idx], (void **)m, want) < 0)
		return false;
	for (unsigned int i = 0; i < want; i++) {
		m[i]->data_off = RTE_PKTMBUF_HEADROOM;
		m[i]->data_len = (uint16_t)v->size;
		m[i]->pkt_len = v->size;
		m[i]->nb_segs = 1;
		m[i]->next = NULL;
		m[i]->ol_flags = 0;
		if (v->opt.check == 1) {
			uint64_t seq = (uint64_t)v->epoch << SEQ_BITS | lane->seq++;

			memcpy(rte_pktmbuf_mtod_offset(m[i], void *, PAYLOAD_SEQ), &seq,
			       sizeof(seq));
		}
	}
	lane->n_pending = v->opt.burst;
	return true;
}

static void lane_send(struct vgen *v, struct lane *lane)
{
	unsigned int n;

	if (lane->n_pending < v->opt.burst && !lane_fill(v, lane))
		return;
	n = rte_eth_tx_burst(lane->from, 0, lane->pending, (uint16_t)lane->n_pending);
	lane->sent += n;
	lane->bursts++;
	if (n < lane->n_pending) {
		lane->bursts_cut++;
		memmove(lane->pending, lane->pending + n,
			(lane->n_pending - n) * sizeof(lane->pending[0]));
	}
	lane->n_pending -= n;
}

/* A frame is counted by what it is. `whole`: it has the right length. */
static void lane_look(struct vgen *v, struct lane *lane, const struct rte_mbuf *m, bool whole)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t seq;

	lane->received--;
	if (!frame_is_ours(data, m->data_len)) {
		lane->other++;
	} else if (frame_is_late(v, data, m->pkt_len)) {
		lane->late++;
	} else if (!whole || !frame_is_whole(v, lane, data)) {
		lane->bad++;
	} else {
		lane->received++;
		lane->looked++;
		memcpy(&seq, data + PAYLOAD_SEQ, sizeof(seq));
		lane->disorder += v->opt.check == 1 && seq < lane->expect;
		lane->expect = seq + 1;
	}
}

/* Lengths of all; the content of each check-th, and of each that has another length. */
static unsigned int lane_receive(struct vgen *v, struct lane *lane)
{
	struct rte_mbuf *m[RX_BURST];
	unsigned int n = rte_eth_rx_burst(lane->to, 0, m, RX_BURST);

	for (unsigned int i = 0; i < n; i++) {
		bool whole = m[i]->pkt_len == v->size;

		lane->received++;
		if (!whole || lane->received % v->opt.check == 0)
			lane_look(v, lane, m[i], whole);
	}
	if (n)
		rte_pktmbuf_free_bulk(m, n);
	return n;
}

/* A guest also empties the ring that it expects nothing from. */
static void lane_discard(uint16_t port)
{
	struct rte_mbuf *m[RX_BURST];
	unsigned int n = rte_eth_rx_burst(port, 0, m, RX_BURST);

	if (n)
		rte_pktmbuf_free_bulk(m, n);
}

/* virtio-user as the listener takes a new connection when somebody asks for its link. */
static void look_at_links(struct vgen *v, uint64_t now)
{
	struct rte_eth_link link;

	if (now < v->next_link)
		return;
	v->next_link = now + v->hz * LINK_EVERY / 1000;
	rte_eth_link_get_nowait(0, &link);
	rte_eth_link_get_nowait(1, &link);
}

static double run_for(struct vgen *v, unsigned int ms)
{
	uint64_t start = rte_rdtsc(), end = start + v->hz * ms / 1000, now, next = start;
	uint64_t gap = v->opt.rate ? v->hz * v->opt.burst / v->opt.rate : 0;

	while ((now = rte_rdtsc()) < end && !stopped) {
		bool due = !gap || now >= next;

		if (due)
			next += gap;
		for (unsigned int i = 0; i < v->n_lanes; i++) {
			if (due)
				lane_send(v, &v->lane[i]);
			lane_receive(v, &v->lane[i]);
		}
		if (v->n_lanes == 1)
			lane_discard(v->lane[0].from);
		look_at_links(v, now);
	}
	return (double)(now - start) / (double)v->hz;
}

/* What is still on its way. */
static void drain(struct vgen *v)
{
	uint64_t now = rte_rdtsc(), end = now + v->hz * DRAIN_MS / 1000, last = now;

	while ((now = rte_rdtsc()) < end && now - last < v->hz * QUIET_MS / 1000) {
		for (unsigned int i = 0; i < v->n_lanes; i++)
			if (lane_receive(v, &v->lane[i]))
				last = now;
		if (v->n_lanes == 1)
			lane_discard(v->lane[0].from);
	}
}

/* --- ports
 * ------------------------------------------------------------------------------------------ */
static int port_start(struct vgen *v, uint16_t port)
{
	struct rte_eth_conf conf = { 0 };
	uint16_t rx = (uint16_t)v->opt.ring, tx = rx;
	int ret = rte_eth_dev_configure(port, 1, 1, &conf);

	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx);
	if (ret == 0)
		ret = rte_eth_rx_queue_setup(port, 0, rx, (unsigned int)SOCKET_ID_ANY, NULL,
					     v->rx_pool);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(port, 0, tx, (unsigned int)SOCKET_ID_ANY, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(port);
	if (ret < 0) {
		fprintf(stderr, "fourlane-vgen: starting port %u: %s\n", port, strerror(-ret));
		return ret;
	}
	rte_eth_promiscuous_enable(port);
	return 0;
}

static int links_wait(void)
{
	struct rte_eth_link link;

	for (uint16_t port = 0; port < 2; port++) {
		for (unsigned int ms = 0;; ms += 10) {
			rte_eth_link_get_nowait(port, &link);
			if (link.link_status)
				break;
			if (ms >= LINK_MS || stopped) {
				fprintf(stderr, "fourlane-vgen: port %u has no link\n", port);
				return -ENETDOWN;
			}
			rte_delay_us_sleep(10000);
		}
	}
	return 0;
}

static int frames_make(struct vgen *v, struct lane *lane, unsigned int k)
{
	struct frames f = { v, lane, v->opt.size[k] };
	char name[24];

	snprintf(name, sizeof(name), "vgen_tx%u_%u", lane->from, k);
	lane->pool[k] =
		rte_pktmbuf_pool_create(name, N_MBUFS, MBUF_CACHE, 0, MBUF_BYTES, SOCKET_ID_ANY);
	if (!lane->pool[k])
		return -ENOMEM;
	rte_mempool_obj_iter(lane->pool[k], frame_write, &f);
	return 0;
}

static int pools_make(struct vgen *v)
{
	v->rx_pool = rte_pktmbuf_pool_create("vgen_rx", N_RX_MBUFS, MBUF_CACHE, 0, MBUF_BYTES,
					     SOCKET_ID_ANY);
	for (uint16_t i = 0; i < 2; i++) {
		v->lane[i].from = i;
		v->lane[i].to = !i;
		for (unsigned int k = 0; k < v->opt.n_sizes && v->rx_pool; k++)
			if (frames_make(v, &v->lane[i], k) < 0)
				return -ENOMEM;
	}
	return v->rx_pool ? 0 : -ENOMEM;
}

/* A learning switch is told where everybody is; both ends speak once. */
static void introduce(struct vgen *v)
{
	unsigned int n = (v->opt.macs > v->opt.flows ? v->opt.macs : v->opt.flows);

	for (unsigned int k = 0; k <= n / v->opt.burst + 1; k++) {
		for (unsigned int i = 0; i < 2; i++)
			lane_send(v, &v->lane[i]);
		rte_delay_us_sleep(1000);
		for (unsigned int i = 0; i < 2; i++)
			lane_receive(v, &v->lane[i]);
	}
	drain(v);
}

/* --- windows
 * ----------------------------------------------------------------------------------------- */
/* Another window begins: what is in hand of an earlier one is given back. */
static void set_size(struct vgen *v, unsigned int idx)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct lane *lane = &v->lane[i];

		rte_mempool_put_bulk(lane->pool[v->size_idx], (void **)lane->pending,
				     lane->n_pending);
		lane->n_pending = 0;
	}
	v->size_idx = idx;
	v->size = v->opt.size[idx];
	v->epoch++;
}

/* CPU time of this thread, in seconds: less than the wall's when other work was on this CPU. */
static double own_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double probe(const struct vgen *v)
{
	return v->opt.probe[0] < 0 ? -1 : probe_round_trip(v->opt.probe[0], v->opt.probe[1]);
}

static void lane_add(struct lane *sum, const struct lane *l)
{
	sum->sent += l->sent;
	sum->received += l->received;
	sum->bad += l->bad;
	sum->looked += l->looked;
	sum->other += l->other;
	sum->late += l->late;
	sum->disorder += l->disorder;
	sum->bursts += l->bursts;
	sum->bursts_cut += l->bursts_cut;
}

static void window(struct vgen *v, unsigned int index, unsigned int size_idx)
{
	struct lane *l = &v->lane[0];
	double before = probe(v), seconds, own, after;
	uint64_t at[2] = { 0 }, got = 0;
	struct lane sum = { 0 };

	for (unsigned int i = 0; i < 2; i++) {
		l[i].sent = l[i].received = l[i].bad = l[i].other = l[i].late = l[i].disorder = 0;
		l[i].bursts = l[i].bursts_cut = l[i].looked = l[i].seq = l[i].expect = 0;
	}
	set_size(v, size_idx);
	run_for(v, v->opt.warm_ms);
	for (unsigned int i = 0; i < v->n_lanes; i++)
		at[i] = l[i].received;
	own = own_seconds();
	seconds = run_for(v, v->opt.ms);
	own = own_seconds() - own;
	for (unsigned int i = 0; i < v->n_lanes; i++)
		got += l[i].received - at[i];
	drain(v);
	after = probe(v);
	for (unsigned int i = 0; i < v->n_lanes; i++)
		lane_add(&sum, &l[i]);
	printf("WINDOW n=%u size=%u mpps=%.4f gbit=%.3f sent=%" PRIu64 " received=%" PRIu64
	       " lost=%" PRId64 " bad=%" PRIu64 " looked=%" PRIu64 " other=%" PRIu64
	       " late=%" PRIu64 " disorder=%" PRIu64 " cut=%.3f cpu=%.2f",
	       index, v->size, (double)got / seconds / 1e6,
	       (double)got / seconds * v->size * 8 / 1e9, sum.sent, sum.received,
	       (int64_t)(sum.sent - sum.received - sum.bad), sum.bad, sum.looked, sum.other,
	       sum.late, sum.disorder,
	       sum.bursts ? (double)sum.bursts_cut / (double)sum.bursts : 0.0, own / seconds);
	if (v->opt.probe[0] >= 0)
		printf(" before_ns=%.0f before=%s after_ns=%.0f after=%s", before,
		       probe_class(before), after, probe_class(after));
	printf("\n");
	fflush(stdout);
}

/* --- words
 * -------------------------------------------------------------------------------------------- */
static int take_list(char *text, unsigned int *out, unsigned int max, unsigned int *n)
{
	char *save = NULL, *end;

	*n = 0;
	for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		if (*n == max)
			return -EINVAL;
		out[(*n)++] = (unsigned int)strtoul(p, &end, 10);
		if (*end || end == p)
			return -EINVAL;
	}
	return *n ? 0 : -EINVAL;
}

static int take_probe(struct opts *o, char *text)
{
	unsigned int cpu[2], n;

	if (take_list(text, cpu, 2, &n) < 0 || n != 2)
		return -EINVAL;
	o->probe[0] = (int)cpu[0];
	o->probe[1] = (int)cpu[1];
	return 0;
}

static int take_word(struct opts *o, char *word)
{
	const struct {
		const char *key;
		unsigned int *to, min, max;
	} number[] = {
		{ "windows", &o->windows, 1, 1000000 },
		{ "ms", &o->ms, 1, 3600000 },
		{ "warm_ms", &o->warm_ms, 0, 60000 },
		{ "check", &o->check, 1, 1000000 },
		{ "seed", &o->seed, 0, UINT32_MAX },
		{ "flows", &o->flows, 1, N_MBUFS },
		{ "macs", &o->macs, 1, N_MBUFS },
		{ "rate", &o->rate, 0, UINT32_MAX },
		{ "burst", &o->burst, 1, BURST_MAX },
		{ "ring", &o->ring, 64, 1024 },
		{ "both", &o->both, 0, 1 },
	};
	char *value = strchr(word, '=');
	unsigned int n;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (!strcmp(word, "sizes"))
		return take_list(value, o->size, MAX_SIZES, &o->n_sizes);
	if (!strcmp(word, "probe"))
		return take_probe(o, value);
	for (size_t i = 0; i < RTE_DIM(number); i++)
		if (!strcmp(word, number[i].key))
			return take_list(value, number[i].to, 1, &n) < 0 ||
					       *number[i].to < number[i].min ||
					       *number[i].to > number[i].max
				       ? -EINVAL
				       : 0;
	return -EINVAL;
}

static int take_words(struct opts *o, int argc, char **argv)
{
	*o = (struct opts){ .size = { 64 },
			    .n_sizes = 1,
			    .windows = 1,
			    .ms = 250,
			    .warm_ms = 100,
			    .check = 64,
			    .seed = 1,
			    .flows = 1,
			    .macs = 1,
			    .burst = 32,
			    .ring = 1024,
			    .probe = { -1, -1 } };
	for (int i = 1; i < argc; i++) {
		if (take_word(o, argv[i]) < 0) {
			fprintf(stderr, "fourlane-vgen: '%s' is wrong\n%s", argv[i], usage);
			return -EINVAL;
		}
	}
	for (unsigned int i = 0; i < o->n_sizes; i++)
		if (o->size[i] < FRAME_MIN || o->size[i] > FRAME_MAX) {
			fprintf(stderr, "fourlane-vgen: sizes are from %d to %d\n", FRAME_MIN,
				FRAME_MAX);
			return -EINVAL;
		}
	return 0;
}

static int measure(struct vgen *v)
{
	int ret = pools_make(v);

	if (ret < 0)
		fprintf(stderr, "fourlane-vgen: no memory for frames; give EAL more by -m\n");
	for (uint16_t port = 0; port < 2 && ret == 0; port++)
		ret = port_start(v, port);
	if (ret == 0)
		ret = links_wait();
	if (ret < 0)
		return 1;
	printf("READY\n");
	fflush(stdout);
	set_size(v, 0);
	introduce(v);
	for (unsigned int s = 0; s < v->opt.n_sizes; s++)
		for (unsigned int w = 0; w < v->opt.windows && !stopped; w++)
			window(v, w, s);
	for (uint16_t port = 0; port < 2; port++) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct vgen v = { 0 };
	int used, ret;

	if (argc < 2 || !strcmp(argv[1], "--help"))
		return fputs(usage, stdout) < 0 || argc < 2 ? 2 : 0;
	used = rte_eal_init(argc, argv);
	if (used < 0 || take_words(&v.opt, argc - used, argv + used) < 0)
		return used < 0 ? 1 : 2;
	if (rte_eth_dev_count_avail() != 2) {
		fprintf(stderr, "fourlane-vgen: %u ports, 2 are wanted: give --vdev twice\n",
			rte_eth_dev_count_avail());
		return 2;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	v.hz = rte_get_tsc_hz();
	v.n_lanes = v.opt.both ? 2 : 1;
	ret = measure(&v);
	rte_eal_cleanup();
	return ret;
}

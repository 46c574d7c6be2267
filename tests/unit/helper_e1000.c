/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The E1000 driver of the unit tests (see helper_e1000.h). */
#include "helper_e1000.h"

#include <stdlib.h>
#include <string.h>

const uint8_t eg_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void heard(void *opaque, const char *line)
{
	struct eg *g = opaque;

	g->n_messages++;
	strncpy(g->message, line, sizeof(g->message) - 1);
}

void eg_up(struct eg *g, const char *opts)
{
	eg_up_fd(g, opts, NULL, -1);
}

void eg_up_fd(struct eg *g, const char *opts, const char *fd_name, int fd)
{
	memset(g, 0, sizeof(*g));
	if (fd_name) {
		strncpy(g->conf.fds[0].name, fd_name, sizeof(g->conf.fds[0].name) - 1);
		g->conf.fds[0].fd = fd;
		g->conf.n_fds = 1;
	}
	err_set_sink(heard, g);
	g->conf.name = "nic0";
	must(mem_create(EG_MEM, &g->mem) == 0);
	must(vm_create_fake(g->mem, &g->vm) == 0);
	must(opts_parse(opts, &g->conf.opts) == 0);
	must(device_create(g->vm, &g->conf, &g->dev) == 0);
	g->d = E1000_OF(g->dev, dev);
	g->bar = eg_cfg_read(g, 0x10) & ~15u;
	g->pio = (uint16_t)(eg_cfg_read(g, 0x14) & ~3u);
	eg_cfg_write(g, 0x04, 7);
}

void eg_down(struct eg *g)
{
	if (g->tap)
		g->d->be = g->tap->real;
	device_destroy(g->dev);
	opts_free(g->conf.opts);
	vm_destroy(g->vm);
	mem_destroy(g->mem);
	free(g->tap);
	err_set_sink(NULL, NULL);
}

/* --- accesses --- */
static void cfg_select(struct eg *g, unsigned int off)
{
	bus_write(vm_pio(g->vm), 0, 0xcf8, 4, 0x80000000u | (uint32_t)g->d->pci.slot << 11 | off);
}

uint32_t eg_cfg_read(struct eg *g, unsigned int off)
{
	uint64_t v;

	cfg_select(g, off);
	bus_read(vm_pio(g->vm), 0, 0xcfc, 4, &v);
	return (uint32_t)v;
}

void eg_cfg_write(struct eg *g, unsigned int off, uint32_t val)
{
	cfg_select(g, off);
	bus_write(vm_pio(g->vm), 0, 0xcfc, 4, val);
}

uint64_t eg_access(struct eg *g, uint64_t off, unsigned int size)
{
	uint64_t v = 0;

	bus_read(vm_mmio(g->vm), 0, g->bar + off, size, &v);
	return v;
}

void eg_store(struct eg *g, uint64_t off, unsigned int size, uint64_t val)
{
	bus_write(vm_mmio(g->vm), 0, g->bar + off, size, val);
}

uint32_t eg_io_read(struct eg *g, unsigned int off, unsigned int size)
{
	uint64_t v = 0;

	bus_read(vm_pio(g->vm), 0, (uint64_t)g->pio + off, size, &v);
	return (uint32_t)v;
}

void eg_io_write(struct eg *g, unsigned int off, unsigned int size, uint32_t val)
{
	bus_write(vm_pio(g->vm), 0, (uint64_t)g->pio + off, size, val);
}

unsigned int eg_poll(struct eg *g, unsigned int n)
{
	unsigned int done = 0;

	while (n--)
		done += g->d->poller.poll(&g->d->poller);
	return done;
}

struct wanted {
	struct stats_sink sink;
	const char *name;
	uint64_t value;
};

static void wanted_put(struct stats_sink *s, const char *name, uint64_t value)
{
	struct wanted *w = (struct wanted *)s;

	if (!strcmp(name, w->name))
		w->value = value;
}

uint64_t eg_stat(struct eg *g, const char *name)
{
	struct wanted w = { .sink.put = wanted_put, .name = name, .value = UINT64_MAX };

	g->dev->ops->stats(g->dev, &w.sink);
	return w.value;
}

/* --- rings --- */
void *eg_ptr(struct eg *g, uint64_t gpa)
{
	void *p = mem_ptr(g->mem, gpa, 1);

	must(p);
	return p;
}

void eg_start_tx(struct eg *g, unsigned int n)
{
	memset(eg_ptr(g, EG_TX_RING), 0, n * 16);
	eg_write(g, E1000_TDBAL, EG_TX_RING);
	eg_write(g, E1000_TDBAH, 0);
	eg_write(g, E1000_TDLEN, n * 16);
	eg_write(g, E1000_TDH, 0);
	eg_write(g, E1000_TDT, 0);
	eg_write(g, E1000_TCTL, E1000_TCTL_EN | E1000_TCTL_PSP);
}

void eg_start_rx(struct eg *g, unsigned int n, uint32_t rctl)
{
	memset(eg_ptr(g, EG_RX_RING), 0, n * 16);
	eg_write(g, E1000_RDBAL, EG_RX_RING);
	eg_write(g, E1000_RDBAH, 0);
	eg_write(g, E1000_RDLEN, n * 16);
	eg_write(g, E1000_RDH, 0);
	eg_write(g, E1000_RDT, 0);
	eg_write(g, E1000_RCTL, rctl | E1000_RCTL_EN);
}

void eg_legacy(struct eg *g, unsigned int idx, uint64_t addr, uint16_t len, uint8_t cmd)
{
	struct e1000_tx_legacy_desc desc = { .addr = addr, .length = len, .cmd = cmd };

	memcpy(eg_ptr(g, EG_TX_RING + 16 * idx), &desc, 16);
}

void eg_data(struct eg *g, unsigned int idx, uint64_t addr, uint32_t len, uint8_t cmd)
{
	struct e1000_tx_data_desc desc = { .addr = addr };

	desc.cmd_type_len = len | E1000_TXX_DTYP_DATA | (uint32_t)(cmd | E1000_TXC_DEXT) << 24;
	memcpy(eg_ptr(g, EG_TX_RING + 16 * idx), &desc, 16);
}

void eg_context(struct eg *g, unsigned int idx, uint8_t cmd, uint32_t paylen, uint8_t hdr_len,
		uint16_t mss)
{
	struct e1000_tx_context_desc desc = { .hdr_len = hdr_len, .mss = mss };

	desc.cmd_type_len =
		paylen | E1000_TXX_DTYP_CONTEXT | (uint32_t)(cmd | E1000_TXC_DEXT) << 24;
	memcpy(eg_ptr(g, EG_TX_RING + 16 * idx), &desc, 16);
}

uint8_t eg_tx_status(struct eg *g, unsigned int idx)
{
	return *((uint8_t *)eg_ptr(g, EG_TX_RING + 16 * idx) + 12);
}

void eg_post(struct eg *g, unsigned int n, uint32_t step)
{
	for (unsigned int i = 0; i < n; i++) {
		struct e1000_rx_desc desc = { .addr = EG_DATA + (uint64_t)i * step };

		memcpy(eg_ptr(g, EG_RX_RING + 16 * i), &desc, 16);
	}
	eg_write(g, E1000_RDT, n);
}

struct e1000_rx_desc eg_rx(struct eg *g, unsigned int idx)
{
	struct e1000_rx_desc desc;

	memcpy(&desc, eg_ptr(g, EG_RX_RING + 16 * idx), 16);
	return desc;
}

static void fill(uint8_t *p, const uint8_t *dst, uint32_t len)
{
	static const uint8_t head[14] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
					  2,    2,    2,    2,    2,    0x88, 0xb5 };

	for (uint32_t i = 0; i < len; i++)
		p[i] = i < 6 && dst ? dst[i] : i < 14 ? head[i] : (uint8_t)i;
}

void eg_fill(struct eg *g, uint64_t gpa, uint32_t len)
{
	fill(eg_ptr(g, gpa), NULL, len);
}

void eg_deliver(struct eg *g, const uint8_t dst[6], uint32_t len)
{
	must(g->tap->n_rx < EG_KEEP);
	g->tap->rx_len[g->tap->n_rx] = len;
	fill(g->tap->rx_data[g->tap->n_rx++], dst, len);
}

/* --- the back-end of the tests --- */
static unsigned int tap_send(struct nic_backend *be, unsigned int q, const struct nic_tx_frame *f,
			     unsigned int n)
{
	struct eg_tap *t = (struct eg_tap *)be;
	unsigned int i;

	for (i = 0; i < n && t->room; i++, t->room--) {
		unsigned int k = t->n_taken++ % EG_KEEP;
		uint32_t at = 0;

		must(f[i].n_iov >= 1 && f[i].n_iov <= NIC_MAX_IOV && f[i].len >= 14 &&
		     f[i].len <= NIC_MAX_FRAME);
		t->n_iov[k] = f[i].n_iov;
		t->len[k] = f[i].len;
		for (unsigned int v = 0; v < f[i].n_iov; at += (uint32_t)f[i].iov[v++].iov_len) {
			must(at + f[i].iov[v].iov_len <= f[i].len);
			memcpy(t->data[k] + at, f[i].iov[v].iov_base, f[i].iov[v].iov_len);
		}
		must(at == f[i].len);
	}
	t->n_unreported += i;
	return i;
}

static unsigned int tap_sent(struct nic_backend *be, unsigned int q)
{
	struct eg_tap *t = (struct eg_tap *)be;
	unsigned int n = t->hold ? 0 : t->n_unreported;

	if (t->slow && n > t->slow)
		n = t->slow;
	t->n_unreported -= n;
	return n;
}

/* How many buffers the frame took; 0 when it must go, and then it is counted. */
static unsigned int tap_deliver(struct eg_tap *t, unsigned int i, unsigned int pos)
{
	struct iovec iov[NIC_MAX_IOV];
	unsigned int n_bufs, n;
	uint32_t room, at = 0;

	if (t->rx_len[i] > t->be.fe->max_frame) {
		t->be.n.rx_drop[NIC_DROP_TOO_LONG]++;
		return 0;
	}
	if (!nic_filter_match(&t->be.filter, t->rx_data[i], t->rx_len[i])) {
		t->be.n.rx_drop[NIC_DROP_FILTERED]++;
		return 0;
	}
	n = nic_rx_gather(t->be.fe, 0, pos, t->rx_len[i], iov, NIC_MAX_IOV, &n_bufs, &room);
	if (!n) {
		t->be.n.rx_drop[NIC_DROP_NO_BUFFER]++;
		return 0;
	}
	for (unsigned int v = 0; v < n && at < t->rx_len[i]; v++) {
		uint32_t k = t->rx_len[i] - at < iov[v].iov_len ? t->rx_len[i] - at
								: (uint32_t)iov[v].iov_len;

		memcpy(iov[v].iov_base, t->rx_data[i] + at, k);
		at += k;
	}
	return n_bufs;
}

static unsigned int tap_receive(struct nic_backend *be, unsigned int q, unsigned int max)
{
	struct eg_tap *t = (struct eg_tap *)be;
	struct nic_rx_done done[EG_KEEP];
	unsigned int n = 0, pos = 0, handled = t->n_rx;
	struct iovec iov[1];

	if (t->pull)
		for (unsigned int p = 0;
		     p < 2 * E1000_RX_CACHE && be->fe->ops->rx_buf(be->fe, 0, p, true, iov, 1); p++)
			;
	for (unsigned int i = 0; i < handled; i++) {
		unsigned int n_bufs = tap_deliver(t, i, pos);

		if (!n_bufs)
			continue;
		pos += n_bufs;
		done[n++] = (struct nic_rx_done){ .len = t->rx_len[i], .n_bufs = (uint16_t)n_bufs };
	}
	t->n_rx = 0;
	if (n)
		be->fe->ops->rx_done(be->fe, 0, done, n);
	return handled;
}

static void tap_reset(struct nic_backend *be)
{
	struct eg_tap *t = (struct eg_tap *)be;

	t->n_resets++;
	t->n_unreported = 0;
}

static void tap_set_filter(struct nic_backend *be, const struct nic_filter *f)
{
	((struct eg_tap *)be)->n_filters++;
}

static const struct nic_backend_ops tap_ops = {
	.send = tap_send,
	.sent = tap_sent,
	.receive = tap_receive,
	.reset = tap_reset,
	.set_filter = tap_set_filter,
};

void eg_tap(struct eg *g)
{
	g->tap = calloc(1, sizeof(*g->tap));
	must(g->tap);
	g->tap->be.ops = &tap_ops;
	g->tap->be.fe = &g->d->fe;
	g->tap->be.filter.promisc = true;
	g->tap->real = g->d->be;
	g->tap->room = ~0u;
	g->d->be = &g->tap->be;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every NIC back-end shares (see nic.h): the registry, receive filters, collecting posted
 * buffers, counters. */
#include "core/nic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"

REGISTRY(fl_nic_backends, struct nic_backend_type);

static const char *const drop_name[NIC_N_DROPS] = {
	[NIC_DROP_NO_BUFFER] = "no_buffer", [NIC_DROP_FILTERED] = "filtered",
	[NIC_DROP_TOO_LONG] = "too_long",   [NIC_DROP_TOO_SHORT] = "too_short",
	[NIC_DROP_SINK] = "sink",           [NIC_DROP_ERROR] = "error",
	[NIC_DROP_LINK_DOWN] = "link_down",
};

int nic_backend_create(struct vm *vm, struct device_conf *conf, struct nic_frontend *fe,
		       struct nic_backend **out)
{
	struct nic_backend_type const *const *it;
	const char *name = opts_take(conf->opts, "backend");
	char list[128] = "";
	int ret;

	if (!name)
		name = "null";
	REGISTRY_FOREACH(fl_nic_backends, it) {
		size_t n = strlen(list);

		if (!strcmp((*it)->name, name)) {
			ret = (*it)->create(vm, conf, fe, out);
			if (ret < 0)
				return ret;
			(*out)->type = *it;
			(*out)->fe = fe;
			(*out)->filter.promisc = true;
			return 0;
		}
		snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", (*it)->name);
	}
	return err_ret(-EINVAL, "%s: there is no back-end '%s'; there are: %s", conf->name, name,
		       list);
}

void nic_backend_destroy(struct nic_backend *be)
{
	if (be)
		be->ops->destroy(be);
}

void nic_set_filter(struct nic_backend *be, const struct nic_filter *f)
{
	be->filter = *f;
	if (be->ops->set_filter)
		be->ops->set_filter(be, f);
}

int nic_rx_fd(struct nic_backend *be, unsigned int q)
{
	return be->ops->rx_fd ? be->ops->rx_fd(be, q) : -1;
}

bool nic_link_up(struct nic_backend *be)
{
	return be->ops->link_up ? be->ops->link_up(be) : true;
}

void nic_use_pairs(struct nic_backend *be, unsigned int n)
{
	if (be->ops->use_pairs)
		be->ops->use_pairs(be, n);
}

void nic_set_offloads(struct nic_backend *be, uint32_t rx)
{
	be->rx_offloads = rx;
	if (be->ops->set_offloads)
		be->ops->set_offloads(be);
}

uint32_t nic_needs(const struct virtio_net_hdr *h)
{
	uint32_t needs = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? NIC_OFFLOAD_CSUM : 0;

	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE: break;
	case VIRTIO_NET_HDR_GSO_TCPV4: needs |= NIC_OFFLOAD_TSO4; break;
	case VIRTIO_NET_HDR_GSO_TCPV6: needs |= NIC_OFFLOAD_TSO6; break;
	default: needs |= ~NIC_OFFLOAD_ALL; /* nobody offers it */
	}
	return h->gso_type & VIRTIO_NET_HDR_GSO_ECN ? needs | NIC_OFFLOAD_ECN : needs;
}

void nic_rx_withdraw(struct nic_backend *be, unsigned int q)
{
	if (be->ops->rx_withdraw)
		be->ops->rx_withdraw(be, q);
}

bool nic_takes_rings(const struct nic_backend *be)
{
	return be->ops->rings_start;
}

void nic_late_fd(struct nic_backend *be, const char *name, int fd)
{
	if (be->ops->late_fd)
		be->ops->late_fd(be, name, fd);
	else
		close(fd);
}

void nic_pause(struct nic_backend *be)
{
	if (be->ops->pause)
		be->ops->pause(be);
}

void nic_resume(struct nic_backend *be)
{
	if (be->ops->resume)
		be->ops->resume(be);
}

void nic_reset(struct nic_backend *be)
{
	if (be->ops->reset)
		be->ops->reset(be);
}

void nic_stats(struct nic_backend *be, struct stats_sink *s)
{
	char name[48];

	stats_put(s, "tx_frames", be->n.tx_frames);
	stats_put(s, "tx_bytes", be->n.tx_bytes);
	stats_put(s, "rx_frames", be->n.rx_frames);
	stats_put(s, "rx_bytes", be->n.rx_bytes);
	stats_put(s, "rx_copies", be->n.rx_copies);
	for (int i = 0; i < NIC_N_DROPS; i++) {
		snprintf(name, sizeof(name), "tx_drop_%s", drop_name[i]);
		stats_put(s, name, be->n.tx_drop[i]);
		snprintf(name, sizeof(name), "rx_drop_%s", drop_name[i]);
		stats_put(s, name, be->n.rx_drop[i]);
	}
	if (be->ops->stats)
		be->ops->stats(be, s);
}

static bool table_bit(const uint32_t *table, unsigned int bit)
{
	return table[bit / 32 % 128] >> (bit % 32) & 1;
}

static bool filter_vlan(const struct nic_filter *f, const uint8_t *frame, uint32_t len)
{
	if (!f->vlan || len < 18 || frame[12] != 0x81 || frame[13] != 0x00)
		return true;
	return table_bit(f->vlan_table, (frame[14] & 0x0fu) << 8 | frame[15]);
}

static bool filter_mac(const struct nic_filter *f, const uint8_t *dst)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (f->promisc)
		return true;
	if (f->broadcast && !memcmp(dst, broadcast, 6))
		return true;
	if (dst[0] & 1 ? f->all_multicast : f->all_unicast)
		return true;
	for (unsigned int i = 0; i < f->n_macs && i < NIC_FILTER_MACS; i++)
		if (!memcmp(dst, f->mac[i], 6))
			return true;
	return f->hash && dst[0] & 1 &&
	       table_bit(f->hash_table, (dst[4] | dst[5] << 8) >> f->hash_shift & 0xfff);
}

bool nic_filter_match(const struct nic_filter *f, const uint8_t *frame, uint32_t len)
{
	return len >= 14 && filter_mac(f, frame) && filter_vlan(f, frame, len);
}

unsigned int nic_rx_gather(struct nic_frontend *fe, unsigned int q, unsigned int pos, uint32_t want,
			   struct iovec *iov, unsigned int max_iov, unsigned int *n_bufs,
			   uint32_t *room)
{
	unsigned int n = 0;

	*n_bufs = 0;
	*room = 0;
	while (*room < want && n < max_iov) {
		unsigned int k =
			fe->ops->rx_buf(fe, q, pos + *n_bufs, *n_bufs == 0, iov + n, max_iov - n);

		if (!k)
			return 0;
		for (unsigned int i = 0; i < k; i++)
			*room += (uint32_t)iov[n + i].iov_len;
		n += k;
		(*n_bufs)++;
	}
	return *room >= want ? n : 0;
}

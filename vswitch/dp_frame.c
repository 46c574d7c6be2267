/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A frame's first bytes, its copy into a receiver's buffer, and whether a receiver's filter takes
 * it. The copy writes the addresses, tag and type from the head that was looked at: what a guest
 * changes in its buffer meanwhile never decides anything.
 */
#include <rte_memcpy.h>
#include <string.h>

#include "vswitch/dp_priv.h"

#define ADDRESSES 12 /* bytes of the two addresses */

void dp_frame_head(struct dp_frame *f)
{
	unsigned int n = 0;

	if (f->seg[0].len >= DP_HEAD) {
		memcpy(f->head, f->seg[0].ptr, DP_HEAD);
		return;
	}
	memset(f->head, 0, DP_HEAD);
	for (unsigned int i = 0; i < f->n_segs && n < DP_HEAD; i++) {
		unsigned int part = f->seg[i].len < DP_HEAD - n ? f->seg[i].len : DP_HEAD - n;

		memcpy(f->head + n, f->seg[i].ptr, part);
		n += part;
	}
}

/* Everything from byte `skip` of the frame on. */
static uint8_t *copy_rest(const struct dp_frame *f, uint32_t skip, uint8_t *dst)
{
	for (unsigned int i = 0; i < f->n_segs; i++) {
		const struct dp_seg *s = &f->seg[i];

		if (skip >= s->len) {
			skip -= s->len;
			continue;
		}
		rte_memcpy(dst, s->ptr + skip, s->len - skip);
		dst += s->len - skip;
		skip = 0;
	}
	return dst;
}

uint32_t dp_frame_copy(const struct dp_frame *f, bool tag, uint8_t *dst)
{
	if (tag == (bool)f->tagged) {
		copy_rest(f, 0, dst);
		memcpy(dst, f->head, tag ? DP_HEAD : ADDRESSES + 2);
	} else if (f->tagged) {
		copy_rest(f, ADDRESSES + DP_TAG, dst + ADDRESSES);
		memcpy(dst, f->head, ADDRESSES);
		memcpy(dst + ADDRESSES, f->head + ADDRESSES + DP_TAG, 2);
	} else {
		copy_rest(f, ADDRESSES, dst + ADDRESSES + DP_TAG);
		memcpy(dst, f->head, ADDRESSES);
		dst[ADDRESSES] = 0x81;
		dst[ADDRESSES + 1] = 0;
		memcpy(dst + ADDRESSES + DP_TAG, f->head + ADDRESSES, 2);
	}
	if (tag) {
		dst[ADDRESSES + 2] = (uint8_t)(f->tci >> 8);
		dst[ADDRESSES + 3] = (uint8_t)f->tci;
	}
	return dp_frame_out_len(f, tag);
}

static bool filter_address(const struct vhost_user_filter *f, const uint8_t *d)
{
	unsigned int hash = d[4] | (unsigned int)d[5] << 8;

	for (unsigned int i = 0; i < f->n_macs; i++)
		if (!memcmp(f->mac[i], d, 6))
			return true;
	if (!(d[0] & 1))
		return f->flags & VHOST_USER_FILTER_ALL_UNICAST;
	if (f->flags & VHOST_USER_FILTER_BROADCAST && !memcmp(d, "\xff\xff\xff\xff\xff\xff", 6))
		return true;
	if (f->flags & VHOST_USER_FILTER_ALL_MULTICAST)
		return true;
	hash = hash >> f->hash_shift & 0xfff;
	return f->flags & VHOST_USER_FILTER_HASH && f->hash_table[hash / 32] >> hash % 32 & 1;
}

bool dp_filter_takes(const struct vhost_user_filter *f, const struct dp_frame *frame, bool tag)
{
	unsigned int vid = frame->tci & 0xfff;

	if (tag && f->flags & VHOST_USER_FILTER_VLAN && !(f->vlan_table[vid / 32] >> vid % 32 & 1))
		return false;
	return f->flags & VHOST_USER_FILTER_PROMISC || filter_address(f, frame->head);
}

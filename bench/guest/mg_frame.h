/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test frame: what the guest's packet loop sends and checks, and what a generator or sink on
 * the host must send and check to match it. Freestanding, all little endian but the Ethernet type.
 * From MG_FRAME_PAYLOAD on, byte i of the frame depends on the seed and on i only, so a buffer is
 * filled once and then only its sequence number changes.
 */
#ifndef BENCH_GUEST_MG_FRAME_H
#define BENCH_GUEST_MG_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define MG_FRAME_ETHERTYPE 0x88b5 /* IEEE 802, local experiments */
#define MG_FRAME_SEQ       14     /* offset of the sequence number, 8 bytes */
#define MG_FRAME_SEED      22     /* offset of the seed, 4 bytes */
#define MG_FRAME_PAYLOAD   26     /* offset of the pattern */
#define MG_FRAME_MIN       60     /* bytes without the FCS */
#define MG_FRAME_MAX       9000

struct mg_frame_hdr {
	uint8_t dst[6];
	uint8_t src[6];
	uint8_t ethertype[2];
	uint64_t seq;
	uint32_t seed;
} __attribute__((packed));

_Static_assert(offsetof(struct mg_frame_hdr, seq) == MG_FRAME_SEQ, "sequence number");
_Static_assert(offsetof(struct mg_frame_hdr, seed) == MG_FRAME_SEED, "seed");
_Static_assert(sizeof(struct mg_frame_hdr) == MG_FRAME_PAYLOAD, "header");

/* The byte at offset of a frame, offset at least MG_FRAME_PAYLOAD. */
static inline uint8_t mg_frame_byte(uint32_t seed, uint32_t offset)
{
	return (uint8_t)((seed * UINT32_C(2654435761) >> 24) + offset);
}

/* Write a whole frame of size bytes (at least MG_FRAME_PAYLOAD) to buf, sequence number 0. */
static inline void mg_frame_fill(void *buf, uint32_t size, const uint8_t dst[6],
				 const uint8_t src[6], uint32_t seed)
{
	struct mg_frame_hdr *hdr = buf;
	uint8_t *bytes = buf;

	for (int i = 0; i < 6; i++) {
		hdr->dst[i] = dst[i];
		hdr->src[i] = src[i];
	}
	hdr->ethertype[0] = MG_FRAME_ETHERTYPE >> 8;
	hdr->ethertype[1] = MG_FRAME_ETHERTYPE & 0xff;
	hdr->seq = 0;
	hdr->seed = seed;
	for (uint32_t i = MG_FRAME_PAYLOAD; i < size; i++)
		bytes[i] = mg_frame_byte(seed, i);
}

/* Whether buf carries a test frame at all; len is what was received. */
static inline int mg_frame_is_test(const void *buf, uint32_t len)
{
	const struct mg_frame_hdr *hdr = buf;

	return len >= MG_FRAME_PAYLOAD && hdr->ethertype[0] == MG_FRAME_ETHERTYPE >> 8 &&
	       hdr->ethertype[1] == (MG_FRAME_ETHERTYPE & 0xff);
}

/* Whether the payload of a test frame is what mg_frame_fill() wrote; 1 when it is. */
static inline int mg_frame_check(const void *buf, uint32_t len, uint32_t seed)
{
	const uint8_t *bytes = buf;

	for (uint32_t i = MG_FRAME_PAYLOAD; i < len; i++)
		if (bytes[i] != mg_frame_byte(seed, i))
			return 0;
	return 1;
}

#endif

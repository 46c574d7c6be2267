/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of bench/lab share among themselves: frames over descriptors, the guardian's
 * start, the places in the run folder.
 */
#ifndef BENCH_LAB_LAB_PRIV_H
#define BENCH_LAB_LAB_PRIV_H

#include <stddef.h>

#include "bench/lab/lab.h"
#include "bench/lab/lab_proto.h"

#define LAB_INFO_BYTES 2048

/* --- lab_wire.c: frames --- */
struct lab_reader {
	uint8_t buf[2 * (sizeof(struct lab_frame) + LAB_PAYLOAD)];
	size_t from, to;
};

/* lab_reader_fill - one read(2). Bytes, 0 at the end, -EAGAIN, other negative errno. */
ssize_t lab_reader_fill(struct lab_reader *r, int fd);
/*
 * lab_reader_next - the next whole frame: 1 and *payload (valid until the next fill), 0 when more
 * must be read, -EPROTO for a frame that is too long.
 */
int lab_reader_next(struct lab_reader *r, struct lab_frame *f, const uint8_t **payload);

/* Bytes that wait to be written; grows. Zero-initialised. */
struct lab_queue {
	uint8_t *data;
	size_t from, to, size;
};
static inline size_t lab_queue_bytes(const struct lab_queue *q)
{
	return q->to - q->from;
}
int lab_queue_add(struct lab_queue *q, const void *data, size_t size);
int lab_queue_frame(struct lab_queue *q, uint16_t session, uint8_t type, uint8_t stream,
		    const void *data, size_t size);
/* lab_queue_write - as much as goes without blocking. 0 or negative errno. */
int lab_queue_write(struct lab_queue *q, int fd);
void lab_queue_free(struct lab_queue *q);

/* lab_now_ms - CLOCK_MONOTONIC. */
int64_t lab_now_ms(void);
/* lab_text_value - value of `key` in "key=value" lines. Its length, or -ENOENT. */
int lab_text_value(const char *text, const char *key, char *buf, size_t size);

/* --- lab.c, lab_session.c: the command's side --- */
struct lab {
	int fd;           /* to the guardian, not blocking */
	pid_t guardian;   /* of a fresh lab; 0 when it is up by itself */
	int signals;      /* see struct lab_options */
	uint16_t session; /* our number of the last command; frames of earlier ones are dropped */
	struct lab_reader in;
	struct lab_queue out;
	char info[LAB_INFO_BYTES];
};
/*
 * lab_wait_frame - the next frame, after sending what waits. 1; 0 when timeout_ms (-1: none) passed
 * or `other` became readable; -EINTR; -EPIPE after a message when the lab is gone. Console output
 * goes to stderr on the way.
 */
int lab_wait_frame(struct lab *lab, int timeout_ms, int other, struct lab_frame *f,
		   const uint8_t **data);

/*
 * lab_push_programs - this build's programs into /opt/fourlane/bin, unless the very same are there.
 */
int lab_push_programs(struct lab *lab);

/* --- lab_initrd.c --- */
/* lab_initrd_create - the image's stage 1 archive, its modules if any, our init files and agent, in
 * a memfd. Descriptor, or negative errno after a message. */
int lab_initrd_create(const struct lab_image *image);

/* --- lab_tap.c --- */
/*
 * lab_tap_open - the tap `name`, up; made when it is not there, and gone then with the last
 * descriptor. Descriptor, or negative errno after a message; -EOPNOTSUPP when this caller may not.
 */
int lab_tap_open(const char *name);

/* --- lab_guard.c --- */
/* Where a lab that is up is met. */
struct lab_place {
	char dir[80], socket[108], lock[108];
};
/* lab_place_clean - removes them; for whoever holds the lock. */
void lab_place_clean(const struct lab_place *p);

struct lab_guard_start {
	const struct lab_image *image;
	enum lab_iommu iommu;
	const char *append; /* more words for the kernel, or NULL */
	int cpus;           /* 0: the usual two */
	bool in_turn, console;
	int client;       /* our end of the socket to the command */
	int initrd, disk; /* memfds */
	int tap;          /* or -1 */
	const char *tap_name;
	int lock;               /* `lab up`: held while the lab lives; else -1 */
	struct lab_place place; /* `lab up`: where to listen once it is ready; else empty */
};
/* lab_guard_main - the guardian's whole life, in a forked child with nothing open but these. Does
 * not return. */
void lab_guard_main(const struct lab_guard_start *s) __attribute__((noreturn));

/*
 * lab_qemu_exec - becomes QEMU. `agent`: socket of the virtio port. Returns only when that fails.
 */
void lab_qemu_exec(const struct lab_guard_start *s, int agent, int console);

#endif

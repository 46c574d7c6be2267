/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames over descriptors (lab_proto.h): a reader that cuts a byte stream into frames and a queue
 * of bytes that wait to be written. Used by the guardian and by the command's side.
 */
#include "bench/lab/lab_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

ssize_t lab_reader_fill(struct lab_reader *r, int fd)
{
	ssize_t n;

	memmove(r->buf, r->buf + r->from, r->to - r->from);
	r->to -= r->from;
	r->from = 0;
	if (r->to == sizeof(r->buf))
		return -EAGAIN;
	n = read(fd, r->buf + r->to, sizeof(r->buf) - r->to);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	r->to += (size_t)n;
	return n;
}

int lab_reader_next(struct lab_reader *r, struct lab_frame *f, const uint8_t **payload)
{
	size_t have = r->to - r->from;

	if (have < sizeof(*f))
		return 0;
	memcpy(f, r->buf + r->from, sizeof(*f));
	if (f->length > LAB_PAYLOAD)
		return -EPROTO;
	if (have < sizeof(*f) + f->length)
		return 0;
	*payload = r->buf + r->from + sizeof(*f);
	r->from += sizeof(*f) + f->length;
	return 1;
}

int lab_queue_add(struct lab_queue *q, const void *data, size_t size)
{
	if (q->from == q->to)
		q->from = q->to = 0;
	if (size > q->size - q->to) {
		size_t want = 2 * (lab_queue_bytes(q) + size);
		uint8_t *grown;

		if (q->from)
			memmove(q->data, q->data + q->from, lab_queue_bytes(q));
		q->to -= q->from;
		q->from = 0;
		grown = realloc(q->data, want);
		if (!grown)
			return -ENOMEM;
		q->data = grown;
		q->size = want;
	}
	if (size)
		memcpy(q->data + q->to, data, size);
	q->to += size;
	return 0;
}

int lab_queue_frame(struct lab_queue *q, uint16_t session, uint8_t type, uint8_t stream,
		    const void *data, size_t size)
{
	struct lab_frame f = {
		.length = (uint32_t)size, .session = session, .type = type, .stream = stream
	};
	int ret = lab_queue_add(q, &f, sizeof(f));

	return ret < 0 ? ret : lab_queue_add(q, data, size);
}

int lab_queue_write(struct lab_queue *q, int fd)
{
	while (q->from < q->to) {
		ssize_t n = write(fd, q->data + q->from, q->to - q->from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		q->from += (size_t)n;
	}
	return 0;
}

void lab_queue_free(struct lab_queue *q)
{
	free(q->data);
	*q = (struct lab_queue){ 0 };
}

int64_t lab_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int lab_text_value(const char *text, const char *key, char *buf, size_t size)
{
	size_t len = strlen(key), n;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncmp(line, key, len) || line[len] != '=')
			continue;
		n = strcspn(line + len + 1, "\n");
		if (n >= size)
			return -ENAMETOOLONG;
		memcpy(buf, line + len + 1, n);
		buf[n] = '\0';
		return (int)n;
	}
	return -ENOENT;
}

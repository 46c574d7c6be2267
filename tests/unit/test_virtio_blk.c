/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk as a driver sees it: requests from hand-made chains to a real file, once with io_uring and
 * once with threads, and to an engine of this file's own that ends operations on command, for what
 * a real disk does not do when asked: fail, stop half-way, never answer. VIRTIO 1.2 section 5.2.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/vm_priv.h"
#include "core/virtio_blk_priv.h"
#include "helper_virtio.h"

#define NEXT    1
#define WRITE   2
#define SECTORS 2048u /* of the disk: 1 MiB */
#define F_BLK \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | \
	 VIRTIO_BIT(VIRTIO_BLK_F_DISCARD) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES))

/* --- an engine that waits for commands --- */
struct held {
	struct blk_engine e;
	struct blk_io *io[1024];
	unsigned int n, starts;
	struct blk_io *done;
	pthread_mutex_t lock;
};

static int held_start(struct blk_engine *e)
{
	((struct held *)e)->starts++;
	return 0;
}

static void held_queue(struct blk_engine *e, struct blk_io *io)
{
	struct held *h = (struct held *)e;

	h->io[h->n++] = io;
}

static bool held_submit(struct blk_engine *e)
{
	return true;
}

static struct blk_io *held_reap(struct blk_engine *e)
{
	struct held *h = (struct held *)e;
	struct blk_io *io;

	pthread_mutex_lock(&h->lock);
	io = h->done;
	if (io)
		h->done = io->next;
	pthread_mutex_unlock(&h->lock);
	return io;
}

static void held_destroy(struct blk_engine *e)
{
}

static const struct blk_engine_ops held_ops = {
	.name = "held",
	.start = held_start,
	.queue = held_queue,
	.submit = held_submit,
	.reap = held_reap,
	.destroy = held_destroy,
};

/* The operation that was queued as the i-th ends. */
static void held_end(struct held *h, unsigned int i, int64_t res)
{
	pthread_mutex_lock(&h->lock);
	h->io[i]->res = res;
	h->io[i]->next = h->done;
	h->done = h->io[i];
	pthread_mutex_unlock(&h->lock);
}

/* --- the guest --- */
enum engine { URING, THREADS, HELD };

struct bt {
	struct vg g; /* its `v` is not used */
	struct vblk *b;
	enum engine engine;
	struct held held;
	int file;            /* the same file, to look into */
	unsigned int n_desc; /* descriptors used, all queues */
	unsigned int n_posted[VBLK_MAX_QUEUES];
	unsigned int n_messages;
	char message[512];
};

static void heard(void *opaque, const char *line)
{
	struct bt *t = opaque;

	t->n_messages++;
	snprintf(t->message, sizeof(t->message), "%s", line);
}

static void use_engine(struct bt *t)
{
	struct blk_engine *e = t->b->engine;

	if (t->engine == URING)
		return;
	e->ops->destroy(e);
	if (t->engine == THREADS) {
		assert_int_equal(blk_threads_create(dup(t->file), VBLK_IN_HAND, &t->b->engine), 0);
		return;
	}
	t->held = (struct held){ .e = { .ops = &held_ops, .fd = -1, .file = -1 } };
	pthread_mutex_init(&t->held.lock, NULL);
	t->b->engine = &t->held.e;
}

static void up(struct bt *t, enum engine engine, const char *opts, int file)
{
	struct vg *g = &t->g;
	struct device *dev;

	memset(t, 0, sizeof(*t));
	err_set_sink(heard, t);
	t->file = file;
	t->engine = engine;
	assert_int_equal(mem_create(VG_MEM, &g->mem), 0);
	assert_int_equal(vm_create_fake(g->mem, &g->vm), 0);
	assert_int_equal(opts_parse(opts, &g->conf.opts), 0);
	g->conf.name = "disk0";
	g->conf.n_fds = 1;
	g->conf.fds[0].fd = dup(file);
	strcpy(g->conf.fds[0].name, "disk");
	assert_int_equal(device_create(g->vm, &g->conf, &dev), 0);
	t->b = (struct vblk *)((char *)dev - offsetof(struct vblk, dev));
	use_engine(t);
	g->slot = t->b->vd.pci.slot;
	vg_cfg_write(g, 4, 2, 0x6);
	g->bar = (vg_cfg_read(g, 0x10, 4) & ~15u) | (uint64_t)vg_cfg_read(g, 0x14, 4) << 32;
}

static void down(struct bt *t)
{
	device_destroy(&t->b->dev);
	vm_destroy(t->g.vm);
	mem_destroy(t->g.mem);
	opts_free(t->g.conf.opts);
	close(t->file);
	err_set_sink(NULL, NULL);
}

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 7 + at / 512 * 13 + 1);
}

/* A disk in memory, every byte told apart from its neighbours. */
static int memory_disk(unsigned int flags)
{
	int fd = memfd_create("disk", MFD_CLOEXEC | flags);
	uint8_t block[4096];

	assert_true(fd >= 0);
	for (uint64_t at = 0; at < SECTORS * 512; at += sizeof(block)) {
		for (unsigned int i = 0; i < sizeof(block); i++)
			block[i] = pattern(at + i);
		assert_int_equal(pwrite(fd, block, sizeof(block), (off_t)at), sizeof(block));
	}
	return fd;
}

/* The same on the disk of the build folder, with holes and O_DIRECT as its file system has them. */
static int file_disk(int flags)
{
	char name[] = "/var/tmp/fourlane-blk-XXXXXX";
	int from = memory_disk(0), made = mkstemp(name), fd;
	static uint8_t all[SECTORS * 512];

	assert_true(made >= 0);
	assert_int_equal(pread(from, all, sizeof(all), 0), sizeof(all));
	assert_int_equal(pwrite(made, all, sizeof(all), 0), sizeof(all));
	assert_int_equal(fsync(made), 0);
	fd = open(name, O_RDWR | O_CLOEXEC | flags);
	unlink(name);
	close(made);
	close(from);
	return fd;
}

static void start_queues(struct bt *t, uint64_t features, unsigned int n)
{
	struct vg *g = &t->g;

	g->size = VBLK_QUEUE_SIZE;
	t->n_desc = 0;
	memset(t->n_posted, 0, sizeof(t->n_posted));
	memset(vg_ptr(g, 0x100000), 0, 0x100000);
	vg_negotiate(g, features);
	for (unsigned int q = 0; q < n; q++)
		vg_setup_queue(g, q, g->size);
	vg_set_status(g, 15);
	assert_int_equal(vg_status(g), 15);
}

static void start(struct bt *t, uint64_t features)
{
	start_queues(t, features, 1);
}

static unsigned int poll_once(struct bt *t)
{
	return t->b->poller.poll(&t->b->poller);
}

/* Until queue q has `n` answers; not for ever. */
static void poll_answers(struct bt *t, unsigned int q, unsigned int n)
{
	const struct timespec nap = { .tv_nsec = 100000 };

	for (int i = 0; i < 100000 && vg_used(&t->g, q)->idx != (uint16_t)n; i++)
		if (!poll_once(t))
			nanosleep(&nap, NULL);
	assert_int_equal(vg_used(&t->g, q)->idx, n);
}

static void *at(struct bt *t, uint64_t gpa)
{
	return vg_ptr(&t->g, gpa);
}

/* Buffers of the test: one area of 64 KiB a request. */
static uint64_t area(unsigned int i)
{
	return VG_DATA + 0x10000ull * i;
}
#define HDR_AT    0x0 /* in an area */
#define STATUS_AT 0x20
#define DATA_AT   0x1000

static void header(struct bt *t, unsigned int i, uint32_t type, uint64_t sector)
{
	*(struct virtio_blk_req_hdr *)at(t, area(i) + HDR_AT) =
		(struct virtio_blk_req_hdr){ .type = type, .sector = sector };
	*(uint8_t *)at(t, area(i) + STATUS_AT) = 0xee;
}

static void desc(struct bt *t, unsigned int q, uint64_t addr, uint32_t len, uint16_t flags)
{
	uint16_t i = (uint16_t)t->n_desc++;

	vg_set_desc(&t->g, q, i, addr, len, flags, (uint16_t)(i + 1));
}

static void post(struct bt *t, unsigned int q, unsigned int head)
{
	vg_post(&t->g, q, (uint16_t)head);
	t->n_posted[q]++;
}

/* The usual three descriptors: header, data (none: len 0), status. Gives the head. */
static unsigned int request_on(struct bt *t, unsigned int q, unsigned int i, uint32_t type,
			       uint64_t sector, uint32_t len)
{
	unsigned int head = t->n_desc;
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;

	header(t, i, type, sector);
	desc(t, q, area(i) + HDR_AT, 16, NEXT);
	if (len)
		desc(t, q, area(i) + DATA_AT, len, NEXT | (in ? WRITE : 0));
	desc(t, q, area(i) + STATUS_AT, 1, WRITE);
	post(t, q, head);
	return head;
}

static unsigned int request(struct bt *t, unsigned int i, uint32_t type, uint64_t sector,
			    uint32_t len)
{
	return request_on(t, 0, i, type, sector, len);
}

static uint8_t *data(struct bt *t, unsigned int i)
{
	return at(t, area(i) + DATA_AT);
}

static uint8_t status(struct bt *t, unsigned int i)
{
	return *(uint8_t *)at(t, area(i) + STATUS_AT);
}

/* One request from beginning to end. */
static uint8_t ask(struct bt *t, uint32_t type, uint64_t sector, uint32_t len)
{
	t->n_desc = 0;
	request(t, 0, type, sector, len);
	poll_answers(t, 0, t->n_posted[0]);
	return status(t, 0);
}

static uint8_t ask_range(struct bt *t, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	*(struct virtio_blk_range *)data(t, 0) =
		(struct virtio_blk_range){ .sector = sector, .num_sectors = n, .flags = flags };
	return ask(t, type, 0, sizeof(struct virtio_blk_range));
}

static uint64_t counter(struct bt *t, const char *name);

/* What the file holds: the pattern (-1), or one byte throughout. */
static void file_is(struct bt *t, uint64_t from, uint64_t len, int byte)
{
	static uint8_t buf[SECTORS * 512] __attribute__((aligned(4096)));

	assert_true(len <= sizeof(buf));
	assert_int_equal(pread(t->file, buf, len, (off_t)from), len);
	for (uint64_t i = 0; i < len; i++)
		if (buf[i] != (byte < 0 ? pattern(from + i) : (uint8_t)byte))
			fail_msg("byte %llu of the file is %u", (unsigned long long)(from + i),
				 buf[i]);
}

static void is_pattern(const uint8_t *buf, uint64_t from, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (buf[i] != pattern(from + i))
			fail_msg("byte %llu read is %u", (unsigned long long)(from + i), buf[i]);
}

struct sink {
	struct stats_sink sink;
	const char *name;
	uint64_t value;
	bool found;
};

static void sink_put(struct stats_sink *s, const char *name, uint64_t value)
{
	struct sink *k = (struct sink *)s;

	if (strcmp(name, k->name))
		return;
	k->value = value;
	k->found = true;
}

static uint64_t counter(struct bt *t, const char *name)
{
	struct sink k = { .sink.put = sink_put, .name = name };

	t->b->dev.ops->stats(&t->b->dev, &k.sink);
	assert_true(k.found);
	return k.value;
}

static int setup_engine(void **state, enum engine engine)
{
	static struct bt t;

	up(&t, engine, "disk", memory_disk(0));
	*state = &t;
	return 0;
}

static int setup_uring(void **state)
{
	return setup_engine(state, URING);
}

static int setup_threads(void **state)
{
	return setup_engine(state, THREADS);
}

static int setup_held(void **state)
{
	return setup_engine(state, HELD);
}

static int teardown(void **state)
{
	down(*state);
	return 0;
}

/* --- what the driver is told --- */
static uint32_t config32(struct bt *t, unsigned int off)
{
	return (uint32_t)vg_read(&t->g, 0x2000 + off, 4);
}

static void config_describes_the_disk(void **state)
{
	struct bt *t = *state;

	assert_int_equal(vg_cfg_read(&t->g, 0, 4), 0x10421af4);
	assert_int_equal(vg_cfg_read(&t->g, 8, 4) >> 8, 0x010000);
	assert_int_equal(config32(t, 0), SECTORS);
	assert_int_equal(config32(t, 4), 0);
	assert_int_equal(config32(t, 12), VBLK_SEG_MAX);
	assert_int_equal(config32(t, 20), 512);
	assert_int_equal(vg_read(&t->g, 0x2000 + 32, 1), 1);
	assert_int_equal(vg_read(&t->g, 0x2000 + 34, 2), 1);
	assert_int_equal(config32(t, 40), 1);
	assert_int_equal(config32(t, 52), 1);
	assert_int_equal(vg_read(&t->g, 0x2000 + 56, 1), 1);
}

static void features_follow_the_options(void **state)
{
	const uint64_t always = VIRTIO_BIT(2) | VIRTIO_BIT(6) | VIRTIO_BIT(9) | VIRTIO_BIT(10) |
				VIRTIO_BIT(28) | VIRTIO_BIT(29) | VIRTIO_BIT(32),
		       writable = VIRTIO_BIT(11) | VIRTIO_BIT(13) | VIRTIO_BIT(14),
		       mine = VIRTIO_BIT(34) - 1;
	struct bt t;

	up(&t, URING, "disk", memory_disk(0));
	assert_int_equal(t.b->vd.offered & mine, always | writable);
	down(&t);
	up(&t, URING, "disk,ro=on,queues=4", memory_disk(0));
	assert_int_equal(t.b->vd.offered & mine, always | VIRTIO_BIT(5) | VIRTIO_BIT(12));
	assert_int_equal(vg_read(&t.g, 0x2000 + 34, 2), 4);
	assert_int_equal(vg_read(&t.g, 0x12, 2), 4);
	assert_int_equal(config32(&t, 36), 0);
	assert_int_equal(config32(&t, 48), 0);
	down(&t);
}

static void wrong_options_are_refused(void **state)
{
	static const char *const wrong[] = {
		"disk,queues=0", "disk,queues=9",   "disk,ro=perhaps",
		"disk,direct=2", "disk,colour=red", "disk,serial=123456789012345678901",
	};
	struct bt t = { 0 };
	struct guest_mem *mem;
	struct vm *vm;
	struct device *dev;

	err_set_sink(heard, &t);
	assert_int_equal(mem_create(VG_MEM, &mem), 0);
	assert_int_equal(vm_create_fake(mem, &vm), 0);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct device_conf c = { .name = "disk0", .n_fds = 1 };

		strcpy(c.fds[0].name, "disk");
		c.fds[0].fd = memory_disk(0);
		assert_int_equal(opts_parse(wrong[i], &c.opts), 0);
		assert_int_equal(device_create(vm, &c, &dev), -EINVAL);
		assert_int_equal(t.n_messages, i + 1);
		if (c.fds[0].fd >= 0)
			close(c.fds[0].fd);
		opts_free(c.opts);
	}
	vm_destroy(vm);
	mem_destroy(mem);
	err_set_sink(NULL, NULL);
}

static void id_is_the_serial_text(void **state)
{
	struct bt t;

	up(&t, URING, "disk,serial=12345678901234567890", memory_disk(0));
	start(&t, F_BLK);
	memset(data(&t, 0), 0xaa, 32);
	assert_int_equal(ask(&t, VIRTIO_BLK_T_GET_ID, 0, 20), 0);
	assert_memory_equal(data(&t, 0), "12345678901234567890\xaa", 21);
	memset(data(&t, 0), 0xaa, 32);
	assert_int_equal(ask(&t, VIRTIO_BLK_T_GET_ID, 0, 4), 0);
	assert_memory_equal(data(&t, 0), "1234\xaa", 5);
	down(&t);
	up(&t, URING, "disk", memory_disk(0));
	start(&t, F_BLK);
	memset(data(&t, 0), 0xaa, 32);
	assert_int_equal(ask(&t, VIRTIO_BLK_T_GET_ID, 0, 32), 0);
	assert_memory_equal(data(&t, 0), "disk0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xaa", 21);
	down(&t);
}

/* --- reading and writing, with either engine --- */
static void read_gives_what_the_file_holds(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	assert_int_equal(ask(t, VIRTIO_BLK_T_IN, 5, 8192), 0);
	is_pattern(data(t, 0), 5 * 512, 8192);
	assert_int_equal(vg_used(&t->g, 0)->ring[0].len, 8192 + 1);
	assert_int_equal(ask(t, VIRTIO_BLK_T_IN, SECTORS - 1, 512), 0);
	is_pattern(data(t, 0), (SECTORS - 1) * 512, 512);
	assert_int_equal(counter(t, "reads"), 2);
	assert_int_equal(counter(t, "read_bytes"), 8192 + 512);
}

static void write_changes_its_sectors_only(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	memset(data(t, 0), 0x5c, 1024);
	assert_int_equal(ask(t, VIRTIO_BLK_T_OUT, 9, 1024), 0);
	assert_int_equal(vg_used(&t->g, 0)->ring[0].len, 1);
	file_is(t, 0, 9 * 512, -1);
	file_is(t, 9 * 512, 1024, 0x5c);
	file_is(t, 11 * 512, (SECTORS - 11) * 512, -1);
	assert_int_equal(counter(t, "writes"), 1);
	assert_int_equal(counter(t, "write_bytes"), 1024);
}

static void flush_and_empty_requests_succeed(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	assert_int_equal(ask(t, VIRTIO_BLK_T_FLUSH, 0, 0), 0);
	assert_int_equal(ask(t, VIRTIO_BLK_T_IN, 0, 0), 0);
	assert_int_equal(ask(t, VIRTIO_BLK_T_OUT, SECTORS, 0), 0);
	assert_int_equal(counter(t, "flushes"), 1);
	file_is(t, 0, SECTORS * 512, -1);
}

static void header_data_and_status_may_lie_anywhere(void **state)
{
	struct bt *t = *state;
	uint64_t a = area(0), where = a + DATA_AT + 3;

	/* header in three pieces, the last of them shared with data; data in odd pieces */
	start(t, F_BLK);
	header(t, 0, VIRTIO_BLK_T_OUT, 3);
	memset(at(t, a + 16), 0x77, 11);
	memset(at(t, where), 0x77, 501);
	*(uint8_t *)at(t, a + 0x900) = 0xee;
	desc(t, 0, a, 1, NEXT);
	desc(t, 0, a + 1, 8, NEXT);
	desc(t, 0, a + 9, 0, NEXT);
	desc(t, 0, a + 9, 7 + 11, NEXT);
	desc(t, 0, where, 501, NEXT);
	desc(t, 0, a + 0x900, 1, WRITE);
	post(t, 0, 0);
	poll_answers(t, 0, 1);
	assert_int_equal(*(uint8_t *)at(t, a + 0x900), 0);
	file_is(t, 3 * 512, 512, 0x77);
	/* status behind the data in one descriptor, and alone behind an empty one */
	t->n_desc = 0;
	header(t, 0, VIRTIO_BLK_T_IN, 7);
	memset(at(t, where), 0xee, 1000);
	desc(t, 0, a, 16, NEXT);
	desc(t, 0, where, 100, NEXT | WRITE);
	desc(t, 0, where + 100, 413, NEXT | WRITE);
	desc(t, 0, where + 600, 0, WRITE);
	post(t, 0, 0);
	poll_answers(t, 0, 2);
	is_pattern(at(t, where), 7 * 512, 512);
	assert_int_equal(*(uint8_t *)at(t, where + 512), 0);
	assert_int_equal(*(uint8_t *)at(t, where + 513), 0xee);
	assert_int_equal(vg_used(&t->g, 0)->ring[1].len, 513);
}

static void request_may_stand_in_an_indirect_table(void **state)
{
	struct bt *t = *state;
	struct virtq_desc *table = at(t, area(1));

	start(t, F_BLK | VG_F_INDIRECT | VG_F_EVENT);
	header(t, 0, VIRTIO_BLK_T_IN, 1);
	table[0] = (struct virtq_desc){ area(0), 16, NEXT, 1 };
	table[1] = (struct virtq_desc){ area(0) + DATA_AT, 512, NEXT | WRITE, 2 };
	table[2] = (struct virtq_desc){ area(0) + STATUS_AT, 1, WRITE, 0 };
	desc(t, 0, area(1), 48, 4);
	post(t, 0, 0);
	poll_answers(t, 0, 1);
	assert_int_equal(status(t, 0), 0);
	is_pattern(data(t, 0), 512, 512);
}

static void sixty_four_requests_are_in_flight_together(void **state)
{
	struct bt *t = *state;
	bool seen[192] = { false };

	start(t, F_BLK);
	for (unsigned int i = 0; i < 64; i++) {
		header(t, 0, 0, 0);
		*(struct virtio_blk_req_hdr *)at(t, area(1) + 16 * i) =
			(struct virtio_blk_req_hdr){ .type = VIRTIO_BLK_T_OUT, .sector = 16 * i };
		memset(at(t, area(2) + 4096 * i), (int)i + 1, 4096);
		*(uint8_t *)at(t, area(0) + i) = 0xee;
		desc(t, 0, area(1) + 16 * i, 16, NEXT);
		desc(t, 0, area(2) + 4096 * i, 4096, NEXT);
		desc(t, 0, area(0) + i, 1, WRITE);
		post(t, 0, 3 * i);
	}
	poll_answers(t, 0, 64);
	for (unsigned int i = 0; i < 64; i++) {
		uint32_t id = vg_used(&t->g, 0)->ring[i].id;

		assert_true(id < 192 && id % 3 == 0 && !seen[id]);
		seen[id] = true;
		assert_int_equal(*(uint8_t *)at(t, area(0) + i), 0);
		file_is(t, 8192 * i, 4096, (int)i + 1);
		file_is(t, 8192 * i + 4096, 4096, -1);
	}
	assert_int_equal(counter(t, "in_hand"), 0);
}

static void every_queue_serves_requests(void **state)
{
	struct bt t;

	up(&t, *(enum engine *)*state, "disk,queues=8", memory_disk(0));
	start_queues(&t, F_BLK | VIRTIO_BIT(VIRTIO_BLK_F_MQ), 8);
	for (unsigned int q = 0; q < 8; q++)
		request_on(&t, q, q, VIRTIO_BLK_T_IN, 8 * q, 4096);
	for (unsigned int q = 0; q < 8; q++) {
		poll_answers(&t, q, 1);
		assert_int_equal(status(&t, q), 0);
		is_pattern(data(&t, q), 8 * 512 * q, 4096);
	}
	down(&t);
}

static void host_errors_are_told(void **state)
{
	enum engine engine = *(enum engine *)*state;
	int fd = memory_disk(MFD_ALLOW_SEALING);
	struct bt t;

	up(&t, engine, "disk", fd);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	start(&t, F_BLK);
	assert_int_equal(ask(&t, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_range(&t, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(counter(&t, "errors"), 2);
	assert_int_equal(vg_used(&t.g, 0)->ring[0].len, 1);
	assert_int_equal(ask(&t, VIRTIO_BLK_T_IN, 0, 512), 0);
	down(&t);
	/* the file became shorter behind our back */
	up(&t, engine, "disk", memory_disk(0));
	start(&t, F_BLK);
	assert_int_equal(ftruncate(t.file, 1024), 0);
	assert_int_equal(ask(&t, VIRTIO_BLK_T_IN, 1, 1024), VIRTIO_BLK_S_IOERR);
	assert_non_null(strstr(t.message, "shorter"));
	assert_int_equal(ask(&t, VIRTIO_BLK_T_IN, 0, 1024), 0);
	down(&t);
}

static void discard_and_zeroes_on(enum engine engine, int fd)
{
	struct stat before, after;
	struct bt t;

	assert_true(fd >= 0);
	up(&t, engine, "disk", fd);
	start(&t, F_BLK);
	fstat(fd, &before);
	assert_int_equal(ask_range(&t, VIRTIO_BLK_T_DISCARD, 64, 256, 0), 0);
	fstat(fd, &after);
	assert_true(after.st_blocks <= before.st_blocks - 256);
	assert_int_equal(after.st_size, before.st_size);
	file_is(&t, 0, 64 * 512, -1);
	file_is(&t, 64 * 512, 256 * 512, 0);
	/* zeroes that stay allocated, zeroes that need not, odd places */
	assert_int_equal(ask_range(&t, VIRTIO_BLK_T_WRITE_ZEROES, 1001, 3, 0), 0);
	assert_int_equal(ask_range(&t, VIRTIO_BLK_T_WRITE_ZEROES, 1601, 33, 1), 0);
	assert_int_equal(ask_range(&t, VIRTIO_BLK_T_WRITE_ZEROES, SECTORS - 1, 1, 0), 0);
	assert_int_equal(ask_range(&t, VIRTIO_BLK_T_WRITE_ZEROES, SECTORS, 0, 0), 0);
	file_is(&t, 320 * 512, 681 * 512, -1);
	file_is(&t, 1001 * 512, 3 * 512, 0);
	file_is(&t, 1004 * 512, 597 * 512, -1);
	file_is(&t, 1601 * 512, 33 * 512, 0);
	file_is(&t, 1634 * 512, (SECTORS - 1 - 1634) * 512, -1);
	file_is(&t, (SECTORS - 1) * 512, 512, 0);
	assert_int_equal(counter(&t, "discards"), 1);
	assert_int_equal(counter(&t, "write_zeroes"), 4);
	down(&t);
}

static void discard_and_zeroes_reach_the_file(void **state)
{
	discard_and_zeroes_on(*(enum engine *)*state, file_disk(0));
}

/* tmpfs has no call for zeroes: they are written. */
static void zeroes_are_written_where_there_is_no_call(void **state)
{
	discard_and_zeroes_on(*(enum engine *)*state, memory_disk(0));
}

static void direct_io_takes_any_buffer(void **state)
{
	int fd = file_disk(O_DIRECT);
	struct bt t;
	uint64_t a = area(0);

	if (fd < 0)
		skip();
	up(&t, *(enum engine *)*state, "disk,direct=on", fd);
	start(&t, F_BLK);
	assert_int_equal(ask(&t, VIRTIO_BLK_T_IN, 2, 4096), 0);
	is_pattern(data(&t, 0), 1024, 4096);
	assert_int_equal(counter(&t, "bounced"), 0);
	for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
		uint16_t w = type == VIRTIO_BLK_T_IN ? WRITE : 0;

		t.n_desc = 0;
		header(&t, 0, type, type == VIRTIO_BLK_T_IN ? 8 : 16);
		desc(&t, 0, a, 16, NEXT);
		desc(&t, 0, a + DATA_AT + 1, 1000, NEXT | w);
		desc(&t, 0, a + DATA_AT + 2001, 3096, NEXT | w);
		desc(&t, 0, a + STATUS_AT, 1, WRITE);
		post(&t, 0, 0);
		poll_answers(&t, 0, t.n_posted[0]);
		assert_int_equal(status(&t, 0), 0);
		is_pattern(at(&t, a + DATA_AT + 1), 8 * 512, 1000);
		is_pattern(at(&t, a + DATA_AT + 2001), 8 * 512 + 1000, 3096);
	}
	assert_int_equal(counter(&t, "bounced"), 2);
	down(&t);
}

/* --- what the driver gets wrong --- */
static void sectors_beyond_the_end_are_refused(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{ SECTORS, 512 },          { SECTORS - 1, 1024 }, { ~0ull, 512 },
		{ ~0ull - 1, 1024 },       { 1ull << 55, 512 },   { (1ull << 55) - 1, 1024 },
		{ UINT64_MAX / 512, 512 }, { 1ull << 63, 4096 },  { (uint64_t)SECTORS + 1, 0 },
	};
	struct bt *t = *state;

	start(t, F_BLK);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++)
			assert_int_equal(ask(t, type, bad[i].sector, bad[i].len),
					 VIRTIO_BLK_S_IOERR);
	assert_int_equal(counter(t, "refused"), 18);
	assert_int_equal(counter(t, "errors"), 0);
	assert_int_equal(vg_status(&t->g), 15);
	file_is(t, 0, SECTORS * 512, -1);
	assert_int_equal(lseek(t->file, 0, SEEK_END), SECTORS * 512);
}

static void lengths_that_are_no_sectors_are_refused(void **state)
{
	static const uint32_t bad[] = { 1, 511, 513, 1023, 4095 };
	struct bt *t = *state;

	start(t, F_BLK);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++)
			assert_int_equal(ask(t, type, 0, bad[i]), VIRTIO_BLK_S_IOERR);
	assert_int_equal(counter(t, "refused"), 10);
	file_is(t, 0, SECTORS * 512, -1);
}

static void read_only_disk_is_not_written(void **state)
{
	struct bt t;

	up(&t, URING, "disk,ro=on", memory_disk(0));
	start(&t, VIRTIO_BIT(32) | VIRTIO_BIT(5) | VIRTIO_BIT(9));
	assert_int_equal(ask(&t, VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ask_range(&t, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask_range(&t, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask(&t, VIRTIO_BLK_T_IN, 0, 512), 0);
	assert_int_equal(ask(&t, VIRTIO_BLK_T_FLUSH, 0, 0), 0);
	file_is(&t, 0, SECTORS * 512, -1);
	down(&t);
}

static void unknown_kinds_are_unsupported(void **state)
{
	static const uint32_t kinds[] = { 2, 3, 5, 6, 7, 9, 10, 12, 14, 15, 16, 0x80000000, ~0u };
	const unsigned int n = sizeof(kinds) / sizeof(kinds[0]);
	struct bt *t = *state;

	start(t, F_BLK);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(ask(t, kinds[i], 0, 512), VIRTIO_BLK_S_UNSUPP);
	/* these are known, but were not negotiated */
	start(t, VIRTIO_BIT(VIRTIO_F_VERSION_1));
	assert_int_equal(ask_range(t, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ask_range(t, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(counter(t, "unsupported"), n + 2);
	file_is(t, 0, SECTORS * 512, -1);
}

static void request_without_status_byte_stops_the_device(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	header(t, 0, VIRTIO_BLK_T_FLUSH, 0);
	desc(t, 0, area(0), 16, 0);
	post(t, 0, 0);
	poll_once(t);
	assert_int_equal(vg_status(&t->g), 15 | 64);
	assert_int_equal(counter(t, "needs_reset"), 1);
	assert_non_null(strstr(t->message, "status"));
	request(t, 1, VIRTIO_BLK_T_FLUSH, 0, 0);
	poll_once(t);
	assert_int_equal(vg_used(&t->g, 0)->idx, 0);
	start(t, F_BLK);
	assert_int_equal(ask(t, VIRTIO_BLK_T_IN, 0, 512), 0);
	/* a writable descriptor of no bytes is no place either */
	start(t, F_BLK);
	header(t, 0, VIRTIO_BLK_T_FLUSH, 0);
	desc(t, 0, area(0), 16, NEXT);
	desc(t, 0, area(0) + STATUS_AT, 0, WRITE);
	post(t, 0, 0);
	poll_once(t);
	assert_int_equal(vg_status(&t->g), 15 | 64);
}

static void short_header_is_refused(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	for (uint32_t len = 0; len < 16; len++) {
		t->n_desc = 0;
		header(t, 0, VIRTIO_BLK_T_FLUSH, 0);
		desc(t, 0, area(0), len, NEXT);
		desc(t, 0, area(0) + STATUS_AT, 1, WRITE);
		post(t, 0, 0);
		poll_answers(t, 0, len + 1);
		assert_int_equal(status(t, 0), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(counter(t, "refused"), 16);
	assert_int_equal(counter(t, "flushes"), 0);
}

static void bad_ranges_are_refused(void **state)
{
	static const uint32_t both[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
	static const uint32_t lens[] = { 0, 1, 15, 17, 24, 32 };
	struct bt *t = *state;

	start(t, F_BLK);
	for (unsigned int k = 0; k < 2; k++) {
		uint32_t max = k ? VBLK_MAX_ZEROES : VBLK_MAX_DISCARD, type = both[k];

		memset(data(t, 0), 0, 64);
		for (unsigned int i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
			assert_int_equal(ask(t, type, 0, lens[i]), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_range(t, type, SECTORS, 1, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_range(t, type, SECTORS - 1, 2, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_range(t, type, ~0ull, 1, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_range(t, type, 1ull << 55, 1, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_range(t, type, 0, max + 1, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_range(t, type, 0, ~0u, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_range(t, type, 0, 1, 2), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(ask_range(t, type, 0, 1, ~0u), VIRTIO_BLK_S_UNSUPP);
	}
	assert_int_equal(ask_range(t, VIRTIO_BLK_T_DISCARD, 0, 1, 1), VIRTIO_BLK_S_UNSUPP);
	file_is(t, 0, SECTORS * 512, -1);
}

static void ranges_have_a_largest_size(void **state)
{
	static const uint32_t both[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
	int fd = memory_disk(0);
	struct bt t;

	assert_int_equal(ftruncate(fd, 8ll << 30), 0);
	up(&t, URING, "disk", fd);
	start(&t, F_BLK);
	for (unsigned int k = 0; k < 2; k++) {
		uint32_t max = config32(&t, k ? 48 : 36);

		assert_int_equal(max, k ? VBLK_MAX_ZEROES : VBLK_MAX_DISCARD);
		assert_int_equal(ask_range(&t, both[k], SECTORS, max + 1, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_range(&t, both[k], SECTORS, ~0u, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ask_range(&t, both[k], SECTORS, max, k), 0);
	}
	file_is(&t, 0, SECTORS * 512, -1);
	down(&t);
}

/* --- order, failure and reset, with operations in hand --- */
static void flush_is_answered_after_the_sync(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	request(t, 0, VIRTIO_BLK_T_OUT, 0, 512);
	poll_once(t);
	held_end(&t->held, 0, 512);
	poll_once(t);
	assert_int_equal(vg_used(&t->g, 0)->idx, 1);
	request(t, 1, VIRTIO_BLK_T_FLUSH, 0, 0);
	poll_once(t);
	poll_once(t);
	assert_int_equal(t->held.n, 2);
	assert_int_equal(t->held.io[1]->op, BLK_SYNC);
	assert_int_equal(vg_used(&t->g, 0)->idx, 1);
	assert_int_equal(status(t, 1), 0xee);
	held_end(&t->held, 1, 0);
	poll_once(t);
	assert_int_equal(vg_used(&t->g, 0)->idx, 2);
	assert_int_equal(status(t, 1), 0);
}

static void flush_that_fails_is_told(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	request(t, 0, VIRTIO_BLK_T_FLUSH, 0, 0);
	poll_once(t);
	held_end(&t->held, 0, -EIO);
	poll_once(t);
	assert_int_equal(status(t, 0), VIRTIO_BLK_S_IOERR);
	assert_non_null(strstr(t->message, "flushing"));
}

static void writes_are_through_without_a_cache(void **state)
{
	const uint64_t wce = VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE),
		       flush = VIRTIO_BIT(VIRTIO_BLK_F_FLUSH), base = F_BLK & ~flush;
	static const struct {
		bool flush, wce;
		int written; /* by the driver into `writeback`; -1: nothing */
		bool through;
	} row[] = {
		{ true, false, -1, false }, { false, false, -1, true }, { true, true, -1, false },
		{ false, true, -1, true },  { true, true, 0, true },    { true, true, 1, false },
		{ false, true, 1, false },
	};
	struct bt *t = *state;

	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		start(t, base | (row[i].flush ? flush : 0) | (row[i].wce ? wce : 0));
		t->held.n = 0;
		if (row[i].written >= 0)
			vg_write(&t->g, 0x2000 + 32, 1, (uint64_t)row[i].written);
		if (row[i].wce)
			assert_int_equal(vg_read(&t->g, 0x2000 + 32, 1), !row[i].through);
		request(t, 0, VIRTIO_BLK_T_OUT, 0, 512);
		poll_once(t);
		assert_int_equal(t->held.io[0]->dsync, row[i].through);
		held_end(&t->held, 0, 512);
		*(struct virtio_blk_range *)data(t, 1) = (struct virtio_blk_range){ 0, 8, 0 };
		request(t, 1, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16);
		poll_once(t);
		held_end(&t->held, 1, 0);
		poll_once(t);
		assert_int_equal(status(t, 1), row[i].through ? 0xee : 0);
		if (!row[i].through)
			continue;
		assert_int_equal(t->held.io[2]->op, BLK_SYNC);
		held_end(&t->held, 2, 0);
		poll_once(t);
		assert_int_equal(status(t, 1), 0);
	}
}

static void cache_mode_changes_only_when_negotiated(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	vg_write(&t->g, 0x2000 + 32, 1, 0);
	assert_int_equal(vg_read(&t->g, 0x2000 + 32, 1), 1);
	start(t, F_BLK | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE));
	vg_write(&t->g, 0x2000 + 32, 4, 0);
	vg_write(&t->g, 0x2000 + 0, 1, 9);
	vg_write(&t->g, 0x2ffc, 4, 0);
	assert_int_equal(vg_read(&t->g, 0x2000 + 32, 1), 1);
	assert_int_equal(config32(t, 0), SECTORS);
	vg_write(&t->g, 0x2000 + 32, 1, 0);
	assert_int_equal(vg_read(&t->g, 0x2000 + 32, 1), 0);
	assert_int_equal(counter(t, "driver_errors"), 4);
	vg_set_status(&t->g, 0);
	assert_int_equal(vg_read(&t->g, 0x2000 + 32, 1), 1);
}

static void transfers_go_on_where_they_stopped(void **state)
{
	struct bt *t = *state;
	struct held *h = &t->held;

	start(t, F_BLK);
	header(t, 0, VIRTIO_BLK_T_IN, 4);
	desc(t, 0, area(0), 16, NEXT);
	desc(t, 0, area(0) + DATA_AT, 1000, NEXT | WRITE);
	desc(t, 0, area(0) + DATA_AT + 2000, 1048, NEXT | WRITE);
	desc(t, 0, area(0) + STATUS_AT, 1, WRITE);
	post(t, 0, 0);
	poll_once(t);
	assert_int_equal(h->io[0]->n_iov, 2);
	assert_int_equal(h->io[0]->len, 2048);
	held_end(h, 0, 1);
	poll_once(t);
	assert_int_equal(h->io[1]->offset, 2049);
	assert_int_equal(h->io[1]->len, 2047);
	assert_ptr_equal(h->io[1]->iov[0].iov_base, data(t, 0) + 1);
	assert_int_equal(h->io[1]->iov[0].iov_len, 999);
	held_end(h, 1, 1024);
	poll_once(t);
	assert_int_equal(h->io[2]->n_iov, 1);
	assert_ptr_equal(h->io[2]->iov[0].iov_base, data(t, 0) + 2025);
	assert_int_equal(h->io[2]->len, 1023);
	held_end(h, 2, -EINTR);
	poll_once(t);
	assert_int_equal(h->n, 4);
	assert_int_equal(status(t, 0), 0xee);
	held_end(h, 3, 1023);
	poll_once(t);
	assert_int_equal(status(t, 0), 0);
	assert_int_equal(counter(t, "read_bytes"), 2048);
}

static void operation_that_is_always_interrupted_fails(void **state)
{
	struct bt *t = *state;
	unsigned int i;

	start(t, F_BLK);
	request(t, 0, VIRTIO_BLK_T_IN, 4, 512);
	poll_once(t);
	for (i = 0; i < 100 && status(t, 0) == 0xee; i++) {
		held_end(&t->held, i, -EAGAIN);
		poll_once(t);
	}
	assert_true(i > 1 && i < 100);
	assert_int_equal(status(t, 0), VIRTIO_BLK_S_IOERR);
}

static void full_host_is_told_with_a_remedy(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	request(t, 0, VIRTIO_BLK_T_OUT, 4, 512);
	poll_once(t);
	held_end(&t->held, 0, -ENOSPC);
	poll_once(t);
	assert_int_equal(status(t, 0), VIRTIO_BLK_S_IOERR);
	assert_non_null(strstr(t->message, "No space left"));
	assert_non_null(strstr(t->message, "make room"));
	assert_int_equal(vg_status(&t->g), 15);
}

static void discard_that_the_host_has_not_is_unsupported(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	*(struct virtio_blk_range *)data(t, 0) = (struct virtio_blk_range){ 0, 8, 0 };
	request(t, 0, VIRTIO_BLK_T_DISCARD, 0, 16);
	poll_once(t);
	held_end(&t->held, 0, -EOPNOTSUPP);
	poll_once(t);
	assert_int_equal(status(t, 0), VIRTIO_BLK_S_UNSUPP);
}

static void answers_come_in_the_order_of_the_host(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	for (unsigned int i = 0; i < 16; i++)
		request(t, i, VIRTIO_BLK_T_IN, i, 512);
	poll_once(t);
	assert_int_equal(counter(t, "in_hand"), 16);
	for (unsigned int i = 0; i < 16; i++) {
		held_end(&t->held, i * 7 % 16, 512);
		poll_once(t);
		assert_int_equal(vg_used(&t->g, 0)->ring[i].id, i * 7 % 16 * 3);
	}
}

static void requests_in_hand_are_bounded(void **state)
{
	struct bt t;
	unsigned int n = 0;

	up(&t, HELD, "disk,queues=2", memory_disk(0));
	start_queues(&t, F_BLK | VIRTIO_BIT(VIRTIO_BLK_F_MQ), 2);
	header(&t, 0, VIRTIO_BLK_T_FLUSH, 0);
	for (unsigned int q = 0; q < 2; q++) {
		vg_set_desc(&t.g, q, 0, area(0), 16, NEXT, 1);
		vg_set_desc(&t.g, q, 1, area(0) + STATUS_AT, 1, WRITE, 0);
		for (unsigned int i = 0; i < VBLK_QUEUE_SIZE; i++)
			post(&t, q, 0);
	}
	while (poll_once(&t))
		;
	assert_int_equal(counter(&t, "in_hand"), VBLK_IN_HAND);
	assert_int_equal(t.held.n, VBLK_IN_HAND);
	assert_int_equal(vg_status(&t.g), 15);
	while (n < t.held.n) {
		held_end(&t.held, n++, 0);
		while (poll_once(&t))
			;
	}
	assert_int_equal(n, 2 * VBLK_QUEUE_SIZE);
	assert_int_equal(vg_used(&t.g, 0)->idx, VBLK_QUEUE_SIZE);
	assert_int_equal(vg_used(&t.g, 1)->idx, VBLK_QUEUE_SIZE);
	down(&t);
}

static void nothing_is_answered_by_a_stopped_device(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	request(t, 0, VIRTIO_BLK_T_IN, 0, 512);
	poll_once(t);
	desc(t, 0, area(1), 16, 0); /* no status byte */
	post(t, 0, 3);
	poll_once(t);
	assert_int_equal(vg_status(&t->g), 15 | 64);
	held_end(&t->held, 0, 512);
	poll_once(t);
	assert_int_equal(vg_used(&t->g, 0)->idx, 0);
	assert_int_equal(status(t, 0), 0xee);
	start(t, F_BLK);
	assert_int_equal(counter(t, "in_hand"), 0);
}

static void nothing_moves_without_bus_mastering(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	vg_cfg_write(&t->g, 4, 2, 0x2);
	request(t, 0, VIRTIO_BLK_T_FLUSH, 0, 0);
	poll_once(t);
	assert_int_equal(t->held.n, 0);
	vg_cfg_write(&t->g, 4, 2, 0x6);
	poll_once(t);
	assert_int_equal(t->held.n, 1);
	vg_cfg_write(&t->g, 4, 2, 0x2);
	held_end(&t->held, 0, 0);
	poll_once(t);
	assert_int_equal(status(t, 0), 0xee);
	vg_cfg_write(&t->g, 4, 2, 0x6);
	poll_once(t);
	assert_int_equal(status(t, 0), 0);
}

struct later {
	struct held *h;
	_Atomic bool ended;
};

static void *end_later(void *arg)
{
	const struct timespec nap = { .tv_nsec = 50000000 };
	struct later *l = arg;

	nanosleep(&nap, NULL);
	l->ended = true;
	held_end(l->h, 0, 512);
	held_end(l->h, 1, -EIO);
	return NULL;
}

/* --- pause --- */
static int pause_disk(struct bt *t)
{
	return t->b->dev.ops->pause(&t->b->dev);
}

static void pause_ends_what_is_in_hand_and_begins_nothing(void **state)
{
	struct bt *t = *state;
	struct later l = { .h = &t->held };
	pthread_t thread;

	start(t, F_BLK);
	request(t, 0, VIRTIO_BLK_T_IN, 0, 512);
	request(t, 1, VIRTIO_BLK_T_OUT, 8, 512);
	poll_once(t);
	request(t, 2, VIRTIO_BLK_T_IN, 16, 512);
	assert_int_equal(pthread_create(&thread, NULL, end_later, &l), 0);
	assert_int_equal(pause_disk(t), 0);
	assert_true(l.ended);
	pthread_join(thread, NULL);
	assert_int_equal(counter(t, "in_hand"), 0);
	assert_int_equal(vg_used(&t->g, 0)->idx, 2);
	assert_int_equal(t->held.n, 2);
	t->b->dev.ops->resume(&t->b->dev);
	poll_once(t);
	assert_int_equal(t->held.n, 3);
	held_end(&t->held, 2, 512);
	poll_once(t);
	assert_int_equal(vg_used(&t->g, 0)->idx, 3);
	assert_int_equal(status(t, 2), 0);
}

static void pause_gives_up_when_the_host_does_not_answer(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	request(t, 0, VIRTIO_BLK_T_IN, 0, 512);
	request(t, 1, VIRTIO_BLK_T_IN, 8, 512);
	poll_once(t);
	t->b->forget_ms = 10;
	held_end(&t->held, 1, 512);
	assert_true(pause_disk(t) < 0);
	assert_int_equal(t->n_messages, 1);
	assert_non_null(strstr(t->message, "not paused"));
	/* it goes on as if nothing had been */
	assert_int_equal(vg_used(&t->g, 0)->idx, 1);
	assert_int_equal(status(t, 1), 0);
	held_end(&t->held, 0, 512);
	poll_once(t);
	assert_int_equal(vg_used(&t->g, 0)->idx, 2);
	assert_int_equal(pause_disk(t), 0);
}

static void pause_in_mid_flight_with_a_real_disk(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	assert_int_equal(pause_disk(t), 0); /* with nothing to wait for */
	t->b->dev.ops->resume(&t->b->dev);
	for (unsigned int i = 0; i < 20; i++)
		request(t, i, i % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, 8 * i, 4096);
	poll_once(t);
	assert_int_equal(pause_disk(t), 0);
	assert_int_equal(counter(t, "in_hand"), 0);
	assert_int_equal(vg_used(&t->g, 0)->idx, 20);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(status(t, i), 0);
}

static void reset_waits_for_what_is_in_hand(void **state)
{
	struct bt *t = *state;
	struct later l = { .h = &t->held };
	pthread_t thread;

	start(t, F_BLK);
	request(t, 0, VIRTIO_BLK_T_IN, 0, 512);
	request(t, 1, VIRTIO_BLK_T_OUT, 8, 512);
	poll_once(t);
	assert_int_equal(pthread_create(&thread, NULL, end_later, &l), 0);
	vg_set_status(&t->g, 0);
	assert_true(l.ended);
	pthread_join(thread, NULL);
	assert_int_equal(vg_status(&t->g), 0);
	assert_int_equal(counter(t, "in_hand"), 0);
	assert_int_equal(status(t, 0), 0xee);
	assert_int_equal(status(t, 1), 0xee);
	t->held.n = 0;
	start(t, F_BLK);
	assert_int_equal(t->held.starts, 2);
	poll_once(t);
	assert_int_equal(vg_used(&t->g, 0)->idx, 0);
	request(t, 0, VIRTIO_BLK_T_FLUSH, 0, 0);
	poll_once(t);
	held_end(&t->held, 0, 0);
	poll_once(t);
	assert_int_equal(status(t, 0), 0);
}

static void reset_in_mid_flight_with_a_real_disk(void **state)
{
	struct bt *t = *state;

	for (unsigned int round = 0; round < 20; round++) {
		start(t, F_BLK);
		for (unsigned int i = 0; i < 20; i++) {
			memset(data(t, i), (int)round, 4096);
			request(t, i, i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, 8 * i, 4096);
		}
		poll_once(t);
		vg_set_status(&t->g, 0);
		assert_int_equal(counter(t, "in_hand"), 0);
		/* nothing comes late */
		for (unsigned int i = 0; i < 20; i++)
			memset(at(t, area(i)), 0xbb, 0x2000);
		poll_once(t);
		for (unsigned int i = 0; i < 20; i++)
			for (unsigned int k = 0; k < 0x2000; k += 64)
				assert_int_equal(*(uint8_t *)at(t, area(i) + k), 0xbb);
	}
	start(t, F_BLK);
	assert_int_equal(ask(t, VIRTIO_BLK_T_IN, 8, 512), 0);
	assert_int_equal(data(t, 0)[0], 19);
}

static void disk_that_never_answers_ends_the_guest(void **state)
{
	struct bt *t = *state;

	start(t, F_BLK);
	request(t, 0, VIRTIO_BLK_T_IN, 0, 512);
	poll_once(t);
	t->b->forget_ms = 20;
	vg_set_status(&t->g, 0);
	assert_int_equal(atomic_load(&t->g.vm->stop), VM_STOP_ERROR);
	assert_non_null(strstr(t->message, "ending the guest"));
	held_end(&t->held, 0, 512);
}

/* --- the engines themselves --- */
struct uring_inside { /* as in virtio_blk_uring.c */
	struct blk_engine e;
	struct io_uring ring;
};

static int try_op(struct io_uring *ring, int op, int fd, unsigned int flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	static char byte;
	static struct iovec v = { &byte, 1 };
	int res;

	io_uring_prep_rw(op, sqe, fd, &v, 1, 0);
	sqe->flags = (uint8_t)flags;
	assert_int_equal(io_uring_submit(ring), 1);
	assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static void ring_can_do_nothing_else(void **state)
{
	int file = memory_disk(0);
	struct blk_engine *e;
	struct io_uring *ring;

	if (blk_uring_create(file, 8, &e) < 0) {
		close(file);
		skip();
	}
	ring = &((struct uring_inside *)e)->ring;
	assert_int_equal(try_op(ring, IORING_OP_WRITEV, 0, IOSQE_FIXED_FILE), 1);
	assert_int_equal(try_op(ring, IORING_OP_WRITEV, 2, 0), -EACCES);
	assert_int_equal(try_op(ring, IORING_OP_READV, file, 0), -EACCES);
	for (int op = 0; op < IORING_OP_LAST; op++)
		if (op != IORING_OP_WRITEV && op != IORING_OP_READV && op != IORING_OP_FSYNC &&
		    op != IORING_OP_FALLOCATE)
			assert_int_equal(try_op(ring, op, 0, IOSQE_FIXED_FILE), -EACCES);
	/* another file cannot be put into it either */
	assert_int_equal(io_uring_unregister_files(ring), -EACCES);
	e->ops->destroy(e);
}

/* In a process of its own, whose kernel refuses rings. */
static int without_rings(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	struct bt t;
	bool right;

	if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_setup), 0) < 0 ||
	    seccomp_load(ctx) < 0)
		return 77;
	seccomp_release(ctx);
	up(&t, URING, "disk", memory_disk(0));
	start(&t, F_BLK);
	right = ask(&t, VIRTIO_BLK_T_IN, 3, 512) == 0 && data(&t, 0)[0] == pattern(3 * 512) &&
		counter(&t, "io_uring") == 0;
	down(&t);
	return right ? 0 : 1;
}

static void threads_step_in_where_rings_are_refused(void **state)
{
	pid_t pid = fork();
	int how;

	if (pid == 0)
		_exit(without_rings());
	assert_int_equal(waitpid(pid, &how, 0), pid);
	assert_true(WIFEXITED(how));
	if (WEXITSTATUS(how) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(how), 0);
}

/* --- both engines run the same tests --- */
#define WITH(test, set)    cmocka_unit_test_setup_teardown(test, set, teardown)
#define NAME(test, engine) #test "_by_" #engine
#define BY(test, engine, set, tear) \
	{ \
		NAME(test, engine), test, set, tear, &by_##engine \
	}
#define ENGINE_TESTS(engine) \
	BY(read_gives_what_the_file_holds, engine, setup_##engine, teardown), \
		BY(write_changes_its_sectors_only, engine, setup_##engine, teardown), \
		BY(flush_and_empty_requests_succeed, engine, setup_##engine, teardown), \
		BY(header_data_and_status_may_lie_anywhere, engine, setup_##engine, teardown), \
		BY(request_may_stand_in_an_indirect_table, engine, setup_##engine, teardown), \
		BY(sixty_four_requests_are_in_flight_together, engine, setup_##engine, teardown), \
		BY(reset_in_mid_flight_with_a_real_disk, engine, setup_##engine, teardown), \
		BY(pause_in_mid_flight_with_a_real_disk, engine, setup_##engine, teardown), \
		BY(every_queue_serves_requests, engine, NULL, NULL), \
		BY(host_errors_are_told, engine, NULL, NULL), \
		BY(discard_and_zeroes_reach_the_file, engine, NULL, NULL), \
		BY(zeroes_are_written_where_there_is_no_call, engine, NULL, NULL), \
		BY(direct_io_takes_any_buffer, engine, NULL, NULL)

int main(void)
{
	static enum engine by_uring = URING, by_threads = THREADS;
	const struct CMUnitTest tests[] = {
		ENGINE_TESTS(uring),
		ENGINE_TESTS(threads),
		WITH(config_describes_the_disk, setup_uring),
		cmocka_unit_test(features_follow_the_options),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(id_is_the_serial_text),
		WITH(sectors_beyond_the_end_are_refused, setup_uring),
		WITH(lengths_that_are_no_sectors_are_refused, setup_uring),
		cmocka_unit_test(read_only_disk_is_not_written),
		WITH(unknown_kinds_are_unsupported, setup_uring),
		WITH(request_without_status_byte_stops_the_device, setup_uring),
		WITH(short_header_is_refused, setup_uring),
		WITH(bad_ranges_are_refused, setup_uring),
		cmocka_unit_test(ranges_have_a_largest_size),
		cmocka_unit_test(ring_can_do_nothing_else),
		cmocka_unit_test(threads_step_in_where_rings_are_refused),
		WITH(flush_is_answered_after_the_sync, setup_held),
		WITH(flush_that_fails_is_told, setup_held),
		WITH(writes_are_through_without_a_cache, setup_held),
		WITH(cache_mode_changes_only_when_negotiated, setup_held),
		WITH(transfers_go_on_where_they_stopped, setup_held),
		WITH(operation_that_is_always_interrupted_fails, setup_held),
		WITH(full_host_is_told_with_a_remedy, setup_held),
		WITH(discard_that_the_host_has_not_is_unsupported, setup_held),
		WITH(answers_come_in_the_order_of_the_host, setup_held),
		cmocka_unit_test(requests_in_hand_are_bounded),
		WITH(nothing_is_answered_by_a_stopped_device, setup_held),
		WITH(nothing_moves_without_bus_mastering, setup_held),
		WITH(reset_waits_for_what_is_in_hand, setup_held),
		WITH(pause_ends_what_is_in_hand_and_begins_nothing, setup_held),
		WITH(pause_gives_up_when_the_host_does_not_answer, setup_held),
		WITH(disk_that_never_answers_ends_the_guest, setup_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

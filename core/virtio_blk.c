/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-blk for the guest: the device behind `--disk`. Here are its life, its configuration and
 * its poller; requests are virtio_blk_req.c, registers virtio_dev.c. The supervisor has opened the
 * file (prep_disk.c). VIRTIO 1.2 section 5.2. Offered: SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY,
 * CONFIG_WCE, DISCARD, WRITE_ZEROES, RO, MQ, the ring's features. Left out: SIZE_MAX (any segment
 * is taken), GEOMETRY, SECURE_ERASE, a file that changes its size while the guest runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/paths.h"
#include "core/virtio_blk_priv.h"

#define CLASS_STORAGE 0x010000
#define FORGET_MS     10000
#define BURST         64 /* requests of a queue before the next has its turn */

static struct vblk *vblk_of_vd(struct virtio_dev *vd)
{
	return (struct vblk *)vd; /* its first member */
}

/* --- what the transport asks --- */
static void vblk_start(struct virtio_dev *vd)
{
	struct vblk *b = vblk_of_vd(vd);

	/* 5.2.5.2: without FLUSH there is no cache, unless the driver has said so since */
	if (!b->wce_written)
		b->writeback = virtio_has(vd, VIRTIO_BLK_F_FLUSH);
	if (b->engine->ops->start(b->engine) < 0)
		virtio_broken(vd, 0, "the host gives no threads for the disk");
}

/* A driver that runs again may use its buffers for something else: nothing of the old ones may be
 * on its way then. */
static void vblk_stop(struct virtio_dev *vd)
{
	struct vblk *b = vblk_of_vd(vd);

	b->wce_written = false;
	b->writeback = true;
	if (vblk_forget(b))
		return;
	err_say("%s: the host's disk has not answered for long, and the guest has reset the "
		"device; ending the guest, so that nothing is written into its memory later",
		vd->pci.name);
	vm_request_stop(vd->pci.vm, VM_STOP_ERROR);
}

static uint8_t vblk_log2(uint32_t n)
{
	return n ? (uint8_t)(31 - __builtin_clz(n)) : 0;
}

static void vblk_config(struct virtio_dev *vd, uint8_t cfg[VIRTIO_CONFIG_MAX])
{
	const struct vblk *b = vblk_of_vd(vd);
	const uint32_t align = b->phys_size / VIRTIO_BLK_SECTOR;
	struct virtio_blk_config c = {
		.capacity = b->capacity,
		.seg_max = VBLK_SEG_MAX,
		.blk_size = b->blk_size,
		.physical_block_exp = vblk_log2(b->phys_size / b->blk_size),
		.min_io_size = (uint16_t)(b->min_io / b->blk_size),
		.opt_io_size = b->opt_io / b->blk_size,
		.writeback = b->writeback,
		.num_queues = (uint16_t)b->n_queues,
	};

	if (!b->ro) {
		c.max_write_zeroes_sectors = VBLK_MAX_ZEROES;
		c.max_write_zeroes_seg = 1;
		c.write_zeroes_may_unmap = 1;
	}
	if (b->can_discard) {
		c.max_discard_sectors = VBLK_MAX_DISCARD;
		c.max_discard_seg = 1;
		c.discard_sector_alignment = align;
	}
	memcpy(cfg, &c, sizeof(c));
}

static void vblk_config_write(struct virtio_dev *vd, unsigned int off, unsigned int size,
			      uint64_t val)
{
	struct vblk *b = vblk_of_vd(vd);

	if (off != offsetof(struct virtio_blk_config, writeback) || size != 1 ||
	    !(vd->status & VIRTIO_STATUS_FEATURES_OK) || !virtio_has(vd, VIRTIO_BLK_F_CONFIG_WCE)) {
		virtio_driver_error(vd);
		return;
	}
	b->writeback = val & 1;
	b->wce_written = true;
}

static const struct virtio_dev_ops vblk_ops = {
	.start = vblk_start,
	.stop = vblk_stop,
	.config = vblk_config,
	.config_write = vblk_config_write,
	.config_size = sizeof(struct virtio_blk_config),
};

/* --- the poller --- */
static struct vblk *vblk_of_poller(struct io_poller *p)
{
	return p->opaque;
}

static bool vblk_may_work(struct vblk *b)
{
	return atomic_load_explicit(&b->vd.live, memory_order_relaxed) &&
	       pci_bus_master(&b->vd.pci);
}

static unsigned int vblk_poll(struct io_poller *p)
{
	struct vblk *b = vblk_of_poller(p);
	unsigned int work;

	if (!vblk_may_work(b))
		return 0;
	if (!virtio_lock_io(&b->vd))
		return 1;
	work = vblk_may_work(b) ? vblk_reap(b) : 0;
	for (unsigned int i = 0; i < b->n_queues && vblk_may_work(b); i++) {
		unsigned int q = (b->first + i) % b->n_queues;

		if (b->vd.queue[q].vq.started)
			work += vblk_take(b, q, BURST);
	}
	/* who was first is last when requests are scarce */
	b->first = (b->first + 1) % b->n_queues;
	work += !b->engine->ops->submit(b->engine);
	vblk_publish(b);
	virtio_unlock(&b->vd);
	return work;
}

static void vblk_notify(struct vblk *b, bool on)
{
	pthread_mutex_lock(&b->vd.lock);
	for (unsigned int i = 0; i < b->n_queues; i++) {
		struct virtqueue *vq = &b->vd.queue[i].vq;

		if (!vq->started)
			continue;
		if (on)
			vq_notify_on(vq);
		else
			vq_notify_off(vq);
	}
	virtio_unlock(&b->vd);
}

static void vblk_wake(struct io_poller *p)
{
	vblk_notify(vblk_of_poller(p), false);
}

static void vblk_rest(struct io_poller *p)
{
	vblk_notify(vblk_of_poller(p), true);
}

/* The engine has done something while the thread slept. */
static void vblk_ready(struct io_fd *f, uint32_t events)
{
	struct vblk *b = f->opaque;
	uint64_t n;

	if (read(f->fd, &n, sizeof(n)) == sizeof(n))
		io_busy(b->io);
}

/* --- life --- */
static void vblk_destroy(struct device *d)
{
	struct vblk *b = (struct vblk *)((char *)d - offsetof(struct vblk, dev));

	if (b->engine) {
		io_remove_poller(b->io, &b->poller);
		io_remove_fd(b->io, &b->done);
		/* whether it ends in time or not: the process is about to end */
		vblk_forget(b);
		b->engine->ops->destroy(b->engine);
	}
	virtio_dev_destroy(&b->vd);
	vblk_req_free(b);
	free(b);
}

static void vblk_stats(struct device *d, struct stats_sink *s)
{
	struct vblk *b = (struct vblk *)((char *)d - offsetof(struct vblk, dev));

	stats_put(s, "reads", b->n.reads);
	stats_put(s, "writes", b->n.writes);
	stats_put(s, "flushes", b->n.flushes);
	stats_put(s, "discards", b->n.discards);
	stats_put(s, "write_zeroes", b->n.zeroes);
	stats_put(s, "read_bytes", b->n.read_bytes);
	stats_put(s, "write_bytes", b->n.write_bytes);
	stats_put(s, "errors", b->n.errors);
	stats_put(s, "refused", b->n.refused);
	stats_put(s, "unsupported", b->n.unsupported);
	stats_put(s, "bounced", b->n.bounced);
	stats_put(s, "in_hand", atomic_load(&b->in_hand));
	stats_put(s, "io_uring", !strcmp(b->engine->ops->name, "io_uring"));
	stats_put(s, "kicks", atomic_load(&b->vd.n_kicks));
	stats_put(s, "trapped_kicks", atomic_load(&b->vd.n_trapped_kicks));
	stats_put(s, "interrupts", atomic_load(&b->vd.n_interrupts));
	stats_put(s, "driver_errors", atomic_load(&b->vd.n_driver_errors));
	stats_put(s, "needs_reset", atomic_load(&b->vd.n_broken));
}

/* The I/O thread takes nothing meanwhile: what the engine has in hand is all there is. */
static int vblk_pause(struct device *d)
{
	struct vblk *b = (struct vblk *)((char *)d - offsetof(struct vblk, dev));
	bool done;

	pthread_mutex_lock(&b->vd.lock);
	done = vblk_finish(b);
	virtio_unlock(&b->vd);
	return done ? 0
		    : err_ret(-EBUSY,
			      "%s: the host's disk has not answered for long, so the guest is not "
			      "paused; try again when it does",
			      d->name);
}

static void vblk_resume(struct device *d)
{
	io_wake(((struct vblk *)((char *)d - offsetof(struct vblk, dev)))->io);
}

static const struct device_ops vblk_device_ops = {
	.destroy = vblk_destroy,
	.stats = vblk_stats,
	.pause = vblk_pause,
	.resume = vblk_resume,
};

/* --- what the file is like --- */
/*
 * Whether a block device gives sectors back when a hole is punched (the file operation that a ring
 * and a thread both have). A partition's disk tells for it; older kernels have only the second
 * name.
 */
static bool vblk_device_discards(dev_t dev)
{
	static const char *const attr[] = {
		"queue/write_zeroes_unmap_max_bytes",
		"../queue/write_zeroes_unmap_max_bytes",
		"queue/write_zeroes_max_bytes",
		"../queue/write_zeroes_max_bytes",
	};
	char line[32];

	for (unsigned int i = 0; i < sizeof(attr) / sizeof(attr[0]); i++)
		if (paths_read_line(line, sizeof(line), "/sys/dev/block/%u:%u/%s", major(dev),
				    minor(dev), attr[i]) > 0)
			return strtoull(line, NULL, 10) > 0;
	return false;
}

static bool vblk_power_of_two(uint32_t n, uint32_t min, uint32_t max)
{
	return n >= min && n <= max && !(n & (n - 1));
}

static int vblk_probe_device(struct vblk *b, int file, const struct stat *st)
{
	unsigned int phys = 0, min = 0, opt = 0;
	int logical = 0;
	uint64_t size;

	if (ioctl(file, BLKGETSIZE64, &size) < 0 || ioctl(file, BLKSSZGET, &logical) < 0)
		return -errno;
	ioctl(file, BLKPBSZGET, &phys);
	ioctl(file, BLKIOMIN, &min);
	ioctl(file, BLKIOOPT, &opt);
	b->capacity = size / VIRTIO_BLK_SECTOR;
	/* the unit in which a partition table on it counts */
	if (vblk_power_of_two((uint32_t)logical, VIRTIO_BLK_SECTOR, 65536))
		b->blk_size = (uint32_t)logical;
	b->phys_size = vblk_power_of_two(phys, b->blk_size, 1u << 20) ? phys : b->blk_size;
	b->min_io = min;
	b->opt_io = opt;
	b->can_discard = !b->ro && vblk_device_discards(st->st_rdev);
	return 0;
}

static void vblk_probe_file(struct vblk *b, int file, const struct stat *st)
{
	b->capacity = (uint64_t)st->st_size / VIRTIO_BLK_SECTOR;
	if (vblk_power_of_two((uint32_t)st->st_blksize, VIRTIO_BLK_SECTOR, 65536))
		b->phys_size = (uint32_t)st->st_blksize;
	b->min_io = b->phys_size;
	/* a hole behind the end changes nothing, but tells whether there can be one */
	b->can_discard = !b->ro && fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					     st->st_size, VIRTIO_BLK_SECTOR) == 0;
}

static int vblk_probe(struct vblk *b, int file)
{
	struct stat st;
	int ret = 0;

	b->blk_size = b->phys_size = VIRTIO_BLK_SECTOR;
	if (fstat(file, &st) < 0)
		ret = -errno;
	else if (S_ISBLK(st.st_mode))
		ret = vblk_probe_device(b, file, &st);
	else
		vblk_probe_file(b, file, &st);
	return ret < 0 ? err_ret(ret, "%s: asking for the size of its file: %s; give another file",
				 b->dev.name, strerror(-ret))
		       : 0;
}

/* --- making it --- */
static int vblk_take_options(struct vblk *b, struct device_conf *conf)
{
	const char *serial = opts_take(conf->opts, "serial");
	uint64_t queues = 1;
	int ret = opts_take_bool(conf->opts, "ro", &b->ro);

	if (ret == 0)
		ret = opts_take_bool(conf->opts, "direct", &b->direct);
	if (ret == 0)
		ret = opts_take_number(conf->opts, "queues", 1, VBLK_MAX_QUEUES, &queues);
	if (!serial)
		serial = conf->name;
	if (ret == 0 && strlen(serial) > sizeof(b->serial))
		ret = err_ret(-EINVAL, "%s: serial=%s is longer than %d bytes; shorten it",
			      conf->name, serial, VIRTIO_BLK_ID_BYTES);
	if (ret == 0)
		memcpy(b->serial, serial, strlen(serial));
	b->n_queues = (unsigned int)queues;
	return ret;
}

static uint64_t vblk_features(const struct vblk *b)
{
	uint64_t f = VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_BLK_SIZE) |
		     VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_TOPOLOGY);

	f |= b->ro ? VIRTIO_BIT(VIRTIO_BLK_F_RO)
		   : VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE) | VIRTIO_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	if (b->can_discard)
		f |= VIRTIO_BIT(VIRTIO_BLK_F_DISCARD);
	if (b->n_queues > 1)
		f |= VIRTIO_BIT(VIRTIO_BLK_F_MQ);
	return f;
}

static int vblk_open_engine(struct vblk *b, struct device_conf *conf)
{
	int file = device_take_fd(conf, "disk"), ret;

	if (file < 0)
		return err_ret(-EPROTO, "%s: no file came with it; start it by 'fourlane run'",
			       conf->name);
	ret = vblk_probe(b, file);
	if (ret == 0) {
		ret = blk_uring_create(file, VBLK_IN_HAND, &b->engine);
		if (ret == -EOPNOTSUPP)
			ret = blk_threads_create(file, VBLK_IN_HAND, &b->engine);
	}
	if (ret < 0)
		close(file);
	return ret;
}

static int vblk_attach(struct vblk *b, const char *name)
{
	int ret;

	b->done = (struct io_fd){
		.fd = b->engine->fd, .events = EPOLLIN, .ready = vblk_ready, .opaque = b
	};
	b->poller = (struct io_poller){
		.poll = vblk_poll, .wake = vblk_wake, .rest = vblk_rest, .opaque = b
	};
	ret = io_add_fd(b->io, &b->done);
	if (ret == 0)
		ret = io_add_poller(b->io, &b->poller);
	return ret < 0 ? err_ret(ret, "%s: listening to its file: %s; give the guest fewer devices",
				 name, strerror(-ret))
		       : 0;
}

static int vblk_create(struct vm *vm, struct device_conf *conf, struct device **out)
{
	struct vblk *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return -ENOMEM;
	b->dev.ops = &vblk_device_ops;
	b->dev.name = conf->name;
	b->io = vm_io(vm);
	b->writeback = true;
	b->forget_ms = FORGET_MS;
	ret = vblk_take_options(b, conf);
	if (ret == 0)
		ret = vblk_open_engine(b, conf);
	if (ret < 0) {
		free(b);
		return ret;
	}
	ret = virtio_dev_init(&b->vd, vm, conf->name, VIRTIO_ID_BLOCK, CLASS_STORAGE,
			      vblk_features(b), b->n_queues, VBLK_QUEUE_SIZE, &vblk_ops);
	if (ret == 0)
		ret = vblk_req_init(b);
	if (ret == 0)
		ret = vblk_attach(b, conf->name);
	if (ret == 0)
		ret = pci_register(&b->vd.pci);
	if (ret < 0) {
		vblk_destroy(&b->dev);
		return ret;
	}
	*out = &b->dev;
	return 0;
}

static const struct device_type vblk_type = {
	.name = "disk",
	.keys = "ro=, serial=, direct=, queues=",
	.create = vblk_create,
};
DEVICE_TYPE(&vblk_type);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Polled driver for virtio-net: modern PCI transport, split rings or with the word packed=1 packed
 * ones, one descriptor a frame (header and frame in one buffer), EVENT_IDX and MRG_RXBUF when
 * offered, no interrupts. Called by mg_main.c and the packet loop. Structures and bits are
 * core/proto/virtio_net_abi.h, the sections named here are of the specification named there. Leaves
 * out offloads, multiqueue and the control queue.
 */
#include "mg_lib.h"
#include "core/proto/virtio_net_abi.h"

#define N                  MG_N_SLOTS
#define PCI_CAP_POINTER    0x34
#define COMMON(dev, field) ((dev)->common + offsetof(struct virtio_pci_common_cfg, field))
#define EVENT_NEVER        0x8000 /* half the index space away from the used index */

struct queue {
	union {
		struct virtq_desc desc[N];
		struct pvirtq_desc packed[N]; /* with the two events in avail_mem and used_mem */
	} __attribute__((aligned(4096)));
	uint8_t avail_mem[VIRTQ_AVAIL_SIZE(N)] __attribute__((aligned(4096)));
	uint8_t used_mem[VIRTQ_USED_SIZE(N)] __attribute__((aligned(4096)));
	uint64_t notify; /* address of the doorbell */
	uint16_t index;
	uint16_t size;       /* entries in use, a power of two, at most N */
	uint16_t mask;       /* size - 1 */
	uint16_t avail_idx;  /* ours, published by publish() */
	uint16_t kicked_idx; /* avail_idx when last published */
	uint16_t used_idx;   /* next entry of the used ring to look at */
	/* packed: avail_idx and used_idx are places in the ring, with these wrap counters */
	uint16_t n_added;
	uint8_t avail_wrap, used_wrap;
};

struct virtio {
	struct queue rx, tx;
	uint64_t common, config, notify;
	uint32_t notify_multiplier;
	int packed, event_idx, mergeable, has_status;
	uint16_t held[N]; /* rx: descriptors of frames the loop has */
	uint16_t n_held;
	uint16_t tx_oldest; /* tx: slots become free in order, whatever order they end in */
	uint16_t tx_next;
	uint8_t tx_done[N]; /* by descriptor */
};

static volatile struct virtq_avail *avail_of(struct queue *queue)
{
	return (void *)queue->avail_mem;
}

static volatile struct virtq_used *used_of(struct queue *queue)
{
	return (void *)queue->used_mem;
}

static volatile struct pvirtq_event *event_of(uint8_t *area)
{
	return (void *)area;
}

/* The descriptor that the device has named in the next used entry. */
static uint16_t used_id(struct queue *queue)
{
	return (uint16_t)(used_of(queue)->ring[queue->used_idx & queue->mask].id & queue->mask);
}

/* ---- Transport ------------------------------------------------------------------------ 4.1 - */
static uint32_t find_function(struct mg *mg)
{
	uint32_t bdf = mg_pci_find(mg, VIRTIO_PCI_VENDOR, VIRTIO_PCI_DEVICE_NET);

	if (bdf == MG_PCI_NONE)
		bdf = mg_pci_find(mg, VIRTIO_PCI_VENDOR, VIRTIO_PCI_DEVICE_NET_TRANS);
	return bdf;
}

/* The first capability of each kind, 4.1.4. */
static const char *find_regions(struct mg *mg, struct virtio *dev, uint32_t bdf)
{
	uint32_t at = mg_pci_read(mg, bdf, PCI_CAP_POINTER) & 0xfc;

	for (int i = 0; at && i < 48; i++) {
		uint32_t head = mg_pci_read(mg, bdf, at);
		uint64_t region;

		if ((head & 0xff) == VIRTIO_PCI_CAP_VNDR) {
			region = mg_pci_bar(mg, bdf, mg_pci_read(mg, bdf, at + 4) & 0xff);
			if (region)
				region += mg_pci_read(mg, bdf, at + 8);
			if (head >> 24 == VIRTIO_PCI_CAP_COMMON_CFG && !dev->common)
				dev->common = region;
			if (head >> 24 == VIRTIO_PCI_CAP_DEVICE_CFG && !dev->config)
				dev->config = region;
			if (head >> 24 == VIRTIO_PCI_CAP_NOTIFY_CFG && !dev->notify) {
				dev->notify = region;
				dev->notify_multiplier = mg_pci_read(mg, bdf, at + 16);
			}
		}
		at = head >> 8 & 0xfc;
	}
	return dev->common && dev->config && dev->notify ? NULL
							 : "virtio-net lacks a modern capability";
}

static void add_status(struct virtio *dev, uint8_t bits)
{
	mg_write8(COMMON(dev, device_status), mg_read8(COMMON(dev, device_status)) | bits);
}

static const char *reset(struct mg *mg, struct virtio *dev)
{
	mg_write8(COMMON(dev, device_status), 0);
	for (int i = 0; mg_read8(COMMON(dev, device_status)); i++) {
		if (i == 1000)
			return "virtio-net does not finish its reset";
		mg_wait_us(mg, 1000);
	}
	add_status(dev, VIRTIO_STATUS_ACKNOWLEDGE);
	add_status(dev, VIRTIO_STATUS_DRIVER);
	return NULL;
}

static const char *negotiate(struct mg *mg, struct virtio *dev)
{
	uint64_t wanted = VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX) |
			  VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) | VIRTIO_BIT(VIRTIO_NET_F_MAC) |
			  VIRTIO_BIT(VIRTIO_NET_F_STATUS) | VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
	uint64_t offered = 0;

	dev->packed = mg_opt_number(mg->opt.cmdline, "packed", 0) != 0;
	if (dev->packed)
		wanted |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
	for (uint32_t half = 0; half < 2; half++) {
		mg_write32(COMMON(dev, device_feature_select), half);
		offered |= (uint64_t)mg_read32(COMMON(dev, device_feature)) << (32 * half);
	}
	wanted &= offered;
	if (!(wanted & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
		return "virtio-net does not offer VERSION_1";
	if (dev->packed && !(wanted & VIRTIO_BIT(VIRTIO_F_RING_PACKED)))
		return "virtio-net does not offer packed rings";
	for (uint32_t half = 0; half < 2; half++) {
		mg_write32(COMMON(dev, driver_feature_select), half);
		mg_write32(COMMON(dev, driver_feature), (uint32_t)(wanted >> (32 * half)));
	}
	add_status(dev, VIRTIO_STATUS_FEATURES_OK);
	if (!(mg_read8(COMMON(dev, device_status)) & VIRTIO_STATUS_FEATURES_OK))
		return "virtio-net refuses the features";
	dev->event_idx = !!(wanted & VIRTIO_BIT(VIRTIO_F_RING_EVENT_IDX));
	dev->mergeable = !!(wanted & VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
	dev->has_status = !!(wanted & VIRTIO_BIT(VIRTIO_NET_F_STATUS));
	return NULL;
}

static void write64(uint64_t addr, const void *target)
{
	mg_write32(addr, (uint32_t)(uintptr_t)target);
	mg_write32(addr + 4, 0); /* all of the guest is below 4 GiB */
}

static const char *enable_queue(struct virtio *dev, struct queue *queue, uint16_t index)
{
	uint16_t size;

	mg_write16(COMMON(dev, queue_select), index);
	size = mg_read16(COMMON(dev, queue_size));
	if (!size)
		return "virtio-net lacks a queue";
	if (size & (size - 1))
		return "virtio-net has a queue size that is no power of two";
	if (size > N) {
		size = N;
		mg_write16(COMMON(dev, queue_size), size);
	}
	mg_write16(COMMON(dev, queue_msix_vector), VIRTIO_MSI_NO_VECTOR);
	write64(COMMON(dev, queue_desc), queue->desc);
	write64(COMMON(dev, queue_driver), queue->avail_mem);
	write64(COMMON(dev, queue_device), queue->used_mem);
	queue->index = index;
	queue->size = size;
	queue->mask = size - 1;
	queue->notify = dev->notify +
			(uint64_t)mg_read16(COMMON(dev, queue_notify_off)) * dev->notify_multiplier;
	queue->avail_wrap = queue->used_wrap = 1;
	if (dev->packed)
		event_of(queue->avail_mem)->flags = PVIRTQ_EVENT_DISABLE;
	else
		avail_of(queue)->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
	mg_write16(COMMON(dev, queue_enable), 1);
	return NULL;
}

/* ---- Rings ---------------------------------------------------------------------------- 2.7 - */
/* With EVENT_IDX the flag does not count: keep the event out of reach of the used index, 2.7.7. */
static void want_no_interrupt(struct virtio *dev, struct queue *queue)
{
	volatile uint16_t *event =
		(void *)(queue->avail_mem + VIRTQ_USED_EVENT_OFFSET(queue->size));

	if (dev->event_idx && !dev->packed)
		*event = (uint16_t)(queue->used_idx + EVENT_NEVER);
}

static void notify(struct mg *mg, struct queue *queue)
{
	mg_write16(queue->notify, queue->index);
	mg->kicks++;
}

/*
 * Shows the device all that is in the available ring, and tells it if it wants to be told, 2.7.13.
 */
static void publish(struct mg *mg, struct virtio *dev, struct queue *queue)
{
	volatile uint16_t *event =
		(void *)(queue->used_mem + VIRTQ_AVAIL_EVENT_OFFSET(queue->size));
	int needed;

	mg_barrier(); /* entries before the index */
	avail_of(queue)->idx = queue->avail_idx;
	mg_barrier_full(); /* the index before the device's wish is read */
	if (dev->event_idx)
		needed = virtq_need_event(*event, queue->avail_idx, queue->kicked_idx);
	else
		needed = !(used_of(queue)->flags & VIRTQ_USED_F_NO_NOTIFY);
	queue->kicked_idx = queue->avail_idx;
	if (needed || mg->opt.kick)
		notify(mg, queue);
}

static void offer(struct queue *queue, uint16_t id)
{
	avail_of(queue)->ring[queue->avail_idx & queue->mask] = id;
	queue->avail_idx++;
}

/* ---- Packed rings --------------------------------------------------------------------- 2.8 - */
static void packed_step(struct queue *queue, uint16_t *place, uint8_t *wrap)
{
	if (++*place == queue->size) {
		*place = 0;
		*wrap ^= 1;
	}
}

/* One buffer of one descriptor, available at once. */
static void packed_offer(struct queue *queue, uint16_t id, uintptr_t addr, uint32_t len,
			 uint16_t flags)
{
	volatile struct pvirtq_desc *desc = &queue->packed[queue->avail_idx];

	desc->addr = addr;
	desc->len = len;
	desc->id = id;
	mg_barrier(); /* the rest before the flags that show it */
	desc->flags =
		(uint16_t)(flags | (queue->avail_wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED));
	packed_step(queue, &queue->avail_idx, &queue->avail_wrap);
	queue->n_added++;
}

static void packed_offer_rx(struct mg *mg, struct queue *queue, uint16_t id)
{
	packed_offer(queue, id, (uintptr_t)mg->rx_buf + (uintptr_t)id * mg->stride, mg->stride,
		     VIRTQ_DESC_F_WRITE);
}

/* Tells the device of what was offered since, if it wants to be told, 2.8.21. */
static void packed_publish(struct mg *mg, struct queue *queue)
{
	volatile struct pvirtq_event *event = event_of(queue->used_mem);
	uint16_t added = queue->n_added, flags, at;
	int needed;

	queue->n_added = 0;
	mg_barrier_full(); /* the flags before the device's wish is read */
	flags = event->flags & 3;
	needed = flags != PVIRTQ_EVENT_DISABLE;
	if (flags == PVIRTQ_EVENT_DESC) {
		mg_barrier();
		at = event->off_wrap;
		if (!(at & PVIRTQ_EVENT_WRAP) != !queue->avail_wrap)
			at = (uint16_t)((at & ~PVIRTQ_EVENT_WRAP) - queue->size);
		else
			at &= (uint16_t)~PVIRTQ_EVENT_WRAP;
		needed = virtq_need_event(at, queue->avail_idx,
					  (uint16_t)(queue->avail_idx - added));
	}
	if (needed || mg->opt.kick)
		notify(mg, queue);
}

/* The used entry `ahead` places on, or NULL when the device has not come so far. */
static volatile struct pvirtq_desc *packed_used(struct queue *queue, uint16_t ahead)
{
	uint16_t place = (uint16_t)(queue->used_idx + ahead),
		 want = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
	uint8_t wrap = queue->used_wrap;
	uint16_t flags;

	if (place >= queue->size) {
		place = (uint16_t)(place - queue->size);
		wrap ^= 1;
	}
	flags = ((volatile struct pvirtq_desc *)queue->packed)[place].flags;
	if ((flags & want) != (wrap ? want : 0))
		return NULL;
	mg_barrier(); /* the flags before the rest */
	return &queue->packed[place];
}

static void packed_reap(struct virtio *dev)
{
	struct queue *queue = &dev->tx;
	volatile struct pvirtq_desc *desc;

	while ((desc = packed_used(queue, 0))) {
		dev->tx_done[desc->id & queue->mask] = 1;
		packed_step(queue, &queue->used_idx, &queue->used_wrap);
	}
}

static unsigned int packed_rx_burst(struct mg *mg, struct mg_rx *rx, unsigned int max)
{
	struct virtio *dev = mg->priv;
	struct queue *queue = &dev->rx;
	volatile struct pvirtq_desc *desc;
	unsigned int n = 0;

	while (n < max && (desc = packed_used(queue, 0))) {
		uint32_t len = desc->len;
		uint8_t *buf = mg->rx_buf + (size_t)(desc->id & queue->mask) * mg->stride;
		uint16_t n_bufs = ((struct virtio_net_hdr *)(void *)buf)->num_buffers;

		rx[n].data = buf + VIRTIO_NET_HDR_SIZE;
		rx[n].len = len > VIRTIO_NET_HDR_SIZE ? len - VIRTIO_NET_HDR_SIZE : 0;
		if (!dev->mergeable || n_bufs < 1 || n_bufs > queue->size)
			n_bufs = 1;
		if (n_bufs > 1)
			rx[n].len = 0; /* a fault, as with split rings */
		if (!packed_used(queue, n_bufs - 1))
			break; /* the rest is on its way */
		for (; n_bufs; n_bufs--) {
			dev->held[dev->n_held++ % N] = packed_used(queue, 0)->id & queue->mask;
			packed_step(queue, &queue->used_idx, &queue->used_wrap);
		}
		n++;
	}
	return n;
}

/* ---- Both kinds ----------------------------------------------------------------------------- */
static void post_buffers(struct mg *mg, struct virtio *dev)
{
	struct queue *queue = &dev->rx;

	for (uint16_t i = 0; dev->packed && i < queue->size; i++)
		packed_offer_rx(mg, queue, i);
	if (dev->packed) {
		packed_publish(mg, queue);
		return;
	}
	for (uint16_t i = 0; i < queue->size; i++) {
		queue->desc[i].addr = (uint64_t)(uintptr_t)mg->rx_buf + (uint64_t)i * mg->stride;
		queue->desc[i].len = mg->stride;
		queue->desc[i].flags = VIRTQ_DESC_F_WRITE;
		offer(queue, i);
	}
	want_no_interrupt(dev, queue);
	publish(mg, dev, queue);
}

/* ---- The driver ----------------------------------------------------------------------------- */
static const char *virtio_init(struct mg *mg)
{
	struct virtio *dev = mg_alloc(sizeof(*dev), 4096);
	uint32_t bdf = find_function(mg);
	const char *problem;

	if (bdf == MG_PCI_NONE)
		return "no virtio-net (1af4:1041)";
	mg_pci_enable(mg, bdf);
	problem = find_regions(mg, dev, bdf);
	if (!problem)
		problem = reset(mg, dev);
	if (!problem)
		problem = negotiate(mg, dev);
	if (problem)
		return problem;
	mg_write16(COMMON(dev, config_msix_vector), VIRTIO_MSI_NO_VECTOR);
	problem = enable_queue(dev, &dev->rx, VIRTIO_NET_QUEUE_RX(0));
	if (!problem)
		problem = enable_queue(dev, &dev->tx, VIRTIO_NET_QUEUE_TX(0));
	if (problem)
		return problem;
	for (size_t i = 0; i < 6; i++)
		mg->mac[i] = mg_read8(dev->config + offsetof(struct virtio_net_config, mac) + i);
	mg->priv = dev;
	mg->headroom = VIRTIO_NET_HDR_SIZE; /* all zero: no offload */
	mg->tx_room = dev->tx.size;
	want_no_interrupt(dev, &dev->tx);
	add_status(dev, VIRTIO_STATUS_DRIVER_OK);
	if (mg->opt.rx)
		post_buffers(mg, dev);
	return NULL;
}

/* Without STATUS there is no such field, and the link counts as up, 5.1.4.2. */
static int virtio_link(struct mg *mg)
{
	struct virtio *dev = mg->priv;

	return !dev->has_status ||
	       (mg_read16(dev->config + offsetof(struct virtio_net_config, status)) &
		VIRTIO_NET_S_LINK_UP);
}

static void split_reap(struct virtio *dev)
{
	struct queue *queue = &dev->tx;
	uint16_t idx = used_of(queue)->idx;

	if (idx == queue->used_idx)
		return;
	mg_barrier(); /* the index before the entries */
	for (; queue->used_idx != idx; queue->used_idx++)
		dev->tx_done[used_id(queue)] = 1;
	want_no_interrupt(dev, queue);
}

static unsigned int virtio_tx_reap(struct mg *mg)
{
	struct virtio *dev = mg->priv;
	unsigned int done = 0;

	if (dev->packed)
		packed_reap(dev);
	else
		split_reap(dev);
	while (dev->tx_done[dev->tx_oldest]) {
		dev->tx_done[dev->tx_oldest] = 0;
		dev->tx_oldest = (dev->tx_oldest + 1) & dev->tx.mask;
		done++;
	}
	return done;
}

/*
 * The loop counts slots modulo N, the ring may be shorter: descriptor is slot modulo its size. At
 * most size slots are in flight, so no two of them meet.
 */
static void virtio_tx_burst(struct mg *mg, unsigned int n)
{
	struct virtio *dev = mg->priv;
	struct queue *queue = &dev->tx;

	for (unsigned int i = 0; i < n; i++) {
		uint16_t slot = dev->tx_next, id = slot & queue->mask;
		uintptr_t addr = (uintptr_t)mg_tx_frame(mg, slot) - VIRTIO_NET_HDR_SIZE;
		uint32_t len = VIRTIO_NET_HDR_SIZE + mg->tx_len[slot];

		dev->tx_next = (slot + 1) % N;
		if (dev->packed) {
			packed_offer(queue, id, addr, len, 0);
			continue;
		}
		queue->desc[id].addr = addr;
		queue->desc[id].len = len;
		offer(queue, id);
	}
	if (dev->packed)
		packed_publish(mg, queue);
	else
		publish(mg, dev, queue);
}

static unsigned int virtio_rx_burst(struct mg *mg, struct mg_rx *rx, unsigned int max)
{
	struct virtio *dev = mg->priv;
	struct queue *queue = &dev->rx;
	uint16_t idx = used_of(queue)->idx;
	unsigned int n = 0;

	if (dev->packed)
		return packed_rx_burst(mg, rx, max);
	if (idx == queue->used_idx)
		return 0;
	mg_barrier(); /* the index before the entries */
	while (n < max && queue->used_idx != idx) {
		uint32_t len = used_of(queue)->ring[queue->used_idx & queue->mask].len;
		uint8_t *buf = mg->rx_buf + (size_t)used_id(queue) * mg->stride;
		uint16_t n_bufs = ((struct virtio_net_hdr *)(void *)buf)->num_buffers;

		/*
		 * Each frame fits one buffer: more of them are a fault, reported and taken whole.
		 */
		rx[n].data = buf + VIRTIO_NET_HDR_SIZE;
		rx[n].len = len > VIRTIO_NET_HDR_SIZE ? len - VIRTIO_NET_HDR_SIZE : 0;
		if (!dev->mergeable || n_bufs < 1)
			n_bufs = 1;
		if (n_bufs > 1)
			rx[n].len = 0;
		if ((uint16_t)(idx - queue->used_idx) < n_bufs)
			break; /* the rest is on its way */
		for (; n_bufs; n_bufs--, queue->used_idx++)
			dev->held[dev->n_held++ % N] = used_id(queue);
		n++;
	}
	want_no_interrupt(dev, queue);
	return n;
}

static void virtio_rx_refill(struct mg *mg)
{
	struct virtio *dev = mg->priv;

	for (uint16_t i = 0; i < dev->n_held; i++) {
		if (dev->packed)
			packed_offer_rx(mg, &dev->rx, dev->held[i % N]);
		else
			offer(&dev->rx, dev->held[i % N]);
	}
	dev->n_held = 0;
	if (dev->packed)
		packed_publish(mg, &dev->rx);
	else
		publish(mg, dev, &dev->rx);
}

const struct mg_driver mg_driver_virtio = {
	.name = "virtio",
	.init = virtio_init,
	.link = virtio_link,
	.tx_reap = virtio_tx_reap,
	.tx_burst = virtio_tx_burst,
	.rx_burst = virtio_rx_burst,
	.rx_refill = virtio_rx_refill,
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Polled driver for virtio-blk and its one mode, verify: write a pattern that follows from seed= to
 * the disk's first sectors= sectors, flush, read it back, compare. It says what it found as FL
 * RESULT; what it was told is flushed has to be in the disk's file whatever happens next. Called by
 * mg_main.c. VIRTIO 1.2, the sections are those of core/proto/virtio_blk_abi.h. One queue, split
 * ring, no interrupts.
 */
#include "mg_lib.h"
#include "core/proto/virtio_blk_abi.h"

#define N_REQ      8  /* in flight together */
#define N          32 /* ring entries: three descriptors a request, and a power of two */
#define REQ_SIZE   8192
#define REQ_SECTOR (REQ_SIZE / VIRTIO_BLK_SECTOR)
#define WAIT_MS    30000
#define COMMON(f)  (disk.common + offsetof(struct virtio_pci_common_cfg, f))

static struct {
	struct virtq_desc desc[N] __attribute__((aligned(16)));
	uint8_t avail_mem[VIRTQ_AVAIL_SIZE(N)] __attribute__((aligned(16)));
	uint8_t used_mem[VIRTQ_USED_SIZE(N)] __attribute__((aligned(16)));
	struct virtio_blk_req_hdr hdr[N_REQ];
	volatile uint8_t status[N_REQ];
	uint64_t *data[N_REQ];
	uint64_t common, config, notify, sectors;
	uint16_t avail_idx;
} disk;

/* ---- Transport ------------------------------------------------------------------------ 4.1 - */
static const char *find_regions(struct mg *mg, uint32_t bdf)
{
	uint32_t at = mg_pci_read(mg, bdf, 0x34) & 0xfc;

	for (int i = 0; at && i < 48; i++) {
		uint32_t head = mg_pci_read(mg, bdf, at);
		uint64_t region = mg_pci_bar(mg, bdf, mg_pci_read(mg, bdf, at + 4) & 0xff) +
				  mg_pci_read(mg, bdf, at + 8);

		if ((head & 0xff) == VIRTIO_PCI_CAP_VNDR) {
			if (head >> 24 == VIRTIO_PCI_CAP_COMMON_CFG)
				disk.common = region;
			if (head >> 24 == VIRTIO_PCI_CAP_DEVICE_CFG)
				disk.config = region;
			if (head >> 24 == VIRTIO_PCI_CAP_NOTIFY_CFG)
				disk.notify = region; /* of queue 0 */
		}
		at = head >> 8 & 0xfc;
	}
	return disk.common && disk.config && disk.notify ? NULL
							 : "virtio-blk lacks a modern capability";
}

static void add_status(uint8_t bits)
{
	mg_write8(COMMON(device_status), mg_read8(COMMON(device_status)) | bits);
}

static const char *negotiate(struct mg *mg)
{
	mg_write8(COMMON(device_status), 0);
	for (int i = 0; mg_read8(COMMON(device_status)); i++) {
		if (i == 1000)
			return "virtio-blk does not finish its reset";
		mg_wait_us(mg, 1000);
	}
	add_status(VIRTIO_STATUS_ACKNOWLEDGE);
	add_status(VIRTIO_STATUS_DRIVER);
	mg_write32(COMMON(device_feature_select), 0);
	if (!(mg_read32(COMMON(device_feature)) & VIRTIO_BIT(VIRTIO_BLK_F_FLUSH)))
		return "virtio-blk does not offer FLUSH";
	mg_write32(COMMON(driver_feature_select), 0);
	mg_write32(COMMON(driver_feature), VIRTIO_BIT(VIRTIO_BLK_F_FLUSH));
	mg_write32(COMMON(driver_feature_select), 1);
	mg_write32(COMMON(driver_feature), VIRTIO_BIT(VIRTIO_F_VERSION_1) >> 32);
	add_status(VIRTIO_STATUS_FEATURES_OK);
	return mg_read8(COMMON(device_status)) & VIRTIO_STATUS_FEATURES_OK
		       ? NULL
		       : "virtio-blk refuses the features";
}

static void write64(uint64_t addr, const void *target)
{
	mg_write32(addr, (uint32_t)(uintptr_t)target);
	mg_write32(addr + 4, 0); /* all of the guest is below 4 GiB */
}

static const char *enable_queue(void)
{
	mg_write16(COMMON(queue_select), 0);
	if (mg_read16(COMMON(queue_size)) < N)
		return "virtio-blk has too small a queue";
	mg_write16(COMMON(queue_size), N);
	mg_write16(COMMON(queue_msix_vector), VIRTIO_MSI_NO_VECTOR);
	write64(COMMON(queue_desc), disk.desc);
	write64(COMMON(queue_driver), disk.avail_mem);
	write64(COMMON(queue_device), disk.used_mem);
	((struct virtq_avail *)(void *)disk.avail_mem)->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
	mg_write16(COMMON(queue_enable), 1);
	add_status(VIRTIO_STATUS_DRIVER_OK);
	return NULL;
}

/* ---- Requests ----------------------------------------------------------------------- 5.2.6 - */
static void post(unsigned int i, uint32_t type, uint64_t sector, uint32_t len)
{
	volatile struct virtq_avail *avail = (void *)disk.avail_mem;
	struct virtq_desc *d = &disk.desc[3 * i];
	uint16_t in = type == VIRTIO_BLK_T_IN ? VIRTQ_DESC_F_WRITE : 0, first = (uint16_t)(3 * i);

	disk.hdr[i].type = type;
	disk.hdr[i].sector = sector;
	disk.status[i] = 0xff;
	d[0] = (struct virtq_desc){ (uintptr_t)&disk.hdr[i], sizeof(disk.hdr[i]), VIRTQ_DESC_F_NEXT,
				    (uint16_t)(first + (len ? 1 : 2)) };
	d[1] = (struct virtq_desc){ (uintptr_t)disk.data[i], len, VIRTQ_DESC_F_NEXT | in,
				    (uint16_t)(first + 2) };
	d[2] = (struct virtq_desc){ (uintptr_t)&disk.status[i], 1, VIRTQ_DESC_F_WRITE, 0 };
	avail->ring[disk.avail_idx++ % N] = first;
}

/* All that was posted, to the end. Gives how many failed. */
static uint64_t finish(struct mg *mg, unsigned int n)
{
	volatile struct virtq_avail *avail = (void *)disk.avail_mem;
	volatile struct virtq_used *used = (void *)disk.used_mem;
	uint64_t start = mg_tsc(), failed = 0;

	mg_barrier(); /* entries before the index */
	avail->idx = disk.avail_idx;
	mg_barrier_full(); /* the index before the device's wish is read */
	if (!(used->flags & VIRTQ_USED_F_NO_NOTIFY))
		mg_write16(disk.notify, 0);
	while (used->idx != disk.avail_idx)
		if (mg_tsc() - start > mg_ticks(mg, WAIT_MS))
			mg_fail("virtio-blk does not answer");
	mg_barrier();
	for (unsigned int i = 0; i < n; i++)
		failed += disk.status[i] != VIRTIO_BLK_S_OK;
	return failed;
}

static uint64_t word_at(const struct mg *mg, uint64_t byte)
{
	return (mg->opt.seed * UINT64_C(0x9e3779b97f4a7c15) + byte) * UINT64_C(0xbf58476d1ce4e5b9);
}

/* Writes all of it or reads and compares it. Gives how many requests failed, counts wrong words. */
static uint64_t pass(struct mg *mg, uint32_t type, uint64_t *wrong)
{
	uint64_t failed = 0;

	for (uint64_t at = 0; at < disk.sectors;) {
		uint64_t from = at * VIRTIO_BLK_SECTOR;
		unsigned int n;

		for (n = 0; n < N_REQ && at < disk.sectors; n++, at += REQ_SECTOR) {
			for (unsigned int w = 0; w < REQ_SIZE / 8; w++)
				disk.data[n][w] =
					type == VIRTIO_BLK_T_IN
						? 0
						: word_at(mg, at * VIRTIO_BLK_SECTOR + 8 * w);
			post(n, type, at, REQ_SIZE);
		}
		failed += finish(mg, n);
		for (unsigned int w = 0; type == VIRTIO_BLK_T_IN && w < n * REQ_SIZE / 8; w++)
			*wrong += disk.data[w / (REQ_SIZE / 8)][w % (REQ_SIZE / 8)] !=
				  word_at(mg, from + 8 * w);
	}
	return failed;
}

void mg_blk_verify(struct mg *mg)
{
	uint64_t wrong = 0, written = pass(mg, VIRTIO_BLK_T_OUT, &wrong), flushed, read;

	post(0, VIRTIO_BLK_T_FLUSH, 0, 0);
	flushed = finish(mg, 1);
	read = pass(mg, VIRTIO_BLK_T_IN, &wrong);
	mg_puts("FL RESULT mode=verify");
	mg_put_field("sectors", disk.sectors);
	mg_put_field("write_failed", written);
	mg_put_field("flush_failed", flushed);
	mg_put_field("read_failed", read);
	mg_put_field("wrong_words", wrong);
	mg_puts("\n");
}

void mg_blk_bring_up(struct mg *mg)
{
	uint32_t bdf = mg_pci_find(mg, VIRTIO_PCI_VENDOR, VIRTIO_PCI_DEVICE_BLOCK);
	const char *problem;

	if (bdf == MG_PCI_NONE)
		mg_fail("no virtio-blk (1af4:1042)");
	mg_pci_enable(mg, bdf);
	problem = find_regions(mg, bdf);
	if (!problem)
		problem = negotiate(mg);
	if (!problem)
		problem = enable_queue();
	if (problem)
		mg_fail(problem);
	for (unsigned int i = 0; i < N_REQ; i++)
		disk.data[i] = mg_alloc(REQ_SIZE, 4096);
	disk.sectors = mg_opt_number(mg->opt.cmdline, "sectors", 2048) / REQ_SECTOR * REQ_SECTOR;
	mg_puts("FL READY");
	mg_put_field("capacity", mg_read32(disk.config) | (uint64_t)mg_read32(disk.config + 4)
								  << 32);
	mg_puts("\n");
}

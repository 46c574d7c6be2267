/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole passed-through device on a kernel that the test plays: its descriptor is a memfd with
 * the regions, ioctl() is the function below, which keeps the kernel's rules (one kind of interrupt
 * at a time) and counts who breaks them.
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/vm_priv.h"
#include "helper_count.h"
#include "vfio/vfio_priv.h"

/* --- the kernel ------------------------------------------------------------- */
enum { CFG_OFF = 0, BAR0_OFF = 0x100000, BAR3_OFF = 0x200000, ROM_OFF = 0x300000, END = 0x400000 };
enum { N_KINDS = VFIO_PCI_NUM_IRQS, MAX_IRQS = 32, IOAS = 5 };

static struct {
	int dev, container, group; /* the memfd that stands for each; container: or iommufd */
	int hw;                    /* dev, also when we have closed it */
	bool iommufd;              /* the container is one */
	bool can_reset, dead_after_reset;
	int reset_error, intx_error;
	int map_error;
	int msi_max; /* vectors of MSI that the host has */
	bool io_only, no_msix_grow;
	uint32_t sparse_areas, sparse_at; /* BAR 0 may be mapped in parts only: what is told */
	unsigned int n_irqs[N_KINDS];
	int fd[N_KINDS][MAX_IRQS]; /* triggers, -1 */
	unsigned int n_on[N_KINDS];
	int unmask_fd;
	unsigned int n_refused, n_resets, n_sets, n_maps;
	bool reset_while_on;
} k;

static bool kind_on(unsigned int index)
{
	return k.n_on[index];
}

static bool kind_may(unsigned int index)
{
	for (unsigned int i = 0; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
		if (i != index && kind_on(i))
			return false;
	return true;
}

static int kernel_refuse(int err)
{
	k.n_refused++;
	errno = err;
	return -1;
}

static int kernel_off(unsigned int index)
{
	for (unsigned int i = 0; i < MAX_IRQS; i++)
		k.fd[index][i] = -1;
	k.n_on[index] = 0;
	if (index == VFIO_PCI_INTX_IRQ_INDEX)
		k.unmask_fd = -1;
	return 0;
}

static int kernel_set_irqs(const struct vfio_irq_set *s)
{
	const int32_t *fds = (const int32_t *)s->data;
	unsigned int i = s->index;

	k.n_sets++;
	if (i >= N_KINDS || s->start + s->count > k.n_irqs[i] ||
	    (i <= VFIO_PCI_MSIX_IRQ_INDEX && s->count && !kind_may(i)))
		return kernel_refuse(EINVAL);
	if (s->flags & VFIO_IRQ_SET_ACTION_UNMASK) {
		if (i != VFIO_PCI_INTX_IRQ_INDEX || !kind_on(i))
			return kernel_refuse(EINVAL);
		k.unmask_fd = fds[0];
		return 0;
	}
	if (s->flags & VFIO_IRQ_SET_DATA_NONE)
		return s->count ? kernel_refuse(EINVAL) : kernel_off(i);
	if (i == VFIO_PCI_INTX_IRQ_INDEX && k.intx_error) {
		errno = k.intx_error;
		return -1;
	}
	if (i == VFIO_PCI_MSI_IRQ_INDEX && (int)s->count > k.msi_max)
		return k.msi_max;
	for (unsigned int v = 0; v < s->count; v++)
		k.fd[i][s->start + v] = fds[v];
	if (s->start + s->count > k.n_on[i])
		k.n_on[i] = s->start + s->count;
	return 0;
}

/* The first and the last page of BAR 0. */
static int kernel_sparse(struct vfio_region_info *r)
{
	struct vfio_region_info_cap_sparse_mmap *c = (void *)(r + 1);
	size_t size = sizeof(*r) + sizeof(*c) + 2 * sizeof(c->areas[0]);
	uint32_t room = r->argsz;

	r->argsz = (uint32_t)size;
	r->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	if (room < size)
		return 0; /* asked again with more room */
	r->cap_offset = k.sparse_at ? k.sparse_at : sizeof(*r);
	c->header = (struct vfio_info_cap_header){ .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP };
	c->nr_areas = k.sparse_areas;
	c->areas[0] = (struct vfio_region_sparse_mmap_area){ .offset = 0, .size = 0x1000 };
	c->areas[1] = (struct vfio_region_sparse_mmap_area){ .offset = 0x1f000, .size = 0x1000 };
	return 0;
}

static int kernel_region(struct vfio_region_info *r)
{
	uint32_t room = r->argsz;

	const uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;

	r->argsz = sizeof(*r);
	r->flags = rw;
	r->size = 0;
	switch (r->index) {
	case VFIO_PCI_CONFIG_REGION_INDEX: r->offset = CFG_OFF, r->size = PCI_CFG_SIZE; break;
	case VFIO_PCI_BAR0_REGION_INDEX:
		r->offset = BAR0_OFF, r->size = 0x20000;
		r->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		break;
	case VFIO_PCI_BAR2_REGION_INDEX: r->offset = END, r->size = 0x20; break;
	case VFIO_PCI_BAR3_REGION_INDEX:
		r->offset = BAR3_OFF, r->size = 0x4000;
		r->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		break;
	case VFIO_PCI_ROM_REGION_INDEX:
		r->offset = ROM_OFF, r->size = 0x1000, r->flags = VFIO_REGION_INFO_FLAG_READ;
		break;
	case VFIO_PCI_VGA_REGION_INDEX: errno = EINVAL; return -1;
	}
	if (k.io_only && r->index < VFIO_PCI_ROM_REGION_INDEX &&
	    r->index != VFIO_PCI_BAR2_REGION_INDEX)
		r->size = 0;
	if (r->index == VFIO_PCI_BAR0_REGION_INDEX && k.sparse_areas) {
		r->argsz = room;
		return kernel_sparse(r);
	}
	return 0;
}

static int kernel_reset(void)
{
	uint32_t gone = ~0u;

	k.n_resets++;
	for (unsigned int i = 0; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
		k.reset_while_on |= kind_on(i);
	if (k.dead_after_reset)
		assert_int_equal(pwrite(k.dev, &gone, 4, CFG_OFF), 4);
	if (!k.reset_error)
		return 0;
	errno = k.reset_error;
	return -1;
}

static int kernel_device(unsigned long req, void *arg)
{
	struct vfio_device_info *info = arg;
	struct vfio_irq_info *irq = arg;

	switch (req) {
	case VFIO_DEVICE_GET_INFO:
		info->flags = VFIO_DEVICE_FLAGS_PCI | (k.can_reset ? VFIO_DEVICE_FLAGS_RESET : 0u);
		info->num_regions = VFIO_PCI_NUM_REGIONS;
		info->num_irqs = N_KINDS;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO: return kernel_region(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		if (irq->index >= N_KINDS) {
			errno = EINVAL;
			return -1;
		}
		irq->count = k.n_irqs[irq->index];
		irq->flags = VFIO_IRQ_INFO_EVENTFD;
		if (irq->index != VFIO_PCI_MSIX_IRQ_INDEX || k.no_msix_grow)
			irq->flags |= VFIO_IRQ_INFO_NORESIZE;
		return 0;
	case VFIO_DEVICE_SET_IRQS: return kernel_set_irqs(arg);
	case VFIO_DEVICE_RESET: return kernel_reset();
	}
	return kernel_refuse(ENOTTY);
}

/* The mapping: an address space that is another's, or memory that cannot be locked. */
static int kernel_map(unsigned long req, void *arg)
{
	const struct iommu_ioas_map *m = arg;
	struct iommu_ioas_iova_ranges *r = arg;
	const struct iommu_ioas_unmap *u = arg;

	if (req == IOMMU_IOAS_IOVA_RANGES)
		r->num_iovas = 0;
	if ((req == IOMMU_IOAS_MAP && m->ioas_id != IOAS) ||
	    (req == IOMMU_IOAS_UNMAP && u->ioas_id != IOAS))
		return kernel_refuse(ENOENT);
	if ((req == IOMMU_IOAS_MAP || req == VFIO_IOMMU_MAP_DMA) && k.map_error) {
		k.n_maps--;
		errno = k.map_error;
		return -1;
	}
	return 0;
}

int ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fd == k.dev && k.dev > 0)
		return kernel_device(req, arg);
	if (fd == k.container && k.container > 0) {
		bool unmap = req == (k.iommufd ? IOMMU_IOAS_UNMAP : VFIO_IOMMU_UNMAP_DMA);
		uint16_t command = 0;

		/* memory that hardware still writes to must not be taken from under it */
		if (unmap && (pread(k.hw, &command, 2, CFG_OFF + 4) != 2 || command & 4))
			k.n_refused++;
		k.n_maps += req == (k.iommufd ? IOMMU_IOAS_MAP : VFIO_IOMMU_MAP_DMA);
		k.n_maps -= unmap;
		return kernel_map(req, arg);
	}
	return (int)syscall(SYS_ioctl, fd, req, arg);
}

/* --- the machine --------------------------------------------------------------- */
struct guest {
	struct guest_mem *mem;
	struct vm *vm;
	struct device *dev;
	struct vfio_dev *v;
	struct opts *opts;
	unsigned int n_fds; /* open before */
};

static char said[4096]; /* messages, one a line */

static void hear(void *opaque, const char *line)
{
	size_t n = strlen(said);

	if (strstr(line, "in pages of 4 KiB")) /* that depends on this host's settings */
		return;
	snprintf(said + n, sizeof(said) - n, "%s\n", line);
}

static unsigned int lines(const char *word)
{
	return count_words(said, word);
}

static void phys(unsigned int off, uint64_t val, unsigned int size)
{
	assert_int_equal(pwrite(k.dev, &val, size, (off_t)(CFG_OFF + off)), size);
}

static uint32_t phys_get(unsigned int off, unsigned int size)
{
	uint32_t val = 0;

	assert_int_equal(pread(k.dev, &val, size, (off_t)(CFG_OFF + off)), size);
	return val;
}

/* An endpoint with all three kinds of interrupt: MSI at 0x50 (8 messages, 64 bits, can mask), MSI-X
 * at 0x70 (10 vectors in BAR 3), PCI Express at 0xa0 with FLR. */
static void make_function(void)
{
	phys(0x00, 0x10c98086, 4);
	phys(0x04, 0x00100000, 4);
	phys(0x08, 0x02000001, 4);
	phys(0x18, 0x1, 4); /* BAR 2 is I/O */
	phys(0x34, 0x40, 1);
	phys(0x3d, 2, 1);
	phys(0x40, 0xc8235001, 4);
	phys(0x50, 0x01867005, 4);
	phys(0x70, 0x0009a011, 4);
	phys(0x74, 3, 4);
	phys(0x78, 0x2003, 4);
	phys(0xa0, 0x00020010, 4);
	phys(0xa4, 0x10008cc2, 4);
}

static int setup(void **state)
{
	struct guest *g = calloc(1, sizeof(*g));

	memset(&k, 0, sizeof(k));
	said[0] = '\0';
	if (!g)
		return -1;
	g->n_fds = count_fds();
	if (mem_create(4 << 20, &g->mem) < 0 || vm_create_fake(g->mem, &g->vm) < 0)
		return -1;
	k.dev = memfd_create("device", MFD_CLOEXEC);
	k.container = memfd_create("container", MFD_CLOEXEC);
	k.group = memfd_create("group", MFD_CLOEXEC);
	if (k.dev < 0 || k.container < 0 || k.group < 0 || ftruncate(k.dev, END + 4096) < 0)
		return -1;
	k.hw = dup(k.dev);
	for (unsigned int i = 0; i < N_KINDS; i++)
		kernel_off(i);
	k.n_irqs[VFIO_PCI_INTX_IRQ_INDEX] = 1;
	k.n_irqs[VFIO_PCI_MSI_IRQ_INDEX] = 8;
	k.n_irqs[VFIO_PCI_MSIX_IRQ_INDEX] = 10;
	k.n_irqs[VFIO_PCI_ERR_IRQ_INDEX] = k.n_irqs[VFIO_PCI_REQ_IRQ_INDEX] = 1;
	k.msi_max = 8;
	k.can_reset = true;
	make_function();
	err_set_sink(hear, NULL);
	*state = g;
	return 0;
}

static int start(struct guest *g, const char *words)
{
	struct device_conf conf = { .name = "nic0", .n_fds = 3 };
	int ret;

	assert_int_equal(opts_parse(words, &g->opts), 0);
	conf.opts = g->opts;
	conf.fds[0] = (struct device_fd){ "device", k.dev };
	conf.fds[1] = (struct device_fd){ "container", k.container };
	if (k.iommufd)
		conf.fds[1] = (struct device_fd){ "iommufd", k.container };
	conf.fds[2] = (struct device_fd){ "group", k.group };
	if (k.iommufd) {
		close(k.group);
		k.group = -1;
		conf.n_fds = 2;
	}
	ret = device_create(g->vm, &conf, &g->dev);
	if (ret == 0)
		g->v = (struct vfio_dev *)((char *)g->dev - offsetof(struct vfio_dev, dev));
	return ret;
}

#define WORDS "vfio,host=0000:01:00.0,guest=red"

static int teardown(void **state)
{
	struct guest *g = *state;
	bool left;

	device_destroy(g->dev);
	opts_free(g->opts);
	vm_destroy(g->vm);
	mem_destroy(g->mem);
	err_set_sink(NULL, NULL);
	close(k.hw);
	left = count_fds() != g->n_fds;
	free(g);
	/* every descriptor was closed, every mapping undone, and no rule of the kernel broken */
	return left || k.n_maps || k.n_refused ? -1 : 0;
}

static void cfg(struct guest *g, unsigned int off, unsigned int size, uint32_t val)
{
	g->v->pci.ops->cfg_write(&g->v->pci, off, size, val);
}

static uint32_t get(struct guest *g, unsigned int off, unsigned int size)
{
	return g->v->pci.ops->cfg_read(&g->v->pci, off, size);
}

static void raise_irq(unsigned int index, unsigned int i)
{
	uint64_t one = 1;

	assert_true(k.fd[index][i] >= 0);
	assert_int_equal(write(k.fd[index][i], &one, 8), 8);
}

static bool signalled(int fd)
{
	uint64_t n;

	return read(fd, &n, 8) == 8;
}

static void unmask_vector(struct guest *g, unsigned int i)
{
	pci_msix_table_write(&g->v->pci, 16 * i, 4, 0xfee00000);
	pci_msix_table_write(&g->v->pci, 16 * i + 12, 4, 0);
}

static unsigned int irqfds(struct guest *g)
{
	return vm_fake_counts(g->vm)->irqfds;
}

enum {
	INTX = VFIO_PCI_INTX_IRQ_INDEX,
	MSI = VFIO_PCI_MSI_IRQ_INDEX,
	MSIX = VFIO_PCI_MSIX_IRQ_INDEX
};
enum { MEM = 2, MASTER = 4, INTX_OFF = 0x400 };

/* --- INTx ------------------------------------------------------------------------ */
static void intx_comes_with_memory_decoding(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(get(g, 0x3d, 1), 1); /* its own slot: INTA#, whatever it is on the host */
	assert_false(kind_on(INTX));
	assert_int_equal(phys_get(4, 2), MEM | INTX_OFF);
	cfg(g, 4, 2, MEM);
	assert_true(kind_on(INTX));
	assert_true(k.unmask_fd >= 0);
	assert_int_equal(irqfds(g), 1);
	assert_int_equal(phys_get(4, 2), MEM);
	cfg(g, 4, 2, 0); /* sizing a BAR: stays, and memory stays decoded in the device */
	assert_true(kind_on(INTX));
	assert_int_equal(phys_get(4, 2), MEM);
}

static void intx_disable_is_the_devices(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	assert_int_equal(phys_get(4, 2), MEM | MASTER);
	cfg(g, 4, 2, MEM | MASTER | INTX_OFF);
	assert_int_equal(phys_get(4, 2), MEM | MASTER | INTX_OFF);
	assert_true(kind_on(INTX));
	cfg(g, 4, 2, MEM);
	assert_int_equal(phys_get(4, 2), MEM);
}

static void status_shows_the_devices_intx(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	phys(6, 0x18, 2);
	assert_int_equal(get(g, 6, 2) & 8, 0); /* not in use yet */
	cfg(g, 4, 2, MEM);
	assert_int_equal(get(g, 6, 2) & 8, 8);
	phys(6, 0x10, 2);
	assert_int_equal(get(g, 4, 4) >> 16 & 8, 0);
}

static void intx_that_the_host_cannot_give_is_said_once(void **state)
{
	struct guest *g = *state;

	k.intx_error = EBUSY;
	assert_int_equal(start(g, WORDS), 0);
	for (int i = 0; i < 5; i++) {
		cfg(g, 4, 2, MEM);
		cfg(g, 4, 2, 0);
	}
	assert_int_equal(lines("its INTx"), 1);
	assert_int_equal(irqfds(g), 0);
	unmask_vector(g, 0);
	cfg(g, 0x72, 2, 0x8000);
	assert_true(kind_on(MSIX));
}

static void function_without_a_pin_has_none(void **state)
{
	struct guest *g = *state;

	k.n_irqs[INTX] = 0; /* VFIO can be told to keep INTx off */
	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(get(g, 0x3d, 1), 0);
	cfg(g, 4, 2, MEM);
	assert_false(kind_on(INTX));
}

/* --- from one kind to the next ----------------------------------------------------- */
static void msix_takes_over_from_intx_and_gives_back(void **state)
{
	struct guest *g = *state;
	int stale;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	stale = k.fd[INTX][0];
	raise_irq(INTX, 0);
	unmask_vector(g, 2); /* before MSI-X is on: the enabling write itself sets the vector */
	cfg(g, 0x72, 2, 0x8000);
	assert_false(kind_on(INTX));
	assert_int_equal(k.n_on[MSIX], 3);
	assert_int_equal(irqfds(g), 1);
	assert_int_equal(phys_get(4, 2), MEM | MASTER | INTX_OFF);
	cfg(g, 0x72, 2, 0);
	assert_false(kind_on(MSIX));
	assert_int_equal(k.fd[INTX][0], stale);
	assert_false(signalled(stale)); /* the level is asked for anew */
	assert_int_equal(irqfds(g), 1);
	assert_int_equal(phys_get(4, 2), MEM | MASTER);
	assert_int_equal(atomic_load(&g->v->n.mode_changes), 3);
}

static void vectors_come_one_at_a_time(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x72, 2, 0xc000);           /* as Linux does: on, all masked */
	assert_int_equal(k.n_on[MSIX], 1); /* it is on in the device */
	assert_int_equal(irqfds(g), 0);
	raise_irq(MSIX, 0);
	assert_int_equal(pci_msix_pba_read(&g->v->pci, 0, 8), 1);
	cfg(g, 0x72, 2, 0x8000);
	for (unsigned int i = 0; i < 10; i++) {
		unmask_vector(g, i);
		assert_int_equal(k.n_on[MSIX], i + 1);
		assert_true(k.fd[MSIX][i] >= 0);
	}
	assert_int_equal(irqfds(g), 10);
	pci_msix_table_write(&g->v->pci, 16 * 4 + 12, 4, 1); /* masked: stays the kernel's */
	assert_int_equal(irqfds(g), 9);
	raise_irq(MSIX, 4);
	assert_int_equal(pci_msix_pba_read(&g->v->pci, 0, 8), 1 << 4);
	pci_msix_table_write(&g->v->pci, 16 * 4 + 12, 4, 0);
	assert_int_equal(irqfds(g), 10);
	assert_true(signalled(k.fd[MSIX][4])); /* KVM takes it from there */
}

static void older_kernels_have_the_whole_table_at_once(void **state)
{
	struct guest *g = *state;

	k.no_msix_grow = true;
	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x72, 2, 0x8000);
	unmask_vector(g, 3);
	assert_int_equal(k.n_on[MSIX], 10);
	assert_true(k.fd[MSIX][3] >= 0 && k.fd[MSIX][4] < 0);
	unmask_vector(g, 4);
	assert_true(k.fd[MSIX][4] >= 0);
}

static void event_of_an_ended_msix_is_not_the_next_ones(void **state)
{
	struct guest *g = *state;
	int fd;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x72, 2, 0x8000);
	unmask_vector(g, 1);
	fd = k.fd[MSIX][1];
	raise_irq(MSIX, 1);
	cfg(g, 0x72, 2, 0);
	assert_false(signalled(fd));
	cfg(g, 0x72, 2, 0x8000);
	assert_int_equal(k.fd[MSIX][1], fd);
}

static void msi_and_msix_together_are_msix(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x54, 4, 0xfee01000);
	cfg(g, 0x52, 2, 1);
	assert_true(kind_on(MSI));
	unmask_vector(g, 0);
	cfg(g, 0x72, 2, 0x8000);
	assert_false(kind_on(MSI));
	assert_true(kind_on(MSIX));
	cfg(g, 0x72, 2, 0);
	assert_false(kind_on(MSIX));
	assert_true(kind_on(MSI)); /* it was not switched off */
}

/* --- MSI ----------------------------------------------------------------------------- */
static void msi_messages_are_irqfds(void **state)
{
	struct guest *g = *state;
	unsigned int routes;

	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(get(g, 0x52, 2), 0x0186); /* 8 messages, 64 bits, can mask */
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x54, 4, 0xfee01000);
	cfg(g, 0x5c, 2, 0x4041);
	cfg(g, 0x52, 2, 0x0021); /* 4 of them */
	assert_int_equal(k.n_on[MSI], 4);
	assert_int_equal(irqfds(g), 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_true(g->v->msi.v[i].addr == 0xfee01000);
		assert_int_equal(g->v->msi.v[i].data, 0x4040 | i);
	}
	routes = vm_fake_counts(g->vm)->routes;
	cfg(g, 0x3c, 1, 5); /* another register */
	assert_int_equal(vm_fake_counts(g->vm)->routes, routes);
	cfg(g, 0x54, 4, 0xfee02000); /* moved to another CPU */
	assert_true(g->v->msi.v[3].addr == 0xfee02000);
	assert_int_equal(k.n_on[MSI], 4);
	cfg(g, 0x52, 2, 0x0031); /* 8 */
	assert_int_equal(k.n_on[MSI], 8);
	assert_int_equal(irqfds(g), 8);
	cfg(g, 0x52, 2, 0);
	assert_false(kind_on(MSI));
	assert_true(kind_on(INTX));
	assert_int_equal(irqfds(g), 1);
}

static void masked_msi_is_pending_and_comes_later(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x54, 4, 0xfee01000);
	cfg(g, 0x52, 2, 0x0011);
	cfg(g, 0x60, 4, 2);
	assert_int_equal(get(g, 0x60, 4), 2);
	assert_int_equal(irqfds(g), 1);
	assert_int_equal(get(g, 0x64, 4), 0);
	raise_irq(MSI, 1);
	assert_int_equal(get(g, 0x64, 4), 2);
	cfg(g, 0x60, 4, 0);
	assert_int_equal(irqfds(g), 2);
	assert_true(signalled(k.fd[MSI][1]));
	cfg(g, 0x60, 4, ~0u);
	assert_int_equal(get(g, 0x60, 4), 0xff); /* as many as there are messages */
}

static void msi_to_a_bad_address_interrupts_nobody(void **state)
{
	static const uint32_t bad[] = { 0, 0x1000, 0xfed00000, 0xfef00000 };
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	for (unsigned int i = 0; i < 4; i++) {
		cfg(g, 0x54, 4, bad[i]);
		cfg(g, 0x52, 2, 1);
		assert_int_equal(irqfds(g), 0);
	}
	cfg(g, 0x54, 4, 0xfee00000);
	assert_int_equal(irqfds(g), 1);
}

/* Inside memory, beside the local APICs' window, above 4 GiB: no interrupt, and no write either. */
static void msix_entry_with_a_bad_address_interrupts_nobody(void **state)
{
	static const uint64_t bad[] = { 0,          0x1000,     0x3ff000,           0xfed00000,
					0xfef00000, 0xfee00001, 0x1000000000000000, ~0ull };
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x72, 2, 0x8000);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pci_msix_table_write(&g->v->pci, 0, 4, (uint32_t)bad[i]);
		pci_msix_table_write(&g->v->pci, 4, 4, (uint32_t)(bad[i] >> 32));
		pci_msix_table_write(&g->v->pci, 12, 4, 0);
		if (k.fd[MSIX][0] >= 0)
			raise_irq(MSIX, 0);
		assert_int_equal(irqfds(g), 0);
	}
	pci_msix_table_write(&g->v->pci, 0, 4, 0xfee00000);
	pci_msix_table_write(&g->v->pci, 4, 4, 0);
	assert_int_equal(irqfds(g), 1);
}

static void fewer_msi_of_the_host_are_said_and_used(void **state)
{
	struct guest *g = *state;

	k.msi_max = 1;
	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x54, 4, 0xfee00000);
	cfg(g, 0x52, 2, 0x0031);
	assert_int_equal(k.n_on[MSI], 1);
	assert_int_equal(lines("wants 8 MSI messages and the host has 1"), 1);
}

/* --- reset ------------------------------------------------------------------------------ */
static void it_is_reset_at_start_and_at_end(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(k.n_resets, 1);
	cfg(g, 4, 2, MEM | MASTER);
	device_destroy(g->dev);
	g->dev = NULL;
	assert_int_equal(k.n_resets, 2);
	assert_false(k.reset_while_on);
	assert_int_equal(said[0], 0);
}

/* The kernel's own, when it was opened, was enough: it says that it can, as it has done it. */
static void just_opened_one_is_reset_at_its_end_only(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS ",fresh=on"), 0);
	assert_int_equal(k.n_resets, 0);
	cfg(g, 4, 2, MEM | MASTER);
	device_destroy(g->dev);
	g->dev = NULL;
	assert_int_equal(k.n_resets, 1);
	assert_false(k.reset_while_on);
}

static void guests_flr_ends_interrupts_first(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x54, 4, 0xfee01000);
	cfg(g, 0x52, 2, 0x0021);
	cfg(g, 0xa8, 2, 0x8000);
	assert_int_equal(k.n_resets, 2);
	assert_false(k.reset_while_on);
	assert_int_equal(get(g, 4, 2), 0);
	assert_int_equal(get(g, 0x52, 2), 0x0186);
	assert_int_equal(get(g, 0x54, 4), 0);
	assert_int_equal(get(g, 0xa8, 2) & 0x8000, 0);
	assert_int_equal(phys_get(4, 2), MEM | INTX_OFF);
	assert_int_equal(irqfds(g), 0);
}

static void device_that_fails_its_reset_is_refused(void **state)
{
	struct guest *g = *state;

	k.reset_error = EIO;
	assert_true(start(g, WORDS) < 0);
	assert_int_equal(lines("resetting it: "), 1);
	assert_int_equal(lines("no-reset=on"), 1);
}

static void device_that_does_not_answer_after_reset_is_refused(void **state)
{
	struct guest *g = *state;

	k.dead_after_reset = true;
	assert_int_equal(start(g, WORDS), -ETIMEDOUT);
}

static void no_reset_takes_it_as_it_is(void **state)
{
	struct guest *g = *state;

	k.reset_error = EIO;
	assert_int_equal(start(g, WORDS ",no-reset=on"), 0);
	assert_int_equal(atomic_load(&g->v->n.reset_errors), 1);
}

static void device_without_a_reset_offers_the_guest_none(void **state)
{
	struct guest *g = *state;

	k.can_reset = false;
	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(get(g, 0xa4, 4) >> 28 & 1, 0);
	cfg(g, 0xa8, 2, 0x8000);
	assert_int_equal(k.n_resets, 0);
}

/* --- ROM ------------------------------------------------------------------------------- */
static bool rom_byte(struct guest *g, uint64_t addr, uint64_t *val)
{
	return bus_read(vm_mmio(g->vm), 0, addr, 1, val);
}

static void rom_is_a_shadow_that_the_guest_places(void **state)
{
	struct guest *g = *state;
	uint64_t val;

	assert_int_equal(pwrite(k.dev, "\x55\xaa", 2, ROM_OFF), 2);
	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 0x30, 4, ~0u);
	assert_int_equal(get(g, 0x30, 4), 0xfffff001);
	cfg(g, 0x30, 4, 0xd8000001);
	assert_false(rom_byte(g, 0xd8000000, &val)); /* memory decoding is off */
	cfg(g, 4, 2, MEM);
	assert_true(rom_byte(g, 0xd8000001, &val));
	assert_int_equal(val, 0xaa);
	assert_int_equal(pwrite(k.dev, "\x00\x00", 2, ROM_OFF), 2);
	bus_write(vm_mmio(g->vm), 0, 0xd8000000, 1, 0x77);
	assert_true(rom_byte(g, 0xd8000000, &val));
	assert_int_equal(val, 0x55);
	cfg(g, 0x30, 4, 0xd9000001);
	assert_false(rom_byte(g, 0xd8000000, &val));
	assert_true(rom_byte(g, 0xd9000000, &val));
	cfg(g, 0x30, 4, 0xe0000001); /* over the bus's own window */
	assert_false(rom_byte(g, 0xd9000000, &val));
	cfg(g, 0x30, 4, 0xd9000000);
	assert_false(rom_byte(g, 0xd9000000, &val));
}

static void rombar_off_hides_it(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS ",rombar=0"), 0);
	cfg(g, 0x30, 4, ~0u);
	assert_int_equal(get(g, 0x30, 4), 0);
}

/* --- BARs --------------------------------------------------------------------------------- */
static void trapped_bytes_are_counted(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	/* BAR 3: the page of the table */
	assert_true(g->v->trapped_bytes == 0x1000);
	assert_int_equal(g->v->n_io_bars, 1);
	assert_int_equal(get(g, 0x18, 4), 0);
	cfg(g, 4, 2, MEM);
	assert_int_equal(vm_fake_counts(g->vm)->slots, 2);
	cfg(g, 4, 2, 0);
	assert_int_equal(vm_fake_counts(g->vm)->slots, 0);
}

static void parts_that_the_kernel_allows_are_mapped(void **state)
{
	struct guest *g = *state;
	uint64_t val = 0;

	k.sparse_areas = 2;
	assert_int_equal(pwrite(k.dev, "\x12\x34", 2, BAR0_OFF + 0x1000), 2);
	assert_int_equal(start(g, WORDS), 0);
	assert_true(g->v->trapped_bytes == 0x1000 + 0x1e000);
	cfg(g, 0x10, 4, 0xd0000000);
	cfg(g, 4, 2, MEM);
	assert_int_equal(vm_fake_counts(g->vm)->slots, 3);
	assert_true(bus_read(vm_mmio(g->vm), 0, 0xd0001000, 2, &val));
	assert_int_equal(val, 0x3412);
	assert_int_equal(atomic_load(&g->v->n.trapped_reads), 1);
	/* an access that KVM could not finish by itself is answered, too */
	assert_int_equal(pwrite(k.dev, "\x56\x78", 2, BAR0_OFF), 2);
	assert_true(bus_read(vm_mmio(g->vm), 0, 0xd0000000, 2, &val));
	assert_int_equal(val, 0x7856);
}

static void nonsense_about_parts_is_refused(void **state)
{
	struct guest *g = *state;

	k.sparse_areas = 3; /* more than there is room for */
	assert_int_equal(start(g, WORDS), -EPROTO);
}

static void parts_told_outside_the_answer_are_not_looked_at(void **state)
{
	struct guest *g = *state;

	k.sparse_areas = 2;
	k.sparse_at = 0xfff0;
	assert_int_equal(start(g, WORDS), 0);
	assert_true(g->v->trapped_bytes == 0x1000);
}

static void bars_anywhere_never_cover_ram_or_each_other(void **state)
{
	/* RAM, its end, 0, the interrupt controllers, the bus's own window, the top */
	static const uint32_t bad[] = { 0x00100000, 0x003e0000, 0,
					0xfee00000, 0xe0000000, 0xfffe0000 };
	struct guest *g = *state;
	unsigned int slots;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 0x1c, 4, 0xd0000000); /* 0x4000, the first page is the table's */
	cfg(g, 4, 2, MEM);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cfg(g, 0x10, 4, 0xd8000000);
		assert_int_equal(vm_fake_counts(g->vm)->slots, 2);
		cfg(g, 0x10, 4, bad[i]);
		slots = vm_fake_counts(g->vm)->slots;
		assert_int_equal(slots, bad[i] == 0xfffe0000 ? 2 : 1);
	}
	cfg(g, 0x10, 4, 0xd0000000); /* over BAR 3 */
	assert_int_equal(vm_fake_counts(g->vm)->slots, 1);
	assert_true(atomic_load(&g->v->n.bar_map_errors) > 0);
	cfg(g, 0x1c, 4, 0xd8000000); /* BAR 3 gives way; BAR 0 comes when it is written */
	cfg(g, 0x10, 4, 0xd0000000);
	assert_int_equal(vm_fake_counts(g->vm)->slots, 2);
}

static void device_of_io_bars_only_is_refused(void **state)
{
	struct guest *g = *state;

	k.io_only = true;
	phys(0x70, 0, 4);
	phys(0x40, 0x00005001, 4); /* PM is its only capability */
	assert_int_equal(start(g, WORDS), -EOPNOTSUPP);
	assert_int_equal(lines("I/O BARs only"), 1);
}

/* --- by iommufd ------------------------------------------------------------------------- */
#define IOMMUFD_WORDS WORDS ",dma=iommufd,ioas=5"

static void iommufd_maps_and_kvm_knows_the_device(void **state)
{
	struct guest *g = *state;

	k.iommufd = true;
	assert_int_equal(start(g, IOMMUFD_WORDS), 0);
	assert_int_equal(k.n_maps, mem_n_regions(g->mem));
	assert_int_equal(vm_fake_counts(g->vm)->vfio_files, 1);
	assert_int_equal(vm_fake_counts(g->vm)->vfio_file, k.dev);
	assert_true(vfio_shared_dma_bytes(g->v->shared) == 4 << 20);
	cfg(g, 4, 2, MEM | MASTER);
	assert_true(kind_on(INTX));
	device_destroy(g->dev);
	g->dev = NULL;
	assert_int_equal(vm_fake_counts(g->vm)->vfio_files, 0); /* told before it is closed */
	assert_int_equal(k.n_maps, 0);
	assert_string_equal(said, "");
}

static void kvm_knows_the_group(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS ",dma=type1"), 0);
	assert_int_equal(vm_fake_counts(g->vm)->vfio_file, k.group);
	device_destroy(g->dev);
	g->dev = NULL;
	assert_int_equal(vm_fake_counts(g->vm)->vfio_files, 0);
}

static void memory_that_cannot_be_locked_is_named(void **state)
{
	struct guest *g = *state;

	k.iommufd = true;
	k.map_error = ENOMEM;
	assert_int_equal(start(g, IOMMUFD_WORDS), -ENOMEM);
	assert_int_equal(lines("RLIMIT_MEMLOCK"), 1);
	assert_int_equal(vm_fake_counts(g->vm)->vfio_files, 0);
}

static void words_and_descriptors_have_to_go_together(void **state)
{
	struct guest *g = *state;

	k.iommufd = true;
	assert_int_equal(start(g, WORDS ",dma=type1"), -EBADF); /* iommufd came, no container */
	assert_int_equal(lines("did not come"), 1);
	close(k.container); /* nobody took it */
}

static void word_that_is_no_way_is_refused(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS ",dma=auto"), -EINVAL);
	close(k.container);
	close(k.group);
	close(k.dev);
}

/* --- events -------------------------------------------------------------------------------- */
static int wait_for_stop(struct guest *g)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	for (int i = 0; i < 10000 && !atomic_load(&g->vm->stop); i++)
		nanosleep(&nap, NULL);
	io_stop(g->vm->io);
	return atomic_load(&g->vm->stop);
}

static void hosts_request_ends_the_guest_in_order(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(io_start(g->vm->io), 0);
	raise_irq(VFIO_PCI_REQ_IRQ_INDEX, 0);
	assert_int_equal(wait_for_stop(g), VM_STOP_ASKED);
	assert_int_equal(lines("guest 'red': 0000:01:00.0: the host wants it back"), 1);
}

/* Who unbinds it waits in the kernel: the answer must not wait until the guest is resumed. */
static void hosts_request_ends_a_paused_guest(void **state)
{
	struct guest *g = *state;
	struct pollfd p = { .events = POLLIN };

	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(io_start(g->vm->io), 0);
	io_pause(g->vm->io);
	p.fd = io_urgent_fd(g->vm->io);
	assert_int_equal(poll(&p, 1, 0), 0);
	raise_irq(VFIO_PCI_REQ_IRQ_INDEX, 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(atomic_load(&g->vm->stop), VM_STOP_NONE);
	io_look_urgent(g->vm->io);
	assert_int_equal(atomic_load(&g->vm->stop), VM_STOP_ASKED);
	assert_int_equal(poll(&p, 1, 0), 0); /* it is not asked for again and again */
	io_resume(g->vm->io);
	io_stop(g->vm->io);
	assert_int_equal(lines("the host wants it back"), 1);
}

/* The kernel refuses a reset to us while somebody unbinds the device: no news for the user. */
static void reset_refused_to_one_who_gives_it_back_is_not_said(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(io_start(g->vm->io), 0);
	k.reset_error = EAGAIN;
	raise_irq(VFIO_PCI_REQ_IRQ_INDEX, 0);
	assert_int_equal(wait_for_stop(g), VM_STOP_ASKED);
	device_destroy(g->dev);
	g->dev = NULL;
	assert_int_equal(k.n_resets, 2);
	assert_int_equal(lines("resetting it at the end"), 0);
}

static void devices_error_ends_the_guest_and_is_said(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(io_start(g->vm->io), 0);
	raise_irq(VFIO_PCI_ERR_IRQ_INDEX, 0);
	assert_int_equal(wait_for_stop(g), VM_STOP_ERROR);
	assert_int_equal(lines("guest 'red': 0000:01:00.0: it reported an uncorrectable error"), 1);
}

static void device_without_these_events_works(void **state)
{
	struct guest *g = *state;

	k.n_irqs[VFIO_PCI_ERR_IRQ_INDEX] = k.n_irqs[VFIO_PCI_REQ_IRQ_INDEX] = 0;
	assert_int_equal(start(g, WORDS), 0);
	assert_int_equal(said[0], 0);
}

/* --- a hostile guest ------------------------------------------------------------------------- */
/* Every byte, every size, values of all kinds: teardown checks that no rule was broken. */
static void config_writes_of_every_kind_are_survived(void **state)
{
	static const unsigned int hot[] = { 0x04, 0x05, 0x10, 0x1c, 0x30, 0x52, 0x54, 0x58,
					    0x5c, 0x60, 0x72, 0x73, 0xa8, 0xa9, 0x44 };
	static const uint32_t vals[] = {
		0, ~0u, 0xfee00000, 0x8000, 0x0031, 6, 0x100000, 0xd0000001
	};
	struct guest *g = *state;
	uint32_t x = 3;

	assert_int_equal(start(g, WORDS), 0);
	for (int i = 0; i < 60000; i++) {
		unsigned int size, off;
		uint32_t val;

		x = x * 1664525 + 1013904223;
		size = 1u << (x >> 30 == 3 ? 0 : x >> 30);
		off = x >> 8 & 3 ? hot[(x >> 12) % 15] : x >> 12 & 0xfff;
		off &= ~(size - 1);
		val = x >> 6 & 1 ? vals[x >> 20 & 7] : x * 2654435761u;
		cfg(g, off, size, val);
		get(g, off, size);
		if (!(x >> 4 & 7))
			pci_msix_table_write(&g->v->pci, (x >> 16) % 160 & ~3u, 4,
					     val & 0xfffffffe);
		assert_true(phys_get(4, 2) & MEM);
	}
	assert_int_equal(k.n_refused, 0);
	assert_false(k.reset_while_on);
	assert_int_equal(g->v->irq.n_errors, 0);
	assert_int_equal(phys_get(0, 4), 0x10c98086);
}

static void pause_and_resume_raise_what_may_be_lost(void **state)
{
	struct guest *g = *state;

	assert_int_equal(start(g, WORDS), 0);
	cfg(g, 4, 2, MEM | MASTER);
	cfg(g, 0x54, 4, 0xfee01000);
	cfg(g, 0x52, 2, 1);
	assert_int_equal(g->dev->ops->pause(g->dev), 1);
	assert_int_equal(phys_get(4, 2), MEM | INTX_OFF);
	g->dev->ops->resume(g->dev);
	assert_int_equal(phys_get(4, 2), MEM | MASTER | INTX_OFF);
	assert_true(signalled(k.fd[MSI][0]));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(intx_comes_with_memory_decoding),
		T(intx_disable_is_the_devices),
		T(status_shows_the_devices_intx),
		T(intx_that_the_host_cannot_give_is_said_once),
		T(function_without_a_pin_has_none),
		T(msix_takes_over_from_intx_and_gives_back),
		T(vectors_come_one_at_a_time),
		T(older_kernels_have_the_whole_table_at_once),
		T(event_of_an_ended_msix_is_not_the_next_ones),
		T(msi_and_msix_together_are_msix),
		T(msi_messages_are_irqfds),
		T(masked_msi_is_pending_and_comes_later),
		T(msi_to_a_bad_address_interrupts_nobody),
		T(msix_entry_with_a_bad_address_interrupts_nobody),
		T(fewer_msi_of_the_host_are_said_and_used),
		T(it_is_reset_at_start_and_at_end),
		T(just_opened_one_is_reset_at_its_end_only),
		T(guests_flr_ends_interrupts_first),
		T(device_that_fails_its_reset_is_refused),
		T(device_that_does_not_answer_after_reset_is_refused),
		T(no_reset_takes_it_as_it_is),
		T(device_without_a_reset_offers_the_guest_none),
		T(rom_is_a_shadow_that_the_guest_places),
		T(rombar_off_hides_it),
		T(trapped_bytes_are_counted),
		T(parts_that_the_kernel_allows_are_mapped),
		T(nonsense_about_parts_is_refused),
		T(parts_told_outside_the_answer_are_not_looked_at),
		T(bars_anywhere_never_cover_ram_or_each_other),
		T(device_of_io_bars_only_is_refused),
		T(iommufd_maps_and_kvm_knows_the_device),
		T(kvm_knows_the_group),
		T(memory_that_cannot_be_locked_is_named),
		T(words_and_descriptors_have_to_go_together),
		T(word_that_is_no_way_is_refused),
		T(hosts_request_ends_the_guest_in_order),
		T(hosts_request_ends_a_paused_guest),
		T(reset_refused_to_one_who_gives_it_back_is_not_said),
		T(devices_error_ends_the_guest_and_is_said),
		T(device_without_these_events_works),
		T(config_writes_of_every_kind_are_survived),
		T(pause_and_resume_raise_what_may_be_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

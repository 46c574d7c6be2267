/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives a PCI function of the software host through iommufd: /dev/vfio/devices/vfioN bound to
 * /dev/iommu, an address space, memory mapped for DMA, reset, an interrupt that the device itself
 * raises. Static; run inside by lab_modules.t with the address of a VF of an 82576 which vfio-pci
 * has; with "ranges" behind it, of any function, for the addresses that DMA may have. "container
 * GROUP CONTAINER" puts descriptors that it inherits together as a caller of fourlane might, and
 * "page CONTAINER" maps a page there. Prints a line per step that went well, ends with 1 at the
 * first that did not. Linux'
 * Documentation/userspace-api/iommufd.rst; 82576 datasheet rev. 2.63, section 8.27 (VF registers).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAP_BYTES   (2ul << 20)
#define MAP_IOVA    (256ull << 20)
#define VTEICS      (0x1520 / 4) /* raises a vector */
#define VTEIMS      (0x1524 / 4) /* lets vectors through */
#define VTEICR      (0x1580 / 4) /* causes, cleared by ones */
#define N_VECTORS   3
#define PCI_COMMAND 4

static long step(const char *what, long ret)
{
	if (ret < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
		exit(1);
	}
	printf("%s\n", what);
	return ret;
}

static int open_device(const char *bdf)
{
	char path[300];
	struct dirent *e;
	int fd = -1;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	d = opendir(path);
	while (d && fd < 0 && (e = readdir(d))) {
		if (strncmp(e->d_name, "vfio", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (d)
		closedir(d);
	return fd;
}

static void map_memory(int iommu, uint32_t ioas)
{
	void *mem =
		mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					       IOMMU_IOAS_MAP_WRITEABLE,
				      .ioas_id = ioas,
				      .user_va = (uintptr_t)mem,
				      .length = MAP_BYTES,
				      .iova = MAP_IOVA };
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = ioas, .iova = MAP_IOVA, .length = MAP_BYTES
	};

	step("map", ioctl(iommu, IOMMU_IOAS_MAP, &map));
	step("map twice refused",
	     ioctl(iommu, IOMMU_IOAS_MAP, &map) < 0 && errno == EEXIST ? 0 : -1);
	step("unmap", ioctl(iommu, IOMMU_IOAS_UNMAP, &unmap));
	step("unmapped all", unmap.length == MAP_BYTES ? 0 : -1);
}

static void print_ranges(int iommu, uint32_t ioas)
{
	struct iommu_iova_range r[16];
	struct iommu_ioas_iova_ranges ask = {
		.size = sizeof(ask), .ioas_id = ioas, .num_iovas = 16, .allowed_iovas = (uintptr_t)r
	};

	step("ranges", ioctl(iommu, IOMMU_IOAS_IOVA_RANGES, &ask));
	for (uint32_t i = 0; i < ask.num_iovas; i++)
		printf("%s%llx-%llx", i ? " " : "", (unsigned long long)r[i].start,
		       (unsigned long long)r[i].last);
	printf("\n");
}

/* Bus master and memory on, as after every reset. */
static void enable(int dev)
{
	struct vfio_region_info config = { .argsz = sizeof(config),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t command = 6;

	step("config space", ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &config));
	step("enable", pwrite(dev, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) ==
				       sizeof(command)
			       ? 0
			       : -1);
}

static void raise_interrupt(int dev)
{
	struct {
		struct vfio_irq_set head;
		int fds[N_VECTORS];
	} set = { .head = { .argsz = sizeof(set),
			    .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			    .index = VFIO_PCI_MSIX_IRQ_INDEX,
			    .count = N_VECTORS } };
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = 0 };
	volatile uint32_t *regs;
	struct pollfd p;

	for (int i = 0; i < N_VECTORS; i++)
		set.fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	step("MSI-X", ioctl(dev, VFIO_DEVICE_SET_IRQS, &set));
	step("BAR 0", ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, &bar));
	regs = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, dev, (off_t)bar.offset);
	step("BAR 0 mapped", regs == MAP_FAILED ? -1 : 0);
	regs[VTEICR] = 7; /* QEMU's model keeps a cause over a reset, and raises it once only */
	regs[VTEIMS] = 7;
	regs[VTEICS] = 2;
	p = (struct pollfd){ .fd = set.fds[1], .events = POLLIN };
	step("interrupt", poll(&p, 1, 5000) == 1 ? 0 : -1);
}

/* The container's type is chosen, too: it is in use. */
static int join(int group, int container)
{
	step("in the container", ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	step("type1", ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	return 0;
}

/* At 1 MiB; it stays when we are gone. */
static int map_page(int container)
{
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map),
						.flags = VFIO_DMA_MAP_FLAG_READ,
						.vaddr = (uintptr_t)mem,
						.iova = 1 << 20,
						.size = 4096 };

	step("page", ioctl(container, VFIO_IOMMU_MAP_DMA, &map));
	return 0;
}

int main(int argc, char **argv)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	int dev, iommu;

	if (argc == 4 && !strcmp(argv[1], "container"))
		return join(atoi(argv[2]), atoi(argv[3]));
	if (argc == 3 && !strcmp(argv[1], "page"))
		return map_page(atoi(argv[2]));
	if (argc != 2 && (argc != 3 || strcmp(argv[2], "ranges") != 0))
		return 2;
	dev = (int)step("open device", open_device(argv[1]));
	iommu = (int)step("open iommu", open("/dev/iommu", O_RDWR | O_CLOEXEC));
	bind.iommufd = iommu;
	step("bind", ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	step("address space", ioctl(iommu, IOMMU_IOAS_ALLOC, &ioas));
	attach.pt_id = ioas.out_ioas_id;
	step("attach", ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	if (argc == 3) {
		print_ranges(iommu, ioas.out_ioas_id);
		return 0;
	}
	map_memory(iommu, ioas.out_ioas_id);
	step("reset", ioctl(dev, VFIO_DEVICE_RESET));
	enable(dev);
	raise_interrupt(dev);
	step("detach", ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	return 0;
}

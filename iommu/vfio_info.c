/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO's info structures of variable length (linux/vfio.h): argsz first, capabilities behind. The
 * answer to a first question tells how long the whole is. Used by the DMA mapping here and for the
 * regions of a device.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "iommu/iommu.h"

#define INFO_MAX 65536u

int vfio_info_get(int fd, unsigned long request, const void *ask, size_t ask_size, void **out)
{
	size_t size = ask_size;

	/* it may have grown between two questions */
	for (int i = 0; i < 3 && size <= INFO_MAX; i++) {
		void *info = calloc(1, size);
		uint32_t argsz = (uint32_t)size;
		int err;

		if (!info)
			return -ENOMEM;
		memcpy(info, ask, ask_size);
		memcpy(info, &argsz, sizeof(argsz));
		if (ioctl(fd, request, info) < 0) {
			err = errno;
			free(info);
			return -err;
		}
		memcpy(&argsz, info, sizeof(argsz));
		if (argsz <= size) {
			*out = info;
			return (int)size;
		}
		free(info);
		size = argsz;
	}
	return -EPROTO;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * By which way a guest's functions are opened and their DMA is mapped: what the user says, what its
 * other functions have, else what the caller may open. Called by prep_vfio.c; the ways are
 * prep_type1.c and prep_iommufd.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "prep_vfio.h"

int vfio_dma_take(struct opts *o, enum vfio_dma *out)
{
	const char *word = opts_take(o, "dma");

	*out = VFIO_DMA_AUTO;
	if (!word || !strcmp(word, "auto"))
		return 0;
	*out = VFIO_DMA_TYPE1;
	if (!strcmp(word, "type1"))
		return 0;
	*out = VFIO_DMA_IOMMUFD;
	if (!strcmp(word, "iommufd"))
		return 0;
	return err_ret(-EINVAL, "options '%s': dma: '%s' is none of auto, type1, iommufd; give one",
		       opts_text(o), word);
}

const char *vfio_dma_name(enum vfio_dma dma)
{
	return dma == VFIO_DMA_TYPE1 ? "type1" : "iommufd";
}

/* F_OK: are both nodes of that way there? R_OK | W_OK: can we open them? */
static bool choose_may(const struct vfio_prep *p, enum vfio_dma dma, int how)
{
	const char *dev = p->host->dev;
	char one[PATH_MAX], other[PATH_MAX];

	if (dma == VFIO_DMA_TYPE1) {
		snprintf(one, sizeof(one), "%s/vfio/vfio", dev);
		vfio_group_node(p->host->sysfs, dev, (int)p->group, other, sizeof(other));
	} else {
		snprintf(one, sizeof(one), "%s/iommu", dev);
		if (!vfio_device_node(p->host->sysfs, dev, p->bdf, other, sizeof(other)))
			return false;
	}
	return faccessat(AT_FDCWD, one, how, AT_EACCESS) == 0 &&
	       faccessat(AT_FDCWD, other, how, AT_EACCESS) == 0;
}

/* Nobody has said which: the first that works, else the first that is there, so that its error
 * says what is missing. */
static int choose_auto(struct vfio_prep *p)
{
	static const enum vfio_dma way[] = { VFIO_DMA_TYPE1, VFIO_DMA_IOMMUFD };
	static const int how[] = { R_OK | W_OK, F_OK };

	for (unsigned int h = 0; h < 2; h++)
		for (unsigned int w = 0; w < 2; w++)
			if (choose_may(p, way[w], how[h])) {
				p->dma = way[w];
				return 0;
			}
	return err_ret(-ENODEV,
		       "opening %s: neither /dev/vfio/vfio with /dev/vfio/%u nor /dev/iommu with a "
		       "node in /dev/vfio/devices is there; run 'modprobe vfio-pci', the kernel "
		       "needs CONFIG_VFIO_CONTAINER, or CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV",
		       p->bdf, p->group);
}

int vfio_prep_choose(struct vfio_prep *p)
{
	bool by_type1 = p->given.group >= 0 || p->given.container >= 0,
	     by_iommufd = p->given.device >= 0 || p->given.iommufd >= 0;
	enum vfio_dma has = prep_shared_fd(p->g, "container") >= 0 ? VFIO_DMA_TYPE1
			    : prep_shared_fd(p->g, "iommufd") >= 0 ? VFIO_DMA_IOMMUFD
								   : VFIO_DMA_AUTO;

	if ((by_type1 && by_iommufd) || (by_type1 && p->dma == VFIO_DMA_IOMMUFD) ||
	    (by_iommufd && p->dma == VFIO_DMA_TYPE1))
		return err_ret(-EINVAL,
			       "--nic vfio: fd= and iommufd-fd= are for dma=iommufd, group-fd= and "
			       "container-fd= for dma=type1; give those of one");
	if (by_type1 || by_iommufd)
		p->dma = by_type1 ? VFIO_DMA_TYPE1 : VFIO_DMA_IOMMUFD;
	if (p->dma == VFIO_DMA_AUTO)
		p->dma = has;
	if (p->dma == VFIO_DMA_AUTO)
		return choose_auto(p);
	if (has == VFIO_DMA_AUTO || has == p->dma)
		return 0;
	return err_ret(-EINVAL,
		       "opening %s: its DMA is to be mapped by %s, and the guest's other devices "
		       "have %s; give all of them one dma=",
		       p->bdf, vfio_dma_name(p->dma), vfio_dma_name(has));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of opening a function for a guest (prep_vfio.c): the two ways there are, by a group in
 * a container (prep_type1.c) and by the device's own node and iommufd (prep_iommufd.c); descriptors
 * that the caller has opened (prep_given.c); locked memory (prep_memory.c). Paths are parameters,
 * for tests.
 */
#ifndef VFIO_PREP_VFIO_H
#define VFIO_PREP_VFIO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/host.h"
#include "vfio/vfio.h"

/* Descriptors that `fourlane run` inherits, by number; -1: none. They stay the caller's. */
struct vfio_given {
	int device, iommufd, group, container;
};

/*
 * What was done to the caller's descriptors and is undone when the guest is gone; -1: nothing. All
 * but `iommufd` are the caller's own numbers.
 */
struct vfio_lent {
	int device;  /* is attached to an address space */
	int iommufd; /* a copy of ours: `ioas` was made there */
	uint32_t ioas;
	int group;         /* was put into a container */
	int container;     /* the guest's memory was mapped in it */
	uint64_t mem_size; /* of that */
};
#define VFIO_LENT_NOTHING \
	((struct vfio_lent){ .device = -1, .iommufd = -1, .group = -1, .container = -1 })

struct vfio_prep {
	const struct host_view *host;
	struct prep_guest *g;
	char bdf[IOMMU_BDF_SIZE];
	unsigned int group; /* IOMMU group */
	enum vfio_dma dma;  /* VFIO_DMA_AUTO until it is chosen */
	struct vfio_given given;
	struct vfio_lent lent;
};

/* What a --nic says besides. */
struct vfio_prep_words {
	const char *host; /* NULL: given.device tells */
	bool rombar, no_reset;
};

/*
 * vfio_prep_function - vfio_prep_open() with all there is to say. p->lent is what the caller undoes
 * by vfio_lent_give_back() when the guest's descriptors are closed; after a failure nothing.
 */
int vfio_prep_function(struct vfio_prep *p, struct prep_nic *nic, const struct vfio_prep_words *w);

/* --- the two ways ---------------------------------------------------------- */
/*
 * vfio_prep_type1 / vfio_prep_iommufd - open the function; what goes with it, a container and the
 * group, or an iommufd, is kept with the guest for its next function ("container", "group12",
 * "iommufd" with the address space as its number). Gives the device's descriptor, which is the
 * caller's, or a negative errno after a message.
 */
int vfio_prep_type1(struct vfio_prep *p);
int vfio_prep_iommufd(struct vfio_prep *p);

/* vfio_prep_choose - p->dma (prep_choose.c); -EINVAL, -ENODEV after a message. */
int vfio_prep_choose(struct vfio_prep *p);
/* vfio_dma_name - "type1" or "iommufd". */
const char *vfio_dma_name(enum vfio_dma dma);

/* --- for both -------------------------------------------------------------- */
/*
 * vfio_prep_node - opens a node; `udev` is how a udev rule finds it, `without` what would make it.
 * Negative errno after a message (-ENODEV: it is not there), but -EBUSY without one.
 */
int vfio_prep_node(const struct vfio_prep *p, const char *path, const char *udev,
		   const char *without);
/* vfio_prep_share - keeps fd with the guest. fd, or a negative errno after a message; closed then.
 */
int vfio_prep_share(const struct vfio_prep *p, const char *name, int fd, uint32_t number);
/* vfio_prep_busy - -EBUSY after a message that names the process that has the function. */
int vfio_prep_busy(const struct vfio_prep *p);
/* vfio_prep_errno - a negative errno of the kernel's that does not look like a wrong word of the
 * user's (EINVAL). */
int vfio_prep_errno(int err);

/* --- descriptors of the caller's (prep_given.c) ----------------------------- */
/* vfio_given_copy - a copy of a character device's descriptor, that no program we start inherits.
 * -EINVAL after a message; `key` and `wanted` stand in it. */
int vfio_given_copy(const char *key, int fd, const char *wanted);
/* vfio_given_bdf - the function whose own node given.device is. -EINVAL after a message. */
int vfio_given_bdf(const struct host_view *v, int fd, char bdf[IOMMU_BDF_SIZE]);
/* vfio_given_group - number of the group whose node fd is, -1: sysfs does not tell. */
int vfio_given_group(const struct host_view *v, int fd);
/* vfio_given_same - do both descriptors mean one open file? */
bool vfio_given_same(int a, int b);
/* vfio_lent_give_back - the guest is gone and its descriptors are closed. */
void vfio_lent_give_back(struct vfio_lent *l);

/* --- locked memory (prep_memory.c) ------------------------------------------ */
/* vfio_round_mem - the size that guest memory of `mem` bytes has in fact. */
uint64_t vfio_round_mem(uint64_t mem);
/*
 * vfio_prep_limit - may this account lock a guest's `mem` bytes? Raises the soft limit when the
 * hard one allows it. what: who wants it. by_account: what its other processes have pinned counts,
 * too. -EPERM after a message.
 */
int vfio_prep_limit(const struct host_view *v, const char *what, uint64_t mem, bool by_account);

#endif

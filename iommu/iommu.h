/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's IOMMU: its groups as sysfs shows them (programs), and the mapping of guest memory for
 * a device's DMA (monitor).
 *
 * Kernel: Documentation/ABI/testing/sysfs-kernel-iommu_groups, include/uapi/linux/vfio.h. The sysfs
 * folder is a parameter everywhere, so that a test can show a host that it made up.
 */
#ifndef IOMMU_IOMMU_H
#define IOMMU_IOMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t iova_t;

/* --- PCI addresses -------------------------------------------------------- */
#define IOMMU_BDF_SIZE 16 /* "0000:03:00.0" and its NUL, with room for a longer domain */

/*
 * iommu_bdf_parse - "03:00.0" or "0000:03:00.0" into the form that sysfs uses, in lower case.
 * -EINVAL without a message.
 */
int iommu_bdf_parse(const char *text, char out[IOMMU_BDF_SIZE]);

/* --- groups --------------------------------------------------------------- */
struct iommu_member {
	char name[32];   /* "0000:03:00.0"; platform devices have other names */
	char driver[40]; /* "" when none is bound */
	uint16_t vendor, device;
	uint32_t class_code; /* 24 bits; 0 when the device has none */
	bool pci;
	bool bridge; /* PCI-to-PCI bridge: belongs to the group but is never handed to a guest */
	bool vf;     /* an SR-IOV virtual function */
};

struct iommu_reserved {
	iova_t first, last; /* both within the window */
	char kind[24];      /* "msi", "direct", "direct-relaxable", "reserved", ... */
};

struct iommu_group {
	unsigned int id;
	char type[24]; /* "DMA", "DMA-FQ", "identity", ...; "" where the kernel does not tell */
	bool no_iommu; /* made up by VFIO for a device that no IOMMU translates */
	struct iommu_member *members;
	size_t n_members;
	struct iommu_reserved *reserved;
	size_t n_reserved;
};

/* iommu_active - groups exist, that is, the kernel drives an IOMMU. Those that VFIO makes up in its
 * no-IOMMU mode do not count. */
bool iommu_active(const char *sysfs);

/* iommu_group_of - number of the group of a PCI function; -ENOENT when there is no such function,
 * -ENODEV when it has no group. No message. */
int iommu_group_of(const char *sysfs, const char *bdf);

/* iommu_group_load - one group, freed by the caller with iommu_group_free(). -ENOENT, -ENOMEM,
 * without a message. */
int iommu_group_load(const char *sysfs, unsigned int id, struct iommu_group **out);
void iommu_group_free(struct iommu_group *g); /* accepts NULL */

/* iommu_groups_load - all groups sorted by number, in an array of *n; freed with
 * iommu_groups_free(). Empty without an IOMMU. */
int iommu_groups_load(const char *sysfs, struct iommu_group ***out, size_t *n);
void iommu_groups_free(struct iommu_group **all, size_t n);

/*
 * iommu_member_blocks - true when the member's driver keeps the group from being given away: any
 * driver but vfio-pci and its variants, pci-stub and the port drivers pcieport and shpchp (which
 * promise not to use DMA of their own: driver_managed_dma in the kernel).
 */
bool iommu_member_blocks(const struct iommu_member *m);
/* iommu_driver_is_vfio - the driver hands its device to user space. */
bool iommu_driver_is_vfio(const char *driver);
/* iommu_group_viable - no member blocks, and an IOMMU translates for it. */
bool iommu_group_viable(const struct iommu_group *g);
/* iommu_group_forced - the first reserved window of kind "direct" (the firmware wants it mapped for
 * good), or NULL. */
const struct iommu_reserved *iommu_group_forced(const struct iommu_group *g);
/* iommu_group_list - "0000:00:1f.0 (lpc_ich), 0000:00:1f.2 (no driver)" of all members, or of the
 * blocking ones only. Cut to size. */
void iommu_group_list(const struct iommu_group *g, bool blocking_only, char *buf, size_t size);

enum iommu_verdict {
	IOMMU_OK,           /* can be handed to a guest now */
	IOMMU_BOUND,        /* members are in use by the host's drivers: fourlane assign */
	IOMMU_FORCED,       /* the firmware keeps a mapping: the kernel refuses */
	IOMMU_ONLY_BRIDGES, /* nothing in it that a guest could use */
	IOMMU_NO_IOMMU,     /* no IOMMU translates for it: the device reaches all memory */
};
/* iommu_group_verdict - why or why not; `mend` gets the step that mends it ("" when none is needed
 * or known). */
enum iommu_verdict iommu_group_verdict(const struct iommu_group *g, char *mend, size_t size);

/* --- isolation (ACS) ------------------------------------------------------ */
enum iommu_break {
	IOMMU_BREAK_FUNCTIONS, /* functions of one device that may reach each other */
	IOMMU_BREAK_NO_ACS,    /* a port without ACS */
	IOMMU_BREAK_ACS_OFF,   /* a port whose ACS is there and not all of it on */
	IOMMU_BREAK_PCI,       /* a bridge to conventional PCI: all below it look alike */
};

/* What keeps a function from being told apart from others, the nearest first. */
struct iommu_isolation {
	bool known; /* false: config space is hidden (only root sees capabilities) */
	size_t n;   /* 0 and known: isolated all the way to the root */
	struct {
		char name[IOMMU_BDF_SIZE]; /* the bridge, or the function itself */
		enum iommu_break kind;
		char why[96];
	} at[8];
};

/*
 * iommu_isolation_of - walks from the function up to the root, by the rules of the kernel's
 * pci_device_group(): a port needs source validation, request and completion redirection and
 * upstream forwarding (PCI Express Base Specification 6.0, section 7.7.11). The kernel knows
 * devices that isolate without saying so; where its groups are finer than this, it is right.
 */
void iommu_isolation_of(const char *sysfs, const char *bdf, struct iommu_isolation *out);

/*
 * iommu_group_apart - why the functions of a group that a guest could use are together, and how
 * they come apart. False, and "" in both, for a group with one such function or when nothing is
 * known.
 */
bool iommu_group_apart(const char *sysfs, const struct iommu_group *g, char *why, char *mend,
		       size_t size);

/* --- faults that the kernel logs (programs) ------------------------------- */
enum iommu_fault_kind {
	IOMMU_FAULT_DMA, /* the log does not tell the direction */
	IOMMU_FAULT_READ,
	IOMMU_FAULT_WRITE,
	IOMMU_FAULT_INTERRUPT,
	IOMMU_FAULT_OTHER,      /* `why` tells */
	IOMMU_FAULT_SUPPRESSED, /* no fault: the kernel left out `n` of them */
};

struct iommu_fault {
	enum iommu_fault_kind kind;
	bool has_domain; /* VT-d's lines have no PCI domain */
	bool untold;     /* the line names no device that could be true */
	uint32_t domain;
	uint8_t bus, dev, fn;
	uint64_t addr; /* of the DMA; of an interrupt, where told, its index */
	uint64_t n;
	char why[96]; /* "fault reason 0x06, PTE Read access is not set", "IO_PAGE_FAULT, flags
			 0x0" */
};

/*
 * iommu_fault_parse - one record of /dev/kmsg ("3,1234,5678,-;text", len bytes, no NUL needed):
 * true when the kernel itself tells in it of a fault that VT-d or AMD-Vi has found, or of fault
 * lines that it left out. The words are those of Linux 4.19 to 6.12: dmar_fault_do_one() of
 * drivers/iommu/intel/dmar.c; amd_iommu_report_page_fault() and iommu_print_event() of
 * drivers/iommu/amd/iommu.c.
 */
bool iommu_fault_parse(const char *record, size_t len, struct iommu_fault *out);

/* A function that a guest has, and what the guest calls it. */
struct iommu_fault_source {
	char nic[16]; /* "nic0" */
	char bdf[IOMMU_BDF_SIZE];
};

struct iommu_faults;

/*
 * iommu_faults_open - follows the kernel's log (path: /dev/kmsg) from now on for faults of n
 * functions of a guest, and says them, rate-limited, with its name. A log that cannot be read is
 * said once, and no error: iommu_faults_fd() is -1 then. -ENOMEM. One thread.
 */
int iommu_faults_open(const char *path, const char *guest, const struct iommu_fault_source *src,
		      size_t n, struct iommu_faults **out);
/* iommu_faults_close - says how many were not shown. Accepts NULL. */
void iommu_faults_close(struct iommu_faults *f);
/* iommu_faults_fd - for poll(2), POLLIN; -1: the log is not read (any more). */
int iommu_faults_fd(const struct iommu_faults *f);
/* iommu_faults_ready - reads what is there, a bounded number of records, without waiting. */
void iommu_faults_ready(struct iommu_faults *f);

struct iommu_fault_counts {
	uint64_t untold;     /* of some device, and there is no telling which */
	uint64_t suppressed; /* that the kernel left out, of any device */
	uint64_t overruns;   /* so often the log was faster than we */
};
/* iommu_faults_of - how many of source i; iommu_faults_count - the others. */
uint64_t iommu_faults_of(const struct iommu_faults *f, size_t i);
struct iommu_fault_counts iommu_faults_count(const struct iommu_faults *f);

/* --- valid IOVA ranges ---------------------------------------------------- */
struct iommu_range {
	iova_t first, last;
};

/*
 * iommu_ranges_clip - the parts of [first, last] that lie in the sorted or unsorted ranges
 * valid[n], in ascending order, page aligned (what is not a whole page is left out). Gives how many
 * there are, -ENOSPC when they are more than `max`, -EINVAL for ranges that overlap or end before
 * they begin. n == 0: no limits, all of it.
 */
int iommu_ranges_clip(const struct iommu_range *valid, size_t n, iova_t first, iova_t last,
		      struct iommu_range *out, size_t max);

/* --- mapping memory for DMA ------------------------------------------------ */
/* Where it is mapped. */
struct iommu_map_fd {
	int fd;        /* a VFIO container with its type set, or /dev/iommu */
	uint32_t ioas; /* iommufd: the address space in it; type1: not looked at */
};

/*
 * A way to map: VFIO's type1 container, or an address space of iommufd. Ranges are those of the
 * devices attached so far; addresses and sizes are whole pages. All give a negative errno without a
 * message.
 */
struct iommu_map_ops {
	const char *name;
	/* The valid ranges, at most max; gives how many the kernel told (0: it has no such notion).
	 * -EPROTO: they are more, or the answer makes no sense. */
	int (*ranges)(const struct iommu_map_fd *f, struct iommu_range *out, size_t max);
	int (*map)(const struct iommu_map_fd *f, iova_t iova, uint64_t size, void *hva);
	int (*unmap)(const struct iommu_map_fd *f, iova_t iova, uint64_t size);
};
extern const struct iommu_map_ops iommu_map_type1v2, iommu_map_iommufd;

/*
 * iommu_ioas_create / iommu_ioas_destroy - an address space of /dev/iommu. It ends with the last
 * copy of the descriptor at the latest; -EBUSY: a device is attached to it. No message.
 */
int iommu_ioas_create(int fd, uint32_t *ioas);
int iommu_ioas_destroy(int fd, uint32_t ioas);

/* --- huge pages (small_pages.c) -------------------------------------------- */
#define IOMMU_THP_SIZE 40
/*
 * iommu_thp_setting - what the kernel is told about huge pages for memory of one process (or, with
 * `shared`, for a memfd): the file below sysfs's transparent_hugepage, and its word. False: this
 * kernel has none.
 */
bool iommu_thp_setting(const char *sysfs, bool shared, char file[IOMMU_THP_SIZE],
		       char word[IOMMU_THP_SIZE]);
/* iommu_small_pages - such memory that asks for huge pages (madvise) gets none; `why` tells, and
 * what mends it. */
bool iommu_small_pages(const char *sysfs, bool shared, char *why, size_t size);

/* --- mapping guest memory for DMA (monitor) ------------------------------- */
struct guest_mem;
struct iommu_map;

/*
 * iommu_map_create - maps every region of guest memory at its guest physical address, reserved
 * windows left out (said in a message when RAM lies there). Takes f->fd, closed by
 * iommu_map_destroy() and on failure. Negative errno after a message; for EPERM and ENOMEM it names
 * RLIMIT_MEMLOCK, what it is and what is needed. Main thread.
 */
int iommu_map_create(const struct iommu_map_ops *ops, const struct iommu_map_fd *f,
		     const struct guest_mem *mem, struct iommu_map **out);
/* iommu_map_destroy - unmaps, closes. No device may do DMA any more. Accepts NULL. */
void iommu_map_destroy(struct iommu_map *m);
/* iommu_map_bytes - how much is mapped. */
uint64_t iommu_map_bytes(const struct iommu_map *m);
/* iommu_map_us - how long mapping took, microseconds. */
uint64_t iommu_map_us(const struct iommu_map *m);

/*
 * vfio_info_get - one of VFIO's info structures (linux/vfio.h) with all its capabilities. `ask`,
 * of ask_size bytes, is the question: argsz first, then what selects. *out is the caller's, to
 * free(). Gives its size in bytes, or a negative errno without a message: what ioctl() gives,
 * -ENOMEM, -EPROTO (it has no end).
 */
int vfio_info_get(int fd, unsigned long request, const void *ask, size_t ask_size, void **out);

#endif

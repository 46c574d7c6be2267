/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of sriov/, for its own files and their unit tests. Everything that touches the host
 * goes through struct sriov_env: the paths, and the two operations on VF settings, which are
 * netlink on a real host and a table in the tests.
 */
#ifndef SRIOV_SRIOV_PRIV_H
#define SRIOV_SRIOV_PRIV_H

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iommu/iommu.h"
#include "sriov/sriov.h"
#include "vfio/vfio.h"

struct nl_msg;
struct nl_sock;
struct vf_counters;

#define SRIOV_MAX_VFS 65535u /* TotalVFs is 16 bits, PCIe 6.0 section 9.3.3.5 */
#define SRIOV_ID_SIZE 64
#define SRIOV_UNKNOWN (~0u)

/* --- settings of one VF (vf_settings.c) --------------------------------- */
/*
 * What one request to a driver sets: VLAN with QoS and protocol, both rates together, as the kernel
 * has it.
 */
enum vf_setting { VF_MAC, VF_VLAN, VF_RATE, VF_SPOOF, VF_TRUST, VF_LINK, VF_N_SETTINGS };
#define VF_BIT(s) (1u << (s))
#define VF_ALL    (VF_BIT(VF_N_SETTINGS) - 1)

enum vf_link { VF_LINK_AUTO, VF_LINK_ON, VF_LINK_OFF }; /* values of IFLA_VF_LINK_STATE */

struct vf_settings {
	unsigned int known;   /* VF_BIT()s that hold something */
	uint8_t mac[6];       /* all zero: none set by the host */
	uint16_t vlan, proto; /* 0: none; 0x8100 or 0x88a8, host order */
	uint8_t qos;
	uint32_t max_tx_mbit, min_tx_mbit; /* 0: no limit */
	bool spoof_check, trust;
	uint8_t link;
};

/* What somebody asked for, word by word; parts that were not given stay as they are. */
struct vf_request {
	bool has_mac, has_vlan, has_qos, has_proto, has_max, has_min, has_spoof, has_trust,
		has_link;
	struct vf_settings to;
};

#define VF_REQUEST_KEYS \
	"mac", "vlan", "qos", "proto", "max_tx_mbit", "min_tx_mbit", "spoof_check", "trust", "link"
#define VF_REQUEST_N_KEYS 9
extern const char *const vf_request_keys[VF_REQUEST_N_KEYS];

/*
 * vf_request_parse - one word ("vlan", "100"). -EINVAL and what is wrong in `why`; -ENOENT for a
 * key there is not.
 */
int vf_request_parse(struct vf_request *r, const char *key, const char *value, char *why,
		     size_t size);
/*
 * vf_request_merge - the settings to make, given those that are: want->known has the ones that the
 * request touches. -EINVAL and what is wrong in `why`: min above max, a QoS or protocol that
 * nothing carries.
 */
int vf_request_merge(const struct vf_request *r, const struct vf_settings *now,
		     struct vf_settings *want, char *why, size_t size);

const char *vf_setting_name(enum vf_setting s);
bool vf_setting_equal(enum vf_setting s, const struct vf_settings *a, const struct vf_settings *b);
/* vf_setting_text - "VLAN 100 qos 3 802.1Q", for messages. */
void vf_setting_text(enum vf_setting s, const struct vf_settings *v, char *buf, size_t size);
/* vf_settings_to_json - adds the keys of `vf list --json` to o; null where not known. */
int vf_settings_to_json(const struct vf_settings *s, json_t *o);
/*
 * vf_settings_from_json - the reverse. -EINVAL for a value out of range; absent and null are not
 * known.
 */
int vf_settings_from_json(const json_t *o, struct vf_settings *s);
void vf_mac_text(const uint8_t mac[6], char buf[18]);
/* vf_mac_parse - a unicast address or all zeros. -EINVAL. */
int vf_mac_parse(const char *text, uint8_t mac[6]);
/*
 * vf_mac_stable - a locally administered unicast address that follows from a text and a number,
 * always the same.
 */
void vf_mac_stable(const char *text, unsigned int idx, uint8_t mac[6]);

/* --- reading and setting them ------------------------------------------- */
struct vf_table {
	unsigned int n;         /* VFs that the answer held */
	unsigned int announced; /* VFs that the kernel says there are */
	/* by index, announced of them; known == 0 where the answer left one out */
	struct vf_settings *vf;
};
void vf_table_free(struct vf_table *t);

/*
 * Messages are the caller's; `why` gets what the kernel or driver said besides the errno ("" when
 * nothing).
 */
struct vf_ops {
	int (*read)(void *opaque, unsigned int ifindex, struct vf_table *out);
	int (*write)(void *opaque, unsigned int ifindex, unsigned int vf, enum vf_setting s,
		     const struct vf_settings *to, char *why, size_t size);
	/* as vf_netlink_parse_counters(), believed as it is; NULL: there are none */
	int (*counters)(void *opaque, unsigned int ifindex, struct vf_counters **out,
			unsigned int *n);
};
/* opaque: a struct vf_netlink, zeroed at first, or NULL. Its socket ends with the process. */
struct vf_netlink {
	struct nl_sock *sk;
};
extern const struct vf_ops vf_netlink_ops;

/*
 * vf_netlink_build - the request for one setting, for vf_netlink_ops and its test. Caller frees
 * *out with nlmsg_free().
 */
int vf_netlink_build(unsigned int ifindex, unsigned int vf, enum vf_setting s,
		     const struct vf_settings *to, struct nl_msg **out);
/* vf_netlink_parse - one RTM_NEWLINK answer into a table. -ENODATA when it has no list of VFs. */
int vf_netlink_parse(struct nl_msg *msg, struct vf_table *out);

/*
 * Counters of one VF, as its PF's driver keeps them. Not known: the driver keeps none (the kernel
 * then says 0, which is not shown), or the kernel's answer did not reach this VF.
 */
struct vf_counters {
	bool known;
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, broadcast, multicast, rx_dropped,
		tx_dropped;
};
/*
 * vf_netlink_parse_counters - one RTM_NEWLINK answer: *n entries, one for each VF that the kernel
 * announces; the caller frees *out. -EMSGSIZE: the list with counters is longer than its 16-bit
 * attribute; *out then has what fitted. -ENODATA, -EBADMSG: *out is NULL. No message.
 */
int vf_netlink_parse_counters(struct nl_msg *msg, struct vf_counters **out, unsigned int *n);

/* --- where everything is ------------------------------------------------ */
struct sriov_env {
	const struct host_view *v;
	char state_dir[PATH_MAX]; /* records are <state_dir>/vf/... */
	char run_dir[PATH_MAX];   /* locks */
	/* how long VFs may take to appear, and locks to become free */
	unsigned int wait_ms;
	unsigned int lock_ms; /* the latter for vf_lock(); 0: wait_ms */
	const struct vf_ops *ops;
	/*
	 * One write to a sysfs file: negative errno, no message. A test's acts as the kernel would.
	 */
	int (*write)(void *opaque, const char *path, const char *text);
	/*
	 * The netdevs (ifindex) through which a default route of the host leads, at most max of
	 * them: how many, or negative errno without a message. NULL: nobody can tell.
	 */
	int (*default_routes)(void *opaque, unsigned int *ifindex, size_t max);
	void *opaque; /* of ops, write and default_routes */
	/* to give VFs back that are bound to vfio-pci; NULL: leave them */
	const struct vfio_sys *vfio;
};

/* The environment of this host with what it points to. */
struct sriov_host {
	struct sriov_env env;
	struct vfio_sys vfio;
	char vfio_state[PATH_MAX];
	struct vf_netlink netlink;
};
/*
 * sriov_host_open - makes the folders. Nothing to free. The struct must stay where it is. Negative
 * errno after a message.
 */
int sriov_host_open(struct sriov_host *h);
/*
 * sriov_host_look - for a caller who only reads: no folder is made, and a plain user sees root's
 * records, because the NICs are root's.
 */
void sriov_host_look(struct sriov_host *h);

/* sriov_boot_id - this boot's id, "unknown" when the kernel does not tell. */
#define SRIOV_BOOT_ID_SIZE 40
void sriov_boot_id(const struct sriov_env *e, char *buf, size_t size);
/*
 * vf_counters_read - the counters of a PF's VFs, where its driver is known to keep counters or
 * shows one that is not 0; else not known. The caller frees *out. Negative errno without a message;
 * -EMSGSIZE as above.
 */
struct sriov_pf;
int vf_counters_read(const struct sriov_env *e, const struct sriov_pf *pf, struct vf_counters **out,
		     unsigned int *n);

/* --- PFs and VFs in sysfs (pf.c) ---------------------------------------- */
struct sriov_pf {
	char name[IFNAMSIZ]; /* its netdev */
	unsigned int ifindex;
	/* BDF, or the bus's name of a device that is no PCI function */
	char id[SRIOV_ID_SIZE];
	/* the device's folder, resolved: a renamed netdev does not move it */
	char path[PATH_MAX];
	char driver[40]; /* "" when none */
	bool pci;
	unsigned int total_vfs; /* SRIOV_UNKNOWN when the device does not tell */
	unsigned int num_vfs;
};

/*
 * sriov_pf_find - by netdev name or BDF. -ENOENT, -EINVAL (no name at all), -EOPNOTSUPP (no SR-IOV)
 * after a message.
 */
int sriov_pf_find(const struct host_view *v, const char *name, struct sriov_pf *pf);
/*
 * sriov_pf_of_vf - the PF that a VF (by BDF) belongs to, and the VF's index there. Errors as above.
 */
int sriov_pf_of_vf(const struct host_view *v, const char *bdf, struct sriov_pf *pf,
		   unsigned int *idx);
/*
 * sriov_pfs - all PFs of the host, sorted by name; *out is freed by the caller. Gives how many, or
 * a negative errno.
 */
int sriov_pfs(const struct host_view *v, struct sriov_pf **out);
/*
 * sriov_vf_bdf - BDF of VF idx. -ENOENT when it has none (not there, or no PCI function). No
 * message.
 */
int sriov_vf_bdf(const struct sriov_pf *pf, unsigned int idx, char bdf[IOMMU_BDF_SIZE]);
/*
 * sriov_netdev_ok - a text that can be a netdev's name and a file name: not empty, not "." or "..",
 * no '/', short enough.
 */
bool sriov_netdev_ok(const char *name);
/*
 * sriov_device_path - the resolved folder of a file below sysfs; -EXDEV when a link leads out of
 * sysfs. No message.
 */
int sriov_device_path(const struct host_view *v, const char *link, char out[PATH_MAX]);
/*
 * sriov_read_number - unsigned number in a sysfs file of a device; SRIOV_UNKNOWN when it is not
 * there or no number.
 */
unsigned int sriov_read_number(const char *dir, const char *file);
/* sriov_first_netdev - netdev of a device folder ("" when none); gives how many there are. */
unsigned int sriov_first_netdev(const char *dir, char name[IFNAMSIZ]);

/* --- who uses a VF (vf_holder.c) ---------------------------------------- */
/* vf_holder - 1 and the holder in words when the VF is in use, else 0. */
int vf_holder(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx, char *buf,
	      size_t size);
/* vf_holder_host - the same without a look into the tenants' store, for who has it open already. */
int vf_holder_host(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		   char *buf, size_t size);
/*
 * vf_any_holder - -EBUSY after a message that names the first VF of [from, to) in use and its
 * holder.
 */
int vf_any_holder(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int from,
		  unsigned int to, const char *what);
/*
 * vf_lock - the one lock of everybody who carves on this host. A descriptor to close, or -EBUSY
 * after a message that names the holder when it does not become free in env's wait_ms.
 */
int vf_lock(const struct sriov_env *e);
/*
 * vf_lease - marks a VF as used by `holder` for as long as the descriptor given is open. -EBUSY
 * after a message.
 */
int vf_lease(const struct sriov_env *e, const char *bdf, const char *holder);

/* --- tenants, as the rest of the folder sees them (tenant_owner.c) ------ */
/*
 * tenant_settle - under vf_lock(), before a VF is changed: what a crash left of tenants' affairs is
 * put right. Negative errno after a message.
 */
int tenant_settle(const struct sriov_env *e);
/*
 * tenant_refuse - -EBUSY after a message that names the tenant when VF idx (SRIOV_UNKNOWN: any) of
 * the PF is a tenant's. `doing` begins the message, the PF's name follows.
 */
int tenant_refuse(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		  const char *doing);
/*
 * tenant_holds - 1 when a tenant's guest, or somebody by hand, has a VF of [from, *end): *end is its
 * index then, and buf says who. One look into the store for all of them.
 */
int tenant_holds(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int from,
		 unsigned int *end, char *buf, size_t size);

/* --- what was before, on disk (vf_record.c) ----------------------------- */
struct vf_record {
	char pf[SRIOV_ID_SIZE];
	unsigned int num_vfs; /* before the first change */
	/* sriov_drivers_autoprobe before; -1: the device has none */
	int autoprobe;
	unsigned int n; /* entries */
	struct vf_before {
		unsigned int idx;
		struct vf_settings s;
	} * vf;
};
/*
 * vf_record_load - the record called `name` (a PF's id, or "lease-" and a VF's BDF). -ENOENT when
 * there is none or it is of an earlier boot (which undid all of it); -EBADMSG after a message when
 * it cannot be read.
 */
int vf_record_load(const struct sriov_env *e, const char *name, struct vf_record *r);
/*
 * vf_record_save - durable when it returns 0: written, synced, renamed, folder synced. Message on
 * failure.
 */
int vf_record_save(const struct sriov_env *e, const char *name, const struct vf_record *r);
int vf_record_drop(const struct sriov_env *e, const char *name);
bool vf_record_exists(const struct sriov_env *e, const char *name); /* of any boot */
/* vf_record_note - remembers the settings of one VF unless it has been noted already. -ENOMEM. */
int vf_record_note(struct vf_record *r, unsigned int idx, const struct vf_settings *s);
const struct vf_settings *vf_record_find(const struct vf_record *r, unsigned int idx);
void vf_record_free(struct vf_record *r);

/* --- changing (vf_change.c, vf_count.c) --------------------------------- */
/* vf_read - settings of all VFs; says when the answer did not hold all. The caller frees *t. */
int vf_read(const struct sriov_env *e, const struct sriov_pf *pf, struct vf_table *t);
/*
 * vf_own_mac - the MAC that the kernel driver of a VF chose itself (at random, or by its user),
 * while it has one: PFs show it as if the administrator had set it. False: none, or the PF's.
 */
bool vf_own_mac(const struct sriov_pf *pf, unsigned int idx, uint8_t mac[6]);
/*
 * vf_read_before - vf_read, for what is to be put back one day: a VF's own MAC counts as none set.
 */
int vf_read_before(const struct sriov_env *e, const struct sriov_pf *pf, struct vf_table *t);
/*
 * vf_apply - sets what want->known has and what differs from now, one request each, reads back and
 * compares. When one is refused the ones before it are put back, the refused one is named, and its
 * errno given.
 */
int vf_apply(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
	     const struct vf_settings *now, const struct vf_settings *want);
/*
 * vf_restore - like vf_apply towards a record's settings, but goes on after a refusal; gives the
 * first error.
 */
int vf_restore(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
	       const struct vf_settings *before);
/*
 * vf_lease_note - remembers on disk what a VF is set to before a guest gets it. vf_lease_restore -
 * puts that back and drops it; nothing noted is success. A guest that was killed leaves its note
 * for the next who takes the VF.
 */
int vf_lease_note(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		  const char *bdf, const struct vf_settings *now);
int vf_lease_restore(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		     const char *bdf);
bool vf_lease_noted(const struct sriov_env *e, const char *bdf);
/*
 * vf_setting_write - one request to the driver, not read back. Negative errno after a message that
 * names the setting and says what would mend it.
 */
int vf_setting_write(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		     enum vf_setting s, const struct vf_settings *to);
/* vf_compare_back - what was set must be what is read. -EIO after a message. */
int vf_compare_back(const struct sriov_pf *pf, unsigned int idx, const struct vf_settings *want,
		    const struct vf_settings *is);
/*
 * vf_leases_restore - puts back what guests of --nic vf,host= that were killed have left in VFs
 * that nobody uses. Gives the first error after trying all.
 */
int vf_leases_restore(const struct sriov_env *e, const struct sriov_pf *pf);
/*
 * vf_count_to - n VFs, through 0; they are there when it returns 0. Whoever calls has seen to it
 * that nobody uses them. vf_autoprobe_write - -1: the device has no such switch.
 */
int vf_count_to(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int n);
int vf_autoprobe_write(const struct sriov_env *e, const struct sriov_pf *pf, int value);
/* vf_set - the command: lock, record, merge, apply. */
int vf_set(const struct sriov_env *e, const char *pf, unsigned int idx, const struct vf_request *r);
int vf_count_create(const struct sriov_env *e, const char *pf, unsigned int count, bool autoprobe);
int vf_count_remove(const struct sriov_env *e, const char *pf);
/* vf_record_open - the PF's record, or a new one with what is now. */
int vf_record_open(const struct sriov_env *e, const struct sriov_pf *pf, struct vf_record *r);

/* --- nics.c, nic_names.c ------------------------------------------------ */
json_t *nics_list(const struct host_view *v);
/* nic_names - vendor and device names from pci.ids where it is installed, else "". */
struct nic_names;
struct nic_names *nic_names_open(void); /* NULL: no names; accepted by the others */
void nic_names_close(struct nic_names *n);
void nic_names_find(struct nic_names *n, unsigned int vendor, unsigned int device, char *v, char *d,
		    size_t size);
/* json_text - a string that came from outside: what is not printable ASCII becomes '?'. */
json_t *nic_json_text(const char *s);

#endif

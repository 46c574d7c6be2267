/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tenants: who gets which VFs, from one file, for good. The inside of sriov/'s tenant_*.c files.
 *
 * One way: the file (tenant_conf.c) says what is wanted, tenant_world.c what is, the store what was
 * and who has what; tenant_plan.c makes the steps from one to the other and changes nothing;
 * tenant_apply.c journals and takes them, and can take every one of them back; tenant_lease.c hands
 * VFs to guests. What is wanted and the store are each behind the functions here only, so that they
 * can live elsewhere one day.
 *
 * A function is named by its PCI address together with vendor and device, never by group number,
 * netdev name or ifindex: those change at a reboot.
 */
#ifndef SRIOV_TENANT_H
#define SRIOV_TENANT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "sriov/sriov_priv.h"

#define TENANT_NAME_SIZE   64
#define TENANT_DRIVER_SIZE 40
#define TENANT_SOURCE_SIZE 160
#define TENANT_ANY         (-1)

/* --- what is wanted: the file (tenant_conf.c) --------------------------- */
struct tenant_match { /* what is empty, or TENANT_ANY, matches everything */
	char pci[IOMMU_BDF_SIZE], name[IFNAMSIZ], root_port[IOMMU_BDF_SIZE];
	int vendor, device, numa;
};

struct tenant_pf_rule {
	struct tenant_match match;
	unsigned int vfs;  /* SRIOV_UNKNOWN: as few as the tenants and `keep` need */
	unsigned int keep; /* VFs left to the host: those of the highest indexes */
	unsigned int line;
};

struct tenant_want {
	char name[TENANT_NAME_SIZE]; /* [A-Za-z0-9][A-Za-z0-9._-]*, shorter than this */
	unsigned int vfs, line;
	struct { /* lines of these words, 0 where they are not; for messages, not stored */
		unsigned int vlan, rate, mac;
	} at;
	struct vf_request set; /* all but the MAC */
	bool mac_auto;         /* a stable MAC from name and number, locally administered */
	uint8_t (*macs)[6];    /* else a list, one for each VF */
	unsigned int n_macs;
	int numa;
	/* "vfio-pci", a VF driver of the kernel, or "none"; "": vfio-pci for a PCI function */
	char driver[TENANT_DRIVER_SIZE];
	bool spread;    /* over the PFs, as evenly as they allow */
	bool exclusive; /* nobody else may have this VLAN */
};

struct tenant_file {
	char path[PATH_MAX];          /* where it was read, for messages */
	struct tenant_pf_rule *rules; /* none: every PF that carries no default route */
	struct tenant_want *tenants;  /* sorted by name */
	size_t n_rules, n_tenants;
};

/*
 * tenant_file_load - -EINVAL after a message "FILE:LINE: what is wrong; what to write" for anything
 * that is not exactly the format: unknown and duplicate keys, duplicate MACs, min above max, values
 * out of range, a VLAN of an `exclusive` tenant that another has. The caller frees *out.
 */
int tenant_file_load(const char *path, struct tenant_file **out);
/* tenant_file_parse - the same of a text; `name` stands in messages. */
int tenant_file_parse(const char *name, const char *text, size_t len, struct tenant_file **out);
void tenant_file_free(struct tenant_file *f); /* accepts NULL */
/* The form in which the store keeps it. from_json: -EINVAL without a message. */
json_t *tenant_file_to_json(const struct tenant_file *f);
int tenant_file_from_json(const json_t *o, struct tenant_file **out);

/* --- what a NIC can be told (tenant_caps.c) ----------------------------- */
enum vf_can_what {
	CAN_MAC,
	CAN_VLAN,
	CAN_QOS,
	CAN_PROTO_8021AD,
	CAN_MAX_TX,
	CAN_MIN_TX,
	CAN_SPOOF_CHECK,
	CAN_TRUST,
	CAN_LINK,
	CAN_N
};
enum vf_can_answer { CAN_UNKNOWN, CAN_YES, CAN_NO };
struct vf_can {
	enum vf_can_answer answer;
	/* "driver igb since Linux 2.6.38", "tried on 2026-11-21: Operation not supported", ... */
	char source[TENANT_SOURCE_SIZE];
};
extern const char *const vf_can_names[CAN_N]; /* keys of `nics --json` */

struct tenant_store;
/*
 * vf_caps - what the PF's driver takes: what was tried on this driver, kernel and firmware (in the
 * store; NULL: no store) before the table of drivers, before unknown. No message, cannot fail.
 */
void vf_caps(const struct sriov_env *e, const struct tenant_store *st, const struct sriov_pf *pf,
	     struct vf_can out[CAN_N]);
/* vf_caps_needed - bits (1u << CAN_x) of what a change from `now` to `want` asks of the driver. */
unsigned int vf_caps_needed(const struct vf_settings *now, const struct vf_settings *want);
/*
 * vf_caps_learn - remembers that the driver took (err 0) or refused (negative errno) something;
 * only EOPNOTSUPP, EINVAL and EPROTONOSUPPORT are remembered as refusals.
 */
int vf_caps_learn(const struct sriov_env *e, struct tenant_store *st, const struct sriov_pf *pf,
		  enum vf_can_what what, int err);
/*
 * sriov_eswitch_mode - devlink's mode of the PF: "legacy", "switchdev", "" when the device has
 * none or nobody may ask. No message.
 */
void sriov_eswitch_mode(const struct sriov_pf *pf, char *buf, size_t size);

/* --- what is: the host as seen now (tenant_world.c) --------------------- */
struct tenant_world_vf {
	struct vf_settings set; /* known == 0: the kernel's answer did not reach it */
	char bdf[IOMMU_BDF_SIZE], driver[TENANT_DRIVER_SIZE]; /* "" when none */
	char holder[160]; /* who uses it just now, "" nobody; "lease" holders among them */
	int group;        /* now; never stored. -1: none */
};
struct tenant_world_pf {
	struct sriov_pf pf;
	uint16_t vendor, device; /* 0 when it is no PCI function */
	int numa;
	char root_port[IOMMU_BDF_SIZE];
	bool default_route; /* the host's way out leads through it */
	char eswitch[16];
	int autoprobe;              /* -1: the device has none */
	struct tenant_world_vf *vf; /* pf.num_vfs of them */
	struct vf_can can[CAN_N];
};
struct tenant_world {
	struct tenant_world_pf *pf; /* sorted by id */
	size_t n;
};
/* tenant_world_read - all PFs and their VFs. The caller frees *out. Negative errno, message. */
int tenant_world_read(const struct sriov_env *e, const struct tenant_store *st,
		      struct tenant_world **out);
void tenant_world_free(struct tenant_world *w); /* accepts NULL */
/* tenant_default_routes - of this host, for struct sriov_env (tenant_route.c). */
int tenant_default_routes(void *opaque, unsigned int *ifindex, size_t max);
struct tenant_world_pf *tenant_world_find(const struct tenant_world *w, const char *id);

/* --- the plan (tenant_plan.c) ------------------------------------------- */
/* A VF that belongs to a tenant, leased to somebody just now or not. */
struct tenant_slot {
	char pf[SRIOV_ID_SIZE];
	uint16_t vendor, device; /* the PF's */
	unsigned int idx;
	char tenant[TENANT_NAME_SIZE];
	unsigned int nth;       /* the tenant's first, second, ... VF: 0, 1, ... */
	struct vf_settings set; /* all that is set for it */
	char driver[TENANT_DRIVER_SIZE];
};

enum tenant_step_kind {
	STEP_AUTOPROBE, /* of a PF: 0 or 1 */
	STEP_NUM_VFS,   /* of a PF; VFs are waited for */
	STEP_UNBIND,    /* driver of a VF: from -> none */
	STEP_RESET,     /* FLR between tenants; cannot be taken back, need not */
	STEP_PROVE,     /* nobody knows whether the driver takes it: tried and taken back */
	STEP_SETTING,   /* one request to the driver */
	STEP_BIND,      /* driver of a VF: none -> to */
};
struct tenant_step {
	enum tenant_step_kind kind;
	char pf[SRIOV_ID_SIZE];
	unsigned int idx;              /* VF; SRIOV_UNKNOWN for a step of the PF */
	char tenant[TENANT_NAME_SIZE]; /* for whom; "" when for nobody */
	unsigned int n_from, n_to;     /* AUTOPROBE, NUM_VFS */
	enum vf_setting setting;       /* SETTING, PROVE */
	enum vf_can_what what;         /* PROVE */
	struct vf_settings from, to;   /* SETTING, PROVE: of one setting, known says which */
	char driver_from[TENANT_DRIVER_SIZE], driver_to[TENANT_DRIVER_SIZE];
	bool done; /* in the journal: it stands */
};
/* A difference that is no step: somebody else changed what was a tenant's, or none can be made. */
struct tenant_plan {
	struct tenant_step *steps; /* in the order in which they are taken */
	size_t n_steps;
	struct tenant_slot *slots; /* what holds when all are taken, sorted by tenant and nth */
	size_t n_slots;
	char (*notes)[256]; /* "VF 3 of lab1 (tenant acme): vlan is 7, somebody else set it" */
	size_t n_notes;
};
/*
 * tenant_plan_make - steps from what is to what is wanted; changes nothing. f == NULL: towards
 * nobody having anything, PFs as they were before (release of all). VFs that tenants have stay
 * theirs; a VF that is in use keeps its place. Refusals (-EINVAL, -ENOSPC, -EBUSY, -EOPNOTSUPP)
 * after a message that names file line or tenant, PF and source: more VFs than there are, a setting
 * that the driver does not take, switchdev, a VF in use that would go, two tenants in one IOMMU
 * group. The caller frees *out.
 */
int tenant_plan_make(const struct sriov_env *e, const struct tenant_store *st,
		     const struct tenant_file *f, const struct tenant_world *w,
		     struct tenant_plan **out);
void tenant_plan_free(struct tenant_plan *p); /* accepts NULL */
/* One line a step: "lab1 VF 2: vlan none -> 100 (acme)". `buf` gets it. */
void tenant_step_text(const struct tenant_step *s, char *buf, size_t size);
json_t *tenant_plan_json(const struct tenant_plan *p);

/*
 * tenant_plan_groups - -EBUSY after a message when slots of two tenants are in one IOMMU group of
 * `w`; to be asked again when VFs have been made, which have no group before.
 */
int tenant_plan_groups(const struct sriov_env *e, const struct tenant_world *w,
		       const struct tenant_slot *slots, size_t n);

/* --- the store (tenant_store.c): SQLite, WAL, synchronous=FULL ---------- */
/*
 * What must outlive us: what is wanted, who has what, what was before, the journal of the
 * transaction under way, leases, what drivers refused. All give a negative errno after a message;
 * -EIO and -ENOSPC when the disk does not take it: then nothing changed.
 */
enum tenant_store_mode { STORE_READ, STORE_WRITE };
/*
 * tenant_store_open - <state_dir>/tenants.db. STORE_READ of one that is not there yet gives an
 * empty store (no file is made). STORE_WRITE makes it, mode 0644. -EBADMSG: not ours, or newer.
 */
int tenant_store_open(const struct sriov_env *e, enum tenant_store_mode mode,
		      struct tenant_store **out);
void tenant_store_close(struct tenant_store *st); /* accepts NULL */

/* What is wanted, as applied last, for the next boot. *out is NULL when nothing is. */
int tenant_store_get_wanted(const struct tenant_store *st, struct tenant_file **out);

int tenant_store_slots(const struct tenant_store *st, struct tenant_slot **out, size_t *n);

/* What a PF and its VFs were before the first tenant came. */
struct tenant_before {
	char pf[SRIOV_ID_SIZE];
	uint16_t vendor, device;
	char boot_id[40]; /* a boot undoes settings and count: an earlier one's values are void */
	unsigned int num_vfs;
	int autoprobe;
	struct tenant_before_vf {
		unsigned int idx;
		struct vf_settings set;
		char driver[TENANT_DRIVER_SIZE];
	} * vf; /* those that were there, and those that were made: see note_before */
	unsigned int n_vfs;
};
int tenant_store_before(const struct tenant_store *st, struct tenant_before **out, size_t *n);
void tenant_before_free(struct tenant_before *b, size_t n);

/*
 * The journal. begin: one durable SQLite transaction holds all steps (none done), the slots and
 * what is wanted (f; NULL: nothing) that hold after it, and what was before for PFs and VFs that
 * have no such entry yet. step_done: durable. end: slots and what is wanted become current, the
 * steps go; cancel: the steps go, the rest stays as it was (before-entries that were new go too).
 * A run of STEP_SETTINGs is marked as done by the step behind it: taking one that was not taken
 * back is harmless, and a durable write for each would cost more than the setting.
 */
int tenant_store_begin(struct tenant_store *st, const char *what, const struct tenant_file *f,
		       const struct tenant_plan *p, const struct tenant_before *before,
		       size_t n_before);
/*
 * note_before - in the middle of a transaction, durable: VFs that a STEP_NUM_VFS has just made, as
 * the driver made them. Only those (pf, idx) without an entry are taken; the PF's own numbers stay.
 * So tenant_store_before() also has VFs of indexes from num_vfs on: what they go back to when their
 * tenant goes and the PF's VFs stay. cancel forgets them.
 */
int tenant_store_note_before(struct tenant_store *st, const struct tenant_before *before,
			     size_t n_before);
int tenant_store_step_done(struct tenant_store *st, size_t step, bool done);
/* The same for n steps from `first` on, with one write to the disk. */
int tenant_store_steps_done(struct tenant_store *st, size_t first, size_t n, bool done);
int tenant_store_end(struct tenant_store *st);
int tenant_store_cancel(struct tenant_store *st);
/*
 * tenant_store_unfinished - 1 and the plan of a transaction that never ended (done says how far it
 * came; *same_boot whether it was this boot), 0 when there is none. The caller frees *out.
 */
int tenant_store_unfinished(const struct tenant_store *st, struct tenant_plan **out,
			    bool *same_boot);
/* tenant_store_forget_before - a PF is as it was: its entry goes. */
int tenant_store_forget_before(struct tenant_store *st, const char *pf);

/* Leases: a VF of a tenant in somebody's hands. The holder is a process that cannot be mistaken. */
struct tenant_lease {
	char pf[SRIOV_ID_SIZE];
	unsigned int idx;
	char tenant[TENANT_NAME_SIZE], guest[TENANT_NAME_SIZE];
	pid_t pid;
	uint64_t start;   /* field 22 of /proc/PID/stat, clock ticks after boot */
	char boot_id[40]; /* of the boot in which it was taken */
	bool dirty;       /* given back, or its holder gone, and not reset yet */
};
/* take: -EBUSY (no message) when there is one for this VF already. */
int tenant_store_lease_take(struct tenant_store *st, const struct tenant_lease *l);
int tenant_store_lease_dirty(struct tenant_store *st, const char *pf, unsigned int idx);
int tenant_store_lease_drop(struct tenant_store *st, const char *pf, unsigned int idx);
int tenant_store_leases(const struct tenant_store *st, struct tenant_lease **out, size_t *n);

/* What a driver took or refused: err 0 or negative errno. get: -ENOENT when nobody tried. */
int tenant_store_learn(struct tenant_store *st, const char *driver, const char *version,
		       enum vf_can_what what, int err);
int tenant_store_learned(const struct tenant_store *st, const char *driver, const char *version,
			 enum vf_can_what what, int *err, char when[24]);

/* --- taking the steps (tenant_apply.c) ---------------------------------- */
/*
 * tenant_recover - finishes what a crash left, under vf_lock(): a transaction of this boot is
 * rolled back (of an earlier one: dropped), leases whose holder is gone are reset, put to their
 * slot's settings, freed. Says what it did. Every call that writes does this first.
 */
int tenant_recover(const struct sriov_env *e, struct tenant_store *st);
/*
 * tenant_apply - plans and does it, as one transaction: after an error everything is as before, or
 * the message says what could not be put back. f == NULL: what was applied last. *changed (may be
 * NULL): number of steps taken. Takes vf_lock().
 */
int tenant_apply(const struct sriov_env *e, const struct tenant_file *f, size_t *changed);
/* tenant_release - a tenant's VFs (NULL: everybody's) go back to what was before the carve. */
int tenant_release(const struct sriov_env *e, const char *tenant);

/* --- leases (tenant_lease.c) -------------------------------------------- */
/*
 * tenant_lease_vf - a free VF of the tenant for `guest`, taken in the store with this process as
 * its holder; settings verified. -ENOENT no such tenant, -EBUSY all are leased (says by whom),
 * after a message. bdf gets its address.
 */
int tenant_lease_vf(const struct sriov_env *e, const char *tenant, const char *guest,
		    char bdf[IOMMU_BDF_SIZE]);
/* tenant_return_vf - given back: reset, its slot's settings verified, free again. */
int tenant_return_vf(const struct sriov_env *e, const char *bdf);
/* tenant_lease_alive - the holder still runs: pid, start time and boot id agree. */
bool tenant_lease_alive(const struct sriov_env *e, const struct tenant_lease *l);

/* --- the commands (cmd_tenant.c dispatches) ----------------------------- */
struct command;
extern const struct command tenant_command;    /* for cmd_options() and cmd_usage() */
int tenant_cmd_plan(int argc, char **argv);    /* tenant_cmd_plan.c */
int tenant_cmd_apply(int argc, char **argv);   /* tenant_cmd_change.c */
int tenant_cmd_release(int argc, char **argv); /* tenant_cmd_change.c */
int tenant_cmd_list(int argc, char **argv);    /* tenant_cmd_show.c */
int tenant_cmd_show(int argc, char **argv);    /* tenant_cmd_show.c */
int tenant_cmd_metrics(int argc, char **argv); /* tenant_metrics.c */

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tenant's VF in a guest's hands. The store alone says who has which: an entry is made before the
 * VF is touched and goes after the VF is reset and set as its tenant's again. The holder is a
 * process named so that it cannot be mistaken (pid, start time, boot); when it is gone, however it
 * went, the next call that changes anything finds the lease, resets the VF and frees it. Called by
 * --nic vf,tenant= and by tenant_recover().
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "tenant_tx.h"

#define OPEN_POLL_MS 20

/* --- holders ------------------------------------------------------------ */
/* Field 22 of /proc/PID/stat, proc(5); 0 when there is no such process any more. */
static uint64_t start_time(const struct sriov_env *e, pid_t pid)
{
	char line[1024], state, *at;
	uint64_t start;

	if (paths_read_line(line, sizeof(line), "%s/%d/stat", e->v->proc, (int)pid) <= 0)
		return 0;
	at = strrchr(line, ')'); /* the name before it can hold anything */
	if (!at || sscanf(at + 1,
			  " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			  "%*d %" SCNu64,
			  &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}

bool tenant_lease_alive(const struct sriov_env *e, const struct tenant_lease *l)
{
	char boot[SRIOV_BOOT_ID_SIZE];

	sriov_boot_id(e, boot, sizeof(boot));
	return !strcmp(boot, l->boot_id) && l->start && start_time(e, l->pid) == l->start;
}

/* --- giving back -------------------------------------------------------- */
/* A guest that ends closes it soon; one whose supervisor was killed may still run. */
static int wait_unused(const struct sriov_env *e, const struct tenant_lease *l, const char *bdf)
{
	struct timespec pause = { .tv_nsec = OPEN_POLL_MS * 1000000 };
	int pid;

	for (unsigned int waited = 0; (pid = vfio_user(e->v->sysfs, e->v->proc, bdf)) != 0;
	     waited += OPEN_POLL_MS) {
		if (waited >= e->wait_ms / 5)
			return err_ret(-EBUSY,
				       "freeing VF %u of %s (%s) of tenant %s: process %d still "
				       "has it open; end that",
				       l->idx, l->pf, bdf, l->tenant, pid);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int slot_of(const struct tenant_store *st, const char *pf, unsigned int idx,
		   struct tenant_slot *out)
{
	struct tenant_slot *s;
	size_t n;
	int ret = tenant_store_slots(st, &s, &n);

	if (ret < 0)
		return ret;
	ret = -ENOENT;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(s[i].pf, pf) && s[i].idx == idx) {
			*out = s[i];
			ret = 0;
		}
	free(s);
	return ret;
}

/* Nothing of the guest stays: reset, then its tenant's settings and driver. */
static int clean(const struct sriov_env *e, const struct tenant_store *st,
		 const struct sriov_pf *pf, unsigned int idx)
{
	char driver[TENANT_DRIVER_SIZE], method[64];
	struct tenant_slot slot;
	int has_slot = slot_of(st, pf->id, idx, &slot), ret = 0;

	if (has_slot < 0 && has_slot != -ENOENT)
		return has_slot;
	vf_driver(pf, idx, driver);
	if (has_slot < 0 || strcmp(driver, slot.driver))
		ret = vf_driver_set(e, pf, idx, "");
	if (ret == 0)
		ret = vf_reset(e, pf, idx, method, sizeof(method));
	if (ret == 0 && has_slot == 0)
		ret = vf_restore(e, pf, idx, &slot.set);
	if (ret == 0 && has_slot == 0)
		ret = vf_driver_set(e, pf, idx, slot.driver);
	return ret;
}

static int lease_end(const struct sriov_env *e, struct tenant_store *st,
		     const struct tenant_lease *l)
{
	char bdf[IOMMU_BDF_SIZE];
	struct sriov_pf pf;
	int ret;

	/* a VF that is gone keeps nothing */
	if (tenant_pf_by_id(e, l->pf, &pf) < 0 || sriov_vf_bdf(&pf, l->idx, bdf) < 0)
		return tenant_store_lease_drop(st, l->pf, l->idx);
	ret = wait_unused(e, l, bdf);
	if (ret == 0 && !l->dirty)
		ret = tenant_store_lease_dirty(st, l->pf, l->idx);
	if (ret == 0)
		ret = clean(e, st, &pf, l->idx);
	return ret < 0 ? ret : tenant_store_lease_drop(st, l->pf, l->idx);
}

int tenant_leases_settle(const struct sriov_env *e, struct tenant_store *st)
{
	char boot[SRIOV_BOOT_ID_SIZE];
	struct tenant_lease *l;
	size_t n;
	int ret = tenant_store_leases(st, &l, &n);

	sriov_boot_id(e, boot, sizeof(boot));
	for (size_t i = 0; i < n && ret == 0; i++) {
		if (strcmp(l[i].boot_id, boot)) { /* the boot has reset it */
			ret = tenant_store_lease_drop(st, l[i].pf, l[i].idx);
			continue;
		}
		if (!l[i].dirty && tenant_lease_alive(e, &l[i]))
			continue;
		/* one that cannot be cleaned stays nobody's, and stands in nobody's way */
		if (lease_end(e, st, &l[i]) == 0)
			err_say("VF %u of %s: guest '%s' (pid %d) of tenant %s is gone: reset and "
				"free again",
				l[i].idx, l[i].pf, l[i].guest, (int)l[i].pid, l[i].tenant);
	}
	free(l);
	return ret;
}

/* --- taking ------------------------------------------------------------- */
static bool before_is_noted(const struct sriov_env *e, const struct tenant_store *st,
			    const char *pf)
{
	char boot[SRIOV_BOOT_ID_SIZE];
	struct tenant_before *b;
	bool noted = false;
	size_t n;

	if (tenant_store_before(st, &b, &n) < 0)
		return false;
	sriov_boot_id(e, boot, sizeof(boot));
	for (size_t i = 0; i < n; i++)
		noted |= !strcmp(b[i].pf, pf) && !strcmp(b[i].boot_id, boot);
	tenant_before_free(b, n);
	return noted;
}

/* The slot's VF when it is there; the reason why not in `why`. */
static int slot_vf(const struct sriov_env *e, const struct tenant_store *st,
		   const struct tenant_slot *s, struct sriov_pf *pf, char *bdf, char *why,
		   size_t size)
{
	uint16_t vendor, device;

	if (tenant_pf_by_id(e, s->pf, pf) < 0) {
		snprintf(why, size, "its PF %s is not there", s->pf);
		return -ENODEV;
	}
	tenant_pf_ident(pf, &vendor, &device);
	if (vendor != s->vendor || device != s->device) {
		snprintf(why, size, "%s is another device now", s->pf);
		return -ENODEV;
	}
	if (s->idx >= pf->num_vfs || !before_is_noted(e, st, s->pf)) {
		snprintf(why, size,
			 "not made since the last boot: 'fourlane tenant apply --stored' does it");
		return -ENODEV;
	}
	if (sriov_vf_bdf(pf, s->idx, bdf) < 0) {
		snprintf(why, size, "it is no PCI function, which a guest could be given");
		return -ENODEV;
	}
	if (!vf_can_reset(pf, s->idx)) {
		snprintf(why, size, "it cannot be reset, so what a guest leaves in it would stay");
		return -ENODEV;
	}
	return tenant_vf_holder(e, st, pf, s->idx, why, size) ? -EBUSY : 0;
}

static int take(const struct sriov_env *e, struct tenant_store *st, const struct tenant_slot *s,
		const struct sriov_pf *pf, const char *guest)
{
	struct tenant_lease l = { .idx = s->idx, .pid = getpid() };
	int ret;

	strcpy(l.pf, s->pf);
	strcpy(l.tenant, s->tenant);
	snprintf(l.guest, sizeof(l.guest), "%s", guest);
	l.start = start_time(e, l.pid);
	sriov_boot_id(e, l.boot_id, sizeof(l.boot_id));
	if (!l.start)
		return err_ret(-ENOENT,
			       "taking a VF of tenant %s: %s/%d/stat cannot be read; mount /proc",
			       s->tenant, e->v->proc, (int)l.pid);
	ret = tenant_store_lease_take(st, &l);
	if (ret < 0)
		return ret;
	ret = vf_restore(e, pf, s->idx, &s->set);
	if (ret == 0)
		ret = vf_driver_set(e, pf, s->idx, "vfio-pci");
	if (ret < 0)
		lease_end(e, st, &l);
	return ret;
}

static int take_free(const struct sriov_env *e, struct tenant_store *st, const char *tenant,
		     const char *guest, char bdf[IOMMU_BDF_SIZE])
{
	char list[1024] = "", why[256];
	struct tenant_slot *s;
	unsigned int have = 0;
	struct sriov_pf pf;
	size_t n, used = 0;
	int ret = tenant_store_slots(st, &s, &n), busy = -ENODEV;

	if (ret < 0)
		return ret;
	ret = -EBUSY;
	for (size_t i = 0; i < n && ret == -EBUSY; i++) {
		if (strcmp(s[i].tenant, tenant))
			continue;
		have++;
		ret = slot_vf(e, st, &s[i], &pf, bdf, why, sizeof(why));
		if (ret == 0) {
			ret = take(e, st, &s[i], &pf, guest);
			free(s);
			return ret;
		}
		busy = ret == -EBUSY ? ret : busy;
		ret = -EBUSY;
		used += (size_t)snprintf(list + used, used < sizeof(list) ? sizeof(list) - used : 0,
					 "%sVF %u of %s: %s", used ? ", " : "", s[i].idx, s[i].pf,
					 why);
		used = used < sizeof(list) ? used : sizeof(list) - 1;
	}
	free(s);
	if (!have)
		return err_ret(-ENOENT,
			       "taking a VF of tenant %s: there is no such tenant; see 'fourlane "
			       "tenant list'",
			       tenant);
	return err_ret(busy,
		       "taking a VF of tenant %s: none of its %u is free: %s; end one of those, or "
		       "give the tenant more",
		       tenant, have, list);
}

int tenant_lease_vf(const struct sriov_env *e, const char *tenant, const char *guest,
		    char bdf[IOMMU_BDF_SIZE])
{
	struct tenant_store *st;
	int lock = tenant_enter(e, "taking a tenant's VF", &st), ret;

	if (lock < 0)
		return lock;
	ret = take_free(e, st, tenant, guest, bdf);
	tenant_store_close(st);
	close(lock);
	return ret;
}

static int return_ours(const struct sriov_env *e, struct tenant_store *st, const char *pf,
		       unsigned int idx, const char *bdf)
{
	struct tenant_lease *l;
	size_t n, i;
	int ret = tenant_store_leases(st, &l, &n);

	if (ret < 0)
		return ret;
	for (i = 0; i < n && (strcmp(l[i].pf, pf) || l[i].idx != idx); i++)
		;
	if (i == n || l[i].pid != getpid() || l[i].start != start_time(e, getpid()))
		ret = err_ret(-ENOENT,
			      "giving VF %s back: it is not leased to this process; see 'fourlane "
			      "vf list'",
			      bdf);
	else
		ret = lease_end(e, st, &l[i]);
	free(l);
	return ret;
}

int tenant_return_vf(const struct sriov_env *e, const char *bdf)
{
	struct tenant_store *st;
	struct sriov_pf pf;
	unsigned int idx;
	int lock, ret = sriov_pf_of_vf(e->v, bdf, &pf, &idx);

	if (ret < 0)
		return ret;
	lock = vf_lock(e);
	if (lock < 0)
		return lock;
	ret = tenant_store_open(e, STORE_WRITE, &st);
	if (ret == 0) {
		ret = return_ours(e, st, pf.id, idx, bdf);
		tenant_store_close(st);
	}
	close(lock);
	return ret;
}

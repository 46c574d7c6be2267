/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --nic vf,host=BDF: before the monitor runs, a VF is leased, set and bound to vfio-pci; afterwards
 * all goes back. Called by `fourlane run`; binding and opening are vfio's. The lease is a lock that
 * ends with the supervisor; what the VF was is on disk first, so that the next one who takes the VF
 * (or `unassign` and `vf remove`) finds it after a kill. --nic vf,tenant=NAME: any free VF of the
 * tenant, set as its file says; tenant_lease.c leases it in the store, cleans it and takes it back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/prep.h"
#include "tenant.h"

#define VF_KEYS \
	"tenant=NAME, or host=BDF of a VF with mac=, vlan=, qos=, proto=, max_tx_mbit=, " \
	"min_tx_mbit=, spoof_check=, trust=, link=, dma=auto|type1|iommufd"

struct vf_prep {
	struct sriov_host host;
	struct sriov_pf pf;
	unsigned int idx;
	char bdf[IOMMU_BDF_SIZE];
	bool of_tenant;   /* leased in the tenants' store */
	int lease;        /* descriptor of the lock */
	bool has_own_mac; /* the host's driver had chosen one */
	uint8_t own_mac[6];
	bool assigned; /* by us: was not with vfio-pci before */
};

/* Which VF, and its settings: a tenant's are its file's alone. */
static int prep_options(struct prep_nic *nic, struct vf_request *r, const char **host,
			const char **tenant, enum vfio_dma *dma)
{
	char why[160];
	int ret;

	*tenant = opts_take(nic->opts, "tenant");
	*host = opts_take(nic->opts, "host");
	if (!*host == !*tenant)
		return err_ret(-EINVAL,
			       "options '%s': which VF is not said; write vf,tenant=NAME or "
			       "vf,host=BDF, see 'fourlane tenant list' and 'fourlane vf list'",
			       opts_text(nic->opts));
	for (int i = 0; i < VF_REQUEST_N_KEYS; i++) {
		const char *value = opts_take(nic->opts, vf_request_keys[i]);

		if (value && *tenant)
			return err_ret(
				-EINVAL,
				"options '%s': a tenant's VF is set as its file says; leave out %s",
				opts_text(nic->opts), vf_request_keys[i]);
		if (value && vf_request_parse(r, vf_request_keys[i], value, why, sizeof(why)) < 0)
			return err_ret(-EINVAL, "options '%s': %s: %s; mend it",
				       opts_text(nic->opts), vf_request_keys[i], why);
	}
	ret = vfio_dma_take(nic->opts, dma);
	return ret < 0 ? ret : opts_done(nic->opts, VF_KEYS);
}

/*
 * A VF without a MAC of the host's would have another at each reset: it gets one that follows from
 * the guest's name.
 */
static void default_mac(struct vf_request *r, const struct vf_settings *now, const char *guest,
			unsigned int idx)
{
	static const uint8_t none[6];

	if (r->has_mac || !(now->known & VF_BIT(VF_MAC)) || memcmp(now->mac, none, 6))
		return;
	vf_mac_stable(guest, idx, r->to.mac);
	r->has_mac = true;
}

static int set_for_guest(struct vf_prep *p, struct prep_guest *g, struct prep_nic *nic,
			 struct vf_request *r)
{
	struct vf_settings now, want;
	struct vf_table t;
	char why[160];
	int ret = vf_read(&p->host.env, &p->pf, &t);

	if (ret < 0)
		return ret;
	if (p->idx >= t.announced || !t.vf[p->idx].known) {
		vf_table_free(&t);
		return err_ret(-ENOENT,
			       "setting VF %s: the driver of %s does not tell its settings; use "
			       "vfio,host=%s",
			       p->bdf, p->pf.name, p->bdf);
	}
	now = t.vf[p->idx];
	if (p->has_own_mac && !memcmp(now.mac, p->own_mac, 6))
		memset(now.mac, 0, 6);
	vf_table_free(&t);
	default_mac(r, &now, prep_guest_name(g), nic->idx);
	if (vf_request_merge(r, &now, &want, why, sizeof(why)) < 0)
		return err_ret(-EINVAL, "options '%s': %s", opts_text(nic->opts), why);
	ret = vf_lease_note(&p->host.env, &p->pf, p->idx, p->bdf, &now);
	return ret < 0 ? ret : vf_apply(&p->host.env, &p->pf, p->idx, &now, &want);
}

static void warn_pf_down(const struct sriov_pf *pf)
{
	char line[32];

	if (paths_read_line(line, sizeof(line), "%s/net/%s/flags", pf->path, pf->name) > 0 &&
	    !(strtoul(line, NULL, 16) & IFF_UP))
		err_say("%s is down: its VFs have no link; 'ip link set %s up'", pf->name,
			pf->name);
}

static int vf_bind(struct vf_prep *p)
{
	const char *bdf = p->bdf;
	char driver[40] = "";
	int ret;

	p->has_own_mac = vf_own_mac(&p->pf, p->idx, p->own_mac);
	paths_link_name(driver, sizeof(driver), "%s/virtfn%u/driver", p->pf.path, p->idx);
	ret = vfio_assign(&p->host.vfio, &bdf, 1, 0);
	p->assigned = ret == 0 && !iommu_driver_is_vfio(driver);
	return ret;
}

/*
 * Under the lock: nobody else has it, the lease is ours, what was left is put back, the settings
 * stand. It is bound first: a host driver that still runs it would answer to the settings.
 */
static int lease_and_set(struct vf_prep *p, struct prep_guest *g, struct prep_nic *nic,
			 struct vf_request *r)
{
	char holder[256], who[96];
	int lock = vf_lock(&p->host.env), ret;

	if (lock < 0)
		return lock;
	ret = tenant_settle(&p->host.env);
	if (ret == 0)
		ret = tenant_refuse(&p->host.env, &p->pf, p->idx, "taking a VF of");
	if (ret < 0)
		goto out;
	if (vf_holder(&p->host.env, &p->pf, p->idx, holder, sizeof(holder))) {
		ret = err_ret(-EBUSY, "taking VF %s: it is in use: %s; end that first", p->bdf,
			      holder);
		goto out;
	}
	snprintf(who, sizeof(who), "guest %.64s", prep_guest_name(g));
	ret = p->lease = vf_lease(&p->host.env, p->bdf, who);
	if (ret >= 0)
		ret = vf_bind(p);
	if (ret >= 0)
		ret = vf_lease_restore(&p->host.env, &p->pf, p->idx, p->bdf);
	if (ret >= 0)
		ret = set_for_guest(p, g, nic, r);
out:
	close(lock);
	return ret;
}

static void vf_prep_undo(struct vf_prep *p)
{
	const char *bdf = p->bdf;
	int lock;

	if (p->of_tenant)
		tenant_return_vf(&p->host.env, p->bdf);
	if (p->lease >= 0) {
		/* settings first: the driver that gets it back finds it as it was */
		lock = vf_lock(&p->host.env);
		vf_lease_restore(&p->host.env, &p->pf, p->idx, p->bdf);
		if (lock >= 0)
			close(lock);
		if (p->assigned)
			vfio_unassign(&p->host.vfio, &bdf, 1, 0);
		close(p->lease);
	}
	free(p);
}

/* The one that was named. */
static int take_host_vf(struct vf_prep *p, struct prep_guest *g, struct prep_nic *nic,
			const char *host, struct vf_request *r)
{
	int ret;

	if (iommu_bdf_parse(host, p->bdf) < 0)
		return err_ret(-EINVAL,
			       "options '%s': '%s' is no PCI address; write it as 0000:03:10.0",
			       opts_text(nic->opts), host);
	ret = sriov_pf_of_vf(p->host.env.v, p->bdf, &p->pf, &p->idx);
	if (ret == 0)
		ret = vfio_prep_memory(g, p->bdf);
	return ret < 0 ? ret : lease_and_set(p, g, nic, r);
}

static int take_tenant_vf(struct vf_prep *p, struct prep_guest *g, const char *tenant)
{
	int ret = tenant_lease_vf(&p->host.env, tenant, prep_guest_name(g), p->bdf);

	p->of_tenant = ret == 0;
	if (ret == 0)
		ret = sriov_pf_of_vf(p->host.env.v, p->bdf, &p->pf, &p->idx);
	return ret < 0 ? ret : vfio_prep_memory(g, p->bdf);
}

static int vf_prepare(struct prep_guest *g, struct prep_nic *nic)
{
	struct vf_prep *p = calloc(1, sizeof(*p));
	const char *host = NULL, *tenant = NULL;
	enum vfio_dma dma = VFIO_DMA_AUTO;
	struct vf_request r = { 0 };
	int ret;

	if (!p)
		return err_ret(-ENOMEM, "preparing %s: out of memory; free some", nic->name);
	p->lease = -1;
	ret = prep_options(nic, &r, &host, &tenant, &dma);
	if (ret == 0)
		ret = sriov_host_open(&p->host);
	if (ret == 0)
		ret = tenant ? take_tenant_vf(p, g, tenant) : take_host_vf(p, g, nic, host, &r);
	if (ret >= 0)
		ret = vfio_prep_open(g, nic, p->bdf, dma);
	if (ret < 0) {
		vf_prep_undo(p);
		return ret;
	}
	warn_pf_down(&p->pf);
	nic->state = p;
	return 0;
}

static void vf_release(struct prep_guest *g, struct prep_nic *nic)
{
	vf_prep_undo(nic->state);
	nic->state = NULL;
}

static const struct nic_prep vf_prep = {
	.name = "vf",
	.lane = "vf",
	.keys = VF_KEYS,
	.prepare = vf_prepare,
	.release = vf_release,
};
NIC_PREP(&vf_prep);

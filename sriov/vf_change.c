/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing the settings of one VF so that they stand or are as before: read, set what differs one
 * by one, read back and compare; a refusal is named and takes back what was set before it. Called
 * by `vf set`, `vf remove` and --nic vf; calls the struct vf_ops of the environment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "sriov_priv.h"

#define VF_LIST_FITS 300 /* VFs at about 200 bytes each */
#define LINK_POLL_MS 100

int vf_read(const struct sriov_env *e, const struct sriov_pf *pf, struct vf_table *t)
{
	int ret = e->ops->read(e->opaque, pf->ifindex, t);

	if (ret < 0)
		return err_ret(ret, "reading the VF settings of %s: %s; is the PF still there?",
			       pf->name, strerror(-ret));
	if (t->n < t->announced)
		err_say("reading the VF settings of %s: the kernel's answer holds %u of %u VFs "
			"(%s); the others are shown as unknown",
			pf->name, t->n, t->announced,
			t->announced > VF_LIST_FITS ? "its list is one 64 KiB attribute"
						    : "the driver tells nothing of the others");
	return 0;
}

/* Values of addr_assign_type, as linux/netdevice.h has them (it cannot stand beside net/if.h). */
enum { MAC_RANDOM = 1, MAC_SET = 3 };

bool vf_own_mac(const struct sriov_pf *pf, unsigned int idx, uint8_t mac[6])
{
	char dir[PATH_MAX + 32], netdev[IFNAMSIZ], line[32];
	unsigned int how;

	snprintf(dir, sizeof(dir), "%s/virtfn%u", pf->path, idx);
	if (!sriov_first_netdev(dir, netdev) ||
	    paths_read_line(line, sizeof(line), "%s/net/%s/addr_assign_type", dir, netdev) <= 0)
		return false;
	how = (unsigned int)atoi(line);
	if (how != MAC_RANDOM && how != MAC_SET)
		return false;
	return paths_read_line(line, sizeof(line), "%s/net/%s/address", dir, netdev) > 0 &&
	       vf_mac_parse(line, mac) == 0;
}

int vf_read_before(const struct sriov_env *e, const struct sriov_pf *pf, struct vf_table *t)
{
	int ret = vf_read(e, pf, t);
	uint8_t own[6];

	for (unsigned int i = 0; ret == 0 && i < t->announced; i++)
		if ((t->vf[i].known & VF_BIT(VF_MAC)) && vf_own_mac(pf, i, own) &&
		    !memcmp(own, t->vf[i].mac, 6))
			memset(t->vf[i].mac, 0, 6);
	return ret;
}

static const char *refusal_mend(int err, enum vf_setting s)
{
	switch (-err) {
	case EPERM:
	case EACCES: return "it takes CAP_NET_ADMIN: run as root";
	case EOPNOTSUPP: return "leave this setting out, or use a NIC whose driver has it";
	case EPROTONOSUPPORT: return "use 802.1Q";
	case EINVAL:
		return s == VF_RATE ? "leave the minimum out, keep the maximum below the link's "
				      "speed, and see that the PF's link is up"
				    : "the driver does not take this value";
	default: return "see the kernel's log";
	}
}

/*
 * Names the refused setting; a driver that lacks it is EOPNOTSUPP, whatever errno it chose for a
 * protocol.
 */
static int refused(const struct sriov_pf *pf, unsigned int idx, enum vf_setting s,
		   const struct vf_settings *to, int err, const char *why)
{
	char text[64];

	vf_setting_text(s, to, text, sizeof(text));
	err_say("setting %s of VF %u of %s: driver %s refuses: %s%s%s; %s", text, idx, pf->name,
		pf->driver[0] ? pf->driver : "(none)", strerror(-err), why[0] ? ": " : "", why,
		refusal_mend(err, s));
	return err == -EPROTONOSUPPORT ? -EOPNOTSUPP : err;
}

/* An igb takes a rate only while it has a link, and making VFs takes that away for seconds. */
static bool link_came(const struct sriov_env *e, const struct sriov_pf *pf)
{
	struct timespec pause = { .tv_nsec = LINK_POLL_MS * 1000000 };
	char dir[PATH_MAX + IFNAMSIZ + 8];
	unsigned int waited = 0;

	snprintf(dir, sizeof(dir), "%s/net/%s", pf->path, pf->name);
	for (; waited < e->wait_ms && sriov_read_number(dir, "carrier") == 0;
	     waited += LINK_POLL_MS)
		nanosleep(&pause, NULL);
	return waited && sriov_read_number(dir, "carrier") == 1;
}

int vf_setting_write(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		     enum vf_setting s, const struct vf_settings *to)
{
	char why[160] = "";
	int ret = e->ops->write(e->opaque, pf->ifindex, idx, s, to, why, sizeof(why));

	if (ret == -EINVAL && s == VF_RATE && link_came(e, pf))
		ret = e->ops->write(e->opaque, pf->ifindex, idx, s, to, why, sizeof(why));
	return ret < 0 ? refused(pf, idx, s, to, ret, why) : 0;
}

static int read_one(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		    struct vf_settings *out)
{
	struct vf_table t;
	int ret = vf_read(e, pf, &t);

	if (ret < 0)
		return ret;
	if (idx >= t.announced)
		ret = err_ret(-ENOENT,
			      "finding VF %u of %s: it has %u VFs; see 'fourlane vf list %s'", idx,
			      pf->name, t.announced, pf->name);
	else if (!t.vf[idx].known)
		ret = err_ret(-EMSGSIZE,
			      "reading VF %u of %s: the kernel's answer does not reach that far; "
			      "use fewer VFs",
			      idx, pf->name);
	else
		*out = t.vf[idx];
	vf_table_free(&t);
	return ret;
}

/* What was set must be what is read; a setting that the driver does not tell cannot be compared. */
int vf_compare_back(const struct sriov_pf *pf, unsigned int idx, const struct vf_settings *want,
		    const struct vf_settings *is)
{
	char a[64], b[64];

	for (int s = 0; s < VF_N_SETTINGS; s++) {
		if (!(want->known & is->known & VF_BIT(s)) || vf_setting_equal(s, want, is))
			continue;
		vf_setting_text(s, want, a, sizeof(a));
		vf_setting_text(s, is, b, sizeof(b));
		return err_ret(-EIO,
			       "setting %s of VF %u of %s: the driver took it and shows %s; "
			       "another value, or another program sets it too",
			       a, idx, pf->name, b);
	}
	return 0;
}

static void take_back(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		      unsigned int done, const struct vf_settings *now)
{
	for (int s = VF_N_SETTINGS - 1; s >= 0; s--)
		if (done & now->known & VF_BIT(s))
			vf_setting_write(e, pf, idx, s, now);
}

int vf_apply(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
	     const struct vf_settings *now, const struct vf_settings *want)
{
	struct vf_settings is;
	unsigned int done = 0;
	int ret = 0;

	for (int s = 0; s < VF_N_SETTINGS && ret == 0; s++) {
		if (!(want->known & VF_BIT(s)) ||
		    ((now->known & VF_BIT(s)) && vf_setting_equal(s, now, want)))
			continue;
		ret = vf_setting_write(e, pf, idx, s, want);
		if (ret == 0)
			done |= VF_BIT(s);
	}
	if (ret == 0 && done)
		ret = read_one(e, pf, idx, &is);
	if (ret == 0 && done)
		ret = vf_compare_back(pf, idx, want, &is);
	if (ret < 0)
		take_back(e, pf, idx, done, now);
	return ret;
}

int vf_restore(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
	       const struct vf_settings *before)
{
	struct vf_settings is;
	int ret = read_one(e, pf, idx, &is), first = 0;

	if (ret < 0)
		return ret;
	for (int s = 0; s < VF_N_SETTINGS; s++) {
		if (!(before->known & is.known & VF_BIT(s)) || vf_setting_equal(s, before, &is))
			continue;
		ret = vf_setting_write(e, pf, idx, s, before);
		if (ret < 0 && !first)
			first = ret;
	}
	ret = first ? first : read_one(e, pf, idx, &is);
	return ret < 0 ? ret : vf_compare_back(pf, idx, before, &is);
}

static int set_locked(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		      const struct vf_request *r)
{
	struct vf_settings now, want, before;
	struct vf_record rec;
	uint8_t own[6];
	char why[160];
	int ret = read_one(e, pf, idx, &now);

	if (ret < 0)
		return ret;
	if (vf_request_merge(r, &now, &want, why, sizeof(why)) < 0)
		return err_ret(-EINVAL, "setting VF %u of %s: %s", idx, pf->name, why);
	ret = vf_record_open(e, pf, &rec);
	if (ret < 0)
		return ret;
	if (!vf_record_find(&rec, idx)) {
		before = now;
		if (vf_own_mac(pf, idx, own) && !memcmp(own, now.mac, 6))
			memset(before.mac, 0, 6);
		ret = vf_record_note(&rec, idx, &before);
		if (ret == 0)
			ret = vf_record_save(e, pf->id, &rec);
	}
	vf_record_free(&rec);
	return ret < 0 ? ret : vf_apply(e, pf, idx, &now, &want);
}

int vf_set(const struct sriov_env *e, const char *name, unsigned int idx,
	   const struct vf_request *r)
{
	struct sriov_pf pf;
	int lock, ret = sriov_pf_find(e->v, name, &pf);

	if (ret < 0)
		return ret;
	if (idx >= pf.num_vfs)
		return err_ret(-ENOENT,
			       "finding VF %u of %s: it has %u VFs; see 'fourlane vf list %s'", idx,
			       pf.name, pf.num_vfs, pf.name);
	lock = vf_lock(e);
	if (lock < 0)
		return lock;
	ret = tenant_settle(e);
	if (ret == 0)
		ret = tenant_refuse(e, &pf, idx, "setting a VF of");
	if (ret == 0)
		ret = set_locked(e, &pf, idx, r);
	close(lock);
	return ret;
}

/* --- a VF on loan ------------------------------------------------------- */
static void lease_record_name(const char *bdf, char name[32])
{
	snprintf(name, 32, "lease-%s", bdf);
}

int vf_lease_note(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		  const char *bdf, const struct vf_settings *now)
{
	struct vf_record r = { .num_vfs = pf->num_vfs, .autoprobe = -1 };
	char name[32];
	int ret;

	strcpy(r.pf, pf->id);
	lease_record_name(bdf, name);
	ret = vf_record_note(&r, idx, now);
	if (ret == 0)
		ret = vf_record_save(e, name, &r);
	vf_record_free(&r);
	return ret;
}

bool vf_lease_noted(const struct sriov_env *e, const char *bdf)
{
	char name[32];

	lease_record_name(bdf, name);
	return vf_record_exists(e, name);
}

int vf_lease_restore(const struct sriov_env *e, const struct sriov_pf *pf, unsigned int idx,
		     const char *bdf)
{
	const struct vf_settings *before;
	struct vf_record r;
	char name[32];
	int ret;

	lease_record_name(bdf, name);
	ret = vf_record_load(e, name, &r);
	if (ret == -ENOENT)
		return vf_record_drop(e, name);
	if (ret < 0)
		return ret;
	before = vf_record_find(&r, idx);
	if (before && !strcmp(r.pf, pf->id))
		ret = vf_restore(e, pf, idx, before);
	if (ret == 0)
		ret = vf_record_drop(e, name);
	vf_record_free(&r);
	return ret;
}

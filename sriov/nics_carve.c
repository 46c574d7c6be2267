/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `nics` says of carving, added to the entries of nics_list(): what each PF can be told and
 * who says so, its e-switch mode and SR-IOV capability; of each VF whose it is. Reads the tenants'
 * store, which may be empty; changes nothing. What cannot be read is null.
 */
#include <stdlib.h>
#include <string.h>

#include "nics_carve.h"
#include "sriov_cap.h"

const char *const vf_can_answers[] = {
	[CAN_UNKNOWN] = "unknown", [CAN_YES] = "yes", [CAN_NO] = "no"
};

struct carve_seen {
	const struct sriov_env *e;
	const struct tenant_store *st;
	struct tenant_slot *slots;
	struct tenant_lease *leases;
	size_t n_slots, n_leases;
};

/* --- PFs ---------------------------------------------------------------- */
static json_t *carve_can(const struct carve_seen *c, const struct sriov_pf *pf)
{
	struct vf_can can[CAN_N];
	json_t *all = json_object();

	vf_caps(c->e, c->st, pf, can);
	for (int w = 0; w < CAN_N; w++) {
		json_t *o = json_object();

		json_object_set_new(o, "answer", json_string(vf_can_answers[can[w].answer]));
		json_object_set_new(o, "source", nic_json_text(can[w].source));
		json_object_set_new(all, vf_can_names[w], o);
	}
	return all;
}

static json_t *carve_number(unsigned int n)
{
	return n == SRIOV_UNKNOWN ? json_null() : json_integer(n);
}

/* `total` is the device's TotalVFs, which a driver may use less of; 0: not known. */
static json_t *carve_bars(const struct sriov_pf *pf, unsigned int total)
{
	struct sriov_bar bar[SRIOV_N_BARS];
	unsigned int n = sriov_cap_bars(pf->path, bar);
	json_t *all = json_array();

	for (unsigned int i = 0; i < n; i++) {
		json_t *o = json_pack("{s:i, s:I, s:i, s:b}", "bar", (int)bar[i].index,
				      "total_bytes", (json_int_t)bar[i].size, "bits",
				      bar[i].wide ? 64 : 32, "prefetchable", (int)bar[i].prefetch);

		json_object_set_new(o, "size_bytes",
				    total ? json_integer((json_int_t)(bar[i].size / total))
					  : json_null());
		json_array_append_new(all, o);
	}
	return all;
}

/* The kernel's own numbers, where it tells them to all; the rest from the capability. */
static json_t *carve_sriov(const struct carve_seen *c, const struct sriov_pf *pf)
{
	unsigned int offset, stride;
	struct sriov_cap cap;
	bool known;
	json_t *o;

	if (!pf->pci)
		return json_null();
	known = sriov_cap_read(c->e->v, pf->id, &cap);
	offset = sriov_read_number(pf->path, "sriov_offset");
	stride = sriov_read_number(pf->path, "sriov_stride");
	if (known && offset == SRIOV_UNKNOWN)
		offset = cap.offset;
	if (known && stride == SRIOV_UNKNOWN)
		stride = cap.stride;
	o = json_object();
	json_object_set_new(o, "total_vfs",
			    known ? json_integer(cap.total) : carve_number(pf->total_vfs));
	json_object_set_new(o, "initial_vfs", known ? json_integer(cap.initial) : json_null());
	json_object_set_new(o, "first_vf_offset", carve_number(offset));
	json_object_set_new(o, "vf_stride", carve_number(stride));
	json_object_set_new(o, "ari", known ? json_boolean(cap.ari) : json_null());
	json_object_set_new(o, "vf_bars", carve_bars(pf, cap.total));
	return o;
}

/* --- owners ------------------------------------------------------------- */
static json_t *carve_owner(const struct carve_seen *c, const char *pf, unsigned int idx)
{
	json_t *o = NULL;

	for (size_t i = 0; i < c->n_slots && !o; i++)
		if (c->slots[i].idx == idx && !strcmp(c->slots[i].pf, pf))
			o = json_pack("{s:s, s:n, s:n}", "tenant", c->slots[i].tenant, "guest",
				      "pid");
	for (size_t i = 0; o && i < c->n_leases; i++)
		if (c->leases[i].idx == idx && !strcmp(c->leases[i].pf, pf)) {
			json_object_set_new(o, "guest", nic_json_text(c->leases[i].guest));
			json_object_set_new(o, "pid", json_integer(c->leases[i].pid));
		}
	return o ? o : json_null();
}

/* Of a PF, in the order of the tenants: also where VFs are no functions with an entry of their own.
 */
static json_t *carve_owners(const struct carve_seen *c, const struct sriov_pf *pf)
{
	json_t *all = json_array(), *o;

	for (size_t i = 0; i < c->n_slots; i++) {
		if (strcmp(c->slots[i].pf, pf->id))
			continue;
		o = carve_owner(c, pf->id, c->slots[i].idx);
		json_object_set_new(o, "vf_index", json_integer(c->slots[i].idx));
		json_array_append_new(all, o);
	}
	return all;
}

static void carve_vf(const struct carve_seen *c, json_t *o)
{
	const char *pf = json_string_value(json_object_get(o, "pf"));
	const json_t *idx = json_object_get(o, "vf_index");

	if (pf && json_is_integer(idx))
		json_object_set_new(o, "owner",
				    carve_owner(c, pf, (unsigned int)json_integer_value(idx)));
}

static void carve_pf(const struct carve_seen *c, json_t *o, const struct sriov_pf *pf)
{
	char mode[16];

	sriov_eswitch_mode(pf, mode, sizeof(mode));
	json_object_set_new(o, "eswitch", mode[0] ? json_string(mode) : json_null());
	json_object_set_new(o, "sriov", carve_sriov(c, pf));
	json_object_set_new(o, "owners", carve_owners(c, pf));
	json_object_set_new(o, "can", carve_can(c, pf));
}

/* --- all of them -------------------------------------------------------- */
static const struct sriov_pf *carve_find(const struct sriov_pf *pfs, int n, const char *id)
{
	for (int i = 0; id && i < n; i++)
		if (!strcmp(pfs[i].id, id))
			return &pfs[i];
	return NULL;
}

void nics_add_carving(const struct sriov_env *e, const struct tenant_store *st, json_t *all)
{
	struct carve_seen c = { .e = e, .st = st };
	const struct sriov_pf *pf;
	struct sriov_pf *pfs = NULL;
	int n = sriov_pfs(e->v, &pfs);
	json_t *o;
	size_t i;

	if (st && tenant_store_slots(st, &c.slots, &c.n_slots) == 0)
		tenant_store_leases(st, &c.leases, &c.n_leases);
	json_array_foreach(all, i, o) {
		pf = carve_find(pfs, n, json_string_value(json_object_get(o, "id")));
		json_object_set_new(o, "owner", json_null());
		json_object_set_new(o, "owners", json_null());
		json_object_set_new(o, "eswitch", json_null());
		json_object_set_new(o, "sriov", json_null());
		json_object_set_new(o, "can", json_null());
		if (pf)
			carve_pf(&c, o, pf);
		else
			carve_vf(&c, o);
	}
	free(c.slots);
	free(c.leases);
	free(pfs);
}

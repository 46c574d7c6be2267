/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PFs of a transaction and the settings of their VFs, looked up by what does not change and
 * kept until something may have changed them. Called by the other tenant_apply*.c files.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/paths.h"
#include "tenant_tx.h"

int tenant_pf_by_id(const struct sriov_env *e, const char *id, struct sriov_pf *pf)
{
	struct sriov_pf *all;
	int n = sriov_pfs(e->v, &all), ret = n < 0 ? n : -ENODEV;

	for (int i = 0; i < n; i++)
		if (!strcmp(all[i].id, id)) {
			*pf = all[i];
			ret = 0;
			break;
		}
	free(all);
	return ret;
}

static uint16_t read_hex(const struct sriov_pf *pf, const char *file)
{
	char line[16];

	if (paths_read_line(line, sizeof(line), "%s/%s", pf->path, file) <= 0)
		return 0;
	return (uint16_t)strtoul(line, NULL, 16);
}

void tenant_pf_ident(const struct sriov_pf *pf, uint16_t *vendor, uint16_t *device)
{
	*vendor = read_hex(pf, "vendor");
	*device = read_hex(pf, "device");
}

int tenant_tx_pf(struct tenant_tx *tx, const char *id, struct tenant_tx_pf **out)
{
	struct tenant_tx_pf *grown;
	struct sriov_pf pf;
	int ret;

	for (size_t i = 0; i < tx->n_pf; i++)
		if (!strcmp(tx->pf[i].pf.id, id)) {
			*out = &tx->pf[i];
			return 0;
		}
	ret = tenant_pf_by_id(tx->e, id, &pf);
	if (ret < 0)
		return ret;
	grown = realloc(tx->pf, (tx->n_pf + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	tx->pf = grown;
	grown[tx->n_pf] = (struct tenant_tx_pf){ .pf = pf };
	*out = &grown[tx->n_pf++];
	return 0;
}

void tenant_tx_forget_table(struct tenant_tx_pf *t)
{
	if (t->has_table)
		vf_table_free(&t->table);
	t->has_table = false;
}

int tenant_tx_table(struct tenant_tx *tx, struct tenant_tx_pf *t)
{
	int ret;

	if (t->has_table)
		return 0;
	memset(&t->table, 0, sizeof(t->table));
	t->pf.num_vfs = sriov_read_number(t->pf.path, "sriov_numvfs");
	if (t->pf.num_vfs == SRIOV_UNKNOWN)
		return err_ret(-ENODEV, "reading the VFs of %s: it is gone; plug it in again",
			       t->pf.name);
	/* some drivers answer without a list when there is no VF */
	ret = t->pf.num_vfs ? vf_read_before(tx->e, &t->pf, &t->table) : 0;
	t->has_table = ret == 0;
	return ret;
}

int tenant_tx_reread(struct tenant_tx *tx, struct tenant_tx_pf *t, uint8_t **seen)
{
	int ret;

	tenant_tx_forget_table(t);
	ret = tenant_tx_table(tx, t);
	if (ret < 0)
		return ret;
	*seen = calloc(t->table.announced + 1, 1);
	return *seen ? 0
		     : err_ret(-ENOMEM, "reading back %s: out of memory; free some", t->pf.name);
}

struct vf_settings *tenant_tx_now(struct tenant_tx_pf *t, unsigned int idx)
{
	return t->has_table && idx < t->table.announced ? &t->table.vf[idx] : NULL;
}

void tenant_tx_free(struct tenant_tx *tx)
{
	for (size_t i = 0; i < tx->n_pf; i++)
		tenant_tx_forget_table(&tx->pf[i]);
	free(tx->pf);
	tx->pf = NULL;
	tx->n_pf = 0;
}

void vf_setting_copy(enum vf_setting s, const struct vf_settings *from, struct vf_settings *to)
{
	to->known = (to->known & ~VF_BIT(s)) | (from->known & VF_BIT(s));
	switch (s) {
	case VF_MAC: memcpy(to->mac, from->mac, sizeof(to->mac)); break;
	case VF_VLAN:
		to->vlan = from->vlan;
		to->qos = from->qos;
		to->proto = from->proto;
		break;
	case VF_RATE:
		to->max_tx_mbit = from->max_tx_mbit;
		to->min_tx_mbit = from->min_tx_mbit;
		break;
	case VF_SPOOF: to->spoof_check = from->spoof_check; break;
	case VF_TRUST: to->trust = from->trust; break;
	case VF_LINK: to->link = from->link; break;
	case VF_N_SETTINGS: break;
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host as the rest of the folder sees it, and the folder's public functions, which work on it.
 * Called by the commands and by other folders; everything behind takes the environment as a
 * parameter.
 */
#include <string.h>

#include "core/err.h"
#include "core/paths.h"
#include "sriov_priv.h"
#include "tenant.h"

#define WAIT_MS 10000

static int host_write(void *opaque, const char *path, const char *text)
{
	return paths_write(text, "%s", path);
}

static void host_fill(struct sriov_host *h)
{
	memset(h, 0, sizeof(*h));
	h->env.v = &host_real;
	h->env.wait_ms = WAIT_MS;
	h->env.ops = &vf_netlink_ops;
	h->env.opaque = &h->netlink;
	h->env.write = host_write;
	h->env.default_routes = tenant_default_routes;
}

int sriov_host_open(struct sriov_host *h)
{
	int ret;

	host_fill(h);
	ret = vfio_sys_real(&h->vfio, h->vfio_state, sizeof(h->vfio_state));
	if (ret == 0)
		ret = paths_state_dir(h->env.state_dir, sizeof(h->env.state_dir));
	if (ret == 0)
		ret = paths_run_dir(h->env.run_dir, sizeof(h->env.run_dir));
	if (ret < 0)
		return ret;
	h->env.vfio = &h->vfio;
	return 0;
}

void sriov_host_look(struct sriov_host *h)
{
	host_fill(h);
	strcpy(h->env.state_dir, PATHS_ROOT_STATE_DIR);
	strcpy(h->env.run_dir, PATHS_ROOT_RUN_DIR);
}

int sriov_vfs_create(const char *pf, unsigned int count, bool autoprobe)
{
	struct sriov_host h;
	int ret = sriov_host_open(&h);

	return ret < 0 ? ret : vf_count_create(&h.env, pf, count, autoprobe);
}

int sriov_vfs_remove(const char *pf)
{
	struct sriov_host h;
	int ret = sriov_host_open(&h);

	return ret < 0 ? ret : vf_count_remove(&h.env, pf);
}

json_t *sriov_nics_json(const struct host_view *v)
{
	return nics_list(v);
}

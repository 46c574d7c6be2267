/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a boot needs before `tenant apply --stored` can do its work: the drivers of the PFs may be
 * on their way still, and nobody has put a PF up yet, without which it has no link, its VFs have
 * none, and drivers such as igb refuse rates. Called by tenant_apply.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/err.h"
#include "core/paths.h"
#include "tenant_tx.h"

#define PF_POLL_MS 100

static void wait_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PF_POLL_MS * 1000000 }, NULL);
}

/* A PF that is down and whose VFs are to have a rate. Its link is waited for. */
static void put_up(const struct sriov_env *e, const struct sriov_pf *pf)
{
	char dir[PATH_MAX + IFNAMSIZ + 8], path[PATH_MAX + IFNAMSIZ + 16], line[32];
	unsigned long flags;

	snprintf(dir, sizeof(dir), "%s/net/%s", pf->path, pf->name);
	snprintf(path, sizeof(path), "%s/flags", dir);
	if (paths_read_line(line, sizeof(line), "%s", path) <= 0)
		return;
	flags = strtoul(line, NULL, 16);
	if (flags & IFF_UP)
		return;
	err_say("%s is down and takes rates only with a link: it is put up", pf->name);
	snprintf(line, sizeof(line), "0x%lx", flags | IFF_UP);
	if (e->write(e->opaque, path, line) < 0)
		return; /* the rate will say so */
	for (unsigned int waited = 0; waited < e->wait_ms && sriov_read_number(dir, "carrier") == 0;
	     waited += PF_POLL_MS)
		wait_a_little();
}

void tenant_boot_wait(const struct sriov_env *e, const struct tenant_store *st)
{
	struct tenant_slot *s = NULL;
	unsigned int waited = 0;
	struct sriov_pf pf;
	size_t n = 0;

	if (tenant_store_slots(st, &s, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		bool there;

		while (!(there = tenant_pf_by_id(e, s[i].pf, &pf) == 0) && waited < e->wait_ms) {
			wait_a_little();
			waited += PF_POLL_MS;
		}
		if (there && s[i].set.known & VF_BIT(VF_RATE) &&
		    (s[i].set.max_tx_mbit || s[i].set.min_tx_mbit))
			put_up(e, &pf);
	}
	free(s);
}

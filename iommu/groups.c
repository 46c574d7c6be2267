/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IOMMU groups out of sysfs: members with their drivers, reserved windows, and whether a group can
 * be handed to a guest. Called by the commands groups, assign, run and host. Rules of viability as
 * in the kernel's iommu_group_claim_dma_owner() (drivers that promise driver_managed_dma). Why
 * functions share a group is isolation.c's.
 */
#include "iommu/iommu.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/paths.h"

#define GROUPS_MAX   65536u
#define MEMBERS_MAX  4096u
#define RESERVED_MAX 64u

static bool groups_number(const char *s, unsigned int *out)
{
	char *end;
	unsigned long v;

	if (*s < '0' || *s > '9')
		return false;
	v = strtoul(s, &end, 10);
	*out = (unsigned int)v;
	return !*end && v < GROUPS_MAX;
}

/* VFIO's no-IOMMU mode gives its devices groups of this name (drivers/vfio/group.c). */
static bool groups_made_up(const char *sysfs, unsigned int id)
{
	char name[32];

	return paths_read_line(name, sizeof(name), "%s/kernel/iommu_groups/%u/name", sysfs, id) >
		       0 &&
	       !strcmp(name, "vfio-noiommu");
}

bool iommu_active(const char *sysfs)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool found = false;
	unsigned int id;
	DIR *d;

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups", sysfs);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (e = readdir(d)))
		found = groups_number(e->d_name, &id) && !groups_made_up(sysfs, id);
	closedir(d);
	return found;
}

int iommu_group_of(const char *sysfs, const char *bdf)
{
	char path[PATH_MAX], name[64];
	unsigned int id;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", sysfs, bdf);
	if (access(path, F_OK) < 0)
		return -ENOENT;
	if (paths_link_name(name, sizeof(name), "%s/iommu_group", path) < 0 ||
	    !groups_number(name, &id))
		return -ENODEV;
	return (int)id;
}

static uint32_t groups_hex(const char *sysfs, const char *bdf, const char *file)
{
	char line[32];

	if (paths_read_line(line, sizeof(line), "%s/bus/pci/devices/%s/%s", sysfs, bdf, file) < 0)
		return 0;
	return (uint32_t)strtoul(line, NULL, 16);
}

static void groups_fill_member(const char *sysfs, const char *dir, const char *name,
			       struct iommu_member *m)
{
	char bdf[IOMMU_BDF_SIZE], path[PATH_MAX];

	memset(m, 0, sizeof(*m));
	snprintf(m->name, sizeof(m->name), "%.31s", name);
	if (paths_link_name(m->driver, sizeof(m->driver), "%s/%s/driver", dir, name) < 0)
		m->driver[0] = '\0';
	m->pci = iommu_bdf_parse(name, bdf) == 0 && !strcmp(bdf, name);
	if (!m->pci)
		return;
	m->vendor = (uint16_t)groups_hex(sysfs, name, "vendor");
	m->device = (uint16_t)groups_hex(sysfs, name, "device");
	m->class_code = groups_hex(sysfs, name, "class") & 0xffffff;
	m->bridge = m->class_code >> 8 == 0x0604;
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/physfn", sysfs, name);
	m->vf = access(path, F_OK) == 0;
}

static int member_cmp(const void *a, const void *b)
{
	return strcmp(((const struct iommu_member *)a)->name,
		      ((const struct iommu_member *)b)->name);
}

static int groups_load_members(const char *sysfs, struct iommu_group *g)
{
	char dir[PATH_MAX];
	struct dirent *e;
	int ret = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/kernel/iommu_groups/%u/devices", sysfs, g->id);
	d = opendir(dir);
	if (!d)
		return -errno;
	while ((e = readdir(d)) && g->n_members < MEMBERS_MAX) {
		struct iommu_member *grown;

		if (e->d_name[0] == '.')
			continue;
		grown = realloc(g->members, (g->n_members + 1) * sizeof(*grown));
		if (!grown) {
			ret = -ENOMEM;
			break;
		}
		g->members = grown;
		groups_fill_member(sysfs, dir, e->d_name, &g->members[g->n_members++]);
	}
	closedir(d);
	if (g->n_members)
		qsort(g->members, g->n_members, sizeof(*g->members), member_cmp);
	return ret;
}

/* Lines of reserved_regions: "0x00000000fee00000 0x00000000feefffff msi". */
static int groups_load_reserved(const char *sysfs, struct iommu_group *g)
{
	char path[PATH_MAX], line[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%u/reserved_regions", sysfs, g->id);
	f = fopen(path, "re");
	if (!f)
		return 0;
	g->reserved = calloc(RESERVED_MAX, sizeof(*g->reserved));
	while (g->reserved && g->n_reserved < RESERVED_MAX && fgets(line, sizeof(line), f)) {
		struct iommu_reserved *r = &g->reserved[g->n_reserved];

		if (sscanf(line, "%lx %lx %23s", &r->first, &r->last, r->kind) == 3)
			g->n_reserved++;
	}
	fclose(f);
	return g->reserved ? 0 : -ENOMEM;
}

int iommu_group_load(const char *sysfs, unsigned int id, struct iommu_group **out)
{
	struct iommu_group *g = calloc(1, sizeof(*g));
	int ret;

	if (!g)
		return -ENOMEM;
	g->id = id;
	g->no_iommu = groups_made_up(sysfs, id);
	if (paths_read_line(g->type, sizeof(g->type), "%s/kernel/iommu_groups/%u/type", sysfs, id) <
	    0)
		g->type[0] = '\0';
	ret = groups_load_members(sysfs, g);
	if (ret == 0)
		ret = groups_load_reserved(sysfs, g);
	if (ret < 0) {
		iommu_group_free(g);
		return ret;
	}
	*out = g;
	return 0;
}

void iommu_group_free(struct iommu_group *g)
{
	if (!g)
		return;
	free(g->members);
	free(g->reserved);
	free(g);
}

static int uint_cmp(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return x < y ? -1 : x > y;
}

/* Numbers of all groups, sorted; *ids is the caller's. */
static int groups_ids(const char *sysfs, unsigned int **ids, size_t *n)
{
	char dir[PATH_MAX];
	struct dirent *e;
	int ret = 0;
	DIR *d;

	*ids = NULL;
	*n = 0;
	snprintf(dir, sizeof(dir), "%s/kernel/iommu_groups", sysfs);
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d)) && *n < GROUPS_MAX) {
		unsigned int id, *grown;

		if (!groups_number(e->d_name, &id))
			continue;
		grown = realloc(*ids, (*n + 1) * sizeof(*grown));
		if (!grown) {
			ret = -ENOMEM;
			break;
		}
		*ids = grown;
		grown[(*n)++] = id;
	}
	closedir(d);
	if (*n)
		qsort(*ids, *n, sizeof(**ids), uint_cmp);
	return ret;
}

int iommu_groups_load(const char *sysfs, struct iommu_group ***out, size_t *n)
{
	unsigned int *ids;
	size_t n_ids;
	struct iommu_group **all;
	int ret = groups_ids(sysfs, &ids, &n_ids);

	*n = 0;
	all = calloc(n_ids + 1, sizeof(*all));
	if (!all)
		ret = -ENOMEM;
	for (size_t i = 0; ret == 0 && i < n_ids; i++) {
		ret = iommu_group_load(sysfs, ids[i], &all[*n]);
		if (ret == 0)
			(*n)++;
		else if (ret == -ENOENT)
			ret = 0; /* it went away while we were looking */
	}
	free(ids);
	if (ret < 0) {
		iommu_groups_free(all, *n);
		return ret;
	}
	*out = all;
	return 0;
}

void iommu_groups_free(struct iommu_group **all, size_t n)
{
	for (size_t i = 0; all && i < n; i++)
		iommu_group_free(all[i]);
	free(all);
}

bool iommu_driver_is_vfio(const char *driver)
{
	size_t n = strlen(driver);

	/* vfio-pci and the variants mlx5_vfio_pci, virtio_vfio_pci, ... whose kernel drivers are
	 * named either way */
	return n >= 8 &&
	       (!strcmp(driver + n - 8, "vfio-pci") || !strcmp(driver + n - 8, "vfio_pci"));
}

bool iommu_member_blocks(const struct iommu_member *m)
{
	static const char *const harmless[] = { "pci-stub", "pcieport", "shpchp" };

	if (!m->driver[0] || iommu_driver_is_vfio(m->driver))
		return false;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (!strcmp(m->driver, harmless[i]))
			return false;
	return true;
}

bool iommu_group_viable(const struct iommu_group *g)
{
	if (g->no_iommu)
		return false;
	for (size_t i = 0; i < g->n_members; i++)
		if (iommu_member_blocks(&g->members[i]))
			return false;
	return true;
}

const struct iommu_reserved *iommu_group_forced(const struct iommu_group *g)
{
	for (size_t i = 0; i < g->n_reserved; i++)
		if (!strcmp(g->reserved[i].kind, "direct"))
			return &g->reserved[i];
	return NULL;
}

void iommu_group_list(const struct iommu_group *g, bool blocking_only, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < g->n_members && used < size; i++) {
		const struct iommu_member *m = &g->members[i];

		if (blocking_only && !iommu_member_blocks(m))
			continue;
		used += (size_t)snprintf(buf + used, size - used, "%s%s (%s)", used ? ", " : "",
					 m->name, m->driver[0] ? m->driver : "no driver");
	}
}

/* Class 06: bridges of every kind, the host's own and the one to ISA among them. */
static bool groups_has_endpoint(const struct iommu_group *g)
{
	for (size_t i = 0; i < g->n_members; i++)
		if (g->members[i].pci && g->members[i].class_code >> 16 != 0x06)
			return true;
	return false;
}

static void groups_mend_assign(const struct iommu_group *g, char *mend, size_t size)
{
	size_t used = (size_t)snprintf(mend, size, "fourlane assign");

	for (size_t i = 0; i < g->n_members && used < size; i++)
		if (g->members[i].pci && !g->members[i].bridge)
			used += (size_t)snprintf(mend + used, size - used, " %s",
						 g->members[i].name);
}

enum iommu_verdict iommu_group_verdict(const struct iommu_group *g, char *mend, size_t size)
{
	mend[0] = '\0';
	if (g->no_iommu) {
		snprintf(mend, size,
			 "turn on VT-d or AMD-Vi in the firmware and boot with intel_iommu=on");
		return IOMMU_NO_IOMMU;
	}
	if (!groups_has_endpoint(g))
		return IOMMU_ONLY_BRIDGES;
	if (iommu_group_forced(g)) {
		snprintf(mend, size,
			 "turn off the firmware's use of the device (RMRR: remote management, "
			 "legacy USB), or use another slot");
		return IOMMU_FORCED;
	}
	if (!iommu_group_viable(g)) {
		groups_mend_assign(g, mend, size);
		return IOMMU_BOUND;
	}
	return IOMMU_OK;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A made-up host with an SR-IOV NIC (see helper_sriov.h). */
#include "helper_sriov.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"

static void make_parents(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

void fake_file(struct fake_nic *f, const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", f->sysfs, path);
	make_parents(full);
	file = fopen(full, "w");
	if (!file)
		abort();
	fprintf(file, "%s\n", text);
	fclose(file);
}

void fake_link(struct fake_nic *f, const char *path, const char *target)
{
	char full[PATH_MAX], to[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", f->sysfs, path);
	snprintf(to, sizeof(to), "%s%s%s", target[0] == '/' ? "" : f->sysfs,
		 target[0] == '/' ? "" : "/", target);
	make_parents(full);
	unlink(full);
	if (symlink(to, full) < 0)
		abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void fake_remove(struct fake_nic *f, const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", f->sysfs, path);
	nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fake_read(struct fake_nic *f, const char *path)
{
	static char line[64];

	if (paths_read_line(line, sizeof(line), "%s/%s", f->sysfs, path) < 0)
		snprintf(line, sizeof(line), "(none)");
	return line;
}

bool fake_record_exists(struct fake_nic *f, const char *name)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/vf/%s.json", f->env.state_dir, name);
	return access(path, F_OK) == 0;
}

const char *fake_record_text(struct fake_nic *f, const char *name)
{
	static char text[4096];
	char path[PATH_MAX + 64];
	FILE *file;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/vf/%s.json", f->env.state_dir, name);
	file = fopen(path, "r");
	if (file) {
		n = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
	}
	text[n] = '\0';
	return text;
}

/* --- setup --- */
static void catch (void *opaque, const char *line)
{
	struct fake_nic *f = opaque;

	snprintf(f->said, sizeof(f->said), "%s", line);
	f->n_said++;
}

static void make_driver(struct fake_nic *f, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "bus/pci/drivers/%s/bind", driver);
	fake_file(f, path, "");
	snprintf(path, sizeof(path), "bus/pci/drivers/%s/unbind", driver);
	fake_file(f, path, "");
}

/* A file of the PF's folder. */
static void pf_file(struct fake_nic *f, const struct fake_pf *pf, const char *file,
		    const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", pf->dir, file);
	fake_file(f, path, text);
}

static void pf_number(struct fake_nic *f, const struct fake_pf *pf, const char *file, int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", n);
	pf_file(f, pf, file, text);
}

static void pf_netdev(struct fake_nic *f, const struct fake_pf *pf)
{
	char path[256], to[256];
	static const char *const files[][2] = { { "flags", "0x1003" },
						{ "operstate", "up" },
						{ "carrier", "1" } };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "net/%s/%s", pf->name, files[i][0]);
		pf_file(f, pf, path, files[i][1]);
	}
	snprintf(path, sizeof(path), "net/%s/ifindex", pf->name);
	pf_number(f, pf, path, (int)pf->ifindex);
	snprintf(path, sizeof(path), "net/%s/address", pf->name);
	snprintf(to, sizeof(to), "52:54:00:aa:00:%02x", pf->ifindex - 3);
	pf_file(f, pf, path, to);
	snprintf(path, sizeof(path), "%s/net/%s/device", pf->dir, pf->name);
	fake_link(f, path, pf->dir);
	snprintf(path, sizeof(path), "class/net/%s", pf->name);
	snprintf(to, sizeof(to), "%s/net/%s", pf->dir, pf->name);
	fake_link(f, path, to);
}

static void pf_pci(struct fake_nic *f, const struct fake_pf *pf, int numa)
{
	char path[256], group[64];

	pf_file(f, pf, "class", "0x020000");
	pf_file(f, pf, "vendor", "0x8086");
	pf_file(f, pf, "device", "0x10c9");
	pf_number(f, pf, "numa_node", numa);
	pf_number(f, pf, "sriov_totalvfs", (int)pf->total);
	pf_file(f, pf, "sriov_drivers_autoprobe", "1");
	snprintf(path, sizeof(path), "%s/driver", pf->dir);
	fake_link(f, path, "bus/pci/drivers/igb");
	snprintf(path, sizeof(path), "%s/iommu_group", pf->dir);
	snprintf(group, sizeof(group), "kernel/iommu_groups/%u", pf->ifindex - 3);
	fake_link(f, path, group);
	snprintf(path, sizeof(path), "%s/devices/%s", group, pf->id);
	fake_link(f, path, pf->dir);
	snprintf(path, sizeof(path), "bus/pci/devices/%s", pf->id);
	fake_link(f, path, pf->dir);
}

struct fake_pf *fake_pf_add(struct fake_nic *f, const char *id, const char *name,
			    unsigned int total, int numa)
{
	struct fake_pf *pf = &f->pf[f->n_pfs];
	char bdf[IOMMU_BDF_SIZE], path[256];
	bool pci = iommu_bdf_parse(id, bdf) == 0;

	if (f->n_pfs == FAKE_MAX_PFS)
		abort();
	snprintf(pf->id, sizeof(pf->id), "%s", id);
	snprintf(pf->name, sizeof(pf->name), "%s", name);
	if (pci) /* below a root port of its own */
		snprintf(pf->dir, sizeof(pf->dir), "devices/pci0000:00/0000:00:%02x.0/%s",
			 f->n_pfs + 1, id);
	else
		snprintf(pf->dir, sizeof(pf->dir), "devices/%s", id);
	pf->total = total;
	pf->ifindex = 4 + f->n_pfs;
	pf->first_group = f->n_pfs ? 100 * f->n_pfs : 10;
	pf->vf = f->n_pfs ? calloc(total + 1, sizeof(*pf->vf)) : f->vf;
	pf->n_vfs = f->n_pfs ? calloc(1, sizeof(*pf->n_vfs)) : &f->n_vfs;
	pf_file(f, pf, "sriov_numvfs", "0");
	if (pci) {
		pf_pci(f, pf, numa);
	} else {
		snprintf(path, sizeof(path), "%s/driver", pf->dir);
		fake_link(f, path, "bus/netdevsim/drivers/netdevsim");
		snprintf(path, sizeof(path), "kernel/debug/netdevsim/%s/max_vfs", id);
		snprintf(bdf, sizeof(bdf), "%u", total);
		fake_file(f, path, bdf);
	}
	pf_netdev(f, pf);
	f->n_pfs++;
	return pf;
}

int fake_nic_setup(void **state)
{
	struct fake_nic *f = calloc(1, sizeof(*f));
	char path[PATH_MAX];

	snprintf(f->root, sizeof(f->root), "/tmp/fourlane-sriov-XXXXXX");
	if (!mkdtemp(f->root))
		return -1;
	snprintf(f->sysfs, sizeof(f->sysfs), "%s/sys", f->root);
	snprintf(f->proc, sizeof(f->proc), "%s/proc", f->root);
	snprintf(path, sizeof(path), "%s/sys/kernel/random/boot_id", f->proc);
	make_parents(path);
	fake_pf_add(f, FAKE_PF, "lab0", 7, -1);
	fake_file(f, "devices/virtual/net/lo/ifindex", "1");
	fake_file(f, "devices/virtual/net/lo/address", "00:00:00:00:00:00");
	fake_link(f, "class/net/lo", "devices/virtual/net/lo");
	make_driver(f, "igbvf");
	make_driver(f, "vfio-pci");
	fake_file(f, "../proc/sys/kernel/random/boot_id", "11111111-2222");
	fake_file(f, "../proc/sys/kernel/osrelease", "6.12.0-test");
	f->view = (struct host_view){ .sysfs = f->sysfs, .dev = "/dev", .proc = f->proc };
	f->env = (struct sriov_env){ .v = &f->view,
				     .wait_ms = 40,
				     .ops = &fake_ops,
				     .write = fake_write,
				     .opaque = f,
				     .default_routes = fake_default_routes };
	snprintf(f->env.state_dir, sizeof(f->env.state_dir), "%s/state", f->root);
	snprintf(f->env.run_dir, sizeof(f->env.run_dir), "%s/run", f->root);
	mkdir(f->env.state_dir, 0755);
	mkdir(f->env.run_dir, 0755);
	f->refuse = VF_N_SETTINGS;
	err_set_sink(catch, f);
	*state = f;
	return 0;
}

int fake_nic_teardown(void **state)
{
	struct fake_nic *f = *state;

	err_set_sink(NULL, NULL);
	nftw(f->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	for (unsigned int i = 1; i < f->n_pfs; i++) {
		free(f->pf[i].vf);
		free(f->pf[i].n_vfs);
	}
	free(f);
	return 0;
}

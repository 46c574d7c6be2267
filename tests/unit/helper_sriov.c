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

#define PF_DIR "devices/pci0000:00/0000:00:01.0/" FAKE_PF

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

/* --- the kernel's part --- */
static void vf_names(unsigned int idx, char *bdf, char *dir, char *link)
{
	sprintf(bdf, "0000:01:%02x.%x", 0x10 + idx * 2 / 8, idx * 2 % 8);
	sprintf(dir, "devices/pci0000:00/0000:00:01.0/%s", bdf);
	sprintf(link, PF_DIR "/virtfn%u", idx);
}

static void make_vf(struct fake_nic *f, unsigned int idx)
{
	char bdf[32], dir[128], link[128], path[256], group[64];

	vf_names(idx, bdf, dir, link);
	snprintf(path, sizeof(path), "%s/vendor", dir);
	fake_file(f, path, "0x8086");
	snprintf(path, sizeof(path), "%s/device", dir);
	fake_file(f, path, "0x10ca");
	snprintf(path, sizeof(path), "%s/class", dir);
	fake_file(f, path, "0x020000");
	snprintf(path, sizeof(path), "%s/physfn", dir);
	fake_link(f, path, PF_DIR);
	snprintf(group, sizeof(group), "kernel/iommu_groups/%u", 10 + idx);
	snprintf(path, sizeof(path), "%s/iommu_group", dir);
	fake_link(f, path, group);
	fake_link(f, link, dir);
	snprintf(path, sizeof(path), "bus/pci/devices/%s", bdf);
	fake_link(f, path, dir);
	f->vf[idx] = (struct vf_settings){ .known = VF_ALL, .proto = 0x8100, .spoof_check = true };
}

static void remove_vf(struct fake_nic *f, unsigned int idx)
{
	char bdf[32], dir[128], link[128], path[256];

	vf_names(idx, bdf, dir, link);
	snprintf(path, sizeof(path), "bus/pci/devices/%s", bdf);
	fake_remove(f, path);
	fake_remove(f, link);
	fake_remove(f, dir);
}

static int kernel_numvfs(struct fake_nic *f, const char *text)
{
	unsigned int n = (unsigned int)atoi(text);

	if (n && f->n_vfs)
		return -EBUSY;
	if (n > 7)
		return -ERANGE;
	f->autoprobe_at_creation =
		(unsigned int)atoi(fake_read(f, PF_DIR "/sriov_drivers_autoprobe"));
	for (unsigned int i = 0; i < f->n_vfs; i++)
		remove_vf(f, i);
	for (unsigned int i = 0; i < n && !f->keep_vfs_hidden; i++)
		make_vf(f, i);
	f->n_vfs = n;
	return 0;
}

static int fake_write(void *opaque, const char *path, const char *text)
{
	struct fake_nic *f = opaque;
	const char *file = strrchr(path, '/') + 1;
	int ret = 0;

	if (f->fail_file && !strcmp(file, f->fail_file) && f->fail_after-- == 0) {
		f->fail_file = NULL;
		return f->fail_errno;
	}
	if (!strcmp(file, "sriov_numvfs"))
		ret = kernel_numvfs(f, text);
	return ret < 0 ? ret : paths_write(text, "%s", path);
}

static int fake_vf_read(void *opaque, unsigned int ifindex, struct vf_table *out)
{
	struct fake_nic *f = opaque;

	out->announced = f->n_vfs;
	out->n = f->truncate_at && f->truncate_at < f->n_vfs ? f->truncate_at : f->n_vfs;
	out->vf = calloc(f->n_vfs + 1, sizeof(*out->vf));
	memcpy(out->vf, f->vf, out->n * sizeof(*out->vf));
	return 0;
}

static int fake_vf_write(void *opaque, unsigned int ifindex, unsigned int vf, enum vf_setting s,
			 const struct vf_settings *to, char *why, size_t size)
{
	struct fake_nic *f = opaque;
	struct vf_settings *v = &f->vf[vf];

	if (vf >= f->n_vfs)
		return -EINVAL;
	if (s == f->refuse)
		return f->refuse_errno;
	f->n_writes++;
	if (f->ignore_writes)
		return 0;
	if (s == VF_MAC)
		memcpy(v->mac, to->mac, 6);
	if (s == VF_VLAN) {
		v->vlan = to->vlan;
		v->qos = to->qos;
		v->proto = to->proto;
	}
	if (s == VF_RATE) {
		v->max_tx_mbit = to->max_tx_mbit;
		v->min_tx_mbit = to->min_tx_mbit;
	}
	if (s == VF_SPOOF)
		v->spoof_check = to->spoof_check;
	if (s == VF_TRUST)
		v->trust = to->trust;
	if (s == VF_LINK)
		v->link = to->link;
	return 0;
}

static const struct vf_ops fake_ops = { .read = fake_vf_read, .write = fake_vf_write };

/* --- setup --- */
static void catch (void *opaque, const char *line)
{
	struct fake_nic *f = opaque;

	snprintf(f->said, sizeof(f->said), "%s", line);
	f->n_said++;
}

void fake_driver(struct fake_nic *f, unsigned int idx, const char *driver)
{
	char bdf[32], dir[128], link[128], path[256], to[128];

	vf_names(idx, bdf, dir, link);
	snprintf(path, sizeof(path), "%s/driver", dir);
	fake_remove(f, path);
	if (!driver)
		return;
	snprintf(to, sizeof(to), "bus/pci/drivers/%s", driver);
	fake_link(f, path, to);
}

static void make_pf(struct fake_nic *f)
{
	fake_file(f, PF_DIR "/class", "0x020000");
	fake_file(f, PF_DIR "/vendor", "0x8086");
	fake_file(f, PF_DIR "/device", "0x10c9");
	fake_file(f, PF_DIR "/numa_node", "-1");
	fake_file(f, PF_DIR "/sriov_totalvfs", "7");
	fake_file(f, PF_DIR "/sriov_numvfs", "0");
	fake_file(f, PF_DIR "/sriov_drivers_autoprobe", "1");
	fake_file(f, PF_DIR "/net/lab0/ifindex", "4");
	fake_file(f, PF_DIR "/net/lab0/flags", "0x1003");
	fake_file(f, PF_DIR "/net/lab0/address", "52:54:00:aa:00:01");
	fake_file(f, PF_DIR "/net/lab0/operstate", "up");
	fake_file(f, PF_DIR "/net/lab0/carrier", "1");
	fake_link(f, PF_DIR "/net/lab0/device", PF_DIR);
	fake_link(f, PF_DIR "/driver", "bus/pci/drivers/igb");
	fake_link(f, PF_DIR "/iommu_group", "kernel/iommu_groups/1");
	fake_link(f, "class/net/lab0", PF_DIR "/net/lab0");
	fake_link(f, "bus/pci/devices/" FAKE_PF, PF_DIR);
	fake_file(f, "devices/virtual/net/lo/ifindex", "1");
	fake_link(f, "class/net/lo", "devices/virtual/net/lo");
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
	make_pf(f);
	fake_file(f, "../proc/sys/kernel/random/boot_id", "11111111-2222");
	fake_file(f, "../proc/sys/kernel/osrelease", "6.12.0-test");
	f->view = (struct host_view){ .sysfs = f->sysfs, .dev = "/dev", .proc = f->proc };
	f->env = (struct sriov_env){
		.v = &f->view, .wait_ms = 40, .ops = &fake_ops, .write = fake_write, .opaque = f
	};
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
	free(f);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A made-up host with two SR-IOV NICs (see helper_tenant.h). */
#include "helper_tenant.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "core/paths.h"
#include "helper_vf_driver.h"

#define TOTAL_VFS 7
#define IFINDEX   4 /* of the first PF */
#define DIR_ALL   "sys/devices/pci0000:00/"

static const char *const pf_bdf[TH_PFS] = { "0000:01:00.0", "0000:02:00.0" };

void th_vf_bdf(unsigned int pf, unsigned int idx, char bdf[IOMMU_BDF_SIZE])
{
	snprintf(bdf, IOMMU_BDF_SIZE, "0000:%02x:%02x.%x", pf + 1, 0x10 + idx * 2 / 8, idx * 2 % 8);
}

const char *th_driver(struct tenant_host *h, unsigned int pf, unsigned int idx)
{
	static char driver[64];
	char bdf[IOMMU_BDF_SIZE];

	th_vf_bdf(pf, idx, bdf);
	return tree_driver_of(&h->t, bdf, driver, sizeof(driver));
}

/* --- the kernel's part --- */
static void pf_file(struct tenant_host *h, unsigned int pf, const char *file, const char *text)
{
	char path[TREE_PATH];

	snprintf(path, sizeof(path), DIR_ALL "%s/%s", pf_bdf[pf], file);
	tree_file(&h->t, path, text);
}

static const char *pf_read(struct tenant_host *h, unsigned int pf, const char *file, char *buf,
			   size_t size)
{
	char path[TREE_PATH];

	snprintf(path, sizeof(path), DIR_ALL "%s/%s", pf_bdf[pf], file);
	return tree_read(&h->t, path, buf, size);
}

/* A kernel driver has a netdev, which is down until somebody wants it. */
static void sync_netdevs(struct tenant_host *h)
{
	char bdf[IOMMU_BDF_SIZE], path[TREE_PATH];

	for (unsigned int i = 0; i < TH_PFS * TH_VFS; i++) {
		unsigned int pf = i / TH_VFS, idx = i % TH_VFS;
		bool want = idx < h->pf[pf].n_vfs && !strcmp(th_driver(h, pf, idx), "igbvf");

		th_vf_bdf(pf, idx, bdf);
		snprintf(path, sizeof(path), DIR_ALL "%s/net/eth%u/flags", bdf, 10 + i);
		if (want == tree_exists(&h->t, path))
			continue;
		if (want)
			tree_file(&h->t, path, "0x1002\n");
		snprintf(path, sizeof(path), DIR_ALL "%s/net", bdf);
		if (!want)
			tree_remove(&h->t, path);
	}
}

static void make_vf(struct tenant_host *h, unsigned int pf, unsigned int idx, bool probe)
{
	char bdf[IOMMU_BDF_SIZE], path[TREE_PATH], target[TREE_PATH];

	th_vf_bdf(pf, idx, bdf);
	tree_function(&h->t, bdf, 20 + pf * 10 + idx, probe ? "igbvf" : NULL, "0x8086\n",
		      "0x10ca\n", "0x020000\n");
	snprintf(path, sizeof(path), DIR_ALL "%s/physfn", bdf);
	snprintf(target, sizeof(target), DIR_ALL "%s", pf_bdf[pf]);
	tree_link(&h->t, path, target);
	snprintf(path, sizeof(path), DIR_ALL "%s/reset", bdf);
	if (!h->no_reset)
		tree_file(&h->t, path, "");
	snprintf(path, sizeof(path), DIR_ALL "%s/reset_method", bdf);
	tree_file(&h->t, path, "flr\n");
	snprintf(path, sizeof(path), DIR_ALL "%s/virtfn%u", pf_bdf[pf], idx);
	snprintf(target, sizeof(target), DIR_ALL "%s", bdf);
	tree_link(&h->t, path, target);
	if (!h->keeps_settings || !h->pf[pf].vf[idx].known)
		h->pf[pf].vf[idx] = (struct vf_settings){ .known = VF_ALL,
							  .proto = 0x8100,
							  .spoof_check = true };
}

static void remove_vf(struct tenant_host *h, unsigned int pf, unsigned int idx)
{
	char bdf[IOMMU_BDF_SIZE], path[TREE_PATH];

	th_vf_bdf(pf, idx, bdf);
	snprintf(path, sizeof(path), DIR_ALL "%s/virtfn%u", pf_bdf[pf], idx);
	tree_remove(&h->t, path);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	tree_remove(&h->t, path);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u", 20 + pf * 10 + idx);
	tree_remove(&h->t, path);
	snprintf(path, sizeof(path), DIR_ALL "%s", bdf);
	tree_remove(&h->t, path);
}

static int kernel_numvfs(struct tenant_host *h, unsigned int pf, unsigned int n)
{
	char text[16];
	bool probe = pf_read(h, pf, "sriov_drivers_autoprobe", text, sizeof(text))[0] == '1';

	if (n && h->pf[pf].n_vfs)
		return -EBUSY;
	if (n > TOTAL_VFS)
		return -ERANGE;
	for (unsigned int i = 0; i < h->pf[pf].n_vfs; i++)
		remove_vf(h, pf, i);
	h->pf[pf].n_vfs = n;
	for (unsigned int i = 0; i < n; i++)
		make_vf(h, pf, i, probe);
	snprintf(text, sizeof(text), "%u\n", n);
	pf_file(h, pf, "sriov_numvfs", text);
	sync_netdevs(h);
	return 0;
}

void th_number(struct tenant_host *h, unsigned int pf, unsigned int n)
{
	kernel_numvfs(h, pf, 0);
	kernel_numvfs(h, pf, n);
}

static int pf_of_path(const char *path)
{
	for (int i = 0; i < TH_PFS; i++)
		if (strstr(path, pf_bdf[i]))
			return i;
	return -1;
}

/* Of "<pf>/virtfn<idx>/reset". */
static void kernel_reset(struct tenant_host *h, const char *path)
{
	const char *vf = strstr(path, "/virtfn");
	int pf = pf_of_path(path);

	if (pf >= 0 && vf && atoi(vf + 7) < TH_VFS)
		h->pf[pf].resets[atoi(vf + 7)]++;
}

static int kernel_file(struct tenant_host *h, const char *path, const char *text)
{
	const char *file = strrchr(path, '/') + 1;
	int pf = pf_of_path(path);

	if (access(path, F_OK) < 0 && strcmp(file, "drivers_probe"))
		return -ENOENT;
	if (!strcmp(file, "sriov_numvfs"))
		return kernel_numvfs(h, (unsigned int)pf, (unsigned int)atoi(text));
	if (!strcmp(file, "sriov_drivers_autoprobe")) {
		pf_file(h, (unsigned int)pf, file, text);
		return 0;
	}
	if (!strcmp(file, "reset")) {
		kernel_reset(h, path);
		return 0;
	}
	pf = tree_kernel_write(&h->k, path, text);
	sync_netdevs(h);
	return pf;
}

static int kernel_setting(struct tenant_host *h, unsigned int pf, unsigned int idx,
			  enum vf_setting s, const struct vf_settings *to)
{
	if (idx >= h->pf[pf].n_vfs)
		return -EINVAL;
	if (s == h->refuse)
		return h->refuse_errno;
	vf_driver_take(&h->pf[pf].vf[idx], s, to);
	return 0;
}

/* --- faults --- */
/* 0, or what the write gives instead of being done. */
static int before_write(struct tenant_host *h)
{
	unsigned int n = ++h->n_writes;

	h->busy = 1;
	if (n == h->gone_at)
		kernel_numvfs(h, 0, 0);
	if (n == h->die_at && !h->die_after)
		_exit(0);
	if (h->fail_at && (n == h->fail_at || (h->fail_on && n > h->fail_at)))
		return h->fail_errno;
	return 0;
}

static int after_write(struct tenant_host *h, int ret)
{
	if (h->n_writes == h->die_at)
		_exit(0);
	h->busy = 0;
	return ret;
}

static int th_write(void *opaque, const char *path, const char *text)
{
	struct tenant_host *h = opaque;
	int ret = before_write(h);

	return after_write(h, ret < 0 ? ret : kernel_file(h, path, text));
}

static int th_vfio_write(void *opaque, const char *path, const char *text, unsigned int deadline_ms)
{
	return th_write(opaque, path, text);
}

static int th_vf_write(void *opaque, unsigned int ifindex, unsigned int idx, enum vf_setting s,
		       const struct vf_settings *to, char *why, size_t size)
{
	struct tenant_host *h = opaque;
	int ret = before_write(h);

	return after_write(h, ret < 0 ? ret : kernel_setting(h, ifindex - IFINDEX, idx, s, to));
}

static int th_vf_read(void *opaque, unsigned int ifindex, struct vf_table *out)
{
	struct tenant_host *h = opaque;
	unsigned int pf = ifindex - IFINDEX, n = h->pf[pf].n_vfs;

	out->announced = n;
	out->n = h->truncate_at && h->truncate_at < n ? h->truncate_at : n;
	out->vf = calloc(n + 1, sizeof(*out->vf));
	memcpy(out->vf, h->pf[pf].vf, out->n * sizeof(*out->vf));
	return 0;
}

static const struct vf_ops th_ops = { .read = th_vf_read, .write = th_vf_write };

/* --- setup --- */
static void keep_line(void *opaque, const char *line)
{
	struct tenant_host *h = opaque;
	size_t used = strlen(h->said);

	snprintf(h->said + used, sizeof(h->said) - used, "%s\n", line);
}

static void make_pf(struct tenant_host *h, unsigned int pf)
{
	char path[TREE_PATH], target[TREE_PATH], net[32], text[16];

	tree_function(&h->t, pf_bdf[pf], pf + 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	pf_file(h, pf, "sriov_totalvfs", "7\n");
	pf_file(h, pf, "sriov_numvfs", "0\n");
	pf_file(h, pf, "sriov_drivers_autoprobe", "1\n");
	pf_file(h, pf, "numa_node", "-1\n");
	snprintf(net, sizeof(net), "net/lab%u/", pf);
	snprintf(path, sizeof(path), "%sifindex", net);
	snprintf(text, sizeof(text), "%u\n", IFINDEX + pf);
	pf_file(h, pf, path, text);
	snprintf(path, sizeof(path), "%sflags", net);
	pf_file(h, pf, path, "0x1003\n");
	snprintf(path, sizeof(path), "%scarrier", net);
	pf_file(h, pf, path, "1\n");
	snprintf(path, sizeof(path), DIR_ALL "%s/net/lab%u/device", pf_bdf[pf], pf);
	snprintf(target, sizeof(target), DIR_ALL "%s", pf_bdf[pf]);
	tree_link(&h->t, path, target);
	snprintf(path, sizeof(path), "sys/class/net/lab%u", pf);
	snprintf(target, sizeof(target), DIR_ALL "%s/net/lab%u", pf_bdf[pf], pf);
	tree_link(&h->t, path, target);
}

/*
 * In memory where there is such a file system: thousands of transactions are made, and what of them
 * is safe from a power cut is the lab's to see.
 */
static void make_state(struct tenant_host *h)
{
	char shm[64] = "/dev/shm/fourlane-test-XXXXXX", old[TREE_PATH];

	if (!mkdtemp(shm))
		return;
	snprintf(old, sizeof(old), "%s/state", h->t.root);
	if (rmdir(old) < 0 || symlink(shm, old) < 0)
		abort();
	snprintf(h->t.state, sizeof(h->t.state), "%s", shm);
}

static void remove_state(struct tenant_host *h)
{
	struct tree shm = { 0 };

	snprintf(shm.root, sizeof(shm.root), "%s", h->t.state);
	tree_destroy(&shm);
}

int tenant_host_setup(void **state)
{
	struct tenant_host *h =
		mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (h == MAP_FAILED)
		return -1;
	tree_create(&h->t);
	make_state(h);
	h->k.t = &h->t;
	tree_driver(&h->t, "vfio-pci");
	tree_driver(&h->t, "igbvf");
	for (unsigned int i = 0; i < TH_PFS; i++)
		make_pf(h, i);
	tree_dir(&h->t, "run");
	h->view = (struct host_view){ .sysfs = h->t.sysfs, .dev = h->t.dev, .proc = h->t.proc };
	h->vfio = (struct vfio_sys){ .sysfs = h->t.sysfs,
				     .proc = h->t.proc,
				     .state = h->t.state,
				     .deadline_ms = 40,
				     .write = th_vfio_write,
				     .opaque = h };
	h->env = (struct sriov_env){ .v = &h->view,
				     .wait_ms = 40,
				     .ops = &th_ops,
				     .write = th_write,
				     .vfio = &h->vfio,
				     .opaque = h };
	snprintf(h->env.state_dir, sizeof(h->env.state_dir), "%s", h->t.state);
	snprintf(h->env.run_dir, sizeof(h->env.run_dir), "%s/run", h->t.root);
	h->refuse = VF_N_SETTINGS;
	th_show_self(h);
	err_set_sink(keep_line, h);
	*state = h;
	return 0;
}

int tenant_host_teardown(void **state)
{
	struct tenant_host *h = *state;

	err_set_sink(NULL, NULL);
	remove_state(h);
	tree_destroy(&h->t);
	munmap(h, sizeof(*h));
	return 0;
}

void th_calm(struct tenant_host *h)
{
	h->n_writes = h->fail_at = h->die_at = h->gone_at = h->truncate_at = 0;
	h->fail_on = h->die_after = false;
	h->refuse = VF_N_SETTINGS;
	h->busy = 0;
	h->said[0] = '\0';
}

void th_show_self(struct tenant_host *h)
{
	char link[TREE_PATH], real[64];

	snprintf(link, sizeof(link), "%s/%d", h->t.proc, getpid());
	snprintf(real, sizeof(real), "/proc/%d", getpid());
	if (symlink(real, link) < 0 && errno != EEXIST)
		abort();
}

void th_reboot(struct tenant_host *h)
{
	char path[TREE_PATH];

	h->keeps_settings = false;
	for (unsigned int i = 0; i < TH_PFS; i++) {
		kernel_numvfs(h, i, 0);
		pf_file(h, i, "sriov_drivers_autoprobe", "1\n");
		memset(h->pf[i].vf, 0, sizeof(h->pf[i].vf));
	}
	for (unsigned int i = 0; i < TH_PFS * TH_VFS; i++) { /* vfio's records of before are void */
		char bdf[IOMMU_BDF_SIZE];

		th_vf_bdf(i / TH_VFS, i % TH_VFS, bdf);
		snprintf(path, sizeof(path), "state/%s.json", bdf);
		tree_remove(&h->t, path);
	}
	snprintf(path, sizeof(path), "proc/sys/kernel/random/boot_id");
	tree_file(&h->t, path, "99999999-8888-7777-6666-555555555555\n");
}

int th_apply(struct tenant_host *h, const char *yaml, size_t *changed)
{
	struct tenant_file *f;
	char path[TREE_PATH];
	int ret;

	tree_file(&h->t, "tenants.yaml", yaml);
	snprintf(path, sizeof(path), "%s/tenants.yaml", h->t.root);
	ret = tenant_file_load(path, &f);
	if (ret < 0)
		return ret;
	ret = tenant_apply(&h->env, f, changed);
	tenant_file_free(f);
	return ret;
}

int th_fork(struct tenant_host *h, int (*fn)(struct tenant_host *h, void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(fn(h, arg) < 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return status;
}

/* --- all that it is --- */
static void state_vf(struct tenant_host *h, unsigned int pf, unsigned int idx, FILE *f)
{
	char bdf[IOMMU_BDF_SIZE], path[TREE_PATH], line[64], text[96];

	th_vf_bdf(pf, idx, bdf);
	snprintf(path, sizeof(path), DIR_ALL "%s/driver_override", bdf);
	fprintf(f, " VF %u: driver '%s' override '%s'", idx, th_driver(h, pf, idx),
		tree_read(&h->t, path, line, sizeof(line)));
	for (int s = 0; s < VF_N_SETTINGS; s++) {
		vf_setting_text((enum vf_setting)s, &h->pf[pf].vf[idx], text, sizeof(text));
		fprintf(f, ", %s", text);
	}
	fprintf(f, "\n");
}

/* What vfio remembers of functions that are assigned; the lock beside it says nothing. */
static void state_records(struct tenant_host *h, FILE *f)
{
	struct dirent **found = NULL;
	int n = scandir(h->t.state, &found, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *end = strrchr(found[i]->d_name, '.'); /* .tmp: was never a record */

		if (!strncmp(found[i]->d_name, "0000:", 5) && end && !strcmp(end, ".json"))
			fprintf(f, "record %s\n", found[i]->d_name);
		free(found[i]);
	}
	free(found);
}

char *th_state(struct tenant_host *h)
{
	char line[32], *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (unsigned int i = 0; i < TH_PFS; i++) {
		fprintf(f, "%s: %s VFs (%u)", pf_bdf[i],
			pf_read(h, i, "sriov_numvfs", line, sizeof(line)), h->pf[i].n_vfs);
		fprintf(f, ", autoprobe %s\n",
			pf_read(h, i, "sriov_drivers_autoprobe", line, sizeof(line)));
		for (unsigned int v = 0; v < h->pf[i].n_vfs; v++)
			state_vf(h, i, v, f);
	}
	state_records(h, f);
	fclose(f);
	return text;
}

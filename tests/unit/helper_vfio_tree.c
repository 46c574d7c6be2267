/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See helper_vfio_tree.h. */
#include "helper_vfio_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void tree_path(const struct tree *t, const char *path, char out[TREE_PATH])
{
	snprintf(out, TREE_PATH, "%s/%s", t->root, path);
}

static void make_parents(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

void tree_create(struct tree *t)
{
	snprintf(t->root, sizeof(t->root), "/tmp/fourlane-test-XXXXXX");
	if (!mkdtemp(t->root))
		abort();
	snprintf(t->sysfs, sizeof(t->sysfs), "%s/sys", t->root);
	snprintf(t->proc, sizeof(t->proc), "%s/proc", t->root);
	snprintf(t->state, sizeof(t->state), "%s/state", t->root);
	snprintf(t->dev, sizeof(t->dev), "%s/dev", t->root);
	tree_dir(t, "sys/bus/pci/devices");
	tree_dir(t, "sys/bus/pci/drivers");
	tree_dir(t, "sys/kernel/iommu_groups");
	tree_dir(t, "state");
	tree_dir(t, "dev");
	tree_file(t, "proc/sys/kernel/random/boot_id", "11111111-2222-3333-4444-555555555555\n");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void tree_destroy(struct tree *t)
{
	nftw(t->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int tree_setup(void **state)
{
	struct tree *t = malloc(sizeof(*t));

	tree_create(t);
	*state = t;
	return 0;
}

int tree_teardown(void **state)
{
	tree_destroy(*state);
	free(*state);
	return 0;
}

void tree_dir(const struct tree *t, const char *path)
{
	char full[TREE_PATH];

	tree_path(t, path, full);
	make_parents(full);
	mkdir(full, 0755);
}

void tree_file(const struct tree *t, const char *path, const char *text)
{
	char full[TREE_PATH];
	FILE *f;

	tree_path(t, path, full);
	make_parents(full);
	f = fopen(full, "w");
	if (!f)
		abort();
	fputs(text, f);
	fclose(f);
}

void tree_link(const struct tree *t, const char *path, const char *target)
{
	char full[TREE_PATH], to[TREE_PATH];

	tree_path(t, path, full);
	make_parents(full);
	tree_path(t, target, to);
	unlink(full);
	if (symlink(to, full) < 0)
		abort();
}

void tree_remove(const struct tree *t, const char *path)
{
	char full[TREE_PATH];

	tree_path(t, path, full);
	nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool tree_exists(const struct tree *t, const char *path)
{
	char full[TREE_PATH];
	struct stat st;

	tree_path(t, path, full);
	return lstat(full, &st) == 0;
}

const char *tree_read(const struct tree *t, const char *path, char *buf, size_t size)
{
	char full[TREE_PATH];
	FILE *f;

	tree_path(t, path, full);
	buf[0] = '\0';
	f = fopen(full, "r");
	if (f && !fgets(buf, (int)size, f))
		buf[0] = '\0';
	if (f)
		fclose(f);
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

void tree_driver(const struct tree *t, const char *driver)
{
	char path[TREE_PATH];

	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/bind", driver);
	tree_file(t, path, "");
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s/unbind", driver);
	tree_file(t, path, "");
}

void tree_function(const struct tree *t, const char *bdf, unsigned int group, const char *driver,
		   const char *vendor, const char *device, const char *class_code)
{
	char path[TREE_PATH], target[TREE_PATH];

	snprintf(target, sizeof(target), "sys/devices/pci0000:00/%s", bdf);
	snprintf(path, sizeof(path), "%s/vendor", target);
	tree_file(t, path, vendor);
	snprintf(path, sizeof(path), "%s/device", target);
	tree_file(t, path, device);
	snprintf(path, sizeof(path), "%s/class", target);
	tree_file(t, path, class_code);
	snprintf(path, sizeof(path), "%s/driver_override", target);
	tree_file(t, path, "(null)\n");
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/devices/%s", group, bdf);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "%s/iommu_group", target);
	snprintf(target, sizeof(target), "sys/kernel/iommu_groups/%u", group);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/type", group);
	tree_file(t, path, "DMA-FQ\n");
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/reserved_regions", group);
	tree_file(t, path, "0x00000000fee00000 0x00000000feefffff msi\n");
	if (driver)
		tree_bind(t, bdf, driver);
}

void tree_bind(const struct tree *t, const char *bdf, const char *driver)
{
	char path[TREE_PATH], target[TREE_PATH];

	tree_driver(t, driver);
	snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/driver", bdf);
	snprintf(target, sizeof(target), "sys/bus/pci/drivers/%s", driver);
	tree_link(t, path, target);
}

const char *tree_driver_of(const struct tree *t, const char *bdf, char *buf, size_t size)
{
	char path[TREE_PATH], target[TREE_PATH];
	const char *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/devices/pci0000:00/%s/driver", t->sysfs, bdf);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	slash = strrchr(target, '/');
	snprintf(buf, size, "%.63s", slash ? slash + 1 : "");
	return buf;
}

/* --- the kernel's side of a write --- */

static int kernel_probe(struct tree_kernel *k, const char *bdf)
{
	char path[TREE_PATH], override[64];
	const char *driver;

	if (k->fail_bind && !strcmp(k->fail_bind, bdf))
		return 0;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver", bdf);
	if (tree_exists(k->t, path))
		return 0;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", bdf);
	tree_read(k->t, path, override, sizeof(override));
	driver = override[0] && strcmp(override, "(null)") ? override : k->probe_default;
	if (driver)
		tree_bind(k->t, bdf, driver);
	return 0;
}

static int kernel_act(struct tree_kernel *k, const char *path, const char *text)
{
	const char *name = strrchr(path, '/') + 1, *rel = path + strlen(k->t->root) + 1;
	char file[TREE_PATH], driver[64];

	if (!strcmp(name, "driver_override")) {
		tree_file(k->t, rel, strcmp(text, "\n") ? text : "(null)\n");
		return 0;
	}
	if (!strcmp(name, "unbind")) {
		snprintf(file, sizeof(file), "sys/devices/pci0000:00/%s/driver", text);
		if (!tree_exists(k->t, file))
			return -ENODEV;
		if (!k->stuck_unbind)
			tree_remove(k->t, file);
		return 0;
	}
	if (!strcmp(name, "drivers_probe"))
		return kernel_probe(k, text);
	if (!strcmp(name, "bind")) {
		snprintf(file, sizeof(file), "%.*s", (int)(name - 1 - rel), rel);
		snprintf(driver, sizeof(driver), "%.63s", strrchr(file, '/') + 1);
		tree_bind(k->t, text, driver);
		return 0;
	}
	return -ENOENT;
}

int tree_kernel_write(void *opaque, const char *path, const char *text)
{
	struct tree_kernel *k = opaque;
	bool last = ++k->n_writes == k->die_at;
	int ret;

	if (last && !k->die_after)
		_exit(0);
	ret = kernel_act(k, path, text);
	if (last)
		_exit(0);
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See helper_vfio_assign.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <unistd.h>

#include "core/err.h"
#include "helper_vfio_assign.h"

static void add(char *to, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void add(char *to, size_t size, const char *fmt, ...)
{
	size_t n = strlen(to);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to + n, size - n, fmt, ap);
	va_end(ap);
}

static void catch_line(void *opaque, const char *line)
{
	struct host *h = opaque;

	add(h->said, sizeof(h->said), "%s\n", line);
}

/* As the kernel does, a function that is bound to vfio-pci gets its group's node. */
static void appear(struct host *h, const char *bdf)
{
	char now[64], group[TREE_PATH], node[TREE_PATH];
	const char *slash;
	ssize_t n;

	if (h->no_node || strcmp(tree_driver_of(&h->t, bdf, now, sizeof(now)), "vfio-pci"))
		return;
	if (h->noiommu) {
		tree_file(&h->t, "sys/kernel/iommu_groups/9/name", "vfio-noiommu\n");
		tree_link(&h->t, "sys/kernel/iommu_groups/9/devices/" NIC, NIC_PATH);
		tree_link(&h->t, NIC_PATH "/iommu_group", "sys/kernel/iommu_groups/9");
		tree_file(&h->t, "dev/vfio/noiommu-9", "");
		return;
	}
	snprintf(node, sizeof(node), "%s/devices/pci0000:00/%s/iommu_group", h->t.sysfs, bdf);
	n = readlink(node, group, sizeof(group) - 1);
	group[n < 0 ? 0 : n] = '\0';
	slash = strrchr(group, '/');
	snprintf(node, sizeof(node), "dev/vfio/%.32s", slash ? slash + 1 : "noiommu");
	tree_file(&h->t, node, "");
}

static int host_write(void *opaque, const char *path, const char *text, unsigned int deadline_ms)
{
	struct host *h = opaque;
	int ret;

	add(h->writes, sizeof(h->writes), "%s %s\n", path, text);
	if (h->busy)
		*h->busy = 1;
	ret = tree_kernel_write(&h->k, path, text);
	if (ret == 0 && strstr(path, "drivers_probe"))
		appear(h, text);
	if (h->busy)
		*h->busy = 0;
	return ret;
}

static int host_has_address(void *opaque, const char *ifname)
{
	struct host *h = opaque;

	return h->ask_error ? h->ask_error : !strcmp(h->address_of, ifname);
}

static int host_has_route(void *opaque, const char *ifname)
{
	return !strcmp(((struct host *)opaque)->route_of, ifname);
}

static int host_is_claimed(void *opaque, const char *disk)
{
	struct host *h = opaque;

	return h->ask_error ? h->ask_error : !strcmp(h->claimed, disk);
}

static void host_step(void *opaque, const char *what, const char *path, const char *text)
{
	struct host *h = opaque;

	add(h->steps, sizeof(h->steps), "%s %s %s\n", what, path, text);
}

int host_setup(void **state)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return -1;
	tree_create(&h->t);
	h->k = (struct tree_kernel){ .t = &h->t, .probe_default = "igb" };
	h->s = (struct vfio_sys){
		.sysfs = h->t.sysfs,
		.proc = h->t.proc,
		.dev = h->t.dev,
		.state = h->t.state,
		.deadline_ms = 30,
		.write = host_write,
		.has_address = host_has_address,
		.has_route = host_has_route,
		.is_claimed = host_is_claimed,
		.step = host_step,
		.opaque = h,
	};
	h->address_of = h->route_of = h->claimed = "";
	tree_driver(&h->t, "vfio-pci");
	tree_driver(&h->t, "igb");
	tree_function(&h->t, NIC, 1, "igb", "0x8086\n", "0x10c9\n", "0x020000\n");
	err_set_sink(catch_line, h);
	*state = h;
	return 0;
}

int host_teardown(void **state)
{
	struct host *h = *state;

	err_set_sink(NULL, NULL);
	tree_destroy(&h->t);
	free(h);
	return 0;
}

int host_assign(struct host *h, const char *a, const char *b, unsigned int flags)
{
	const char *bdfs[] = { a, b };

	return vfio_assign(&h->s, bdfs, b ? 2 : 1, flags);
}

int host_unassign(struct host *h, const char *a)
{
	return vfio_unassign(&h->s, &a, 1, 0);
}

void host_netdev(struct host *h, const char *name, const char *sub)
{
	char path[TREE_PATH], link[TREE_PATH];

	snprintf(path, sizeof(path), NIC_PATH "%s/net/%s", sub, name);
	tree_dir(&h->t, path);
	snprintf(link, sizeof(link), "sys/class/net/%s", name);
	tree_link(&h->t, link, path);
}

void host_config(struct host *h, const char *bdf, unsigned char serial)
{
	unsigned char cfg[4096] = { 0 };
	char path[TREE_PATH];
	FILE *f;

	/* PCIe 6.0, 7.6.3 and 7.9.3: AER at 0x100, then the serial number at 0x140 */
	memcpy(cfg + 0x100, "\x01\x00\x02\x14", 4);
	memcpy(cfg + 0x140, "\x03\x00\x01\x00", 4);
	memcpy(cfg + 0x144, "\x01\x02\x03\x04\x05\x06\x07", 7);
	cfg[0x14b] = serial;
	snprintf(path, sizeof(path), "%s/devices/pci0000:00/%s/config", h->t.sysfs, bdf);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(cfg, sizeof(cfg), 1, f), 1);
	fclose(f);
}

void assert_driver(struct host *h, const char *bdf, const char *driver)
{
	char now[64];

	assert_string_equal(tree_driver_of(&h->t, bdf, now, sizeof(now)), driver);
}

void assert_override(struct host *h, const char *bdf, const char *want)
{
	char path[TREE_PATH], now[64];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver_override", bdf);
	assert_string_equal(tree_read(&h->t, path, now, sizeof(now)), want);
}

bool has_record(struct host *h, const char *bdf)
{
	char path[TREE_PATH];

	snprintf(path, sizeof(path), "state/%s.json", bdf);
	return tree_exists(&h->t, path);
}

bool is_kept(struct host *h, const char *bdf)
{
	char path[TREE_PATH];

	snprintf(path, sizeof(path), "state/persist/%s.json", bdf);
	return tree_exists(&h->t, path);
}

void assert_as_before(struct host *h)
{
	assert_driver(h, NIC, "igb");
	assert_override(h, NIC, "(null)");
	assert_false(has_record(h, NIC));
	assert_false(is_kept(h, NIC));
}

void assert_said(struct host *h, const char *words)
{
	if (!strstr(h->said, words))
		fail_msg("'%s' is not in '%s'", words, h->said);
}

void refused_unless_forced(struct host *h, const char *why)
{
	h->said[0] = '\0';
	assert_int_equal(host_assign(h, NIC, NULL, 0), -EBUSY);
	assert_said(h, why);
	assert_said(h, "--force");
	assert_int_equal(h->k.n_writes, 0);
	assert_false(has_record(h, NIC));
	assert_int_equal(host_assign(h, NIC, NULL, VFIO_ASSIGN_FORCE), 0);
	assert_driver(h, NIC, "vfio-pci");
}

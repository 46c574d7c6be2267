/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up sysfs and proc in a temporary folder, for the tests of iommu and vfio: functions,
 * groups and drivers are files and links as in the kernel's. tree_kernel_write() acts on a write as
 * the kernel would (bind, unbind, driver_override, drivers_probe).
 */
#ifndef HELPER_VFIO_TREE_H
#define HELPER_VFIO_TREE_H

#include <stdbool.h>
#include <stddef.h>

#define TREE_PATH 1024

struct tree {
	char root[256];
	char sysfs[300], proc[300], state[300], dev[300];
};

void tree_create(struct tree *t);
void tree_destroy(struct tree *t);
/* The same for cmocka: *state is a tree of the test's own. */
int tree_setup(void **state);
int tree_teardown(void **state);

/* tree_file - a file with its folders; path is relative to root. */
void tree_file(const struct tree *t, const char *path, const char *text);
void tree_dir(const struct tree *t, const char *path);
void tree_link(const struct tree *t, const char *path, const char *target);
void tree_remove(const struct tree *t, const char *path);
bool tree_exists(const struct tree *t, const char *path);
/* tree_read - first line, "" when there is none. */
const char *tree_read(const struct tree *t, const char *path, char *buf, size_t size);

void tree_driver(const struct tree *t, const char *driver);
/* tree_function - a PCI function in a group, bound to `driver` (NULL: none). */
void tree_function(const struct tree *t, const char *bdf, unsigned int group, const char *driver,
		   const char *vendor, const char *device, const char *class_code);
void tree_bind(const struct tree *t, const char *bdf, const char *driver);
/* tree_driver_of - "" when none is bound. */
const char *tree_driver_of(const struct tree *t, const char *bdf, char *buf, size_t size);

/*
 * tree_kernel_write - vfio_sys.write: opaque is a struct tree_kernel. A write number die_at
 * (counting from 1) ends the process: before the write takes effect, or after it with die_after.
 */
struct tree_kernel {
	const struct tree *t;
	const char *probe_default; /* driver that drivers_probe binds without an override */
	int n_writes, die_at;
	bool die_after;
	const char *fail_bind; /* drivers_probe of this function leaves it alone */
	bool stuck_unbind;     /* unbind is taken and does nothing */
};
int tree_kernel_write(void *opaque, const char *path, const char *text);

#endif

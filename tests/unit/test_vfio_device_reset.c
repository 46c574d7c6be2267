/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known about a function's reset before a guest gets it, in made-up folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfio/prep_reset.h"

#define BDF "0000:01:00.0"

struct folder {
	char root[64], node[96];
};

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	snprintf(f->root, sizeof(f->root), "/tmp/fourlane-reset-XXXXXX");
	if (!mkdtemp(f->root))
		return -1;
	snprintf(f->node, sizeof(f->node), "%s/node", f->root);
	put(f->node, "");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct folder *f = *state;
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", f->root);
	free(f);
	return system(cmd);
}

static void methods_are_told_best_first(void **state)
{
	struct folder *f = *state;
	char path[256], buf[64];

	snprintf(path, sizeof(path), "mkdir -p %s/bus/pci/devices/" BDF, f->root);
	assert_int_equal(system(path), 0);
	vfio_reset_methods(f->root, BDF, buf, sizeof(buf));
	assert_string_equal(buf, ""); /* an older kernel */
	snprintf(path, sizeof(path), "%s/bus/pci/devices/" BDF "/reset_method", f->root);
	put(path, "flr pm bus\n");
	vfio_reset_methods(f->root, BDF, buf, sizeof(buf));
	assert_string_equal(buf, "flr+pm+bus");
	put(path, "\n");
	vfio_reset_methods(f->root, BDF, buf, sizeof(buf));
	assert_string_equal(buf, "");
}

static void second_guest_is_known(void **state)
{
	struct folder *f = *state;

	assert_false(vfio_used_before(f->root, BDF, f->node));
	assert_int_equal(vfio_used_mark(f->root, BDF, f->node), 0);
	assert_true(vfio_used_before(f->root, BDF, f->node));
	assert_false(vfio_used_before(f->root, "0000:01:00.1", f->node));
	assert_int_equal(chmod(f->node, 0600), 0); /* given to another account */
	assert_true(vfio_used_before(f->root, BDF, f->node));
}

static void binding_anew_makes_it_fresh(void **state)
{
	const struct timespec later[2] = { { .tv_sec = 2000000000 }, { .tv_sec = 2000000000 } };
	struct folder *f = *state;

	assert_int_equal(vfio_used_mark(f->root, BDF, f->node), 0);
	assert_int_equal(unlink(f->node), 0);
	assert_false(vfio_used_before(f->root, BDF, f->node));
	put(f->node, "");
	assert_int_equal(utimensat(AT_FDCWD, f->node, later, 0), 0);
	assert_false(vfio_used_before(f->root, BDF, f->node));
	assert_int_equal(vfio_used_mark(f->root, BDF, f->node), 0);
	assert_true(vfio_used_before(f->root, BDF, f->node));
}

static void mark_that_cannot_be_kept_is_an_error(void **state)
{
	struct folder *f = *state;

	assert_true(vfio_used_mark("/nowhere", BDF, f->node) < 0);
	assert_true(vfio_used_mark(f->root, BDF, "/nowhere/1") < 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(methods_are_told_best_first),
		T(second_guest_is_known),
		T(binding_anew_makes_it_fresh),
		T(mark_that_cannot_be_kept_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

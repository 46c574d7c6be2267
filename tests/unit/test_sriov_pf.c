/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PFs, VFs and the list of NICs on a made-up sysfs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper_sriov.h"

#define PF_DIR "devices/pci0000:00/0000:00:01.0/" FAKE_PF

static void a_pf_is_found_by_name_and_by_address(void **state)
{
	static const char *const names[] = { "lab0", "0000:01:00.0", "01:00.0" };
	struct fake_nic *f = *state;

	for (int i = 0; i < 3; i++) {
		struct sriov_pf pf;

		assert_int_equal(sriov_pf_find(&f->view, names[i], &pf), 0);
		assert_string_equal(pf.name, "lab0");
		assert_string_equal(pf.id, FAKE_PF);
		assert_string_equal(pf.driver, "igb");
		assert_true(pf.pci);
		assert_int_equal(pf.ifindex, 4);
		assert_int_equal(pf.total_vfs, 7);
		assert_int_equal(pf.num_vfs, 0);
	}
	assert_int_equal(f->n_said, 0);
}

static void a_name_that_is_a_path_is_refused(void **state)
{
	static const char *const names[] = { "../../devices/virtual/net/lo",
					     "lab0/device",
					     "..",
					     ".",
					     "",
					     "/sys",
					     "averyverylongname" };
	struct fake_nic *f = *state;
	struct sriov_pf pf;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(sriov_pf_find(&f->view, names[i], &pf), -EINVAL);
	assert_int_equal(f->n_said, sizeof(names) / sizeof(names[0]));
}

static void a_link_out_of_sysfs_is_not_followed(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf;

	fake_file(f, "../elsewhere/sriov_numvfs", "0");
	fake_file(f, "../elsewhere/net/evil0/ifindex", "9");
	fake_link(f, "devices/virtual/net/evil0/device", "../elsewhere");
	fake_link(f, "class/net/evil0", "devices/virtual/net/evil0");
	assert_int_equal(sriov_pf_find(&f->view, "evil0", &pf), -EXDEV);
}

static void a_name_that_is_not_there_is_said(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf;

	assert_int_equal(sriov_pf_find(&f->view, "lab9", &pf), -ENOENT);
	assert_non_null(strstr(f->said, "lab9"));
	assert_int_equal(sriov_pf_find(&f->view, "0000:77:00.0", &pf), -ENOENT);
}

static void a_nic_without_sriov_is_unsupported(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf;

	fake_remove(f, PF_DIR "/sriov_numvfs");
	assert_int_equal(sriov_pf_find(&f->view, "lab0", &pf), -EOPNOTSUPP);
	assert_int_equal(sriov_pf_find(&f->view, "lo", &pf), -EOPNOTSUPP);
}

static void a_pf_without_a_netdev_names_its_driver(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf;

	fake_remove(f, PF_DIR "/net");
	fake_link(f, PF_DIR "/driver", "bus/pci/drivers/vfio-pci");
	assert_int_equal(sriov_pf_find(&f->view, FAKE_PF, &pf), -EOPNOTSUPP);
	assert_non_null(strstr(f->said, "vfio-pci"));
}

static void vfs_are_numbered_by_their_links(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf;
	unsigned int idx;
	char bdf[IOMMU_BDF_SIZE];

	assert_int_equal(vf_count_create(&f->env, "lab0", 7, false), 0);
	assert_int_equal(sriov_pf_of_vf(&f->view, "0000:01:11.4", &pf, &idx), 0);
	assert_int_equal(idx, 6);
	assert_string_equal(pf.name, "lab0");
	assert_int_equal(sriov_vf_bdf(&pf, 4, bdf), 0);
	assert_string_equal(bdf, "0000:01:11.0");
	assert_int_equal(sriov_vf_bdf(&pf, 7, bdf), -ENOENT);
}

static void a_vf_is_no_pf_and_a_pf_no_vf(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf;
	unsigned int idx;

	assert_int_equal(vf_count_create(&f->env, "lab0", 1, false), 0);
	assert_int_equal(sriov_pf_find(&f->view, "0000:01:10.0", &pf), -EINVAL);
	assert_non_null(strstr(f->said, "VF"));
	assert_int_equal(sriov_pf_of_vf(&f->view, FAKE_PF, &pf, &idx), -EINVAL);
	assert_non_null(strstr(f->said, "vfio,host="));
	assert_int_equal(sriov_pf_of_vf(&f->view, "lab0", &pf, &idx), -EINVAL);
	assert_int_equal(sriov_pf_of_vf(&f->view, "0000:77:00.0", &pf, &idx), -ENOENT);
}

/* --- the list of NICs --- */
static const json_t *nic_with(const json_t *all, const char *id)
{
	const json_t *o;
	size_t i;

	json_array_foreach(all, i, o)
		if (!strcmp(json_string_value(json_object_get(o, "id")), id))
			return o;
	return NULL;
}

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void nics_shows_pf_and_vfs_with_and_without_netdev(void **state)
{
	struct fake_nic *f = *state;
	const json_t *o;
	json_t *all;

	assert_int_equal(vf_count_create(&f->env, "lab0", 2, false), 0);
	fake_driver(f, 1, "vfio-pci");
	all = nics_list(&f->view);
	assert_int_equal(json_array_size(all), 3);
	o = nic_with(all, FAKE_PF);
	assert_non_null(o);
	assert_string_equal(text(o, "netdev"), "lab0");
	assert_string_equal(text(o, "kind"), "pf");
	assert_string_equal(text(o, "driver"), "igb");
	assert_string_equal(text(o, "vendor_id"), "8086");
	assert_string_equal(text(o, "mac"), "52:54:00:aa:00:01");
	assert_true(json_is_true(json_object_get(o, "carrier")));
	assert_int_equal(json_integer_value(json_object_get(o, "iommu_group")), 1);
	assert_int_equal(json_integer_value(json_object_get(o, "total_vfs")), 7);
	assert_int_equal(json_integer_value(json_object_get(o, "num_vfs")), 2);
	assert_int_equal(json_array_size(json_object_get(o, "lanes")), 2);
	o = nic_with(all, "0000:01:10.2");
	assert_non_null(o);
	assert_true(json_is_null(json_object_get(o, "netdev")));
	assert_string_equal(text(o, "kind"), "vf");
	assert_string_equal(text(o, "pf"), FAKE_PF);
	assert_string_equal(text(o, "pf_netdev"), "lab0");
	assert_int_equal(json_integer_value(json_object_get(o, "vf_index")), 1);
	assert_string_equal(text(o, "driver"), "vfio-pci");
	assert_string_equal(json_string_value(json_array_get(json_object_get(o, "lanes"), 0)),
			    "vf");
	json_decref(all);
}

static void nics_without_an_iommu_serve_no_device_lane(void **state)
{
	struct fake_nic *f = *state;
	json_t *all;

	fake_remove(f, PF_DIR "/iommu_group");
	all = nics_list(&f->view);
	assert_int_equal(json_array_size(json_object_get(json_array_get(all, 0), "lanes")), 0);
	assert_true(json_is_null(json_object_get(json_array_get(all, 0), "iommu_group")));
	json_decref(all);
}

static void nics_leaves_other_devices_out(void **state)
{
	struct fake_nic *f = *state;
	json_t *all;

	fake_file(f, "devices/pci0000:00/0000:00:1f.2/class", "0x010601");
	fake_link(f, "bus/pci/devices/0000:00:1f.2", "devices/pci0000:00/0000:00:1f.2");
	all = nics_list(&f->view);
	assert_int_equal(json_array_size(all), 1);
	json_decref(all);
}

static void a_sriov_netdev_without_pci_is_a_pf(void **state)
{
	struct fake_nic *f = *state;
	struct sriov_pf pf, *all;
	json_t *nics;

	fake_file(f, "devices/netdevsim1/sriov_numvfs", "0");
	fake_file(f, "devices/netdevsim1/net/eni1np1/ifindex", "7");
	fake_link(f, "devices/netdevsim1/net/eni1np1/device", "devices/netdevsim1");
	fake_link(f, "class/net/eni1np1", "devices/netdevsim1/net/eni1np1");
	assert_int_equal(sriov_pf_find(&f->view, "eni1np1", &pf), 0);
	assert_false(pf.pci);
	assert_int_equal(pf.total_vfs, SRIOV_UNKNOWN);
	assert_string_equal(pf.id, "netdevsim1");
	assert_int_equal(sriov_pfs(&f->view, &all), 2);
	free(all);
	nics = nics_list(&f->view);
	assert_non_null(nic_with(nics, "netdevsim1"));
	assert_true(json_is_null(json_object_get(nic_with(nics, "netdevsim1"), "bdf")));
	json_decref(nics);
}

static void names_of_virtio_functions_are_found(void **state)
{
	struct fake_nic *f = *state;
	json_t *all;

	fake_file(f, "devices/pci0000:00/0000:00:03.0/class", "0x020000");
	fake_file(f, "devices/pci0000:00/0000:00:03.0/virtio2/net/eth0/ifindex", "2");
	fake_link(f, "bus/pci/devices/0000:00:03.0", "devices/pci0000:00/0000:00:03.0");
	all = nics_list(&f->view);
	assert_string_equal(text(nic_with(all, "0000:00:03.0"), "netdev"), "eth0");
	assert_string_equal(text(nic_with(all, "0000:00:03.0"), "kind"), "nic");
	json_decref(all);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fake_nic_setup, fake_nic_teardown)
	const struct CMUnitTest tests[] = {
		T(a_pf_is_found_by_name_and_by_address),
		T(a_name_that_is_a_path_is_refused),
		T(a_link_out_of_sysfs_is_not_followed),
		T(a_name_that_is_not_there_is_said),
		T(a_nic_without_sriov_is_unsupported),
		T(a_pf_without_a_netdev_names_its_driver),
		T(vfs_are_numbered_by_their_links),
		T(a_vf_is_no_pf_and_a_pf_no_vf),
		T(nics_shows_pf_and_vfs_with_and_without_netdev),
		T(nics_without_an_iommu_serve_no_device_lane),
		T(nics_leaves_other_devices_out),
		T(a_sriov_netdev_without_pci_is_a_pf),
		T(names_of_virtio_functions_are_found),
	};

	return cmocka_run_group_tests_name("sriov/pf", tests, NULL, NULL);
}

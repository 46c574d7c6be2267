/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host as the tenants' plan sees it: PFs, VFs, users, and which PF the host's way out needs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper_sriov.h"
#include "sriov/tenant.h"

#define VNET "devices/virtual/net/"

static struct tenant_world *look(struct fake_nic *f)
{
	struct tenant_store *st;
	struct tenant_world *w = NULL;

	assert_int_equal(tenant_store_open(&f->env, STORE_READ, &st), 0);
	if (tenant_world_read(&f->env, st, &w) < 0)
		fail_msg("no world: %s", f->said);
	tenant_store_close(st);
	return w;
}

static void pfs_are_sorted_by_what_does_not_change(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_world *w;

	fake_pf_add(f, "netdevsim1", "aaa", 256, -1);
	fake_pf_add(f, "0000:02:00.0", "zzz", 10, 1);
	w = look(f);
	assert_int_equal(w->n, 3);
	assert_string_equal(w->pf[0].pf.id, FAKE_PF);
	assert_string_equal(w->pf[1].pf.id, "0000:02:00.0");
	assert_string_equal(w->pf[2].pf.id, "netdevsim1");
	assert_int_equal(w->pf[0].vendor, 0x8086);
	assert_int_equal(w->pf[0].device, 0x10c9);
	assert_int_equal(w->pf[0].numa, TENANT_ANY);
	assert_int_equal(w->pf[1].numa, 1);
	assert_string_equal(w->pf[0].root_port, "0000:00:01.0");
	assert_string_equal(w->pf[1].root_port, "0000:00:03.0");
	assert_int_equal(w->pf[0].autoprobe, 1);
	assert_string_equal(w->pf[2].root_port, "");
	assert_int_equal(w->pf[2].vendor, 0);
	assert_int_equal(w->pf[2].autoprobe, -1);
	assert_int_equal(w->pf[2].pf.total_vfs, 256);
	assert_int_equal(w->pf[0].can[CAN_MAC].answer, CAN_YES);
	assert_ptr_equal(tenant_world_find(w, "netdevsim1"), &w->pf[2]);
	assert_null(tenant_world_find(w, "lab0"));
	tenant_world_free(w);
}

static void vfs_have_settings_driver_group_and_holder(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_world *w;
	int fd;

	fake_vfs(f, &f->pf[0], 3);
	f->vf[1].vlan = 7;
	fake_driver(f, 1, "vfio-pci");
	fake_driver(f, 2, "somevf");
	fd = vf_lease(&f->env, "0000:01:10.0", "guest web1");
	w = look(f);
	assert_int_equal(w->pf[0].vf[1].set.vlan, 7);
	assert_string_equal(w->pf[0].vf[1].driver, "vfio-pci");
	assert_string_equal(w->pf[0].vf[0].driver, "");
	assert_int_equal(w->pf[0].vf[2].group, 12);
	assert_string_equal(w->pf[0].vf[0].bdf, "0000:01:10.0");
	assert_non_null(strstr(w->pf[0].vf[0].holder, "guest web1"));
	assert_string_equal(w->pf[0].vf[1].holder, "");
	assert_non_null(strstr(w->pf[0].vf[2].holder, "somevf"));
	tenant_world_free(w);
	close(fd);
}

static void an_answer_that_is_cut_leaves_unknown_vfs(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_world *w;

	fake_vfs(f, &f->pf[0], 3);
	f->truncate_at = 1;
	w = look(f);
	assert_int_equal(w->pf[0].vf[0].set.known, VF_ALL);
	assert_int_equal(w->pf[0].vf[2].set.known, 0);
	assert_non_null(strstr(f->said, "1 of 3 VFs"));
	tenant_world_free(w);
}

static void leases_count_while_their_holder_lives(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_lease l = {
		.pf = FAKE_PF, .idx = 1, .tenant = "acme", .guest = "web1", .pid = 4711, .start = 99
	};
	struct tenant_store *st;
	struct tenant_world *w;

	fake_vfs(f, &f->pf[0], 2);
	sriov_boot_id(&f->env, l.boot_id, sizeof(l.boot_id));
	assert_int_equal(tenant_store_open(&f->env, STORE_WRITE, &st), 0);
	assert_int_equal(tenant_store_lease_take(st, &l), 0);
	tenant_store_close(st);
	w = look(f);
	assert_string_equal(w->pf[0].vf[1].holder, ""); /* there is no such process */
	tenant_world_free(w);
	fake_file(f, "../proc/4711/stat",
		  "4711 (fourlane) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99 20");
	w = look(f);
	assert_string_equal(w->pf[0].vf[1].holder, "guest web1 of tenant acme has it (pid 4711)");
	tenant_world_free(w);
}

/* --- the host's way out --------------------------------------------------- */
static void netdev(struct fake_nic *f, const char *name, const char *ifindex, const char *lower)
{
	char path[128], to[128];

	snprintf(path, sizeof(path), VNET "%s/ifindex", name);
	fake_file(f, path, ifindex);
	snprintf(path, sizeof(path), "class/net/%s", name);
	snprintf(to, sizeof(to), VNET "%s", name);
	fake_link(f, path, to);
	snprintf(path, sizeof(path), VNET "%s/lower_%s", name, lower);
	snprintf(to, sizeof(to), "class/net/%s", lower);
	fake_link(f, path, to);
}

static bool way_out(struct fake_nic *f, unsigned int ifindex)
{
	struct tenant_world *w;
	bool out;

	f->default_route = ifindex;
	w = look(f);
	out = w->pf[0].default_route;
	assert_false(w->pf[1].default_route);
	tenant_world_free(w);
	return out;
}

static void the_default_route_is_found_below_bridges_and_bonds(void **state)
{
	struct fake_nic *f = *state;

	fake_pf_add(f, "0000:02:00.0", "lab1", 7, -1);
	netdev(f, "bond0", "50", "lab0");
	netdev(f, "bond0.7", "51", "bond0");
	netdev(f, "br0", "52", "bond0.7");
	netdev(f, "tun0", "53", "nothing");
	netdev(f, "loop0", "54", "loop0");
	assert_false(way_out(f, 0));
	assert_true(way_out(f, 4));
	assert_true(way_out(f, 50));
	assert_true(way_out(f, 52));
	assert_false(way_out(f, 53));
	assert_false(way_out(f, 54));
	assert_false(way_out(f, 1));
}

/* This machine's own: whatever it says, it is an answer. */
static void the_kernel_tells_default_routes(void **state)
{
	unsigned int ifindex[8];
	int n = tenant_default_routes(NULL, ifindex, 8);

	assert_in_range(n, 0, 8);
	for (int i = 0; i < n; i++)
		assert_true(ifindex[i] > 0);
}

/* --- the PF that is not what it was --------------------------------------- */
static void a_link_out_of_sysfs_is_no_pf(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_world *w;

	fake_file(f, "../elsewhere/0000:09:00.0/sriov_numvfs", "0");
	fake_file(f, "class/net/evil/ifindex", "9");
	fake_link(f, "class/net/evil/device", "/../elsewhere/0000:09:00.0");
	w = look(f);
	assert_int_equal(w->n, 1);
	tenant_world_free(w);
}

static void two_netdevs_of_one_device_are_one_pf(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_world *w;

	fake_file(f, "devices/pci0000:00/0000:00:01.0/" FAKE_PF "/net/lab0b/ifindex", "14");
	fake_link(f, "devices/pci0000:00/0000:00:01.0/" FAKE_PF "/net/lab0b/device",
		  "devices/pci0000:00/0000:00:01.0/" FAKE_PF);
	fake_link(f, "class/net/lab0b", "devices/pci0000:00/0000:00:01.0/" FAKE_PF "/net/lab0b");
	w = look(f);
	assert_int_equal(w->n, 1);
	assert_string_equal(w->pf[0].pf.name, "lab0");
	tenant_world_free(w);
}

int main(void)
{
#define T(x) cmocka_unit_test_setup_teardown(x, fake_nic_setup, fake_nic_teardown)
	const struct CMUnitTest tests[] = {
		T(pfs_are_sorted_by_what_does_not_change),
		T(vfs_have_settings_driver_group_and_holder),
		T(an_answer_that_is_cut_leaves_unknown_vfs),
		T(leases_count_while_their_holder_lives),
		T(the_default_route_is_found_below_bridges_and_bonds),
		T(the_kernel_tells_default_routes),
		T(a_link_out_of_sysfs_is_no_pf),
		T(two_netdevs_of_one_device_are_one_pf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tenants' plan refuses, each in one message that says who, where and why, before anything
 * is touched; and settings that the driver may or may not take.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper_plan.h"

#define HEAD    "version: 1\ntenants:\n"
#define RULE(x) "version: 1\npfs:\n  - " x "\ntenants:\n"
#define SIM     "version: 1\npfs: [{match: {name: sim0}}]\ntenants:\n"

static void refused(struct fake_nic *f, const char *yaml, int want, const char *words)
{
	unsigned int n_vfs = f->n_vfs, n_writes = f->n_writes;
	struct tenant_plan *p;
	int ret;

	f->n_said = 0;
	p = plan_of(f, yaml, &ret);
	if (p) {
		plan_show(p);
		tenant_plan_free(p);
		fail_msg("was not refused: %s", yaml ? yaml : "(release)");
	}
	if (ret != want || f->n_said != 1 || !strstr(f->said, words))
		fail_msg("%d after %u messages, the last is '%s', not %d and '%s'", ret, f->n_said,
			 f->said, want, words);
	assert_int_equal(f->n_vfs, n_vfs);
	assert_int_equal(f->n_writes, n_writes);
}

/* Takes the lease of the VF as --nic vf does; a descriptor to close. */
static int lease(struct fake_nic *f, unsigned int idx, const char *who)
{
	char bdf[IOMMU_BDF_SIZE];
	struct sriov_pf pf;
	int fd;

	assert_int_equal(sriov_pf_find(&f->view, "lab0", &pf), 0);
	assert_int_equal(sriov_vf_bdf(&pf, idx, bdf), 0);
	fd = vf_lease(&f->env, bdf, who);
	assert_true(fd >= 0);
	return fd;
}

/* --- room ----------------------------------------------------------------- */
static void more_vfs_than_there_are(void **state)
{
	struct fake_nic *f = *state;

	refused(f, HEAD "  acme: {vfs: 4}\n  beta: {vfs: 4}\n", -ENOSPC,
		"t.yaml:4: tenant beta wants 4 VFs, and there is none for its VF number 4: PFs "
		"have "
		"7 for tenants in all (lab0 has 7)");
	refused(f, HEAD "  acme: {vfs: 16000}\n", -ENOSPC, "t.yaml:3: tenant acme wants 16000 VFs");
	refused(f, RULE("match: {name: lab0}\n    vfs: 8") "  acme: {}\n", -ENOSPC,
		"t.yaml:3: lab0 can have 7 VFs at most, not 8");
	refused(f, RULE("match: {name: lab0}\n    keep: 5") "  acme: {vfs: 3}\n", -ENOSPC,
		"(lab0 has 2)");
	refused(f, RULE("match: {name: lab7}") "  acme: {}\n", -ENOSPC, "no PF may be carved");
	refused(f, HEAD "  acme: {numa: 1}\n", -ENOSPC, "not all on its NUMA node");
	fake_pf_add(f, "netdevsim1", "sim0", 256, -1);
	refused(f, SIM "  acme: {vfs: 16000}\n", -ENOSPC, "(sim0 has 256)");
}

static void a_host_without_an_iommu_has_no_vfio(void **state)
{
	struct fake_nic *f = *state;

	fake_remove(f, "kernel/iommu_groups");
	refused(f, HEAD "  acme: {}\n", -ENODEV,
		"t.yaml:3: tenant acme: driver vfio-pci needs an IOMMU");
	tenant_plan_free(plan_good(f, HEAD "  acme: {driver: none}\n"));
	tenant_plan_free(plan_good(f, HEAD "  acme: {driver: igbvf}\n"));
}

static void netdevsim_takes_no_driver(void **state)
{
	struct fake_nic *f = *state;

	fake_pf_add(f, "netdevsim1", "sim0", 256, -1);
	refused(f, SIM "  acme: {driver: vfio-pci}\n", -EOPNOTSUPP,
		"t.yaml:4: tenant acme: VFs of sim0 are no PCI functions and take no driver");
	tenant_plan_free(plan_good(f, SIM "  acme: {driver: none}\n"));
}

/* --- MACs ----------------------------------------------------------------- */
static void macs_of_others_on_this_host(void **state)
{
	struct fake_nic *f = *state;

	refused(f, HEAD "  acme:\n    mac: 52:54:00:aa:00:01\n", -EEXIST,
		"t.yaml:4: tenant acme: lab0 has the MAC 52:54:00:aa:00:01 already");
	fake_vfs(f, &f->pf[0], 7);
	memcpy(f->vf[6].mac, (uint8_t[]){ 2, 0, 0, 0, 0, 9 }, 6);
	refused(f, HEAD "  acme: {mac: 02:00:00:00:00:09}\n", -EEXIST,
		"VF 6 of lab0 has the MAC 02:00:00:00:00:09 already");
	memcpy(f->vf[0].mac, (uint8_t[]){ 2, 0, 0, 0, 0, 8 }, 6);
	tenant_plan_free(plan_good(f, HEAD "  acme: {mac: 02:00:00:00:00:08}\n")); /* the very VF */
}

/* A listed MAC that another tenant was given before. */
static void a_listed_mac_is_not_that_of_another_tenant(void **state)
{
	struct fake_nic *f = *state;
	char yaml[160], mac[18];

	plan_take(f, HEAD "  acme: {}\n");
	vf_mac_text(f->vf[0].mac, mac);
	snprintf(yaml, sizeof(yaml), HEAD "  acme: {}\n  beta:\n    mac: %s\n", mac);
	refused(f, yaml, -EEXIST, "t.yaml:5: tenants acme and beta would both have the MAC");
}

/* --- in use --------------------------------------------------------------- */
static void a_leased_vf_keeps_the_number(void **state)
{
	struct fake_nic *f = *state;
	int fd;

	plan_take(f, RULE("match: {name: lab0}\n    vfs: 2") "  acme: {vfs: 2}\n");
	fd = lease(f, 1, "guest web1");
	refused(f, RULE("match: {name: lab0}\n    vfs: 4") "  acme: {vfs: 2}\n", -EBUSY,
		"t.yaml:3: lab0 would get 4 VFs in place of 2, for which the kernel takes all "
		"away, and "
		"VF 1 is in use: guest web1");
	refused(f, HEAD "  acme: {vfs: 3}\n", -ENOSPC, "lab0 has 2 while a VF is in use");
	close(fd);
	tenant_plan_free(plan_good(f, HEAD "  acme: {vfs: 3}\n"));
}

static void an_assigned_vf_keeps_the_number(void **state)
{
	struct fake_nic *f = *state;

	fake_vfs(f, &f->pf[0], 2);
	fake_driver(f, 1, "vfio-pci");
	refused(f, RULE("match: {name: lab0}\n    vfs: 4") "  acme: {vfs: 1}\n", -EBUSY,
		"VF 1 is in use: it is assigned (vfio-pci)");
}

static void a_leased_vf_does_not_go(void **state)
{
	struct fake_nic *f = *state;
	int fd;

	plan_take(f, HEAD "  acme: {vfs: 2, vlan: 5}\n");
	fd = lease(f, 1, "guest web1");
	refused(f, HEAD "  acme: {vfs: 1}\n", -EBUSY,
		"t.yaml:3: tenant acme would lose VF 1 of lab0 (it gets fewer VFs), and guest "
		"web1");
	refused(f, HEAD "  beta: {vfs: 2}\n", -EBUSY,
		"(it is no more in the file), and guest web1");
	refused(f, NULL, -EBUSY, "tenant acme would lose VF 1 of lab0");
	refused(f, HEAD "  acme: {vfs: 2, numa: 1}\n", -EBUSY, "it wants another NUMA node");
	refused(f, HEAD "  acme: {vfs: 2, driver: igbvf}\n", -EBUSY,
		"VF 1 of lab0 would change its driver from vfio-pci to igbvf");
	refused(f, HEAD "  acme:\n    vfs: 2\n    mac: [02:00:00:00:00:01, 02:00:00:00:00:02]\n",
		-EBUSY, "t.yaml:5: tenant acme: VF 1 of lab0 would get another MAC");
	/* its settings may change under the guest, and put right what somebody set */
	f->vf[1].mac[5] ^= 1;
	tenant_plan_free(plan_good(f, HEAD "  acme: {vfs: 2, vlan: 6}\n"));
	close(fd);
}

static void another_device_in_its_place(void **state)
{
	struct fake_nic *f = *state;

	plan_take(f, HEAD "  acme: {}\n");
	fake_file(f, "devices/pci0000:00/0000:00:01.0/" FAKE_PF "/device", "0x1521");
	refused(f, HEAD "  acme: {}\n", -ENXIO, "8086:10c9, now it is 8086:1521");
	tenant_plan_free(plan_good(f, NULL));
}

/* --- groups --------------------------------------------------------------- */
static void two_tenants_in_one_group(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_plan *p;

	fake_vfs(f, &f->pf[0], 2);
	fake_group(f, &f->pf[0], 1, 10);
	refused(f, RULE("match: {name: lab0}\n    vfs: 2") "  acme: {}\n  beta: {}\n", -EBUSY,
		"tenants acme (VF 0 of 0000:01:00.0) and beta (VF 1 of 0000:01:00.0) would share "
		"IOMMU group 10 (0000:01:10.0 (no driver), 0000:01:10.2 (no driver))");
	/* and when it turns out later */
	fake_group(f, &f->pf[0], 1, 11);
	plan_take(f, HEAD "  acme: {}\n  beta: {}\n");
	fake_group(f, &f->pf[0], 1, 10);
	refused(f, HEAD "  acme: {}\n  beta: {}\n", -EBUSY, "would share IOMMU group 10");
	p = plan_good(f, NULL);
	assert_true(p->n_steps > 0);
	tenant_plan_free(p);
}

/* --- what the driver takes ------------------------------------------------ */
static void what_the_driver_refuses_is_refused_with_its_source(void **state)
{
	struct fake_nic *f = *state;

	refused(f, HEAD "  acme: {min_tx_mbit: 10}\n", -EOPNOTSUPP,
		"t.yaml:3: tenant acme: lab0 does not take min_tx_mbit (driver igb");
	refused(f, HEAD "  acme: {vlan: 5, proto: 802.1ad}\n", -EOPNOTSUPP, "802.1ad (driver igb");
	refused(f, HEAD "  acme: {link: on}\n", -EOPNOTSUPP, "link (driver igb");
	/* what is as it is wanted needs no driver */
	tenant_plan_free(plan_good(f, HEAD "  acme: {link: auto, min_tx_mbit: 0, vlan: 0}\n"));
}

static void what_nobody_knows_is_tried_first_on_one_vf(void **state)
{
	struct fake_nic *f = *state;
	static const char yaml[] =
		HEAD "  acme: {vfs: 3, vlan: 7, link: on, mac: [02:00:00:00:00:01, "
		     "02:00:00:00:00:02, 02:00:00:00:00:03]}\n";
	struct tenant_plan *p;
	unsigned int proofs = 0;
	json_t *o;
	int fd;

	fake_link(f, "devices/pci0000:00/0000:00:01.0/" FAKE_PF "/driver",
		  "bus/pci/drivers/newnic");
	p = plan_good(f, yaml);
	assert_true(plan_has(p, FAKE_PF " VF 0: link state on: unknown whether the driver takes it "
					"(link): will be tried first (acme)"));
	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].kind == STEP_PROVE) {
			proofs++;
			assert_int_equal(p->steps[i].idx, 0);
			for (size_t k = 0; k < i; k++)
				assert_int_not_equal(p->steps[k].kind, STEP_SETTING);
		}
	assert_int_equal(proofs, 4); /* mac, vlan, spoof_check, link */
	o = tenant_plan_json(p);
	assert_int_equal(json_array_size(json_object_get(o, "steps")), p->n_steps);
	json_decref(o);
	tenant_plan_free(p);
	/* not on a VF that a guest has */
	plan_take(f, yaml);
	fd = lease(f, 0, "guest web1");
	p = plan_good(f, HEAD
		      "  acme: {vfs: 3, vlan: 7, link: on, trust: on, mac: [02:00:00:00:00:01, "
		      "02:00:00:00:00:02, 02:00:00:00:00:03]}\n");
	assert_true(plan_has(p, FAKE_PF " VF 1: trust on: unknown whether the driver takes it "
					"(trust): will be tried first (acme)"));
	tenant_plan_free(p);
	close(fd);
}

static void no_vf_is_free_to_try_it_on(void **state)
{
	struct fake_nic *f = *state;
	int fd;

	fake_link(f, "devices/pci0000:00/0000:00:01.0/" FAKE_PF "/driver",
		  "bus/pci/drivers/newnic");
	plan_take(f, HEAD "  acme: {}\n");
	fd = lease(f, 0, "guest web1");
	refused(f, HEAD "  acme: {trust: on}\n", -EBUSY, "no VF is free to try it on");
	close(fd);
}

/* A driver that shows and takes no spoof check or trust: nothing to do, unless the file says so. */
static void what_is_not_said_is_not_demanded(void **state)
{
	struct fake_nic *f = *state;
	struct tenant_store *st;
	struct sriov_pf pf;
	struct tenant_plan *p;

	fake_link(f, "devices/pci0000:00/0000:00:01.0/" FAKE_PF "/driver",
		  "bus/pci/drivers/newnic");
	fake_vfs(f, &f->pf[0], 1);
	f->vf[0].known &= ~(VF_BIT(VF_SPOOF) | VF_BIT(VF_TRUST));
	assert_int_equal(sriov_pf_find(&f->view, "lab0", &pf), 0);
	assert_int_equal(tenant_store_open(&f->env, STORE_WRITE, &st), 0);
	vf_caps_learn(&f->env, st, &pf, CAN_SPOOF_CHECK, -EOPNOTSUPP);
	vf_caps_learn(&f->env, st, &pf, CAN_TRUST, -EOPNOTSUPP);
	vf_caps_learn(&f->env, st, &pf, CAN_MAC, 0);
	tenant_store_close(st);
	p = plan_good(f, HEAD "  acme: {trust: off}\n");
	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].kind == STEP_SETTING)
			assert_int_equal(p->steps[i].setting, VF_MAC);
	assert_true(plan_notes(p, "spoof check on cannot be set (tried on"));
	assert_false(p->slots[0].set.known & VF_BIT(VF_SPOOF));
	tenant_plan_free(p);
	plan_take(f, HEAD "  acme: {}\n");
	p = plan_good(f, HEAD "  acme: {}\n");
	assert_int_equal(p->n_steps, 0);
	tenant_plan_free(p);
	refused(f, HEAD "  acme: {trust: on}\n", -EOPNOTSUPP, "trust (tried on");
	refused(f, HEAD "  acme: {spoof_check: on}\n", -EOPNOTSUPP, "spoof_check (tried on");
}

int main(void)
{
#define T(x) cmocka_unit_test_setup_teardown(x, fake_nic_setup, fake_nic_teardown)
	const struct CMUnitTest tests[] = {
		T(more_vfs_than_there_are),
		T(a_host_without_an_iommu_has_no_vfio),
		T(netdevsim_takes_no_driver),
		T(macs_of_others_on_this_host),
		T(a_listed_mac_is_not_that_of_another_tenant),
		T(a_leased_vf_keeps_the_number),
		T(an_assigned_vf_keeps_the_number),
		T(a_leased_vf_does_not_go),
		T(another_device_in_its_place),
		T(two_tenants_in_one_group),
		T(what_the_driver_refuses_is_refused_with_its_source),
		T(what_nobody_knows_is_tried_first_on_one_vf),
		T(no_vf_is_free_to_try_it_on),
		T(what_is_not_said_is_not_demanded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

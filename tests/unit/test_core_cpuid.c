/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID as a guest gets it, on tables that KVM_GET_SUPPORTED_CPUID gave: an AMD EPYC (family 26)
 * and an Intel Xeon (Ice Lake), leafs that nobody touches left out. Beside it, where an MSI goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/cpuid.h"
#include "core/vm_priv.h"

static const struct kvm_cpuid_entry2 amd[] = {
	{ 0x00000000, 0, 0, 0x0000001c, 0x68747541, 0x444d4163, 0x69746e65, { 0 } },
	{ 0x00000001, 0, 0, 0x00b00f21, 0x01020800, 0x81202000, 0x078bfbff, { 0 } },
	{ 0x00000004, 0, 1, 0x00000000, 0x00000000, 0x00000000, 0x00000000, { 0 } },
	{ 0x00000007, 0, 1, 0x00000001, 0x01800002, 0x00000104, 0x20000000, { 0 } },
	{ 0x0000000b, 0, 1, 0x00000000, 0x00000000, 0x00000000, 0x00000001, { 0 } },
	{ 0x0000000d, 0, 1, 0x000000e7, 0x00000980, 0x00000980, 0x00000000, { 0 } },
	{ 0x00000012, 0, 1, 0x00000000, 0x00000000, 0x00000000, 0x00000000, { 0 } },
	{ 0x40000000, 0, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x0000004d, { 0 } },
	{ 0x40000001, 0, 0, 0x01007efb, 0x00000000, 0x00000000, 0x00000000, { 0 } },
	{ 0x80000000, 0, 0, 0x80000021, 0x68747541, 0x444d4163, 0x69746e65, { 0 } },
	{ 0x80000001, 0, 0, 0x00b00f21, 0x40000000, 0x00400393, 0x23d3fbff, { 0 } },
	{ 0x80000008, 0, 0, 0x00003030, 0x50020005, 0x00007001, 0x00000000, { 0 } },
	{ 0x8000001d, 0, 1, 0x00000121, 0x02c0003f, 0x0000003f, 0x00000000, { 0 } },
	{ 0x8000001d, 2, 1, 0x00000143, 0x03c0003f, 0x000003ff, 0x00000002, { 0 } },
	{ 0x8000001d, 3, 1, 0x00004163, 0x03c0003f, 0x00007fff, 0x00000001, { 0 } },
	{ 0x8000001d, 4, 1, 0x00000000, 0x00000000, 0x00000000, 0x00000000, { 0 } },
	{ 0x8000001e, 0, 0, 0x00000000, 0x00000000, 0x00000000, 0x00000000, { 0 } },
	{ 0x8000001f, 0, 0, 0x01007fef, 0x0001418f, 0x000003ee, 0x00000001, { 0 } },
	{ 0x80000021, 0, 0, 0x00000204, 0x00000000, 0x00000006, 0x00000000, { 0 } },
	{ 0x80000026, 0, 1, 0x00000001, 0x00000002, 0x00000100, 0x00000001, { 0 } },
};

static const struct kvm_cpuid_entry2 intel[] = {
	{ 0x00000000, 0, 0, 0x0000001f, 0x756e6547, 0x6c65746e, 0x49656e69, { 0 } },
	{ 0x00000001, 0, 0, 0x000606a6, 0x2c400800, 0xfffa3203, 0x1f8bfbff, { 0 } },
	{ 0x00000004, 0, 1, 0x7c004121, 0x02c0003f, 0x0000003f, 0x00000000, { 0 } },
	{ 0x00000004, 1, 1, 0x7c004122, 0x01c0003f, 0x0000003f, 0x00000000, { 0 } },
	{ 0x00000004, 2, 1, 0x7c004143, 0x04c0003f, 0x000003ff, 0x00000000, { 0 } },
	{ 0x00000004, 3, 1, 0x7c0fc163, 0x02c0003f, 0x0000dfff, 0x00000004, { 0 } },
	{ 0x00000004, 4, 1, 0x00000000, 0x00000000, 0x00000000, 0x00000000, { 0 } },
	{ 0x00000007, 0, 1, 0x00000000, 0xf1bf27ef, 0x40415f4e, 0xac000410, { 0 } },
	{ 0x0000000b, 0, 1, 0x00000001, 0x00000002, 0x00000100, 0x0000002c, { 0 } },
	{ 0x0000000b, 1, 1, 0x00000006, 0x00000040, 0x00000201, 0x0000002c, { 0 } },
	{ 0x00000012, 0, 1, 0x00000003, 0x00000000, 0x00000000, 0x0000381f, { 0 } },
	{ 0x00000012, 1, 1, 0x000000b6, 0x00000000, 0x000002e7, 0x00000000, { 0 } },
	{ 0x0000001f, 0, 1, 0x00000001, 0x00000002, 0x00000100, 0x0000002c, { 0 } },
	{ 0x40000000, 0, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x0000004d, { 0 } },
	{ 0x40000001, 0, 0, 0x01007efb, 0x00000000, 0x00000000, 0x00000000, { 0 } },
	{ 0x80000000, 0, 0, 0x80000008, 0x00000000, 0x00000000, 0x00000000, { 0 } },
	{ 0x80000001, 0, 0, 0x00000000, 0x00000000, 0x00000121, 0x2c100800, { 0 } },
	{ 0x80000008, 0, 0, 0x00003934, 0x0100d200, 0x00000000, 0x00000000, { 0 } },
};

#define LOAD(t, from) load((t), (from), sizeof(from) / sizeof((from)[0]))

static void load(struct cpuid_table *t, const struct kvm_cpuid_entry2 *from, size_t n)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->e, from, n * sizeof(*from));
	t->n = (unsigned int)n;
}

static struct kvm_cpuid_entry2 get(struct cpuid_table *t, uint32_t function, uint32_t index)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, function, index);

	assert_non_null(e);
	return *e;
}

/* Hypervisors without an entry for a leaf say zeros; two of them say what comes first. */
static void assert_no_entry_stands_twice(const struct cpuid_table *t)
{
	for (unsigned int i = 0; i < t->n; i++)
		for (unsigned int j = 0; j < i; j++)
			assert_false(t->e[i].function == t->e[j].function &&
				     t->e[i].index == t->e[j].index);
}

static void each_cpu_has_its_own_id_in_every_leaf(void **state)
{
	struct cpuid_table t;

	for (unsigned int id = 0; id < 64; id++) {
		const struct cpuid_conf c = { .apic_id = id, .n_cpus = 64 };

		LOAD(&t, amd);
		assert_int_equal(cpuid_complete(&t, &c), 0);
		assert_int_equal(get(&t, 1, 0).ebx >> 24, id);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(get(&t, 0xb, i).edx, id);
		assert_int_equal(get(&t, 0x8000001e, 0).eax, id);
		assert_int_equal(get(&t, 0x8000001e, 0).ebx, id);
		LOAD(&t, intel);
		assert_int_equal(cpuid_complete(&t, &c), 0);
		assert_int_equal(get(&t, 1, 0).ebx >> 24, id);
		assert_int_equal(get(&t, 0xb, 1).edx, id);
		assert_int_equal(get(&t, 0x1f, 1).edx, id);
	}
}

static void leaf_1_counts_cpus_and_names_what_kvm_gives(void **state)
{
	struct cpuid_conf c = { .apic_id = 2, .n_cpus = 4, .tsc_deadline = true };
	struct cpuid_table t;
	struct kvm_cpuid_entry2 e;

	LOAD(&t, intel);
	assert_int_equal(cpuid_complete(&t, &c), 0);
	e = get(&t, 1, 0);
	assert_int_equal(e.eax, 0x000606a6);
	assert_int_equal(e.ebx, 0x02040800);
	assert_true(e.edx & 1u << 28); /* HTT */
	assert_true(e.ecx & 1u << 31); /* a hypervisor is there */
	assert_true(e.ecx & 1u << 24); /* TSC deadline */
	assert_true(e.ecx & 1u << 21); /* x2APIC */
	c = (struct cpuid_conf){ .apic_id = 0, .n_cpus = 1, .tsc_deadline = false };
	LOAD(&t, intel);
	assert_int_equal(cpuid_complete(&t, &c), 0);
	e = get(&t, 1, 0);
	assert_int_equal(e.ebx, 0x00010800);
	assert_false(e.edx & 1u << 28);
	assert_false(e.ecx & 1u << 24);
}

static void extended_topology_is_one_socket_of_single_threaded_cores(void **state)
{
	static const struct {
		unsigned int cpus, shift;
	} row[] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 63, 6 }, { 64, 6 } };
	struct cpuid_table t;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		const struct cpuid_conf c = { .n_cpus = row[i].cpus };
		struct kvm_cpuid_entry2 e;

		LOAD(&t, intel);
		assert_int_equal(cpuid_complete(&t, &c), 0);
		assert_no_entry_stands_twice(&t);
		for (uint32_t leaf = 0xb; leaf <= 0x1f; leaf += 0x1f - 0xb) {
			e = get(&t, leaf, 0);
			assert_int_equal(e.eax, 0);
			assert_int_equal(e.ebx, 1);
			assert_int_equal(e.ecx, 0x100);
			e = get(&t, leaf, 1);
			assert_int_equal(e.eax, row[i].shift);
			assert_int_equal(e.ebx, row[i].cpus);
			assert_int_equal(e.ecx, 0x201);
			e = get(&t, leaf, 2);
			assert_int_equal(e.ebx, 0);
			assert_int_equal(e.ecx, 2);
		}
	}
}

static void intel_shares_the_last_cache_only(void **state)
{
	const struct cpuid_conf c = { .n_cpus = 6 };
	struct cpuid_table t;

	LOAD(&t, intel);
	assert_int_equal(cpuid_complete(&t, &c), 0);
	/* ids go up to 7: [31:26] cores, [25:14] sharing; type, level and the rest stay */
	assert_int_equal(get(&t, 4, 0).eax, 7u << 26 | 0x0121);
	assert_int_equal(get(&t, 4, 2).eax, 7u << 26 | 0x0143);
	assert_int_equal(get(&t, 4, 3).eax, 7u << 26 | 7 << 14 | 0x0163);
	assert_int_equal(get(&t, 4, 3).ecx, 0x0000dfff);
	assert_int_equal(get(&t, 4, 4).eax, 0);
}

static void amd_topology_is_told_in_its_own_leafs(void **state)
{
	const struct cpuid_conf c = { .apic_id = 3, .n_cpus = 6 };
	struct cpuid_table t;

	LOAD(&t, amd);
	assert_int_equal(cpuid_complete(&t, &c), 0);
	assert_no_entry_stands_twice(&t);
	assert_int_equal(get(&t, 0x80000008, 0).ecx, 3 << 12 | 5);
	assert_int_equal(get(&t, 0x80000008, 0).eax, 0x3030);
	assert_true(get(&t, 0x80000001, 0).ecx & 2);     /* HTT means cores */
	assert_int_equal(get(&t, 0x8000001e, 0).ebx, 3); /* core 3, one thread */
	assert_int_equal(get(&t, 0x8000001e, 0).ecx, 0); /* one node */
	assert_int_equal(get(&t, 0x8000001d, 0).eax, 0x121);
	assert_int_equal(get(&t, 0x8000001d, 3).eax, 5 << 14 | 0x163);
	/* Intel's list of caches stays empty */
	assert_int_equal(get(&t, 4, 0).eax, 0);
}

static void amd_without_topoext_gets_no_leaf_of_it(void **state)
{
	const struct cpuid_conf c = { .n_cpus = 2 };
	struct cpuid_table t;

	LOAD(&t, amd);
	cpuid_find(&t, 0x80000000, 0)->eax = 0x8000001a;
	cpuid_find(&t, 0x80000001, 0)->ecx &= ~(1u << 22);
	t.n -= 4; /* and KVM does not list what is above */
	assert_int_equal(cpuid_complete(&t, &c), 0);
	assert_null(cpuid_find(&t, 0x8000001e, 0));
	assert_int_equal(get(&t, 0x80000000, 0).eax, 0x8000001a);
}

static void an_old_cpu_still_has_the_topology_leaf(void **state)
{
	const struct cpuid_conf c = { .n_cpus = 2 };
	struct cpuid_table t;

	LOAD(&t, intel);
	cpuid_find(&t, 0, 0)->eax = 5;
	assert_int_equal(cpuid_complete(&t, &c), 0);
	assert_int_equal(get(&t, 0, 0).eax, 0xb);
	assert_int_equal(get(&t, 0xb, 1).ebx, 2);
}

static void what_the_monitor_does_not_give_is_not_there(void **state)
{
	const struct cpuid_conf c = { .n_cpus = 2 };
	struct cpuid_table t;

	LOAD(&t, intel);
	assert_true(get(&t, 7, 0).ebx & 1u << 2);
	assert_int_equal(cpuid_complete(&t, &c), 0);
	assert_false(get(&t, 7, 0).ebx & 1u << 2); /* SGX */
	assert_false(get(&t, 7, 0).ecx & 1u << 30);
	assert_int_equal(get(&t, 7, 0).edx, 0xac000410);
	assert_null(cpuid_find(&t, 0x12, 0));
	assert_null(cpuid_find(&t, 0x12, 1));
	LOAD(&t, amd);
	assert_int_equal(cpuid_complete(&t, &c), 0);
	assert_null(cpuid_find(&t, 0x8000001f, 0)); /* memory encryption */
	assert_null(cpuid_find(&t, 0x80000026, 0)); /* the host's cores */
}

static void kvm_leafs_tell_of_wide_destinations_only_when_they_work(void **state)
{
	struct cpuid_conf c = { .n_cpus = 2, .ext_dest = true };
	struct cpuid_table t;

	LOAD(&t, amd);
	assert_int_equal(cpuid_complete(&t, &c), 0);
	assert_int_equal(get(&t, 0x40000001, 0).eax, 0x01007efb | 1 << 15);
	assert_int_equal(get(&t, 0x40000000, 0).ebx, 0x4b4d564b);
	c.ext_dest = false;
	assert_int_equal(cpuid_complete(&t, &c), 0);
	assert_int_equal(get(&t, 0x40000001, 0).eax, 0x01007efb);
}

static void a_full_table_is_refused(void **state)
{
	const struct cpuid_conf c = { .n_cpus = 2 };
	struct cpuid_table t;

	LOAD(&t, intel);
	while (t.n < CPUID_MAX) {
		t.e[t.n] = (struct kvm_cpuid_entry2){ .function = 0x80001000u + t.n };
		t.n++;
	}
	assert_int_equal(cpuid_complete(&t, &c), -E2BIG);
}

static void an_empty_table_is_survived(void **state)
{
	const struct cpuid_conf c = { .n_cpus = 2 };
	struct cpuid_table t = { 0 };

	assert_int_equal(cpuid_complete(&t, &c), 0);
	assert_int_equal(t.n, 3); /* the topology */
}

static void msi_goes_where_its_address_says(void **state)
{
	uint64_t out = 0;

	assert_true(vm_msi_decode(0xfee03000, true, &out));
	assert_int_equal(out, 0xfee03000);
	/* id 0x1234 is 0x34 in [19:12] and 0x12 in [11:5] */
	assert_true(vm_msi_decode(0xfee34000 | 0x12 << 5, true, &out));
	assert_int_equal(out, 0x12ull << 40 | 0xfee34000);
	assert_true(vm_msi_decode(0xfeeff000 | 0x7f << 5 | 0xc, true, &out));
	assert_int_equal(out, 0x7full << 40 | 0xfeeff00c);
	/* a KVM without 32-bit ids ignores those bits, and so do remappable messages */
	assert_true(vm_msi_decode(0xfee34000 | 0x12 << 5, false, &out));
	assert_int_equal(out, 0xfee34000 | 0x12 << 5);
	assert_true(vm_msi_decode(0xfee34010 | 0x12 << 5, true, &out));
	assert_int_equal(out, 0xfee34010 | 0x12 << 5);
}

static void msi_to_memory_interrupts_nobody(void **state)
{
	static const uint64_t addr[] = {
		0, 0x1000, 0xfed00000, 0xfef00000, 0x1fee00000, 0x10000000fee00000, UINT64_MAX,
	};
	uint64_t out;

	for (size_t i = 0; i < sizeof(addr) / sizeof(addr[0]); i++)
		assert_false(vm_msi_decode(addr[i], true, &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_cpu_has_its_own_id_in_every_leaf),
		cmocka_unit_test(leaf_1_counts_cpus_and_names_what_kvm_gives),
		cmocka_unit_test(extended_topology_is_one_socket_of_single_threaded_cores),
		cmocka_unit_test(intel_shares_the_last_cache_only),
		cmocka_unit_test(amd_topology_is_told_in_its_own_leafs),
		cmocka_unit_test(amd_without_topoext_gets_no_leaf_of_it),
		cmocka_unit_test(an_old_cpu_still_has_the_topology_leaf),
		cmocka_unit_test(what_the_monitor_does_not_give_is_not_there),
		cmocka_unit_test(kvm_leafs_tell_of_wide_destinations_only_when_they_work),
		cmocka_unit_test(a_full_table_is_refused),
		cmocka_unit_test(an_empty_table_is_survived),
		cmocka_unit_test(msi_goes_where_its_address_says),
		cmocka_unit_test(msi_to_memory_interrupts_nobody),
	};

	return cmocka_run_group_tests_name("core/cpuid", tests, NULL, NULL);
}

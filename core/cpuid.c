/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See cpuid.h. One function a leaf, in the order of their numbers. The guest is told one topology
 * whichever leaf it asks: one socket, n cores, one thread each, caches of a core private but for
 * the last level. Nothing is hidden for the sake of a move to another host: there is none. Hidden
 * are SGX and memory encryption, which need more of a monitor than CPUID bits.
 */
#include "core/cpuid.h"

#include <errno.h>
#include <string.h>

enum { /* leaf 1 */
       L1_ECX_X2APIC = 1u << 21,
       L1_ECX_TSC_DEADLINE = 1u << 24,
       L1_ECX_HYPERVISOR = 1u << 31,
       L1_EDX_APIC = 1u << 9,
       L1_EDX_HTT = 1u << 28, /* EBX[23:16] counts */
};
enum { /* leaf 7 subleaf 0 */
       L7_EBX_SGX = 1u << 2,
       L7_ECX_SGX_LC = 1u << 30,
};
enum { /* leafs 0xb and 0x1f: ECX[15:8] */
       LEVEL_SMT = 1,
       LEVEL_CORE = 2,
};
enum {                              /* leaf 0x80000001 */
       X1_ECX_CMP_LEGACY = 1u << 1, /* HTT means cores */
       X1_ECX_TOPOEXT = 1u << 22,   /* 0x8000001d and 0x8000001e are there */
};

#define KVM_LEAF_SIGNATURE    0x40000000u
#define KVM_LEAF_FEATURES     0x40000001u
#define KVM_BIT_MSI_EXT_DEST  (1u << 15)
#define AMD_MAX_EXTENDED_LEAF 0x8000001eu

struct kvm_cpuid_entry2 *cpuid_find(struct cpuid_table *t, uint32_t function, uint32_t index)
{
	for (unsigned int i = 0; i < t->n; i++) {
		struct kvm_cpuid_entry2 *e = &t->e[i];

		if (e->function == function &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index))
			return e;
	}
	return NULL;
}

/* Takes all subleafs of a leaf away: it reads as zeros. */
static void cpuid_remove(struct cpuid_table *t, uint32_t function)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < t->n; i++)
		if (t->e[i].function != function)
			t->e[kept++] = t->e[i];
	t->n = kept;
}

static int cpuid_add(struct cpuid_table *t, struct kvm_cpuid_entry2 e)
{
	if (t->n == CPUID_MAX)
		return -E2BIG;
	t->e[t->n++] = e;
	return 0;
}

/* How many bits number n things. */
static unsigned int cpuid_bits(unsigned int n)
{
	unsigned int bits = 0;

	while (1u << bits < n)
		bits++;
	return bits;
}

static bool cpuid_is_amd(struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 0, 0);

	/* "AuthenticAMD", "HygonGenuine" */
	return e && ((e->ebx == 0x68747541 && e->edx == 0x69746e65 && e->ecx == 0x444d4163) ||
		     (e->ebx == 0x6f677948 && e->edx == 0x6e65476e && e->ecx == 0x656e6975));
}

static void leaf_1(struct cpuid_table *t, const struct cpuid_conf *c)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 1, 0);

	if (!e)
		return;
	e->ebx = (e->ebx & 0xffff) | c->n_cpus << 16 | c->apic_id << 24;
	e->ecx |= L1_ECX_X2APIC | L1_ECX_HYPERVISOR;
	e->edx |= L1_EDX_APIC;
	if (c->tsc_deadline)
		e->ecx |= L1_ECX_TSC_DEADLINE;
	else
		e->ecx &= ~L1_ECX_TSC_DEADLINE;
	if (c->n_cpus > 1)
		e->edx |= L1_EDX_HTT;
	else
		e->edx &= ~(uint32_t)L1_EDX_HTT;
}

/*
 * Deterministic cache parameters, Intel's leaf 4 and AMD's 0x8000001d: EAX[4:0] type, 0 ends the
 * list, [7:5] level, [25:14] CPUs that share it minus 1. Intel: EAX[31:26] ids for cores minus 1.
 */
static void leaf_caches(struct cpuid_table *t, const struct cpuid_conf *c, uint32_t function)
{
	uint32_t ids = (1u << cpuid_bits(c->n_cpus)) - 1;

	for (unsigned int i = 0; i < t->n; i++) {
		struct kvm_cpuid_entry2 *e = &t->e[i];
		uint32_t level = e->eax >> 5 & 7;

		if (e->function != function || !(e->eax & 0x1f))
			continue;
		if (function == 4)
			e->eax = (e->eax & 0x3fff) | (level >= 3 ? ids << 14 : 0) | ids << 26;
		else
			e->eax = (e->eax & 0x3fff) | (level >= 3 ? (c->n_cpus - 1) << 14 : 0);
	}
}

static void leaf_7(struct cpuid_table *t)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 7, 0);

	if (e) {
		e->ebx &= ~(uint32_t)L7_EBX_SGX;
		e->ecx &= ~(uint32_t)L7_ECX_SGX_LC;
	}
	cpuid_remove(t, 0x12); /* SGX: what there would be of it */
}

/* Extended topology, 0xb and 0x1f: EAX[4:0] shift to the next level's id, EBX CPUs, EDX x2APIC id.
 */
static int leaf_topology(struct cpuid_table *t, const struct cpuid_conf *c, uint32_t function)
{
	const struct kvm_cpuid_entry2 level[] = {
		{ .eax = 0, .ebx = 1, .ecx = LEVEL_SMT << 8 },
		{ .eax = cpuid_bits(c->n_cpus), .ebx = c->n_cpus, .ecx = LEVEL_CORE << 8 },
		{ .eax = 0 }, /* the end */
	};
	int ret = 0;

	cpuid_remove(t, function);
	for (uint32_t i = 0; i < sizeof(level) / sizeof(level[0]) && ret == 0; i++) {
		struct kvm_cpuid_entry2 e = level[i];

		e.function = function;
		e.index = i;
		e.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		e.ecx |= i;
		e.edx = c->apic_id;
		ret = cpuid_add(t, e);
	}
	return ret;
}

/* The highest leaf of a range is at least `leaf`: what lies between and was not there reads as 0.
 */
static void raise_limit(struct cpuid_table *t, uint32_t range, uint32_t leaf)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, range, 0);

	if (e && e->eax < leaf)
		e->eax = leaf;
}

static int leafs_standard(struct cpuid_table *t, const struct cpuid_conf *c)
{
	const struct kvm_cpuid_entry2 *max;
	int ret;

	leaf_1(t, c);
	leaf_caches(t, c, 4);
	leaf_7(t);
	raise_limit(t, 0, 0xb);
	ret = leaf_topology(t, c, 0xb);
	max = cpuid_find(t, 0, 0);
	if (ret == 0 && max && max->eax >= 0x1f)
		ret = leaf_topology(t, c, 0x1f);
	return ret;
}

static void leafs_kvm(struct cpuid_table *t, const struct cpuid_conf *c)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, KVM_LEAF_FEATURES, 0);

	if (!e || !cpuid_find(t, KVM_LEAF_SIGNATURE, 0))
		return;
	if (c->ext_dest)
		e->eax |= KVM_BIT_MSI_EXT_DEST;
	else
		e->eax &= ~KVM_BIT_MSI_EXT_DEST;
}

/* AMD's own topology: 0x80000008 ECX[7:0] cores - 1, [15:12] bits of their ids. */
static void leaf_amd_size(struct cpuid_table *t, const struct cpuid_conf *c)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 0x80000008, 0);

	if (e)
		e->ecx = (e->ecx & 0xffff0000) | cpuid_bits(c->n_cpus) << 12 | (c->n_cpus - 1);
}

/* 0x8000001e: EAX extended APIC id; EBX[7:0] core, [15:8] threads - 1; ECX[10:8] nodes - 1. */
static int leaf_amd_ids(struct cpuid_table *t, const struct cpuid_conf *c)
{
	struct kvm_cpuid_entry2 e = { .function = 0x8000001e,
				      .eax = c->apic_id,
				      .ebx = c->apic_id };

	cpuid_remove(t, e.function);
	raise_limit(t, 0x80000000, AMD_MAX_EXTENDED_LEAF);
	return cpuid_add(t, e);
}

static int leafs_amd(struct cpuid_table *t, const struct cpuid_conf *c)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 0x80000001, 0);
	bool topoext = e && e->ecx & X1_ECX_TOPOEXT;

	if (e && c->n_cpus > 1)
		e->ecx |= X1_ECX_CMP_LEGACY;
	else if (e)
		e->ecx &= ~(uint32_t)X1_ECX_CMP_LEGACY;
	leaf_amd_size(t, c);
	leaf_caches(t, c, 0x8000001d);
	cpuid_remove(t, 0x8000001f); /* memory encryption */
	cpuid_remove(t, 0x80000026); /* the host's own topology; 0xb has the guest's */
	return topoext ? leaf_amd_ids(t, c) : 0;
}

int cpuid_complete(struct cpuid_table *t, const struct cpuid_conf *conf)
{
	int ret = leafs_standard(t, conf);

	leafs_kvm(t, conf);
	if (ret == 0 && cpuid_is_amd(t))
		ret = leafs_amd(t, conf);
	return ret;
}

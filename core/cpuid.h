/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest's CPUID says. KVM tells what this host can give any guest; here it is completed by
 * what only the monitor knows (how many CPUs there are and which of them this one is) and freed of
 * what this monitor does not give. Plain C on tables, without KVM; kvm_vcpu.c calls it for each
 * vCPU. Intel SDM volume 2A "CPUID" (2024-06), AMD APM volume 3 appendix E (revision 3.36), and
 * Documentation/virt/kvm/x86/cpuid.rst for 0x40000000.
 */
#ifndef CORE_CPUID_H
#define CORE_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#define CPUID_MAX 256 /* entries of a table */

struct cpuid_conf {
	unsigned int apic_id; /* 0..n_cpus-1 */
	unsigned int n_cpus;  /* one socket with so many cores of one thread, at most 64 */
	bool tsc_deadline; /* the local APIC's timer has that mode (KVM_CAP_TSC_DEADLINE_TIMER) */
	bool ext_dest;     /* MSIs reach APIC ids above 255 (struct vm's ext_dest) */
};

struct cpuid_table {
	unsigned int n;
	struct kvm_cpuid_entry2 e[CPUID_MAX];
};

/*
 * cpuid_complete - `t` holds what KVM_GET_SUPPORTED_CPUID gave and becomes what KVM_SET_CPUID2 is
 * given for one vCPU. -E2BIG: no room for the entries that are added; no message.
 */
int cpuid_complete(struct cpuid_table *t, const struct cpuid_conf *conf);

/* cpuid_find - the entry of that leaf and subleaf (0 for a leaf without), or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct cpuid_table *t, uint32_t function, uint32_t index);

#endif

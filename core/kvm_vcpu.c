/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPUs: creation, the state in which a PVH kernel starts, the run loop with its exits counted by
 * reason, KVM's own statistics. One of the three files that call KVM ioctls. A vCPU's thread owns
 * its struct vcpu while it runs.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/cpuid.h"
#include "core/err.h"
#include "core/vm_priv.h"

/* Intel SDM volume 3 section 11.5.1 */
#define LAPIC_LINT1 0x360
#define LVT_NMI     0x400

#define KICK_SIGNAL   SIGUSR1
#define PAUSE_SECONDS 2

/* Model specific registers that firmware sets on a PC: SDM volume 4 table 2-2. */
#define MSR_MISC_ENABLE   0x1a0
#define MSR_MTRR_DEF_TYPE 0x2ff
#define FAST_STRINGS      1
#define MTRR_ON_WB        0x806 /* E, default type write-back */

/* The table belongs to one vCPU; KVM_GET_SUPPORTED_CPUID is asked anew for each. */
static int vcpu_set_cpuid(struct vcpu *v)
{
	const struct cpuid_conf conf = {
		.apic_id = v->index,
		.n_cpus = v->vm->cpus_wanted,
		.tsc_deadline =
			ioctl(v->vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
		.ext_dest = v->vm->ext_dest,
	};
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));
	struct cpuid_table *t = calloc(1, sizeof(*t));
	int ret = c && t ? 0 : -ENOMEM;

	if (ret == 0) {
		c->nent = CPUID_MAX;
		ret = ioctl(v->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, c) < 0 ? -errno : 0;
	}
	if (ret == 0) {
		t->n = c->nent < CPUID_MAX ? c->nent : CPUID_MAX;
		memcpy(t->e, c->entries, t->n * sizeof(t->e[0]));
		ret = cpuid_complete(t, &conf);
	}
	if (ret == 0) {
		c->nent = t->n;
		memcpy(c->entries, t->e, t->n * sizeof(t->e[0]));
		ret = ioctl(v->fd, KVM_SET_CPUID2, c) < 0 ? -errno : 0;
	}
	free(t);
	free(c);
	return ret;
}

/* A KVM that does not know the register leaves it as it is. */
static void vcpu_or_msr(struct vcpu *v, uint32_t index, uint64_t bits)
{
	union {
		struct kvm_msrs m;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} u = { .m.nmsrs = 1 };

	u.m.entries[0].index = index;
	if (ioctl(v->fd, KVM_GET_MSRS, &u) != 1)
		return;
	u.m.entries[0].data |= bits;
	ioctl(v->fd, KVM_SET_MSRS, &u);
}

/*
 * What firmware would have set: all memory write-back unless said otherwise, and fast string
 * instructions. With the MTRRs off Linux takes the machine for one without PAT, and with a device
 * whose DMA does not snoop KVM believes them: memory would be uncached.
 */
static void vcpu_set_msrs(struct vcpu *v)
{
	vcpu_or_msr(v, MSR_MTRR_DEF_TYPE, MTRR_ON_WB);
	vcpu_or_msr(v, MSR_MISC_ENABLE, FAST_STRINGS);
}

int kvm_vcpu_create(struct vm *vm, unsigned int index)
{
	struct vcpu *v = &vm->vcpu[index];
	long ring_page;
	int ret;

	*v = (struct vcpu){ .vm = vm, .index = index, .fd = -1, .stats_fd = -1, .host_cpu = -1 };
	v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (v->fd < 0)
		return err_ret(-errno, "creating vCPU %u: %s; give the guest fewer CPUs", index,
			       strerror(errno));
	vm->n_vcpus = index + 1;
	v->run = mmap(NULL, (size_t)vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return err_ret(-errno, "mapping vCPU %u: %s; free some memory", index,
			       strerror(errno));
	}
	/* taken before the first run: the ioctl waits for a running vCPU */
	v->stats_fd = ioctl(v->fd, KVM_GET_STATS_FD, NULL);
	ring_page = ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	if (index == 0 && ring_page > 0 && (ring_page + 1) * 4096 <= vm->run_size) {
		vm->ring = (void *)((char *)v->run + ring_page * 4096);
		vm->ring_max = (uint32_t)((4096 - sizeof(*vm->ring)) /
					  sizeof(vm->ring->coalesced_mmio[0]));
	}
	ret = vcpu_set_cpuid(v);
	vcpu_set_msrs(v);
	return ret < 0 ? err_ret(ret, "setting CPUID of vCPU %u: %s; use a newer kernel", index,
				 strerror(-ret))
		       : 0;
}

void kvm_vcpu_destroy(struct vcpu *v)
{
	if (v->run)
		munmap(v->run, (size_t)v->vm->run_size);
	if (v->stats_fd >= 0)
		close(v->stats_fd);
	if (v->fd >= 0)
		close(v->fd);
	v->run = NULL;
	v->fd = v->stats_fd = -1;
}

/* Xen's PVH start ABI (docs/misc/pvh.pandoc): flat 32-bit segments, paging off, ebx = the physical
 * address of hvm_start_info. */
static int vcpu_set_pvh(struct vcpu *v, uint32_t entry, uint32_t start_info)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_segment data = {
		.limit = ~0u, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_regs regs = { .rip = entry, .rbx = start_info, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(v->fd, KVM_GET_SREGS, &s) < 0)
		return -errno;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr.type = 11;
	s.tr.limit = 0x67;
	s.cr0 = 0x11; /* PE | ET */
	s.cr4 = 0;
	s.efer = 0;
	if (ioctl(v->fd, KVM_SET_SREGS, &s) < 0 || ioctl(v->fd, KVM_SET_REGS, &regs) < 0)
		return err_ret(-errno, "setting the registers of vCPU %u: %s; use a newer kernel",
			       v->index, strerror(errno));
	return 0;
}

/* Linux's 64-bit entry (Documentation/arch/x86/boot.rst): long mode, __BOOT_CS 0x10, __BOOT_DS
 * 0x18, interrupts off, rsi = the physical address of boot_params. */
static int vcpu_set_linux64(struct vcpu *v, const struct boot_entry *e)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 0x10, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	struct kvm_segment data = {
		.limit = ~0u, .selector = 0x18, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	struct kvm_regs regs = { .rip = e->entry, .rsi = e->info, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(v->fd, KVM_GET_SREGS, &s) < 0)
		return -errno;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr.type = 11;
	s.tr.limit = 0x67;
	s.gdt.base = e->gdt;
	s.gdt.limit = e->gdt_limit;
	s.cr0 = 0x80000011; /* PG | ET | PE */
	s.cr3 = e->cr3;
	s.cr4 = 0x20;   /* PAE */
	s.efer = 0x500; /* LMA | LME */
	if (ioctl(v->fd, KVM_SET_SREGS, &s) < 0 || ioctl(v->fd, KVM_SET_REGS, &regs) < 0)
		return err_ret(-errno, "setting the registers of vCPU %u: %s; use a newer kernel",
			       v->index, strerror(errno));
	return 0;
}

int kvm_vcpu_set_entry(struct vcpu *v, const struct boot_entry *e)
{
	return e->mode == BOOT_LINUX64 ? vcpu_set_linux64(v, e)
				       : vcpu_set_pvh(v, (uint32_t)e->entry, (uint32_t)e->info);
}

static void vcpu_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	unsigned int size = run->io.size;
	uint8_t *p = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, p += size) {
		uint64_t val = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&val, p, size);
			bus_write(v->vm->pio, v->index, run->io.port, size, val);
		} else {
			bus_read(v->vm->pio, v->index, run->io.port, size, &val);
			memcpy(p, &val, size);
		}
	}
}

static void vcpu_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	unsigned int len = run->mmio.len;
	uint64_t val = 0;

	/* KVM splits at 8 bytes; widths of 3, 5, 6 and 7 do not reach a register */
	if (run->mmio.is_write) {
		memcpy(&val, run->mmio.data, len <= 8 ? len : 8);
		if (len == 1 || len == 2 || len == 4 || len == 8)
			bus_write(v->vm->mmio, v->index, run->mmio.phys_addr, len, val);
		return;
	}
	val = ~0ull;
	if (len == 1 || len == 2 || len == 4 || len == 8)
		bus_read(v->vm->mmio, v->index, run->mmio.phys_addr, len, &val);
	memcpy(run->mmio.data, &val, len <= 8 ? len : 8);
}

static void vcpu_count(_Atomic uint64_t *n)
{
	/* one writer: no locked instruction is needed */
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void vcpu_fatal(struct vcpu *v)
{
	struct kvm_regs r = { 0 };

	ioctl(v->fd, KVM_GET_REGS, &r);
	err_say("vCPU %u stopped: exit reason %u (suberror %u) at rip %#llx; the guest did what "
		"this KVM cannot run",
		v->index, v->run->exit_reason,
		v->run->exit_reason == KVM_EXIT_INTERNAL_ERROR ? v->run->internal.suberror : 0,
		(unsigned long long)r.rip);
	vm_request_stop(v->vm, VM_STOP_ERROR);
}

/* One exit to user space. The coalesced ring goes first: what the guest wrote there happened before
 * this exit. */
static void vcpu_serve(struct vcpu *v)
{
	vcpu_count(&v->exits.total);
	vm_drain(v->vm, v->index);
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		vcpu_count(&v->exits.io);
		vcpu_io(v);
		break;
	case KVM_EXIT_MMIO:
		vcpu_count(&v->exits.mmio);
		vcpu_mmio(v);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN: vcpu_count(&v->exits.intr); break;
	case KVM_EXIT_HLT: /* a guest that can never wake */
		vcpu_count(&v->exits.hlt);
		vm_request_stop(v->vm, VM_STOP_POWEROFF);
		break;
	case KVM_EXIT_SHUTDOWN: /* triple fault: the way old guests reset */
		vcpu_count(&v->exits.shutdown);
		vm_request_stop(v->vm, VM_STOP_RESET);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		vcpu_count(&v->exits.other);
		vm_request_stop(v->vm, v->run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN
					       ? VM_STOP_POWEROFF
					       : VM_STOP_RESET);
		break;
	default: vcpu_count(&v->exits.other); vcpu_fatal(v);
	}
}

/* Stands still until the guest goes on or ends. */
static void vcpu_park(struct vcpu *v)
{
	struct vm *vm = v->vm;

	pthread_mutex_lock(&vm->pause_lock);
	vm->n_parked++;
	pthread_cond_broadcast(&vm->pause_changed);
	while (atomic_load(&vm->paused) && atomic_load(&vm->stop) == VM_STOP_NONE)
		pthread_cond_wait(&vm->pause_changed, &vm->pause_lock);
	vm->n_parked--;
	pthread_mutex_unlock(&vm->pause_lock);
	/* before the loop looks at `paused` and `stop` again: who sets them sets this afterwards */
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", v->index);
	prctl(PR_SET_NAME, name);
	atomic_store(&v->tid, (int)gettid());
	while (atomic_load(&v->vm->stop) == VM_STOP_NONE) {
		if (atomic_load(&v->vm->paused)) {
			vcpu_park(v);
		} else if (ioctl(v->fd, KVM_RUN, 0) == 0) {
			vcpu_serve(v);
		} else if (errno == EINTR || errno == EAGAIN) {
			vcpu_count(&v->exits.intr);
			vm_drain(v->vm, v->index); /* see kvm_vcpu_nudge_all() */
		} else {
			err_say("running vCPU %u: %s; the guest did what this KVM cannot run",
				v->index, strerror(errno));
			vm_request_stop(v->vm, VM_STOP_ERROR);
		}
	}
	return NULL;
}

static void vcpu_kicked(int sig)
{
	/* the signal's only purpose is that KVM_RUN returns with EINTR */
}

/*
 * The local APIC as firmware leaves it: LINT1 is the NMI. All vCPUs exist by now, which KVM needs
 * to be shown: the one that was made last is not in its table of APIC ids before some APIC's state
 * is set, and no interrupt finds it, not even the SIPI that would start it.
 */
static int vcpu_set_lapic(struct vcpu *v)
{
	struct kvm_lapic_state s;
	const uint32_t nmi = LVT_NMI;

	if (ioctl(v->fd, KVM_GET_LAPIC, &s) < 0)
		return -errno;
	memcpy(s.regs + LAPIC_LINT1, &nmi, sizeof(nmi));
	return ioctl(v->fd, KVM_SET_LAPIC, &s) < 0 ? -errno : 0;
}

int kvm_vcpu_start(struct vcpu *v)
{
	struct sigaction sa = { .sa_handler = vcpu_kicked };
	pthread_attr_t attr;
	cpu_set_t set;
	int ret;

	ret = vcpu_set_lapic(v);
	if (ret < 0)
		return err_ret(ret, "setting the local APIC of vCPU %u: %s; use a newer kernel",
			       v->index, strerror(-ret));
	sigaction(KICK_SIGNAL, &sa, NULL);
	pthread_attr_init(&attr);
	if (v->host_cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(v->host_cpu, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	ret = pthread_create(&v->thread, &attr, vcpu_main, v);
	pthread_attr_destroy(&attr);
	if (ret)
		return err_ret(-ret, "starting vCPU %u: %s; raise 'ulimit -u'", v->index,
			       strerror(ret));
	atomic_store(&v->started, true);
	return 0;
}

static void vcpu_kick_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++) {
		struct vcpu *v = &vm->vcpu[i];

		/* immediate_exit closes the gap between the loop's look at `stop` and KVM_RUN */
		if (v->run)
			__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		if (atomic_load(&v->started) && !pthread_equal(v->thread, pthread_self()))
			pthread_kill(v->thread, KICK_SIGNAL);
	}
}

void kvm_vcpu_kick_all(struct vm *vm)
{
	vcpu_kick_all(vm);
	/* those that stand still */
	pthread_mutex_lock(&vm->pause_lock);
	pthread_cond_broadcast(&vm->pause_changed);
	pthread_mutex_unlock(&vm->pause_lock);
}

/*
 * A signal only: a thread that is not in KVM when it comes has nothing to come out of. By the
 * thread's number, which may be gone by now, as that of a guest that ends is.
 */
void kvm_vcpu_nudge_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		if (atomic_load(&vm->vcpu[i].tid))
			syscall(SYS_tgkill, getpid(), atomic_load(&vm->vcpu[i].tid), KICK_SIGNAL);
}

static unsigned int vcpu_n_started(const struct vm *vm)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		n += atomic_load(&vm->vcpu[i].started);
	return n;
}

int kvm_vcpu_pause_all(struct vm *vm)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PAUSE_SECONDS;
	atomic_store(&vm->paused, true);
	vcpu_kick_all(vm);
	pthread_mutex_lock(&vm->pause_lock);
	while (ret == 0 && atomic_load(&vm->stop) == VM_STOP_NONE &&
	       vm->n_parked < vcpu_n_started(vm))
		ret = -pthread_cond_timedwait(&vm->pause_changed, &vm->pause_lock, &until);
	pthread_mutex_unlock(&vm->pause_lock);
	if (ret == 0 && atomic_load(&vm->stop) != VM_STOP_NONE)
		ret = -ECANCELED;
	if (ret < 0)
		kvm_vcpu_resume_all(vm);
	return ret;
}

void kvm_vcpu_resume_all(struct vm *vm)
{
	if (!atomic_load(&vm->paused))
		return;
	/* a guest that uses KVM's clock learns that time has passed without it, and does not take
	 * itself for hung; one that does not has nothing to be told */
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		ioctl(vm->vcpu[i].fd, KVM_KVMCLOCK_CTRL, 0);
	pthread_mutex_lock(&vm->pause_lock);
	atomic_store(&vm->paused, false);
	pthread_cond_broadcast(&vm->pause_changed);
	pthread_mutex_unlock(&vm->pause_lock);
}

void kvm_vcpu_join_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		if (atomic_exchange(&vm->vcpu[i].started, false))
			pthread_join(vm->vcpu[i].thread, NULL);
}

/* Binary statistics, api.rst section 4.133: header, descriptors with names, one block of 64-bit
 * values. */
int kvm_stats_read(int stats_fd, struct stats_sink *sink)
{
	struct kvm_stats_header h;
	size_t desc_size;
	char *desc;

	if (stats_fd < 0 || pread(stats_fd, &h, sizeof(h), 0) != sizeof(h) || h.name_size > 256 ||
	    h.num_desc > 4096)
		return -EOPNOTSUPP;
	desc_size = sizeof(struct kvm_stats_desc) + h.name_size;
	desc = calloc(h.num_desc, desc_size);
	if (!desc)
		return -ENOMEM;
	if (pread(stats_fd, desc, desc_size * h.num_desc, h.desc_offset) !=
	    (ssize_t)(desc_size * h.num_desc)) {
		free(desc);
		return -EIO;
	}
	for (uint32_t i = 0; i < h.num_desc; i++) {
		const struct kvm_stats_desc *d = (const void *)(desc + i * desc_size);
		uint64_t val;

		if (d->size == 1 && memchr(d->name, 0, h.name_size) &&
		    pread(stats_fd, &val, sizeof(val), h.data_offset + d->offset) == sizeof(val))
			sink->put(sink, d->name, val);
	}
	free(desc);
	return 0;
}

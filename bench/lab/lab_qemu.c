/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software host's hardware: the QEMU command line. A q35 board with an IOMMU, a CPU with SVM
 * and nested paging, four 82576 ports on one wire, each behind its own root port so that it has an
 * IOMMU group of its own, and an NVMe disk. Run by the unpacked QEMU's own dynamic linker. All
 * through emulation (TCG): nothing of the machine below is needed or seen.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/lab/lab_priv.h"

/* SVM and nested paging for /dev/kvm inside; what is taken away is what the emulation would warn
 * that it lacks. */
#define CPU \
	"EPYC-v4,+svm,+npt,-fxsr-opt,-misalignsse,-osvw,-topoext,-perfctr-core,-clzero,-ibpb,-" \
	"nrip-save,-xsavec,-xsaves"

#define QEMU_FD_AGENT   10
#define QEMU_FD_INITRD  11
#define QEMU_FD_DISK    12
#define QEMU_FD_TAP     13
#define QEMU_MAX_WORDS  96
#define QEMU_WORD_BYTES (PATH_MAX + 256)

struct qemu_line {
	char *words[QEMU_MAX_WORDS + 1];
	size_t n;
};

static void qemu_add(struct qemu_line *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void qemu_add(struct qemu_line *q, const char *fmt, ...)
{
	va_list ap;

	if (q->n == QEMU_MAX_WORDS)
		_exit(126);
	va_start(ap, fmt);
	if (vasprintf(&q->words[q->n++], fmt, ap) < 0)
		_exit(126);
	va_end(ap);
}

static void qemu_add_nics(struct qemu_line *q, bool tap)
{
	for (int i = 1; i <= 4; i++) {
		qemu_add(q, "-device");
		qemu_add(q, "pcie-root-port,id=rp%d,bus=pcie.0,chassis=%d,slot=%d", i, i, i);
		qemu_add(q, "-netdev");
		qemu_add(q, "hubport,id=h%d,hubid=0", i);
		qemu_add(q, "-device");
		qemu_add(q, "igb,bus=rp%d,netdev=h%d,mac=52:54:00:aa:00:%02d", i, i, i);
	}
	if (!tap)
		return;
	qemu_add(q, "-netdev");
	qemu_add(q, "tap,id=tap,fd=%d", QEMU_FD_TAP);
	qemu_add(q, "-netdev");
	qemu_add(q, "hubport,id=outside,hubid=0,netdev=tap");
}

static void qemu_add_disks(struct qemu_line *q, const char *image)
{
	qemu_add(q, "-drive");
	qemu_add(q, "file=%s/root.img,if=none,id=root,format=raw,readonly=on", image);
	qemu_add(q, "-device");
	qemu_add(q, "virtio-blk-pci,drive=root");
	qemu_add(q, "-drive");
	qemu_add(q, "file=/proc/self/fd/%d,if=none,id=disk,format=raw,file.locking=off",
		 QEMU_FD_DISK);
	qemu_add(q, "-device");
	qemu_add(q, "pcie-root-port,id=rp5,bus=pcie.0,chassis=5,slot=5");
	qemu_add(q, "-device");
	qemu_add(q, "nvme,bus=rp5,drive=disk,serial=fourlane-lab");
}

static void qemu_add_agent(struct qemu_line *q)
{
	qemu_add(q, "-device");
	qemu_add(q, "virtio-serial-pci");
	qemu_add(q, "-chardev");
	qemu_add(q, "socket,id=agent,fd=%d", QEMU_FD_AGENT);
	qemu_add(q, "-device");
	qemu_add(q, "virtserialport,chardev=agent,name=%s", LAB_PORT_NAME);
}

static void qemu_add_kernel(struct qemu_line *q, const struct lab_guard_start *s)
{
	qemu_add(q, "-kernel");
	qemu_add(q, "%s/vmlinux", s->image->dir);
	qemu_add(q, "-initrd");
	qemu_add(q, "/proc/self/fd/%d", QEMU_FD_INITRD);
	qemu_add(q, "-append");
	/*
	 * no_timer_check: on a busy machine the emulated timer may look broken to the kernel, which
	 * then panics. The last words only save boot time.
	 */
	qemu_add(q,
		 "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable "
		 "no_timer_check%s lab.qemu=%s lab.iommu=%s lab.modules=%s "
		 "random.trust_cpu=on init_on_alloc=0 cryptomgr.notests nowatchdog lsm=none%s%s",
		 s->iommu == LAB_IOMMU_INTEL ? " intel_iommu=on" : "", s->image->qemu,
		 lab_iommu_name(s->iommu), s->image->modules[0] ? "yes" : "no",
		 s->append ? " " : "", s->append ? s->append : "");
}

static void qemu_build(struct qemu_line *q, const struct lab_guard_start *s)
{
	const char *dir = s->image->dir;

	qemu_add(q, "%s/qemu/usr/lib64/ld-linux-x86-64.so.2", dir);
	qemu_add(q, "--library-path");
	qemu_add(q, "%s/qemu/usr/lib/x86_64-linux-gnu", dir);
	qemu_add(q, "%s/qemu/usr/bin/qemu-system-x86_64", dir);
	qemu_add(q, "-L");
	qemu_add(q, "%s/qemu/usr/share/qemu", dir);
	qemu_add(q, "-L");
	qemu_add(q, "%s/qemu/usr/share/seabios", dir);
	for (const char *const *w =
		     (const char *const[]){
			     "-accel", s->in_turn ? "tcg,thread=single" : "tcg,thread=multi", "-M",
			     "q35,kernel-irqchip=split", "-cpu", CPU, "-m", "3072M", "-nodefaults",
			     "-no-user-config", "-display", "none", "-no-reboot", "-chardev",
			     "stdio,id=console,signal=off", "-serial", "chardev:console", NULL };
	     *w; w++)
		qemu_add(q, "%s", *w);
	qemu_add(q, "-smp");
	qemu_add(q, "%d", s->cpus ? s->cpus : 2);
	/* the IOMMU comes first: devices made before it would not be behind it */
	if (s->iommu != LAB_IOMMU_NONE)
		qemu_add(q, "-device");
	if (s->iommu == LAB_IOMMU_INTEL)
		qemu_add(q, "intel-iommu,intremap=on,caching-mode=on,device-iotlb=on");
	if (s->iommu == LAB_IOMMU_AMD)
		qemu_add(q, "amd-iommu,intremap=on,dma-remap=on,device-iotlb=on");
	qemu_add_nics(q, s->tap >= 0);
	qemu_add_disks(q, dir);
	qemu_add_agent(q);
	qemu_add_kernel(q, s);
}

/* Moves our descriptors to the numbers of the command line and closes every other one. */
static int qemu_place_fds(const struct lab_guard_start *s, int agent, int console)
{
	const int from[] = { agent, s->initrd, s->disk, s->tap };
	const int n = s->tap >= 0 ? 4 : 3;
	int high[4], null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(console, 1) < 0 || dup2(console, 2) < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		high[i] = fcntl(from[i], F_DUPFD, 32);
		if (high[i] < 0)
			return -1;
	}
	for (int i = 0; i < n; i++)
		if (dup2(high[i], QEMU_FD_AGENT + i) < 0)
			return -1;
	return close_range(3, QEMU_FD_AGENT - 1, 0) |
	       close_range((unsigned int)(QEMU_FD_AGENT + n), ~0u, 0);
}

void lab_qemu_exec(const struct lab_guard_start *s, int agent, int console)
{
	struct qemu_line q = { .n = 0 };
	char modules[PATH_MAX];
	sigset_t none;

	snprintf(modules, sizeof(modules), "%s/qemu/usr/lib/x86_64-linux-gnu/qemu", s->image->dir);
	setenv("QEMU_MODULE_DIR", modules, 1);
	qemu_build(&q, s);
	if (qemu_place_fds(s, agent, console) < 0)
		return;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(q.words[0], q.words);
}

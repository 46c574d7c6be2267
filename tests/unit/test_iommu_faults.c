/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults of the IOMMU in the kernel's log: lines that kernels have written, lines that look alike,
 * and the log as a file that the test plays (read() is the function below).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/err.h"
#include "core/guest_watch.h"
#include "core/prep_priv.h"
#include "helper_count.h"
#include "iommu/iommu.h"

static bool parse(const char *text, struct iommu_fault *f)
{
	char record[1024];
	int n = snprintf(record, sizeof(record), "3,1187,93847261,-;%s", text);

	return iommu_fault_parse(record, (size_t)n, f);
}

/* --- VT-d ------------------------------------------------------------------- */
static void vtd_lines(void **state)
{
	struct iommu_fault f;

	assert_true(parse("DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr "
			  "0x7c3a000 [fault reason 0x06] PTE Read access is not set",
			  &f));
	assert_int_equal(f.kind, IOMMU_FAULT_READ);
	assert_false(f.has_domain);
	assert_false(f.untold);
	assert_int_equal(f.bus, 1);
	assert_int_equal(f.dev, 0);
	assert_int_equal(f.fn, 0);
	assert_true(f.addr == 0x7c3a000);
	assert_string_equal(f.why, "fault reason 0x06, PTE Read access is not set");

	assert_true(parse("DMAR: [DMA Write NO_PASID] Request device [8f:10.7] fault addr "
			  "0xfffffffffffff000 [fault reason 0x05] PTE Write access is not set\n"
			  " SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0\n",
			  &f));
	assert_int_equal(f.kind, IOMMU_FAULT_WRITE);
	assert_int_equal(f.bus, 0x8f);
	assert_int_equal(f.dev, 0x10);
	assert_int_equal(f.fn, 7);
	assert_true(f.addr == 0xfffffffffffff000);
	assert_string_equal(f.why, "fault reason 0x05, PTE Write access is not set");

	assert_true(
		parse("DMAR: [DMA Write PASID 0x1f] Request device [3d:00.1] fault addr 0x0 "
		      "[fault reason 0x71] SM: Present bit in first-level paging entry is clear",
		      &f));
	assert_int_equal(f.kind, IOMMU_FAULT_WRITE);
	assert_int_equal(f.fn, 1);
	assert_true(f.addr == 0);
}

static void vtd_lines_of_older_kernels(void **state)
{
	struct iommu_fault f;

	assert_true(parse("DMAR: [DMA Read] Request device [00:02.0] PASID ffffffff fault addr "
			  "6df084000 [fault reason 06] PTE Read access is not set",
			  &f));
	assert_int_equal(f.kind, IOMMU_FAULT_READ);
	assert_int_equal(f.dev, 2);
	assert_true(f.addr == 0x6df084000);
	assert_true(parse("DMAR: [DMA Write] Request device [03:00.0] fault addr ffffe000 [fault "
			  "reason 05] PTE Write access is not set",
			  &f));
	assert_true(f.addr == 0xffffe000);
}

static void vtd_interrupts(void **state)
{
	struct iommu_fault f;

	assert_true(parse("DMAR: [INTR-REMAP] Request device [f0:1f.7] fault index 0x8000 [fault "
			  "reason 0x25] Blocked a compatibility format interrupt request",
			  &f));
	assert_int_equal(f.kind, IOMMU_FAULT_INTERRUPT);
	assert_int_equal(f.bus, 0xf0);
	assert_int_equal(f.dev, 0x1f);
	assert_true(f.addr == 0x8000);
}

/* --- AMD-Vi ----------------------------------------------------------------- */
static void amd_lines(void **state)
{
	struct iommu_fault f;

	assert_true(parse("ahci 0000:28:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0035 "
			  "address=0x7fffff00300 flags=0x0000]\n SUBSYSTEM=pci\n",
			  &f));
	assert_int_equal(f.kind, IOMMU_FAULT_DMA); /* nothing is mapped there: no direction */
	assert_true(f.has_domain);
	assert_int_equal(f.domain, 0);
	assert_int_equal(f.bus, 0x28);
	assert_true(f.addr == 0x7fffff00300);
	assert_string_equal(f.why, "IO_PAGE_FAULT, flags 0x0");

	assert_true(parse("vfio-pci 10000:04:10.1: AMD-Vi: Event logged [IO_PAGE_FAULT "
			  "domain=0x0037 address=0x7b657064 flags=0x0030]",
			  &f));
	assert_int_equal(f.kind, IOMMU_FAULT_WRITE);
	assert_int_equal(f.domain, 0x10000);
	assert_int_equal(f.dev, 0x10);
	assert_int_equal(f.fn, 1);

	assert_true(parse("AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:01:00.0 domain=0x000c "
			  "address=0x7c3a000 flags=0x0010]",
			  &f));
	assert_int_equal(f.kind, IOMMU_FAULT_READ);
	assert_int_equal(f.bus, 1);
	assert_true(f.addr == 0x7c3a000);

	assert_true(parse("AMD-Vi: Event logged [IO_PAGE_FAULT device=0a:00.0 domain=0x001d "
			  "address=0x000000000637c000 flags=0x0008]",
			  &f));
	assert_int_equal(f.kind, IOMMU_FAULT_INTERRUPT);
	assert_false(f.has_domain);
	assert_int_equal(f.bus, 0x0a);
	assert_true(f.addr == 0x637c000);
}

/* The device in front is the IOMMU then. */
static void amd_other_events(void **state)
{
	struct iommu_fault f;

	assert_true(parse("pci 0000:00:00.2: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY "
			  "device=0000:02:00.0 pasid=0x00000 address=0xfffffffdf8000000 "
			  "flags=0x0a00]",
			  &f));
	assert_int_equal(f.kind, IOMMU_FAULT_OTHER);
	assert_int_equal(f.bus, 2);
	assert_string_equal(f.why, "ILLEGAL_DEV_TABLE_ENTRY, flags 0xa00");
	assert_true(parse("pci 0000:00:00.2: AMD-Vi: Event logged [INVALID_DEVICE_REQUEST "
			  "device=0000:07:00.0 pasid=0x00000 address=0xfdf8fffd20 flags=0x0a00]",
			  &f));
	assert_int_equal(f.bus, 7);
}

static void amd_that_names_nobody(void **state)
{
	struct iommu_fault f;

	assert_true(parse("AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:00:00.0 domain=0x0000 "
			  "address=0x0 flags=0x0000]",
			  &f));
	assert_true(f.untold);
	assert_true(parse("pci 0000:00:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0000 "
			  "address=0x0 flags=0x0020]",
			  &f));
	assert_true(f.untold);
}

/* --- what was left out, and what is no fault --------------------------------- */
static void suppressed_lines(void **state)
{
	struct iommu_fault f;

	assert_true(parse("dmar_fault: 54 callbacks suppressed", &f));
	assert_int_equal(f.kind, IOMMU_FAULT_SUPPRESSED);
	assert_true(f.n == 54);
	assert_true(parse("amd_iommu_report_page_fault: 1310 callbacks suppressed", &f));
	assert_true(f.n == 1310);
	assert_false(parse("net_ratelimit: 9 callbacks suppressed", &f));
	assert_false(parse("dmar_fault: callbacks suppressed", &f));
	assert_false(parse("dmar_fault: 12345678901234567890 callbacks suppressed", &f));
}

static void other_lines_are_no_faults(void **state)
{
	static const char *const lines[] = {
		"",
		"DMAR: ",
		"DMAR: DRHD: handling fault status reg 2",
		"DMAR: Host address width 39",
		"DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0x7c3a000",
		"DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr [fault reason 0x06]",
		"DMAR: [DMA Read NO_PASID] Request device [01:00.8] fault addr 0x1 [fault reason "
		"6]",
		"DMAR: [DMA Read NO_PASID] Request device [101:00.0] fault addr 0x1 [fault reason "
		"6]",
		"DMAR: [DMA Read NO_PASID] Request device [01:20.0] fault addr 0x1 [fault reason "
		"6]",
		"DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0x11112222333344445 "
		"[fault reason 0x06]",
		"DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault index 0x1 [fault reason "
		"6]",
		"DMAR: [DMA Read NO_PASID Request device [01:00.0",
		"it says DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0x1 [fault "
		"reason 6] x",
		"AMD-Vi: Interrupt remapping enabled",
		"AMD-Vi: Event logged [",
		"AMD-Vi: Event logged []",
		"AMD-Vi: Event logged [IO_PAGE_FAULT]",
		"AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0007 address=0x0 flags=0x0000]",
		"AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:01:00.0 domain=0x1 flags=0x0]",
		"AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:01:00.0 address=0x0 flags=0x0",
		"AMD-Vi: Event logged [COMMAND_HARDWARE_ERROR address=0x1000 flags=0x0000]",
		": AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0 address=0x0 flags=0x0]",
	};
	struct iommu_fault f;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (parse(lines[i], &f))
			fail_msg("taken for a fault: %s", lines[i]);
}

#define LINE \
	"DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0x1000 [fault reason 0x06]"

/* Who may write into /dev/kmsg cannot make a fault: the kernel marks what is not its own. */
static void lines_of_programs_are_no_faults(void **state)
{
	static const char *const heads[] = {
		"11,1187,93847261,-;", "12,1,1,-;", "30,1,1,-;", ";", "", "x,1,1,-;",
		"-3,1,1,-;",           "3;",
	};
	char record[512];
	struct iommu_fault f;
	int n;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		n = snprintf(record, sizeof(record), "%s" LINE, heads[i]);
		if (iommu_fault_parse(record, (size_t)n, &f))
			fail_msg("taken for the kernel's: %s", record);
	}
	n = snprintf(record, sizeof(record), "4,1,1,c,caller=T17;" LINE);
	assert_true(iommu_fault_parse(record, (size_t)n, &f));
}

/* Nothing behind `len` is looked at (the sanitizer watches), and no prefix of a line is another. */
static void cut_lines_are_survived(void **state)
{
	static const char whole[] = "3,1,1,-;" LINE " PTE Read access is not set";
	struct iommu_fault f;

	for (size_t len = 0; len < sizeof(whole); len++) {
		char *part = malloc(len ? len : 1);

		assert_non_null(part);
		memcpy(part, whole, len);
		if (iommu_fault_parse(part, len, &f))
			assert_true(f.addr == 0x1000 && f.bus == 1);
		free(part);
	}
}

/* --- the log as a file --------------------------------------------------------- */
static struct {
	int fd;                  /* what read() is played for */
	const char *const *line; /* NULL-ended; then EAGAIN */
	int n_endless;           /* so many of the last line */
	int at_end;              /* errno, -1: end of file */
	unsigned int n_reads;
} kmsg;

ssize_t read(int fd, void *buf, size_t size)
{
	if (kmsg.fd < 0 || fd != kmsg.fd)
		return syscall(SYS_read, fd, buf, size);
	kmsg.n_reads++;
	if (kmsg.line && *kmsg.line) {
		const char *l = kmsg.n_endless-- > 0 ? *kmsg.line : *kmsg.line++;

		if (!strcmp(l, "EPIPE")) {
			errno = EPIPE;
			return -1;
		}
		return snprintf(buf, size, "3,1,1,-;%s", l);
	}
	errno = kmsg.at_end;
	return kmsg.at_end < 0 ? 0 : -1;
}

static char said[8192];

static void hear(void *opaque, const char *line)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%s\n", line);
}

static unsigned int lines(const char *word)
{
	return count_words(said, word);
}

static int setup(void **state)
{
	said[0] = '\0';
	memset(&kmsg, 0, sizeof(kmsg));
	kmsg.fd = -1;
	kmsg.at_end = EAGAIN;
	err_set_sink(hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	err_set_sink(NULL, NULL);
	kmsg.fd = -1;
	return 0;
}

static struct iommu_faults *open_log(void)
{
	static const struct iommu_fault_source src[] = { { "nic0", "0000:01:00.0" },
							 { "nic2", "0001:01:10.2" } };
	struct iommu_faults *f;

	assert_int_equal(iommu_faults_open("/dev/null", "red", src, 2, &f), 0);
	kmsg.fd = iommu_faults_fd(f);
	assert_true(kmsg.fd >= 0);
	assert_string_equal(said, "");
	return f;
}

static void faults_are_said_and_counted_by_device(void **state)
{
	static const char *const log[] = {
		"e1000e: other news",
		LINE " PTE Read access is not set",
		"DMAR: [DMA Write NO_PASID] Request device [01:10.2] fault addr 0x2000 [fault "
		"reason 0x05] PTE Write access is not set",
		"DMAR: [DMA Write NO_PASID] Request device [02:00.0] fault addr 0x3000 [fault "
		"reason 0x05] not ours",
		"vfio-pci 0001:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x1 address=0x0 "
		"flags=0x0]",
		"EPIPE",
		"dmar_fault: 54 callbacks suppressed",
		NULL,
	};
	struct iommu_faults *f = open_log();

	kmsg.line = log;
	iommu_faults_ready(f);
	assert_true(iommu_faults_of(f, 0) == 1);
	assert_true(iommu_faults_of(f, 1) == 1);
	assert_int_equal(iommu_faults_count(f).untold, 0);
	assert_int_equal(iommu_faults_count(f).suppressed, 54);
	assert_int_equal(iommu_faults_count(f).overruns, 1);
	assert_int_equal(lines("\n"), 2);
	assert_int_equal(lines("guest 'red': nic0 (0000:01:00.0): the IOMMU stopped a DMA read "
			       "outside the guest's memory, at 0x1000 (fault reason 0x06, PTE Read "
			       "access is not set)"),
			 1);
	assert_int_equal(lines("nic2 (0001:01:10.2): the IOMMU stopped a DMA write"), 1);
	iommu_faults_close(f);
	assert_int_equal(lines("\n"), 2);
}

static void a_flood_is_said_a_few_times_and_counted(void **state)
{
	static const char *const log[] = { LINE, NULL };
	struct iommu_faults *f = open_log();
	unsigned int before;

	kmsg.line = log;
	kmsg.n_endless = 999;
	for (int i = 0; kmsg.line && *kmsg.line; i++) {
		before = kmsg.n_reads;
		iommu_faults_ready(f);
		assert_true(kmsg.n_reads - before <= 64); /* others get their turn */
		assert_true(i < 100);
	}
	assert_true(iommu_faults_of(f, 0) == 1000);
	assert_true(lines("nic0") >= 1 && lines("\n") < 20);
	iommu_faults_close(f);
	assert_int_equal(lines("more DMA faults were not shown"), 1);
}

static void a_fault_of_nobody_is_said_with_the_guests_devices(void **state)
{
	static const char *const log[] = {
		"AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:00:00.0 domain=0x0000 address=0x0 "
		"flags=0x0000]",
		NULL,
	};
	struct iommu_faults *f = open_log();

	kmsg.line = log;
	iommu_faults_ready(f);
	assert_int_equal(iommu_faults_count(f).untold, 1);
	assert_true(iommu_faults_of(f, 0) == 0);
	assert_int_equal(
		lines("reports a fault (IO_PAGE_FAULT, flags 0x0) and not of which device"), 1);
	assert_int_equal(lines("0000:01:00.0, 0001:01:10.2"), 1);
	iommu_faults_close(f);
}

/* A file that is always readable and gives nothing would keep the supervisor busy for good. */
static void a_log_that_ends_is_left_alone(void **state)
{
	static const int ends[] = { -1, EINVAL, EIO, EPERM };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct iommu_faults *f;

		setup(state);
		f = open_log();
		kmsg.at_end = ends[i];
		iommu_faults_ready(f);
		assert_int_equal(iommu_faults_fd(f), -1);
		assert_int_equal(lines("no longer shown"), 1);
		kmsg.fd = -1;
		iommu_faults_ready(f);
		assert_int_equal(lines("\n"), 1);
		iommu_faults_close(f);
	}
}

static void a_log_that_cannot_be_read_is_said_once(void **state)
{
	static const struct iommu_fault_source src = { "nic0", "0000:01:00.0" };
	struct iommu_faults *f;
	char dir[] = "/tmp/fl-faults-XXXXXX", fifo[64];

	assert_int_equal(iommu_faults_open("/nonexistent/kmsg", "red", &src, 1, &f), 0);
	assert_int_equal(iommu_faults_fd(f), -1);
	assert_int_equal(lines("guest 'red': DMA faults of its devices will not be shown"), 1);
	assert_int_equal(lines("\n"), 1);
	iommu_faults_ready(f);
	iommu_faults_close(f);
	assert_int_equal(lines("\n"), 1);
	/* some containers have another kind of file there */
	assert_non_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/kmsg", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(iommu_faults_open(fifo, "red", &src, 1, &f), 0);
	assert_int_equal(iommu_faults_fd(f), -1);
	assert_int_equal(lines("will not be shown"), 2);
	iommu_faults_close(f);
	unlink(fifo);
	rmdir(dir);
}

/* --- for the supervisor ---------------------------------------------------------- */
static void watch_finds_the_guests_functions(void **state)
{
	static const char *const opts[] = { "virtio,backend=null,mac=02:00:00:00:00:01",
					    "vfio,host=0000:01:00.0,guest=red,reset=flr",
					    "vfio,host=nonsense" };
	struct prep_guest g = { .name = "red" };
	struct guest_watches w = { 0 };
	struct pollfd p[GUEST_WATCHES_MAX];
	json_t *stats = json_pack("{s:[{},{},{}]}", "nics"), *nics = json_object_get(stats, "nics");

	guest_watches_open(&w, &g); /* a guest without hardware */
	assert_int_equal(w.n, 0);
	guest_watches_poll(&w, p);
	assert_int_equal(p[0].fd, -1);
	for (g.n_nics = 0; g.n_nics < 3; g.n_nics++) {
		snprintf(g.slot[g.n_nics].nic.name, 16, "nic%u", g.n_nics);
		g.slot[g.n_nics].nic.device_opts = strdup(opts[g.n_nics]);
	}
	guest_watches_open(&w, &g);
	assert_int_equal(w.n, 1);
	guest_watches_stats(&w, stats);
	assert_null(json_object_get(json_array_get(nics, 0), "dma_faults"));
	assert_non_null(json_object_get(json_array_get(nics, 1), "dma_faults"));
	assert_null(json_object_get(json_array_get(nics, 2), "dma_faults"));
	assert_non_null(json_object_get(json_object_get(stats, "dma_faults"), "device_not_told"));
	guest_watches_close(&w);
	guest_watches_close(&w);
	json_decref(stats);
	for (unsigned int i = 0; i < 3; i++)
		free(g.slot[i].nic.device_opts);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vtd_lines),
		cmocka_unit_test(vtd_lines_of_older_kernels),
		cmocka_unit_test(vtd_interrupts),
		cmocka_unit_test(amd_lines),
		cmocka_unit_test(amd_other_events),
		cmocka_unit_test(amd_that_names_nobody),
		cmocka_unit_test(suppressed_lines),
		cmocka_unit_test(other_lines_are_no_faults),
		cmocka_unit_test(lines_of_programs_are_no_faults),
		cmocka_unit_test(cut_lines_are_survived),
		T(faults_are_said_and_counted_by_device),
		T(a_flood_is_said_a_few_times_and_counted),
		T(a_fault_of_nobody_is_said_with_the_guests_devices),
		T(a_log_that_ends_is_left_alone),
		T(a_log_that_cannot_be_read_is_said_once),
		T(watch_finds_the_guests_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

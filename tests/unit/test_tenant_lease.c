/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leases of tenants' VFs on a made-up host: who gets which, who is named, what becomes of a VF
 * whose guest was killed, and many processes at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/err.h"
#include "core/prep_priv.h"
#include "helper_tenant.h"

#define PFS \
	"version: 1\npfs:\n  - match: {pci: \"0000:01:00.0\"}\n  - match: {pci: " \
	"\"0000:02:00.0\"}\n"
static const char two[] = PFS "tenants:\n  acme: {vfs: 2, vlan: 100}\n"
			      "  blue: {vfs: 1, vlan: 200, driver: igbvf}\n";
static const char many[] = PFS "tenants:\n  acme: {vfs: 6, vlan: 100, spread: true}\n"
			       "  blue: {vfs: 4, vlan: 200, driver: none}\n";

static int setup(void **state)
{
	struct tenant_host *h;

	if (tenant_host_setup(state) != 0)
		return -1;
	h = *state;
	h->env.wait_ms = 100;
	return 0;
}

static void where(const char *bdf, unsigned int *pf, unsigned int *idx)
{
	char is[IOMMU_BDF_SIZE];

	for (*pf = 0; *pf < TH_PFS; ++*pf)
		for (*idx = 0; *idx < TH_VFS; ++*idx) {
			th_vf_bdf(*pf, *idx, is);
			if (!strcmp(is, bdf))
				return;
		}
	fail_msg("%s is no VF", bdf);
}

static const struct vf_settings *set_of(struct tenant_host *h, const char *bdf)
{
	unsigned int pf, idx;

	where(bdf, &pf, &idx);
	return &h->pf[pf].vf[idx];
}

static unsigned int resets_of(struct tenant_host *h, const char *bdf)
{
	unsigned int pf, idx;

	where(bdf, &pf, &idx);
	return h->pf[pf].resets[idx];
}

/* --- one and another --- */
static void two_guests_get_two_vfs_and_the_third_is_told_who(void **state)
{
	char a[IOMMU_BDF_SIZE], b[IOMMU_BDF_SIZE], c[IOMMU_BDF_SIZE];
	struct tenant_host *h = *state;
	struct sriov_pf pf;
	unsigned int idx;
	char who[256];

	assert_int_equal(th_apply(h, two, NULL), 0);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "web", a), 0);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "db", b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "mail", c), -EBUSY);
	assert_non_null(strstr(h->said, "guest web"));
	assert_non_null(strstr(h->said, "guest db"));
	assert_int_equal(sriov_pf_of_vf(h->env.v, a, &pf, &idx), 0);
	assert_int_equal(vf_holder(&h->env, &pf, idx, who, sizeof(who)), 1);
	assert_non_null(strstr(who, "guest web of tenant acme"));
	assert_int_equal(tenant_return_vf(&h->env, a), 0);
	assert_int_equal(vf_holder(&h->env, &pf, idx, who, sizeof(who)), 0);
	assert_int_equal(resets_of(h, a), 1);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "mail", c), 0);
	assert_string_equal(a, c);
	assert_int_equal(tenant_return_vf(&h->env, b), 0);
	assert_int_equal(tenant_return_vf(&h->env, c), 0);
}

static void a_leased_vf_is_set_as_the_file_says(void **state)
{
	struct tenant_host *h = *state;
	char a[IOMMU_BDF_SIZE], b[IOMMU_BDF_SIZE], *mid, *after;

	assert_int_equal(th_apply(h, two, NULL), 0);
	mid = th_state(h);
	h->pf[0].vf[0].vlan = h->pf[0].vf[1].vlan = h->pf[1].vf[0].vlan = 999;
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "web", a), 0);
	assert_int_equal(set_of(h, a)->vlan, 100);
	assert_int_equal(tenant_lease_vf(&h->env, "blue", "db", b), 0);
	assert_int_equal(set_of(h, b)->vlan, 200);
	((struct vf_settings *)set_of(h, b))->trust = true; /* somebody plays */
	assert_int_equal(tenant_return_vf(&h->env, a), 0);
	assert_int_equal(tenant_return_vf(&h->env, b), 0);
	assert_int_equal(th_apply(h, two, NULL), 0);
	after = th_state(h);
	assert_string_equal(after, mid);
	free(mid);
	free(after);
}

static void nobody_gets_what_is_not_there(void **state)
{
	struct tenant_host *h = *state;
	char a[IOMMU_BDF_SIZE];

	assert_int_equal(tenant_lease_vf(&h->env, "acme", "web", a), -ENOENT);
	assert_non_null(strstr(h->said, "no such tenant"));
	assert_int_equal(th_apply(h, two, NULL), 0);
	th_calm(h);
	assert_int_equal(tenant_lease_vf(&h->env, "coral", "web", a), -ENOENT);
	th_vf_bdf(0, 0, a);
	assert_int_equal(tenant_return_vf(&h->env, a), -ENOENT);
}

static void a_leased_vf_stands_in_the_way_of_everything(void **state)
{
	struct tenant_host *h = *state;
	char a[IOMMU_BDF_SIZE], b[IOMMU_BDF_SIZE], *mid, *is;

	assert_int_equal(th_apply(h, two, NULL), 0);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "web", a), 0);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "db", b), 0);
	mid = th_state(h);
	th_calm(h);
	assert_int_equal(tenant_release(&h->env, "acme"), -EBUSY);
	assert_non_null(strstr(h->said, "guest 'web' (pid"));
	assert_int_equal(tenant_release(&h->env, NULL), -EBUSY);
	th_calm(h);
	assert_int_equal(th_apply(h, PFS "tenants:\n  acme: {vfs: 1, vlan: 100}\n", NULL), -EBUSY);
	assert_non_null(strstr(h->said, "tenant acme"));
	is = th_state(h);
	assert_string_equal(is, mid);
	assert_int_equal(tenant_return_vf(&h->env, a), 0);
	assert_int_equal(tenant_return_vf(&h->env, b), 0);
	assert_int_equal(tenant_release(&h->env, NULL), 0);
	free(mid);
	free(is);
}

/* --- guests that are killed --- */
static int lease_and_stay(struct tenant_host *h, void *arg)
{
	char *bdf = arg;

	th_show_self(h);
	if (tenant_lease_vf(&h->env, "acme", "web", bdf) < 0)
		return -1;
	kill(getpid(), SIGKILL);
	return 0;
}

static void the_vf_of_a_killed_guest_is_reset_and_free(void **state)
{
	struct tenant_host *h = *state;
	char *bdf = h->t.root + sizeof(h->t.root) - IOMMU_BDF_SIZE, a[IOMMU_BDF_SIZE],
	     b[IOMMU_BDF_SIZE];
	int status;

	assert_int_equal(th_apply(h, two, NULL), 0);
	status = th_fork(h, lease_and_stay, bdf);
	assert_true(WIFSIGNALED(status));
	((struct vf_settings *)set_of(h, bdf))->trust = true;
	assert_int_equal(resets_of(h, bdf), 0);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "db", a), 0);
	assert_non_null(strstr(h->said, "guest 'web'"));
	assert_int_equal(resets_of(h, bdf), 1);
	assert_false(set_of(h, bdf)->trust);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "mail", b), 0);
	assert_int_equal(tenant_return_vf(&h->env, a), 0);
	assert_int_equal(tenant_return_vf(&h->env, b), 0);
	assert_int_equal(tenant_release(&h->env, NULL), 0);
}

static int lease_and_die_somewhere(struct tenant_host *h, void *arg)
{
	char bdf[IOMMU_BDF_SIZE];

	th_show_self(h);
	if (tenant_lease_vf(&h->env, arg, "web", bdf) < 0)
		return -1;
	return tenant_return_vf(&h->env, bdf);
}

static void a_lease_that_ends_at_any_write_leaves_nothing(void **state)
{
	static const char *const who[] = { "acme", "blue" };
	struct tenant_host *h = *state;
	char *mid, *is, a[IOMMU_BDF_SIZE];

	assert_int_equal(th_apply(h, two, NULL), 0);
	h->pf[0].vf[0].vlan = 7; /* so that there is something to set */
	assert_int_equal(th_apply(h, two, NULL), 0);
	mid = th_state(h);
	for (unsigned int w = 0; w < 2; w++) {
		for (unsigned int at = 1;; at++) {
			int status;

			th_calm(h);
			h->die_at = at;
			h->die_after = at & 1;
			status = th_fork(h, lease_and_die_somewhere, (void *)who[w]);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
			if (h->n_writes < at)
				break;
			th_calm(h);
			assert_int_equal(tenant_lease_vf(&h->env, who[w], "db", a), 0);
			assert_int_equal(tenant_return_vf(&h->env, a), 0);
			is = th_state(h);
			assert_string_equal(is, mid);
			free(is);
		}
	}
	free(mid);
}

static void leases_of_an_earlier_boot_are_void(void **state)
{
	struct tenant_host *h = *state;
	char a[IOMMU_BDF_SIZE], b[IOMMU_BDF_SIZE], c[IOMMU_BDF_SIZE];

	assert_int_equal(th_apply(h, two, NULL), 0);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "web", a), 0);
	th_reboot(h);
	/* our pid may well be another's now */
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "db", b), -ENODEV);
	assert_non_null(strstr(h->said, "apply --stored"));
	assert_int_equal(tenant_apply(&h->env, NULL, NULL), 0);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "db", b), 0);
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "mail", c), 0);
	assert_int_equal(tenant_return_vf(&h->env, b), 0);
	assert_int_equal(tenant_return_vf(&h->env, c), 0);
}

static void a_plain_user_is_told_the_capability(void **state)
{
	struct tenant_host *h = *state;
	char a[IOMMU_BDF_SIZE];

	assert_int_equal(th_apply(h, two, NULL), 0);
	tree_file(&h->t, "proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
	assert_int_equal(tenant_lease_vf(&h->env, "acme", "web", a), -EPERM);
	assert_non_null(strstr(h->said, "CAP_NET_ADMIN"));
}

/* --- the words of --nic --- */
static void hear(void *opaque, const char *line)
{
	snprintf(opaque, 256, "%s", line);
}

static void words_of_a_tenants_vf_are_checked_first(void **state)
{
	static const char *const wrong[][2] = {
		{ "vf", "which VF" },
		{ "vf,tenant=acme,host=0000:01:10.0", "which VF" },
		{ "vf,tenant=acme,vlan=7", "leave out vlan" },
		{ "vf,tenant=acme,mac=02:00:00:00:00:01", "leave out mac" },
		{ "vf,tenant=acme,colour=red", "'colour'" },
		{ "vf,tenat=acme", "which VF" },
		{ "vf,tenant=acme,dma=fast", "dma" },
	};
	char said[256];

	err_set_sink(hear, said);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct prep_guest g = { .name = "web", .mem_bytes = 1 << 20 };

		said[0] = '\0';
		assert_int_equal(prep_guest_nic(&g, wrong[i][0]), -EINVAL);
		if (!strstr(said, wrong[i][1]))
			fail_msg("%s: %s", wrong[i][0], said);
		prep_guest_release(&g);
	}
	err_set_sink(NULL, NULL);
}

/* --- many at once --- */
#define CALLERS 32
struct table {
	atomic_int owner[TH_PFS][TH_VFS];
	atomic_uint leased, refused, twice, broken;
};

/* FOURLANE_SOAK_S: for so long, else a few rounds. */
static bool more(unsigned int round)
{
	const char *soak = getenv("FOURLANE_SOAK_S");
	struct timespec now;
	static time_t end;

	if (!soak)
		return round < 8;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!end)
		end = now.tv_sec + atoi(soak);
	return now.tv_sec < end;
}

static int one_caller(struct tenant_host *h, struct table *t, unsigned int n)
{
	struct timespec pause = { .tv_nsec = 200000 * (long)(n % 7) };
	char bdf[IOMMU_BDF_SIZE];
	unsigned int pf, idx;

	th_show_self(h);
	for (unsigned int i = 0; more(i); i++) {
		int ret = tenant_lease_vf(&h->env, n % 3 ? "acme" : "blue", "guest", bdf);

		if (ret == -EBUSY) {
			atomic_fetch_add(&t->refused, 1);
			nanosleep(&pause, NULL);
			continue;
		}
		if (ret < 0)
			return ret;
		where(bdf, &pf, &idx);
		if (atomic_exchange(&t->owner[pf][idx], getpid()) != 0)
			atomic_fetch_add(&t->twice, 1);
		atomic_fetch_add(&t->leased, 1);
		if (h->pf[pf].vf[idx].vlan != (n % 3 ? 100 : 200))
			atomic_fetch_add(&t->broken, 1);
		nanosleep(&pause, NULL);
		/* every now and then a guest is killed */
		if (n % 4 == 0 && i > 6) {
			atomic_store(&t->owner[pf][idx], 0);
			kill(getpid(), SIGKILL);
		}
		atomic_store(&t->owner[pf][idx], 0);
		ret = tenant_return_vf(&h->env, bdf);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static void callers_at_once_never_share_a_vf(void **state)
{
	struct tenant_host *h = *state;
	struct table *t =
		mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *mid, *is, a[10][IOMMU_BDF_SIZE];
	unsigned int killed = 0;

	assert_true(t != MAP_FAILED);
	assert_int_equal(th_apply(h, many, NULL), 0);
	mid = th_state(h);
	h->env.wait_ms = 60000; /* for the lock: 32 wait for one */
	h->vfio.deadline_ms = 1000;
	fflush(NULL);
	for (unsigned int n = 0; n < CALLERS; n++)
		if (fork() == 0)
			_exit(one_caller(h, t, n) < 0);
	for (unsigned int n = 0; n < CALLERS; n++) {
		int status;

		assert_true(wait(&status) > 0);
		killed += WIFSIGNALED(status);
		if (WIFEXITED(status) && WEXITSTATUS(status))
			fail_msg("a caller failed: %s", h->said);
	}
	assert_int_equal(atomic_load(&t->twice), 0);
	assert_int_equal(atomic_load(&t->broken), 0);
	assert_true(atomic_load(&t->leased) > CALLERS);
	assert_true(atomic_load(&t->refused) > 0);
	assert_true(killed > 0);
	/* none is lost: all of both tenants can be had */
	h->env.wait_ms = 1000;
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(tenant_lease_vf(&h->env, i < 6 ? "acme" : "blue", "last", a[i]),
				 0);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(tenant_return_vf(&h->env, a[i]), 0);
	is = th_state(h);
	assert_string_equal(is, mid);
	free(mid);
	free(is);
	munmap(t, sizeof(*t));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, tenant_host_teardown)
	const struct CMUnitTest tests[] = {
		T(two_guests_get_two_vfs_and_the_third_is_told_who),
		T(a_leased_vf_is_set_as_the_file_says),
		T(nobody_gets_what_is_not_there),
		T(a_leased_vf_stands_in_the_way_of_everything),
		T(the_vf_of_a_killed_guest_is_reset_and_free),
		T(a_lease_that_ends_at_any_write_leaves_nothing),
		T(leases_of_an_earlier_boot_are_void),
		T(a_plain_user_is_told_the_capability),
		T(words_of_a_tenants_vf_are_checked_first),
		T(callers_at_once_never_share_a_vf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

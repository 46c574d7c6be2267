/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors that a device asks for while it runs: the supervisor's list of them, and the waiting
 * of a prep for another process. What a guest that resets gets again, and how often.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/device.h"
#include "core/late_fd.h"
#include "core/reboot.h"

/* --- a back-end that has its descriptor when it is told to --- */
static int fake_prepare(struct prep_guest *g, struct prep_nic *nic)
{
	static unsigned int n_asked;

	n_asked = 0;
	nic->state = &n_asked;
	return 0;
}

static int fake_reopen(struct prep_guest *g, struct prep_nic *nic, const char *name)
{
	unsigned int *n_asked = nic->state;

	if (strcmp(name, "socket"))
		return -ENOENT;
	return ++*n_asked < 3 ? -EAGAIN : eventfd(0, EFD_CLOEXEC);
}

static const struct backend_prep fake_prep = {
	.name = "fake", .prepare = fake_prepare, .reopen = fake_reopen, .once = "socket"
};
BACKEND_PREP(&fake_prep);

struct fixture {
	struct prep_guest g;
	struct late_fds late;
	int sock[2];
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.g.name = "vm1";
	assert_int_equal(prep_guest_nic(&f.g, "e1000,backend=fake"), 0);
	assert_int_equal(prep_guest_nic(&f.g, "e1000,backend=null"), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f.sock), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	prep_guest_release(&f->g);
	close(f->sock[0]);
	close(f->sock[1]);
	return 0;
}

static void want(struct fixture *f, const char *nic, const char *name)
{
	json_t *params = json_pack("{s:s, s:s}", "nic", nic, "name", name);

	late_fd_want(&f->late, &f->g, params);
	json_decref(params);
}

static void try_now(struct fixture *f)
{
	f->late.next = 0;
	late_fd_try(&f->late, &f->g, f->sock[0]);
}

static bool anything_came(struct fixture *f)
{
	struct pollfd p = { .fd = f->sock[1], .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void a_wanted_descriptor_is_tried_until_it_comes(void **state)
{
	struct fixture *f = *state;
	unsigned int n;
	json_t *msg;
	int fd;

	want(f, "nic0", "socket");
	try_now(f);
	try_now(f);
	assert_int_equal(f->late.n, 1);
	assert_false(anything_came(f));
	try_now(f);
	assert_int_equal(f->late.n, 0);
	assert_int_equal(rpc_recv(f->sock[1], 1000, &msg, &fd, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(json_string_value(json_object_get(msg, "method")), "late_fd");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(msg, "params"), "nic")), "nic0");
	assert_null(json_object_get(msg, "id"));
	json_decref(msg);
	close(fd);
}

static void nothing_is_tried_before_its_time(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(late_fd_timeout(&f->late, -1), -1);
	want(f, "nic0", "socket");
	f->late.next = rpc_now_ms() + 1000000;
	for (int i = 0; i < 10; i++)
		late_fd_try(&f->late, &f->g, f->sock[0]);
	assert_false(anything_came(f));
	assert_in_range(late_fd_timeout(&f->late, -1), 1, 1000000);
	assert_int_equal(late_fd_timeout(&f->late, 100), 100);
	f->late.next = 0;
	assert_int_equal(late_fd_timeout(&f->late, 100), 0);
}

static void a_descriptor_is_due_once_however_often_it_is_asked_for(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 1000; i++)
		want(f, "nic0", "socket");
	assert_int_equal(f->late.n, 1);
}

static void wishes_that_make_no_sense_are_ignored(void **state)
{
	struct fixture *f = *state;
	char name[16];

	want(f, "nic7", "socket");
	want(f, "nic0", "a name that is longer than any descriptor's");
	late_fd_want(&f->late, &f->g, NULL);
	assert_int_equal(f->late.n, 0);
	want(f, "nic1", "socket"); /* its back-end reopens nothing */
	want(f, "nic0", "passwd");
	try_now(f);
	assert_int_equal(f->late.n, 0);
	assert_false(anything_came(f));
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		want(f, "nic0", name);
	}
	assert_int_equal(f->late.n, LATE_FD_MAX);
}

static void a_prep_waits_no_longer_than_it_says_and_ends_by_a_signal(void **state)
{
	struct fixture *f = *state;
	int fd = eventfd(0, EFD_CLOEXEC), sig = eventfd(1, EFD_CLOEXEC);

	assert_int_equal(prep_wait(&f->g, fd, POLLIN, 1), -ETIMEDOUT);
	assert_int_equal(prep_wait(&f->g, -1, 0, 1), -ETIMEDOUT);
	assert_int_equal(prep_wait(&f->g, fd, POLLOUT, 1000000), 0);
	f->g.sig_fd = sig;
	assert_int_equal(prep_wait(&f->g, fd, POLLIN, 1000000), -EINTR);
	assert_int_equal(prep_wait(&f->g, -1, 0, 1000000), -EINTR); /* it stays there to be read */
	f->g.sig_fd = 0;
	close(fd);
	close(sig);
}

/* --- a guest that resets --- */
static void after_a_reset_the_same_descriptors_are_sent_and_a_new_connection(void **state)
{
	struct fixture *f = *state;
	int kvm = eventfd(0, EFD_CLOEXEC), tap = eventfd(0, EFD_CLOEXEC),
	    sock = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(prep_guest_fd(&f->g, "kvm", kvm), 0);
	assert_int_equal(prep_add_fd(&f->g, &f->g.slot[0].nic, "tap", tap), 0);
	assert_int_equal(prep_add_fd(&f->g, &f->g.slot[0].nic, "socket", sock), 0);
	for (int i = 0; i < 3; i++) {
		prep_guest_sent(&f->g);
		/* whoever is at its other end sees it go */
		assert_int_equal(fcntl(sock, F_GETFD), -1);
		assert_int_equal(f->g.fd[2].fd, -1);
		assert_int_equal(prep_guest_again(&f->g), 0); /* the third try brings it */
		assert_int_equal(f->g.n_fds, 3);
		assert_int_equal(f->g.fd[0].fd, kvm);
		assert_int_equal(f->g.fd[1].fd, tap);
		sock = f->g.fd[2].fd;
		assert_true(fcntl(sock, F_GETFD) >= 0);
		assert_string_equal(f->g.fd[2].name, "nic0:socket");
	}
}

static void a_descriptor_of_a_back_end_without_reopen_is_kept(void **state)
{
	struct fixture *f = *state;
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(prep_add_fd(&f->g, &f->g.slot[1].nic, "socket", fd), 0);
	prep_guest_sent(&f->g);
	assert_int_equal(prep_guest_again(&f->g), 0);
	assert_int_equal(f->g.fd[0].fd, fd);
	assert_true(fcntl(fd, F_GETFD) >= 0);
}

static void a_signal_ends_the_waiting_for_a_connection(void **state)
{
	struct fixture *f = *state;
	int sig = eventfd(1, EFD_CLOEXEC);

	assert_int_equal(prep_add_fd(&f->g, &f->g.slot[0].nic, "socket", eventfd(0, EFD_CLOEXEC)),
			 0);
	prep_guest_sent(&f->g);
	f->g.sig_fd = sig;
	assert_int_equal(prep_guest_again(&f->g), -EINTR);
	f->g.sig_fd = 0;
	close(sig);
}

static void five_resets_within_ten_seconds_are_too_many(void **state)
{
	struct reboots r = { 0 };

	for (int i = 0; i < 4; i++)
		assert_true(reboot_again(&r, 1000 + 100 * i));
	assert_false(reboot_again(&r, 11000));
	r = (struct reboots){ 0 };
	for (int i = 0; i < 4; i++)
		assert_true(reboot_again(&r, 1000 + 100 * i));
	assert_true(reboot_again(&r, 11001)); /* the first is too long ago, the second is not */
	assert_false(reboot_again(&r, 11001));
	r = (struct reboots){ 0 };
	for (int i = 0; i < 100; i++)
		assert_true(reboot_again(&r, 2501 * i));
	assert_int_equal(r.n, 100);
}

static void a_vm_without_a_supervisor_counts_wishes(void **state)
{
	struct guest_mem *mem;
	struct vm *vm;

	assert_int_equal(mem_create(1 << 21, &mem), 0);
	assert_int_equal(vm_create_fake(mem, &vm), 0);
	device_want_fd(vm, "nic0", "socket");
	device_want_fd(vm, "nic0", "socket");
	assert_int_equal(vm_fake_counts(vm)->wanted_fds, 2);
	vm_destroy(vm);
	mem_destroy(mem);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_wanted_descriptor_is_tried_until_it_comes),
		T(nothing_is_tried_before_its_time),
		T(a_descriptor_is_due_once_however_often_it_is_asked_for),
		T(wishes_that_make_no_sense_are_ignored),
		T(a_prep_waits_no_longer_than_it_says_and_ends_by_a_signal),
		T(after_a_reset_the_same_descriptors_are_sent_and_a_new_connection),
		T(a_descriptor_of_a_back_end_without_reopen_is_kept),
		T(a_signal_ends_the_waiting_for_a_connection),
		cmocka_unit_test(five_resets_within_ten_seconds_are_too_many),
		T(a_vm_without_a_supervisor_counts_wishes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

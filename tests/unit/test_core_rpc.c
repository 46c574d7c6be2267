/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control protocol's packets against a peer that lies, and the console UART. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/rpc.h"
#include "core/serial.h"
#include "core/vm.h"

static void message_and_descriptors_arrive_together(void **state)
{
	int sv[2], fds[RPC_MAX_FDS], p[2];
	unsigned int n;
	json_t *m;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(rpc_send(sv[0], rpc_request(7, "start", json_pack("{s:i}", "x", 1)), p, 2),
			 0);
	assert_int_equal(rpc_recv(sv[1], 1000, &m, fds, RPC_MAX_FDS, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(json_string_value(json_object_get(m, "method")), "start");
	assert_int_equal(write(fds[1], "a", 1), 1);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	json_decref(m);
	for (int i = 0; i < 2; i++) {
		close(sv[i]);
		close(p[i]);
		close(fds[i]);
	}
}

static void what_is_no_object_is_refused(void **state)
{
	static const char *const bad[] = { "x",     "[1]",     "\"s\"", "{", "{\"a\":1,\"a\":2}",
					   "{} {}", "\xff\xfe" };
	int sv[2];
	json_t *m;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(send(sv[0], bad[i], strlen(bad[i]), 0) > 0);
		assert_int_equal(rpc_recv(sv[1], 1000, &m, NULL, 0, NULL), -EPROTO);
	}
	assert_int_equal(rpc_recv(sv[1], 10, &m, NULL, 0, NULL), -ETIMEDOUT);
	close(sv[0]);
	assert_int_equal(rpc_recv(sv[1], 1000, &m, NULL, 0, NULL), -EPIPE);
	close(sv[1]);
}

static int open_fds(void)
{
	int n = 0;

	for (int i = 0; i < 256; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

static void unwanted_descriptors_are_closed(void **state)
{
	int sv[2], before;
	unsigned int n;
	json_t *m;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	before = open_fds();
	assert_int_equal(rpc_send(sv[0], rpc_request(1, "x", NULL), (int[]){ 0, 1, 2 }, 3), 0);
	assert_int_equal(rpc_recv(sv[1], 1000, &m, NULL, 0, &n), 0);
	json_decref(m);
	assert_int_equal(n, 0);
	assert_int_equal(open_fds(), before);
	close(sv[0]);
	close(sv[1]);
}

static void oversized_message_is_refused_by_the_sender(void **state)
{
	char *big = calloc(1, RPC_MAX_BYTES + 1);
	int sv[2];

	memset(big, 'a', RPC_MAX_BYTES);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(
		rpc_send(sv[0], rpc_request(1, "x", json_pack("{s:s}", "t", big)), NULL, 0),
		-EMSGSIZE);
	free(big);
	close(sv[0]);
	close(sv[1]);
}

/* CVE-2020-27174: the serial input is bounded. */
static void serial_input_is_bounded(void **state)
{
	uint8_t flood[4096];
	struct guest_mem *mem;
	struct serial *s;
	struct vm *vm;
	uint64_t v;
	unsigned int took;

	assert_int_equal(mem_create(2 << 20, &mem), 0);
	assert_int_equal(vm_create_fake(mem, &vm), 0);
	assert_int_equal(serial_create(vm, -1, &s), 0);
	memset(flood, 'a', sizeof(flood));
	took = serial_input(s, flood, sizeof(flood));
	assert_in_range(took, 1, 64);
	assert_int_equal(serial_room(s), 0);
	assert_int_equal(serial_input(s, flood, 1), 0);
	bus_read(vm_pio(vm), 0, 0x3fd, 1, &v);
	assert_int_equal(v & 1, 1);
	for (unsigned int i = 0; i < took; i++) {
		bus_read(vm_pio(vm), 0, 0x3f8, 1, &v);
		assert_int_equal(v, 'a');
	}
	bus_read(vm_pio(vm), 0, 0x3fd, 1, &v);
	assert_int_equal(v & 1, 0);
	serial_destroy(s);
	vm_destroy(vm);
	mem_destroy(mem);
}

/* every PIO port and size */
static void every_port_and_size_is_safe(void **state)
{
	struct guest_mem *mem;
	struct serial *s;
	struct vm *vm;
	uint64_t v;

	assert_int_equal(mem_create(2 << 20, &mem), 0);
	assert_int_equal(vm_create_fake(mem, &vm), 0);
	assert_int_equal(serial_create(vm, -1, &s), 0);
	for (uint64_t port = 0; port < 65536; port++)
		for (unsigned int size = 1; size <= 4; size *= 2) {
			bus_read(vm_pio(vm), 0, port, size, &v);
			bus_write(vm_pio(vm), 0, port, size, ~0ull);
		}
	serial_destroy(s);
	vm_destroy(vm);
	mem_destroy(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_and_descriptors_arrive_together),
		cmocka_unit_test(what_is_no_object_is_refused),
		cmocka_unit_test(unwanted_descriptors_are_closed),
		cmocka_unit_test(oversized_message_is_refused_by_the_sender),
		cmocka_unit_test(serial_input_is_bounded),
		cmocka_unit_test(every_port_and_size_is_safe),
	};

	return cmocka_run_group_tests_name("core/rpc", tests, NULL, NULL);
}

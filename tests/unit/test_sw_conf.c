/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a switch is told, by a file and by requests (vswitch/sw_conf.h): good words arrive, each
 * wrong one is refused with a line that names it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/err.h"
#include "vswitch/sw_conf.h"

#define FILE_BEGINS "/tmp/test_sw_conf."

static char said[1024];

static void sink(void *opaque, const char *line)
{
	snprintf(said, sizeof(said), "%s", line);
}

static int load(const char *yaml, struct sw_conf *c)
{
	char path[] = FILE_BEGINS "XXXXXX";
	int fd = mkstemp(path), ret;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
	close(fd);
	said[0] = '\0';
	sw_conf_default(c);
	ret = sw_conf_load(path, c);
	unlink(path);
	return ret;
}

static void refused(const char *yaml, const char *word)
{
	struct sw_conf c;

	assert_int_equal(load(yaml, &c), -EINVAL);
	sw_conf_free(&c);
	if (!strstr(said, word))
		fail_msg("'%s' does not name '%s'", said, word);
	if (!strstr(said, FILE_BEGINS))
		fail_msg("'%s' does not name the file", said);
	if (!strchr(said, ';'))
		fail_msg("'%s' has no remedy", said);
}

static bool in_trunk(const struct sw_port_conf *c, unsigned int vid)
{
	return c->dp.trunk_vlan[vid / 64] >> vid % 64 & 1;
}

static void a_whole_file_arrives(void **state)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 1 };
	struct sw_conf c;

	assert_int_equal(
		load("name: sw1\nworkers: 2\ncpus: [1, 3]\nhuge: off\nmemory_mb: 128\n"
		     "fdb: {entries: 100, age_s: 7}\nports:\n"
		     "  - {name: vm1, type: vhost-user, vlan: 100, macs: [\"52:54:00:00:00:01\"],"
		     " queues: 4, max_learned: 3}\n"
		     "  - {name: vm2, type: vhost-user, role: client, socket: /run/x.sock}\n"
		     "  - name: up\n    type: eth\n    device: 0000:03:00.0\n"
		     "    trunk: [5, 200-210]\n    vlan: 9\n"
		     "  - {name: t, type: tap, ifname: fl0, uplink: false}\n"
		     "  - {name: q, type: vmdq, device: 0000:04:00.0, guest: vm1, software: "
		     "true}\n",
		     &c),
		0);
	assert_string_equal(c.name, "sw1");
	assert_int_equal(c.n_workers, 2);
	assert_int_equal(c.n_cpus, 2);
	assert_int_equal(c.cpu[1], 3);
	assert_int_equal(c.huge, SW_HUGE_OFF);
	assert_int_equal(c.memory_mb, 128);
	assert_int_equal(c.fdb_entries, 100);
	assert_int_equal(c.fdb_age_s, 7);
	assert_int_equal(c.n_ports, 5);
	assert_int_equal(c.port[0].dp.vlan, 100);
	assert_memory_equal(c.port[0].dp.mac[0], mac, 6);
	assert_int_equal(c.port[0].dp.n_pairs, 4);
	assert_int_equal(c.port[0].dp.max_learned, 3);
	assert_false(c.port[0].dp.uplink);
	assert_true(c.port[1].client);
	assert_true(c.port[2].dp.trunk && c.port[2].dp.uplink);
	assert_true(in_trunk(&c.port[2], 5) && in_trunk(&c.port[2], 200) &&
		    in_trunk(&c.port[2], 210) && in_trunk(&c.port[2], 9));
	assert_false(in_trunk(&c.port[2], 211) || in_trunk(&c.port[2], 0));
	assert_false(c.port[3].dp.uplink);
	assert_int_equal(c.port[4].dp.kind, DP_POOL);
	assert_true(c.port[4].software);
	sw_conf_free(&c);
}

static void an_empty_file_is_the_default(void **state)
{
	struct sw_conf c;

	assert_int_equal(load("{}\n", &c), 0);
	assert_string_equal(c.name, "default");
	assert_int_equal(c.n_ports, 0);
	sw_conf_free(&c);
}

#define PORT(rest) "ports:\n  - {name: p, type: vhost-user, " rest "}\n"

static void wrong_values_are_named(void **state)
{
	static const struct {
		const char *yaml, *word;
	} bad[] = {
		{ "nmae: x\n", "nmae" },
		{ "name: ../x\n", "../x" },
		{ "workers: 0\n", "workers" },
		{ "workers: 17\n", "workers" },
		{ "workers: -1\n", "workers" },
		{ "workers: many\n", "many" },
		{ "cpus: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]\n", "cpus" },
		{ "cpus: [x]\n", "cpus" },
		{ "cpus: [1, 1]\n", "twice" },
		{ "workers: \" 2\"\n", "workers" },
		{ "workers: +2\n", "workers" },
		{ "workers: 2x\n", "workers" },
		{ "workers: [2]\n", "workers" },
		{ "name: a-name-for-a-switch-that-is-too-long\n", "name" },
		{ "huge: maybe\n", "maybe" },
		{ "memory_mb: 1\n", "memory_mb" },
		{ "fdb: {entries: 1}\n", "entries" },
		{ "fdb: {colour: 1}\n", "colour" },
		{ "ports:\n  - {type: tap}\n", "port" },
		{ "ports:\n  - {name: \"a/b\", type: tap}\n", "a/b" },
		{ "ports:\n  - {name: p}\n", "type" },
		{ "ports:\n  - {name: p, type: carrier-pigeon}\n", "carrier-pigeon" },
		{ "ports:\n  - {name: p, type: tap}\n  - {name: p, type: tap}\n", "two" },
		{ "ports: 7\n", "SEQUENCE" },
		{ PORT("vlan: 4095"), "4095" },
		{ PORT("vlan: 99999999999999999999"), "vlan" },
		{ "ports:\n  - {name: control, type: vhost-user}\n", "control" },
		{ "ports:\n  - {name: lock, type: tap}\n", "lock" },
		{ "ports:\n  - {name: a, type: vhost-user, macs: [\"52:54:00:00:00:01\"]}\n"
		  "  - {name: b, type: vhost-user, macs: [\"52:54:00:00:00:01\"]}\n",
		  "port b" },
		{ "ports:\n  - {name: a, type: vhost-user, vlan: 7, macs: "
		  "[\"52:54:00:00:00:01\"]}\n"
		  "  - {name: b, type: vhost-user, trunk: [6-8], macs: "
		  "[\"52:54:00:00:00:01\"]}\n",
		  "port b" },
		{ "cpus: []\n", "0 of 1" },
		{ PORT("trunk: []"), "0 of 1" },
		{ PORT("macs: []"), "0 of 1" },
		{ PORT("vlan: \"\""), "vlan" },
		{ PORT("socket: \"\""), "socket" },
		{ PORT("socket: guest.sock"), "guest.sock" },
		{ PORT("trunk: [0]"), "trunk" },
		{ PORT("trunk: [4095]"), "trunk" },
		{ PORT("trunk: [20-10]"), "20-10" },
		{ PORT("trunk: [\"1-2-3-4-5-6-7-8-9\"]"), "trunk" },
		{ PORT("macs: [\"52:54:00:00:00\"]"), "52:54" },
		{ PORT("macs: [\"52:54: 0:00:00:01\"]"), "52:54" },
		{ PORT("macs: [\"52:54:-1:00:00:01\"]"), "52:54" },
		{ PORT("macs: [\"52-54-00-00-00-01\"]"), "52-54" },
		{ PORT("macs: [\"01:00:00:00:00:01\"]"), "01:00" },
		{ PORT("macs: [\"00:00:00:00:00:00\"]"), "00:00" },
		{ PORT("macs: [\"52:54:00:00:00:01\", \"52:54:00:00:00:01\"]"), "twice" },
		{ PORT("queues: 9"), "queues" },
		{ PORT("max_learned: 0"), "max_learned" },
		{ PORT("role: boss"), "boss" },
		{ PORT("role: client"), "socket" },
		{ PORT("device: x"), "device" },
		{ PORT("ifname: x"), "ifname" },
		{ PORT("uplink: true"), "uplink" },
		{ PORT("queue_size: 64"), "queue_size" },
		{ "ports:\n  - {name: p, type: tap, queues: 2}\n", "queues" },
		{ "ports:\n  - {name: p, type: tap, uplink: perhaps}\n", "perhaps" },
		{ "ports:\n  - {name: p, type: tap, ifname: a-name-that-is-too-long}\n", "ifname" },
		{ "ports:\n  - {name: p, type: vmdq, trunk: [1]}\n", "trunk" },
		{ "ports: [\n", "line" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i].yaml, bad[i].word);
}

static void an_address_may_be_in_two_vlans(void **state)
{
	struct sw_conf c;

	assert_int_equal(
		load("ports:\n"
		     "  - {name: a, type: vhost-user, vlan: 7, macs: "
		     "[\"52:54:00:00:00:01\"]}\n"
		     "  - {name: b, type: vhost-user, trunk: [8-9], macs: "
		     "[\"52:54:00:00:00:01\"]}\n"
		     "  - {name: q, type: vmdq, device: net_null0, guest: a, vlan: 7, macs: "
		     "[\"52:54:00:00:00:01\"]}\n",
		     &c),
		0);
	sw_conf_free(&c);
}

static void a_folder_is_no_file(void **state)
{
	struct sw_conf c;

	sw_conf_default(&c);
	assert_int_equal(sw_conf_load("/tmp", &c), -EISDIR);
	assert_non_null(strstr(said, "folder"));
}

static void a_cpu_is_for_each_worker(void **state)
{
	struct sw_conf c;

	assert_int_equal(load("cpus: [0, 1]\n", &c), 0);
	assert_int_equal(sw_conf_check(&c), 0);
	assert_int_equal(c.n_workers, 2);
	sw_conf_free(&c);
	assert_int_equal(load("cpus: [0, 1]\n", &c), 0);
	assert_int_equal(sw_conf_set_workers(&c, "3"), 0); /* a word of the call */
	assert_int_equal(sw_conf_check(&c), -EINVAL);
	sw_conf_free(&c);
	sw_conf_default(&c);
	assert_int_equal(sw_conf_check(&c), 0);
	assert_int_equal(c.n_workers, 1);
}

static void sixteen_thousand_ports_are_refused(void **state)
{
	char *yaml = malloc(1 << 20), *p = yaml;
	struct sw_conf c;

	p += sprintf(p, "ports:\n");
	for (unsigned int i = 0; i < 16000; i++)
		p += sprintf(p, "  - {name: p%u, type: tap}\n", i);
	assert_int_equal(load(yaml, &c), -EINVAL);
	assert_non_null(strstr(said, "16000"));
	sw_conf_free(&c);
	free(yaml);
}

static void a_file_that_is_not_there_is_said(void **state)
{
	struct sw_conf c;

	sw_conf_default(&c);
	assert_true(sw_conf_load("/nonexistent/file", &c) < 0);
	assert_non_null(strstr(said, "/nonexistent/file"));
}

static int from_json(const char *text, struct sw_port_conf *c)
{
	json_t *o = json_loads(text, 0, NULL);
	int ret;

	said[0] = '\0';
	ret = sw_port_conf_from_json(o, c);
	json_decref(o);
	return ret;
}

static void a_request_meets_the_same_checks(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"name\": \"p\", \"type\": \"tap\", \"colour\": 1}",
		"{\"name\": \"p\", \"type\": \"tap\", \"vlan\": 4095}",
		"{\"name\": \"p\", \"type\": \"tap\", \"vlan\": {}}",
		"{\"name\": \"p\", \"type\": \"tap\", \"trunk\": 3}",
		"{\"name\": \"p\", \"type\": \"tap\", \"trunk\": []}",
		"{\"name\": \"p\", \"type\": \"tap\", \"trunk\": [7, \"\"]}",
		"{\"name\": \"p\", \"type\": \"tap\", \"macs\": []}",
		"{\"name\": \"p\", \"type\": \"tap\", \"ifname\": \"\"}",
		"{\"name\": \"control\", \"type\": \"vhost-user\"}",
		"{\"name\": \"p\", \"type\": \"vhost-user\", \"socket\": \"p.sock\"}",
		"{\"name\": \"p\", \"type\": \"tap\", \"macs\": [[]]}",
		"{\"name\": 1, \"type\": 2}",
	};
	struct sw_port_conf c;

	assert_int_equal(from_json("{\"name\": \"p\", \"type\": \"tap\", \"vlan\": 7,"
				   " \"uplink\": false, \"trunk\": [8, \"10-11\"]}",
				   &c),
			 0);
	assert_true(in_trunk(&c, 7) && in_trunk(&c, 8) && in_trunk(&c, 11));
	assert_false(c.dp.uplink);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(from_json(bad[i], &c), -EINVAL);
		assert_true(said[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_file_arrives),
		cmocka_unit_test(an_empty_file_is_the_default),
		cmocka_unit_test(wrong_values_are_named),
		cmocka_unit_test(an_address_may_be_in_two_vlans),
		cmocka_unit_test(a_folder_is_no_file),
		cmocka_unit_test(a_cpu_is_for_each_worker),
		cmocka_unit_test(sixteen_thousand_ports_are_refused),
		cmocka_unit_test(a_file_that_is_not_there_is_said),
		cmocka_unit_test(a_request_meets_the_same_checks),
	};

	err_set_sink(sink, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

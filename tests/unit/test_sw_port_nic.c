/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port types eth, tap and vmdq in a whole switch, over DPDK's ring and null devices and, as
 * root, a tap of the kernel's.
 */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <rte_ethdev.h>

#include "core/err.h"
#include "vswitch/dp_priv.h"
#include "vswitch/port_dev.h"
#include "vswitch/sw_priv.h"

static struct sw *sw;
static struct sw_conf conf;
static char last[512];

static void catch_line(void *opaque, const char *line)
{
	snprintf(last, sizeof(last), "%s", line);
}

/* port.add with these parameters, as the control socket gets them. */
static int add(const char *json)
{
	json_t *o = json_loads(json, 0, NULL);
	struct sw_port_conf c;
	int ret;

	assert_non_null(o);
	last[0] = '\0';
	ret = sw_port_conf_from_json(o, &c);
	json_decref(o);
	return ret < 0 ? ret : sw_port_add(sw, &c);
}

static json_t *show(const char *name)
{
	struct sw_port *p = sw_port_find(sw, name);
	json_t *o = json_object();

	assert_non_null(p);
	p->type->show(p, o);
	return o;
}

static void shows_text(const char *name, const char *key, const char *want)
{
	json_t *o = show(name);
	const char *got = json_string_value(json_object_get(o, key));

	assert_non_null(got);
	assert_string_equal(got, want);
	json_decref(o);
}

static long long shown_number(const char *name, const char *key)
{
	json_t *o = show(name);
	long long n = json_integer_value(json_object_get(o, key));

	assert_true(json_is_integer(json_object_get(o, key)));
	json_decref(o);
	return n;
}

static void drop(const char *name)
{
	assert_int_equal(sw_port_remove(sw, name), 0);
}

static void device_has_one_name_however_it_is_written(void **state)
{
	static const char *const same[] = { "0000:01:00.1", "01:00.1", "1:0.1", "0:1:0.1" };
	char name[SW_TEXT];

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_string_equal(port_dev_name(same[i], name), "pci");
		assert_string_equal(name, "0000:01:00.1");
	}
	assert_string_equal(port_dev_name("net_ring0,a=b", name), "vdev");
	assert_string_equal(name, "net_ring0");
	assert_null(port_dev_name("eth0", name));
	assert_null(port_dev_name("01:00.9", name));
	assert_null(port_dev_name("01:20.0", name));
	assert_null(port_dev_name("01:00.0x", name));
}

static void eth_port_is_any_device_that_dpdk_knows(void **state)
{
	assert_int_equal(add("{\"name\":\"e\",\"type\":\"eth\",\"device\":\"net_null0,size=64\"}"),
			 0);
	shows_text("e", "driver", "net_null");
	shows_text("e", "device", "net_null0");
	drop("e");
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void eth_port_uses_as_many_queues_as_told(void **state)
{
	struct rte_eth_dev_info info;

	assert_int_equal(add("{\"name\":\"e\",\"type\":\"eth\",\"device\":\"net_ring0\","
			     "\"queues\":2}"),
			 0);
	assert_int_equal(rte_eth_dev_info_get(0, &info), 0);
	assert_int_equal(info.nb_rx_queues, 2);
	drop("e");
}

static void device_is_one_ports_only(void **state)
{
	assert_int_equal(add("{\"name\":\"e\",\"type\":\"eth\",\"device\":\"net_null0\"}"), 0);
	assert_int_equal(add("{\"name\":\"f\",\"type\":\"eth\",\"device\":\"net_null0\"}"), -EBUSY);
	assert_non_null(strstr(last, "another port of this switch has net_null0"));
	shows_text("e", "driver", "net_null"); /* it was not harmed */
	drop("e");
	assert_int_equal(add("{\"name\":\"f\",\"type\":\"eth\",\"device\":\"net_null0\"}"), 0);
	drop("f");
}

static void device_that_is_none_is_refused(void **state)
{
	assert_int_equal(add("{\"name\":\"e\",\"type\":\"eth\"}"), -EINVAL);
	assert_int_equal(add("{\"name\":\"e\",\"type\":\"eth\",\"device\":\"eth0\"}"), -EINVAL);
	assert_non_null(strstr(last, "neither a PCI address nor a DPDK vdev"));
	assert_int_equal(add("{\"name\":\"e\",\"type\":\"eth\",\"device\":\"fffe:00:00.0\"}"),
			 -ENODEV);
	assert_non_null(strstr(last, "fourlane nics"));
	assert_true(add("{\"name\":\"e\",\"type\":\"eth\",\"device\":\"net_nosuch0\"}") < 0);
	assert_null(sw_port_find(sw, "e"));
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void guests(void)
{
	assert_int_equal(add("{\"name\":\"g1\",\"type\":\"vhost-user\",\"vlan\":101}"), 0);
	assert_int_equal(add("{\"name\":\"g2\",\"type\":\"vhost-user\",\"vlan\":102}"), 0);
}

static void no_guests(void)
{
	drop("g1");
	drop("g2");
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void pools_of_a_device_without_vmdq_are_the_stand_ins(void **state)
{
	guests();
	assert_int_equal(add("{\"name\":\"p1\",\"type\":\"vmdq\",\"device\":\"net_ring0\","
			     "\"guest\":\"g1\",\"vlan\":101}"),
			 0);
	assert_int_equal(add("{\"name\":\"p2\",\"type\":\"vmdq\",\"device\":\"net_ring0\","
			     "\"guest\":\"g2\",\"vlan\":102,\"macs\":[\"02:00:00:00:00:02\"]}"),
			 0);
	shows_text("p1", "how", "software");
	shows_text("p2", "how", "software");
	shows_text("p2", "why", "the NIC or its driver has no VMDq");
	shows_text("p2", "guest", "g2");
	assert_int_equal(shown_number("p1", "pool"), 0);
	assert_int_equal(shown_number("p2", "pool"), 1);
	drop("p1");
	assert_int_equal(shown_number("p2", "pool"), 0);
	drop("p2");
	no_guests();
}

/* The stand-in sorts where it is polled: two workers would take frames from under each other. */
static void pools_of_a_stand_in_are_one_workers(void **state)
{
	unsigned int n_sources[3] = { 0 }, sum = 0, most = 0;

	guests();
	for (unsigned int i = 1; i <= 2; i++) {
		char json[160];

		snprintf(json, sizeof(json),
			 "{\"name\":\"p%u\",\"type\":\"vmdq\",\"device\":\"net_ring0\","
			 "\"guest\":\"g%u\",\"vlan\":%u}",
			 i, i, 100 + i);
		assert_int_equal(add(json), 0);
	}
	for (unsigned int i = 0; i < 3; i++) {
		const struct dp_sources *s = atomic_load(&sw->dp->worker[i]->sources);

		n_sources[i] = s ? s->n : 0;
		sum += n_sources[i];
		most = n_sources[i] > most ? n_sources[i] : most;
	}
	assert_int_equal(sum, 2);
	assert_int_equal(most, 2);
	drop("p1");
	drop("p2");
	no_guests();
}

static void refused_pool_leaves_the_others_at_work(void **state)
{
	guests();
	assert_int_equal(add("{\"name\":\"p1\",\"type\":\"vmdq\",\"device\":\"net_ring0\","
			     "\"guest\":\"g1\",\"vlan\":101}"),
			 0);
	assert_int_equal(add("{\"name\":\"p2\",\"type\":\"vmdq\",\"device\":\"net_ring0\","
			     "\"guest\":\"g2\",\"vlan\":101}"),
			 -EINVAL);
	assert_non_null(strstr(last, "want the same frames"));
	shows_text("p1", "how", "software");
	assert_int_equal(add("{\"name\":\"p2\",\"type\":\"vmdq\",\"device\":\"net_ring0\","
			     "\"guest\":\"g1\",\"vlan\":102}"),
			 -EINVAL);
	assert_non_null(strstr(last, "has the pool of port p1"));
	assert_int_equal(add("{\"name\":\"p2\",\"type\":\"vmdq\",\"device\":\"net_ring0\","
			     "\"guest\":\"nobody\",\"vlan\":102}"),
			 -EINVAL);
	assert_int_equal(add("{\"name\":\"e\",\"type\":\"eth\",\"device\":\"net_ring0\"}"), -EBUSY);
	assert_int_equal(sw_port_remove(sw, "g1"), -EBUSY);
	shows_text("p1", "how", "software");
	drop("p1");
	no_guests();
}

static void pool_and_guest_may_name_the_same_address(void **state)
{
	assert_int_equal(add("{\"name\":\"g1\",\"type\":\"vhost-user\",\"vlan\":101,"
			     "\"macs\":[\"02:00:00:00:00:01\"]}"),
			 0);
	assert_int_equal(add("{\"name\":\"p1\",\"type\":\"vmdq\",\"device\":\"net_ring0\","
			     "\"guest\":\"g1\",\"vlan\":101,\"macs\":[\"02:00:00:00:00:01\"]}"),
			 0);
	drop("p1");
	drop("g1");
}

static void tap_port_makes_its_interface_and_takes_it_away(void **state)
{
	char json[128], name[16];

	snprintf(name, sizeof(name), "flt%d", getpid() % 100000000);
	snprintf(json, sizeof(json), "{\"name\":\"t\",\"type\":\"tap\",\"ifname\":\"%s\"}", name);
	if (access("/dev/net/tun", R_OK | W_OK) < 0 || geteuid()) {
		int ret = add(json);

		assert_true(ret == -ENODEV || ret == -EPERM || ret == -ENODEV);
		skip(); /* no tap devices for this user here */
	}
	assert_int_equal(if_nametoindex(name), 0);
	assert_int_equal(add(json), 0);
	assert_true(if_nametoindex(name) > 0);
	shows_text("t", "ifname", name);
	drop("t");
	assert_int_equal(if_nametoindex(name), 0);
}

static void interface_name_that_is_none_is_refused(void **state)
{
	assert_int_equal(add("{\"name\":\"a-name-that-is-too-long\",\"type\":\"tap\"}"), -EINVAL);
	assert_int_equal(add("{\"name\":\"t\",\"type\":\"tap\",\"ifname\":\"a,remote=b\"}"),
			 -EINVAL);
}

static int setup(void **state)
{
	sw_conf_default(&conf);
	conf.huge = SW_HUGE_OFF;
	conf.memory_mb = 64;
	conf.n_workers = 3;
	snprintf(conf.name, sizeof(conf.name), "test-%d", getpid());
	if (sw_conf_check(&conf) < 0 || sw_create(&conf, &sw) < 0)
		return -1;
	err_set_sink(catch_line, NULL); /* the switch keeps them for its callers otherwise */
	return 0;
}

static int teardown(void **state)
{
	sw_destroy(sw);
	sw_conf_free(&conf);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_has_one_name_however_it_is_written),
		cmocka_unit_test(eth_port_is_any_device_that_dpdk_knows),
		cmocka_unit_test(eth_port_uses_as_many_queues_as_told),
		cmocka_unit_test(device_is_one_ports_only),
		cmocka_unit_test(device_that_is_none_is_refused),
		cmocka_unit_test(pools_of_a_device_without_vmdq_are_the_stand_ins),
		cmocka_unit_test(pools_of_a_stand_in_are_one_workers),
		cmocka_unit_test(refused_pool_leaves_the_others_at_work),
		cmocka_unit_test(pool_and_guest_may_name_the_same_address),
		cmocka_unit_test(tap_port_makes_its_interface_and_takes_it_away),
		cmocka_unit_test(interface_name_that_is_none_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}

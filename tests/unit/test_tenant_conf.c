/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tenants' file: what it takes, and that every refusal names file, line and reason. */
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
#include "core/yaml_file.h"
#include "sriov/tenant.h"

static char said[1024];
static unsigned int n_said;

static void hear(void *opaque, const char *line)
{
	snprintf(said, sizeof(said), "%s", line + strlen("fourlane: "));
	n_said++;
}

static int setup(void **state)
{
	said[0] = '\0';
	n_said = 0;
	err_set_sink(hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	err_set_sink(NULL, NULL);
	return 0;
}

static struct tenant_file *good(const char *text)
{
	struct tenant_file *f = NULL;

	n_said = 0;
	if (tenant_file_parse("t.yaml", text, strlen(text), &f) < 0)
		fail_msg("refused: %s", said);
	assert_non_null(f);
	assert_int_equal(n_said, 0);
	return f;
}

/* The text is refused in this line, in one message that has these words. */
static void bad_bytes(const char *text, size_t len, unsigned int line, const char *words)
{
	struct tenant_file *f = NULL;
	char where[32];

	n_said = 0;
	snprintf(where, sizeof(where), "t.yaml:%u: ", line);
	assert_int_equal(tenant_file_parse("t.yaml", text, len, &f), -EINVAL);
	assert_null(f);
	if (n_said != 1 || strncmp(said, where, strlen(where)) || !strstr(said, words))
		fail_msg("%u messages, the last '%s' is not '%s...%s' for:\n%s", n_said, said,
			 where, words, text);
}

static void bad(const char *text, unsigned int line, const char *words)
{
	bad_bytes(text, strlen(text), line, words);
}

#define HEAD "version: 1\ntenants:\n  acme:\n" /* the next line is the fourth */

static const char whole[] = "version: 1\n"
			    "pfs:                       # what may be carved\n"
			    "  - match: {pci: \"0000:03:00.0\"}\n"
			    "    vfs: 7\n"
			    "    keep: 1\n"
			    "  - match:\n"
			    "      vendor: 0x8086\n"
			    "      device: 10C9\n"
			    "      numa: 1\n"
			    "      name: enp3s0f1\n"
			    "      root_port: 00:01.0\n"
			    "tenants:\n"
			    "  zeta:\n"
			    "    mac: [52:54:00:00:00:01, \"52:54:00:00:00:02\"]\n"
			    "    vfs: 2\n"
			    "    spoof_check: No\n"
			    "    trust: true\n"
			    "    link: on\n"
			    "    driver: none\n"
			    "    exclusive: yes\n"
			    "    vlan: 7\n"
			    "  acme:\n"
			    "    vfs: 2\n"
			    "    vlan: 100\n"
			    "    qos: 3\n"
			    "    proto: 802.1ad\n"
			    "    mac: auto\n"
			    "    max_tx_mbit: 1000\n"
			    "    min_tx_mbit: 100\n"
			    "    spoof_check: on\n"
			    "    trust: off\n"
			    "    link: auto\n"
			    "    numa: 0\n"
			    "    driver: vfio-pci\n"
			    "    spread: true\n";

static void check_whole(const struct tenant_file *f)
{
	const struct tenant_want *a = &f->tenants[0], *z = &f->tenants[1];
	const struct tenant_pf_rule *r = f->rules;

	assert_int_equal(f->n_rules, 2);
	assert_string_equal(r[0].match.pci, "0000:03:00.0");
	assert_int_equal(r[0].match.vendor, TENANT_ANY);
	assert_int_equal(r[0].vfs, 7);
	assert_int_equal(r[0].keep, 1);
	assert_int_equal(r[0].line, 3);
	assert_int_equal(r[1].match.vendor, 0x8086);
	assert_int_equal(r[1].match.device, 0x10c9);
	assert_int_equal(r[1].match.numa, 1);
	assert_string_equal(r[1].match.name, "enp3s0f1");
	assert_string_equal(r[1].match.root_port, "0000:00:01.0");
	assert_int_equal(r[1].vfs, SRIOV_UNKNOWN);
	assert_int_equal(f->n_tenants, 2);
	assert_string_equal(a->name, "acme");
	assert_int_equal(a->line, 22);
	assert_int_equal(a->vfs, 2);
	assert_true(a->set.has_vlan && a->set.has_qos && a->set.has_proto && a->set.has_max &&
		    a->set.has_min && a->set.has_spoof && a->set.has_trust && a->set.has_link);
	assert_int_equal(a->set.to.vlan, 100);
	assert_int_equal(a->set.to.qos, 3);
	assert_int_equal(a->set.to.proto, 0x88a8);
	assert_int_equal(a->set.to.max_tx_mbit, 1000);
	assert_int_equal(a->set.to.min_tx_mbit, 100);
	assert_true(a->set.to.spoof_check && !a->set.to.trust);
	assert_true(a->mac_auto && a->spread && !a->exclusive);
	assert_int_equal(a->numa, 0);
	assert_string_equal(a->driver, "vfio-pci");
	assert_string_equal(z->name, "zeta");
	assert_false(z->mac_auto);
	assert_int_equal(z->n_macs, 2);
	assert_int_equal(z->macs[1][5], 2);
	assert_true(!z->set.to.spoof_check && z->set.to.trust && z->exclusive && !z->spread);
	assert_int_equal(z->set.to.link, VF_LINK_ON);
	assert_int_equal(z->numa, TENANT_ANY);
}

static void every_key_is_taken(void **state)
{
	struct tenant_file *f = good(whole);

	check_whole(f);
	assert_string_equal(f->path, "t.yaml");
	tenant_file_free(f);
}

static void what_is_not_said_has_a_default(void **state)
{
	struct tenant_file *f = good("version: 1\ntenants: {acme: {}, b.2_x-Y: {mac: "
				     "02:00:00:00:00:01}}\n");

	assert_int_equal(f->n_rules, 0);
	assert_int_equal(f->tenants[0].vfs, 1);
	assert_true(f->tenants[0].mac_auto);
	assert_false(f->tenants[0].set.has_vlan || f->tenants[0].set.has_spoof);
	assert_int_equal(f->tenants[0].numa, TENANT_ANY);
	assert_string_equal(f->tenants[0].driver, "");
	assert_int_equal(f->tenants[1].n_macs, 1);
	tenant_file_free(f);
	f = good("version: 1\ntenants: {}\n");
	assert_int_equal(f->n_tenants, 0);
	tenant_file_free(f);
}

static void booleans_are_yaml_1_1(void **state)
{
	static const struct {
		const char *word;
		bool on;
	} words[] = { { "on", 1 },    { "ON", 1 },    { "yes", 1 },   { "Yes", 1 },
		      { "true", 1 },  { "off", 0 },   { "Off", 0 },   { "no", 0 },
		      { "false", 0 }, { "FALSE", 0 }, { "\"on\"", 1 } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct tenant_file *f;
		char text[160];

		snprintf(text, sizeof(text), HEAD "    trust: %s\n    link: %s\n    spread: %s\n",
			 words[i].word, words[i].word, words[i].word);
		f = good(text);
		assert_int_equal(f->tenants[0].set.to.trust, words[i].on);
		assert_int_equal(f->tenants[0].spread, words[i].on);
		assert_int_equal(f->tenants[0].set.to.link, words[i].on ? VF_LINK_ON : VF_LINK_OFF);
		tenant_file_free(f);
	}
}

static void unknown_keys_name_the_near_one(void **state)
{
	bad(HEAD "    vlann: 100\n", 4, "did you mean 'vlan'?");
	bad(HEAD "    vfs: 1\n    spoofcheck: on\n", 5, "did you mean 'spoof_check'?");
	bad(HEAD "    colour: blue\n", 4, "there are: vfs, vlan,");
	bad("version: 1\ntenant:\n  acme: {}\n", 2, "did you mean 'tenants'?");
	bad("version: 1\npfs:\n  - match: {pci: \"03:00.0\", nmae: x}\ntenants: {}\n", 3,
	    "did you mean 'name'?");
	bad("version: 1\npfs:\n  - match: {numa: 0}\n    vf: 7\ntenants: {}\n", 4,
	    "did you mean 'vfs'?");
	bad(HEAD "    colour:\n      deep: 1\n", 4, "no key 'colour'");
}

static void duplicate_keys_name_both_lines(void **state)
{
	bad(HEAD "    vlan: 1\n    vfs: 1\n    vlan: 2\n", 6, "'vlan' twice, first in line 4");
	bad("version: 1\ntenants:\n  acme: {}\n  b: {}\n  acme: {}\n", 5,
	    "'acme' twice, first in line 3");
	bad("version: 1\nversion: 1\ntenants: {}\n", 2, "'version' twice");
}

static void duplicate_macs_name_both_tenants(void **state)
{
	bad(HEAD "    mac: 02:00:00:00:00:01\n  beta:\n    mac: 02:00:00:00:00:01\n", 6,
	    "tenant beta has the MAC 02:00:00:00:00:01, which tenant acme of line 4 has too");
	bad("version: 1\ntenants:\n  zeta:\n    mac: 02:00:00:00:00:0A\n  beta:\n    vfs: 2\n"
	    "    mac: [02:00:00:00:00:01, 02:00:00:00:00:0a]\n",
	    7, "which tenant zeta of line 4 has too");
	bad(HEAD "    vfs: 2\n    mac: [02:00:00:00:00:01, 02:00:00:00:00:01]\n", 5, "twice");
}

static void macs_that_are_none_are_refused(void **state)
{
	bad(HEAD "    mac: 01:00:5e:00:00:01\n", 4, "multicast");
	bad(HEAD "    mac: ff:ff:ff:ff:ff:ff\n", 4, "multicast");
	bad(HEAD "    mac: 00:00:00:00:00:00\n", 4, "zeros");
	bad(HEAD "    mac: 02:00:00:00:00\n", 4, "is no MAC address");
	bad(HEAD "    mac: automatic\n", 4, "is no MAC address");
	bad(HEAD "    vfs: 2\n    mac:\n      - 02:00:00:00:00:01\n      - 03:00:00:00:00:02\n", 7,
	    "multicast");
	bad(HEAD "    vfs: 2\n    mac: 02:00:00:00:00:01\n", 5, "2 VFs and 1 MACs");
	bad(HEAD "    vfs: 1\n    mac: []\n", 5, "list is empty");
	bad(HEAD "    vfs: 1\n    mac: {a: b}\n", 5, "has to be a list");
}

static void values_out_of_range_are_refused(void **state)
{
	bad(HEAD "    vlan: 4095\n", 4, "vlan: '4095' is not a number from 0 (none) to 4094");
	bad(HEAD "    vlan: -1\n", 4, "'-1' is not");
	bad(HEAD "    vlan: 0x64\n", 4, "'0x64' is not");
	bad(HEAD "    vlan: 0100\n", 4, "octal");
	bad(HEAD "    vlan:\n", 4, "has no value");
	bad(HEAD "    vlan: [1, 2]\n", 4, "is a list");
	bad(HEAD "    vlan: 1\n    qos: 8\n", 5, "from 0 to 7");
	bad(HEAD "    vlan: 1\n    proto: 802.1x\n", 5, "802.1Q or 802.1ad");
	bad(HEAD "    max_tx_mbit: 4294967296\n", 4, "is not a number of Mbit/s");
	bad(HEAD "    trust: maybe\n", 4, "on or off");
	bad(HEAD "    link: up\n", 4, "auto, on or off");
	bad(HEAD "    vfs: 0\n", 4, "from 1 to 65535");
	bad(HEAD "    vfs: 65536\n", 4, "from 1 to 65535");
	bad(HEAD "    vfs: 2K\n", 4, "is not a number");
	bad(HEAD "    numa: -1\n", 4, "is not a number");
	bad(HEAD "    driver: ../x\n", 4, "cannot be a driver's name");
	bad(HEAD "    spread: 2\n", 4, "neither on nor off");
}

static void values_that_do_not_go_together_are_refused(void **state)
{
	bad(HEAD "    min_tx_mbit: 200\n    max_tx_mbit: 100\n", 5, "minimum rate of 200");
	bad(HEAD "    qos: 3\n", 4, "needs a VLAN");
	bad(HEAD "    vlan: 0\n    proto: 802.1ad\n", 5, "needs a VLAN");
	bad(HEAD "    exclusive: on\n", 3, "exclusive is about a VLAN");
	tenant_file_free(good(HEAD "    min_tx_mbit: 200\n"));
	tenant_file_free(good(HEAD "    min_tx_mbit: 200\n    max_tx_mbit: 200\n"));
}

static void a_vlan_of_an_exclusive_tenant_has_one_owner(void **state)
{
	bad(HEAD "    vlan: 7\n    exclusive: on\n  beta:\n    vlan: 7\n", 7,
	    "tenant beta has VLAN 7, tenant acme of line 4 too, and acme wants it exclusive");
	bad(HEAD "    vlan: 7\n  beta:\n    vlan: 7\n    exclusive: on\n", 6,
	    "tenant beta has VLAN 7, tenant acme of line 4 too, and beta wants it exclusive");
	tenant_file_free(good(HEAD "    vlan: 7\n  beta:\n    vlan: 7\n"));
	tenant_file_free(good(HEAD "    vlan: 7\n    exclusive: on\n  beta:\n    vlan: 7\n"
				   "    proto: 802.1ad\n"));
	tenant_file_free(good(HEAD "    vlan: 7\n    exclusive: off\n  beta:\n    vlan: 7\n"));
}

static void names_of_tenants_can_be_file_names(void **state)
{
	char text[128];

	bad("version: 1\ntenants:\n  ../etc: {}\n", 3, "cannot be a tenant's name");
	bad("version: 1\ntenants:\n  .hidden: {}\n", 3, "cannot be a tenant's name");
	bad("version: 1\ntenants:\n  'a b': {}\n", 3, "cannot be a tenant's name");
	bad("version: 1\ntenants:\n  gr\xc3\xbcn: {}\n", 3, "cannot be a tenant's name");
	bad("version: 1\ntenants:\n  \"a\\nb\": {}\n", 3, "cannot be a tenant's name");
	bad("version: 1\ntenants:\n  \"a\\0b\": {}\n", 3, "NUL");
	snprintf(text, sizeof(text), "version: 1\ntenants:\n  %064d: {}\n", 1);
	bad(text, 3, "too long");
	snprintf(text, sizeof(text), "version: 1\ntenants:\n  %063d: {}\n", 1);
	tenant_file_free(good(text));
}

static void rules_of_pfs_are_checked(void **state)
{
#define PFS(x) "version: 1\npfs:\n" x "tenants: {}\n"
	bad(PFS("  - vfs: 7\n"), 3, "without match");
	bad(PFS("  - match: {}\n"), 3, "match is empty");
	bad(PFS("  - match: {pci: lab0}\n"), 3, "is no PCI address");
	bad(PFS("  - match: {name: \"a/b\"}\n"), 3, "cannot be a netdev's name");
	bad(PFS("  - match: {name: \"a b\"}\n"), 3, "cannot be a netdev's name");
	bad(PFS("  - match: {vendor: Intel}\n"), 3, "is no PCI number");
	bad(PFS("  - match: {device: 0x10c9f}\n"), 3, "is no PCI number");
	bad(PFS("  - match: {numa: 0}\n    vfs: 2\n    keep: 3\n"), 3, "keep is 3 and vfs only 2");
	bad(PFS("  - match: {numa: 0}\n    vfs: 70000\n"), 4, "from 0 to 65535");
	bad(PFS("  - match: {numa: 0}\n  - match: {numa: 0}\n"), 4, "the match of line 3 again");
	bad(PFS("  match: {numa: 0}\n"), 3, "has to be a list");
	bad(PFS("  - lab0\n"), 3, "has to be a mapping");
	bad("version: 1\npfs: []\ntenants: {}\n", 2, "pfs is empty");
}

static void files_that_are_none_are_refused(void **state)
{
	char deep[64];

	bad("", 1, "empty");
	bad("# nothing\n", 1, "empty");
	bad("tenants: {}\n", 1, "version is missing");
	bad("version: 1\n", 1, "tenants is missing");
	bad("version: 2\ntenants: {}\n", 1, "'2' is not known here");
	bad("version: 1\ntenants:\n", 2, "has to be a mapping");
	bad("version: 1\ntenants: [acme]\n", 2, "has to be a mapping");
	bad("- version: 1\n", 1, "has to be a mapping");
	bad("version: 1\ntenants:\n\tacme: {}\n", 3, "a tab");
	bad("version: 1\ntenants: {}\n---\nversion: 1\ntenants: {}\n", 3, "second document");
	bad("version: 1\ntenants:\n  acme: &a {vfs: 1}\n  beta: *a\n", 4, "alias");
	bad("version: 1\ntenants:\n  acme: !!map {}\n", 3, "tag");
	bad("version: 1\ntenants:\n  acme: {vfs: 1\n", 4, "");
	bad("version: 1\ntenants:\n  a\xff: {}\n", 3, "UTF-8");
	bad_bytes("\xff\xfev\0e\0r\0", 8, 1, "UTF-8");
	bad_bytes("version: 1\ntenants: {}\n\0", 24, 3, "");
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	bad(deep, 1, "too many levels");
}

static char *filled(size_t size, const char *head, const char *unit)
{
	char *text = malloc(size + strlen(head) + strlen(unit) + 1), *at = text;

	at = stpcpy(at, head);
	while ((size_t)(at - text) < size)
		at = stpcpy(at, unit);
	return text;
}

static void huge_and_deep_files_end_soon(void **state)
{
	char path[] = "/tmp/fourlane-conf-XXXXXX", *text;
	struct tenant_file *f = NULL;
	int fd = mkstemp(path);

	text = filled(YAML_FILE_MAX, "version: 1\ntenants: ", "[");
	bad(text, 2, "too many levels");
	free(text);
	text = filled(500000, "version: 1\ntenants: {", "a: {}, ");
	bad(text, 3, ""); /* no end */
	strcpy(text + strlen(text) - 2, "}");
	bad(text, 2, "'a' twice");
	free(text);
	text = filled(YAML_FILE_MAX + 10, "version: 1\n", "# more\n");
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	free(text);
	n_said = 0;
	assert_int_equal(tenant_file_load(path, &f), -EINVAL);
	assert_non_null(strstr(said, "longer than 1024 KiB"));
	unlink(path);
	assert_int_equal(tenant_file_load(path, &f), -ENOENT);
	assert_int_equal(tenant_file_load("/tmp", &f), -EISDIR);
	assert_int_equal(n_said, 3);
	assert_null(f);
}

static void a_file_says_its_own_name(void **state)
{
	char path[] = "/tmp/fourlane-conf-XXXXXX", where[64];
	struct tenant_file *f = NULL;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, "version: 1\nx: 1\n", 16), 16);
	close(fd);
	snprintf(where, sizeof(where), "%s:2: ", path);
	assert_int_equal(tenant_file_load(path, &f), -EINVAL);
	assert_int_equal(strncmp(said, where, strlen(where)), 0);
	unlink(path);
}

static void the_json_form_comes_back_as_it_was(void **state)
{
	struct tenant_file *f = good(whole), *again = NULL;
	json_t *o = tenant_file_to_json(f), *twice;

	assert_int_equal(tenant_file_from_json(o, &again), 0);
	check_whole(again);
	twice = tenant_file_to_json(again);
	assert_true(json_equal(o, twice));
	assert_string_equal(again->path, "t.yaml");
	json_decref(o);
	json_decref(twice);
	tenant_file_free(f);
	tenant_file_free(again);
}

/* Every value of the JSON form replaced, by every kind of value that it cannot be. */
static void broken_json_is_refused(void **state)
{
	static const char *const wrong[] = { "null",   "-2",         "70000000000",
					     "\"..\"", "{\"x\": 1}", "[[]]" };
	struct tenant_file *f = good(whole), *out = NULL;
	json_t *o = tenant_file_to_json(f), *want, *v, *keep;
	const char *key;
	void *tmp;

	want = json_array_get(json_object_get(o, "tenants"), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *w = json_loads(wrong[i], JSON_DECODE_ANY, NULL);

		json_object_foreach_safe(want, tmp, key, v) {
			if (!strcmp(key, "spread") || !strcmp(key, "exclusive"))
				continue;
			keep = json_incref(v);
			json_object_set(want, key, w);
			if (tenant_file_from_json(o, &out) != -EINVAL)
				fail_msg("%s: %s was taken", key, wrong[i]);
			assert_null(out);
			json_object_set_new(want, key, keep);
		}
		json_decref(w);
	}
	json_array_append(json_object_get(o, "tenants"), want);
	assert_int_equal(tenant_file_from_json(o, &out), -EINVAL);
	json_object_set_new(o, "version", json_integer(2));
	assert_int_equal(tenant_file_from_json(o, &out), -EINVAL);
	assert_int_equal(tenant_file_from_json(NULL, &out), -EINVAL);
	assert_int_equal(n_said, 0);
	json_decref(o);
	tenant_file_free(f);
}

int main(void)
{
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_key_is_taken),
		T(what_is_not_said_has_a_default),
		T(booleans_are_yaml_1_1),
		T(unknown_keys_name_the_near_one),
		T(duplicate_keys_name_both_lines),
		T(duplicate_macs_name_both_tenants),
		T(macs_that_are_none_are_refused),
		T(values_out_of_range_are_refused),
		T(values_that_do_not_go_together_are_refused),
		T(a_vlan_of_an_exclusive_tenant_has_one_owner),
		T(names_of_tenants_can_be_file_names),
		T(rules_of_pfs_are_checked),
		T(files_that_are_none_are_refused),
		T(huge_and_deep_files_end_soon),
		T(a_file_says_its_own_name),
		T(the_json_form_comes_back_as_it_was),
		T(broken_json_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

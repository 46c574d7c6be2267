/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: the tenants' file. What is taken must be within the bounds of the format, and must
 * come back from its JSON form as it was; what is refused must have been said in one line that
 * names file and line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "sriov/tenant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int fuzz_seeds(size_t i, const uint8_t **data, size_t *size);

static void expect(bool good)
{
	if (!good)
		abort();
}

static void hear(void *opaque, const char *line)
{
	unsigned int *n = opaque, at;

	expect(sscanf(line, "fourlane: f:%u: ", &at) == 1 && at);
	++*n;
}

static void fuzz_tenant(const struct tenant_want *w)
{
	const struct vf_settings *s = &w->set.to;

	expect(w->name[0] && memchr(w->name, '\0', sizeof(w->name)) && !strchr(w->name, '/'));
	expect(w->vfs && w->vfs <= SRIOV_MAX_VFS);
	expect(s->vlan <= 4094 && s->qos <= 7 && s->link <= VF_LINK_OFF);
	expect(!s->max_tx_mbit || s->min_tx_mbit <= s->max_tx_mbit);
	expect(w->mac_auto ? !w->n_macs : w->n_macs == w->vfs);
	for (unsigned int i = 0; i < w->n_macs; i++)
		expect(!(w->macs[i][0] & 1));
	expect(memchr(w->driver, '\0', sizeof(w->driver)) && !strchr(w->driver, '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tenant_file *f = NULL, *again = NULL;
	unsigned int n_said = 0;
	json_t *o, *twice;
	int ret;

	err_set_sink(hear, &n_said);
	ret = tenant_file_parse("f", (const char *)data, size, &f);
	err_set_sink(NULL, NULL);
	expect(n_said == (ret < 0) && !f == (ret < 0));
	if (ret < 0)
		return 0;
	for (size_t i = 0; i < f->n_tenants; i++) {
		fuzz_tenant(&f->tenants[i]);
		expect(!i || strcmp(f->tenants[i - 1].name, f->tenants[i].name) < 0);
	}
	o = tenant_file_to_json(f);
	expect(o && tenant_file_from_json(o, &again) == 0);
	twice = tenant_file_to_json(again);
	expect(json_equal(o, twice));
	json_decref(o);
	json_decref(twice);
	tenant_file_free(f);
	tenant_file_free(again);
	return 0;
}

/* --- seeds: files that are taken; the mutations are not --- */
static const char *const seeds[] = {
	"version: 1\npfs:\n  - match: {pci: \"0000:03:00.0\", vendor: 0x8086}\n    vfs: 7\n"
	"    keep: 1\ntenants:\n  acme:\n    vfs: 2\n    vlan: 100\n    qos: 3\n"
	"    proto: 802.1ad\n    mac: auto\n    max_tx_mbit: 1000\n    min_tx_mbit: 100\n"
	"    spoof_check: on\n    trust: off\n    link: auto\n    numa: 0\n    driver: vfio-pci\n"
	"    spread: true\n",
	"version: 1\ntenants:\n  a: {vfs: 2, mac: [02:00:00:00:00:01, 02:00:00:00:00:02]}\n"
	"  b: {vlan: 7, exclusive: on, driver: none}\n  c: {vlan: 8, link: off}\n",
	"version: 1\npfs:\n- match:\n    name: lab0\n    numa: 1\n    root_port: 00:01.0\n"
	"    device: 10c9\ntenants: {}\n",
};

int fuzz_seeds(size_t i, const uint8_t **data, size_t *size)
{
	if (i >= sizeof(seeds) / sizeof(seeds[0]))
		return 0;
	*data = (const uint8_t *)seeds[i];
	*size = strlen(seeds[i]);
	return 1;
}

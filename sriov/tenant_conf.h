/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tenant_conf*.c share: reading the tenants' file, and what values have to be together. */
#ifndef SRIOV_TENANT_CONF_H
#define SRIOV_TENANT_CONF_H

#include "sriov/tenant.h"
#include "sriov/tenant_yaml.h"

#define TENANT_MAX_RULES   256
#define TENANT_MAX_TENANTS 4096

struct tenant_conf {
	struct tenant_file *f;
	bool has_version, has_tenants;
};

/* What a tenant is about whom the file says nothing but the name. */
void tenant_conf_defaults(struct tenant_want *w);
bool tenant_conf_name_ok(const char *name);
bool tenant_conf_driver_ok(const char *driver);

/* -EINVAL after a message. */
int tenant_conf_check_rule(const struct tenant_yaml *y, const struct tenant_file *f,
			   const struct tenant_pf_rule *r);
int tenant_conf_check_tenant(const struct tenant_yaml *y, const struct tenant_want *w);
/* tenant_conf_check - all tenants together; sorts them. */
int tenant_conf_check(const struct tenant_yaml *y, struct tenant_file *f);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A tenants' store in a made-up host's state folder, and a plan of 40 steps and 4 slots for it. */
#ifndef TESTS_UNIT_HELPER_STORE_H
#define TESTS_UNIT_HELPER_STORE_H

#include "helper_sriov.h"
#include "sriov/tenant_store_priv.h"

#define STORE_STEPS 40
#define STORE_SLOTS 4

/* store_plan - the same plan every time; never freed. */
const struct tenant_plan *store_plan(void);
/* store_file - path of the store with a suffix ("", "-wal"). Static buffer. */
const char *store_file(struct fake_nic *f, const char *suffix);
/* store_files - entries of the state folder, with "." and "..". */
unsigned int store_files(struct fake_nic *f);
/* These assert that they succeed. unfinished: 1 while a whole transaction is under way. */
struct tenant_store *store_open(struct fake_nic *f, enum tenant_store_mode mode);
size_t store_n_slots(const struct tenant_store *st);
int store_unfinished(const struct tenant_store *st);

#endif

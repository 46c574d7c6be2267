/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up host for the tests of assign: the tree of helper_vfio_tree.h with a NIC in it, answers
 * to what assign asks of the network and of disks, and every message caught.
 */
#ifndef HELPER_VFIO_ASSIGN_H
#define HELPER_VFIO_ASSIGN_H

#include <stdbool.h>

#include "helper_vfio_tree.h"
#include "vfio/vfio.h"

#define NIC      "0000:01:00.0"
#define NIC2     "0000:01:00.1"
#define NIC_PATH "sys/devices/pci0000:00/" NIC

struct host {
	struct tree t;
	struct tree_kernel k;
	struct vfio_sys s;
	const char *address_of, *route_of; /* interfaces that have one; "" for none */
	const char *claimed;               /* disk that is */
	int ask_error;                     /* what network and disks answer instead, when not 0 */
	bool no_node;                      /* no node appears for what is bound to vfio-pci */
	bool noiommu;                      /* what is bound joins a group 9 that VFIO makes up */
	volatile int *busy; /* set while the kernel's side of a write runs, or NULL */
	char said[8192];    /* messages, a line each */
	char steps[8192];   /* vfio_sys.step: "what path text", a line each */
	char writes[4096];  /* what the kernel got: "path text", a line each */
};

/* For cmocka_unit_test_setup_teardown(): *state is a struct host. */
int host_setup(void **state);
int host_teardown(void **state);

int host_assign(struct host *h, const char *a, const char *b, unsigned int flags);
int host_unassign(struct host *h, const char *a);
/* host_netdev - an interface of the NIC; sub is the folder between ("", "/virtio3"). */
void host_netdev(struct host *h, const char *name, const char *sub);
/* host_config - config space with a serial number of its own in an extended capability. */
void host_config(struct host *h, const char *bdf, unsigned char serial);

void assert_driver(struct host *h, const char *bdf, const char *driver);
void assert_override(struct host *h, const char *bdf, const char *want);
bool has_record(struct host *h, const char *bdf);
bool is_kept(struct host *h, const char *bdf);
/* assert_as_before - the NIC is igb's and nothing is on record. */
void assert_as_before(struct host *h);
void assert_said(struct host *h, const char *words);
/* refused_unless_forced - the NIC, for that reason. */
void refused_unless_forced(struct host *h, const char *why);

#endif

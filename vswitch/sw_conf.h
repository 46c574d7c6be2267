/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a switch is told: one YAML file at its start, one JSON object for each `port add`. Both end
 * in the same checks. For main_switch.c and sw_ctl.c.
 */
#ifndef VSWITCH_SW_CONF_H
#define VSWITCH_SW_CONF_H

#include "vswitch/switch.h"

enum sw_huge { SW_HUGE_AUTO, SW_HUGE_ON, SW_HUGE_OFF };

struct sw_conf {
	char name[DP_NAME_MAX];
	unsigned int n_workers; /* 0: not told, until sw_conf_check() */
	int cpu[DP_MAX_WORKERS];
	unsigned int n_cpus;
	enum sw_huge huge;
	unsigned int memory_mb;
	unsigned int fdb_entries, fdb_age_s;
	struct sw_port_conf *port; /* n_ports, allocated */
	unsigned int n_ports;
};

/* sw_conf_default - what a switch is without a file. sw_conf_free - what load allocated. */
void sw_conf_default(struct sw_conf *c);
void sw_conf_free(struct sw_conf *c);

/*
 * sw_conf_load - adds what the file says to *c. -EINVAL after a message that names the file and
 * what is wrong in it (unknown keys too), other negative errno after a message.
 */
int sw_conf_load(const char *file, struct sw_conf *c);

/* The same checks for words of the command line. -EINVAL after a message. */
int sw_conf_set_name(struct sw_conf *c, const char *name);
int sw_conf_set_workers(struct sw_conf *c, const char *n);
int sw_conf_set_cpus(struct sw_conf *c, char *const *cpu, unsigned int n);
int sw_conf_set_huge(struct sw_conf *c, const char *word);
int sw_conf_set_memory(struct sw_conf *c, const char *mb);

/* sw_conf_check - what file and words make together; fills in the number of workers. -EINVAL. */
int sw_conf_check(struct sw_conf *c);

/* sw_port_conf_from_json - the parameters of port.add. -EINVAL after a message. */
int sw_port_conf_from_json(const json_t *o, struct sw_port_conf *c);

#endif

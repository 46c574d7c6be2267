/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See cpu_pin.h. Reads the list and compares it with the CPUs that this process may use
 * (sched_getaffinity(2): what taskset, cpuset and CPUs that are off left over). Called by
 * cmd_run.c; the monitor's threads are put there by kvm_vcpu.c and io.c.
 */
#include "core/cpu_pin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

/* A number in front of *p, which is moved behind it. -1: none, or no CPU has it. */
static int pin_number(const char **p)
{
	unsigned long n;
	char *end;

	if (**p < '0' || **p > '9')
		return -1;
	n = strtoul(*p, &end, 10);
	*p = end;
	return n < CPU_SETSIZE ? (int)n : -1;
}

/* One item; *p is moved to the ',' or the end behind it. */
static int pin_item(const char **p, struct cpu_pin *out)
{
	int first, last;

	if (!strncmp(*p, "io:", 3)) {
		*p += 3;
		if (out->io >= 0 || (out->io = pin_number(p)) < 0)
			return -EINVAL;
		return **p && **p != ',' ? -EINVAL : 0;
	}
	first = last = pin_number(p);
	if (first >= 0 && **p == '-') {
		(*p)++;
		last = pin_number(p);
	}
	if (first < 0 || last < first || (**p && **p != ','))
		return -EINVAL;
	for (int cpu = first; cpu <= last; cpu++) {
		if (out->n == CPU_PIN_MAX)
			return -EINVAL;
		out->vcpu[out->n++] = cpu;
	}
	return 0;
}

int cpu_pin_parse(const char *text, unsigned int n_vcpus, struct cpu_pin *out)
{
	const char *p = text;
	int ret;

	*out = (struct cpu_pin){ .io = -1 };
	while ((ret = pin_item(&p, out)) == 0 && *p)
		p++;
	if (ret < 0)
		return err_ret(ret,
			       "run: --pin '%s' is no list of host CPUs; write it like 2,4-6,io:1",
			       text);
	if (out->n && out->n != n_vcpus)
		return err_ret(-EINVAL,
			       "run: --pin '%s' has %u CPUs for the vCPUs, the guest has %u; give "
			       "one for each",
			       text, out->n, n_vcpus);
	return 0;
}

/* "0-3,8" */
static void pin_print_set(const cpu_set_t *set, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < CPU_SETSIZE && len < size; i++) {
		int end = i;

		if (!CPU_ISSET(i, set))
			continue;
		while (end + 1 < CPU_SETSIZE && CPU_ISSET(end + 1, set))
			end++;
		len += (size_t)snprintf(buf + len, size - len, end > i ? "%s%d-%d" : "%s%d",
					len ? "," : "", i, end);
		i = end;
	}
}

int cpu_pin_check(const struct cpu_pin *pin, const cpu_set_t *allowed)
{
	int bad = pin->io >= 0 && !CPU_ISSET(pin->io, allowed) ? pin->io : -1;
	char set[256];

	for (unsigned int i = pin->n; i-- > 0;)
		if (!CPU_ISSET(pin->vcpu[i], allowed))
			bad = pin->vcpu[i];
	if (bad < 0)
		return 0;
	pin_print_set(allowed, set, sizeof(set));
	return err_ret(-EOPNOTSUPP,
		       "run: --pin: host CPU %d may not be used here; choose among %s, or widen "
		       "that (taskset, cpuset)",
		       bad, set);
}

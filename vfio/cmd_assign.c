/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands `fourlane assign` and `fourlane unassign`: words in, vfio_assign(), vfio_restore()
 * or vfio_unassign() out, and what they did or would do as lines or as JSON. What they do is in
 * assign.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assign_priv.h"
#include "core/cmd.h"

#define UNIT      "fourlane-assign.service"
#define TIMEOUT_S 3600 /* the longest --timeout */

struct words {
	bool force, dry_run, json, persist, restore, no_iommu;
	const char *timeout;
};

/* One call: the functions, the driver that each had before, and the steps for --json. */
struct call {
	struct vfio_sys sys;
	char state[PATH_MAX];
	unsigned int flags;
	bool json;
	char (*bdf)[IOMMU_BDF_SIZE];
	char (*driver)[64];
	const char **list;
	size_t n, n_steps;
	json_t *steps;
};

/* --- the words ------------------------------------------------------------ */

/* argv[1..n] as sysfs spells them, each once. False after a message. */
static bool call_take_functions(struct call *k, const struct command *c, char **argv, int n)
{
	k->bdf = calloc((size_t)n + 1, sizeof(*k->bdf));
	if (!k->bdf)
		return false;
	for (int i = 1; i <= n; i++) {
		bool twice = false;

		if (iommu_bdf_parse(argv[i], k->bdf[k->n]) < 0) {
			cmd_usage(c,
				  "'%s' is no PCI address; write it like 0000:03:00.0 or 03:00.0",
				  argv[i]);
			return false;
		}
		for (size_t j = 0; j < k->n; j++)
			twice |= !strcmp(k->bdf[j], k->bdf[k->n]);
		k->n += !twice;
	}
	return true;
}

static int call_check_words(const struct command *c, const struct words *w, int n,
			    unsigned int *deadline_ms)
{
	unsigned long long s;

	if (w->restore && (n || w->persist || w->no_iommu))
		return cmd_usage(c, "--restore takes what --persist has kept, and no functions");
	if (!w->restore && !n)
		return cmd_usage(c, "which PCI function?");
	if (w->persist && w->no_iommu)
		return cmd_usage(c, "--unprotected-dma is for one boot, not for --persist");
	if (!w->timeout)
		return 0;
	if (cmd_number(w->timeout, 1, TIMEOUT_S, &s) < 0)
		return cmd_usage(c, "--timeout '%s': give seconds, 1 to %d", w->timeout, TIMEOUT_S);
	*deadline_ms = (unsigned int)s * 1000;
	return 0;
}

/* --- what is shown -------------------------------------------------------- */

static void call_step(void *opaque, const char *what, const char *path, const char *text)
{
	struct call *k = opaque;
	const char *shown = strcmp(text, "\n") ? text : "\\n"; /* clears driver_override */

	k->n_steps++;
	if (k->json)
		json_array_append_new(k->steps, json_pack("{s:s, s:s, s:s}", "do", what, "path",
							  path, "text", text));
	else if (!(k->flags & VFIO_ASSIGN_DRY_RUN))
		return;
	else if (!strcmp(what, "remove"))
		printf("would remove %s\n", path);
	else if (!strcmp(what, "load"))
		printf("would load the module %s\n", text);
	else
		printf("would %s '%s' %s %s\n", what, shown, !strcmp(what, "store") ? "in" : "to",
		       path);
}

static json_t *call_function(const struct call *k, size_t i)
{
	char now[64], node[PATH_MAX];
	struct assign_kept kept;
	int group = iommu_group_of(k->sys.sysfs, k->bdf[i]);
	bool has_node = assign_node(&k->sys, k->bdf[i], node, sizeof(node));

	assign_driver(&k->sys, k->bdf[i], now, sizeof(now));
	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:b}", "bdf", k->bdf[i], "iommu_group",
			 group < 0 ? json_null() : json_integer(group), "driver_before",
			 k->driver[i], "driver", now, "node",
			 has_node && iommu_driver_is_vfio(now) ? json_string(node) : json_null(),
			 "persist", assign_keep_load(&k->sys, k->bdf[i], &kept) == 0);
}

static int call_show_json(const struct call *k)
{
	json_t *all = json_array(), *o;

	for (size_t i = 0; i < k->n; i++)
		json_array_append_new(all, call_function(k, i));
	o = json_pack("{s:i, s:b, s:o, s:O}", "version", 1, "dry_run",
		      (k->flags & VFIO_ASSIGN_DRY_RUN) != 0, "functions", all, "steps", k->steps);
	if (!o)
		return -ENOMEM;
	json_dumpf(o, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(o);
	return 0;
}

static int call_show(const struct call *k)
{
	char now[64], node[PATH_MAX];

	if (k->json)
		return call_show_json(k);
	if (k->flags & VFIO_ASSIGN_DRY_RUN) {
		if (!k->n_steps)
			printf("nothing to do\n");
		return 0;
	}
	for (size_t i = 0; i < k->n; i++) {
		assign_driver(&k->sys, k->bdf[i], now, sizeof(now));
		printf("%s: %s", k->bdf[i], now[0] ? now : "no driver");
		if (strcmp(now, k->driver[i]))
			printf(" (was %s)", k->driver[i][0] ? k->driver[i] : "no driver");
		if (iommu_driver_is_vfio(now) &&
		    assign_node(&k->sys, k->bdf[i], node, sizeof(node)))
			printf(", %s", node);
		printf("\n");
	}
	return 0;
}

/* Whoever keeps a function wants to know that nothing would take it at boot. */
static void call_warn_unit(const struct call *k)
{
	if ((k->flags & VFIO_ASSIGN_KEEP) && !(k->flags & VFIO_ASSIGN_DRY_RUN) &&
	    access("/etc/systemd/system/multi-user.target.wants/" UNIT, F_OK) < 0)
		err_say("assigning: kept on record, but " UNIT " is not enabled; run 'systemctl "
			"enable " UNIT "', or 'fourlane assign --restore' at boot before "
			"networking");
}

/* --- the call ------------------------------------------------------------- */

static int call_prepare(struct call *k)
{
	k->driver = calloc(k->n + 1, sizeof(*k->driver));
	k->list = calloc(k->n + 1, sizeof(*k->list));
	k->steps = json_array();
	if (!k->driver || !k->list || !k->steps)
		return -ENOMEM;
	for (size_t i = 0; i < k->n; i++) {
		k->list[i] = k->bdf[i];
		assign_driver(&k->sys, k->bdf[i], k->driver[i], sizeof(k->driver[i]));
	}
	return 0;
}

static int call_act(struct call *k, const struct words *w, bool back)
{
	int ret = w->restore ? vfio_kept(&k->sys, &k->bdf, &k->n) : 0;

	if (ret == 0)
		ret = call_prepare(k);
	if (ret < 0)
		return ret;
	if (w->restore)
		ret = vfio_restore(&k->sys, k->flags);
	else if (back)
		ret = vfio_unassign(&k->sys, k->list, k->n, k->flags);
	else
		ret = vfio_assign(&k->sys, k->list, k->n, k->flags);
	if (ret < 0)
		return ret;
	call_warn_unit(k);
	return call_show(k);
}

static int call_run(const struct command *c, int argc, char **argv, const struct cmd_option *opts,
		    struct words *w, bool back)
{
	struct call k = { 0 };
	unsigned int deadline_ms = 0;
	int n = cmd_options(c, argc, argv, opts, false), ret;

	if (n < 0 || call_check_words(c, w, n, &deadline_ms) != 0)
		return FL_USAGE;
	k.json = w->json;
	k.flags = (w->force ? VFIO_ASSIGN_FORCE : 0) | (w->dry_run ? VFIO_ASSIGN_DRY_RUN : 0) |
		  (w->persist ? VFIO_ASSIGN_KEEP : 0) | (w->no_iommu ? VFIO_ASSIGN_NO_IOMMU : 0);
	if (!w->restore && !call_take_functions(&k, c, argv, n)) {
		free(k.bdf);
		return FL_USAGE;
	}
	ret = vfio_sys_real(&k.sys, k.state, sizeof(k.state));
	if (ret == 0) {
		k.sys.deadline_ms = deadline_ms ? deadline_ms : k.sys.deadline_ms;
		k.sys.step = call_step;
		k.sys.opaque = &k;
		ret = call_act(&k, w, back);
	}
	free(k.bdf);
	free(k.driver);
	free(k.list);
	json_decref(k.steps);
	return ret;
}

static const struct command assign_command, unassign_command;

static int assign_run(int argc, char **argv)
{
	struct words w = { 0 };
	const struct cmd_option opts[] = { { .name = "force", .flag = &w.force },
					   { .name = "dry-run", .flag = &w.dry_run },
					   { .name = "json", .flag = &w.json },
					   { .name = "persist", .flag = &w.persist },
					   { .name = "restore", .flag = &w.restore },
					   { .name = "unprotected-dma", .flag = &w.no_iommu },
					   { .name = "timeout", .value = &w.timeout },
					   { 0 } };

	return call_run(&assign_command, argc, argv, opts, &w, false);
}

static int unassign_run(int argc, char **argv)
{
	struct words w = { 0 };
	const struct cmd_option opts[] = { { .name = "dry-run", .flag = &w.dry_run },
					   { .name = "json", .flag = &w.json },
					   { .name = "timeout", .value = &w.timeout },
					   { 0 } };

	return call_run(&unassign_command, argc, argv, opts, &w, true);
}

static const struct command assign_command = {
	.name = "assign",
	.group = CMD_ASSIGN,
	.summary = "take PCI functions from the host, for guests",
	.usage =
		"BDF... [--persist] [--force] [--timeout SECONDS] [--unprotected-dma] [--dry-run] "
		"[--json]\n"
		"       fourlane assign --restore [--force] [--timeout SECONDS] [--dry-run] "
		"[--json]\n"
		"\n"
		"Binds PCI functions to vfio-pci and remembers the driver that each had. All "
		"functions of an IOMMU\n"
		"group go together. Refused is what the host has in use: a NIC with an address or "
		"a route (itself or by\n"
		"a bridge, bond or VLAN on it) or with virtual functions, a disk that is mounted, "
		"swapped to, part of\n"
		"another device or open, the console's display, keyboard or serial line.\n"
		"  --persist   take them again after a reboot (fourlane-assign.service), if the "
		"same device is there\n"
		"  --restore   take what --persist has kept; for that service\n"
		"  --force     also take what is in use\n"
		"  --timeout SECONDS\n"
		"              how long to wait for a driver to let go and for the vfio node (10)\n"
		"  --unprotected-dma\n"
		"              also without an IOMMU, in VFIO's no-IOMMU mode: whoever has the "
		"function can then read\n"
		"              and write all memory of this host\n"
		"  --dry-run   say what would be written where, change nothing\n"
		"  --json      what was done, as JSON\n"
		"Example: fourlane assign 0000:03:00.0 && fourlane run ... --nic "
		"vfio,host=0000:03:00.0\n",
	.run = assign_run,
};
COMMAND(&assign_command);

static const struct command unassign_command = {
	.name = "unassign",
	.group = CMD_ASSIGN,
	.summary = "give PCI functions back to their drivers",
	.usage = "BDF... [--timeout SECONDS] [--dry-run] [--json]\n"
		 "\n"
		 "Puts back the driver that 'fourlane assign' found, also after a crash of it or "
		 "of a guest, and\n"
		 "forgets --persist. A function that a running guest has open is refused.\n"
		 "  --timeout SECONDS\n"
		 "              how long to wait for the driver to take it (10)\n"
		 "  --dry-run   say what would be written where, change nothing\n"
		 "  --json      what was done, as JSON\n",
	.run = unassign_run,
};
COMMAND(&unassign_command);

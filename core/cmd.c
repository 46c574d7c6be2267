/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command table of `fourlane` (see cmd.h): finds a command, answers help and version, reads
 * options.
 */
#include "core/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/version.h"

REGISTRY(fl_commands, struct command);

static const char *const group_title[] = {
	[CMD_LOOK] = "Look",         [CMD_CARVE] = "Carve",       [CMD_ASSIGN] = "Assign",
	[CMD_RUN] = "Run",           [CMD_SWITCH] = "Switch",     [CMD_MEASURE] = "Measure",
	[CMD_REHEARSE] = "Rehearse", [CMD_INTERNAL] = "Internal",
};

size_t cmd_count(void)
{
	struct command const *const *it;
	size_t n = 0;

	REGISTRY_FOREACH(fl_commands, it)
		n++;
	return n;
}

static bool cmd_before(const struct command *a, const struct command *b)
{
	return a->group != b->group ? a->group < b->group : strcmp(a->name, b->name) < 0;
}

const struct command *cmd_at(size_t i)
{
	struct command const *const *it, *const *other;

	REGISTRY_FOREACH(fl_commands, it) {
		size_t rank = 0;

		REGISTRY_FOREACH(fl_commands, other)
			rank += cmd_before(*other, *it);
		if (rank == i)
			return *it;
	}
	return NULL;
}

const struct command *cmd_find(const char *name)
{
	struct command const *const *it;

	REGISTRY_FOREACH(fl_commands, it)
		if (!strcmp((*it)->name, name))
			return *it;
	return NULL;
}

static void cmd_list(void)
{
	const struct command *c;
	int group = -1;

	printf("fourlane gives a guest a NIC in every way there is, and measures which way is "
	       "worth it.\n\n"
	       "usage: fourlane COMMAND [ARGUMENTS]      fourlane help COMMAND      fourlane "
	       "--version\n");
	for (size_t i = 0; (c = cmd_at(i)); i++) {
		if (c->group == CMD_INTERNAL)
			continue;
		if ((int)c->group != group)
			printf("\n%s\n", group_title[c->group]);
		group = (int)c->group;
		printf("  %-10s %s\n", c->name, c->summary);
	}
	printf("\nExit status: 0 done, 1 failed, 2 wrong call, 3 this host lacks what it takes.\n");
}

static void cmd_show(const struct command *c)
{
	printf("usage: fourlane %s %s", c->name, c->usage);
}

static int cmd_help(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		cmd_list();
		return FL_DONE;
	}
	c = cmd_find(argv[1]);
	if (!c)
		return err_ret(FL_USAGE, "help: there is no command '%s'; see 'fourlane help'",
			       argv[1]);
	cmd_show(c);
	return FL_DONE;
}

static int cmd_dispatch(int argc, char **argv)
{
	const struct command *c = cmd_find(argv[0]);
	int ret;

	if (!c)
		return err_ret(FL_USAGE, "there is no command '%s'; see 'fourlane help'", argv[0]);
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		cmd_show(c);
		return FL_DONE;
	}
	ret = c->run(argc, argv);
	return ret < 0 ? err_to_exit(ret) : ret;
}

int cmd_main(int argc, char **argv)
{
	int ret;

	if (argc < 2) {
		err_say("no command was given; see 'fourlane help'");
		return FL_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
		printf("fourlane %s (%s)\n", fourlane_version, fourlane_revision);
		ret = FL_DONE;
	} else if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") ||
		   !strcmp(argv[1], "-h")) {
		ret = cmd_help(argc - 1, argv + 1);
	} else {
		ret = cmd_dispatch(argc - 1, argv + 1);
	}
	if (fflush(stdout) == EOF && ret == FL_DONE)
		ret = err_ret(FL_FAILED,
			      "writing the output: %s; is the disk full or the reader gone?",
			      strerror(errno));
	return ret;
}

int cmd_usage(const struct command *cmd, const char *why_fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, why_fmt);
	vsnprintf(why, sizeof(why), why_fmt, ap);
	va_end(ap);
	return err_ret(FL_USAGE, "%s: %s; see 'fourlane help %s'", cmd->name, why, cmd->name);
}

static int cmd_list_add(const char ***list, const char *value)
{
	size_t n = 0;
	const char **grown;

	while (*list && (*list)[n])
		n++;
	grown = realloc(*list, (n + 2) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[n] = value;
	grown[n + 1] = NULL;
	*list = grown;
	return 0;
}

/* One word that begins with "--". Gives how many words of argv it took, or -1 after a message. */
static int cmd_option(const struct command *cmd, char **argv, const struct cmd_option *opts)
{
	const char *word = argv[0] + 2, *eq = strchr(word, '='), *value;
	size_t len = eq ? (size_t)(eq - word) : strlen(word);
	const struct cmd_option *o;

	for (o = opts; o->name; o++)
		if (strlen(o->name) == len && !strncmp(o->name, word, len))
			break;
	if (!o->name)
		return cmd_usage(cmd, "there is no option --%.*s", (int)len, word), -1;
	if (o->flag) {
		if (eq)
			return cmd_usage(cmd, "--%s takes no value", o->name), -1;
		*o->flag = true;
		return 1;
	}
	value = eq ? eq + 1 : argv[1];
	if (!value)
		return cmd_usage(cmd, "--%s needs a value", o->name), -1;
	if (o->list) {
		if (cmd_list_add(o->list, value) < 0)
			return err_ret(-1, "%s: out of memory; free some", cmd->name);
	} else {
		*o->value = value;
	}
	return eq ? 1 : 2;
}

int cmd_options(const struct command *cmd, int argc, char **argv, const struct cmd_option *opts,
		bool stop_at_word)
{
	int n = 0, i = 1;

	while (i < argc) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (!strncmp(argv[i], "--", 2)) {
			int took = cmd_option(cmd, argv + i, opts);

			if (took < 0)
				return -1;
			i += took;
		} else if (argv[i][0] == '-' && argv[i][1]) {
			return cmd_usage(cmd, "there is no option %s", argv[i]), -1;
		} else if (stop_at_word) {
			break;
		} else {
			argv[++n] = argv[i++];
		}
	}
	while (i < argc)
		argv[++n] = argv[i++];
	argv[n + 1] = NULL;
	return n;
}

int cmd_number(const char *s, unsigned long long min, unsigned long long max,
	       unsigned long long *out)
{
	unsigned long long n, mul = 1;
	char *end;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno || end == s || *s == '-' || *s == '+' || *s == ' ')
		return -EINVAL;
	switch (*end) {
	case 'G': mul <<= 10; /* fallthrough */
	case 'M': mul <<= 10; /* fallthrough */
	case 'K':
		mul <<= 10;
		end++;
		break;
	}
	if (*end || (n && mul > ~0ull / n) || n * mul < min || n * mul > max)
		return -EINVAL;
	*out = n * mul;
	return 0;
}

int cmd_numbers(const char *text, unsigned long long min, unsigned long long max,
		unsigned long long *out, int room)
{
	char copy[256], *save = NULL;
	int n = 0;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return -EINVAL;
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
		if (n == room || cmd_number(w, min, max, &out[n++]) < 0)
			return -EINVAL;
	return n ? n : -EINVAL;
}

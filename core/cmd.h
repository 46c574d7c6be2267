/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command table of the program `fourlane`.
 *
 * A command lives in a file cmd_*.c of the folder whose work it does, and registers itself there
 * with one line, COMMAND(&vf_command): a pointer in the linker section fl_commands. core/ knows no
 * command by name.
 */
#ifndef CORE_CMD_H
#define CORE_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/registry.h"

/* The headings of `fourlane help`, in this order. */
enum cmd_group {
	CMD_LOOK,
	CMD_CARVE,
	CMD_ASSIGN,
	CMD_RUN,
	CMD_SWITCH,
	CMD_MEASURE,
	CMD_REHEARSE,
	CMD_INTERNAL
};

struct command {
	const char *name;     /* the word after `fourlane` */
	enum cmd_group group; /* CMD_INTERNAL is not listed */
	const char *summary;  /* one line, at most 60 characters */
	const char *usage; /* the whole help text behind the name: words, options, an example; ends
			      in \n */
	/*
	 * argv[0] is the command's name, argv[argc] is NULL. --help/-h as the first word is
	 * answered before this is called. Returns an enum fl_exit, or a negative errno, which
	 * err_to_exit() turns into one.
	 */
	int (*run)(int argc, char **argv);
};

#define COMMAND(ptr) REGISTER(fl_commands, struct command, ptr)

/*
 * cmd_main - what main() of `fourlane` is: finds the command, answers help and version. Returns the
 * exit status.
 */
int cmd_main(int argc, char **argv);

/* cmd_find - the command of that name, or NULL. */
const struct command *cmd_find(const char *name);

/*
 * cmd_count / cmd_at - the registered commands, sorted by group and name. cmd_at() is NULL past the
 * end.
 */
size_t cmd_count(void);
const struct command *cmd_at(size_t i);

/*
 * cmd_usage - a wrong call: "fourlane: <name>: <why>; see 'fourlane help <name>'" on stderr.
 * Returns FL_USAGE.
 */
int cmd_usage(const struct command *cmd, const char *why_fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Words of a call. A table of options ends with a NULL name. `flag` options set *flag, `value`
 * options take the next word (or what follows '=') and set *value. cmd_options() moves what is no
 * option to the front of argv and gives how many there are (argv[0] not counted, they start at
 * argv[1]); -1 after a message when a word is wrong.
 * "--" ends the options and is removed; what follows is counted as words. With `stop_at_word`, the
 * first word that is no option ends them too (commands that carry another command line).
 */
struct cmd_option {
	const char *name; /* without the dashes: "json" */
	bool *flag;
	const char **value;
	const char ***list; /* value that may stand several times: NULL-ended, grows, freed by the
			       caller */
};
int cmd_options(const struct command *cmd, int argc, char **argv, const struct cmd_option *opts,
		bool stop_at_word);

/*
 * cmd_number - a decimal number with an optional binary suffix (K, M, G) within [min, max].
 * 0, or -EINVAL without a message.
 */
int cmd_number(const char *s, unsigned long long min, unsigned long long max,
	       unsigned long long *out);

/*
 * cmd_numbers - "64M,256M": such numbers with commas between them, at most `room`. Gives how many,
 * or -EINVAL without a message: one is none, there are more, or there is none at all.
 */
int cmd_numbers(const char *text, unsigned long long min, unsigned long long max,
		unsigned long long *out, int room);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane lab`: a software host with an IOMMU, an SR-IOV NIC and KVM, for machines without them.
 * This file reads the words; the work is done in bench/lab.
 */
#include <errno.h>
#include <jansson.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bench/lab/lab.h"
#include "core/cmd.h"

#define EXIT_TIMEOUT 124 /* as timeout(1) */

static const struct command lab_command;

struct lab_words {
	struct lab_options o;
	const char **copy_in, **copy_out, **env;
	int timeout_ms;
	bool json, cached;
	char **words; /* what is no option, NULL-ended */
	int n_words;
};

/* From here on SIGINT and its like end the waits of bench/lab, which ends what runs inside before
 * we go. */
static int lab_block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGTTIN, SIG_IGN); /* in the background a terminal reads as ended */
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What a shell would say of a process that such a signal ended; others as they are. */
static int lab_exit(int ret, int signals)
{
	struct signalfd_siginfo si;

	if (ret == -EINTR)
		return read(signals, &si, sizeof(si)) == sizeof(si) ? 128 + (int)si.ssi_signo
								    : FL_FAILED;
	return ret;
}

/* What Linux takes as the name of an interface; '%' would be a pattern. */
static bool lab_is_ifname(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len < IFNAMSIZ && strcspn(s, "/:% \t\n") == len && strcmp(s, ".") &&
	       strcmp(s, "..");
}

/* Which options a verb takes; the others are no options then. */
static const struct {
	const char *verb, *options;
} lab_takes[] = {
	{ "run", " iommu timeout append copy-in copy-out env fresh cpus modules tap disk in-turn "
		 "console json " },
	{ "up", " iommu append cpus modules tap disk in-turn console " },
	{ "shell", " iommu append fresh cpus modules tap disk in-turn " },
	{ "status", " json " },
	{ "build", " modules cached " },
};

static bool lab_option_is_of(const char *verb, const char *option)
{
	char word[32];

	snprintf(word, sizeof(word), " %s ", option);
	for (size_t i = 0; i < sizeof(lab_takes) / sizeof(lab_takes[0]); i++)
		if (!strcmp(lab_takes[i].verb, verb))
			return strstr(lab_takes[i].options, word);
	return false;
}

static int lab_parse(int argc, char **argv, bool command_follows, struct lab_words *w)
{
	const char *iommu = NULL, *timeout = NULL, *cpus = NULL;
	unsigned long long seconds, n_cpus = 0;
	const struct cmd_option all[] = {
		{ .name = "iommu", .value = &iommu },
		{ .name = "timeout", .value = &timeout },
		{ .name = "append", .value = &w->o.append },
		{ .name = "copy-in", .list = &w->copy_in },
		{ .name = "copy-out", .list = &w->copy_out },
		{ .name = "env", .list = &w->env },
		{ .name = "fresh", .flag = &w->o.fresh },
		{ .name = "cpus", .value = &cpus },
		{ .name = "modules", .flag = &w->o.modules },
		{ .name = "tap", .value = &w->o.tap },
		{ .name = "disk", .value = &w->o.disk },
		{ .name = "cached", .flag = &w->cached },
		{ .name = "in-turn", .flag = &w->o.in_turn },
		{ .name = "console", .flag = &w->o.console },
		{ .name = "json", .flag = &w->json },
	};
	struct cmd_option opts[sizeof(all) / sizeof(all[0]) + 1] = { 0 };
	int n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (lab_option_is_of(argv[0], all[i].name))
			opts[n++] = all[i];
	n = cmd_options(&lab_command, argc, argv, opts, command_follows);
	if (n < 0)
		return -EINVAL;
	w->words = argv + 1;
	w->n_words = n;
	w->o.any_iommu = !iommu;
	if (iommu && lab_iommu_parse(iommu, &w->o.iommu) < 0)
		return cmd_usage(&lab_command, "--iommu takes intel, amd or none, not '%s'", iommu),
		       -EINVAL;
	if (timeout && cmd_number(timeout, 1, 86400, &seconds) < 0)
		return cmd_usage(&lab_command, "--timeout takes 1 to 86400 seconds, not '%s'",
				 timeout),
		       -EINVAL;
	if (cpus && cmd_number(cpus, 1, LAB_CPUS_MAX, &n_cpus) < 0)
		return cmd_usage(&lab_command, "--cpus takes 1 to %d, not '%s'", LAB_CPUS_MAX,
				 cpus),
		       -EINVAL;
	w->o.cpus = (int)n_cpus;
	w->timeout_ms = timeout ? (int)seconds * 1000 : 0;
	if (w->o.tap && !lab_is_ifname(w->o.tap))
		return cmd_usage(&lab_command, "--tap takes an interface's name, not '%s'",
				 w->o.tap),
		       -EINVAL;
	for (const char **e = w->env; e && *e; e++)
		if (!strchr(*e, '='))
			return cmd_usage(&lab_command, "--env takes NAME=VALUE, not '%s'", *e),
			       -EINVAL;
	for (const char **c = w->copy_out; c && *c; c++)
		if (!strchr(*c, ':'))
			return cmd_usage(&lab_command, "--copy-out takes INSIDE:HERE, not '%s'",
					 *c),
			       -EINVAL;
	return 0;
}

static void lab_words_free(struct lab_words *w)
{
	free(w->copy_in);
	free(w->copy_out);
	free(w->env);
}

/* PATH[:DEST]; without DEST the file's own name in /root, where commands start. */
static int lab_copy_in_word(struct lab *lab, const char *word)
{
	const char *colon = strrchr(word, ':'), *slash;
	char *from = colon ? strndup(word, (size_t)(colon - word)) : strdup(word), *to = NULL;
	int ret = -ENOMEM;

	if (from && strlen(from) > 1 && from[strlen(from) - 1] == '/')
		from[strlen(from) - 1] = '\0';
	if (from) {
		slash = strrchr(from, '/');
		if (asprintf(&to, "%s%s", colon && colon[1] == '/' ? "" : "/root/",
			     colon   ? colon + 1
			     : slash ? slash + 1
				     : from) >= 0)
			ret = lab_copy_in(lab, from, to);
	}
	free(to);
	free(from);
	return ret;
}

static int lab_copy_out_word(struct lab *lab, const char *word)
{
	const char *colon = strchr(word, ':');
	char *from = NULL;
	int ret = -ENOMEM;

	if (asprintf(&from, "%s%.*s", word[0] == '/' ? "" : "/root/", (int)(colon - word), word) >=
	    0)
		ret = lab_copy_out(lab, from, colon + 1);
	free(from);
	return ret;
}

/* Runs the command between the copies. Files are copied out after a failed command, too: they tell
 * why it failed. */
static int lab_do(struct lab *lab, const struct lab_words *w, const struct lab_command *c)
{
	int ret = 0, copied = 0;

	for (const char **word = w->copy_in; word && *word && !ret; word++)
		ret = lab_copy_in_word(lab, *word);
	if (ret < 0)
		return ret;
	ret = lab_run(lab, c);
	if (ret == -ETIMEDOUT)
		ret = err_ret(
			EXIT_TIMEOUT,
			"lab run: %s: it did not end within %d s; give it more with --timeout",
			c->argv[0], w->timeout_ms / 1000);
	for (const char **word = w->copy_out; word && *word && ret >= 0 && !copied; word++)
		copied = lab_copy_out_word(lab, *word);
	return copied < 0 && ret >= 0 ? (ret ? ret : copied) : ret;
}

static int lab_do_open(const struct lab_words *w, const struct lab_command *c)
{
	struct lab *lab;
	int signals = lab_block_signals(), ret;
	struct lab_options o = w->o;

	o.signals = signals;
	ret = lab_open(&o, &lab);
	if (ret == 0) {
		ret = lab_do(lab, w, c);
		lab_close(lab);
	}
	return lab_exit(ret, signals);
}

static int lab_run_words(int argc, char **argv)
{
	struct lab_words w = { 0 };
	struct lab_command c = { .in = STDIN_FILENO, .out = STDOUT_FILENO, .err = STDERR_FILENO };
	int ret = lab_parse(argc, argv, true, &w);

	if (ret < 0)
		ret = FL_USAGE;
	else if (!w.n_words)
		ret = cmd_usage(&lab_command, "run: no command was given");
	else if (w.json)
		ret = cmd_usage(&lab_command, "run: --json is for status; put it behind the "
					      "command if it is the command's");
	if (!ret) {
		c.argv = (const char *const *)w.words;
		c.env = w.env;
		c.timeout_ms = w.timeout_ms;
		ret = lab_do_open(&w, &c);
	}
	lab_words_free(&w);
	return ret;
}

static int lab_shell_words(int argc, char **argv)
{
	const char *const shell[] = { "bash", "-l", NULL };
	struct lab_command c = {
		.argv = shell, .in = STDIN_FILENO, .out = STDOUT_FILENO, .err = STDERR_FILENO
	};
	struct lab_words w = { 0 };
	char term[64];
	const char *env[] = { term, "PS1=lab# ", NULL };
	int ret = lab_parse(argc, argv, false, &w);

	snprintf(term, sizeof(term), "TERM=%s", getenv("TERM") ? getenv("TERM") : "dumb");
	c.env = env;
	c.terminal = isatty(STDIN_FILENO);
	if (ret < 0)
		ret = FL_USAGE;
	else if (w.n_words)
		ret = cmd_usage(&lab_command,
				"shell takes no words, '%s' is one; use run for a command",
				w.words[0]);
	else
		ret = lab_do_open(&w, &c);
	lab_words_free(&w);
	return ret;
}

static void lab_print_up(const struct lab *lab)
{
	char kernel[64] = "?", qemu[32] = "?", iommu[16] = "?", modules[8] = "", tap[IFNAMSIZ] = "";

	lab_info(lab, "kernel", kernel, sizeof(kernel));
	lab_info(lab, "qemu", qemu, sizeof(qemu));
	lab_info(lab, "iommu", iommu, sizeof(iommu));
	lab_info(lab, "modules", modules, sizeof(modules));
	lab_info(lab, "tap", tap, sizeof(tap));
	printf("the software host is up: kernel %s, QEMU %s, IOMMU %s%s%s%s\n", kernel, qemu, iommu,
	       strcmp(modules, "yes") ? "" : ", modules", tap[0] ? ", tap " : "", tap);
}

static int lab_up_words(int argc, char **argv)
{
	struct lab_words w = { 0 };
	struct lab *lab;
	int ret = lab_parse(argc, argv, false, &w), signals;

	if (ret < 0 || w.n_words) {
		ret = ret < 0 ? FL_USAGE
			      : cmd_usage(&lab_command, "up takes no words, '%s' is one",
					  w.words[0]);
	} else {
		w.o.signals = signals = lab_block_signals();
		ret = lab_exit(lab_up(&w.o, &lab), signals);
		if (!ret) {
			lab_print_up(lab);
			lab_close(lab);
		}
	}
	lab_words_free(&w);
	return ret;
}

static long lab_info_number(const struct lab *lab, const char *key)
{
	char text[32];

	return lab_info(lab, key, text, sizeof(text)) > 0 ? strtol(text, NULL, 10) : 0;
}

static json_t *lab_status_json(const struct lab *lab)
{
	char kernel[64] = "", qemu[32] = "", iommu[16] = "", modules[8] = "", tap[IFNAMSIZ] = "";

	if (!lab)
		return json_pack("{s:i, s:b}", "version", 1, "up", 0);
	lab_info(lab, "kernel", kernel, sizeof(kernel));
	lab_info(lab, "qemu", qemu, sizeof(qemu));
	lab_info(lab, "iommu", iommu, sizeof(iommu));
	lab_info(lab, "modules", modules, sizeof(modules));
	lab_info(lab, "tap", tap, sizeof(tap));
	return json_pack("{s:i, s:b, s:s, s:s, s:s, s:b, s:s*, s:I, s:I, s:I, s:I}", "version", 1,
			 "up", 1, "kernel", kernel, "qemu", qemu, "iommu", iommu, "modules",
			 !strcmp(modules, "yes"), "tap", tap[0] ? tap : NULL, "guardian_pid",
			 (json_int_t)lab_info_number(lab, "pid"), "boot_ms",
			 (json_int_t)lab_info_number(lab, "boot_ms"), "up_s",
			 (json_int_t)lab_info_number(lab, "up_s"), "sessions",
			 (json_int_t)lab_info_number(lab, "sessions"));
}

static int lab_status_print(const struct lab *lab, bool as_json)
{
	json_t *o;

	if (as_json) {
		o = lab_status_json(lab);
		if (!o)
			return err_ret(-ENOMEM, "lab status: out of memory; free some");
		json_dumpf(o, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(o);
	} else if (!lab) {
		printf("no software host is up; 'fourlane lab up' starts one\n");
	} else {
		lab_print_up(lab);
		printf("booted in %.1f s, up for %ld s, commands running: %ld, guardian's process: "
		       "%ld\n",
		       (double)lab_info_number(lab, "boot_ms") / 1000, lab_info_number(lab, "up_s"),
		       lab_info_number(lab, "sessions"), lab_info_number(lab, "pid"));
	}
	return 0;
}

static int lab_status_words(int argc, char **argv)
{
	struct lab_words w = { 0 };
	struct lab *lab = NULL;
	int ret = lab_parse(argc, argv, false, &w), signals;

	if (ret < 0 || w.n_words) {
		ret = ret < 0 ? FL_USAGE
			      : cmd_usage(&lab_command, "status takes no words, '%s' is one",
					  w.words[0]);
	} else {
		signals = lab_block_signals();
		ret = lab_attach(signals, &lab);
		if (!ret)
			ret = lab_query(lab);
		if (!ret || ret == -ENOENT)
			ret = lab_status_print(lab, w.json);
		lab_close(lab);
		ret = lab_exit(ret, signals);
	}
	lab_words_free(&w);
	return ret;
}

static int lab_down_words(int argc, char **argv)
{
	struct lab_words w = { 0 };
	int ret = lab_parse(argc, argv, false, &w), signals;

	if (ret < 0 || w.n_words) {
		ret = ret < 0 ? FL_USAGE
			      : cmd_usage(&lab_command, "down takes no words, '%s' is one",
					  w.words[0]);
	} else {
		signals = lab_block_signals();
		ret = lab_exit(lab_down(signals), signals);
	}
	lab_words_free(&w);
	return ret;
}

static int lab_build_words(int argc, char **argv)
{
	struct lab_words w = { 0 };
	struct lab_image image;
	int ret = lab_parse(argc, argv, false, &w), signals;

	if (ret < 0 || w.n_words) {
		ret = ret < 0 ? FL_USAGE
			      : cmd_usage(&lab_command, "build takes no words, '%s' is one",
					  w.words[0]);
	} else {
		signals = lab_block_signals();
		ret = lab_image_prepare(signals,
					(w.o.modules ? LAB_IMAGE_MODULES : 0) |
						(w.cached ? LAB_IMAGE_CACHED : 0),
					&image);
		if (!ret)
			printf("%s\n%s%s", image.dir, image.modules, image.modules[0] ? "\n" : "");
		ret = lab_exit(ret, signals);
	}
	lab_words_free(&w);
	return ret;
}

/* PATH of in:PATH, which starts in /root, to be freed; NULL for a word that names a place here. */
static char *lab_inside(const char *word)
{
	char *path = NULL;

	if (strncmp(word, "in:", 3) != 0)
		return NULL;
	word += 3;
	return asprintf(&path, "%s%s", word[0] == '/' ? "" : "/root/", word) < 0 ? NULL : path;
}

/* One source to the destination; `into`: that has to be a folder. */
static int lab_copy_one(struct lab *lab, const char *from, const char *to, bool into)
{
	char *from_inside = lab_inside(from), *to_inside = lab_inside(to), *place = NULL;
	int ret = -ENOMEM;

	if (asprintf(&place, "%s%s", to_inside ? to_inside : to, into ? "/" : "") >= 0)
		ret = from_inside ? lab_get(lab, from_inside, place) : lab_put(lab, from, place);
	free(place);
	free(from_inside);
	free(to_inside);
	return ret;
}

static int lab_copy_all(const struct lab_words *w)
{
	int n = w->n_words - 1, signals = lab_block_signals(), ret;
	struct lab *lab = NULL;

	ret = lab_attach(signals, &lab);
	if (ret == -ENOENT)
		ret = err_ret(ret, "lab copy: no software host is up; start one with 'fourlane lab "
				   "up'");
	for (int i = 0; i < n && !ret; i++)
		ret = lab_copy_one(lab, w->words[i], w->words[n], n > 1);
	lab_close(lab);
	return lab_exit(ret, signals);
}

static int lab_copy_words(int argc, char **argv)
{
	struct lab_words w = { 0 };
	int ret = lab_parse(argc, argv, false, &w) < 0 ? FL_USAGE : 0, n = w.n_words - 1;

	if (!ret && n < 1)
		ret = cmd_usage(&lab_command, "copy takes a source and a destination");
	for (int i = 0; i < n && !ret; i++)
		if (!strncmp(w.words[i], "in:", 3) == !strncmp(w.words[n], "in:", 3))
			ret = cmd_usage(
				&lab_command,
				"copy: one of '%s' and '%s' has to be inside (in:PATH), the "
				"other here",
				w.words[i], w.words[n]);
		else if (!w.words[i][0] || !w.words[n][0])
			ret = cmd_usage(&lab_command, "copy: an empty name");
	if (!ret)
		ret = lab_copy_all(&w);
	lab_words_free(&w);
	return ret;
}

static int lab_main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} verbs[] = {
		{ "run", lab_run_words },       { "up", lab_up_words },
		{ "shell", lab_shell_words },   { "down", lab_down_words },
		{ "status", lab_status_words }, { "build", lab_build_words },
		{ "copy", lab_copy_words },
	};

	if (argc < 2)
		return cmd_usage(&lab_command,
				 "one of up, run, shell, copy, status, down, build is needed");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(argv[1], verbs[i].name))
			return verbs[i].run(argc - 1, argv + 1);
	return cmd_usage(&lab_command, "there is no 'lab %s'", argv[1]);
}

static const struct command lab_command = {
	.name = "lab",
	.group = CMD_REHEARSE,
	.summary = "a software host with IOMMU, SR-IOV NIC and KVM",
	.usage = "run [OPTION]... [--timeout SECONDS] [--copy-in PATH[:INSIDE]]... [--copy-out "
		 "INSIDE:PATH]...\n"
		 "                        [--env NAME=VALUE]... [--fresh] [--console] [--] "
		 "COMMAND...\n"
		 "       fourlane lab up [OPTION]... [--console]\n"
		 "       fourlane lab shell [OPTION]... [--fresh]\n"
		 "       fourlane lab copy SOURCE... DESTINATION\n"
		 "       fourlane lab status [--json]\n"
		 "       fourlane lab down\n"
		 "       fourlane lab build [--modules] [--cached]\n"
		 "\n"
		 "OPTION  --iommu intel|amd|none, --modules, --tap IFNAME, --disk FILE, --append WORDS, --cpus "
		 "N, --in-turn\n"
		 "\n"
		 "A machine in software (QEMU): VT-d or AMD-Vi, four ports of an Intel 82576 with "
		 "SR-IOV on one wire (lab0 to lab3), an\n"
		 "NVMe disk, and a CPU with SVM, so that the Linux inside has /dev/kvm, VFIO and "
		 "IOMMU groups. The first use builds its\n"
		 "image (no root needed; 'build' does only that, --cached only tells where it is). "
		 "Nothing that happens inside stays.\n"
		 "\n"
		 "run     runs COMMAND inside as root, in /root, with this build's programs on its "
		 "PATH; its streams and its exit status are\n"
		 "        handed through. Uses the lab that is up (of the kind asked for), else "
		 "boots one for this command alone (--fresh:\n"
		 "        always). A copied-in PATH goes to /root by its name unless INSIDE tells "
		 "another place. 124: --timeout passed.\n"
		 "        --modules: with iommufd (/dev/iommu), /dev/vfio/devices and netdevsim, "
		 "which Debian's kernel leaves out; the first\n"
		 "        use builds them (minutes; needs gcc and make).\n"
		 "        --tap joins a tap of this machine to the wire, made if it is not there "
		 "(root, or the tap's owner).\n"
		 "        --disk keeps what the lab writes to its NVMe disk in a file of yours "
		 "(made, of 256 MiB, if it is not there).\n"
		 "        --append gives a fresh lab's kernel more words (iommu=pt, hugepages=256, "
		 "...).\n"
		 "        --cpus: a fresh lab's CPUs, two unless told; with one, Linux guests are "
		 "soundest and cost one CPU of this machine.\n"
		 "        --in-turn: its CPUs run one after the other (slower; QEMU's model of SVM "
		 "is sound then under several busy guests)\n"
		 "up      boots one that stays until 'down'; returns when it is ready\n"
		 "shell   a shell inside; Ctrl-] leaves\n"
		 "copy    files and folders into the lab that is up or out of it, as cp does: "
		 "in:PATH is inside (from /root on), modes are kept\n"
		 "\n"
		 "Examples: fourlane lab run -- fourlane groups\n"
		 "          fourlane lab copy build/mg.elf in:  and  fourlane lab copy "
		 "in:/var/log/x .\n",
	.run = lab_main,
};
COMMAND(&lab_command);

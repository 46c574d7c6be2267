/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main() of fourlane-switch: reads its words and its file, then everything is sw_core.c's. It takes
 * no descriptors and no rights with it that it does not need: no new privileges from here on.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/version.h"
#include "vswitch/sw_priv.h"

static const char usage[] =
	"usage: fourlane-switch [--config FILE] [--name NAME] [--workers N] [--cpus LIST]\n"
	"                       [--huge auto|on|off] [--memory-mb N]\n"
	"       fourlane-switch --version\n\n"
	"Switches frames between guests (vhost-user), NICs, taps and NIC queues until it gets "
	"SIGTERM.\n"
	"'fourlane switch' shows and changes its ports while it runs.\n\n"
	"  --config FILE   YAML: name, workers, cpus, huge, memory_mb, fdb, ports; words here win\n"
	"  --name NAME     of this switch (default)\n"
	"  --workers N     threads that move frames (1)\n"
	"  --cpus LIST     CPUs to pin them to, one a worker: 2,3\n"
	"  --huge WORD     huge pages for frame buffers: auto takes them when enough are free\n"
	"  --memory-mb N   for frame buffers of NICs (64)\n\n"
	"keys of a port:\n"
	"  all              name, type, vlan, trunk, macs, max_learned\n"
	"  type vhost-user  socket, role, queues\n"
	"  type eth         device, queues, queue_size, uplink\n"
	"  type tap         ifname, queue_size, uplink\n"
	"  type vmdq        device, guest, software, queue_size\n\n"
	"exit status: 0 ended by a signal, 1 failed, 2 wrong words, 3 this host cannot do it\n";

enum { OPT_CONFIG, OPT_NAME, OPT_WORKERS, OPT_CPUS, OPT_HUGE, OPT_MEMORY, N_WORDS };

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "huge", required_argument, NULL, OPT_HUGE },
	{ "memory-mb", required_argument, NULL, OPT_MEMORY },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ 0 },
};

static int wrong_word(const char *word, const char *why)
{
	err_say("fourlane-switch: '%s' %s; see 'fourlane-switch --help'", word, why);
	return FL_USAGE;
}

static int take_cpus(struct sw_conf *conf, char *list)
{
	char *cpu[DP_MAX_WORKERS + 1];
	unsigned int n = 0;

	while (list && n <= DP_MAX_WORKERS)
		cpu[n++] = strsep(&list, ","); /* an empty one is a wrong one */
	return sw_conf_set_cpus(conf, cpu, n);
}

/* The file first, then the words of the call. */
static int take_words(struct sw_conf *conf, char **word)
{
	int ret = word[OPT_CONFIG] ? sw_conf_load(word[OPT_CONFIG], conf) : 0;

	if (ret < 0 || (ret = sw_conf_set_name(conf, word[OPT_NAME])) < 0 ||
	    (ret = sw_conf_set_workers(conf, word[OPT_WORKERS])) < 0 ||
	    (ret = sw_conf_set_huge(conf, word[OPT_HUGE])) < 0 ||
	    (ret = sw_conf_set_memory(conf, word[OPT_MEMORY])) < 0)
		return ret;
	if (word[OPT_CPUS] && (ret = take_cpus(conf, word[OPT_CPUS])) < 0)
		return ret;
	return sw_conf_check(conf);
}

/* A port takes up to 50 descriptors; the usual soft limit is 1024. */
static void raise_files(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static int serve(struct sw_conf *conf)
{
	struct sw *sw = NULL;
	int ret = sw_create(conf, &sw);

	if (ret == 0) {
		printf("switch '%s' serves at %s\n", conf->name, sw->dir);
		fflush(stdout);
		ret = sw_run(sw);
	}
	sw_destroy(sw);
	return ret;
}

int main(int argc, char **argv)
{
	char *word[N_WORDS] = { NULL };
	struct sw_conf conf;
	int opt, ret;

	if (paths_fill_standard_fds() < 0)
		return FL_FAILED;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h')
			return fputs(usage, stdout) < 0 ? FL_FAILED : FL_DONE;
		if (opt == 'v')
			return printf("fourlane-switch %s\n", fourlane_revision) < 0 ? FL_FAILED
										     : FL_DONE;
		if (opt == ':' || opt == '?')
			return wrong_word(argv[optind - 1],
					  opt == ':' ? "lacks its value" : "is no option");
		word[opt] = optarg;
	}
	if (optind < argc)
		return wrong_word(argv[optind], "is one word too many");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	raise_files();
	sw_conf_default(&conf);
	ret = take_words(&conf, word);
	if (ret == 0)
		ret = serve(&conf);
	if (ret == -EINVAL)
		ret = FL_USAGE;
	sw_conf_free(&conf);
	return ret < 0 ? err_to_exit(ret) : ret;
}

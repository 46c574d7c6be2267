/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `fourlane ps`, `stats`, `pause`, `resume`, `stop`: clients of the guests' sockets. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "core/cmd.h"
#include "core/paths.h"
#include "core/rpc.h"
#include "core/supervisor.h"

#define ANSWER_MS    5000
#define PAUSE_MS     25000 /* the supervisor waits for its monitor a little less */
#define STOP_WAIT_MS 10000 /* the monitor's own end */

static const struct command ps_command, stats_command, pause_command, resume_command, stop_command;

static int print_json(json_t *v)
{
	int ret = json_dumpf(v, stdout, JSON_INDENT(2)) < 0 ? FL_FAILED : FL_DONE;

	putchar('\n');
	json_decref(v);
	return ret;
}

/* A running guest holds its lock; a dead one's files are only left over. */
static bool guest_runs(const char *dir, const char *name)
{
	char path[PATH_MAX];
	bool locked;
	int fd;

	snprintf(path, sizeof(path), "%s/%s.lock", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES;
	locked = flock(fd, LOCK_SH | LOCK_NB) < 0;
	close(fd);
	return locked;
}

static int ps_add(json_t *list, const char *name)
{
	json_t *info;
	int ret = rpc_call(name, "info", NULL, ANSWER_MS, &info);

	if (ret == 0)
		json_array_append_new(list, info);
	return ret;
}

static void ps_table(json_t *list)
{
	json_t *g;
	size_t i;

	printf("%-32s %8s %10s %5s %s\n", "GUEST", "PID", "MEMORY", "CPUS", "STATE");
	json_array_foreach(list, i, g)
		printf("%-32s %8lld %9lldM %5lld %s\n",
		       json_string_value(json_object_get(g, "guest")),
		       (long long)json_integer_value(json_object_get(g, "pid")),
		       (long long)json_integer_value(json_object_get(g, "mem_bytes")) >> 20,
		       (long long)json_integer_value(json_object_get(g, "cpus")),
		       json_string_value(json_object_get(g, "state")));
}

static int ps_run(int argc, char **argv)
{
	bool json = false;
	struct cmd_option opts[] = { { .name = "json", .flag = &json }, { 0 } };
	char dir[PATH_MAX];
	json_t *list = json_array();
	struct dirent *e;
	DIR *d;
	int n = cmd_options(&ps_command, argc, argv, opts, false), ret = 0;

	if (n)
		ret = n < 0 ? FL_USAGE
			    : cmd_usage(&ps_command, "'%s' is one word too many", argv[1]);
	else
		ret = paths_run_dir(dir, sizeof(dir));
	d = ret == 0 ? opendir(dir) : NULL;
	while (d && (e = readdir(d))) {
		char *dot = strrchr(e->d_name, '.');

		if (!dot || strcmp(dot, ".sock"))
			continue;
		*dot = '\0';
		if (rpc_name_ok(e->d_name) && guest_runs(dir, e->d_name))
			ps_add(list, e->d_name);
	}
	if (d)
		closedir(d);
	if (ret == 0 && json)
		return print_json(json_pack("{s:i, s:o}", "version", 1, "guests", list));
	if (ret == 0)
		ps_table(list);
	json_decref(list);
	return ret;
}

static void stats_print(const char *prefix, json_t *v)
{
	const char *key;
	char path[256];
	json_t *item;
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach(v, key, item) {
			snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", key);
			stats_print(path, item);
		}
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, item) {
			snprintf(path, sizeof(path), "%s%zu", prefix, i);
			stats_print(path, item);
		}
	} else if (json_is_string(v)) {
		printf("%-44s %s\n", prefix, json_string_value(v));
	} else if (json_is_integer(v)) {
		printf("%-44s %lld\n", prefix, (long long)json_integer_value(v));
	} else {
		printf("%-44s %s\n", prefix,
		       json_is_true(v)   ? "true"
		       : json_is_null(v) ? "unknown"
					 : "false");
	}
}

static int stats_run(int argc, char **argv)
{
	bool json = false;
	struct cmd_option opts[] = { { .name = "json", .flag = &json }, { 0 } };
	int n = cmd_options(&stats_command, argc, argv, opts, false), ret;
	json_t *stats;

	if (n < 0)
		return FL_USAGE;
	if (n != 1)
		return cmd_usage(&stats_command, "one guest's name is wanted");
	ret = rpc_call(argv[1], "stats", NULL, ANSWER_MS, &stats);
	if (ret < 0)
		return ret;
	if (json)
		return print_json(stats);
	stats_print("", stats);
	json_decref(stats);
	return FL_DONE;
}

/* `pause` and `resume`: one question; what it did to real hardware is told. */
static int ask_run(const struct command *cmd, int argc, char **argv)
{
	struct cmd_option opts[] = { { 0 } };
	int n = cmd_options(cmd, argc, argv, opts, false), ret;
	json_t *answer, *off, *name;
	size_t i;

	if (n < 0)
		return FL_USAGE;
	if (n != 1)
		return cmd_usage(cmd, "one guest's name is wanted");
	ret = rpc_call(argv[1], cmd->name, NULL, PAUSE_MS, &answer);
	if (ret < 0)
		return ret;
	off = json_object_get(answer, "bus_master_off");
	json_array_foreach(off, i, name)
		printf("%s%s%s", i ? ", " : "bus mastering is off: ",
		       json_string_value(name) ? json_string_value(name) : "?",
		       i + 1 == json_array_size(off) ? "\n" : "");
	json_decref(answer);
	return FL_DONE;
}

static int pause_run(int argc, char **argv)
{
	return ask_run(&pause_command, argc, argv);
}

static int resume_run(int argc, char **argv)
{
	return ask_run(&resume_command, argc, argv);
}

static int stop_run(int argc, char **argv)
{
	bool now = false;
	struct cmd_option opts[] = { { .name = "now", .flag = &now }, { 0 } };
	const struct timespec nap = { .tv_nsec = 10000000 };
	int n = cmd_options(&stop_command, argc, argv, opts, false), ret, wait_ms = STOP_WAIT_MS;
	char dir[PATH_MAX];
	json_t *answer;

	if (n < 0)
		return FL_USAGE;
	if (n != 1)
		return cmd_usage(&stop_command, "one guest's name is wanted");
	ret = rpc_call(argv[1], "stop", json_pack("{s:b}", "now", now), ANSWER_MS, &answer);
	if (ret < 0)
		return ret;
	if (json_is_true(json_object_get(answer, "asked")))
		wait_ms += STOP_GRACE_MS;
	json_decref(answer);
	ret = paths_run_dir(dir, sizeof(dir));
	for (long long end = rpc_now_ms() + wait_ms; ret == 0 && rpc_now_ms() < end;) {
		if (!guest_runs(dir, argv[1]))
			return FL_DONE;
		nanosleep(&nap, NULL);
	}
	return ret < 0 ? ret
		       : err_ret(FL_FAILED,
				 "stopping guest '%s': it still runs after %d s; kill its process",
				 argv[1], wait_ms / 1000);
}

static const struct command ps_command = {
	.name = "ps",
	.group = CMD_RUN,
	.summary = "list the running guests",
	.run = ps_run,
	.usage = "[--json]\n",
};
COMMAND(&ps_command);

static const struct command stats_command = {
	.name = "stats",
	.group = CMD_RUN,
	.summary = "counters of a running guest: exits, NICs, CPU time",
	.run = stats_run,
	.usage = "NAME [--json]\n",
};
COMMAND(&stats_command);

static const struct command pause_command = {
	.name = "pause",
	.group = CMD_RUN,
	.summary = "let a running guest stand still",
	.run = pause_run,
	.usage =
		"NAME\n"
		"\n"
		"Returns when none of the guest's CPUs runs and nobody moves frames for it. A "
		"device of the host that\n"
		"it was given (vfio, vf) loses its bus mastering until the guest is resumed, which "
		"is said; when that\n"
		"is not possible the guest is not paused. Pausing twice is no error; a paused "
		"guest can be stopped.\n",
};
COMMAND(&pause_command);

static const struct command resume_command = {
	.name = "resume",
	.group = CMD_RUN,
	.summary = "let a paused guest go on",
	.run = resume_run,
	.usage = "NAME\n",
};
COMMAND(&resume_command);

static const struct command stop_command = {
	.name = "stop",
	.group = CMD_RUN,
	.summary = "stop a running guest",
	.run = stop_run,
	.usage = "NAME [--now]\n"
		 "\n"
		 "Presses the guest's power button and waits for it to shut down, 60 s at most; a "
		 "guest that knows no\n"
		 "ACPI, or does not come to an end, is ended: its CPUs are halted, its devices "
		 "given back. Returns\n"
		 "when it is gone. A second stop, or Ctrl-C twice, waits no longer.\n"
		 "\n"
		 "  --now    end it at once\n",
};
COMMAND(&stop_command);

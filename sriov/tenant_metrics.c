/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `fourlane tenant metrics`: the tenants' VFs in Prometheus' text format 0.0.4, for the textfile
 * collector of its node exporter. What is not known is left out, never 0. A file is written beside
 * its place and renamed, so that the collector never sees half of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cmd.h"
#include "tenant_view.h"

/* --- the text ----------------------------------------------------------- */
/* A label's value: backslash, quote and newline escaped, what is no printable ASCII as '?'. */
static void write_value(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '\\' || *s == '"')
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", f);
		else
			fputc(*s >= ' ' && *s <= '~' ? *s : '?', f);
	}
}

static void write_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_tenant_sample(FILE *f, const char *name, const char *tenant, size_t value)
{
	fprintf(f, "%s{tenant=\"", name);
	write_value(f, tenant);
	fprintf(f, "\"} %zu\n", value);
}

static void write_vf_sample(FILE *f, const char *name, const struct tenant_row *r, uint64_t value)
{
	fprintf(f, "%s{tenant=\"", name);
	write_value(f, r->slot->tenant);
	fputs("\",pf=\"", f);
	write_value(f, r->pf && r->pf->pf.name[0] ? r->pf->pf.name : r->slot->pf);
	fputs("\",pf_device=\"", f);
	write_value(f, r->slot->pf);
	fprintf(f, "\",vf=\"%u\",device=\"", r->slot->idx);
	write_value(f, r->vf ? r->vf->bdf : "");
	fprintf(f, "\"} %" PRIu64 "\n", value);
}

/* --- gauges ------------------------------------------------------------- */
static bool row_is_leased(const struct tenant_row *r)
{
	return r->lease && r->alive;
}

static bool row_is_stale(const struct tenant_row *r)
{
	return r->lease && !r->alive;
}

static const struct {
	const char *name, *help;
	bool (*counts)(const struct tenant_row *r); /* NULL: every one */
} tenant_gauges[] = {
	{ "fourlane_tenant_vfs", "VFs that the tenant has.", NULL },
	{ "fourlane_tenant_leases", "VFs of the tenant that running guests have.", row_is_leased },
	{ "fourlane_tenant_stale_leases",
	  "VFs of the tenant whose guest has gone without giving them back.", row_is_stale },
};

static void write_tenant_gauges(const struct tenant_view *v, FILE *f)
{
	for (size_t g = 0; g < sizeof(tenant_gauges) / sizeof(tenant_gauges[0]); g++) {
		write_head(f, tenant_gauges[g].name, "gauge", tenant_gauges[g].help);
		for (size_t i = 0, end; i < v->n; i = end) {
			size_t n = 0;

			end = tenant_view_next(v, i);
			for (size_t k = i; k < end; k++)
				n += !tenant_gauges[g].counts ||
				     tenant_gauges[g].counts(&v->row[k]);
			write_tenant_sample(f, tenant_gauges[g].name, v->row[i].slot->tenant, n);
		}
	}
}

static void write_drift(const struct tenant_view *v, FILE *f)
{
	write_head(f, "fourlane_vf_drift", "gauge",
		   "Settings and driver of the VF that are not as wanted; 1 when it is gone.");
	for (size_t i = 0; i < v->n; i++)
		write_vf_sample(f, "fourlane_vf_drift", &v->row[i], tenant_row_faults(&v->row[i]));
}

/* --- counters ----------------------------------------------------------- */
static const struct {
	const char *name, *help;
	size_t offset; /* in struct vf_counters */
} counters[] = {
#define COUNTER(field, name_, help_) \
	{ \
		"fourlane_vf_" name_ "_total", help_, offsetof(struct vf_counters, field) \
	}
	COUNTER(rx_packets, "rx_packets", "Frames that the VF has received."),
	COUNTER(tx_packets, "tx_packets", "Frames that the VF has sent."),
	COUNTER(rx_bytes, "rx_bytes", "Bytes that the VF has received."),
	COUNTER(tx_bytes, "tx_bytes", "Bytes that the VF has sent."),
	COUNTER(broadcast, "broadcast_packets", "Broadcast frames that the VF has received."),
	COUNTER(multicast, "multicast_packets", "Multicast frames that the VF has received."),
	COUNTER(rx_dropped, "rx_dropped", "Frames for the VF that were dropped."),
	COUNTER(tx_dropped, "tx_dropped", "Frames from the VF that were dropped."),
#undef COUNTER
};

static void write_counter(const struct tenant_view *v, FILE *f, size_t c)
{
	bool head = false;

	for (size_t i = 0; i < v->n; i++) {
		const struct vf_counters *of = &v->row[i].counters;
		uint64_t value;

		if (!of->known)
			continue;
		if (!head)
			write_head(f, counters[c].name, "counter", counters[c].help);
		head = true;
		memcpy(&value, (const char *)of + counters[c].offset, sizeof(value));
		write_vf_sample(f, counters[c].name, &v->row[i], value);
	}
}

static void write_spoofed(const struct tenant_view *v, FILE *f)
{
	static const char name[] = "fourlane_vf_tx_spoofed_total";
	bool head = false;

	for (size_t i = 0; i < v->n; i++) {
		if (!v->row[i].spoofed_known)
			continue;
		if (!head)
			write_head(f, name, "counter",
				   "Frames of the VF that the spoof check has stopped.");
		head = true;
		write_vf_sample(f, name, &v->row[i], v->row[i].spoofed);
	}
}

void tenant_metrics_write(const struct tenant_view *v, FILE *f)
{
	write_tenant_gauges(v, f);
	write_drift(v, f);
	for (size_t c = 0; c < sizeof(counters) / sizeof(counters[0]); c++)
		write_counter(v, f, c);
	write_spoofed(v, f);
}

/* --- the command -------------------------------------------------------- */
static int metrics_failed(const char *path, int err)
{
	return err_ret(-err,
		       "writing %s: %s; name a file in a folder that you may write to, such as the "
		       "node exporter's --collector.textfile.directory",
		       path, strerror(err));
}

/* The collector reads *.prom only: what is half written is called otherwise. */
static int metrics_to_file(const struct tenant_view *v, const char *path)
{
	char tmp[PATH_MAX];
	int fd, err = 0;
	FILE *f;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= sizeof(tmp))
		return metrics_failed(path, ENAMETOOLONG);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return metrics_failed(path, errno);
	f = fdopen(fd, "w");
	if (!f) {
		err = errno;
		close(fd);
		unlink(tmp);
		return metrics_failed(path, err);
	}
	tenant_metrics_write(v, f);
	if (fflush(f) != 0 || fchmod(fd, 0644) < 0 || fsync(fd) < 0)
		err = errno;
	if (fclose(f) != 0 && !err)
		err = errno;
	if (!err && rename(tmp, path) < 0)
		err = errno;
	if (err)
		unlink(tmp);
	return err ? metrics_failed(path, err) : 0;
}

int tenant_cmd_metrics(int argc, char **argv)
{
	const char *path = NULL;
	const struct cmd_option opts[] = { { .name = "file", .value = &path }, { 0 } };
	const struct command *cmd = cmd_find("tenant");
	int n = cmd_options(cmd, argc, argv, opts, false), ret;
	struct tenant_view v;
	struct sriov_host h;

	if (n < 0)
		return FL_USAGE;
	if (n > 0)
		return cmd_usage(cmd, "metrics: '%s' is one word too many", argv[1]);
	sriov_host_look(&h);
	ret = tenant_view_read(&h.env, &v);
	if (ret < 0)
		return ret;
	if (path)
		ret = metrics_to_file(&v, path);
	else
		tenant_metrics_write(&v, stdout);
	tenant_view_free(&v);
	return ret;
}

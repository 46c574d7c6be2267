/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The facts about this host (see host.h): CPU and KVM are core's own sections, the others come from
 * the folders that know them. Used by `fourlane host` and by the comparison.
 */
#include "core/host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/paths.h"
#include "core/version.h"

REGISTRY(fl_host_sections, struct host_section);
REGISTRY(fl_host_lanes, struct host_lane);

const struct host_view host_real = { .sysfs = "/sys", .dev = "/dev", .proc = "/proc" };

static const char *const lane_names[] = { "emulated", "paravirtual", "direct", "vm-aware" };

struct host_lane_report {
	json_t *missing, *mend;
};

void host_lane_miss(struct host_lane_report *r, const char *missing, const char *mend)
{
	json_t *item;
	size_t i;

	/* several folders may find the same thing */
	json_array_foreach(r->missing, i, item)
		if (!strcmp(json_string_value(item), missing))
			return;
	json_array_append_new(r->missing, json_string(missing));
	json_array_append_new(r->mend, json_string(mend));
}

const char *host_where(void)
{
	return access("/etc/fourlane-lab", F_OK) == 0 ? "lab" : "host";
}

/* --- CPU --- */
static json_t *host_cpu(const struct host_view *v)
{
	char line[256], path[PATH_MAX], model[128] = "unknown";
	bool vmx = false, svm = false, hypervisor = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/cpuinfo", v->proc);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			continue;
		if (!strncmp(line, "flags", 5)) {
			char rest[8192] = "";

			/* the flags line is longer than the buffer */
			if (!strchr(line, '\n') && !fgets(rest, sizeof(rest), f))
				rest[0] = '\0';
			vmx = strstr(line, " vmx ") || strstr(rest, " vmx ");
			svm = strstr(line, " svm ") || strstr(rest, " svm ");
			hypervisor = strstr(line, " hypervisor ") || strstr(rest, " hypervisor ");
			break;
		}
	}
	if (f)
		fclose(f);
	return json_pack("{s:s, s:i, s:s, s:b}", "model", model, "online",
			 (int)sysconf(_SC_NPROCESSORS_ONLN), "virtualisation",
			 vmx   ? "VT-x"
			 : svm ? "AMD-V"
			       : "none",
			 "in_a_vm", hypervisor);
}
static const struct host_section cpu_section = { .key = "cpu", .make = host_cpu };
HOST_SECTION(&cpu_section);

/* --- KVM --- */
static const struct {
	int cap;
	const char *name;
} kvm_needs[] = {
	{ KVM_CAP_IRQCHIP, "IRQCHIP" },
	{ KVM_CAP_IOEVENTFD, "IOEVENTFD" },
	{ KVM_CAP_IRQFD, "IRQFD" },
	{ KVM_CAP_IRQ_ROUTING, "IRQ_ROUTING" },
	{ KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT" },
};

static int kvm_open(const struct host_view *v)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/kvm", v->dev);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Which module stands behind /dev/kvm. */
static const char *kvm_kind(const struct host_view *v)
{
	static const char *const kind[] = { "kvm_intel", "kvm_amd", "kvm_pvm" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++) {
		snprintf(path, sizeof(path), "%s/module/%s", v->sysfs, kind[i]);
		if (access(path, F_OK) == 0)
			return kind[i];
	}
	return "unknown";
}

static json_t *host_kvm(const struct host_view *v)
{
	int fd = kvm_open(v);
	json_t *caps = json_object(), *kvm;

	for (size_t i = 0; fd >= 0 && i < sizeof(kvm_needs) / sizeof(kvm_needs[0]); i++)
		json_object_set_new(
			caps, kvm_needs[i].name,
			json_boolean(ioctl(fd, KVM_CHECK_EXTENSION, kvm_needs[i].cap) > 0));
	kvm = json_pack("{s:b, s:s, s:i, s:b, s:o}", "usable", fd >= 0, "kind",
			fd >= 0 ? kvm_kind(v) : "none", "api",
			fd >= 0 ? ioctl(fd, KVM_GET_API_VERSION, 0) : 0, "coalesced_mmio",
			fd >= 0 && ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO) > 0,
			"capabilities", caps);
	if (fd < 0)
		json_object_set_new(kvm, "error", json_string(strerror(-fd)));
	else
		close(fd);
	return kvm;
}
static const struct host_section kvm_section = { .key = "kvm", .make = host_kvm };
HOST_SECTION(&kvm_section);

void host_check_kvm(const struct host_view *v, struct host_lane_report *r)
{
	int fd = kvm_open(v);
	char text[96];

	if (fd == -ENOENT || fd == -ENODEV || fd == -ENXIO)
		host_lane_miss(
			r, "no /dev/kvm",
			"turn on VT-x or AMD-V in the firmware and load kvm_intel or kvm_amd");
	else if (fd < 0)
		host_lane_miss(r, "/dev/kvm cannot be opened", "run as root or join the group kvm");
	if (fd < 0)
		return;
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != 12)
		host_lane_miss(r, "/dev/kvm has another API version than 12",
			       "use a Linux kernel with KVM");
	for (size_t i = 0; i < sizeof(kvm_needs) / sizeof(kvm_needs[0]); i++)
		if (ioctl(fd, KVM_CHECK_EXTENSION, kvm_needs[i].cap) <= 0) {
			snprintf(text, sizeof(text), "KVM has no %s", kvm_needs[i].name);
			host_lane_miss(r, text, "use a newer kernel");
		}
	close(fd);
}

/* --- all together --- */
static json_t *host_lanes(const struct host_view *v)
{
	struct host_lane const *const *it;
	json_t *lanes = json_object();

	for (size_t i = 0; i < sizeof(lane_names) / sizeof(lane_names[0]); i++) {
		struct host_lane_report r = { .missing = json_array(), .mend = json_array() };
		bool known = false;

		REGISTRY_FOREACH(fl_host_lanes, it)
			if (!strcmp((*it)->lane, lane_names[i])) {
				(*it)->check(v, &r);
				known = true;
			}
		if (!known)
			host_lane_miss(&r, "this build has no such lane",
				       "build fourlane with all its folders");
		json_object_set_new(lanes, lane_names[i],
				    json_pack("{s:b, s:o, s:o}", "ready",
					      json_array_size(r.missing) == 0, "missing", r.missing,
					      "mend", r.mend));
	}
	return lanes;
}

json_t *host_report(const struct host_view *v)
{
	struct host_section const *const *it;
	struct utsname u;
	json_t *h;

	uname(&u);
	h = json_pack("{s:i, s:s, s:s, s:s}", "version", 1, "where", host_where(), "fourlane",
		      fourlane_version, "kernel", u.release);
	REGISTRY_FOREACH(fl_host_sections, it)
		json_object_set_new(h, (*it)->key, (*it)->make(v));
	json_object_set_new(h, "lanes", host_lanes(v));
	return h;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why functions share an IOMMU group: the walk from a function up to its root port, with the rules
 * of the kernel (pci_device_group() and pci_acs_enabled(), Linux 6.12), on config space as sysfs
 * gives it. Called by `fourlane groups`. It explains groups and makes none: which functions are
 * together is what the kernel says. ACS: PCI Express Base Specification 6.0, sections 6.12 and
 * 7.7.11. Of libpci only the numbers are used: its calls have names that the monitor's PCI has too.
 */
#include "iommu/iommu.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pci/header.h>

#define ACS_NEEDED \
	(PCI_ACS_CTRL_VALID | PCI_ACS_CTRL_REQ_RED | PCI_ACS_CTRL_CMPLT_RED | PCI_ACS_CTRL_FORWARD)
#define DEPTH_MAX 32u
#define PORTS_MAX 3u

#define CONFIG_HEAD 64u /* what everybody may read */
#define CONFIG_EXT  0x100u
#define CONFIG_SIZE 4096u

/* A function's config space as far as isolation asks. */
struct acs_node {
	char name[IOMMU_BDF_SIZE];
	bool pcie, multi;
	unsigned int pcie_type; /* PCI_EXP_TYPE_* */
	bool acs;               /* the capability is there */
	unsigned int cap, ctrl;
};

/* sysfs's own spelling of a PCI address; *fn is its function. */
static bool acs_parse(const char *name, unsigned int *fn)
{
	char bdf[IOMMU_BDF_SIZE];

	if (iommu_bdf_parse(name, bdf) < 0 || strcmp(bdf, name))
		return false;
	*fn = (unsigned int)(name[strlen(name) - 1] - '0');
	return true;
}

/* Config space, zero where it is not given. How many bytes there were. */
static size_t acs_config(const char *sysfs, const char *name, uint8_t c[CONFIG_SIZE])
{
	char path[PATH_MAX];
	ssize_t n = -1;
	int fd;

	memset(c, 0, CONFIG_SIZE);
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/config", sysfs, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = pread(fd, c, CONFIG_SIZE, 0);
		close(fd);
	}
	return n < 0 ? 0 : (size_t)n;
}

static unsigned int acs_word(const uint8_t *c, size_t at)
{
	return c[at] | (unsigned int)c[at + 1] << 8;
}

/* Offset of a capability or 0. A list that does not end is left after as many steps as there is
 * room for. */
static size_t acs_find(const uint8_t *c, unsigned int id)
{
	size_t at = acs_word(c, PCI_STATUS) & PCI_STATUS_CAP_LIST ? c[PCI_CAPABILITY_LIST] : 0;

	for (int i = 0; i < 48 && (at &= 0xfc) >= CONFIG_HEAD; i++) {
		if (c[at] == id)
			return at <= CONFIG_EXT - 4 ? at : 0;
		at = c[at + 1];
	}
	return 0;
}

static size_t acs_find_ext(const uint8_t *c, unsigned int id)
{
	size_t at = CONFIG_EXT;

	for (int i = 0; i < 480 && at >= CONFIG_EXT && at <= CONFIG_SIZE - 8; i++) {
		unsigned int next = acs_word(c, at + 2);

		if (acs_word(c, at) == id)
			return at;
		at = next >> 4 & 0xffc;
	}
	return 0;
}

/* False when `name` is no function or its config space cannot be read. */
static bool acs_node_read(const char *sysfs, const char *name, struct acs_node *n)
{
	uint8_t c[CONFIG_SIZE];
	char path[PATH_MAX];
	unsigned int fn;
	size_t at;

	memset(n, 0, sizeof(*n));
	snprintf(n->name, sizeof(n->name), "%s", name);
	if (!acs_parse(name, &fn) || acs_config(sysfs, name, c) <= CONFIG_HEAD)
		return false;
	/* a VF's own header says nothing, and the kernel counts it as one function */
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/physfn", sysfs, name);
	n->multi = access(path, F_OK) < 0 && (fn || c[PCI_HEADER_TYPE] & 0x80);
	at = acs_find(c, PCI_CAP_ID_EXP);
	n->pcie = at != 0;
	if (!at)
		return true;
	n->pcie_type = (acs_word(c, at + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_TYPE) >> 4;
	at = acs_find_ext(c, PCI_EXT_CAP_ID_ACS);
	n->acs = at != 0;
	if (at) {
		n->cap = acs_word(c, at + PCI_ACS_CAP);
		n->ctrl = acs_word(c, at + PCI_ACS_CTRL);
	}
	return true;
}

/* What is not in the capability is wired to on (7.7.11.2); the kernel sees it so as well. */
static unsigned int acs_lacks(const struct acs_node *n)
{
	return n->acs ? ACS_NEEDED & n->cap & ~n->ctrl : ACS_NEEDED;
}

/* pci_acs_enabled(): whether requests of this function, or through it, cannot turn aside. */
static bool acs_enabled(const struct acs_node *n)
{
	if (!n->pcie)
		return false;
	switch (n->pcie_type) {
	case PCI_EXP_TYPE_PCI_BRIDGE:
	case PCI_EXP_TYPE_PCIE_BRIDGE:
	case PCI_EXP_TYPE_ROOT_EC: return false;
	case PCI_EXP_TYPE_ROOT_PORT:
	case PCI_EXP_TYPE_DOWNSTREAM: return !acs_lacks(n);
	default: return !n->multi || !acs_lacks(n);
	}
}

static void acs_bits(unsigned int bits, char *buf, size_t size)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} names[] = { { PCI_ACS_CTRL_VALID, "SV" },
		      { PCI_ACS_CTRL_REQ_RED, "RR" },
		      { PCI_ACS_CTRL_CMPLT_RED, "CR" },
		      { PCI_ACS_CTRL_FORWARD, "UF" } };
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bits & names[i].bit)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? " " : "",
						 names[i].name);
}

static const char *acs_what(const struct acs_node *n)
{
	if (!n->pcie)
		return "conventional PCI bridge";
	switch (n->pcie_type) {
	case PCI_EXP_TYPE_ROOT_PORT: return "root port";
	case PCI_EXP_TYPE_DOWNSTREAM: return "switch port";
	case PCI_EXP_TYPE_UPSTREAM: return "switch";
	case PCI_EXP_TYPE_PCI_BRIDGE: return "PCIe-to-PCI bridge";
	case PCI_EXP_TYPE_PCIE_BRIDGE: return "PCI-to-PCIe bridge";
	default: return "bridge";
	}
}

static void acs_add(struct iommu_isolation *out, const struct acs_node *n, enum iommu_break kind,
		    const char *why)
{
	if (out->n == sizeof(out->at) / sizeof(out->at[0]))
		return;
	snprintf(out->at[out->n].name, sizeof(out->at[0].name), "%s", n->name);
	snprintf(out->at[out->n].why, sizeof(out->at[0].why), "%s", why);
	out->at[out->n++].kind = kind;
}

static void acs_add_bridge(struct iommu_isolation *out, const struct acs_node *n)
{
	enum iommu_break kind = IOMMU_BREAK_NO_ACS;
	char why[96], bits[16];

	if (!n->pcie || n->pcie_type == PCI_EXP_TYPE_PCI_BRIDGE ||
	    n->pcie_type == PCI_EXP_TYPE_PCIE_BRIDGE) {
		kind = IOMMU_BREAK_PCI;
		snprintf(why, sizeof(why), "%s: all below it look like one device", acs_what(n));
	} else if (!n->acs) {
		snprintf(why, sizeof(why), "%s without ACS", acs_what(n));
	} else {
		kind = IOMMU_BREAK_ACS_OFF;
		acs_bits(acs_lacks(n), bits, sizeof(bits));
		snprintf(why, sizeof(why), "%s whose ACS has %s off", acs_what(n), bits);
	}
	acs_add(out, n, kind, why);
}

/* Another function of the same device that may be reached without the IOMMU. */
static void acs_functions(const char *sysfs, const struct acs_node *n, struct iommu_isolation *out)
{
	struct acs_node other;
	char name[IOMMU_BDF_SIZE], why[96];
	size_t end = strlen(n->name) - 1;

	if (!n->multi || acs_enabled(n))
		return;
	snprintf(name, sizeof(name), "%s", n->name);
	for (char fn = '0'; fn <= '7'; fn++) {
		name[end] = fn;
		if (fn == n->name[end] || !acs_node_read(sysfs, name, &other) ||
		    acs_enabled(&other))
			continue;
		snprintf(why, sizeof(why),
			 "function of one device with %s, without ACS between them", name);
		acs_add(out, n, IOMMU_BREAK_FUNCTIONS, why);
		return;
	}
}

/* Names of the bridges above a function, nearest first, out of its place in sysfs. */
static size_t acs_bridges(const char *sysfs, const char *bdf, char (*up)[IOMMU_BDF_SIZE],
			  size_t max)
{
	unsigned int fn;
	char path[PATH_MAX], *real;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", sysfs, bdf);
	real = realpath(path, NULL);
	for (char *slash = real ? strrchr(real, '/') : NULL; slash && n < max;) {
		*slash = '\0';
		slash = strrchr(real, '/');
		if (!slash || !acs_parse(slash + 1, &fn))
			break;
		snprintf(up[n++], IOMMU_BDF_SIZE, "%s", slash + 1);
	}
	free(real);
	return n;
}

void iommu_isolation_of(const char *sysfs, const char *bdf, struct iommu_isolation *out)
{
	char up[DEPTH_MAX][IOMMU_BDF_SIZE];
	struct acs_node n;
	size_t n_up;

	memset(out, 0, sizeof(*out));
	if (!acs_node_read(sysfs, bdf, &n))
		return;
	acs_functions(sysfs, &n, out);
	n_up = acs_bridges(sysfs, bdf, up, DEPTH_MAX);
	for (size_t i = 0; i < n_up; i++) {
		if (!acs_node_read(sysfs, up[i], &n))
			return;
		if (!acs_enabled(&n))
			acs_add_bridge(out, &n);
	}
	out->known = true;
}

/* --- how to get functions apart ------------------------------------------- */
/* Ports below which a card would be alone: root and switch ports, isolated up to the root, that
 * have nothing below them. */
static bool acs_port_is_free(const char *sysfs, const char *name)
{
	char path[PATH_MAX];
	unsigned int fn;
	struct iommu_isolation iso;
	struct acs_node n;
	bool empty = true;
	struct dirent *e;
	DIR *d;

	if (!acs_node_read(sysfs, name, &n) || !n.pcie || !acs_enabled(&n) ||
	    (n.pcie_type != PCI_EXP_TYPE_ROOT_PORT && n.pcie_type != PCI_EXP_TYPE_DOWNSTREAM))
		return false;
	iommu_isolation_of(sysfs, name, &iso);
	if (!iso.known || iso.n)
		return false;
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", sysfs, name);
	d = opendir(path);
	while (d && empty && (e = readdir(d)))
		empty = !acs_parse(e->d_name, &fn);
	if (d)
		closedir(d);
	return empty;
}

static void acs_free_ports(const char *sysfs, char *buf, size_t size)
{
	struct dirent **names = NULL;
	char path[PATH_MAX];
	size_t found = 0, used = 0;
	int n;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "%s/bus/pci/devices", sysfs);
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (found < PORTS_MAX && used < size && acs_port_is_free(sysfs, names[i]->d_name)) {
			used += (size_t)snprintf(buf + used, size - used, "%s%s", found ? ", " : "",
						 names[i]->d_name);
			found++;
		}
		free(names[i]);
	}
	free(names);
}

static void acs_mend(const char *sysfs, const struct iommu_isolation *iso, size_t at, char *mend,
		     size_t size)
{
	char ports[PORTS_MAX * (IOMMU_BDF_SIZE + 2)] = "";

	switch (iso->at[at].kind) {
	case IOMMU_BREAK_FUNCTIONS:
		snprintf(mend, size, "they go to one guest together; no slot parts them");
		return;
	case IOMMU_BREAK_ACS_OFF:
		snprintf(mend, size,
			 "take what switches ACS off (pci=disable_acs_redir, config_acs) from the "
			 "boot line, or hand out all of the group together");
		return;
	case IOMMU_BREAK_NO_ACS:
	case IOMMU_BREAK_PCI: break;
	}
	acs_free_ports(sysfs, ports, sizeof(ports));
	if (ports[0])
		snprintf(mend, size,
			 "move the card to the slot of a port that isolates and is free: %s",
			 ports);
	else
		snprintf(mend, size,
			 "move the card to a slot that is not below %s; no free port "
			 "here isolates",
			 iso->at[at].name);
}

/* A function that a guest could use: not a bridge of any kind, nor what belongs to one. */
static bool acs_wanted(const struct iommu_member *m)
{
	return m->pci && m->class_code >> 16 != 0x06;
}

/* How many functions a guest could use; *one_device: they are all of one device. */
static size_t acs_count_wanted(const struct iommu_group *g, bool *one_device)
{
	const char *first = NULL;
	size_t n = 0;

	*one_device = true;
	for (size_t i = 0; i < g->n_members; i++) {
		const char *name = g->members[i].name;

		if (!acs_wanted(&g->members[i]))
			continue;
		first = first ? first : name;
		if (strncmp(first, name, strcspn(first, ".")) ||
		    strcspn(first, ".") != strcspn(name, "."))
			*one_device = false;
		n++;
	}
	return n;
}

bool iommu_group_apart(const char *sysfs, const struct iommu_group *g, char *why, char *mend,
		       size_t size)
{
	struct iommu_isolation iso;
	bool one_device;
	size_t at;

	why[0] = mend[0] = '\0';
	if (acs_count_wanted(g, &one_device) < 2)
		return false;
	for (size_t i = 0; i < g->n_members; i++) {
		if (!acs_wanted(&g->members[i]))
			continue;
		iommu_isolation_of(sysfs, g->members[i].name, &iso);
		if (!iso.known || !iso.n)
			continue;
		/* the one nearest to the root joins the most; what parts cards leaves a card's own
		 * functions together */
		at = one_device && iso.at[0].kind == IOMMU_BREAK_FUNCTIONS ? 0 : iso.n - 1;
		snprintf(why, size, "%s is a %s", iso.at[at].name, iso.at[at].why);
		acs_mend(sysfs, &iso, at, mend, size);
		return true;
	}
	return false;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DMAR table of VT-d (Intel Virtualization Technology for Directed I/O, revision 4.1, chapter
 * 8) from bytes to struct dmar. Called by firmware.c. Firmware is trusted in nothing: a structure
 * that does not fit its table, or a scope that does not fit its structure, refuses the whole table
 * with the reason. Whether the addresses in it are right is left to the kernel, but for what no
 * reader could use (a unit at 0, memory that ends before it begins).
 */
#include "iommu_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acpi_abi.h"

/* Where in the table the reader is; `end` is the end of the structure. */
struct dmar_reader {
	const uint8_t *data;
	size_t at, end;
	char *why;
};

static const char *dmar_type_name(uint16_t type)
{
	static const char *const name[] = {
		"DRHD", "RMRR", "ATSR", "RHSA", "ANDD", "SATC", "SIDP"
	};

	return type < sizeof(name) / sizeof(name[0]) ? name[type] : "unknown structure";
}

/* The fixed part of a structure into `to`. */
static int dmar_fixed(struct dmar_reader *r, const struct dmar_entry *e, void *to, size_t size)
{
	if (r->end - r->at < size)
		return acpi_bad(r->why, "a %s at offset %zu has %zu bytes, it needs %zu",
				dmar_type_name(e->type), r->at, r->end - r->at, size);
	memcpy(to, r->data + r->at, size);
	r->at += size;
	return 0;
}

static int dmar_scope(struct dmar_reader *r, struct dmar_entry *e)
{
	struct dmar_device *d;
	struct dmar_scope s;
	int ret = dmar_fixed(r, e, &s, sizeof(s));

	if (ret < 0)
		return acpi_bad(r->why, "a device scope at offset %zu runs over its %s", r->at,
				dmar_type_name(e->type));
	if (s.length < sizeof(s) + 2 || s.length % 2)
		return acpi_bad(r->why, "a device scope at offset %zu has a length of %u bytes",
				r->at - sizeof(s), s.length);
	if (s.length - sizeof(s) > r->end - r->at)
		return acpi_bad(r->why, "a device scope at offset %zu runs over its %s",
				r->at - sizeof(s), dmar_type_name(e->type));
	if ((s.length - sizeof(s)) / 2 > ACPI_PATH_MAX)
		return acpi_bad(r->why, "a device scope at offset %zu has a path of %zu steps",
				r->at - sizeof(s), (s.length - sizeof(s)) / 2);
	if (e->n_devices == ACPI_PARTS_MAX)
		return acpi_bad(r->why, "a %s has more than %u device scopes",
				dmar_type_name(e->type), ACPI_PARTS_MAX);
	d = acpi_grow((void **)&e->device, e->n_devices, sizeof(*d));
	if (!d)
		return -ENOMEM;
	e->n_devices++;
	d->type = s.type;
	d->id = s.id;
	d->bus = s.bus;
	d->n_path = (uint8_t)((s.length - sizeof(s)) / 2);
	for (size_t i = 0; i < d->n_path; i++, r->at += 2) {
		d->path[i].dev = r->data[r->at];
		d->path[i].fn = r->data[r->at + 1];
		if (d->path[i].dev > 31 || d->path[i].fn > 7)
			return acpi_bad(r->why, "a device scope at offset %zu names device %u.%u",
					r->at, d->path[i].dev, d->path[i].fn);
	}
	return 0;
}

static int dmar_scopes(struct dmar_reader *r, struct dmar_entry *e)
{
	int ret = 0;

	while (ret == 0 && r->at < r->end)
		ret = dmar_scope(r, e);
	return ret;
}

static int dmar_unit(struct dmar_reader *r, struct dmar_entry *e)
{
	struct dmar_drhd u;
	int ret = dmar_fixed(r, e, &u, sizeof(u));

	if (ret < 0)
		return ret;
	if (!u.address || u.address == UINT64_MAX)
		return acpi_bad(r->why, "a DRHD has its registers at 0x%llx",
				(unsigned long long)u.address);
	e->flags = u.flags;
	e->segment = u.segment;
	e->first = u.address;
	return dmar_scopes(r, e);
}

static int dmar_memory(struct dmar_reader *r, struct dmar_entry *e)
{
	struct dmar_rmrr m;
	int ret = dmar_fixed(r, e, &m, sizeof(m));

	if (ret < 0)
		return ret;
	if (m.last <= m.first)
		return acpi_bad(r->why, "an RMRR ends at 0x%llx before it begins at 0x%llx",
				(unsigned long long)m.last, (unsigned long long)m.first);
	e->segment = m.segment;
	e->first = m.first;
	e->last = m.last;
	return dmar_scopes(r, e);
}

static int dmar_ats(struct dmar_reader *r, struct dmar_entry *e)
{
	struct dmar_atsr a;
	int ret = dmar_fixed(r, e, &a, sizeof(a));

	if (ret < 0)
		return ret;
	e->flags = a.flags;
	e->segment = a.segment;
	return dmar_scopes(r, e);
}

static int dmar_numa(struct dmar_reader *r, struct dmar_entry *e)
{
	struct dmar_rhsa n;
	int ret = dmar_fixed(r, e, &n, sizeof(n));

	if (ret < 0)
		return ret;
	e->first = n.address;
	e->node = n.node;
	return 0;
}

static int dmar_namespace(struct dmar_reader *r, struct dmar_entry *e)
{
	struct dmar_andd a;
	int ret = dmar_fixed(r, e, &a, sizeof(a));
	size_t size = r->end - r->at;

	if (ret < 0)
		return ret;
	if (!memchr(r->data + r->at, '\0', size))
		return acpi_bad(r->why, "the name in an ANDD does not end");
	e->number = a.number;
	for (size_t i = 0; i < sizeof(e->name) - 1 && r->data[r->at + i]; i++) {
		uint8_t c = r->data[r->at + i];

		e->name[i] = c >= ' ' && c < 0x7f ? (char)c : '?';
	}
	return 0;
}

static int dmar_entry(struct dmar_reader *r, struct dmar_entry *e, bool *known)
{
	*known = true;
	switch (e->type) {
	case DMAR_DRHD: return dmar_unit(r, e);
	case DMAR_RMRR: return dmar_memory(r, e);
	case DMAR_ATSR:
	case DMAR_SATC:
	case DMAR_SIDP: return dmar_ats(r, e);
	case DMAR_RHSA: return dmar_numa(r, e);
	case DMAR_ANDD: return dmar_namespace(r, e);
	default: *known = false; return 0; /* 8.2: software skips what it does not know */
	}
}

/* The structure at r->at, which ends before `table_end`. */
static int dmar_next(struct dmar_reader *r, size_t table_end, struct dmar *d)
{
	struct dmar_entry *e;
	struct dmar_part p;
	bool known;
	int ret;

	if (table_end - r->at < sizeof(p))
		return acpi_bad(r->why, "%zu bytes are left over at its end", table_end - r->at);
	memcpy(&p, r->data + r->at, sizeof(p));
	if (p.length < sizeof(p) || p.length > table_end - r->at)
		return acpi_bad(r->why, "a %s at offset %zu has a length of %u bytes, %zu are left",
				dmar_type_name(p.type), r->at, p.length, table_end - r->at);
	if (d->n_entries == ACPI_PARTS_MAX)
		return acpi_bad(r->why, "it has more than %u structures", ACPI_PARTS_MAX);
	e = acpi_grow((void **)&d->entry, d->n_entries, sizeof(*e));
	if (!e)
		return -ENOMEM;
	d->n_entries++;
	e->type = p.type;
	r->end = r->at + p.length;
	ret = dmar_entry(r, e, &known);
	if (ret == 0 && !known) {
		d->n_entries--;
		d->n_unknown++;
	}
	r->at = r->end;
	return ret;
}

int dmar_parse(const uint8_t *data, size_t size, struct dmar *out, char *why)
{
	struct dmar_reader r = { .data = data, .at = sizeof(struct dmar_head), .why = why };
	int ret = acpi_check(data, size, "DMAR", sizeof(struct dmar_head), why);
	struct dmar_head head;
	size_t end;

	memset(out, 0, sizeof(*out));
	if (ret < 0)
		return ret;
	end = (size_t)ret;
	memcpy(&head, data, sizeof(head));
	out->address_bits = head.address_width + 1u;
	out->flags = head.flags;
	if (out->address_bits > 64)
		return acpi_bad(why, "it tells addresses of %u bits", out->address_bits);
	for (ret = 0; ret == 0 && r.at < end;)
		ret = dmar_next(&r, end, out);
	if (ret < 0)
		dmar_free(out);
	return ret;
}

void dmar_free(struct dmar *d)
{
	for (size_t i = 0; i < d->n_entries; i++)
		free(d->entry[i].device);
	free(d->entry);
	memset(d, 0, sizeof(*d));
}

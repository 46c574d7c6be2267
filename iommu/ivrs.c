/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IVRS table of AMD-Vi (AMD I/O Virtualization Technology Specification, 48882, chapter 5) from
 * bytes to struct ivrs. Called by firmware.c. Firmware is trusted in nothing: what does not fit
 * refuses the whole table with the reason.
 */
#include "iommu_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acpi_abi.h"

/* A block of the table (IVHD or IVMD) and where in it the reader is. */
struct ivrs_reader {
	const uint8_t *data;
	size_t at, end;
	char *why;
};

/* Bytes of the device entry at r->at, or 0 when it does not fit. */
static size_t ivrs_dev_size(const struct ivrs_reader *r)
{
	static const uint8_t by_class[] = { 4, 8, 16, 32 };
	size_t left = r->end - r->at, size;
	uint8_t type = r->data[r->at];

	if (type < 0xf0)
		size = by_class[type >> 6];
	else if (left < IVRS_DEV_HID_SIZE)
		return 0;
	else
		size = IVRS_DEV_HID_SIZE + r->data[r->at + IVRS_DEV_HID_UID_SIZE];
	return size <= left ? size : 0;
}

static void ivrs_hid(const uint8_t *name, char out[9])
{
	for (size_t i = 0; i < 8 && name[i]; i++)
		out[i] = name[i] >= ' ' && name[i] < 0x7f ? (char)name[i] : '?';
}

static bool ivrs_starts(uint8_t type)
{
	return type == IVRS_DEV_START || type == IVRS_DEV_ALIAS_START || type == IVRS_DEV_EXT_START;
}

/* One entry of `size` bytes; *open says that a range has begun and not ended. */
static int ivrs_dev(struct ivrs_reader *r, size_t size, struct ivrs_unit *u, bool *open)
{
	struct ivrs_dev8 e = { 0 };
	struct ivrs_device *d;

	memcpy(&e, r->data + r->at, size < sizeof(e) ? size : sizeof(e));
	if (e.type == IVRS_DEV_PAD)
		return 0;
	if (e.type == IVRS_DEV_END) {
		d = *open ? &u->dev[u->n_devs - 1] : NULL;
		if (!d || e.device < d->first)
			return acpi_bad(r->why, "a range of devices ends at offset %zu and %s",
					r->at, d ? "begins behind that" : "has no beginning");
		d->last = e.device;
		*open = false;
		return 0;
	}
	if (*open)
		return acpi_bad(r->why, "a range of devices has no end at offset %zu", r->at);
	if (u->n_devs == ACPI_PARTS_MAX)
		return acpi_bad(r->why, "an IVHD has more than %u entries", ACPI_PARTS_MAX);
	d = acpi_grow((void **)&u->dev, u->n_devs, sizeof(*d));
	if (!d)
		return -ENOMEM;
	u->n_devs++;
	*open = ivrs_starts(e.type);
	*d = (struct ivrs_device){ .type = e.type,
				   .setting = e.setting,
				   .first = e.type == IVRS_DEV_ALL ? 0 : e.device,
				   .last = e.type == IVRS_DEV_ALL ? 0xffff : e.device };
	if (e.type == IVRS_DEV_ALIAS || e.type == IVRS_DEV_ALIAS_START)
		d->source = e.source;
	if (e.type == IVRS_DEV_SPECIAL) {
		d->source = e.source;
		d->handle = e.handle;
		d->variety = e.variety;
	}
	if (e.type == IVRS_DEV_HID)
		ivrs_hid(r->data + r->at + IVRS_DEV_HID_NAME, d->hid);
	return 0;
}

static int ivrs_devs(struct ivrs_reader *r, struct ivrs_unit *u)
{
	bool open = false;
	int ret = 0;

	while (ret == 0 && r->at < r->end) {
		size_t size = ivrs_dev_size(r);

		if (!size)
			return acpi_bad(r->why,
					"a device entry of type %02xh at offset %zu runs "
					"over its IVHD",
					r->data[r->at], r->at);
		ret = ivrs_dev(r, size, u, &open);
		r->at += size;
	}
	if (ret == 0 && open)
		return acpi_bad(r->why, "a range of devices has no end at offset %zu", r->at);
	return ret;
}

static int ivrs_add_unit(struct ivrs_reader *r, struct ivrs *v)
{
	const uint8_t *at = r->data + r->at;
	struct ivrs_unit *u;
	struct ivrs_ivhd h;
	size_t head = at[0] == IVRS_IVHD_10 ? sizeof(h) : IVRS_IVHD_LONG_SIZE;

	if (r->end - r->at < head)
		return acpi_bad(r->why, "an IVHD at offset %zu has %zu bytes, it needs %zu", r->at,
				r->end - r->at, head);
	memcpy(&h, at, sizeof(h));
	if (!h.address || h.address == UINT64_MAX)
		return acpi_bad(r->why, "an IVHD has its registers at 0x%llx",
				(unsigned long long)h.address);
	u = acpi_grow((void **)&v->unit, v->n_units, sizeof(*u));
	if (!u)
		return -ENOMEM;
	v->n_units++;
	*u = (struct ivrs_unit){
		.type = h.part.type,
		.flags = h.part.flags,
		.device = h.part.device,
		.capability = h.capability,
		.segment = h.segment,
		.info = h.info,
		.address = h.address,
		.features = h.features,
	};
	if (head == IVRS_IVHD_LONG_SIZE)
		memcpy(&u->efr, at + IVRS_IVHD_EFR, sizeof(u->efr));
	r->at += head;
	return ivrs_devs(r, u);
}

static int ivrs_add_memory(struct ivrs_reader *r, struct ivrs *v)
{
	struct ivrs_memory *m;
	struct ivrs_ivmd d;

	if (r->end - r->at < sizeof(d))
		return acpi_bad(r->why, "an IVMD at offset %zu has %zu bytes, it needs %zu", r->at,
				r->end - r->at, sizeof(d));
	memcpy(&d, r->data + r->at, sizeof(d));
	if (!d.size || d.address + (d.size - 1) < d.address)
		return acpi_bad(r->why, "an IVMD has 0x%llx bytes at 0x%llx",
				(unsigned long long)d.size, (unsigned long long)d.address);
	if (d.part.type == IVRS_IVMD_RANGE && d.last_device < d.part.device)
		return acpi_bad(r->why,
				"the devices of an IVMD end at %04x before they begin at "
				"%04x",
				d.last_device, d.part.device);
	m = acpi_grow((void **)&v->memory, v->n_memory, sizeof(*m));
	if (!m)
		return -ENOMEM;
	v->n_memory++;
	*m = (struct ivrs_memory){
		.type = d.part.type,
		.flags = d.part.flags,
		.segment = d.segment,
		.first_device = d.part.type == IVRS_IVMD_ALL ? 0 : d.part.device,
		.last_device = d.part.type == IVRS_IVMD_ALL     ? 0xffff
			       : d.part.type == IVRS_IVMD_RANGE ? d.last_device
								: d.part.device,
		.first = d.address,
		.last = d.address + (d.size - 1),
	};
	return 0;
}

/* The block at r->at, which ends before `table_end`. */
static int ivrs_next(struct ivrs_reader *r, size_t table_end, struct ivrs *v)
{
	struct ivrs_part p;
	int ret;

	if (table_end - r->at < sizeof(p))
		return acpi_bad(r->why, "%zu bytes are left over at its end", table_end - r->at);
	memcpy(&p, r->data + r->at, sizeof(p));
	if (p.length < sizeof(p) || p.length > table_end - r->at)
		return acpi_bad(r->why,
				"a block of type %02xh at offset %zu has a length of %u bytes, "
				"%zu are left",
				p.type, r->at, p.length, table_end - r->at);
	if (v->n_units + v->n_memory + v->n_unknown >= ACPI_PARTS_MAX)
		return acpi_bad(r->why, "it has more than %u blocks", ACPI_PARTS_MAX);
	r->end = r->at + p.length;
	switch (p.type) {
	case IVRS_IVHD_10:
	case IVRS_IVHD_11:
	case IVRS_IVHD_40: ret = ivrs_add_unit(r, v); break;
	case IVRS_IVMD_ALL:
	case IVRS_IVMD_ONE:
	case IVRS_IVMD_RANGE: ret = ivrs_add_memory(r, v); break;
	default:
		v->n_unknown++;
		ret = 0;
		break;
	}
	r->at = r->end;
	return ret;
}

int ivrs_parse(const uint8_t *data, size_t size, struct ivrs *out, char *why)
{
	struct ivrs_reader r = { .data = data, .at = sizeof(struct ivrs_head), .why = why };
	int ret = acpi_check(data, size, "IVRS", sizeof(struct ivrs_head), why);
	struct ivrs_head head;
	size_t end;

	memset(out, 0, sizeof(*out));
	if (ret < 0)
		return ret;
	end = (size_t)ret;
	memcpy(&head, data, sizeof(head));
	out->info = head.info;
	for (ret = 0; ret == 0 && r.at < end;)
		ret = ivrs_next(&r, end, out);
	if (ret < 0)
		ivrs_free(out);
	return ret;
}

void ivrs_free(struct ivrs *v)
{
	for (size_t i = 0; i < v->n_units; i++)
		free(v->unit[i].dev);
	free(v->unit);
	free(v->memory);
	memset(v, 0, sizeof(*v));
}

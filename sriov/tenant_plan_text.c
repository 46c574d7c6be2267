/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A plan for people, a line a step, and as JSON. Called by `tenant plan` and by whoever tells
 * steps. */
#include <stdio.h>
#include <string.h>
#include <linux/if_ether.h>

#include "tenant.h"

/* --- for people ----------------------------------------------------------- */
/* "100 qos 3", without the setting's name. */
static void text_value(enum vf_setting s, const struct vf_settings *v, char *buf, size_t size)
{
	static const char *const link[] = { "auto", "on", "off" };
	const char *word = "unknown";

	if (!(v->known & VF_BIT(s))) {
		snprintf(buf, size, "%s", word);
		return;
	}
	switch (s) {
	case VF_MAC:
		if (memcmp(v->mac, (uint8_t[6]){ 0 }, 6)) {
			vf_mac_text(v->mac, buf);
			return;
		}
		word = "none";
		break;
	case VF_VLAN:
		word = "none";
		if (v->vlan) {
			snprintf(buf, size, "%u%s%.1s%s", v->vlan, v->qos ? " qos " : "",
				 v->qos ? (char[2]){ (char)('0' + v->qos % 8), '\0' } : "",
				 v->proto == ETH_P_8021AD ? " 802.1ad" : "");
			return;
		}
		break;
	case VF_RATE:
		word = "no limit";
		if (v->max_tx_mbit || v->min_tx_mbit) {
			snprintf(buf, size, "max %u min %u Mbit/s", v->max_tx_mbit, v->min_tx_mbit);
			return;
		}
		break;
	case VF_SPOOF: word = v->spoof_check ? "on" : "off"; break;
	case VF_TRUST: word = v->trust ? "on" : "off"; break;
	case VF_LINK: word = link[v->link % 3]; break;
	case VF_N_SETTINGS: break;
	}
	snprintf(buf, size, "%s", word);
}

static const char *text_driver(const char *driver)
{
	return driver[0] ? driver : "none";
}

static void text_setting(const struct tenant_step *s, char *buf, size_t size)
{
	char from[48], to[48];

	text_value(s->setting, &s->from, from, sizeof(from));
	text_value(s->setting, &s->to, to, sizeof(to));
	if (s->kind == STEP_PROVE)
		snprintf(buf, size,
			 "%s %s: unknown whether the driver takes it (%s): will be tried first",
			 vf_setting_name(s->setting), to, vf_can_names[s->what % CAN_N]);
	else
		snprintf(buf, size, "%s %s -> %s", vf_setting_name(s->setting), from, to);
}

static void text_what(const struct tenant_step *s, char *buf, size_t size)
{
	switch (s->kind) {
	case STEP_AUTOPROBE: snprintf(buf, size, "autoprobe %u -> %u", s->n_from, s->n_to); break;
	case STEP_NUM_VFS: snprintf(buf, size, "VFs %u -> %u", s->n_from, s->n_to); break;
	case STEP_UNBIND:
	case STEP_BIND:
		snprintf(buf, size, "driver %s -> %s", text_driver(s->driver_from),
			 text_driver(s->driver_to));
		break;
	case STEP_RESET: snprintf(buf, size, "reset"); break;
	case STEP_PROVE:
	case STEP_SETTING: text_setting(s, buf, size); break;
	}
}

void tenant_step_text(const struct tenant_step *s, char *buf, size_t size)
{
	char what[192] = "", vf[24] = "";

	text_what(s, what, sizeof(what));
	if (s->idx != SRIOV_UNKNOWN)
		snprintf(vf, sizeof(vf), " VF %u", s->idx);
	snprintf(buf, size, "%s%s: %s%s%s%s", s->pf, vf, what, s->tenant[0] ? " (" : "", s->tenant,
		 s->tenant[0] ? ")" : "");
}

/* --- JSON ----------------------------------------------------------------- */
static const char *const kind_names[] = {
	[STEP_AUTOPROBE] = "autoprobe", [STEP_NUM_VFS] = "num_vfs", [STEP_UNBIND] = "unbind",
	[STEP_RESET] = "reset",         [STEP_PROVE] = "prove",     [STEP_SETTING] = "setting",
	[STEP_BIND] = "bind",
};

static json_t *json_settings(const struct vf_settings *v)
{
	json_t *o = json_object(), *known = json_object(), *value;
	const char *key;

	vf_settings_to_json(v, o);
	json_object_foreach(o, key, value)
		if (!json_is_null(value))
			json_object_set(known, key, value);
	json_decref(o);
	return known;
}

static json_t *json_driver(const char *driver)
{
	return driver[0] ? json_string(driver) : json_null();
}

static json_t *json_step(const struct tenant_step *s)
{
	json_t *o = json_pack("{s:s, s:s}", "kind", kind_names[s->kind], "pf", s->pf);
	char text[256];

	json_object_set_new(o, "vf", s->idx == SRIOV_UNKNOWN ? json_null() : json_integer(s->idx));
	json_object_set_new(o, "tenant", s->tenant[0] ? json_string(s->tenant) : json_null());
	if (s->kind == STEP_AUTOPROBE || s->kind == STEP_NUM_VFS) {
		json_object_set_new(o, "from", json_integer(s->n_from));
		json_object_set_new(o, "to", json_integer(s->n_to));
	} else if (s->kind == STEP_UNBIND || s->kind == STEP_BIND) {
		json_object_set_new(o, "from", json_driver(s->driver_from));
		json_object_set_new(o, "to", json_driver(s->driver_to));
	} else if (s->kind == STEP_SETTING || s->kind == STEP_PROVE) {
		json_object_set_new(o, "from", json_settings(&s->from));
		json_object_set_new(o, "to", json_settings(&s->to));
	}
	if (s->kind == STEP_PROVE)
		json_object_set_new(o, "unknown", json_string(vf_can_names[s->what]));
	tenant_step_text(s, text, sizeof(text));
	json_object_set_new(o, "text", nic_json_text(text));
	return o;
}

static json_t *json_slot(const struct tenant_slot *s)
{
	json_t *o = json_pack("{s:s, s:i, s:s, s:i, s:s}", "tenant", s->tenant, "number",
			      (int)s->nth, "pf", s->pf, "vf", (int)s->idx, "driver", s->driver);

	vf_settings_to_json(&s->set, o);
	return o;
}

json_t *tenant_plan_json(const struct tenant_plan *p)
{
	json_t *steps = json_array(), *slots = json_array(), *notes = json_array();

	for (size_t i = 0; i < p->n_steps; i++)
		json_array_append_new(steps, json_step(&p->steps[i]));
	for (size_t i = 0; i < p->n_slots; i++)
		json_array_append_new(slots, json_slot(&p->slots[i]));
	for (size_t i = 0; i < p->n_notes; i++)
		json_array_append_new(notes, nic_json_text(p->notes[i]));
	return json_pack("{s:i, s:o, s:o, s:o}", "version", 1, "steps", steps, "slots", slots,
			 "notes", notes);
}

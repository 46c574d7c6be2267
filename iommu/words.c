/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's parameters that decide what assignment gives (Documentation/admin-guide/
 * kernel-parameters.txt of Linux 6.12): those of the boot line, and those of the loaded modules
 * vfio and vfio_iommu_type1. Called by host_iommu.c. What is not told has the kernel's default.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/paths.h"
#include "iommu_priv.h"

#define BOOT_LINE_MAX 8192

/* One word of a parameter (NULL: whatever it says), and what it means for handing functions to
 * guests. */
static const struct word {
	const char *name, *word, *means;
} words[] = {
	{ "intel_iommu", "on", "VT-d is used when the firmware offers it" },
	{ "intel_iommu", "off", "VT-d is not used: nothing can be assigned" },
	{ "intel_iommu", "sm_on", "VT-d in scalable mode" },
	{ "intel_iommu", "sm_off", "VT-d in legacy mode" },
	{ "intel_iommu", "igfx_off", "the integrated graphics are not translated" },
	{ "intel_iommu", "strict", "the host's own unmappings take effect at once, which costs" },
	{ "intel_iommu", "sp_off", "mappings use 4 KiB pages only: slower DMA for guests" },
	{ "amd_iommu", "off", "AMD-Vi is not used: nothing can be assigned" },
	{ "amd_iommu", "on", "no word that the kernel knows: AMD-Vi is on by itself" },
	{ "amd_iommu", "fullflush", "the host's own unmappings take effect at once, which costs" },
	{ "amd_iommu", "force_isolation", "every device is translated, iommu=pt or not" },
	{ "amd_iommu", "force_enable", "AMD-Vi is used although the kernel distrusts it here" },
	{ "amd_iommu", "pgtbl_v1", "host page tables, as guests need" },
	{ "amd_iommu", "pgtbl_v2", "guest page tables for the host's own DMA" },
	{ "amd_iommu_intr", "legacy", "no posted interrupts on AMD-Vi" },
	{ "amd_iommu_intr", "vapic", "posted interrupts on AMD-Vi where it can" },
	{ "iommu", "off", "no IOMMU is used: nothing can be assigned" },
	{ "iommu", "pt",
	  "the host's own DMA is not translated; assigned functions are, so guests are as safe" },
	{ "iommu", "nopt", "the host's own DMA is translated as well" },
	{ "iommu", "force", "an IOMMU is used also where the kernel would not" },
	{ "iommu.passthrough", "1",
	  "the host's own DMA is not translated; assigned functions are, so guests are as safe" },
	{ "iommu.passthrough", "0", "the host's own DMA is translated as well" },
	{ "iommu.strict", "1", "the host's own unmappings take effect at once, which costs" },
	{ "iommu.strict", "0", "the host's own unmappings are flushed in batches" },
	{ "intremap", "off",
	  "interrupts are not remapped: guests could forge them, so VFIO refuses" },
	{ "intremap", "nosid",
	  "remapped interrupts are not checked for their source: a guest could forge them" },
	{ "intremap", "nopost", "no posted interrupts: each takes an exit" },
	{ "intremap", "no_x2apic_optout", "x2APIC is used although the firmware asks not to" },
	{ "pcie_acs_override", NULL,
	  "groups are split without isolation in hardware: functions of different guests may "
	  "reach each other" },
	{ "pci", "disable_acs_redir",
	  "ACS redirection is off for some ports: what is below them is in one group" },
	{ "pci", "config_acs", "ACS of some ports is set by hand, groups follow it" },
	{ "vfio_iommu_type1.allow_unsafe_interrupts", NULL,
	  "VFIO may do without interrupt remapping: guests could forge interrupts" },
	{ "vfio.enable_unsafe_noiommu_mode", NULL,
	  "VFIO may do without an IOMMU: a device reaches all of the host's memory" },
};

static void words_boot_line(const struct host_view *v, char line[BOOT_LINE_MAX])
{
	if (paths_read_line(line, BOOT_LINE_MAX, "%s/cmdline", v->proc) < 0)
		line[0] = '\0';
}

/* Comma-separated; a word may go on with '=' or ':'. */
static bool words_has(const char *value, const char *word)
{
	size_t n = strlen(word);

	for (const char *s = value; s; s = strchr(s, ',')) {
		if (*s == ',')
			s++;
		if (!strncmp(s, word, n) && (!s[n] || strchr(",=:", s[n])))
			return true;
	}
	return false;
}

/* As the kernel's kstrtobool(): a parameter that is switched off means nothing. */
static bool words_off(const char *value)
{
	return value[0] == '0' || value[0] == 'n' || value[0] == 'N' || !strcmp(value, "off");
}

/* The kernel reads '-' and '_' in names as the same. */
static bool words_same_name(const char *a, size_t n, const char *name)
{
	if (strlen(name) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((a[i] == '-' ? '_' : a[i]) != name[i])
			return false;
	return true;
}

static bool words_matches(const struct word *w, const char *token, const char *value)
{
	if (!words_same_name(token, (size_t)(value - 1 - token), w->name))
		return false;
	return w->word ? words_has(value, w->word) : !words_off(value);
}

static void words_add(json_t *list, const char *name, const char *value, const char *means)
{
	json_array_append_new(
		list, json_pack("{s:s, s:s, s:s}", "name", name, "value", value, "means", means));
}

static void words_boot(const struct host_view *v, json_t *list)
{
	char line[BOOT_LINE_MAX], *save = NULL;

	words_boot_line(v, line);
	for (char *t = strtok_r(line, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(t, '=');

		for (size_t i = 0; eq && i < sizeof(words) / sizeof(words[0]); i++)
			if (words_matches(&words[i], t, eq + 1))
				words_add(list, words[i].name,
					  words[i].word ? words[i].word : eq + 1, words[i].means);
	}
}

bool iommu_word_given(const struct host_view *v, const char *name, const char *word)
{
	char line[BOOT_LINE_MAX], *save = NULL;
	const struct word w = { name, word, NULL };

	words_boot_line(v, line);
	for (char *t = strtok_r(line, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(t, '=');

		if (eq && words_matches(&w, t, eq + 1))
			return true;
	}
	return false;
}

static bool words_module(const struct host_view *v, const char *module, const char *parameter)
{
	char line[16];

	return paths_read_line(line, sizeof(line), "%s/module/%s/parameters/%s", v->sysfs, module,
			       parameter) > 0 &&
	       !words_off(line);
}

bool iommu_unsafe_interrupts(const struct host_view *v)
{
	return words_module(v, "vfio_iommu_type1", "allow_unsafe_interrupts");
}

static const char *words_means(const char *name)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i].name, name))
			return words[i].means;
	return "";
}

/* Switched on after boot or in modprobe.d: the boot line does not tell. */
static void words_add_module(const struct host_view *v, json_t *list, const char *module,
			     const char *parameter)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%s", module, parameter);
	if (words_module(v, module, parameter) && !iommu_word_given(v, name, NULL))
		words_add(list, name, "Y", words_means(name));
}

json_t *iommu_words_json(const struct host_view *v)
{
	json_t *list = json_array();

	words_boot(v, list);
	words_add_module(v, list, "vfio_iommu_type1", "allow_unsafe_interrupts");
	words_add_module(v, list, "vfio", "enable_unsafe_noiommu_mode");
	return list;
}

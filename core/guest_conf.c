/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See guest_conf.h. yaml_file.c reads the file's shape; every value comes as text and is checked
 * here, so that a message can name the file. The words of a NIC and a disk are checked by those who
 * check the command line's (prep.h), with the file's name in front.
 */
#include "core/guest_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cmd.h"
#include "core/cpu_pin.h"
#include "core/prep_disk.h"
#include "core/prep_priv.h"
#include "core/rpc.h"
#include "core/yaml_file.h"

/* As it was written. NULL: not there. */
struct guest_conf {
	char *name, *kernel, *initrd, *append, *mem, *hugepages, *prefault, *cpus, *pin, *reboot;
	char **nics, **disks;
	unsigned int nics_count, disks_count;
};

/* --- the file's shape --- */
#define WORD(key) \
	CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct guest_conf, \
			       key, 0, CYAML_UNLIMITED)
#define LIST(key) \
	CYAML_FIELD_SEQUENCE(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct guest_conf, \
			     key, &word_schema, 0, CYAML_UNLIMITED)

static const cyaml_schema_value_t word_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t guest_fields[] = { WORD(name),      WORD(kernel),   WORD(initrd),
						     WORD(append),    WORD(mem),      WORD(cpus),
						     WORD(hugepages), WORD(pin),      LIST(nics),
						     LIST(disks),     WORD(prefault), WORD(reboot),
						     CYAML_FIELD_END };

static const char guest_keys[] =
	"name, kernel, initrd, append, mem, hugepages, prefault, cpus, pin, disks, nics, reboot";

static const cyaml_schema_value_t guest_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct guest_conf, guest_fields),
};

/* --- single values --- */
static int check_numbers(const char *file, const struct guest_conf *c, unsigned long long *n_cpus)
{
	unsigned long long bytes;

	if (c->mem && cmd_number(c->mem, GUEST_MIN_MEM, GUEST_MAX_MEM, &bytes) < 0)
		return err_ret(-EINVAL,
			       "%s: mem: '%s' is no size from 2M to 1024G; write it like 512M",
			       file, c->mem);
	if (c->cpus && cmd_number(c->cpus, 1, GUEST_MAX_CPUS, n_cpus) < 0)
		return err_ret(-EINVAL, "%s: cpus: '%s' is no number from 1 to %d; give one", file,
			       c->cpus, GUEST_MAX_CPUS);
	if (c->hugepages && strcmp(c->hugepages, "2M") && strcmp(c->hugepages, "1G"))
		return err_ret(-EINVAL,
			       "%s: hugepages: '%s' is neither 2M nor 1G; give one, or leave "
			       "hugepages out",
			       file, c->hugepages);
	if (c->prefault && strcmp(c->prefault, "true") && strcmp(c->prefault, "false"))
		return err_ret(-EINVAL, "%s: prefault: '%s' is neither true nor false; give one",
			       file, c->prefault);
	if (c->reboot && strcmp(c->reboot, "true") && strcmp(c->reboot, "false"))
		return err_ret(-EINVAL, "%s: reboot: '%s' is neither true nor false; give one",
			       file, c->reboot);
	return 0;
}

static int check_texts(const char *file, const struct guest_conf *c)
{
	if (c->name && !rpc_name_ok(c->name))
		return err_ret(-EINVAL,
			       "%s: name: '%s' is no name; use 1 to 32 letters, digits, '_', '-' "
			       "or '.'",
			       file, c->name);
	if (c->kernel && !*c->kernel)
		return err_ret(-EINVAL, "%s: kernel: it is empty; give a file", file);
	if (c->initrd && !*c->initrd)
		return err_ret(-EINVAL, "%s: initrd: it is empty; give a file, or leave initrd out",
			       file);
	return 0;
}

static int check_lists(const struct guest_conf *c)
{
	int ret = 0;

	for (unsigned int i = 0; i < c->nics_count && ret == 0; i++)
		ret = prep_check_nic(c->nics[i]);
	for (unsigned int i = 0; i < c->disks_count && ret == 0; i++)
		ret = prep_check_disk(c->disks[i]);
	return ret;
}

static int conf_check(const char *file, const struct guest_conf *c)
{
	unsigned long long n_cpus = 0;
	struct cpu_pin pin;
	int ret = check_texts(file, c);

	if (ret == 0)
		ret = check_numbers(file, c, &n_cpus);
	if (ret < 0)
		return ret;
	err_set_source(file);
	ret = check_lists(c);
	/* without cpus the number of vCPUs is the command line's */
	if (ret == 0 && c->pin && c->cpus)
		ret = cpu_pin_parse(c->pin, (unsigned int)n_cpus, &pin);
	err_set_source(NULL);
	return ret;
}

/* --- paths --- */
/* The file's folder goes in front of a path that does not begin at the root. */
static int path_from_folder(const char *folder, int len, char **path)
{
	char *whole;

	if (!len || !*path || **path == '/')
		return 0;
	if (asprintf(&whole, "%.*s%s", len, folder, *path) < 0)
		return err_ret(-ENOMEM, "reading %s: out of memory; free some", folder);
	free(*path);
	*path = whole;
	return 0;
}

static int conf_resolve(const char *file, struct guest_conf *c)
{
	const char *slash = strrchr(file, '/');
	int len = slash ? (int)(slash + 1 - file) : 0;
	int ret = path_from_folder(file, len, &c->kernel);

	if (ret == 0)
		ret = path_from_folder(file, len, &c->initrd);
	for (unsigned int i = 0; i < c->disks_count && ret == 0; i++) {
		/* a disk's path ends at its first comma */
		if (*c->disks[i] != '/' && memchr(file, ',', (size_t)len))
			return err_ret(-EINVAL,
				       "%s: disks: '%s' is in a folder with a comma in its name; "
				       "rename the folder",
				       file, c->disks[i]);
		ret = path_from_folder(file, len, &c->disks[i]);
	}
	return ret;
}

/* --- into the words --- */
static void fill(const char **word, const char *text)
{
	if (!*word)
		*word = text;
}

static int fill_list(const char ***list, char *const *text, unsigned int n)
{
	if (*list || !n)
		return 0;
	*list = calloc(n + 1, sizeof(**list));
	if (!*list)
		return err_ret(-ENOMEM, "run: out of memory; free some");
	for (unsigned int i = 0; i < n; i++)
		(*list)[i] = text[i];
	return 0;
}

static int conf_fill(const struct guest_conf *c, struct guest_words *w)
{
	int ret = fill_list(&w->nics, c->nics, c->nics_count);

	if (ret == 0)
		ret = fill_list(&w->disks, c->disks, c->disks_count);
	fill(&w->name, c->name);
	fill(&w->kernel, c->kernel);
	fill(&w->initrd, c->initrd);
	fill(&w->append, c->append);
	fill(&w->mem, c->mem);
	fill(&w->hugepages, c->hugepages);
	fill(&w->cpus, c->cpus);
	fill(&w->pin, c->pin);
	w->prefault |= c->prefault && !strcmp(c->prefault, "true");
	w->no_reboot |= c->reboot && !strcmp(c->reboot, "false");
	return ret;
}

int guest_conf_load(const char *file, struct guest_words *w, struct guest_conf **out)
{
	void *data;
	int ret = yaml_file_load(file, &guest_schema, guest_keys, &data);
	struct guest_conf *c = data;

	*out = NULL;
	if (ret < 0)
		return ret;
	if (!c)
		return err_ret(-EINVAL, "%s: it is empty; give at least kernel", file);
	ret = conf_check(file, c);
	if (ret == 0)
		ret = conf_resolve(file, c);
	if (ret == 0)
		ret = conf_fill(c, w);
	if (ret < 0) {
		guest_conf_free(c);
		return ret;
	}
	*out = c;
	return 0;
}

void guest_conf_free(struct guest_conf *c)
{
	yaml_file_free(&guest_schema, c);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Option strings (see opts.h): type,key=value,... Used by devices, back-ends and the preparation of
 * `fourlane run`. No quoting and no nesting: a value that needs a comma has no place here.
 */
#include "core/opts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

#define OPTS_MAX 32

struct opt_pair {
	char *key, *value;
	bool taken;
};

struct opts {
	char *text;  /* as given */
	char *split; /* the copy that the pairs point into */
	char *type;
	struct opt_pair pair[OPTS_MAX];
	unsigned int n;
};

static int opts_add_pair(struct opts *o, char *word)
{
	char *eq = strchr(word, '=');

	if (!eq || eq == word)
		return err_ret(-EINVAL,
			       "options '%s': '%s' is no key=value; write key=value pairs with "
			       "commas between them",
			       o->text, word);
	*eq = '\0';
	for (unsigned int i = 0; i < o->n; i++)
		if (!strcmp(o->pair[i].key, word))
			return err_ret(-EINVAL, "options '%s': '%s' stands twice; give it once",
				       o->text, word);
	if (o->n == OPTS_MAX)
		return err_ret(-EINVAL, "options '%s': more than %d; leave some out", o->text,
			       OPTS_MAX);
	o->pair[o->n++] = (struct opt_pair){ .key = word, .value = eq + 1 };
	return 0;
}

int opts_parse(const char *text, struct opts **out)
{
	struct opts *o = calloc(1, sizeof(*o));
	char *rest, *word;
	int ret = -ENOMEM;

	if (!o || !(o->text = strdup(text)) || !(o->split = strdup(text)))
		goto fail;
	rest = o->split;
	o->type = strsep(&rest, ",");
	ret = -EINVAL;
	if (!*o->type || strchr(o->type, '=')) {
		err_say("options '%s': no type in front; begin with the type, as in "
			"'virtio,backend=tap'",
			text);
		goto fail;
	}
	while ((word = strsep(&rest, ",")))
		if ((ret = opts_add_pair(o, word)) < 0)
			goto fail;
	*out = o;
	return 0;
fail:
	opts_free(o);
	return ret;
}

void opts_free(struct opts *o)
{
	if (!o)
		return;
	free(o->text);
	free(o->split);
	free(o);
}

const char *opts_type(const struct opts *o)
{
	return o->type;
}

const char *opts_text(const struct opts *o)
{
	return o->text;
}

const char *opts_take(struct opts *o, const char *key)
{
	for (unsigned int i = 0; i < o->n; i++)
		if (!strcmp(o->pair[i].key, key)) {
			o->pair[i].taken = true;
			return o->pair[i].value;
		}
	return NULL;
}

int opts_take_number(struct opts *o, const char *key, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *v = opts_take(o, key);
	unsigned long long n;
	char *end;

	if (!v)
		return 0;
	errno = 0;
	n = strtoull(v, &end, 0);
	if (errno || end == v || *end || *v == '-' || n < min || n > max)
		return err_ret(-EINVAL,
			       "options '%s': %s=%s is no number from %llu to %llu; mend it",
			       o->text, key, v, (unsigned long long)min, (unsigned long long)max);
	*out = n;
	return 0;
}

int opts_take_bool(struct opts *o, const char *key, bool *out)
{
	const char *v = opts_take(o, key);

	if (!v)
		return 0;
	if (!strcmp(v, "on") || !strcmp(v, "true") || !strcmp(v, "1"))
		*out = true;
	else if (!strcmp(v, "off") || !strcmp(v, "false") || !strcmp(v, "0"))
		*out = false;
	else
		return err_ret(-EINVAL, "options '%s': %s=%s is neither on nor off; mend it",
			       o->text, key, v);
	return 0;
}

int opts_take_mac(struct opts *o, const char *key, uint8_t mac[6])
{
	static const uint8_t zero[6];
	const char *v = opts_take(o, key);
	unsigned int b[6];
	int end = 0;

	if (!v)
		return 0;
	if (strlen(v) != 17 ||
	    sscanf(v, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != 6 ||
	    end != 17)
		return err_ret(-EINVAL,
			       "options '%s': %s=%s is no MAC address; write aa:bb:cc:dd:ee:ff",
			       o->text, key, v);
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	if ((mac[0] & 1) || !memcmp(mac, zero, 6))
		return err_ret(
			-EINVAL,
			"options '%s': %s=%s is a group address or zero; give a unicast address",
			o->text, key, v);
	return 1;
}

void opts_take_listed(struct opts *o, const char *help)
{
	for (const char *end = strchr(help, '='); end; end = strchr(end + 1, '=')) {
		const char *begin = end;
		char key[32];

		while (begin > help && (isalnum((unsigned char)begin[-1]) || begin[-1] == '_'))
			begin--;
		snprintf(key, sizeof(key), "%.*s", (int)(end - begin), begin);
		opts_take(o, key);
	}
}

int opts_done(const struct opts *o, const char *known)
{
	for (unsigned int i = 0; i < o->n; i++)
		if (!o->pair[i].taken)
			return err_ret(-EINVAL,
				       "options '%s': '%s' is not known here; what there is: %s",
				       o->text, o->pair[i].key, known);
	return 0;
}

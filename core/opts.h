/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Option strings of devices and back-ends: "e1000,backend=tap,ifname=tap0". The first word is the
 * type, the rest are key=value pairs. Whoever owns a key takes it; a key that nobody took is an
 * error, so a misspelt one is never ignored.
 */
#ifndef CORE_OPTS_H
#define CORE_OPTS_H

#include <stdbool.h>
#include <stdint.h>

struct opts;

/*
 * opts_parse - splits `text` (copied). -EINVAL after a message for an empty type, a pair without
 * '=', an empty key or a key that stands twice. The caller owns *out and frees it with opts_free(),
 * which accepts NULL.
 */
int opts_parse(const char *text, struct opts **out);
void opts_free(struct opts *o);

/* opts_type - the first word. opts_text - the whole as it was given. Both live as long as `o`. */
const char *opts_type(const struct opts *o);
const char *opts_text(const struct opts *o);

/* opts_take - the value of a key, marked as used; NULL when it is not there. */
const char *opts_take(struct opts *o, const char *key);

/*
 * opts_take_number - sets *out (left alone when the key is absent). -EINVAL after a message when it
 * is no number in range.
 */
int opts_take_number(struct opts *o, const char *key, uint64_t min, uint64_t max, uint64_t *out);

/* opts_take_bool - on|off|true|false|1|0. -EINVAL after a message. */
int opts_take_bool(struct opts *o, const char *key, bool *out);

/*
 * opts_take_mac - aa:bb:cc:dd:ee:ff, unicast, not zero. 1 when it was there, 0 when not, -EINVAL
 * after a message.
 */
int opts_take_mac(struct opts *o, const char *key, uint8_t mac[6]);

/*
 * opts_take_listed - marks as used every key that stands in `help` with a '=' behind it: "mac=M,
 * queues=1..8". For whoever checks the words of another.
 */
void opts_take_listed(struct opts *o, const char *help);

/*
 * opts_done - -EINVAL after a message that names the first key nobody took and `known`, the keys
 * there are.
 */
int opts_done(const struct opts *o, const char *known);

#endif

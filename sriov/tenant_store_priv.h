/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the tenants' store (tenant_store*.c): the database handle and a thin layer over
 * SQLite. Every function gives a negative errno after a message, once; rows are read through
 * struct store_row, which remembers when a column was not what it has to be.
 */
#ifndef SRIOV_TENANT_STORE_PRIV_H
#define SRIOV_TENANT_STORE_PRIV_H

#include <sqlite3.h>

#include "sriov/tenant.h"

struct tenant_store {
	sqlite3 *db; /* of STORE_READ: a copy in memory */
	char path[PATH_MAX + 16];
	char boot_id[SRIOV_BOOT_ID_SIZE];
};

/* --- opening (tenant_store.c, tenant_store_read.c) ---------------------- */
#define STORE_WAIT_MS 10 /* between two tries */

extern const char store_opening[]; /* what is being done, for messages */
/* store_check - 1: ours, of this version; 0: nothing in it yet; -EBADMSG. */
int store_check(const struct tenant_store *st);
int store_make_tables(const struct tenant_store *st);
/* store_sound - damage is found now, not in the middle of a change. -EBADMSG. */
int store_sound(const struct tenant_store *st);
/* store_open_copy - st->db becomes the copy in memory; an empty store when there is no file. */
int store_open_copy(const struct sriov_env *e, struct tenant_store *st);

/* --- statements (tenant_store_sql.c) ------------------------------------ */
/* store_errno - negative errno of what SQLite said last on `db`; rc is that. */
int store_errno(sqlite3 *db, int rc);
/* store_fail - the message of a failure while doing `what`, and its negative errno. */
int store_fail(const struct tenant_store *st, int rc, const char *what);
/* store_say - the same for a negative errno; `why` is SQLite's text or strerror(). */
int store_say(const struct tenant_store *st, int err, const char *what, const char *why);

/*
 * store_bind - values for a statement's places in their order: s (const char *, NULL: null),
 * i (long long), j (const struct vf_settings *). -ENOMEM, -EIO without a message.
 */
int store_bind(sqlite3_stmt *q, const char *fmt, ...);
/* store_put - binds, runs to the end, and makes ready for the next. For many rows of one kind. */
int store_put(const struct tenant_store *st, sqlite3_stmt *q, const char *what);
int store_prepare(const struct tenant_store *st, const char *sql, const char *what,
		  sqlite3_stmt **out);
/* store_step - 1: a row, 0: no more. */
int store_step(const struct tenant_store *st, sqlite3_stmt *q, const char *what);
/* store_exec - one statement, values as in store_bind. Gives how many rows it changed. */
int store_exec(const struct tenant_store *st, const char *what, const char *sql, const char *fmt,
	       ...);
/*
 * store_begin_change / store_end_change - around what must be all or nothing. end commits when
 * ret is 0 or above, else takes all back; gives ret or the error of the commit.
 */
int store_begin_change(const struct tenant_store *st, const char *what);
int store_end_change(const struct tenant_store *st, const char *what, int ret);

/* --- rows --------------------------------------------------------------- */
struct store_row {
	sqlite3_stmt *q;
	int col;  /* the next */
	bool bad; /* something was not as it has to be */
};
/*
 * Each takes the next column. text: any, may be empty; word: no blanks, can be a file's name, may
 * be empty; name: a word that is not empty.
 */
void row_text(struct store_row *r, char *buf, size_t size);
void row_word(struct store_row *r, char *buf, size_t size);
void row_name(struct store_row *r, char *buf, size_t size);
uint64_t row_number(struct store_row *r, uint64_t max);
int row_signed(struct store_row *r, int min, int max);
void row_settings(struct store_row *r, struct vf_settings *s);
/* store_rows_bad - the message for a bad row of `table`; -EBADMSG. */
int store_rows_bad(const struct tenant_store *st, const char *table);
/* store_grow - room for one more of `size` bytes behind n; NULL: out of memory, p stays. */
void *store_grow(void *p, size_t n, size_t size);

/* --- slots and what is wanted, for the journal (tenant_store_slots.c) --- */
int store_slots_read(const struct tenant_store *st, int next, struct tenant_slot **out, size_t *n);
int store_slots_write(const struct tenant_store *st, const struct tenant_slot *s, size_t n);
int store_wanted_write(const struct tenant_store *st, const struct tenant_file *f);
int store_before_write(const struct tenant_store *st, const struct tenant_before *b, size_t n);

#endif

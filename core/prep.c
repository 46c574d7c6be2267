/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Preparing the NICs of a guest (see prep.h): finds who prepares what, collects descriptors, makes
 * the software NICs' MAC. */
#include "core/prep_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"

#define PREP_AGAIN_RETRY_MS 50

REGISTRY(fl_nic_preps, struct nic_prep);
REGISTRY(fl_backend_preps, struct backend_prep);

const char *prep_guest_name(const struct prep_guest *g)
{
	return g->name;
}

bool prep_guest_no_reset(const struct prep_guest *g)
{
	return g->no_reset;
}

uint64_t prep_guest_mem(const struct prep_guest *g)
{
	return g->mem_bytes;
}

const struct prep_nic *prep_guest_nic_at(const struct prep_guest *g, unsigned int idx)
{
	return idx < g->n_nics ? &g->slot[idx].nic : NULL;
}

static const struct prep_shared *prep_shared_find(const struct prep_guest *g, const char *name)
{
	for (unsigned int i = 0; i < g->n_shared; i++)
		if (!strcmp(g->shared[i].name, name))
			return &g->shared[i];
	return NULL;
}

int prep_shared_fd(const struct prep_guest *g, const char *name)
{
	const struct prep_shared *s = prep_shared_find(g, name);

	return s ? s->fd : -ENOENT;
}

uint32_t prep_shared_number(const struct prep_guest *g, const char *name)
{
	const struct prep_shared *s = prep_shared_find(g, name);

	return s ? s->number : 0;
}

int prep_set_shared_fd(struct prep_guest *g, const char *name, int fd, uint32_t number)
{
	struct prep_shared *s = &g->shared[g->n_shared];

	if (g->n_shared == sizeof(g->shared) / sizeof(g->shared[0]))
		return -E2BIG;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->fd = fd;
	s->number = number;
	g->n_shared++;
	return 0;
}

int prep_guest_fd(struct prep_guest *g, const char *name, int fd)
{
	struct prep_fd *f = &g->fd[g->n_fds];

	if (g->n_fds == RPC_MAX_FDS) {
		close(fd);
		return err_ret(-E2BIG, "guest '%s': more than %d descriptors; give it fewer NICs",
			       g->name, RPC_MAX_FDS);
	}
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->fd = fd;
	g->n_fds++;
	return 0;
}

int prep_add_fd(struct prep_guest *g, struct prep_nic *nic, const char *name, int fd)
{
	char full[32];

	snprintf(full, sizeof(full), "%s:%s", nic->name, name);
	/*
	 * a shared descriptor stays the guest's: the NIC gets a copy, so that each is closed once
	 */
	for (unsigned int i = 0; i < g->n_shared; i++)
		if (g->shared[i].fd == fd)
			fd = dup(fd);
	return fd < 0 ? -errno : prep_guest_fd(g, full, fd);
}

int prep_set_opts(struct prep_nic *nic, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	free(nic->device_opts);
	nic->device_opts = text;
	return 0;
}

int prep_wait(struct prep_guest *g, int fd, short events, int timeout_ms)
{
	/* the signal stays where it is: the supervisor's loop, or its end, reads it */
	struct pollfd p[] = { { .fd = g->sig_fd > 0 ? g->sig_fd : -1, .events = POLLIN },
			      { .fd = fd, .events = events } };
	long long end = rpc_now_ms() + timeout_ms, left = timeout_ms;
	int n;

	do {
		n = poll(p, 2, left > 0 ? (int)left : 0);
		left = end - rpc_now_ms();
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n > 0 && p[0].revents)
		return -EINTR;
	return n > 0 ? 0 : -ETIMEDOUT;
}

static const struct nic_prep *nic_prep_find(const char *type)
{
	struct nic_prep const *const *it;
	char list[256] = "";

	REGISTRY_FOREACH(fl_nic_preps, it) {
		size_t n = strlen(list);

		if (!strcmp((*it)->name, type))
			return *it;
		snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", (*it)->name);
	}
	err_say("--nic %s: there is no such kind of NIC; there are: %s", type, list);
	return NULL;
}

static const struct backend_prep *backend_prep_find(const char *name)
{
	struct backend_prep const *const *it;

	REGISTRY_FOREACH(fl_backend_preps, it)
		if (!strcmp((*it)->name, name))
			return *it;
	return NULL;
}

/*
 * A software NIC's keys are taken by its device and its back-end, in the monitor: too late to say
 * that one is misspelt, when a switch has been waited for or an interface made.
 */
static int check_software_keys(const struct nic_prep *t, struct opts *o)
{
	const char *backend = opts_take(o, "backend");
	const struct backend_prep *b = backend_prep_find(backend ? backend : "null");
	char known[512];

	opts_take_listed(o, t->keys);
	if (b)
		opts_take_listed(o, b->keys);
	snprintf(known, sizeof(known), "%s%s%s%s%s", t->keys, b ? "; of " : "", b ? b->name : "",
		 b ? ": " : "", b ? b->keys : "");
	return opts_done(o, known);
}

int prep_check_nic(const char *spec)
{
	const struct nic_prep *t;
	struct opts *o;
	int ret = opts_parse(spec, &o);

	if (ret < 0)
		return ret;
	t = nic_prep_find(opts_type(o));
	ret = !t ? -EINVAL : t->prepare == prep_software ? check_software_keys(t, o) : 0;
	opts_free(o);
	return ret;
}

int prep_guest_nic(struct prep_guest *g, const char *spec)
{
	struct prep_slot *s = &g->slot[g->n_nics];
	int ret;

	if (g->n_nics == MONITOR_MAX_NICS)
		return err_ret(-E2BIG, "guest '%s': more than %d NICs; leave some out", g->name,
			       MONITOR_MAX_NICS);
	memset(s, 0, sizeof(*s));
	s->nic.idx = g->n_nics;
	snprintf(s->nic.name, sizeof(s->nic.name), "nic%u", g->n_nics);
	ret = opts_parse(spec, &s->nic.opts);
	if (ret < 0)
		return ret;
	g->n_nics++;
	s->type = nic_prep_find(opts_type(s->nic.opts));
	if (!s->type)
		return -EINVAL;
	snprintf(s->nic.lane, sizeof(s->nic.lane), "%s", s->type->lane);
	ret = s->type->prepare(g, &s->nic);
	if (ret < 0)
		return ret;
	s->prepared = true;
	return s->nic.device_opts ? 0 : prep_set_opts(&s->nic, "%s", opts_text(s->nic.opts));
}

void prep_guest_release(struct prep_guest *g)
{
	for (unsigned int i = 0; i < g->n_fds; i++)
		if (g->fd[i].fd >= 0)
			close(g->fd[i].fd);
	g->n_fds = 0;
	for (unsigned int i = 0; i < g->n_shared; i++)
		close(g->shared[i].fd);
	g->n_shared = 0;
	while (g->n_nics) {
		struct prep_slot *s = &g->slot[--g->n_nics];

		if (s->prepared && s->type->release)
			s->type->release(g, &s->nic);
		opts_free(s->nic.opts);
		free(s->nic.device_opts);
		memset(s, 0, sizeof(*s));
	}
	prep_disks_release(g);
}

/* --- software NICs --- */
/* FNV-1a over the guest's name and the NIC's index: the same guest has the same address on every
 * start. */
static void stable_mac(const char *guest, unsigned int idx, uint8_t mac[6])
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (const char *p = guest; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	h = (h ^ (idx + 0x100)) * 0x100000001b3ull;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)(h >> (8 * i));
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02); /* unicast, locally administered */
}

int prep_software(struct prep_guest *g, struct prep_nic *nic)
{
	const char *backend = opts_take(nic->opts, "backend");
	const struct backend_prep *b = backend_prep_find(backend ? backend : "null");
	uint8_t mac[6];
	int ret = opts_take_mac(nic->opts, "mac", mac);

	if (ret < 0)
		return ret;
	if (ret == 0) {
		stable_mac(g->name, nic->idx, mac);
		ret = prep_set_opts(nic, "%s,mac=%02x:%02x:%02x:%02x:%02x:%02x",
				    opts_text(nic->opts), mac[0], mac[1], mac[2], mac[3], mac[4],
				    mac[5]);
		if (ret < 0)
			return ret;
	}
	g->shares_memory |= b && b->shares_memory;
	/* a back-end that has nothing to open need not register here: the monitor knows the names
	 * and refuses the others */
	return b && b->prepare ? b->prepare(g, nic) : 0;
}

void prep_software_release(struct prep_guest *g, struct prep_nic *nic)
{
	const char *backend = opts_take(nic->opts, "backend");
	const struct backend_prep *b = backend_prep_find(backend ? backend : "null");

	if (b && b->release)
		b->release(g, nic);
}

static const struct backend_prep *backend_of_slot(const struct prep_slot *s)
{
	const char *backend;

	if (!s->prepared || s->type->prepare != prep_software)
		return NULL;
	backend = opts_take(s->nic.opts, "backend");
	return backend_prep_find(backend ? backend : "null");
}

int prep_nic_reopen(struct prep_guest *g, unsigned int slot, const char *name)
{
	const struct backend_prep *b = slot < g->n_nics ? backend_of_slot(&g->slot[slot]) : NULL;

	return b && b->reopen ? b->reopen(g, &g->slot[slot].nic, name) : -ENOENT;
}

/* --- a guest that resets --- */
/* Whose descriptor "nic0:tap" is: the slot, and its name there. False: no NIC's. */
static bool fd_slot(const struct prep_guest *g, const struct prep_fd *f, unsigned int *slot,
		    const char **name)
{
	const char *colon = strchr(f->name, ':');
	size_t len = colon ? (size_t)(colon - f->name) : 0;

	for (*slot = 0; colon && *slot < g->n_nics; (*slot)++) {
		const char *nic = g->slot[*slot].nic.name;

		*name = colon + 1;
		if (strlen(nic) == len && !strncmp(nic, f->name, len))
			return true;
	}
	return false;
}

void prep_guest_sent(struct prep_guest *g)
{
	for (unsigned int i = 0; i < g->n_fds; i++) {
		const struct backend_prep *b;
		unsigned int slot;
		const char *name;

		if (g->fd[i].fd < 0 || !fd_slot(g, &g->fd[i], &slot, &name))
			continue;
		b = backend_of_slot(&g->slot[slot]);
		if (!b || !b->once || strncmp(name, b->once, strlen(b->once)))
			continue;
		close(g->fd[i].fd);
		g->fd[i].fd = -1;
	}
}

static int fd_again(struct prep_guest *g, struct prep_fd *f, long long end)
{
	unsigned int slot;
	const char *name;

	if (f->fd >= 0 || !fd_slot(g, f, &slot, &name))
		return 0;
	while ((f->fd = prep_nic_reopen(g, slot, name)) == -EAGAIN && rpc_now_ms() < end)
		if (prep_wait(g, -1, 0, PREP_AGAIN_RETRY_MS) == -EINTR)
			return -EINTR;
	if (f->fd >= 0)
		return 0;
	return err_ret(f->fd == -EAGAIN ? -ETIMEDOUT : -EIO,
		       "starting guest '%s' again after its reset: %s: %s; start it again when "
		       "the other side is there",
		       g->name, f->name,
		       f->fd == -EAGAIN ? "the other side does not come back" : strerror(-f->fd));
}

int prep_guest_again(struct prep_guest *g)
{
	long long end = rpc_now_ms() + PREP_AGAIN_MS;
	int ret = 0;

	for (unsigned int i = 0; i < g->n_fds && ret == 0; i++)
		ret = fd_again(g, &g->fd[i], end);
	return ret;
}

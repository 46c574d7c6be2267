/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors that devices ask for while they run (see late_fd.h). Called by supervisor.c; calls
 * prep_nic_reopen(). */
#include "core/late_fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void late_fd_want(struct late_fds *l, const struct prep_guest *g, const json_t *params)
{
	const char *nic = json_string_value(json_object_get(params, "nic")),
		   *name = json_string_value(json_object_get(params, "name"));
	unsigned int slot = 0;

	while (nic && slot < g->n_nics && strcmp(g->slot[slot].nic.name, nic))
		slot++;
	if (!nic || !name || slot == g->n_nics || strlen(name) >= sizeof(l->want[0].name))
		return;
	for (unsigned int i = 0; i < l->n; i++)
		if (l->want[i].slot == slot && !strcmp(l->want[i].name, name))
			return;
	if (l->n == LATE_FD_MAX)
		return;
	if (!l->n)
		l->next = rpc_now_ms() + LATE_FD_MS;
	l->want[l->n].slot = slot;
	snprintf(l->want[l->n].name, sizeof(l->want[0].name), "%s", name);
	l->n++;
}

int late_fd_timeout(const struct late_fds *l, int other)
{
	long long left = l->next - rpc_now_ms();

	if (!l->n)
		return other;
	if (left < 0)
		left = 0;
	return other >= 0 && other < left ? other : (int)left;
}

static void late_fd_send(int control, const char *nic, const char *name, int fd)
{
	json_t *params = json_pack("{s:s, s:s}", "nic", nic, "name", name);

	/* a monitor that does not take it asks again, or is ended by the loop */
	rpc_send(control, rpc_request(-1, "late_fd", params), &fd, 1);
	close(fd);
}

void late_fd_try(struct late_fds *l, struct prep_guest *g, int control)
{
	unsigned int left = 0;

	if (!l->n || rpc_now_ms() < l->next)
		return;
	for (unsigned int i = 0; i < l->n; i++) {
		struct late_fd w = l->want[i];
		int fd = prep_nic_reopen(g, w.slot, w.name);

		if (fd >= 0)
			late_fd_send(control, g->slot[w.slot].nic.name, w.name, fd);
		else if (fd == -EAGAIN)
			l->want[left++] = w;
	}
	l->n = left;
	l->next = rpc_now_ms() + LATE_FD_MS;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server side of the control protocol: JSON-RPC 2.0, one object a line, on a Unix socket. For
 * `fourlane run` (its poll loop) and fourlane-switch (libevent): both watch one descriptor and call
 * rpc_server_step(). Clients are not trusted: their number and their lines are bounded, one that is
 * silent gives way to a new one, and one that does not read is asked nothing more and keeps nobody
 * waiting. Batches of requests are not served. One thread.
 */
#ifndef CORE_RPC_SERVER_H
#define CORE_RPC_SERVER_H

#include <jansson.h>
#include <stdbool.h>

#include "core/rpc.h"

struct rpc_server;

/*
 * The answer to one request: of rpc_result() or rpc_error() with this `id`, which is replaced by
 * the client's own whatever type it has. `params` is borrowed, NULL when there are none.
 */
typedef json_t *(*rpc_handler)(void *opaque, const char *method, json_t *params, json_int_t id);

/*
 * rpc_server_open - listens at `path`: mode 0660, group `fourlane` where it exists. A socket that
 * stands there is replaced: the caller holds the lock that says it is a dead one's. Negative errno
 * after a message.
 */
int rpc_server_open(const char *path, rpc_handler handler, void *opaque, struct rpc_server **out);
/* rpc_server_close - also removes the socket. Accepts NULL. */
void rpc_server_close(struct rpc_server *s);

/* rpc_server_fd - readable whenever rpc_server_step() has something to do. */
int rpc_server_fd(const struct rpc_server *s);
/* rpc_server_step - takes new clients and serves at most one request of each. */
void rpc_server_step(struct rpc_server *s);

/*
 * rpc_listen - a listening stream socket at `path` as rpc_server_open() makes it, for other servers
 * of this program. Gives the descriptor, the caller's, or negative errno after a message.
 */
int rpc_listen(const char *path);

/*
 * rpc_peer_of - who is at the other end of a Unix socket, by what the kernel noted when it was
 * connected: root or the user who runs this program (owner), somebody in group fourlane, be it the
 * primary group or another (member), or neither.
 */
enum rpc_peer { RPC_STRANGER, RPC_MEMBER, RPC_OWNER };
enum rpc_peer rpc_peer_of(int sock);

/* rpc_server_peer - for a handler: whose request it serves. Strangers are not let in. */
enum rpc_peer rpc_server_peer(const struct rpc_server *s);

#endif

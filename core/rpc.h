/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control protocol: JSON-RPC 2.0. On a program's Unix socket one object a line; between
 * `fourlane run` and its monitor one object a SOCK_SEQPACKET message, with descriptors beside it
 * (SCM_RIGHTS). Either side treats the other as hostile: sizes, depth and types are checked before
 * use.
 */
#ifndef CORE_RPC_H
#define CORE_RPC_H

#include <jansson.h>
#include <stddef.h>

#define RPC_MAX_BYTES  (128 * 1024)       /* of one message, but for */
#define RPC_MAX_ANSWER (16 * 1024 * 1024) /* the answer to a request on a program's socket */
#define RPC_MAX_FDS    64

/* JSON-RPC 2.0 section 5.1 */
enum {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_NO_METHOD = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_FAILED = -32000,
	RPC_UNSUPPORTED = -32001 /* this host cannot do it */
};

/*
 * rpc_request / rpc_result / rpc_error - new messages; `params` and `result` are stolen. id < 0: a
 * notification. NULL: no memory.
 */
json_t *rpc_request(json_int_t id, const char *method, json_t *params);
json_t *rpc_result(json_int_t id, json_t *result);
json_t *rpc_error(json_int_t id, int code, const char *message);

/* --- SOCK_SEQPACKET, with descriptors --- */
/*
 * rpc_send - `msg` is stolen. fds stay the caller's. 0, or negative errno (-EMSGSIZE, -EPIPE, ...).
 */
int rpc_send(int sock, json_t *msg, const int *fds, unsigned int n_fds);
/*
 * rpc_recv - waits at most timeout_ms (-1: for ever). *msg is a new reference to an object;
 * descriptors that came with it are the caller's. -ETIMEDOUT, -EPIPE when the other side is gone,
 * -EPROTO for what is no JSON object (its descriptors are closed).
 */
int rpc_recv(int sock, int timeout_ms, json_t **msg, int *fds, unsigned int max_fds,
	     unsigned int *n_fds);

/* rpc_now_ms - the monotonic clock in which this protocol's deadlines are counted. */
long long rpc_now_ms(void);

/* --- lines, on a program's socket --- */
/* rpc_send_line - `msg` is stolen; blocks at most timeout_ms. */
int rpc_send_line(int sock, json_t *msg, int timeout_ms);

/*
 * rpc_socket_path - where guest `name` listens: <run dir>/<name>.sock. 0 or negative errno after a
 * message.
 */
int rpc_socket_path(const char *name, char *buf, size_t size);

#define RPC_PORT_NAME_BYTES 32 /* the name of a switch or a port, with its terminator */

/*
 * rpc_name_ok - may a guest be called that? 1 to 32 letters, digits, '_', '-', '.', not beginning
 * with '-' or '.'.
 */
int rpc_name_ok(const char *name);

/*
 * rpc_call - one request to guest `name`, one answer. `params` is stolen (NULL: none). *result is a
 * new reference. Negative errno after a message: -ENOENT no such guest, -ETIMEDOUT, -EREMOTEIO it
 * answered with an error.
 */
int rpc_call(const char *name, const char *method, json_t *params, int timeout_ms, json_t **result);

/*
 * rpc_call_path - the same to the program that listens at `path`. `what` names it in messages
 * ("switch 'default'"), `mend` says what to do when it is not there. Besides, -EINVAL when it found
 * the parameters wrong, -EOPNOTSUPP when its host lacks what that takes.
 */
int rpc_call_path(const char *path, const char *what, const char *mend, const char *method,
		  json_t *params, int timeout_ms, json_t **result);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What travels between a command (`fourlane lab ...`), the guardian of the software host and the
 * agent inside it: frames, one header and up to LAB_PAYLOAD bytes. The guardian hands frames on
 * between its clients' sockets and the agent's virtio port, and swaps the client's session number
 * for one of its own. Both ends run on little-endian x86-64. Freestanding: the agent includes it
 * too.
 */
#ifndef BENCH_LAB_LAB_PROTO_H
#define BENCH_LAB_LAB_PROTO_H

#include <assert.h>
#include <stdint.h>

#define LAB_PORT_NAME "fourlane.lab" /* of the virtio serial port */
#define LAB_PAYLOAD   (32 * 1024)    /* most bytes behind one header */
#define LAB_WINDOW \
	(512 * 1024) /* bytes of one direction of a session that may wait unacknowledged */
#define LAB_SESSIONS 32

struct lab_frame {
	uint32_t length;  /* of the payload */
	uint16_t session; /* 0: belongs to none */
	uint8_t type;     /* enum lab_type */
	uint8_t stream;   /* 0 stdin, 1 stdout, 2 stderr */
};
static_assert(sizeof(struct lab_frame) == 8, "the frame header is 8 bytes");

enum lab_type {
	/* towards the agent */
	LAB_OPEN = 1, /* struct lab_open, then n_env + n_argv strings, each ended by NUL */
	LAB_WINSIZE,  /* struct lab_winsize */
	LAB_CLOSE,    /* the session's processes are to end; no answer */
	/* both ways */
	LAB_DATA,   /* bytes of a stream; none: its end */
	LAB_CREDIT, /* uint32_t: so many bytes of DATA were used up */
	/* from the agent */
	LAB_READY, /* the host is up; text: key=value lines */
	LAB_EXIT,  /* uint32_t: exit status as a shell gives it; the session is over */
	/* between a command and the guardian only */
	LAB_FAIL,    /* text: why there is no host; then the socket is closed */
	LAB_CONSOLE, /* bytes of the serial console */
	LAB_STATUS,  /* empty, answered by text: key=value lines */
	LAB_DOWN,    /* power off; answered by closing the socket */
};

struct lab_winsize {
	uint16_t rows, columns;
};

struct lab_open {
	uint16_t n_env, n_argv;
	struct lab_winsize size; /* for a terminal */
	uint32_t terminal;       /* 1: give it a pseudo terminal */
};
static_assert(sizeof(struct lab_open) == 12, "the open request is 12 bytes");

#endif

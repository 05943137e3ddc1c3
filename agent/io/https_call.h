#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What https_server.c (listening, admission, the timer) and https_call.c (one connection) share.
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "agent/io/https_head.h"
#include "agent/io/https_server.h"

enum {
	HTTPS_READ_SIZE = 16 << 10, /* a record */
	HTTPS_INPUT_SIZE = HTTPS_HEAD_MAX + HTTPS_READ_SIZE,
};

/* In the order in which they make room for a newcomer; from HTTPS_BODY on they do not. */
enum https_state {
	HTTPS_LINGER, /* refused: what still comes is thrown away, so that the client can read why
		       */
	HTTPS_HANDSHAKE,
	HTTPS_FRESH, /* nothing asked yet */
	HTTPS_HEAD,  /* part of a head has come */
	HTTPS_IDLE,  /* between requests */
	HTTPS_BODY,
	HTTPS_WRITING, /* an answer is unsent */
	HTTPS_STATES,
	HTTPS_SERVING = HTTPS_STATES, /* in no list */
	HTTPS_CLOSED,
};

enum https_then { HTTPS_THEN_KEEP, HTTPS_THEN_CLOSE, HTTPS_THEN_LINGER };

/* One connection, and the request on it. */
struct https_call {
	uv_poll_t poll;
	TAILQ_ENTRY(https_call) entry;
	struct https_server *server;
	SSL *ssl;
	struct buf input; /* of a head, or of what follows a request, while it waits */
	struct buf body;
	struct buf unsent;
	size_t sent;
	size_t charged; /* of the body, against HTTPS_BODIES_MAX */
	int64_t began;	/* first byte of the request */
	int64_t deadline;
	struct https_head head;
	unsigned served; /* in this turn of the loop */
	uint8_t state;
	uint8_t then;
	uint8_t events;
	bool in_flight;
};

TAILQ_HEAD(https_calls, https_call);

struct https_server {
	uv_poll_t listener;
	struct loop *loop;
	const struct clock *clock;
	struct loop_timer *timer;
	SSL_CTX *tls;
	struct https_listen listen;
	struct https_counts counts;
	struct https_calls lists[HTTPS_STATES];
	int64_t now;
	int64_t armed;	   /* what the timer is set to */
	int64_t resume_at; /* DEADLINE_NEVER: listening */
	size_t capacity;   /* connections */
	size_t bodies;	   /* bytes of bodies in flight */
	unsigned requests; /* in flight */
	unsigned handles;
	int fd;
	uint16_t port;
	bool retired;
	bool closing;
	struct buf answer; /* a handler's body */
	struct buf output; /* an answer whole */
	char input[HTTPS_INPUT_SIZE];
};

/* Takes the descriptor over when it returns true. */
bool https_call_open(struct https_server *server, int fd);
void https_call_close(struct https_call *call);

/* Its deadline has come. */
void https_call_expire(struct https_call *call);

/* The server closes: a request in flight has a moment to end, the others go. */
void https_call_drain(struct https_call *call);

/* The server's timer obeys this deadline at the latest. */
void https_server_arm(struct https_server *server, int64_t deadline);

/* Gives back what one large answer took. */
void https_server_trim(struct https_server *server);

/* A connection's handle, or the listener's, has ended. */
void https_server_ended(struct https_server *server);

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What http_server.c (listening, admission, the timer) and http_call.c (one connection) share.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "agent/io/http_head.h"
#include "agent/io/http_reply.h"
#include "agent/io/http_server.h"
#include "agent/io/listen.h"

enum {
	READ_SIZE = 4096,
	INPUT_SIZE = HTTP_SERVER_HEAD_MAX + READ_SIZE,
};

enum call_state {
	CALL_IDLE,    /* between requests */
	CALL_HEAD,    /* part of a head has come */
	CALL_WRITING, /* an answer is unsent */
	CALL_WAITING, /* the handler deferred its answer */
	CALL_LINGER, /* refused: what still comes is thrown away, so that the client can read why */
	CALL_STATES,
	CALL_SERVING = CALL_STATES, /* in no list */
	CALL_CLOSED,
};

enum call_then { THEN_KEEP, THEN_CLOSE, THEN_LINGER };

/* Connections of one uid. */
struct usage {
	LIST_ENTRY(usage) entry;
	uid_t uid;
	uint64_t count;
};

/* Input that is not consumed yet. */
struct kept {
	size_t len;
	char bytes[];
};

/* One connection, and the request on it that is being served. */
struct http_call {
	uv_poll_t poll;
	TAILQ_ENTRY(http_call) entry;
	struct http_server *server;
	struct usage *usage;
	struct kept *kept;
	struct http_unsent *unsent;
	int64_t deadline;
	int64_t wait_until; /* of a deferred request; 0: not deferred */
	struct http_peer peer;
	int fd;
	uint8_t state;
	uint8_t then;
	uint8_t events;
	bool expired;
};

TAILQ_HEAD(call_list, http_call);

struct http_server {
	uv_poll_t listener;
	struct loop *loop;
	const struct clock *clock;
	struct loop_timer *timer;
	http_serve_fn *serve;
	void *context;
	int64_t now;
	int64_t armed;	   /* what the timer is set to */
	int64_t resume_at; /* DEADLINE_NEVER: listening */
	struct call_list lists[CALL_STATES];
	LIST_HEAD(, usage) usages;
	struct http_listen limits;
	uint64_t connections;
	uint64_t requests;
	uint64_t fd_limit;
	unsigned handles;
	int fd;
	bool closing;
	char *path;
	struct listen_name name;
	char host[LISTEN_HOST_MAX];
	uint16_t port;
	struct http_scratch scratch;
	char input[INPUT_SIZE];
};

/* Takes the descriptor over when it returns true. */
bool call_open(struct http_server *server, int fd, struct usage *usage,
	       const struct http_peer *peer);
void call_close(struct http_call *call);

/* Its deadline has come. */
void call_expire(struct http_call *call);

/* Serves a deferred request anew, from whatever list it was in. */
void call_ask_again(struct http_call *call, bool expired);

/* The server closes: what is being written has a moment to end, who waits is answered, the others
 * go. */
void call_drain(struct http_call *call);

/* The server's timer obeys this deadline at the latest. */
void server_arm(struct http_server *server, int64_t deadline);

/* A connection is closed and its place free; later its handle, or the listener's, has ended. */
void server_call_closed(struct http_server *server, struct usage *usage);
void server_call_ended(struct http_server *server);

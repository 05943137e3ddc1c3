#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.1 server for GET without a body, over a unix socket or a loopback address. It
 * bounds what a client can cost: memory, time and connections; an answer is written straight from
 * where its bytes live.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/clock.h"
#include "agent/base/error.h"
#include "agent/base/secret.h"
#include "agent/io/loop.h"

/* Limits of the socket API. */
#define HTTP_SERVER_HEAD_MAX		8192 /* of a request's head, its empty line included; past it 431 */
#define HTTP_SERVER_HEAD_MS		5000 /* from a head's first byte to its last; past it 408 */
#define HTTP_SERVER_WRITE_MS		5000 /* for an answer that the client does not take; past it close */
#define HTTP_SERVER_IDLE_MS		60000
#define HTTP_SERVER_LINGER_MS		1000   /* for a refused client to read why */
#define HTTP_SERVER_CLOSE_MS		2000   /* for answers in flight when the server closes */
#define HTTP_SERVER_WAIT_MOST_MS	300000 /* of a deferred answer */
#define HTTP_SERVER_CONNECTIONS_MAX	1024
#define HTTP_SERVER_CONNECTIONS_PER_UID 64
#define HTTP_SERVER_SEGMENTS_MAX	8   /* of a path; past it 404 */
#define HTTP_SERVER_PATH_MAX		107 /* of the socket's name: the kernel's limit */

/* Who is calling, as the kernel said when the connection was accepted. Over TCP all are -1. */
struct http_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid; /* 0: in another pid namespace */
};

/* A request's head; good until the handler returns. */
struct http_head {
	struct http_peer peer;
	/* Of the path, percent-decoded; "/" has none. */
	const char *segments[HTTP_SERVER_SEGMENTS_MAX];
	size_t segment_count;
	const char *query;	   /* as sent, without its "?"; "" where there is none */
	const char *if_none_match; /* NULL: no such header */
	bool expired;		   /* it was deferred, and its time is over: answer now */
};

struct http_answer {
	unsigned status;
	const char *type;     /* media type; NULL: application/json */
	const char *etag;     /* without quotes; NULL: none */
	const char *allow;    /* with 405: the method that may be used; NULL: GET */
	unsigned retry_after; /* seconds; 0: none */
	/* Copied where it cannot be written at once; NULL: the status's own words. */
	const void *body;
	size_t len;
	struct secret *secret; /* the body instead; referenced until it is written */
};

/* Whether an If-None-Match (NULL: none) names the etag, which is given without quotes. */
bool http_etag_matches(const char *if_none_match, const char *etag);

/* One request being served. */
struct http_call;

/* Calls http_answer or http_defer exactly once before it returns. */
typedef void http_serve_fn(void *context, struct http_call *call, const struct http_head *head);

void http_answer(struct http_call *call, const struct http_answer *answer);

/* Answers later: the handler is asked again at each http_server_wake and, with `expired`, after
 * `ms` (counted from the first time, at most HTTP_SERVER_WAIT_MOST_MS). */
void http_defer(struct http_call *call, int64_t ms);

struct http_listen {
	const char *path; /* of a unix socket; replaced atomically, with `mode` from the first
			     instant */
	unsigned mode;
	const char *address;	      /* instead: "host:port" of the loopback interface */
	bool anywhere;		      /* or of another: then no Host is a foreign one */
	uint64_t connections;	      /* 0: the defaults above */
	uint64_t connections_per_uid; /* not asked over TCP */
	int64_t idle_ms;
};

/* Listens at once. ERROR_INVALID for a path over the limit, one that is no socket, an address that
 * is not loopback. */
struct http_server;
struct http_server *http_server_new(struct loop *loop, const struct clock *clock,
				    const struct http_listen *listen, http_serve_fn *serve,
				    void *context, struct error *err) MUST_USE;

/* Of a unix socket: the process that answered there before, as in listen.h; -1: none. */
pid_t http_server_before(const struct http_server *server);

/* Who has the socket's name now, as in listen.h. Once it is free it is listened on again; the
 * connections that there are stay. -1: it is free, and cannot be taken. */
enum http_name { HTTP_NAME_OURS, HTTP_NAME_OTHERS, HTTP_NAME_AGAIN };
int http_server_see_to_name(struct http_server *server, struct error *err) MUST_USE;

/* Stops listening, removes its name if it is still its own, lets answers in flight finish and frees
 * itself, in the loop. The handler is called no more after this returns. NULL is allowed; returns
 * NULL. */
struct http_server *http_server_close(struct http_server *server);

/* Asks the handler again for every deferred request. */
void http_server_wake(struct http_server *server);

uint64_t http_server_connections(const struct http_server *server); /* open now */
uint64_t http_server_requests(
	const struct http_server *server); /* served so far, refused ones included */
uint16_t http_server_port(const struct http_server *server); /* of a TCP listener */

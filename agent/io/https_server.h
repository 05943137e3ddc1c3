#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP/1.1 server over TLS for GET and for POST with a body that has a length, open to
 * whoever can reach its address. A request is answered as soon as it has come whole, so a handler
 * must not wait for anything. What a client can cost is bounded before it has cost it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/error.h"
#include "agent/io/loop.h"

#define HTTPS_HEAD_MAX	      8192		 /* of a request's head; past it 431 */
#define HTTPS_BODY_MAX	      ((size_t)4 << 20)	 /* past it 413, before a byte of it is read */
#define HTTPS_BODIES_MAX      ((size_t)16 << 20) /* of all requests in flight; past it 429 */
#define HTTPS_ANSWER_MAX      ((size_t)4 << 20)
#define HTTPS_REQUESTS_MAX    64   /* in flight; past it 429 */
#define HTTPS_CONNECTIONS_MAX 256  /* past it the one that has done nothing for longest goes */
#define HTTPS_PIPELINE_MAX    64   /* requests served in one go; then the connection ends */
#define HTTPS_HANDSHAKE_MS    2000 /* and from there to a first request; past it close */
#define HTTPS_REQUEST_MS      2000 /* from a request's first byte to its answer's last; past it */
				   /* 408, or close where it does not take the answer */
#define HTTPS_IDLE_MS	120000	   /* longer than the API server keeps a connection that rests */
#define HTTPS_LINGER_MS 1000	   /* for a refused client to read why */
#define HTTPS_CLOSE_MS	2000	   /* for requests in flight when the server closes */

struct https_request {
	const char *body; /* "" where there is none */
	size_t len;
	int64_t began_ms; /* boot time of its first byte */
};

/* Starts as 200 with an empty body. */
struct https_answer {
	unsigned status;
	const char *type; /* media type; NULL: application/json */
	struct buf *body;
};

typedef void https_serve_fn(void *context, const struct https_request *request,
			    struct https_answer *answer);

/* What may be asked; a table ends with a row without a path. */
struct https_route {
	const char *path;
	const char *body_type; /* POST with a body of this media type; NULL: GET */
	bool identified; /* only for clients with a certificate, where `clients` is set; else 403 */
	https_serve_fn *serve;
};

struct x509_store_st; /* OpenSSL's X509_STORE */
struct tls_identity;

struct https_listen {
	const char *address; /* "[::]:8443" takes IPv4 too; "0.0.0.0:8443"; port 0: any */
	const struct https_route *routes;
	void *context;
	/* NULL: clients are not asked for a certificate. Else one that it does not believe fails
	 * the handshake. Borrowed. */
	struct x509_store_st *clients;
};

/* What happened so far, but for the first, which is now. */
struct https_counts {
	uint64_t connections;
	uint64_t accepted;
	uint64_t evicted;	    /* made room for a newcomer */
	uint64_t handshakes_failed; /* ended before a request could be read */
	uint64_t requests;	    /* answered, refusals included */
	uint64_t refused;	    /* answered without asking the handler */
	uint64_t refused_busy;	    /* of these with 429 */
};

/* Listens at once and shows `identity` (borrowed) to new connections. ERROR_INVALID for an address
 * that cannot be read. */
struct https_server;
struct https_server *https_server_new(struct loop *loop, const struct clock *clock,
				      const struct https_listen *listen,
				      const struct tls_identity *identity,
				      struct error *err) MUST_USE;

/* Shows another identity from the next connection on; those that stand are not touched. On failure
 * the old one stays. */
int https_server_show(struct https_server *server, const struct tls_identity *identity,
		      struct error *err) MUST_USE;

/* From now on each answer ends its connection, so that clients come back somewhere else. */
void https_server_retire(struct https_server *server);

/* Stops listening, lets requests in flight finish within HTTPS_CLOSE_MS and frees itself, in the
 * loop. NULL is allowed; returns NULL. */
struct https_server *https_server_close(struct https_server *server);

const struct https_counts *https_server_counts(const struct https_server *server);
uint16_t https_server_port(const struct https_server *server);

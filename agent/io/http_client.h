#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests to a backend's addresses. One pool per (endpoint, client identity, trust bundle);
 * any change of the three means a new pool. Nothing of libcurl is started before the first pool is
 * made.
 */
#include <stdbool.h>

#include "agent/base/backend.h"
#include "agent/base/error.h"
#include "agent/base/message.h"
#include "agent/io/loop.h"

/* Limits of DESIGN §8. */
#define HTTP_CONNECT_MS 3000
#define HTTP_TOTAL_MS	15000
#define HTTP_LOW_SPEED_BYTES                                                                       \
	64 /* a second, for HTTP_LOW_SPEED_S: less ends the transfer, unless it is `once` */
#define HTTP_LOW_SPEED_S     5
#define HTTP_TCP_USER_MS     10000
#define HTTP_HEADERS_MAX     64
#define HTTP_HEAD_MAX	     ((size_t)64 << 10)
#define HTTP_CONNECTIONS_MAX 8
#define HTTP_IDLE_FIRST_MS   30000 /* one connection is kept this long after its last transfer */
#define HTTP_IDLE_OTHERS_MS  2000  /* and the others this long */
#define HTTP_ADDRESS_S	     5 /* a name's address is used this long; libcurl's own is a minute */
#define HTTP_RESOLVERS_MAX                                                                         \
	16 /* look-ups that may hang at once, where libcurl makes a thread for each */

struct http_client;
struct http_client *http_client_new(struct loop *loop, const struct clock *clock,
				    struct error *err) MUST_USE;
/* Every pool must have been freed. Returns NULL. */
struct http_client *http_client_free(struct http_client *client);

struct x509_store_st; /* OpenSSL's X509_STORE; certs/trust makes one out of a bundle */

/* Believes the certificates in `trust` and no others; the pool keeps a reference. NULL is for
 * http:// alone. Reads the client certificate now: ERROR_INVALID names the file that cannot be
 * used. endpoint->ca_file is not looked at. */
struct http_pool;
struct http_pool *http_pool_new(struct http_client *client, const struct endpoint *endpoint,
				struct x509_store_st *trust, struct error *err) MUST_USE;
/* Cancels what is in flight: each transfer's `done` is called with ERROR_CANCELED before this
 * returns. */
struct http_pool *http_pool_free(struct http_pool *pool);

/* Embedded by the caller, who owns it until `done`. */
struct http_transfer {
	/* Exactly once, never from within http_send. `reply` is NULL when *err is set: UNAVAILABLE
	 * (network, time, TLS not trusted: with the host, what is wrong with its certificate and
	 * the option that mends it), EXHAUSTED (reply too large), CANCELED. */
	void (*done)(struct http_transfer *transfer, const struct reply *reply,
		     const struct error *err);
	bool request_sent;	    /* the server may have the whole request */
	bool reply_began;	    /* at least one byte of a reply arrived */
	struct http_flight *flight; /* http_client's own */
};

/* Starts the request; its bytes are copied. -1: never calls back. Waits in line when the pool is at
 * its HTTP_CONNECTIONS_MAX connections. `timeout_ms` counts from when it leaves the line; 0:
 * HTTP_TOTAL_MS. */
int http_send(struct http_pool *pool, const struct request *request, int64_t timeout_ms,
	      struct http_transfer *transfer, struct error *err) MUST_USE;

/* Calls `done` with ERROR_CANCELED later, from the loop. */
void http_cancel(struct http_transfer *transfer);

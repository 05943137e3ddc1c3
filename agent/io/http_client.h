#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests to a backend's addresses. One pool per (endpoint, client identity, trust bundle); any change
 * of the three means a new pool. Nothing of libcurl is started before the first pool is made.
 */
#include <stdbool.h>

#include "agent/base/backend.h"
#include "agent/base/error.h"
#include "agent/base/message.h"
#include "agent/io/loop.h"

/* Limits of DESIGN §8. */
#define HTTP_CONNECT_MS 3000
#define HTTP_TOTAL_MS 15000
#define HTTP_HEADERS_MAX 64
#define HTTP_CONNECTIONS_MAX 8

struct http_client;
struct http_client *http_client_new(struct loop *loop, const struct clock *clock, struct error *err) MUST_USE;
/* Every pool must have been freed. Returns NULL. */
struct http_client *http_client_free(struct http_client *client);

/* Reads the trust bundle and the client certificate now. ERROR_INVALID names the file that cannot be used. */
struct http_pool;
struct http_pool *http_pool_new(struct http_client *client, const struct endpoint *endpoint,
				struct error *err) MUST_USE;
/* Cancels what is in flight: each transfer's `done` is called with ERROR_CANCELED before this returns. */
struct http_pool *http_pool_free(struct http_pool *pool);

/* Embedded by the caller, who owns it until `done`. */
struct http_transfer {
	/* Exactly once, never from within http_send. `reply` is NULL when *err is set: UNAVAILABLE (network,
	 * time), INVALID (TLS not trusted, with the host and what is wrong with its certificate), EXHAUSTED
	 * (reply too large), CANCELED. */
	void (*done)(struct http_transfer *transfer, const struct reply *reply, const struct error *err);
	bool reply_began; /* at least one byte of a reply arrived */
	struct http_flight *flight; /* http_client's own */
};

/* Starts the request; its bytes are copied. -1: never calls back. Waits in line when the pool is at its
 * HTTP_CONNECTIONS_MAX connections. `timeout_ms` 0: HTTP_TOTAL_MS. */
int http_send(struct http_pool *pool, const struct request *request, int64_t timeout_ms,
	      struct http_transfer *transfer, struct error *err) MUST_USE;

/* Calls `done` with ERROR_CANCELED later, from the loop. */
void http_cancel(struct http_transfer *transfer);

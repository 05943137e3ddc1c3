#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking GET over a unix socket: how `agent get`, `status`, `ready` and `run --socket` ask a
 * running agent.
 */
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/error.h"

#define UNIX_CLIENT_TIMEOUT_MS 5000
#define UNIX_CLIENT_REPLY_MAX  ((size_t)4 << 20)

struct unix_get {
	const char *socket;	   /* its path */
	const char *target;	   /* "/v1/secrets/db", percent-encoded, with its query */
	const char *if_none_match; /* an etag without quotes; NULL: none */
	int64_t timeout_ms;	   /* for everything; 0: UNIX_CLIENT_TIMEOUT_MS */
	const int *canceled_by; /* a descriptor; once it has something to read, or its other end is
				   closed, nobody wants the answer any more; NULL: none */
	size_t reply_max;	/* 0: UNIX_CLIENT_REPLY_MAX */
};

struct unix_reply {
	int status;
	char etag[64];	 /* without quotes; "" where there is none */
	struct buf body; /* may hold a secret */
};

/* 0 with whatever status was answered. ERROR_UNAVAILABLE: nobody listens, or no answer in time;
 * ERROR_DENIED: the socket may not be opened; ERROR_INVALID: its path is too long; ERROR_PROTOCOL;
 * ERROR_EXHAUSTED: too large; ERROR_CANCELED: by `canceled_by`. */
int unix_client_get(const struct clock *clock, const struct unix_get *get, struct unix_reply *ret,
		    struct error *err) MUST_USE;

/* For AUTO too. */
void unix_reply_deinit(struct unix_reply *reply);

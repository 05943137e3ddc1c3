#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a protocol asks of the outside world and what it gets back: bytes, no sockets.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/clock.h"

/* Limits of DESIGN §8. */
#define REPLY_MAX	 ((size_t)1 << 20)
#define REPLY_LIST_MAX	 ((size_t)4 << 20)
#define REQUEST_HEAD_MAX ((size_t)64 << 10)
#define REQUEST_BODY_MAX ((size_t)1 << 20)

enum request_kind {
	REQUEST_HTTP,
	REQUEST_FILE, /* read `path` whole, at most reply_max bytes */
};

struct request {
	enum request_kind kind;
	const char *method; /* static: "GET", "POST", "PUT" */
	struct buf path; /* HTTP: "/v1/…", percent-encoded, with its query; FILE: the file's name */
	struct buf headers; /* "Name: value\n" lines; may hold a token */
	struct buf body;
	size_t reply_max;
	bool once; /* creates something at the server: repeated only if no byte of a reply arrived
		    */
	bool file_secret;	 /* FILE: holds a credential; refused when others may write it */
	const char *file_remedy; /* FILE: static; what to do where it is not there; NULL: unknown */
};

struct reply {
	enum request_kind kind;
	int status;	  /* HTTP: as received; FILE: 200 */
	const char *body; /* wiped after the step that it is given to */
	size_t len;
	const char *location;	/* HTTP: the Location header, NULL: none */
	int64_t retry_after_ms; /* HTTP Retry-After in seconds or as a date, clamped to [1 s, 5
				   min]; -1: none */
	struct stamp sent;	/* when the request went out: leases count from here */
	struct stamp received;
};

#define REQUEST_INIT                                                                               \
	((struct request){ .path = BUF_INIT(REQUEST_HEAD_MAX),                                     \
			   .headers = BUF_INIT(REQUEST_HEAD_MAX),                                  \
			   .body = BUF_INIT(REQUEST_BODY_MAX),                                     \
			   .reply_max = REPLY_MAX })

/* Empties the request for the next one of the same exchange. */
static inline void request_reset(struct request *request)
{
	buf_reset(&request->path);
	buf_reset(&request->headers);
	buf_reset(&request->body);
	request->kind = REQUEST_HTTP;
	request->method = "GET";
	request->reply_max = REPLY_MAX;
	request->once = false;
	request->file_secret = false;
	request->file_remedy = NULL;
}

static inline void request_deinit(struct request *request)
{
	buf_deinit(&request->path);
	buf_deinit(&request->headers);
	buf_deinit(&request->body);
}

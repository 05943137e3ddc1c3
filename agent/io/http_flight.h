#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request with its reply, as libcurl sees it. For agent/io/http_client alone.
 */
#include <sys/queue.h>

#include "agent/base/message.h"
#include "agent/io/http_client.h"
#include "agent/io/http_target.h"

TAILQ_HEAD(flights, http_flight);

struct http_flight {
	/* The pool's. */
	TAILQ_ENTRY(http_flight) entry;
	struct flights *list;
	struct http_pool *pool;
	struct http_lane *lane; /* NULL: not taken off, or landed */
	struct http_transfer *transfer;

	const struct http_target *target;
	const struct clock *clock;
	CURL *easy; /* the lane's, while in it */
	const char *method;
	struct curl_slist *headers;
	struct buf url, body, reply_body, location;
	struct reply reply;
	struct error error;
	int64_t timeout_ms;
	bool once;
	bool too_large;
	bool head_complete; /* libcurl takes a head that is cut for a reply without a body */
	unsigned header_count;
	size_t head_size;
	char detail[CURL_ERROR_SIZE];
};

/* Copies the request. */
struct http_flight *http_flight_new(const struct http_target *target, const struct clock *clock,
				    const struct request *request, int64_t timeout_ms,
				    struct http_transfer *transfer, struct error *err) MUST_USE;
void http_flight_free(struct http_flight *flight);

/* Sets everything in `easy`, which is new; it goes out now. */
void http_flight_prepare(struct http_flight *flight);

/* Tells the transfer whether the server may have the request; before `easy` leaves its lane or
 * after. */
void http_flight_note_sent(struct http_flight *flight);

/* Fills `reply`, or `error` and returns -1. */
int http_flight_conclude(struct http_flight *flight, CURLcode result);

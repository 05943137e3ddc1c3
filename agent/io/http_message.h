#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a request as it was sent: its line, and each header by a visit. What a server makes
 * of it is that server's own (http_head.h, https_head.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_method { HTTP_METHOD_GET, HTTP_METHOD_POST, HTTP_METHOD_OTHER };

/* Points into the head that was read. */
struct http_span {
	const char *at;
	size_t len;
};

struct http_message {
	enum http_method method;
	struct http_span target;
	unsigned minor;		 /* of HTTP/1.x */
	uint64_t content_length; /* 0: none, or none said */
	bool transfer_encoded;	 /* chunked, or worse */
	bool keep_alive;
};

/* One header; a false refuses the request with 400. */
typedef bool http_visit_fn(void *context, struct http_span name, struct http_span value);

/* Bytes of the head at the start of `bytes`, its empty line included; 0: the empty line is not
 * there yet. */
size_t http_message_length(const char *bytes, size_t len);

/* Reads one whole head. Returns 0, or the status to refuse it with: 400, 405 (a method that nobody
 * knows) or 505. */
unsigned http_message_read(const char *bytes, size_t len, http_visit_fn *visit, void *context,
			   struct http_message *ret);

/* Compares with a literal in any case. */
bool http_span_is(struct http_span span, const char *text, size_t len);

#define HTTP_SPAN_IS(span, literal) http_span_is((span), (literal), sizeof(literal) - 1)

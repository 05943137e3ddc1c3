#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a request: bytes in, a struct http_head or the status to refuse it with out. No
 * socket in sight.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/io/http_server.h"

/* What http_head_read decodes into; good for any head within the limit. */
struct http_scratch {
	char bytes[HTTP_SERVER_HEAD_MAX + 8];
	size_t used;
};

/* Reads one whole head and fills `ret` but for the peer. `host` is accepted beside "localhost" and
 * "agent"; NULL: none, "": whatever it is. Returns 0, or the status to refuse the request with;
 * *keep_alive is false then. */
unsigned http_head_read(const char *bytes, size_t len, const char *host,
			struct http_scratch *scratch, struct http_head *ret,
			bool *keep_alive) MUST_USE;

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a request to the TLS server: bytes in, the route it takes or the status to refuse it
 * with out, before a byte of its body was read. No socket in sight.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/io/https_server.h"

struct https_head {
	const struct https_route
		*route; /* also where the method is wrong: what may be asked here */
	size_t body;	/* its length */
	bool keep_alive;
};

/* Reads one whole head against routes that end with a row without a path. Returns 0, or the status
 * to refuse the request with: 400, 404, 405, 411, 413, 415 or 505. */
unsigned https_head_read(const char *bytes, size_t len, const struct https_route *routes,
			 struct https_head *ret);

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer onto a descriptor in one system call, and what is left of it where the client does not
 * take it.
 */
#include <stdbool.h>

#include "agent/base/buf.h"
#include "agent/io/http_server.h"

enum http_reply_result { HTTP_REPLY_SENT, HTTP_REPLY_PARTLY, HTTP_REPLY_FAILED };

/* The whole answer, but for a secret, instead of what is in the buffer. */
void http_reply_write(struct buf *out, const struct http_answer *answer, bool last);

/* The rest of an answer. */
struct http_unsent;

/* Never blocks. PARTLY fills *unsent, and http_unsent_send goes on when the descriptor can be
 * written. */
enum http_reply_result http_reply_send(int fd, const struct http_answer *answer, bool last,
				       struct http_unsent **unsent);
enum http_reply_result http_unsent_send(int fd, struct http_unsent **unsent);
struct http_unsent *http_unsent_free(
	struct http_unsent *unsent); /* returns NULL; NULL is allowed */

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routes that know no secret: live, ready, status and metrics. The store is not in sight here.
 */
#include <stdbool.h>

#include "agent/base/buf.h"
#include "agent/io/http_server.h"
#include "agent/sink/socket.h"

#define VIEW_MAX ((size_t)8 << 20)

/* True when the path was one of these and has been answered; `text` is working memory. */
bool views_serve(const struct socket_views *views, struct http_call *call,
		 const struct http_head *head, bool with_status, struct buf *text);

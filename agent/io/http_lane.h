#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One curl_multi on the libuv loop, with a fixed number of connections. For agent/io/http_client
 * alone.
 */
#include <curl/curl.h>

#include "agent/io/loop_uv.h"

struct http_lane;

/* `completed` gets each transfer once, after it has left the lane; it may add, remove and free as
 * it likes. */
typedef void http_lane_fn(void *context, CURL *easy, CURLcode result);

/* Connections are closed `linger_ms` after the last transfer ended. Nothing of libcurl is made
 * before the first. */
struct http_lane *http_lane_new(struct loop *loop, unsigned connections, unsigned linger_ms,
				http_lane_fn *completed, void *context, struct error *err) MUST_USE;

/* Every transfer must have been removed. Returns NULL. */
struct http_lane *http_lane_free(struct http_lane *lane);

bool http_lane_full(const struct http_lane *lane);

/* A handle with nothing set, to be given back by http_lane_keep. They are used again until nothing
 * is under way: with c-ares each new one reads the resolver's files, and each takes 80 KiB. NULL:
 * no memory. */
CURL *http_lane_take(struct http_lane *lane);
void http_lane_keep(struct http_lane *lane, CURL *easy);

int http_lane_add(struct http_lane *lane, CURL *easy, struct error *err) MUST_USE;
void http_lane_remove(struct http_lane *lane, CURL *easy);

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop as libuv sees it; for agent/io and for its tests alone.
 */
#include <uv.h>

#include "agent/io/loop.h"

uv_loop_t *loop_uv(struct loop *loop);

/* "cannot WHAT: reason" out of a negative libuv status. Returns -1. */
int loop_error(struct error *err, int status, const char *what);

/* Closes a handle that is the first member of a struct from wipe_malloc, which is freed when libuv
 * lets go of it. */
void loop_close_and_free(uv_handle_t *handle);

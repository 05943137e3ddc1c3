#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop as libuv sees it; for agent/io and for its tests alone.
 */
#include <uv.h>

#include "agent/io/loop.h"

uv_loop_t *loop_uv(struct loop *loop);

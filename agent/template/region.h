#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool with a maximum: the tree of a template, or the values of one render. It latches failure:
 * what was asked for past the maximum makes everything after fail too.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/error.h"
#include "agent/base/pool.h"

struct region {
	struct pool pool;
	size_t left; /* bytes that may still be handed out */
	bool failed;
};

#define REGION_INIT(maximum) ((struct region){ .left = (maximum) })

/* Zeroed and aligned for any type; NULL past the maximum or without memory. */
void *region_alloc(struct region *region, size_t size);

/* `count` items of `size` bytes; NULL also when the product overflows. */
void *region_array(struct region *region, size_t count, size_t size);

/* A copy with a NUL behind it. */
char *region_copy(struct region *region, const void *bytes, size_t len);

static inline void region_deinit(struct region *region)
{
	pool_deinit(&region->pool);
}

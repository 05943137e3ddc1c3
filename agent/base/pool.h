#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that grows piece by piece and goes at once, wiped: what the nodes of one document live in.
 */
#include <stddef.h>

struct pool_chunk;

struct pool {
	struct pool_chunk *chunks; /* newest first */
};

#define POOL_INIT ((struct pool){ 0 })

/* The largest piece: far more than the limits of any reader allow. */
#define POOL_PIECE_MAX ((size_t)64 << 20)

/* Zeroed memory, aligned for every type; NULL when there is none or size > POOL_PIECE_MAX. */
void *pool_alloc(struct pool *pool, size_t size);

/* A copy with a NUL behind it. */
char *pool_copy(struct pool *pool, const void *bytes, size_t len);

void pool_deinit(struct pool *pool);

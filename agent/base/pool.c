/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/pool.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/wipe.h"

/* A small document should not cost a big chunk, and a big one few chunks. */
enum { CHUNK_FIRST = 2048, CHUNK_MOST = 64 << 10 };

struct pool_chunk {
	struct pool_chunk *older;
	size_t used, size;
	_Alignas(max_align_t) unsigned char memory[];
};

static struct pool_chunk *add_chunk(struct pool *pool, size_t least)
{
	size_t size = pool->chunks != NULL ? 2 * pool->chunks->size : CHUNK_FIRST;
	struct pool_chunk *chunk;

	if (size > CHUNK_MOST)
		size = CHUNK_MOST;
	if (size < least)
		size = least;
	chunk = wipe_malloc(sizeof(*chunk) + size);
	if (chunk == NULL)
		return NULL;
	*chunk = (struct pool_chunk){ .size = size, .older = pool->chunks };
	pool->chunks = chunk;
	return chunk;
}

/* As it came from the heap. */
static void *take(struct pool *pool, size_t size)
{
	const size_t alignment = _Alignof(max_align_t);
	struct pool_chunk *chunk = pool->chunks;
	void *memory;

	if (size > POOL_PIECE_MAX)
		return NULL;
	size = (size + alignment - 1) / alignment * alignment;
	if (chunk == NULL || size > chunk->size - chunk->used)
		chunk = add_chunk(pool, size);
	if (chunk == NULL)
		return NULL;
	memory = chunk->memory + chunk->used;
	chunk->used += size;
	return memory;
}

void *pool_alloc(struct pool *pool, size_t size)
{
	void *memory = take(pool, size);

	return memory != NULL ? memset(memory, 0, size) : NULL;
}

char *pool_copy(struct pool *pool, const void *bytes, size_t len)
{
	char *copy = len < POOL_PIECE_MAX ? take(pool, len + 1) : NULL;

	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, bytes, len);
	copy[len] = '\0';
	return copy;
}

void pool_deinit(struct pool *pool)
{
	while (pool->chunks != NULL) {
		struct pool_chunk *chunk = pool->chunks;

		pool->chunks = chunk->older;
		/* What was never handed out holds nothing of ours. */
		wipe(chunk, sizeof(*chunk) + chunk->used);
		free(chunk);
	}
}

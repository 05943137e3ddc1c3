/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena: 64 KiB chunks, each a row of blocks with their sizes in front, first fit, neighbours
 * merged when one is freed. Values are packed, since one locked page per value would use up a
 * node's RLIMIT_MEMLOCK. A value larger than a chunk gets a chunk of its own; an empty chunk beyond
 * the first is given back.
 */
#include "agent/base/secret.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/wipe.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447 /* the same on every architecture */
#endif

enum { CHUNK_SIZE = 64 << 10, BLOCK_ALIGN = 16 };

struct block {
	size_t size; /* of the block with this header, a multiple of BLOCK_ALIGN */
	size_t used; /* 0: free */
};

struct secret {
	size_t refs;
	size_t len;
	uint8_t bytes[];
};

struct chunk {
	struct chunk *next;
	uint8_t *memory;
	size_t size;
	size_t used;
	enum arena_protection protection;
};

static struct arena {
	struct chunk *chunks;
	bool no_secretmem;
} arena;

void arena_allow_secretmem(bool allowed)
{
	arena.no_secretmem = !allowed;
}

static void *map_secretmem(size_t size)
{
	AUTO(closep) int fd = -1;
	void *memory;

	fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return NULL;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static void *map_private(size_t size, enum arena_protection *protection)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	*protection = mlock(memory, size) == 0 ? ARENA_LOCKED : ARENA_UNLOCKED;
	(void)madvise(memory, size, MADV_DONTDUMP);
	return memory;
}

static struct chunk *chunk_new(size_t size)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));

	if (chunk == NULL)
		return NULL;
	chunk->size = size;
	chunk->protection = ARENA_SECRETMEM;
	if (!arena.no_secretmem)
		chunk->memory = map_secretmem(size);
	if (chunk->memory == NULL)
		chunk->memory = map_private(size, &chunk->protection);
	if (chunk->memory == NULL) {
		free(chunk);
		return NULL;
	}
	(void)madvise(chunk->memory, size, MADV_DONTFORK);
	((struct block *)(void *)chunk->memory)->size = size;
	chunk->next = arena.chunks;
	arena.chunks = chunk;
	return chunk;
}

static void chunk_free(struct chunk *chunk)
{
	struct chunk **link = &arena.chunks;

	while (*link != chunk)
		link = &(*link)->next;
	*link = chunk->next;
	(void)munmap(chunk->memory, chunk->size);
	free(chunk);
}

static struct block *block_after(const struct chunk *chunk, struct block *block)
{
	uint8_t *next = (uint8_t *)block + block->size;

	return next < chunk->memory + chunk->size ? (struct block *)(void *)next : NULL;
}

static void *chunk_take(struct chunk *chunk, size_t size)
{
	struct block *block = (struct block *)(void *)chunk->memory, *rest;

	for (; block != NULL; block = block_after(chunk, block)) {
		if (block->used > 0 || block->size < size)
			continue;
		if (block->size - size > sizeof(struct block)) {
			rest = (struct block *)(void *)((uint8_t *)block + size);
			rest->size = block->size - size;
			rest->used = 0;
			block->size = size;
		}
		block->used = 1;
		chunk->used += block->size;
		return block + 1;
	}
	return NULL;
}

static void *arena_take(size_t bytes)
{
	size_t size = (bytes + sizeof(struct block) + BLOCK_ALIGN - 1) & ~(size_t)(BLOCK_ALIGN - 1);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t chunk_size = CHUNK_SIZE;
	struct chunk *chunk;
	void *memory;

	for (chunk = arena.chunks; chunk != NULL; chunk = chunk->next) {
		memory = chunk_take(chunk, size);
		if (memory != NULL)
			return memory;
	}
	if (size > chunk_size)
		chunk_size = (size + page - 1) & ~(page - 1);
	chunk = chunk_new(chunk_size);
	return chunk != NULL ? chunk_take(chunk, size) : NULL;
}

static struct chunk *chunk_of(const void *memory)
{
	const uint8_t *address = memory;
	struct chunk *chunk = arena.chunks;

	while (chunk != NULL && (address < chunk->memory || address >= chunk->memory + chunk->size))
		chunk = chunk->next;
	return chunk;
}

static void chunk_merge(const struct chunk *chunk)
{
	struct block *block = (struct block *)(void *)chunk->memory, *next;

	for (; block != NULL; block = block_after(chunk, block)) {
		if (block->used > 0)
			continue;
		for (next = block_after(chunk, block); next != NULL && next->used == 0;
		     next = block_after(chunk, block))
			block->size += next->size;
	}
}

static void arena_give(void *memory)
{
	struct block *block = (struct block *)memory - 1;
	struct chunk *chunk = chunk_of(memory);

	wipe(memory, block->size - sizeof(*block));
	block->used = 0;
	chunk->used -= block->size;
	if (chunk->used == 0 && (chunk->next != NULL || chunk != arena.chunks)) {
		chunk_free(chunk);
		return;
	}
	chunk_merge(chunk);
}

struct secret *secret_new(const void *bytes, size_t len, struct error *err)
{
	struct secret *secret;

	if (len > SECRET_MAX) {
		(void)error_set(err, ERROR_EXHAUSTED, "the value is larger than %zu bytes",
				SECRET_MAX);
		return NULL;
	}
	secret = arena_take(sizeof(*secret) + len);
	if (secret == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	secret->refs = 1;
	secret->len = len;
	if (len > 0)
		memcpy(secret->bytes, bytes, len);
	return secret;
}

struct secret *secret_move(void *bytes, size_t len, struct error *err)
{
	struct secret *secret = secret_new(bytes, len, err);

	wipe(bytes, len);
	return secret;
}

struct secret *secret_ref(struct secret *secret)
{
	secret->refs++;
	return secret;
}

struct secret *secret_unref(struct secret *secret)
{
	if (secret != NULL && --secret->refs == 0)
		arena_give(secret);
	return NULL;
}

const uint8_t *secret_bytes(const struct secret *secret)
{
	return secret->bytes;
}

size_t secret_len(const struct secret *secret)
{
	return secret->len;
}

bool secret_equal(const struct secret *one, const struct secret *other)
{
	return one->len == other->len && sodium_memcmp(one->bytes, other->bytes, one->len) == 0;
}

struct arena_stats arena_stats(void)
{
	struct arena_stats stats = { .weakest = ARENA_SECRETMEM };

	for (const struct chunk *chunk = arena.chunks; chunk != NULL; chunk = chunk->next) {
		stats.mapped_bytes += chunk->size;
		stats.used_bytes += chunk->used;
		if (chunk->protection != ARENA_UNLOCKED)
			stats.locked_bytes += chunk->size;
		if (chunk->protection > stats.weakest)
			stats.weakest = chunk->protection;
	}
	return stats;
}

const char *arena_protection_name(enum arena_protection protection)
{
	static const char *const names[] = {
		[ARENA_SECRETMEM] = "memfd_secret",
		[ARENA_LOCKED] = "locked",
		[ARENA_UNLOCKED] = "unlocked",
	};

	return names[protection];
}

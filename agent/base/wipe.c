/* SPDX-License-Identifier: Apache-2.0 */
/*
 * malloc_usable_size tells how much to wipe, so no header of ours is needed and the pointers stay
 * libc's own.
 */
#include "agent/base/wipe.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE_BYTES = 64 << 10 };

void wipe(void *memory, size_t size)
{
	if (size > 0)
		explicit_bzero(memory, size);
}

void *wipe_malloc(size_t size)
{
	return malloc(size > 0 ? size : 1);
}

void *wipe_calloc(size_t count, size_t size)
{
	return calloc(count > 0 ? count : 1, size > 0 ? size : 1);
}

void wipe_free(void *memory)
{
	if (memory == NULL)
		return;
	explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

/* Never libc's realloc: it may move the block and leave the old bytes behind. */
void *wipe_realloc(void *memory, size_t size)
{
	size_t old;
	void *moved;

	if (memory == NULL)
		return wipe_malloc(size);
	if (size == 0) {
		wipe_free(memory);
		return NULL;
	}
	old = malloc_usable_size(memory);
	if (size <= old && size >= old / 2)
		return memory;
	moved = malloc(size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, memory, old < size ? old : size);
	wipe_free(memory);
	return moved;
}

char *wipe_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = wipe_malloc(size);

	if (copy != NULL)
		memcpy(copy, text, size);
	return copy;
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return wipe_malloc(size);
}

static void *openssl_realloc(void *memory, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return wipe_realloc(memory, size);
}

static void openssl_free(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	wipe_free(memory);
}

/* What is large is of the moment: a bundle, a document, c-ares's tables for a burst of requests. As
 * mappings of their own they leave when they are freed, instead of stretching the heap for whoever
 * stays. And libcurl's resolver threads, where it has them, need no heaps of their own. */
static void keep_heap_small(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	(void)mallopt(M_ARENA_MAX, 1);
}

int wipe_install(void)
{
	keep_heap_small();
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
		return -1;
	/* No engine, provider or option from a configuration file that somebody else may write. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		return -1;
	return sodium_init() < 0 ? -1 : 0;
}

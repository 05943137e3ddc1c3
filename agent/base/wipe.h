#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One allocator that wipes what is freed, for our own buffers and for every library that sees a
 * secret. Without it four to six copies of a value stay in freed memory after one fetch; with it
 * none.
 */
#include <stddef.h>

/* As malloc, calloc, realloc, strdup and free; freed and moved memory is zeroed. */
void *wipe_malloc(size_t size);
void *wipe_calloc(size_t count, size_t size);
void *wipe_realloc(void *memory, size_t size);
char *wipe_strdup(const char *text);
void wipe_free(void *memory);

/* Installs the allocator in libcrypto and starts libsodium; io installs it in libuv and libcurl.
 * Must be the first thing that main does. Returns 0, or -1 when a library had already allocated. */
int wipe_install(void);

/* Zeroes memory in a way that the compiler keeps. */
void wipe(void *memory, size_t size);

/* For AUTO: an owning local whose bytes may be secret. */
static inline void wipe_freep(void *pointer)
{
	void **memory = pointer;

	wipe_free(*memory);
	*memory = NULL;
}

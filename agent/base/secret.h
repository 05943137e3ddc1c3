#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed bytes of one value: immutable, counted, in memory that is kept out of dumps, swap and
 * children. There is no char * accessor and no print helper: a secret cannot reach %s by accident.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/error.h"

struct secret;

/* The largest value: what one reply may hold. */
#define SECRET_MAX ((size_t)4 << 20)

/* Copies the bytes into the arena. NULL with ERROR_EXHAUSTED when there is no memory or len >
 * SECRET_MAX. */
struct secret *secret_new(const void *bytes, size_t len, struct error *err) MUST_USE;

/* As secret_new, and wipes the source after, also on failure. */
struct secret *secret_move(void *bytes, size_t len, struct error *err) MUST_USE;

struct secret *secret_ref(struct secret *secret);

/* Returns NULL always; the last reference wipes the value. NULL is allowed. */
struct secret *secret_unref(struct secret *secret);

const uint8_t *secret_bytes(const struct secret *secret);
size_t secret_len(const struct secret *secret);

/* In constant time for equal lengths. */
bool secret_equal(const struct secret *one, const struct secret *other);

/* How the arena is protected, for status and metrics. */
enum arena_protection {
	ARENA_SECRETMEM, /* memfd_secret: outside the kernel's direct map, never swapped or dumped
			  */
	ARENA_LOCKED,	 /* locked, not dumpable */
	ARENA_UNLOCKED,	 /* neither could be had: the limit on locked memory is too low */
};

struct arena_stats {
	enum arena_protection weakest;
	size_t mapped_bytes;
	size_t locked_bytes;
	size_t used_bytes;
};

/* Chooses how chunks are made: memfd_secret blocks hibernation, so a developer's `run` goes
 * without. Call before the first secret. */
void arena_allow_secretmem(bool allowed);

struct arena_stats arena_stats(void);
const char *arena_protection_name(enum arena_protection protection);

static inline void secret_unrefp(struct secret **secret)
{
	*secret = secret_unref(*secret);
}

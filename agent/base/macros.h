#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few words of the language that C lacks: scoped ownership, hand-over, and sizes of tables.
 */
#include <stddef.h>
#include <stdlib.h>

#define MUST_USE	       __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED		       __attribute__((unused))

/* An owning local: AUTO(freep) char *name = NULL; the function gets the variable's address at the
 * end of scope. */
#define AUTO(free_fn) __attribute__((cleanup(free_fn)))

/* Hands an owning local over to somebody else and leaves it empty. */
#define STEAL(variable)                                                                            \
	({                                                                                         \
		__typeof__(variable) steal_value_ = (variable);                                    \
		(variable) = NULL;                                                                 \
		steal_value_;                                                                      \
	})

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define CONTAINER_OF(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Makes `foo_freep(struct foo **)`, for AUTO, out of `foo_free(struct foo *)`. */
#define DEFINE_FREEP(name, type, free_fn)                                                          \
	static inline void name(type **pointer)                                                    \
	{                                                                                          \
		free_fn(*pointer);                                                                 \
		*pointer = NULL;                                                                   \
	}

/* For locals that hold nothing secret; what may hold a secret lives in a struct buf or a struct
 * secret. */
static inline void freep(void *pointer)
{
	void **memory = pointer;

	free(*memory);
	*memory = NULL;
}

static inline void closep(int *fd)
{
	extern int close(int);

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

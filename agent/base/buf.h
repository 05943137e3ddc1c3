#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer with a maximum, wiped when it moves or goes. It latches failure: write as
 * much as you like and ask once, at the end, with buf_check.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/error.h"

struct buf {
	char *data; /* always NUL-terminated once something was written; NULL while empty */
	size_t len;
	size_t cap;
	size_t max;  /* bytes of content it may hold */
	bool failed; /* out of memory or past max; content is then a prefix */
};

#define BUF_INIT(maximum) ((struct buf){ .max = (maximum) })

void buf_put(struct buf *buf, const void *bytes, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* Makes room for `len` more bytes and returns where to write them, or NULL; follow with buf_commit.
 */
char *buf_reserve(struct buf *buf, size_t len);
void buf_commit(struct buf *buf, size_t len);

/* Forgets the content (wiped), keeps the memory and clears the failure. */
void buf_reset(struct buf *buf);

/* Cuts the content to its first `len` bytes; the rest is wiped. */
void buf_truncate(struct buf *buf, size_t len);

/* 0, or -1 with ERROR_EXHAUSTED when something did not fit; `what` names the content in the text.
 */
int buf_check(const struct buf *buf, const char *what, struct error *err) MUST_USE;

/* The content as a C string, "" while empty. */
const char *buf_string(const struct buf *buf);

/* Takes the memory out of the buffer (free it with wipe_free), NULL when failed. */
char *buf_steal(struct buf *buf);

/* Wipes and frees; the buffer is empty and usable again after. For AUTO too. */
void buf_deinit(struct buf *buf);

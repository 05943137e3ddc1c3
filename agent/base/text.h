#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spellings: durations, sizes, modes, times, encodings and escapes, each with its reader and its
 * writer. Readers take bytes with a length, accept the whole text or nothing, and say what is wrong
 * in `err`.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

/* "5m", "1h30m", "250ms", "10s": whole milliseconds, not negative. */
int text_read_duration(const char *text, int64_t *ret_ms, struct error *err) MUST_USE;
void text_write_duration(struct buf *buf, int64_t ms);

/* "64KiB", "1MiB", "512", "10kB". */
int text_read_size(const char *text, uint64_t *ret, struct error *err) MUST_USE;

/* "0440": three or four octal digits, at most 07777. */
int text_read_mode(const char *text, unsigned *ret, struct error *err) MUST_USE;

int text_read_unsigned(const char *text, uint64_t max, uint64_t *ret, struct error *err) MUST_USE;

/* RFC 3339; the writer prints UTC with whole seconds (`2026-11-24T14:29:01Z`), the reader takes any
 * offset and fraction. */
int text_read_time(const char *text, size_t len, int64_t *ret_ms, struct error *err) MUST_USE;
void text_write_time(struct buf *buf, int64_t real_ms);

bool text_is_utf8(const void *bytes, size_t len);

/* The first character of the text and how many bytes it takes; 0 when there is none or it is not
 * UTF-8. */
size_t text_read_character(const void *bytes, size_t len, uint32_t *ret);

/* Writes one character (not a surrogate, at most 0x10ffff) as UTF-8 and returns how many bytes it
 * took. */
size_t text_encode_character(char ret[4], uint32_t character);

/* Appends a JSON string with its quotes; the bytes should be UTF-8 (what is not becomes U+FFFD,
 * byte by byte). Control characters as \uXXXX or their short form. */
void text_write_json(struct buf *buf, const void *bytes, size_t len);

void text_write_base64(struct buf *buf, const void *bytes,
		       size_t len); /* standard alphabet, padded */
/* The same, five times as quick, for what is no secret: its time depends on the bytes. */
void text_write_base64_public(struct buf *buf, const void *bytes, size_t len);
void text_write_base64_raw(struct buf *buf, const void *bytes,
			   size_t len); /* standard alphabet, unpadded */
/* Standard alphabet; padding optional; no white space. Appends the decoded bytes. */
int text_read_base64(struct buf *buf, const char *text, size_t len, struct error *err) MUST_USE;
void text_write_hex(struct buf *buf, const void *bytes, size_t len);

/* %XX of a URL: the writer leaves unreserved characters and what `keep` lists; the reader refuses
 * half escapes and NUL. */
void text_write_percent(struct buf *buf, const void *bytes, size_t len, const char *keep);
int text_read_percent(struct buf *buf, const char *text, size_t len, struct error *err) MUST_USE;

/* 'single quotes' for a POSIX shell, `'` inside as '\''. */
void text_write_shell(struct buf *buf, const void *bytes, size_t len);

/* The name of an environment variable for a path of field names: upper case, levels joined by `_`,
 * other characters `_`, a leading digit gets a `_` in front. */
void text_write_variable(struct buf *buf, const char *name);

/* The candidate nearest to `word` if it is near enough to be meant (edit distance ≤ 2 or a third of
 * its length), else NULL. `candidates` ends with NULL. */
const char *text_nearest(const char *word, const char *const *candidates);

bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);

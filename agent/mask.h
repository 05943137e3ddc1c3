#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hides values in a stream of bytes, in linear time and however the stream is cut into pieces.
 * Besides the value itself its base64, URL-escaped and JSON-escaped forms are found; each is
 * replaced by ***.
 */
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

/* Shorter values are left alone: they are found everywhere. */
#define MASK_LEAST 6
#define MASK_TEXT  "***"

struct mask;
struct mask *mask_new(struct error *err) MUST_USE;
struct mask *mask_free(struct mask *mask); /* returns NULL; NULL is allowed */
/* Adds a value in all its forms; values under MASK_LEAST bytes are ignored. */
int mask_add(struct mask *mask, const void *bytes, size_t len, struct error *err) MUST_USE;
/* Call after the last mask_add and before the first stream. */
int mask_prepare(struct mask *mask, struct error *err) MUST_USE;

/* One stream's place in the search. */
struct mask_stream {
	const struct mask *mask;
	struct buf held;     /* bytes that a match may still swallow */
	uint64_t base;	     /* position of the first held byte */
	uint64_t at;	     /* position of the next byte to come */
	uint64_t start, end; /* a match that may still grow; start == end: none */
	uint32_t node;
};

void mask_stream_init(struct mask_stream *stream, const struct mask *mask);
void mask_stream_deinit(struct mask_stream *stream);
/* Appends to `out` what is certain. */
void mask_put(struct mask_stream *stream, const char *bytes, size_t len, struct buf *out);
/* Nothing came for a while: appends what is held back as long as it is less than MASK_LEAST bytes
 * of a value, so that a prompt that happens to begin like one is seen. The rest of the value,
 * should it come, is hidden still. */
void mask_idle(struct mask_stream *stream, struct buf *out);
/* Nothing more will come: appends the rest. */
void mask_end(struct mask_stream *stream, struct buf *out);

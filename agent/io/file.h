#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files read whole and replaced whole.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/message.h"

/* Appends the file's bytes. ERROR_NOT_FOUND, ERROR_DENIED, ERROR_EXHAUSTED (larger than `max`),
 * ERROR_INVALID (a directory, a device, or with `secret`: writable by others than root and us),
 * each with the file's name. */
int file_read(const char *path, size_t max, bool secret, struct buf *out,
	      struct error *err) MUST_USE;

/* The same of whatever can be read: a pipe or a terminal is waited for until its end, "-" is
 * standard input. Not for what a running agent reads: it may take as long as it likes. */
int file_read_stream(const char *path, size_t max, struct buf *out, struct error *err) MUST_USE;

/* Writes a new file beside `path` with this mode, syncs it and renames it over; an existing file's
 * mode and owner are kept when `mode` is 0. Nothing is lost when it is interrupted. */
int file_replace(const char *path, const void *bytes, size_t len, unsigned mode,
		 struct error *err) MUST_USE;

/* Runs a REQUEST_FILE: fills `reply` with the content, which lives in `out`. */
int file_perform(const struct request *request, const struct clock *clock, struct buf *out,
		 struct reply *reply, struct error *err) MUST_USE;

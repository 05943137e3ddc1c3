#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: a code that says what the caller should do next, and one sentence for a human.
 * The text names the thing, the place, the cause and the remedy; it never holds secret bytes.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/macros.h"

enum error_code {
	ERROR_NONE,
	ERROR_UNAVAILABLE,     /* try again later: network, 5xx, 429 */
	ERROR_UNAUTHENTICATED, /* log in again */
	ERROR_DENIED,	       /* policy says no: tell a human, slow down */
	ERROR_FORBIDDEN,       /* the operating system says no: a file, a directory, a port */
	ERROR_NOT_FOUND,       /* the path, version or field is not there */
	ERROR_INVALID,	       /* our configuration or request is wrong */
	ERROR_BAD_DATA,	 /* what was found cannot be used: wrong MAC, colliding names, NUL in a
			    variable */
	ERROR_PROTOCOL,	 /* the other side sent nonsense */
	ERROR_EXHAUSTED, /* a limit of ours: memory, locked memory, size, connections */
	ERROR_CANCELED,	 /* shutting down */
	ERROR_USAGE,	 /* the command line cannot be meant as it stands */
	ERROR_CODES,	 /* how many there are */
};

#define ERROR_TEXT_MAX 400

struct error {
	enum error_code code;
	uint32_t retry_after_ms; /* what the other side asked for; 0: nothing */
	char text[ERROR_TEXT_MAX];
};

#define ERROR_INIT ((struct error){ .code = ERROR_NONE })

/* Fills *err and returns -1, so that a failure is one line: return error_set(err, ERROR_INVALID,
 * "…"). */
int error_set(struct error *err, enum error_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* As error_set, with ": " and the text of errno value `number` appended; the code follows from
 * `number` (ENOENT: NOT_FOUND, EACCES, EPERM and EROFS: FORBIDDEN, ENOMEM, ENOSPC, EMFILE…:
 * EXHAUSTED, else UNAVAILABLE). */
int error_errno(struct error *err, int number, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " before the text that is there; the code stays. Returns -1. */
int error_wrap(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* ERROR_EXHAUSTED for a failed allocation. Returns -1. */
int error_no_memory(struct error *err);

/* Waiting does not mend it: denied, not found, invalid, bad data. */
bool error_is_final(enum error_code code);

/* The code's word in logs, status and JSON: "unavailable", "denied", … */
const char *error_code_name(enum error_code code);

/* The exit status of a command that ends with this code: 64, 65, 69, 77 or 78. */
int error_exit_status(enum error_code code);

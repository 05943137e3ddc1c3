#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines NAME=value as people keep them beside a program (.env), read as shells and the dotenv
 * libraries of most languages do: `export` in front, blank lines, comments from # on (in a value
 * behind white space), values in ' " or `, which may span lines. In double quotes \n \r \t \\ \" \$
 * and \` are escapes. Nothing is expanded: $NAME stays as it is.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

struct dotenv_reader {
	const char *text;
	size_t len, at;
	unsigned line; /* 1-based; of the entry that was read last */
	unsigned next_line;
	bool quoted; /* its value stood in quotes */
};

/* The text is borrowed. */
struct dotenv_reader dotenv_reader(const char *text, size_t len);

/* 1: an entry, `name` and `value` hold it instead of what they held. 0: the end. -1:
 * ERROR_BAD_DATA, which begins with the line and never quotes a value. */
int dotenv_next(struct dotenv_reader *reader, struct buf *name, struct buf *value,
		struct error *err) MUST_USE;

/* Whether a line can begin with this name. */
bool dotenv_name_is_valid(const char *name);

/* Appends a value so that it is read back the same, quoted only where it must be. */
void dotenv_write_value(struct buf *out, const char *value, size_t len);

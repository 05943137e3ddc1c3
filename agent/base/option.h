#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables: one row per key of a configuration, from which parsing, defaults, checks, `--help`
 * and the reference are made. A table describes a struct; values are written at their offset in it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

enum option_type {
	OPTION_STRING,	 /* char * */
	OPTION_PATH,	 /* char *: a leading ~/ is the home directory */
	OPTION_STRINGS,	 /* struct strings: one or a list */
	OPTION_BOOL,	 /* bool */
	OPTION_DURATION, /* int64_t, milliseconds */
	OPTION_SIZE,	 /* uint64_t, bytes */
	OPTION_MODE,	 /* unsigned; quoted octal, an unquoted one is an error */
	OPTION_UNSIGNED, /* uint64_t */
	OPTION_ID,	 /* int64_t: a uid or gid; -1: not set */
	OPTION_CHOICE,	 /* int: index in choices */
	OPTION_JSON, /* char *: a map of any shape, as its JSON text with the scalars' YAML types */
	OPTION_TABLE, /* a struct in place, described by `members` */
};

struct strings {
	char **items;
	size_t count;
};

struct option {
	const char *name; /* NULL ends a table */
	enum option_type type;
	size_t offset;
	const char *fallback; /* the default as the user would write it; NULL: the type's zero (ids:
				 -1) */
	const char *help;     /* one sentence, for --help and the reference */
	const char *const *choices;   /* OPTION_CHOICE; ends with NULL */
	const struct option *members; /* OPTION_TABLE */
	int64_t least,
		most; /* of numbers, durations, sizes; both 0: any; most < least: no upper bound */
	bool required;
};

/* Fills every default of the table into `object` (zeroed by the caller). */
int option_defaults(const struct option *table, void *object, struct error *err) MUST_USE;

/* Reads one scalar (not STRINGS, JSON, TABLE) as the user spelled it, in place of the value that is
 * there. The error says what is wrong with the value and how to write it; the caller, who knows it,
 * adds the place. */
int option_read(const struct option *option, void *object, const char *text,
		struct error *err) MUST_USE;

/* The row of that name, NULL when there is none. */
const struct option *option_find(const struct option *table, const char *name);

/* The row's name nearest to a misspelled one, or NULL. */
const char *option_nearest(const struct option *table, const char *name);

/* The same values in two objects of one table. */
bool option_equal(const struct option *table, const void *one, const void *other);

/* Appends the values, a line each, such that two objects have the same text when they are equal.
 * For programs: units are the object's. */
void option_write(struct buf *out, const struct option *table, const void *object);

/* Frees what the rows own, wiped, and leaves the rows empty; the object itself is the caller's. */
void option_free(const struct option *table, void *object);

int strings_add(struct strings *strings, const char *text, struct error *err) MUST_USE;
void strings_free(struct strings *strings);

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of YAML read by option tables. Faults are collected, not returned: every one of the file is
 * told at once.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/yaml.h"
#include "agent/config/config.h"

#define WHERE_MAX 200

struct reader {
	const char *file; /* its name in problems */
	char *directory;  /* where relative paths start; "" is the working directory */
	config_backend_types types;
	const struct yaml_node *root;
	struct config *config; /* what is being read */
	struct config_problems *problems;
	bool failed; /* a problem was found, whether or not it could be kept */
};

/* A table and the struct that it describes. */
struct reader_part {
	const struct option *table;
	void *object;
};

void reader_problem(struct reader *reader, struct yaml_mark mark, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Reads the text into reader->root; a key that is there twice is told like any other problem, so
 * that it hides none. NULL after telling why it is no YAML. */
struct yaml_doc *reader_document(struct reader *reader, const char *bytes, size_t len) MUST_USE;

/* "secrets.db", or "db" at the root; the result lives in `where`. */
const char *reader_where(char where[WHERE_MAX], const char *parent, const char *name);

/* Fills `parts` with their defaults and then with what the map says. Keys in `nested`
 * (NULL-terminated; NULL: none) are the caller's. A missing or empty value is an empty map. False
 * when a problem was told. */
bool reader_map(struct reader *reader, const struct yaml_node *node, const char *where,
		const struct reader_part *parts, size_t count, const char *const *nested);

/* The node itself when it is a list or a map, NULL when it is absent or empty; else a problem and
 * NULL. */
const struct yaml_node *reader_expect(struct reader *reader, const struct yaml_node *node,
				      enum yaml_type type, const char *where);

/* A scalar's text, or NULL after telling a problem. An empty value and a NUL inside are problems.
 */
const char *reader_scalar(struct reader *reader, const struct yaml_node *node, const char *where);

/* Appends one zeroed item to an array; NULL after telling a problem. */
void *reader_grow(struct reader *reader, void *array, size_t *count, size_t size);

/* Appends the content of a configuration file. */
int reader_file(const char *file, struct buf *out, struct error *err) MUST_USE;

/* A copy; NULL after telling a problem, and for NULL. */
char *reader_copy(struct reader *reader, const char *text);

/* Puts the file's directory before a relative path; takes the old one over. */
char *reader_resolve(struct reader *reader, char *path);

/* " (did you mean 'x'?)" or "", from the keys of a map; lives in `hint`. */
const char *reader_hint(char hint[WHERE_MAX], const char *word, const struct yaml_node *map);
const char *reader_hint_of(char hint[WHERE_MAX], const char *nearest);

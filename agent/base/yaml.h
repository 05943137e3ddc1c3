#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict YAML reader for configuration: bytes in, a tree of nodes with their places out. It
 * refuses anchors, aliases, several documents, duplicate keys, keys that are no scalars, and
 * whatever passes the limits.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/error.h"

enum yaml_type { YAML_IS_SCALAR, YAML_IS_LIST, YAML_IS_MAP };

/* What a scalar means by the core schema of YAML 1.2; whatever stands in quotes or in a block is a
 * string. */
enum yaml_core { YAML_CORE_NULL, YAML_CORE_BOOL, YAML_CORE_INT, YAML_CORE_FLOAT, YAML_CORE_STRING };

struct yaml_mark {
	size_t line;   /* from 1 */
	size_t column; /* from 1, in characters */
};

struct yaml_limits {
	unsigned depth; /* nesting of lists and maps */
	unsigned nodes; /* values and keys */
	size_t bytes;	/* of the text */
	/* A repeated key is no error: the first stays, and yaml_doc_repeated has the others. The
	 * members of a repeated map are put into the first, so that they can be judged too. */
	bool collect_repeated;
};

#define YAML_CONFIG_LIMITS ((struct yaml_limits){ .depth = 64, .nodes = 10000, .bytes = 4 << 20 })

struct yaml_node {
	enum yaml_type type;
	enum yaml_core core;	   /* of a scalar */
	const char *key;	   /* in a map, NUL-terminated, no NUL inside; else NULL */
	struct yaml_mark key_mark; /* of the key; without a key the same as mark */
	struct yaml_mark mark;	   /* of the value's first character */
	const char *tag;  /* an explicit tag as "!local" or "tag:yaml.org,2002:str"; NULL: none */
	bool quoted;	  /* a scalar in quotes or in a block, not plain */
	const char *text; /* scalar: decoded, NUL-terminated, "" when empty; else NULL */
	size_t text_len;  /* a NUL inside is possible: compare with strlen where it matters */
	size_t count;	  /* children of a list or map */
	struct yaml_node *first; /* first child */
	struct yaml_node *next;	 /* next sibling */
	struct yaml_node *next_repeated;
};

struct yaml_doc;

/* Copies what it needs. NULL with ERROR_INVALID, or ERROR_EXHAUSTED past a limit; *where is then
 * the place (the second of two keys that collide), which the text names only when `where` is NULL.
 * Memory is wiped when freed. */
struct yaml_doc *yaml_doc_read(const void *bytes, size_t len, const struct yaml_limits *limits,
			       struct yaml_mark *where, struct error *err) MUST_USE;
struct yaml_doc *yaml_doc_free(struct yaml_doc *doc); /* returns NULL */

/* Never NULL: an empty document is one plain scalar of type null. */
const struct yaml_node *yaml_doc_root(const struct yaml_doc *doc);

/* The members whose key was there already, linked by next_repeated; NULL: none. */
const struct yaml_node *yaml_doc_repeated(const struct yaml_doc *doc);

/* The member of a map; NULL when `map` is NULL, not a map, or has none, so look-ups chain. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

static inline void yaml_doc_freep(struct yaml_doc **doc)
{
	*doc = yaml_doc_free(*doc);
}

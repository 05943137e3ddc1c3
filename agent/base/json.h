#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict JSON reader: bytes in, an arena of nodes out. It keeps the order of members and the
 * spelling of numbers, and refuses duplicate keys, bad UTF-8 and whatever passes the limits before
 * memory is asked for.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

enum json_type {
	JSON_IS_NULL,
	JSON_IS_BOOL,
	JSON_IS_NUMBER,
	JSON_IS_STRING,
	JSON_IS_LIST,
	JSON_IS_MAP
};

struct json_limits {
	unsigned depth; /* nesting of lists and maps */
	unsigned nodes; /* values and keys */
	size_t bytes;	/* of the text */
	bool repeated;	/* maps may have a key twice: both are there, in their order */
};

/* What a reply of a server may be: DESIGN §8. */
#define JSON_REPLY_LIMITS ((struct json_limits){ .depth = 32, .nodes = 10000, .bytes = 4 << 20 })

struct json_node {
	enum json_type type;
	bool truth;	 /* JSON_IS_BOOL */
	const char *key; /* in a map, decoded, NUL-terminated; else NULL */
	size_t key_len;
	const char *text; /* string: decoded bytes, NUL-terminated; number: as spelled; else NULL */
	size_t text_len;
	const char *raw; /* the value as it stands in the source (kept by the document) */
	size_t raw_len;
	size_t count;		 /* children of a list or map */
	struct json_node *first; /* first child */
	struct json_node *next;	 /* next sibling */
};

struct json_doc;

/* Copies `bytes` and reads them whole; NULL with ERROR_PROTOCOL that names the byte offset and what
 * was expected, never content, or ERROR_EXHAUSTED. Memory is wiped when freed. */
struct json_doc *json_doc_read(const void *bytes, size_t len, const struct json_limits *limits,
			       struct error *err) MUST_USE;
struct json_doc *json_doc_free(struct json_doc *doc); /* returns NULL */
const struct json_node *json_doc_root(const struct json_doc *doc);

/* The member of a map; NULL when `map` is NULL, not a map, or has none, so look-ups chain. */
const struct json_node *json_get(const struct json_node *map, const char *key);

/* The value if it is of that type, else the default. NULL nodes are allowed. A string that holds
 * NUL is no string here. */
const char *json_string(const struct json_node *node); /* NULL unless a string */
/* Integers only, also spelled 1e3; what does not fit is the fallback, never clamped. */
int64_t json_integer(const struct json_node *node, int64_t fallback);
bool json_bool(const struct json_node *node, bool fallback);

/* Appends the value without insignificant white space, numbers as spelled, strings escaped anew, no
 * HTML escapes. */
void json_write(struct buf *buf, const struct json_node *node);

/* Appends a name as a JSON pointer spells it (RFC 6901): ~1 is /, ~0 is ~. ERROR_INVALID for
 * another
 * ~. */
int json_read_pointer_name(struct buf *out, const char *text, size_t len,
			   struct error *err) MUST_USE;

static inline void json_doc_freep(struct json_doc **doc)
{
	*doc = json_doc_free(*doc);
}

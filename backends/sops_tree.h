#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document as an ordered tree of typed values, comments among them, each with the bytes it stands
 * at: the same for YAML, JSON and dotenv. Edits are lists of replaced spans, so what is not touched
 * stays byte for byte.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

#define SOPS_DOCUMENT_MAX ((size_t)4 << 20)
#define SOPS_DEPTH_MAX	  64
#define SOPS_NODES_MAX	  20000

enum sops_format { SOPS_YAML, SOPS_JSON, SOPS_DOTENV };

enum sops_kind {
	SOPS_NULL,
	SOPS_STRING,
	SOPS_INT,
	SOPS_FLOAT,
	SOPS_BOOL,
	SOPS_TIME,
	SOPS_COMMENT,
	SOPS_LIST,
	SOPS_MAP,
};

struct sops_span {
	size_t start, end;
};

struct sops_index; /* of a large map: its members by name */

struct sops_node {
	enum sops_kind kind;
	bool flow;   /* {…} or […]; always in JSON */
	bool quoted; /* a string in quotes */
	bool item;   /* a comment that stands as an item of a list, as sops writes them */
	bool alias;  /* stands at a YAML alias, as a copy of what the alias names */
	char *key;   /* in a map; NULL in a list and of comments */
	char *text;  /* scalars: what is hashed and encrypted, "True" for true; comments: what
			follows the # */
	size_t len;
	struct sops_span span;	   /* of the value */
	struct sops_span key_span; /* of the key, its quotes included */
	unsigned line, column;	   /* 1-based; of the key where there is one */
	struct sops_node *parent, *first, *last, *next;
	const struct sops_node *incoming; /* the value that it is to have, of another tree */
	size_t members;			  /* how many have a name */
	struct sops_index *index;
	struct sops_node *allocated; /* the tree's list of all nodes */
};

struct sops_tree {
	enum sops_format format;
	struct sops_node *root; /* a map */
	struct sops_node *allocated;
	size_t count;
};

/* "a.yaml" → SOPS_YAML; json and env by their endings, everything else is YAML. */
enum sops_format sops_format_of(const char *file);

/* The length of the mark that Windows' editors write before UTF-8 text; 0 when there is none. */
size_t sops_byte_order_mark(const char *text, size_t len);

/* Reads a document; `file` names it in errors. ERROR_BAD_DATA names file and line. Spans count from
 * behind a byte order mark. */
int sops_tree_read(struct sops_tree *tree, enum sops_format format, const char *text, size_t len,
		   const char *file, struct error *err) MUST_USE;
void sops_tree_free(struct sops_tree *tree); /* wipes; for AUTO too */

/* For the readers: a node at the end of the parent's children. `text` is copied. */
struct sops_node *sops_node_add(struct sops_tree *tree, struct sops_node *parent,
				enum sops_kind kind, const char *key, const char *text, size_t len,
				struct error *err) MUST_USE;
int sops_node_set(struct sops_node *node, enum sops_kind kind, const char *text, size_t len,
		  struct error *err) MUST_USE;
int sops_yaml_read(struct sops_tree *tree, const char *text, size_t len,
		   struct error *err) MUST_USE;
int sops_json_read(struct sops_tree *tree, const char *text, size_t len,
		   struct error *err) MUST_USE;
int sops_dotenv_read(struct sops_tree *tree, const char *text, size_t len,
		     struct error *err) MUST_USE;

static inline bool sops_is_scalar(const struct sops_node *node)
{
	return node->kind < SOPS_COMMENT;
}

/* A comment that is no item of its list: text between the members, not one of them. */
static inline bool sops_is_between(const struct sops_node *node)
{
	return node->kind == SOPS_COMMENT && !node->item;
}

/* The member of that name; NULL when there is none or `map` is no map. */
struct sops_node *sops_get(const struct sops_node *map, const char *key);

/* The value at `a.b`, `a.0` or `/a/b`; NULL or "" is the node itself. NULL when there is none. */
struct sops_node *sops_find(struct sops_node *from, const char *path);

/* The path of a node as people write it: `a.b`, list items by number. */
void sops_write_path(struct buf *buf, const struct sops_node *node);

/* One part of a path: `a.b` split at dots, or a JSON pointer at slashes. */
struct sops_path {
	char *parts[SOPS_DEPTH_MAX];
	size_t count;
};
int sops_path_read(struct sops_path *path, const char *text, struct error *err) MUST_USE;
void sops_path_free(struct sops_path *path);

/* Replaced spans of a source text, in any order; they must not overlap. What is put in at one place
 * comes in the order in which it was added. */
struct sops_edit {
	struct sops_span span;
	size_t order;
	char *text; /* may be secret */
	size_t len;
};
struct sops_edits {
	struct sops_edit *items;
	size_t count, capacity;
};
int sops_edits_add(struct sops_edits *edits, struct sops_span span, const struct buf *text,
		   struct error *err) MUST_USE;
void sops_edits_apply(struct sops_edits *edits, const char *text, size_t len, struct buf *out);
void sops_edits_free(struct sops_edits *edits);

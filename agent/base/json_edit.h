#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New JSON trees, and trees made of old ones: what is not changed is shared with the document that
 * it came from, so that a comparison can pass over it. Memory belongs to the edit and goes with it;
 * failure is latched: build as much as you like, ask once with json_edit_check.
 */
#include "agent/base/json.h"
#include "agent/base/pool.h"

struct json_edit {
	struct pool pool;
	bool failed; /* out of memory; what was built is then incomplete */
};

#define JSON_EDIT_INIT ((struct json_edit){ .failed = false })

void json_edit_deinit(struct json_edit *edit); /* for AUTO too */

/* 0, or -1 with ERROR_EXHAUSTED when anything did not fit. */
int json_edit_check(const struct json_edit *edit, struct error *err) MUST_USE;

/* New values; NULL when failed, and every function here takes that NULL and does nothing. */
struct json_node *json_new(struct json_edit *edit, enum json_type type);
struct json_node *json_new_string(struct json_edit *edit, const char *text);
struct json_node *json_new_bytes(struct json_edit *edit, const char *bytes, size_t len);
struct json_node *json_new_integer(struct json_edit *edit, int64_t number);
struct json_node *json_new_bool(struct json_edit *edit, bool truth);

/* The same value once more, for another place. It shares its children with `node`. */
struct json_node *json_copy(struct json_edit *edit, const struct json_node *node);

/* The same, sharing only what cannot be opened by others: changing one does not change the other.
 */
struct json_node *json_clone(struct json_edit *edit, const struct json_node *node);

/* The same, sharing nothing: it outlives the document that it came from. */
struct json_node *json_detach(struct json_edit *edit, const struct json_node *node);

/* Makes the children of a node that is ours (new, a copy, or a child of an open one) ours too, so
 * that they may be changed, moved and opened in turn. */
void json_open(struct json_edit *edit, struct json_node *node);

/* The member of an open map, opened; where it is absent, null or of another type, a new empty one
 * takes its place. `key` must outlive the tree. */
struct json_node *json_open_member(struct json_edit *edit, struct json_node *map, const char *key,
				   enum json_type type);

/* Changes to an open map or list; `value` is handed over and must be in no other tree. The key is
 * copied. A member that is there is replaced where it stands, a new one comes last. */
void json_put(struct json_edit *edit, struct json_node *map, const char *key,
	      struct json_node *value);
void json_put_bytes(struct json_edit *edit, struct json_node *map, const char *key, size_t key_len,
		    struct json_node *value);
void json_append(struct json_node *list, struct json_node *value);
/* Before the item that has that index; at the end from `count` on. */
void json_insert(struct json_node *list, size_t index, struct json_node *value);
/* Takes a child out of its open parent; NULL is allowed. */
void json_remove(struct json_node *parent, const struct json_node *child);

/* json_put of a new value. */
void json_put_string(struct json_edit *edit, struct json_node *map, const char *key,
		     const char *text);
void json_put_integer(struct json_edit *edit, struct json_node *map, const char *key,
		      int64_t number);
void json_put_bool(struct json_edit *edit, struct json_node *map, const char *key, bool truth);

/* As json_get, for keys that may hold NUL; and the item of that index. NULL when there is none. */
const struct json_node *json_get_bytes(const struct json_node *map, const char *key,
				       size_t key_len);
const struct json_node *json_item(const struct json_node *list, size_t index);

/* Known to be the same value without a look at it: both came unchanged from one place of one
 * document. */
bool json_is_shared(const struct json_node *one, const struct json_node *other);

/* The same value: members in any order, numbers by what they mean. */
bool json_equal(const struct json_node *one, const struct json_node *other);

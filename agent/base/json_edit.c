/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Siblings are chained through the nodes themselves, so a changed map or list needs nodes of its
 * own for its children; `raw`, which the reader sets and a change clears, is the mark of a value
 * that is as it came.
 */
#include "agent/base/json_edit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INTEGER_MAX = 24 };

void json_edit_deinit(struct json_edit *edit)
{
	pool_deinit(&edit->pool);
	*edit = JSON_EDIT_INIT;
}

int json_edit_check(const struct json_edit *edit, struct error *err)
{
	return edit->failed ? error_no_memory(err) : 0;
}

struct json_node *json_new(struct json_edit *edit, enum json_type type)
{
	struct json_node *node = pool_alloc(&edit->pool, sizeof(*node));

	if (node == NULL)
		edit->failed = true;
	else
		node->type = type;
	return node;
}

struct json_node *json_new_bytes(struct json_edit *edit, const char *bytes, size_t len)
{
	struct json_node *node = json_new(edit, JSON_IS_STRING);

	if (node == NULL)
		return NULL;
	node->text = pool_copy(&edit->pool, bytes, len);
	node->text_len = len;
	if (node->text != NULL)
		return node;
	edit->failed = true;
	return NULL;
}

struct json_node *json_new_string(struct json_edit *edit, const char *text)
{
	return json_new_bytes(edit, text, strlen(text));
}

struct json_node *json_new_integer(struct json_edit *edit, int64_t number)
{
	char text[INTEGER_MAX];
	struct json_node *node;

	(void)snprintf(text, sizeof(text), "%lld", (long long)number);
	node = json_new_string(edit, text);
	if (node != NULL)
		node->type = JSON_IS_NUMBER;
	return node;
}

struct json_node *json_new_bool(struct json_edit *edit, bool truth)
{
	struct json_node *node = json_new(edit, JSON_IS_BOOL);

	if (node != NULL)
		node->truth = truth;
	return node;
}

struct json_node *json_copy(struct json_edit *edit, const struct json_node *node)
{
	struct json_node *copy = node != NULL ? json_new(edit, node->type) : NULL;

	if (copy == NULL)
		return NULL;
	*copy = *node;
	copy->key = NULL;
	copy->key_len = 0;
	copy->next = NULL;
	return copy;
}

/* `deep`: nothing of the document is kept, neither text nor the mark. */
static struct json_node *copy_tree(struct json_edit *edit, const struct json_node *node, bool deep)
{
	struct json_node *copy = json_copy(edit, node), **next, *child;

	if (copy == NULL || (node->raw != NULL && !deep))
		return copy;
	if (deep) {
		copy->raw = NULL;
		copy->raw_len = 0;
	}
	if (deep && node->text != NULL) {
		copy->text = pool_copy(&edit->pool, node->text, node->text_len);
		edit->failed = edit->failed || copy->text == NULL;
	}
	next = &copy->first;
	for (const struct json_node *old = node->first; old != NULL; old = old->next) {
		child = copy_tree(edit, old, deep);
		if (child == NULL)
			return NULL;
		child->key = deep && old->key != NULL
				     ? pool_copy(&edit->pool, old->key, old->key_len)
				     : old->key;
		edit->failed = edit->failed || (old->key != NULL && child->key == NULL);
		child->key_len = old->key_len;
		*next = child;
		next = &child->next;
	}
	*next = NULL;
	return edit->failed ? NULL : copy;
}

struct json_node *json_clone(struct json_edit *edit, const struct json_node *node)
{
	return copy_tree(edit, node, false);
}

struct json_node *json_detach(struct json_edit *edit, const struct json_node *node)
{
	return copy_tree(edit, node, true);
}

void json_open(struct json_edit *edit, struct json_node *node)
{
	struct json_node **next, *child, *copy;

	if (node == NULL || node->raw == NULL)
		return;
	next = &node->first;
	for (child = node->first; child != NULL; child = child->next) {
		copy = json_copy(edit, child);
		if (copy == NULL)
			return;
		copy->key = child->key;
		copy->key_len = child->key_len;
		copy->next = child->next;
		*next = copy;
		next = &copy->next;
	}
	node->raw = NULL;
	node->raw_len = 0;
}

struct json_node *json_open_member(struct json_edit *edit, struct json_node *map, const char *key,
				   enum json_type type)
{
	/* Its own children: an open map's are not shared. */
	struct json_node *member = (struct json_node *)(uintptr_t)json_get(map, key);

	if (map == NULL)
		return NULL;
	if (member == NULL || member->type != type) {
		member = json_new(edit, type);
		json_put(edit, map, key, member);
	}
	json_open(edit, member);
	return member;
}

static bool has_key(const struct json_node *node, const char *key, size_t len)
{
	return node->key_len == len && memcmp(node->key, key, len) == 0;
}

void json_put_bytes(struct json_edit *edit, struct json_node *map, const char *key, size_t key_len,
		    struct json_node *value)
{
	struct json_node **at;

	if (map == NULL || value == NULL)
		return;
	value->key = pool_copy(&edit->pool, key, key_len);
	value->key_len = key_len;
	if (value->key == NULL) {
		edit->failed = true;
		return;
	}
	at = &map->first;
	while (*at != NULL && !has_key(*at, key, key_len))
		at = &(*at)->next;
	if (*at == NULL)
		map->count++;
	value->next = *at != NULL ? (*at)->next : NULL;
	*at = value;
}

void json_put(struct json_edit *edit, struct json_node *map, const char *key,
	      struct json_node *value)
{
	json_put_bytes(edit, map, key, strlen(key), value);
}

void json_insert(struct json_node *list, size_t index, struct json_node *value)
{
	struct json_node **at;

	if (list == NULL || value == NULL)
		return;
	for (at = &list->first; *at != NULL && index > 0; at = &(*at)->next)
		index--;
	value->next = *at;
	*at = value;
	list->count++;
}

void json_append(struct json_node *list, struct json_node *value)
{
	json_insert(list, SIZE_MAX, value);
}

void json_remove(struct json_node *parent, const struct json_node *child)
{
	struct json_node **at;

	if (parent == NULL || child == NULL)
		return;
	at = &parent->first;
	while (*at != NULL && *at != child)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = child->next;
	parent->count--;
}

void json_put_string(struct json_edit *edit, struct json_node *map, const char *key,
		     const char *text)
{
	json_put(edit, map, key, json_new_string(edit, text));
}

void json_put_integer(struct json_edit *edit, struct json_node *map, const char *key,
		      int64_t number)
{
	json_put(edit, map, key, json_new_integer(edit, number));
}

void json_put_bool(struct json_edit *edit, struct json_node *map, const char *key, bool truth)
{
	json_put(edit, map, key, json_new_bool(edit, truth));
}

const struct json_node *json_get_bytes(const struct json_node *map, const char *key, size_t key_len)
{
	const struct json_node *member =
		map != NULL && map->type == JSON_IS_MAP ? map->first : NULL;

	while (member != NULL && !has_key(member, key, key_len))
		member = member->next;
	return member;
}

const struct json_node *json_item(const struct json_node *list, size_t index)
{
	const struct json_node *item =
		list != NULL && list->type == JSON_IS_LIST ? list->first : NULL;

	for (; item != NULL && index > 0; index--)
		item = item->next;
	return item;
}

bool json_is_shared(const struct json_node *one, const struct json_node *other)
{
	return one == other || (one->raw != NULL && one->raw == other->raw);
}

static bool equal_numbers(const struct json_node *one, const struct json_node *other)
{
	if (one->text_len == other->text_len && memcmp(one->text, other->text, one->text_len) == 0)
		return true;
	/* What both pass is not the same because of that. */
	return isfinite(strtold(one->text, NULL)) &&
	       strtold(one->text, NULL) == strtold(other->text, NULL);
}

static bool equal_children(const struct json_node *one, const struct json_node *other)
{
	const struct json_node *beside = other->first, *match;

	if (one->count != other->count)
		return false;
	for (const struct json_node *child = one->first; child != NULL; child = child->next) {
		match = beside;
		/* Mostly in the same order: the search is for the others. */
		if (one->type == JSON_IS_MAP && !has_key(match, child->key, child->key_len))
			match = json_get_bytes(other, child->key, child->key_len);
		if (match == NULL || !json_equal(child, match))
			return false;
		beside = beside->next;
	}
	return true;
}

bool json_equal(const struct json_node *one, const struct json_node *other)
{
	if (json_is_shared(one, other))
		return true;
	if (one->type != other->type)
		return false;
	switch (one->type) {
	case JSON_IS_NULL:
		return true;
	case JSON_IS_BOOL:
		return one->truth == other->truth;
	case JSON_IS_NUMBER:
		return equal_numbers(one, other);
	case JSON_IS_STRING:
		return one->text_len == other->text_len &&
		       memcmp(one->text, other->text, one->text_len) == 0;
	case JSON_IS_LIST:
	case JSON_IS_MAP:
		return equal_children(one, other);
	}
	return false;
}

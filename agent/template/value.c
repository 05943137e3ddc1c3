/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types, truth, order of keys, maps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template/value.h"

enum { MAP_FIRST = 8 };

const char *value_type_name(const struct value *value)
{
	static const char *const names[VALUE_TYPES] = {
		[VALUE_NONE] = "nil",
		[VALUE_NIL] = "interface {}",
		[VALUE_BOOL] = "bool",
		[VALUE_INT] = "int",
		[VALUE_INT64] = "int64",
		[VALUE_UINT8] = "uint8",
		[VALUE_UINT64] = "uint64",
		[VALUE_FLOAT64] = "float64",
		[VALUE_STRING] = "string",
		[VALUE_NUMBER] = "json.Number",
		[VALUE_LIST] = "[]interface {}",
		[VALUE_STRINGS] = "[]string",
		[VALUE_MAP] = "map[string]interface {}",
		[VALUE_STRING_MAP] = "map[string]string",
		[VALUE_ANY_MAP] = "map[interface {}]interface {}",
		[VALUE_LOOP] = "<-chan int64",
	};

	if (value->type == VALUE_OBJECT)
		return value->object != NULL ? value->object->type->name : "object";
	return names[value->type];
}

bool value_is_text(const struct value *value)
{
	return value->type == VALUE_STRING || value->type == VALUE_NUMBER;
}

bool value_is_list(const struct value *value)
{
	return value->type == VALUE_LIST || value->type == VALUE_STRINGS;
}

bool value_is_map(const struct value *value)
{
	return value->type == VALUE_MAP || value->type == VALUE_STRING_MAP ||
	       value->type == VALUE_ANY_MAP;
}

bool value_is_nil(const struct value *value)
{
	if (value->type == VALUE_NONE || value->type == VALUE_NIL)
		return true;
	return (value_is_list(value) && value->items == NULL) ||
	       (value_is_map(value) && value->map == NULL) ||
	       (value->type == VALUE_OBJECT && value->object == NULL);
}

bool value_truth(const struct value *value)
{
	if (value_is_nil(value))
		return false;
	if (value_is_text(value))
		return value->len > 0;
	if (value_is_list(value))
		return value->count > 0;
	if (value_is_map(value))
		return value->map->count > 0;
	if (value->type == VALUE_BOOL)
		return value->truth;
	if (value->type == VALUE_FLOAT64)
		return value->real < 0 || value->real > 0 || value->real != value->real;
	if (value->type == VALUE_INT || value->type == VALUE_INT64)
		return value->integer != 0;
	if (value->type == VALUE_UINT8 || value->type == VALUE_UINT64)
		return value->unsigned_ != 0;
	return true;
}

/* ---- order ---- */

int value_compare_bytes(const char *one, size_t one_len, const char *other, size_t other_len)
{
	size_t shorter = one_len < other_len ? one_len : other_len;
	int order = shorter > 0 ? memcmp(one, other, shorter) : 0;

	return order != 0 ? order : (one_len > other_len) - (one_len < other_len);
}

/* A NaN comes before every number. */
static int compare_reals(double one, double other)
{
	if (one < other || (one != one && other == other))
		return -1;
	return one > other || (other != other && one == one);
}

int value_compare_keys(const struct value *one, const struct value *other)
{
	if (value_is_text(one) && value_is_text(other))
		return value_compare_bytes(one->bytes, one->len, other->bytes, other->len);
	if (one->type != other->type)
		return one->type < other->type ? -1 : 1;
	if (one->type == VALUE_BOOL)
		return one->truth - other->truth;
	if (one->type == VALUE_FLOAT64)
		return compare_reals(one->real, other->real);
	if (one->type == VALUE_UINT8 || one->type == VALUE_UINT64)
		return (one->unsigned_ > other->unsigned_) - (one->unsigned_ < other->unsigned_);
	if (one->type == VALUE_INT || one->type == VALUE_INT64)
		return (one->integer > other->integer) - (one->integer < other->integer);
	return 0;
}

/* ---- maps ---- */

struct map *map_new(struct region *region)
{
	return region_alloc(region, sizeof(struct map));
}

/* Where the key is, or where it belongs. */
static size_t place_of(const struct map *map, const struct value *key, bool *found)
{
	size_t low = 0, high = map->count;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = value_compare_keys(&map->entries[middle].key, key);

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct value *map_find(const struct map *map, const struct value *key)
{
	bool found = false;
	size_t place = map != NULL ? place_of(map, key, &found) : 0;

	return found ? &map->entries[place].value : NULL;
}

const struct value *map_get(const struct map *map, const char *name, size_t len)
{
	struct value key = value_text(name, len);

	return map_find(map, &key);
}

static int grow(struct region *region, struct map *map)
{
	size_t capacity = map->capacity == 0 ? MAP_FIRST : map->capacity * 2;
	struct map_entry *entries = region_array(region, capacity, sizeof(*entries));

	if (entries == NULL)
		return -1;
	if (map->count > 0)
		memcpy(entries, map->entries, map->count * sizeof(*entries));
	map->entries = entries;
	map->capacity = capacity;
	return 0;
}

int map_set(struct region *region, struct map *map, const struct value *key,
	    const struct value *value)
{
	bool found;
	size_t place = place_of(map, key, &found);

	if (found) {
		map->entries[place].value = *value;
		return 0;
	}
	if (map->count == map->capacity && grow(region, map) < 0)
		return -1;
	memmove(&map->entries[place + 1], &map->entries[place],
		(map->count - place) * sizeof(*map->entries));
	map->entries[place] = (struct map_entry){ .key = *key, .value = *value };
	map->count++;
	return 0;
}

/* ---- from JSON ---- */

static int copy_text(struct region *region, const char *bytes, size_t len, enum value_type type,
		     struct value *ret)
{
	char *copy = region_copy(region, bytes, len);

	*ret = (struct value){ .type = type, .bytes = copy, .len = len };
	return copy != NULL ? 0 : -1;
}

static int copy_number(struct region *region, const struct json_node *node,
		       enum json_numbers numbers, struct value *ret)
{
	if (numbers == NUMBERS_AS_SPELLED)
		return copy_text(region, node->text, node->text_len, VALUE_NUMBER, ret);
	errno = 0;
	*ret = (struct value){ .type = VALUE_FLOAT64, .real = strtod(node->text, NULL) };
	return ret->real - ret->real == 0 ? 0 : -1;
}

static int copy_list(struct region *region, const struct json_node *node, enum json_numbers numbers,
		     struct value *ret)
{
	struct value *items = region_array(region, node->count + 1, sizeof(*items));
	size_t count = 0;

	if (items == NULL)
		return -1;
	for (const struct json_node *child = node->first; child != NULL; child = child->next)
		if (value_from_json(region, child, numbers, &items[count++]) < 0)
			return -1;
	*ret = (struct value){ .type = VALUE_LIST, .items = items, .count = count };
	return 0;
}

static int copy_map(struct region *region, const struct json_node *node, enum json_numbers numbers,
		    struct value *ret)
{
	struct map *map = map_new(region);
	struct value key, value;

	if (map == NULL)
		return -1;
	for (const struct json_node *child = node->first; child != NULL; child = child->next)
		if (copy_text(region, child->key, child->key_len, VALUE_STRING, &key) < 0 ||
		    value_from_json(region, child, numbers, &value) < 0 ||
		    map_set(region, map, &key, &value) < 0)
			return -1;
	*ret = (struct value){ .type = VALUE_MAP, .map = map };
	return 0;
}

int value_from_json(struct region *region, const struct json_node *node, enum json_numbers numbers,
		    struct value *ret)
{
	switch (node->type) {
	case JSON_IS_BOOL:
		*ret = value_bool(node->truth);
		return 0;
	case JSON_IS_NUMBER:
		return copy_number(region, node, numbers, ret);
	case JSON_IS_STRING:
		return copy_text(region, node->text, node->text_len, VALUE_STRING, ret);
	case JSON_IS_LIST:
		return copy_list(region, node, numbers, ret);
	case JSON_IS_MAP:
		return copy_map(region, node, numbers, ret);
	case JSON_IS_NULL:
	default:
		*ret = (struct value){ .type = VALUE_NIL };
		return 0;
	}
}

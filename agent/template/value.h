#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a template computes with: Go's types, as far as templates can see them. A number of a reply
 * is a text that keeps its spelling. Whatever a value points to lives in the render's region.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/json.h"
#include "agent/template/region.h"

enum value_type {
	VALUE_NONE, /* nothing at all, which prints as <no value> */
	VALUE_NIL,  /* a nil that was found in a map or list, which prints as <nil> */
	VALUE_BOOL,
	VALUE_INT,
	VALUE_INT64,
	VALUE_UINT8, /* a byte of a string */
	VALUE_UINT64,
	VALUE_FLOAT64,
	VALUE_STRING,
	VALUE_NUMBER,	  /* json.Number: a string that came as a number */
	VALUE_LIST,	  /* []interface {} */
	VALUE_STRINGS,	  /* []string */
	VALUE_MAP,	  /* map[string]interface {} */
	VALUE_STRING_MAP, /* map[string]string */
	VALUE_ANY_MAP,	  /* map[interface {}]interface {}: of YAML */
	VALUE_OBJECT,	  /* a pointer to one of the structs below */
	VALUE_LOOP,	  /* <-chan int64, of loop */
	VALUE_TYPES,
};

struct value;

/* A struct of Go's that templates see, and what its fields are called. */
struct object_type {
	const char *name; /* without the * */
	size_t count;
	const char *const *fields; /* NULL: they cannot be seen */
	bool by_value;		   /* the struct itself, not a pointer to it */
};

struct object {
	const struct object_type *type;
	struct value *fields;
};

struct value {
	enum value_type type;
	union {
		bool truth;
		int64_t integer;    /* INT, INT64 */
		uint64_t unsigned_; /* UINT8, UINT64 */
		double real;
		struct {		   /* STRING, NUMBER */
			const char *bytes; /* NULL only when len is 0 */
			size_t len;
		};
		struct {		     /* LIST, STRINGS */
			struct value *items; /* NULL: a nil slice */
			size_t count;
		};
		struct map *map;       /* NULL: a nil map */
		struct object *object; /* NULL: a nil pointer */
		struct {	       /* LOOP */
			int64_t next, end;
		} * loop;
	};
};

struct map_entry {
	struct value key, value;
};

/* Entries in the order in which Go visits them. */
struct map {
	struct map_entry *entries;
	size_t count, capacity;
};

#define VALUE_OF_NONE ((struct value){ .type = VALUE_NONE })

static inline struct value value_bool(bool truth)
{
	return (struct value){ .type = VALUE_BOOL, .truth = truth };
}

static inline struct value value_int(int64_t integer)
{
	return (struct value){ .type = VALUE_INT, .integer = integer };
}

static inline struct value value_text(const char *bytes, size_t len)
{
	return (struct value){ .type = VALUE_STRING, .bytes = bytes, .len = len };
}

/* How Go names the type. */
const char *value_type_name(const struct value *value);

/* What `if` makes of it. */
bool value_truth(const struct value *value);

bool value_is_text(const struct value *value); /* STRING, NUMBER */
bool value_is_list(const struct value *value); /* LIST, STRINGS */
bool value_is_map(const struct value *value);
bool value_is_nil(const struct value *value); /* NONE, NIL, and nil slices, maps and pointers */

/* Compares bytes as Go does: the shorter of two with one beginning comes first. */
int value_compare_bytes(const char *one, size_t one_len, const char *other, size_t other_len);

/* The order of keys in a map. */
int value_compare_keys(const struct value *one, const struct value *other);

struct map *map_new(struct region *region);
const struct value *map_find(const struct map *map, const struct value *key);
const struct value *map_get(const struct map *map, const char *name, size_t len);
/* Replaces the value of a key that is there. -1 without memory. */
int map_set(struct region *region, struct map *map, const struct value *key,
	    const struct value *value) MUST_USE;

/* How numbers of a JSON text are taken. */
enum json_numbers { NUMBERS_AS_SPELLED, NUMBERS_AS_FLOATS };

/* Copies a JSON value into the region. -1 without memory, or when a number is no float. */
int value_from_json(struct region *region, const struct json_node *node, enum json_numbers numbers,
		    struct value *ret) MUST_USE;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists and maps: looking for members, unfolding, counting; and the scratch pad of a render.
 */
#include <string.h>

#include "agent/template/functions.h"
#include "agent/template/number.h"
#include "agent/template/strings.h"

/* ---- in, contains ---- */

static bool is_signed(const struct value *value)
{
	return value->type == VALUE_INT || value->type == VALUE_INT64;
}

/* Texts are the same only when their types are; unsigned numbers never. */
static int is_member(struct render *render, const struct value *member, const struct value *wanted,
		     bool *ret)
{
	*ret = false;
	if (is_signed(member) && is_signed(wanted))
		*ret = member->integer == wanted->integer;
	else if (member->type == VALUE_FLOAT64 && wanted->type == VALUE_FLOAT64)
		*ret = member->real >= wanted->real && member->real <= wanted->real;
	else if (value_is_text(member) && value_is_nil(wanted) &&
		 (wanted->type == VALUE_NIL || wanted->type == VALUE_NONE))
		return render_error(render, "nothing cannot be looked for among texts");
	else if (value_is_text(member) && member->type == wanted->type)
		*ret = value_compare_keys(member, wanted) == 0;
	return 0;
}

static int is_in(struct render *render, const struct value *list, const struct value *wanted,
		 bool *ret)
{
	*ret = false;
	if (value_is_text(list)) {
		if (wanted->type == VALUE_NIL || wanted->type == VALUE_NONE)
			return render_error(render, "nothing cannot be looked for in a text");
		*ret = wanted->type == list->type && strings_find(list, wanted, 0) != SIZE_MAX;
		return 0;
	}
	for (size_t i = 0; value_is_list(list) && i < list->count && !*ret; i++)
		if (is_member(render, &list->items[i], wanted, ret) < 0)
			return -1;
	return 0;
}

static int call_in(struct render *render, const struct value *arguments, size_t count,
		   struct value *ret)
{
	bool found;

	(void)count;
	if (is_in(render, &arguments[0], &arguments[1], &found) < 0)
		return -1;
	*ret = value_bool(found);
	return 0;
}

static int call_contains(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	const struct value turned[] = { arguments[1], arguments[0] };

	return call_in(render, turned, count, ret);
}

/* The answer is `found` as soon as one of the wanted is there, or (`absent`) is not. */
static int some(struct render *render, const struct value *arguments, bool absent, bool at_end,
		struct value *ret)
{
	const struct value *wanted = &arguments[0];
	bool found;

	for (size_t i = 0; i < wanted->count; i++) {
		if (is_in(render, &arguments[1], &wanted->items[i], &found) < 0)
			return -1;
		if (found != absent) {
			*ret = value_bool(!at_end);
			return 0;
		}
	}
	*ret = value_bool(at_end);
	return 0;
}

static int call_contains_all(struct render *render, const struct value *arguments, size_t count,
			     struct value *ret)
{
	(void)count;
	return some(render, arguments, true, true, ret);
}

static int call_contains_any(struct render *render, const struct value *arguments, size_t count,
			     struct value *ret)
{
	(void)count;
	return some(render, arguments, false, false, ret);
}

static int call_contains_none(struct render *render, const struct value *arguments, size_t count,
			      struct value *ret)
{
	(void)count;
	return some(render, arguments, false, true, ret);
}

static int call_contains_not_all(struct render *render, const struct value *arguments, size_t count,
				 struct value *ret)
{
	(void)count;
	return some(render, arguments, true, false, ret);
}

/* ---- explodeMap ---- */

static int put_path(struct render *render, struct map *map, struct value path,
		    const struct value *value)
{
	const char *slash;

	while ((slash = path.len > 0 ? memchr(path.bytes, '/', path.len) : NULL) != NULL) {
		struct value top = value_text(path.bytes, (size_t)(slash - path.bytes));
		const struct value *found = map_find(map, &top);
		struct value fresh = { .type = VALUE_MAP };

		if (found == NULL) {
			fresh.map = map_new(&render->values);
			if (fresh.map == NULL || map_set(&render->values, map, &top, &fresh) < 0)
				return render_no_memory(render);
			found = &fresh;
		}
		if (found->type != VALUE_MAP || found->map == NULL)
			return render_error(render, "a key is the beginning of another one");
		map = found->map;
		path = value_text(slash + 1, path.len - top.len - 1);
	}
	if (path.len > 0 && map_set(&render->values, map, &path, value) < 0)
		return render_no_memory(render);
	return 0;
}

/* {"a/b": 1} is {"a": {"b": 1}}. */
static int call_explode_map(struct render *render, const struct value *arguments, size_t count,
			    struct value *ret)
{
	const struct map *from = arguments[0].map;
	struct map *map = map_new(&render->values);

	(void)count;
	if (map == NULL)
		return render_no_memory(render);
	for (size_t i = 0; from != NULL && i < from->count; i++)
		if (put_path(render, map, from->entries[i].key, &from->entries[i].value) < 0)
			return -1;
	*ret = (struct value){ .type = VALUE_MAP, .map = map };
	return 0;
}

/* ---- loop ---- */

static int read_bound(struct render *render, const struct value *value, int64_t *ret)
{
	if (is_signed(value)) {
		*ret = value->integer;
		return 0;
	}
	if (value->type == VALUE_UINT64 || value->type == VALUE_UINT8) {
		*ret = (int64_t)value->unsigned_;
		return 0;
	}
	*ret = 0;
	if (value_is_text(value) &&
	    (value->len == 0 || number_read_integer(value->bytes, value->len, 10, ret)))
		return 0;
	return render_error(render, "%s is no integer", value_type_name(value));
}

static int call_loop(struct render *render, const struct value *arguments, size_t count,
		     struct value *ret)
{
	*ret = (struct value){ .type = VALUE_LOOP };
	ret->loop = region_alloc(&render->values, sizeof(*ret->loop));
	if (ret->loop == NULL)
		return render_no_memory(render);
	if (count < 1 || count > 2)
		return render_error(render, "it takes one or two arguments");
	if (count == 2 && read_bound(render, &arguments[0], &ret->loop->next) < 0)
		return -1;
	return read_bound(render, &arguments[count - 1], &ret->loop->end);
}

/* ---- scratch ---- */

static const struct object_type scratch_type = { .name = "template.Scratch",
						 .count = 0,
						 .fields = NULL };

static int call_scratch(struct render *render, const struct value *arguments, size_t count,
			struct value *ret)
{
	struct object *object = region_alloc(&render->values, sizeof(*object));

	(void)arguments;
	(void)count;
	if (render->scratch == NULL)
		render->scratch = map_new(&render->values);
	if (object == NULL || render->scratch == NULL)
		return render_no_memory(render);
	object->type = &scratch_type;
	*ret = (struct value){ .type = VALUE_OBJECT, .object = object };
	return 0;
}

static int scratch_key(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	(void)count;
	*ret = value_bool(map_find(render->scratch, &arguments[1]) != NULL);
	return 0;
}

static int scratch_get(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	const struct value *found = map_find(render->scratch, &arguments[1]);

	(void)count;
	*ret = found != NULL ? *found : (struct value){ .type = VALUE_NIL };
	return 0;
}

static int put(struct render *render, struct map *map, const struct value *key,
	       const struct value *value, bool replace, struct value *ret)
{
	*ret = value_text("", 0);
	if (!replace && map_find(map, key) != NULL)
		return 0;
	return map_set(&render->values, map, key, value) < 0 ? render_no_memory(render) : 0;
}

static int scratch_set(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	(void)count;
	return put(render, render->scratch, &arguments[1], &arguments[2], true, ret);
}

static int scratch_set_new(struct render *render, const struct value *arguments, size_t count,
			   struct value *ret)
{
	(void)count;
	return put(render, render->scratch, &arguments[1], &arguments[2], false, ret);
}

static int set_in_map(struct render *render, const struct value *arguments, bool replace,
		      struct value *ret)
{
	const struct value *found = map_find(render->scratch, &arguments[1]);
	struct value fresh = { .type = VALUE_MAP };

	if (found == NULL) {
		fresh.map = map_new(&render->values);
		if (fresh.map == NULL ||
		    map_set(&render->values, render->scratch, &arguments[1], &fresh) < 0)
			return render_no_memory(render);
		found = &fresh;
	}
	if (found->type != VALUE_MAP || found->map == NULL)
		return render_error(render, "what is stored there is no map");
	return put(render, found->map, &arguments[2], &arguments[3], replace, ret);
}

static int scratch_map_set(struct render *render, const struct value *arguments, size_t count,
			   struct value *ret)
{
	(void)count;
	return set_in_map(render, arguments, true, ret);
}

static int scratch_map_set_new(struct render *render, const struct value *arguments, size_t count,
			       struct value *ret)
{
	(void)count;
	return set_in_map(render, arguments, false, ret);
}

static int scratch_map_values(struct render *render, const struct value *arguments, size_t count,
			      struct value *ret)
{
	const struct value *found = map_find(render->scratch, &arguments[1]);

	(void)count;
	*ret = (struct value){ .type = VALUE_LIST };
	if (found == NULL || found->type != VALUE_MAP || found->map == NULL)
		return 0;
	ret->items = region_array(&render->values, found->map->count + 1, sizeof(*ret->items));
	if (ret->items == NULL)
		return render_no_memory(render);
	for (size_t i = 0; i < found->map->count; i++)
		ret->items[ret->count++] = found->map->entries[i].value;
	return 0;
}

static const struct template_function scratch_methods[] = {
	{ "Get", "vs", scratch_get },
	{ "Key", "vs", scratch_key },
	{ "MapSet", "vssa", scratch_map_set },
	{ "MapSetX", "vssa", scratch_map_set_new },
	{ "MapValues", "vs", scratch_map_values },
	{ "Set", "vsa", scratch_set },
	{ "SetX", "vsa", scratch_set_new },
	{ 0 },
};

/* ---- methods of a number ---- */

static int number_string(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	(void)render;
	(void)count;
	*ret = value_text(arguments[0].bytes, arguments[0].len);
	return 0;
}

static int number_integer(struct render *render, const struct value *arguments, size_t count,
			  struct value *ret)
{
	(void)count;
	*ret = (struct value){ .type = VALUE_INT64 };
	if (number_read_integer(arguments[0].bytes, arguments[0].len, 10, &ret->integer))
		return 0;
	return render_error(render, "the number is no int64");
}

static int number_real(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	(void)count;
	*ret = (struct value){ .type = VALUE_FLOAT64 };
	if (number_read_real(arguments[0].bytes, arguments[0].len, &ret->real))
		return 0;
	return render_error(render, "the number is no float64");
}

static const struct template_function number_methods[] = {
	{ "Float64", "v", number_real },
	{ "Int64", "v", number_integer },
	{ "String", "v", number_string },
	{ 0 },
};

const struct template_function *function_method(const struct value *value, const char *name,
						size_t len)
{
	const struct template_function *methods = NULL;

	if (value->type == VALUE_NUMBER)
		methods = number_methods;
	else if (value->type == VALUE_OBJECT && value->object != NULL &&
		 value->object->type == &scratch_type)
		methods = scratch_methods;
	else if (functions_is_pem(value))
		methods = methods_pem;
	for (; methods != NULL && methods->name != NULL; methods++)
		if (strlen(methods->name) == len && memcmp(methods->name, name, len) == 0)
			return methods;
	return NULL;
}

const struct template_function functions_collection[] = {
	{ "contains", "aa", call_contains },
	{ "containsAll", "la", call_contains_all },
	{ "containsAny", "la", call_contains_any },
	{ "containsNone", "la", call_contains_none },
	{ "containsNotAll", "la", call_contains_not_all },
	{ "explodeMap", "m", call_explode_map },
	{ "in", "aa", call_in },
	{ "loop", "a*", call_loop },
	{ "scratch", "", call_scratch },
	{ 0 },
};

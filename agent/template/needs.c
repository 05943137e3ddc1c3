/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/template/needs.h"

#include <stdlib.h>
#include <string.h>

#include "agent/template/strings.h"

int needs_path(struct render *render, const struct value *argument, const char **ret)
{
	struct value path = strings_trim_space(argument);
	char *copy;

	while (path.len > 0 && path.bytes[0] == '/') {
		path.bytes++;
		path.len--;
	}
	while (path.len > 0 && path.bytes[path.len - 1] == '/')
		path.len--;
	if (path.len == 0)
		return render_error(render, "the path is empty");
	copy = region_copy(&render->values, path.bytes, path.len);
	if (copy == NULL)
		return render_no_memory(render);
	if (strlen(copy) != path.len)
		return render_error(render, "the path has a NUL in it");
	*ret = copy;
	return 0;
}

/* "k=v", both without the white space around them. */
static int read_pair(struct render *render, const struct value *argument, struct template_pair *ret)
{
	const char *equals = memchr(argument->bytes, '=', argument->len);
	struct value name, value;

	if (equals == NULL)
		return render_error(render, "an argument behind the path is not of the form k=v");
	name = value_text(argument->bytes, (size_t)(equals - argument->bytes));
	value = value_text(equals + 1, argument->len - name.len - 1);
	name = strings_trim_space(&name);
	value = strings_trim_space(&value);
	ret->name = region_copy(&render->values, name.bytes, name.len);
	ret->value = region_copy(&render->values, value.bytes, value.len);
	ret->value_len = value.len;
	return ret->name != NULL && ret->value != NULL ? 0 : render_no_memory(render);
}

static int compare_pairs(const void *one, const void *other)
{
	return strcmp(((const struct template_pair *)one)->name,
		      ((const struct template_pair *)other)->name);
}

/* The pairs in the order of their names; of two with one name the last counts. */
int needs_pairs(struct render *render, const struct value *arguments, size_t count,
		struct template_need *need)
{
	struct template_pair *pairs = region_array(&render->values, count + 1, sizeof(*pairs));
	struct template_pair pair;
	size_t used = 0;

	if (pairs == NULL)
		return render_no_memory(render);
	for (size_t i = 0; i < count; i++) {
		size_t place = 0;

		if (arguments[i].len == 0)
			continue;
		if (read_pair(render, &arguments[i], &pair) < 0)
			return -1;
		while (place < used && strcmp(pairs[place].name, pair.name) != 0)
			place++;
		pairs[place] = pair;
		used += place == used ? 1 : 0;
	}
	qsort(pairs, used, sizeof(*pairs), compare_pairs);
	need->pairs = pairs;
	need->pair_count = used;
	return 0;
}

/* 1 when the answer is there. */
int needs_ask(struct render *render, const struct template_need *need,
	      struct template_answer *answer)
{
	int there = render->source->lookup(render->source, need, answer, render->err);

	if (there == 0)
		render->waiting++;
	if (there < 0)
		render->refused = true;
	return there;
}

int needs_object(struct render *render, const struct object_type *type, struct value *ret)
{
	struct object *object = region_alloc(&render->values, sizeof(*object));

	if (object == NULL)
		return render_no_memory(render);
	object->type = type;
	object->fields = region_array(&render->values, type->count, sizeof(*object->fields));
	if (object->fields == NULL)
		return render_no_memory(render);
	*ret = (struct value){ .type = VALUE_OBJECT, .object = object };
	return 0;
}

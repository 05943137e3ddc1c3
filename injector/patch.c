/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The difference walks both documents at once. Items of lists have no names of their own in JSON,
 * but those of Kubernetes do: two maps with the same `name` are one item that changed, so that a
 * mount more does not replace a container.
 */
#include "injector/patch.h"

#include <string.h>

#include "agent/base/text.h"

enum { PATH_LENGTH_MAX = 1 << 20 };

struct difference {
	struct buf path;
	struct buf *out;
	bool any;
};

static void write_token(struct buf *path, const char *token, size_t len)
{
	buf_putc(path, '/');
	for (size_t i = 0; i < len; i++) {
		if (token[i] == '~')
			buf_puts(path, "~0");
		else if (token[i] == '/')
			buf_puts(path, "~1");
		else
			buf_putc(path, token[i]);
	}
}

static void write_operation(struct difference *difference, const char *name,
			    const struct json_node *value)
{
	struct buf *out = difference->out;

	buf_printf(out, "%s{\"op\":\"%s\",\"path\":", difference->any ? "," : "", name);
	text_write_json(out, buf_string(&difference->path), difference->path.len);
	if (value != NULL) {
		buf_puts(out, ",\"value\":");
		json_write(out, value);
	}
	buf_putc(out, '}');
	difference->any = true;
}

static void compare(struct difference *difference, const struct json_node *before,
		    const struct json_node *after);

/* Mostly both have the same members in the same order: then no search is needed. */
static const struct json_node *find_beside(const struct json_node *map,
					   const struct json_node **beside,
					   const struct json_node *wanted)
{
	const struct json_node *node = *beside;

	if (node == NULL || node->key_len != wanted->key_len ||
	    memcmp(node->key, wanted->key, wanted->key_len) != 0)
		node = json_get_bytes(map, wanted->key, wanted->key_len);
	if (node != NULL)
		*beside = node->next;
	return node;
}

static void compare_maps(struct difference *difference, const struct json_node *before,
			 const struct json_node *after)
{
	size_t level = difference->path.len;
	const struct json_node *other, *beside = after->first;

	for (const struct json_node *old = before->first; old != NULL; old = old->next) {
		if (find_beside(after, &beside, old) != NULL)
			continue;
		write_token(&difference->path, old->key, old->key_len);
		write_operation(difference, "remove", NULL);
		buf_truncate(&difference->path, level);
	}
	beside = before->first;
	for (const struct json_node *new = after->first; new != NULL; new = new->next) {
		other = find_beside(before, &beside, new);
		write_token(&difference->path, new->key, new->key_len);
		if (other == NULL)
			write_operation(difference, "add", new);
		else
			compare(difference, other, new);
		buf_truncate(&difference->path, level);
	}
}

/* Are these two one item, before and after? */
static bool is_kin(const struct json_node *one, const struct json_node *other)
{
	const struct json_node *name = json_get(one, "name"), *other_name = json_get(other, "name");

	if (json_is_shared(one, other))
		return true;
	if (name != NULL && other_name != NULL)
		return json_equal(name, other_name);
	return json_equal(one, other);
}

static bool is_kin_of_any(const struct json_node *one, const struct json_node *others)
{
	for (; others != NULL; others = others->next)
		if (is_kin(one, others))
			return true;
	return false;
}

static void compare_lists(struct difference *difference, const struct json_node *before,
			  const struct json_node *after)
{
	const struct json_node *old = before->first, *new = after->first;
	size_t level = difference->path.len, index = 0;

	while (old != NULL || new != NULL) {
		bool end = old == NULL && index > 0;

		if (end)
			buf_puts(&difference->path, "/-");
		else
			buf_printf(&difference->path, "/%zu", index);
		if (old != NULL && new != NULL && is_kin(old, new)) {
			compare(difference, old, new);
			old = old->next;
			new = new->next;
			index++;
		} else if (old == NULL || is_kin_of_any(old, new)) {
			write_operation(difference, "add", new);
			new = new->next;
			index++;
		} else {
			write_operation(difference, "remove", NULL);
			old = old->next;
		}
		buf_truncate(&difference->path, level);
	}
}

static void compare(struct difference *difference, const struct json_node *before,
		    const struct json_node *after)
{
	if (json_is_shared(before, after))
		return;
	if (before->type == JSON_IS_MAP && after->type == JSON_IS_MAP)
		compare_maps(difference, before, after);
	else if (before->type == JSON_IS_LIST && after->type == JSON_IS_LIST)
		compare_lists(difference, before, after);
	else if (!json_equal(before, after))
		write_operation(difference, "replace", after);
}

void patch_write(const struct json_node *before, const struct json_node *after, struct buf *out)
{
	struct difference difference = { .path = BUF_INIT(PATH_LENGTH_MAX), .out = out };

	buf_putc(out, '[');
	compare(&difference, before, after);
	buf_putc(out, ']');
	out->failed = out->failed || difference.path.failed;
	buf_deinit(&difference.path);
}

/* ---- application ---- */

/* One document being changed, and a place in it. */
struct target {
	struct json_edit *edit;
	struct json_node *root;
	struct error *err;
};

struct place {
	struct json_node *parent; /* open; NULL: the whole document */
	struct json_node *child;  /* NULL: nothing there */
	struct buf token;	  /* the last one, decoded */
	size_t index;		  /* in a list; count: behind the last */
};

static void place_deinit(struct place *place)
{
	buf_deinit(&place->token);
}

static int fail(const struct target *target, const char *path, const char *what)
{
	return error_set(target->err, ERROR_INVALID, "path '%.200s': %s", path, what);
}

/* "~0" and "~1" decoded; the rest of the path, or NULL with an error. A key may hold NUL; behind
 * the path's end there is one too. */
static const char *read_token(const struct target *target, const struct json_node *pointer,
			      const char *at, struct buf *token)
{
	const char *path = pointer->text, *end = path + pointer->text_len;

	buf_reset(token);
	for (at++; at < end && *at != '/'; at++) {
		if (*at != '~') {
			buf_putc(token, *at);
			continue;
		}
		at++;
		if (*at != '0' && *at != '1') {
			(void)fail(target, path, "a ~ is followed by neither 0 nor 1");
			return NULL;
		}
		buf_putc(token, *at == '0' ? '~' : '/');
	}
	return buf_check(token, "a patch's path", target->err) < 0 ? NULL : at;
}

/* "0", "17", never "01" or "-1"; "-" is behind the last. */
static bool read_index(const struct buf *token, size_t count, size_t *ret)
{
	const char *text = buf_string(token);
	uint64_t index;
	struct error ignored;

	if (strcmp(text, "-") == 0) {
		*ret = count;
		return true;
	}
	if (strlen(text) != token->len || (text[0] == '0' && text[1] != '\0') ||
	    text_read_unsigned(text, count, &index, &ignored) < 0)
		return false;
	*ret = (size_t)index;
	return true;
}

static struct json_node *own(const struct json_node *node)
{
	/* A child of an open node is ours. */
	return (struct json_node *)(uintptr_t)node;
}

static int step(const struct target *target, const char *path, struct place *place)
{
	struct json_node *parent = place->parent;

	if (parent == NULL || (parent->type != JSON_IS_MAP && parent->type != JSON_IS_LIST))
		return fail(target, path, "there is neither a map nor a list to look into");
	json_open(target->edit, parent);
	if (parent->type == JSON_IS_MAP) {
		place->child =
			own(json_get_bytes(parent, buf_string(&place->token), place->token.len));
		return 0;
	}
	if (!read_index(&place->token, parent->count, &place->index))
		return fail(target, path, "no such place in a list");
	place->child = own(json_item(parent, place->index));
	return 0;
}

static int find(const struct target *target, const struct json_node *pointer, struct place *ret)
{
	const char *path, *at, *end;

	if (pointer == NULL || pointer->type != JSON_IS_STRING ||
	    (pointer->text_len > 0 && pointer->text[0] != '/'))
		return error_set(target->err, ERROR_INVALID,
				 "a path is missing, or does not start with /");
	path = pointer->text;
	end = path + pointer->text_len;
	ret->child = target->root;
	for (at = path; at < end;) {
		ret->parent = ret->child;
		at = read_token(target, pointer, at, &ret->token);
		if (at == NULL || step(target, path, ret) < 0)
			return -1;
		if (ret->child == NULL && at < end)
			return fail(target, path, "a parent of it is missing");
	}
	return target->edit->failed ? error_no_memory(target->err) : 0;
}

static int find_existing(const struct target *target, const struct json_node *pointer,
			 struct place *ret)
{
	if (find(target, pointer, ret) < 0)
		return -1;
	return ret->child != NULL ? 0 : fail(target, pointer->text, "there is nothing");
}

static void put(struct target *target, struct place *place, struct json_node *value)
{
	if (place->parent == NULL)
		target->root = value;
	else if (place->parent->type == JSON_IS_MAP)
		json_put_bytes(target->edit, place->parent, buf_string(&place->token),
			       place->token.len, value);
	else
		json_insert(place->parent, place->index, value);
}

static int add_at(struct target *target, const struct json_node *pointer, struct json_node *value)
{
	AUTO(place_deinit) struct place place = { .token = BUF_INIT(PATH_LENGTH_MAX) };

	if (find(target, pointer, &place) < 0)
		return -1;
	put(target, &place, value);
	return 0;
}

static int need_value(const struct target *target, const struct json_node *operation,
		      struct json_node **ret)
{
	const struct json_node *value = json_get(operation, "value");

	if (value == NULL)
		return error_set(target->err, ERROR_INVALID, "there is no value");
	*ret = json_clone(target->edit, value);
	return 0;
}

static int apply_add(struct target *target, const struct json_node *operation)
{
	struct json_node *value = NULL;

	if (need_value(target, operation, &value) < 0)
		return -1;
	return add_at(target, json_get(operation, "path"), value);
}

static int take(struct target *target, const struct json_node *pointer, struct json_node **ret)
{
	AUTO(place_deinit) struct place place = { .token = BUF_INIT(PATH_LENGTH_MAX) };

	if (find_existing(target, pointer, &place) < 0)
		return -1;
	if (place.parent == NULL)
		return fail(target, pointer->text, "the whole document cannot be removed");
	json_remove(place.parent, place.child);
	*ret = place.child;
	return 0;
}

static int apply_remove(struct target *target, const struct json_node *operation)
{
	struct json_node *ignored;

	return take(target, json_get(operation, "path"), &ignored);
}

static int apply_replace(struct target *target, const struct json_node *operation)
{
	AUTO(place_deinit) struct place place = { .token = BUF_INIT(PATH_LENGTH_MAX) };
	struct json_node *value = NULL;

	if (need_value(target, operation, &value) < 0 ||
	    find_existing(target, json_get(operation, "path"), &place) < 0)
		return -1;
	if (place.parent != NULL && place.parent->type == JSON_IS_LIST)
		json_remove(place.parent, place.child);
	put(target, &place, value);
	return 0;
}

static int apply_test(struct target *target, const struct json_node *operation)
{
	AUTO(place_deinit) struct place place = { .token = BUF_INIT(PATH_LENGTH_MAX) };
	struct json_node *value = NULL;

	if (need_value(target, operation, &value) < 0 ||
	    find_existing(target, json_get(operation, "path"), &place) < 0)
		return -1;
	if (value == NULL || !json_equal(place.child, value))
		return error_set(target->err, ERROR_INVALID, "the value is another one");
	return 0;
}

static int apply_copy(struct target *target, const struct json_node *operation)
{
	AUTO(place_deinit) struct place from = { .token = BUF_INIT(PATH_LENGTH_MAX) };
	struct json_node *value;

	if (find_existing(target, json_get(operation, "from"), &from) < 0)
		return -1;
	value = json_clone(target->edit, from.child);
	return add_at(target, json_get(operation, "path"), value);
}

static bool leads_through(const struct json_node *path, const struct json_node *from)
{
	return path != NULL && from != NULL && path->type == JSON_IS_STRING &&
	       from->type == JSON_IS_STRING && path->text_len >= from->text_len &&
	       memcmp(path->text, from->text, from->text_len) == 0;
}

static int apply_move(struct target *target, const struct json_node *operation)
{
	const struct json_node *from = json_get(operation, "from");
	const struct json_node *path = json_get(operation, "path");
	struct json_node *value;

	if (leads_through(path, from) && path->text_len == from->text_len) {
		AUTO(place_deinit) struct place place = { .token = BUF_INIT(PATH_LENGTH_MAX) };

		return find_existing(target, from, &place);
	}
	if (leads_through(path, from) && path->text[from->text_len] == '/')
		return fail(target, path->text, "it cannot be moved into itself");
	if (take(target, from, &value) < 0)
		return -1;
	return add_at(target, path, value);
}

static const struct {
	const char *name;
	int (*apply)(struct target *target, const struct json_node *operation);
} operations[] = {
	{ "add", apply_add },	{ "remove", apply_remove }, { "replace", apply_replace },
	{ "test", apply_test }, { "copy", apply_copy },	    { "move", apply_move },
};

static int apply(struct target *target, const struct json_node *operation)
{
	const char *name = json_string(json_get(operation, "op"));

	for (size_t i = 0; name != NULL && i < ARRAY_SIZE(operations); i++)
		if (strcmp(operations[i].name, name) == 0)
			return operations[i].apply(target, operation);
	return error_set(target->err, ERROR_INVALID,
			 "an operation is one of add, remove, replace, test, copy, move");
}

const struct json_node *patch_apply(struct json_edit *edit, const struct json_node *document,
				    const struct json_node *patch, struct error *err)
{
	struct target target = { .edit = edit, .root = json_clone(edit, document), .err = err };
	size_t number = 0;

	if (patch->type != JSON_IS_LIST) {
		(void)error_set(err, ERROR_INVALID, "a patch is a list of operations");
		return NULL;
	}
	for (const struct json_node *op = patch->first; op != NULL; op = op->next) {
		if (apply(&target, op) < 0) {
			/* Want of memory shows as something that is not there. */
			if (edit->failed)
				(void)error_no_memory(err);
			(void)error_wrap(err, "operation %zu of the patch", number);
			return NULL;
		}
		number++;
	}
	return json_edit_check(edit, err) < 0 ? NULL : target.root;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/problems.h"

enum { KEYS_MAX = 64, JSON_MAX = 1 << 20 };

void reader_problem(struct reader *reader, struct yaml_mark mark, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	/* A terminal obeys some of them, and a line of a problem is one line. */
	for (char *at = text; at != NULL && *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == '\x7f')
			*at = '?';
	reader->failed = true;
	config_problems_add(reader->problems, reader->file, mark.line, mark.column, text);
}

struct yaml_doc *reader_document(struct reader *reader, const char *bytes, size_t len)
{
	struct yaml_limits limits = YAML_CONFIG_LIMITS;
	struct yaml_mark where = { 0 };
	struct yaml_doc *doc;
	struct error err;

	limits.collect_repeated = true;
	doc = yaml_doc_read(bytes, len, &limits, &where, &err);
	if (doc == NULL) {
		reader_problem(reader, where, "%s", err.text);
		return NULL;
	}
	for (const struct yaml_node *node = yaml_doc_repeated(doc); node != NULL;
	     node = node->next_repeated)
		reader_problem(reader, node->key_mark, "the key '%.60s' is there twice", node->key);
	reader->root = yaml_doc_root(doc);
	return doc;
}

const char *reader_where(char where[WHERE_MAX], const char *parent, const char *name)
{
	(void)snprintf(where, WHERE_MAX, "%s%s%s", parent, parent[0] != '\0' ? "." : "", name);
	return where;
}

const char *reader_hint_of(char hint[WHERE_MAX], const char *nearest)
{
	hint[0] = '\0';
	if (nearest != NULL)
		(void)snprintf(hint, WHERE_MAX, " (did you mean '%s'?)", nearest);
	return hint;
}

const char *reader_hint(char hint[WHERE_MAX], const char *word, const struct yaml_node *map)
{
	const struct yaml_node *child = map != NULL ? map->first : NULL;
	AUTO(freep) const char **names = NULL;
	size_t count = 0;

	hint[0] = '\0';
	if (map == NULL || map->type != YAML_IS_MAP)
		return hint;
	names = calloc(map->count + 1, sizeof(*names));
	if (names == NULL)
		return hint;
	for (; child != NULL; child = child->next)
		names[count++] = child->key;
	return reader_hint_of(hint, text_nearest(word, names));
}

static bool is_null(const struct yaml_node *node)
{
	return node == NULL || (node->type == YAML_IS_SCALAR && node->core == YAML_CORE_NULL);
}

static const char *type_name(enum yaml_type type)
{
	static const char *const names[] = { "a single value", "a list", "a map" };

	return names[type];
}

const struct yaml_node *reader_expect(struct reader *reader, const struct yaml_node *node,
				      enum yaml_type type, const char *where)
{
	if (is_null(node))
		return NULL;
	if (node->type == type)
		return node;
	reader_problem(reader, node->mark, "%s must be %s, not %s", where, type_name(type),
		       type_name(node->type));
	return NULL;
}

const char *reader_scalar(struct reader *reader, const struct yaml_node *node, const char *where)
{
	if (is_null(node)) {
		reader_problem(reader, node->mark, "%s has no value", where);
		return NULL;
	}
	if (reader_expect(reader, node, YAML_IS_SCALAR, where) == NULL)
		return NULL;
	if (strlen(node->text) != node->text_len) {
		reader_problem(reader, node->mark, "%s holds a NUL character", where);
		return NULL;
	}
	return node->text;
}

void *reader_grow(struct reader *reader, void *array, size_t *count, size_t size)
{
	char *grown = reallocarray(array, *count + 1, size);

	if (grown == NULL) {
		reader_problem(reader, (struct yaml_mark){ 0 }, "out of memory");
		return NULL;
	}
	memset(grown + *count * size, 0, size);
	(*count)++;
	return grown;
}

char *reader_copy(struct reader *reader, const char *text)
{
	char *copy = text != NULL ? strdup(text) : NULL;

	if (copy == NULL && text != NULL)
		reader_problem(reader, (struct yaml_mark){ 0 }, "out of memory");
	return copy;
}

char *reader_resolve(struct reader *reader, char *path)
{
	char *resolved = NULL;

	if (path == NULL || path[0] == '/' || reader->directory[0] == '\0')
		return path;
	if (asprintf(&resolved, "%s/%s", reader->directory, path) < 0) {
		reader_problem(reader, (struct yaml_mark){ 0 }, "out of memory");
		return path;
	}
	free(path);
	return resolved;
}

/* JSON's grammar of numbers is narrower than YAML's: no 0x1f, no .5, no +1, no .inf. */
static bool is_json_number(const char *text)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	size_t len = strspn(digits, "0123456789");

	if (len == 0 || (len > 1 && digits[0] == '0'))
		return false;
	digits += len;
	if (digits[0] == '.') {
		len = strspn(digits + 1, "0123456789");
		if (len == 0)
			return false;
		digits += len + 1;
	}
	if (digits[0] == 'e' || digits[0] == 'E') {
		digits += digits[1] == '+' || digits[1] == '-' ? 2 : 1;
		len = strspn(digits, "0123456789");
		if (len == 0)
			return false;
		digits += len;
	}
	return digits[0] == '\0';
}

static void write_json_scalar(struct reader *reader, struct buf *out, const struct yaml_node *node,
			      const char *where)
{
	switch (node->core) {
	case YAML_CORE_NULL:
		buf_puts(out, "null");
		return;
	case YAML_CORE_BOOL:
		buf_puts(out, node->text[0] == 't' || node->text[0] == 'T' ? "true" : "false");
		return;
	case YAML_CORE_INT:
	case YAML_CORE_FLOAT:
		if (!is_json_number(node->text))
			reader_problem(
				reader, node->mark,
				"%s: JSON has no number '%.40s': write it in decimal, or in quotes",
				where, node->text);
		buf_puts(out, node->text);
		return;
	case YAML_CORE_STRING:
		text_write_json(out, node->text, node->text_len);
		return;
	}
}

static void write_json(struct reader *reader, struct buf *out, const struct yaml_node *node,
		       const char *where)
{
	const struct yaml_node *child = node->first;

	if (node->type == YAML_IS_SCALAR) {
		write_json_scalar(reader, out, node, where);
		return;
	}
	buf_putc(out, node->type == YAML_IS_MAP ? '{' : '[');
	for (; child != NULL; child = child->next) {
		if (node->type == YAML_IS_MAP) {
			text_write_json(out, child->key, strlen(child->key));
			buf_putc(out, ':');
		}
		write_json(reader, out, child, where);
		if (child->next != NULL)
			buf_putc(out, ',');
	}
	buf_putc(out, node->type == YAML_IS_MAP ? '}' : ']');
}

static void read_json(struct reader *reader, const struct yaml_node *node, const char *where,
		      char **target)
{
	AUTO(buf_deinit) struct buf json = BUF_INIT(JSON_MAX);
	struct error err;

	if (is_null(node)) {
		reader_problem(reader, node->mark, "%s has no value", where);
		return;
	}
	if (reader_expect(reader, node, YAML_IS_MAP, where) == NULL)
		return;
	write_json(reader, &json, node, where);
	if (buf_check(&json, where, &err) < 0) {
		reader_problem(reader, node->mark, "%s", err.text);
		return;
	}
	free(*target);
	*target = reader_copy(reader, buf_string(&json));
}

static void read_strings(struct reader *reader, const struct yaml_node *node, const char *where,
			 struct strings *target)
{
	const struct yaml_node *item = node->type == YAML_IS_LIST ? node->first : node;
	const char *text;
	struct error err;

	strings_free(target);
	*target = (struct strings){ 0 };
	if (node->type == YAML_IS_LIST && item == NULL)
		reader_problem(reader, node->mark, "%s is an empty list", where);
	for (; item != NULL; item = node->type == YAML_IS_LIST ? item->next : NULL) {
		text = reader_scalar(reader, item, where);
		if (text != NULL && strings_add(target, text, &err) < 0)
			reader_problem(reader, item->mark, "%s: %s", where, err.text);
	}
}

static void read_scalar(struct reader *reader, const struct yaml_node *node, const char *where,
			const struct option *option, void *target, void *object)
{
	const char *text = reader_scalar(reader, node, where);
	struct error err;

	if (text == NULL)
		return;
	if (option->type == OPTION_MODE && !node->quoted) {
		reader_problem(
			reader, node->mark,
			"%s: YAML reads a plain %.20s as a number: write the mode in quotes, "
			"as in \"0440\"",
			where, text);
		return;
	}
	if (option_read(option, object, text, &err) < 0) {
		reader_problem(reader, node->mark, "%s: %s", where, err.text);
		return;
	}
	if (option->type == OPTION_PATH)
		*(char **)target = reader_resolve(reader, *(char **)target);
}

static void read_keys(struct reader *reader, const struct yaml_node *node, const char *where,
		      const struct reader_part *parts, size_t count, const char *const *nested);

static void read_value(struct reader *reader, const struct yaml_node *node, const char *parent,
		       const struct option *option, const struct reader_part *part)
{
	struct reader_part table = { .table = option->members };
	void *target = (char *)part->object + option->offset;
	char where[WHERE_MAX];

	(void)reader_where(where, parent, option->name);
	switch (option->type) {
	case OPTION_STRING:
	case OPTION_PATH:
	case OPTION_BOOL:
	case OPTION_DURATION:
	case OPTION_SIZE:
	case OPTION_MODE:
	case OPTION_UNSIGNED:
	case OPTION_ID:
	case OPTION_CHOICE:
		read_scalar(reader, node, where, option, target, part->object);
		return;
	case OPTION_STRINGS:
		read_strings(reader, node, where, target);
		return;
	case OPTION_JSON:
		read_json(reader, node, where, target);
		return;
	case OPTION_TABLE:
		table.object = target;
		read_keys(reader, node, where, &table, 1, NULL);
		return;
	}
}

static bool is_among(const char *const *names, const char *name)
{
	for (size_t i = 0; names != NULL && names[i] != NULL; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static const char *nearest_key(const char *key, const struct reader_part *parts, size_t count,
			       const char *const *nested)
{
	const char *names[KEYS_MAX + 1] = { NULL };
	size_t known = 0;

	for (size_t i = 0; i < count; i++)
		for (const struct option *row = parts[i].table; row->name != NULL; row++)
			if (known < KEYS_MAX)
				names[known++] = row->name;
	for (size_t i = 0; nested != NULL && nested[i] != NULL && known < KEYS_MAX; i++)
		names[known++] = nested[i];
	return text_nearest(key, names);
}

static void read_key(struct reader *reader, const struct yaml_node *node, const char *where,
		     const struct reader_part *parts, size_t count, const char *const *nested)
{
	const struct option *option;
	char hint[WHERE_MAX];

	for (size_t i = 0; i < count; i++) {
		option = option_find(parts[i].table, node->key);
		if (option != NULL) {
			read_value(reader, node, where, option, &parts[i]);
			return;
		}
	}
	if (!is_among(nested, node->key))
		reader_problem(reader, node->key_mark, "unknown key '%.80s'%s%s%s", node->key,
			       where[0] != '\0' ? " in " : "", where,
			       reader_hint_of(hint, nearest_key(node->key, parts, count, nested)));
}

/* A key that is there under a name that was told to be a misspelling of it is not told to be
 * missing too. */
static bool is_given(const struct yaml_node *map, const char *name, const struct reader_part *parts,
		     size_t count, const char *const *nested)
{
	const char *nearest;

	for (const struct yaml_node *child = map != NULL ? map->first : NULL; child != NULL;
	     child = child->next) {
		nearest = nearest_key(child->key, parts, count, nested);
		if (strcmp(child->key, name) == 0 ||
		    (nearest != NULL && strcmp(nearest, name) == 0))
			return true;
	}
	return false;
}

static void read_keys(struct reader *reader, const struct yaml_node *node, const char *where,
		      const struct reader_part *parts, size_t count, const char *const *nested)
{
	const struct yaml_node *map = reader_expect(reader, node, YAML_IS_MAP, where);

	if (map == NULL && !is_null(node))
		return;
	for (const struct yaml_node *child = map != NULL ? map->first : NULL; child != NULL;
	     child = child->next)
		read_key(reader, child, where, parts, count, nested);
	for (size_t i = 0; i < count; i++)
		for (const struct option *row = parts[i].table; row->name != NULL; row++)
			if (row->required && !is_given(map, row->name, parts, count, nested))
				reader_problem(reader, node->key_mark, "%s needs '%s': %s", where,
					       row->name, row->help);
}

bool reader_map(struct reader *reader, const struct yaml_node *node, const char *where,
		const struct reader_part *parts, size_t count, const char *const *nested)
{
	bool failed_before = reader->failed, good;
	struct error err;

	reader->failed = false;
	for (size_t i = 0; i < count; i++)
		if (option_defaults(parts[i].table, parts[i].object, &err) < 0)
			reader_problem(reader, node->mark, "%s: %s", where, err.text);
	read_keys(reader, node, where, parts, count, nested);
	good = !reader->failed;
	reader->failed = reader->failed || failed_before;
	return good;
}

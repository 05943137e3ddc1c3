/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `backends:` — the type of each decides which keys it may have.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/sections.h"
#include "agent/config/tables.h"

enum { TYPES_MAX = 16, KEY_MAX = 64 };

bool config_name_is_valid(const char *name)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	return name[0] != '\0' && name[strspn(name, letters)] == '\0' &&
	       strstr(name, "..") == NULL && strcmp(name, ".") != 0;
}

const struct backend_ops *backend_type_find(config_backend_types types, const char *name)
{
	for (size_t i = 0; types[i] != NULL; i++)
		if (strcmp(types[i]->type, name) == 0)
			return types[i];
	return NULL;
}

const char *backend_type_hint(char hint[WHERE_MAX], config_backend_types types, const char *name)
{
	const char *names[TYPES_MAX + 1] = { NULL };

	for (size_t i = 0; types[i] != NULL && i < TYPES_MAX; i++)
		names[i] = types[i]->type;
	return reader_hint_of(hint, text_nearest(name, names));
}

static const struct backend_ops *type_of(struct reader *reader, const struct yaml_node *node,
					 const char *where)
{
	const struct yaml_node *type = yaml_get(node, "type");
	const struct backend_ops *ops;
	char hint[WHERE_MAX], place[WHERE_MAX];
	const char *name = node->key;

	if (type != NULL)
		name = reader_scalar(reader, type, reader_where(place, where, "type"));
	if (name == NULL)
		return NULL;
	ops = backend_type_find(reader->types, name);
	if (ops != NULL)
		return ops;
	(void)backend_type_hint(hint, reader->types, name);
	if (type != NULL)
		reader_problem(reader, type->mark, "%s.type: unknown backend type '%.80s'%s", where,
			       name, hint);
	else
		reader_problem(reader, node->key_mark,
			       "%s: '%.80s' is no backend type%s: name one with 'type'", where,
			       name, hint);
	return NULL;
}

/* The key that an error's text starts with, as "auth.role", or the deepest part of it that stands
 * in the file. */
static struct yaml_mark place_of(const struct yaml_node *node, const char *text)
{
	struct yaml_mark mark = node->key_mark;
	char key[KEY_MAX];
	size_t len;

	for (; node != NULL; text += len + 1) {
		len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
		if (len == 0 || len >= sizeof(key))
			return mark;
		memcpy(key, text, len);
		key[len] = '\0';
		node = yaml_get(node, key);
		if (node != NULL)
			mark = text[len] == '.' ? node->key_mark : node->mark;
		if (text[len] != '.')
			return mark;
	}
	return mark;
}

static void *read_options(struct reader *reader, const struct yaml_node *node, const char *where,
			  const struct backend_ops *ops)
{
	struct backend_options own = { 0 };
	void *options = calloc(1, ops->options_size > 0 ? ops->options_size : 1);
	const struct reader_part parts[] = { { backend_table, &own }, { ops->options, options } };
	struct error err;

	if (options == NULL) {
		reader_problem(reader, node->mark, "out of memory");
		return NULL;
	}
	if (reader_map(reader, node, where, parts, ARRAY_SIZE(parts), NULL) && ops->check != NULL &&
	    ops->check(options, &err) < 0)
		reader_problem(reader, place_of(node, err.text), "%s.%s", where, err.text);
	option_free(backend_table, &own);
	return options;
}

static void read_backend(struct reader *reader, const struct yaml_node *node)
{
	struct config *config = reader->config;
	const struct backend_ops *ops;
	struct config_backend *grown;
	char where[WHERE_MAX];

	(void)reader_where(where, "backends", node->key);
	if (!config_name_is_valid(node->key))
		reader_problem(
			reader, node->key_mark,
			"backends: '%.80s' is no name: use letters, digits, '.', '_' and '-', "
			"without '..'",
			node->key);
	ops = type_of(reader, node, where);
	if (ops == NULL)
		return;
	grown = reader_grow(reader, config->backends, &config->backend_count, sizeof(*grown));
	if (grown == NULL)
		return;
	config->backends = grown;
	grown += config->backend_count - 1;
	grown->ops = ops;
	grown->name = reader_copy(reader, node->key);
	grown->options = read_options(reader, node, where, ops);
}

void read_backends(struct reader *reader)
{
	const struct yaml_node *map =
		reader_expect(reader, yaml_get(reader->root, "backends"), YAML_IS_MAP, "backends");

	for (const struct yaml_node *node = map != NULL ? map->first : NULL; node != NULL;
	     node = node->next)
		read_backend(reader, node);
}

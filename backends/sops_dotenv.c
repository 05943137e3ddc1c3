/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines NAME=value; the value is everything after the first =, quotes included, with \n for a line
 * break. The metadata are lines too, their levels spelled into the names:
 * sops_age__list_0__map_enc.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "backends/sops_tree.h"

#define METADATA_PREFIX "sops_"

struct line {
	const char *text;
	size_t len, at;
	unsigned number;
};

static void put_value(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool escape = text[i] == '\\' && i + 1 < len && text[i + 1] == 'n';

		buf_putc(out, (char)(escape ? '\n' : text[i]));
		i += escape;
	}
}

/* The list or map of that name in `parent`, made if it is not there. */
static struct sops_node *level(struct sops_tree *tree, struct sops_node *parent, const char *name,
			       size_t len, enum sops_kind kind, struct error *err)
{
	AUTO(freep) char *key = strndup(name, len);
	struct sops_node *found = NULL;

	if (key == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (parent->kind == SOPS_MAP) {
		found = sops_get(parent, key);
		if (found == NULL)
			found = sops_node_add(tree, parent, kind, key, "", 0, err);
	} else {
		unsigned long index = strtoul(key, NULL, 10), i = 0;

		for (found = parent->first; found != NULL && i < index; found = found->next)
			i++;
		if (found == NULL)
			found = sops_node_add(tree, parent, kind, NULL, "", 0, err);
	}
	if (found != NULL && found->kind != kind) {
		(void)error_set(err, ERROR_BAD_DATA, "its metadata contradict each other");
		return NULL;
	}
	return found;
}

/* age__list_0__map_enc: each part after a __ says what it is in. */
static int add_metadata(struct sops_tree *tree, const char *name, size_t name_len,
			struct sops_node **ret, struct error *err)
{
	struct sops_node *node = level(tree, tree->root, "sops", 4, SOPS_MAP, err);
	const char *end = name + name_len;

	while (node != NULL) {
		const char *stop = memmem(name, (size_t)(end - name), "__list_", 7);
		const char *map = memmem(name, (size_t)(end - name), "__map_", 6);
		bool list = stop != NULL && (map == NULL || stop < map);

		stop = list ? stop : map;
		if (stop == NULL) {
			AUTO(freep) char *key = strndup(name, (size_t)(end - name));

			if (key == NULL)
				return error_no_memory(err);
			if (node->kind == SOPS_MAP && sops_get(node, key) != NULL)
				return error_set(err, ERROR_BAD_DATA,
						 "the key 'sops_%.80s' is there twice", key);
			*ret = sops_node_add(tree, node, SOPS_STRING,
					     node->kind == SOPS_MAP ? key : NULL, "", 0, err);
			return *ret != NULL ? 0 : -1;
		}
		node = level(tree, node, name, (size_t)(stop - name), list ? SOPS_LIST : SOPS_MAP,
			     err);
		name = stop + (list ? 7 : 6);
	}
	return -1;
}

static int add_variable(struct sops_tree *tree, const struct line *line, const char *equals,
			struct sops_node **ret, struct error *err)
{
	size_t len = (size_t)(equals - line->text);
	AUTO(freep) char *key = strndup(line->text, len);

	if (key == NULL)
		return error_no_memory(err);
	if (text_starts_with(key, METADATA_PREFIX))
		return add_metadata(tree, line->text + strlen(METADATA_PREFIX),
				    len - strlen(METADATA_PREFIX), ret, err);
	if (strcmp(key, "sops") == 0)
		return error_set(err, ERROR_BAD_DATA, "'sops' cannot be the name of a variable");
	if (sops_get(tree->root, key) != NULL)
		return error_set(err, ERROR_BAD_DATA, "the key '%.100s' is there twice", key);
	*ret = sops_node_add(tree, tree->root, SOPS_STRING, key, "", 0, err);
	return *ret != NULL ? 0 : -1;
}

static int read_line(struct sops_tree *tree, const struct line *line, struct error *err)
{
	const char *equals = memchr(line->text, '=', line->len);
	AUTO(buf_deinit) struct buf value = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct sops_node *node;

	if (line->len == 0)
		return 0;
	if (line->text[0] == '#') {
		node = sops_node_add(tree, tree->root, SOPS_COMMENT, NULL, line->text + 1,
				     line->len - 1, err);
		if (node == NULL)
			return -1;
		node->span = (struct sops_span){ line->at, line->at + line->len };
		return 0;
	}
	if (equals == NULL)
		return error_set(err, ERROR_BAD_DATA, "neither NAME=value nor a comment");
	if (add_variable(tree, line, equals, &node, err) < 0)
		return -1;
	put_value(&value, equals + 1, line->len - (size_t)(equals + 1 - line->text));
	node->key_span = (struct sops_span){ line->at, line->at + (size_t)(equals - line->text) };
	node->span = (struct sops_span){ node->key_span.end + 1, line->at + line->len };
	node->line = line->number;
	node->column = 1;
	return sops_node_set(node, SOPS_STRING, buf_string(&value), value.len, err);
}

int sops_dotenv_read(struct sops_tree *tree, const char *text, size_t len, struct error *err)
{
	struct line line = { .number = 1 };

	tree->root = sops_node_add(tree, NULL, SOPS_MAP, NULL, "", 0, err);
	if (tree->root == NULL)
		return -1;
	for (size_t at = 0; at < len; line.number++) {
		const char *stop = memchr(text + at, '\n', len - at);

		line.text = text + at;
		line.at = at;
		line.len = stop != NULL ? (size_t)(stop - line.text) : len - at;
		if (read_line(tree, &line, err) < 0)
			return error_wrap(err, "line %u", line.number);
		at += line.len + 1;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/sops_tree.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"

enum sops_format sops_format_of(const char *file)
{
	const char *base = strrchr(file, '/');

	base = base != NULL ? base + 1 : file;
	if (text_ends_with(base, ".json"))
		return SOPS_JSON;
	if (text_ends_with(base, ".env") || text_starts_with(base, ".env"))
		return SOPS_DOTENV;
	return SOPS_YAML;
}

size_t sops_byte_order_mark(const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";

	return len >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0 ? strlen(mark) : 0;
}

int sops_tree_read(struct sops_tree *tree, enum sops_format format, const char *text, size_t len,
		   const char *file, struct error *err)
{
	static int (*const readers[])(struct sops_tree *, const char *, size_t, struct error *) = {
		[SOPS_YAML] = sops_yaml_read,
		[SOPS_JSON] = sops_json_read,
		[SOPS_DOTENV] = sops_dotenv_read,
	};

	size_t mark = sops_byte_order_mark(text, len);

	*tree = (struct sops_tree){ .format = format };
	text += mark;
	len -= mark;
	if (len > SOPS_DOCUMENT_MAX)
		return error_set(err, ERROR_EXHAUSTED, "%s is larger than %zu bytes", file,
				 SOPS_DOCUMENT_MAX);
	if (text_ends_with(file, ".ini"))
		return error_set(err, ERROR_INVALID,
				 "%s: INI files are not supported yet; YAML, JSON and dotenv are",
				 file);
	if (!text_is_utf8(text, len) || memchr(text, '\0', len) != NULL)
		return error_set(err, ERROR_BAD_DATA, "%s is not UTF-8 text", file);
	if (readers[format](tree, text, len, err) == 0)
		return 0;
	sops_tree_free(tree);
	return error_wrap(err, "%s", file);
}

void sops_tree_free(struct sops_tree *tree)
{
	struct sops_node *node = tree->allocated, *next;

	for (; node != NULL; node = next) {
		next = node->allocated;
		free(node->key);
		free(node->index);
		wipe_free(node->text);
		free(node);
	}
	*tree = (struct sops_tree){ .format = tree->format };
}

int sops_node_set(struct sops_node *node, enum sops_kind kind, const char *text, size_t len,
		  struct error *err)
{
	char *copy = wipe_malloc(len + 1);

	if (copy == NULL)
		return error_no_memory(err);
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	wipe_free(node->text);
	node->text = copy;
	node->len = len;
	node->kind = kind;
	return 0;
}

/* --- members by name --- */

enum { INDEXED_FROM = 16 };

/* Open addressing; never more than half full. */
struct sops_index {
	size_t mask;
	struct sops_node *slots[];
};

static struct sops_node **slot_of(struct sops_index *index, const char *key)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
	size_t at;

	for (const char *c = key; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
	at = (size_t)(hash ^ hash >> 32) & index->mask;
	while (index->slots[at] != NULL && strcmp(index->slots[at]->key, key) != 0)
		at = (at + 1) & index->mask;
	return &index->slots[at];
}

/* Counts the member that was just added, and indexes all of them when there are many. Of two of one
 * name the first is found. */
static int count_member(struct sops_node *map, struct sops_node *member, struct error *err)
{
	size_t slots = 4 * INDEXED_FROM;
	struct sops_node **slot;

	map->members++;
	if (map->index != NULL && 2 * map->members <= map->index->mask) {
		slot = slot_of(map->index, member->key);
		*slot = *slot == NULL ? member : *slot;
		return 0;
	}
	if (map->members < INDEXED_FROM)
		return 0;
	while (slots < 4 * map->members)
		slots *= 2;
	free(map->index);
	map->index = calloc(1, sizeof(*map->index) + slots * sizeof(struct sops_node *));
	if (map->index == NULL)
		return error_no_memory(err);
	map->index->mask = slots - 1;
	for (struct sops_node *child = map->first; child != NULL; child = child->next)
		if (child->key != NULL && *(slot = slot_of(map->index, child->key)) == NULL)
			*slot = child;
	return 0;
}

struct sops_node *sops_node_add(struct sops_tree *tree, struct sops_node *parent,
				enum sops_kind kind, const char *key, const char *text, size_t len,
				struct error *err)
{
	struct sops_node *node;

	if (tree->count >= SOPS_NODES_MAX) {
		(void)error_set(err, ERROR_EXHAUSTED, "more than %d values", SOPS_NODES_MAX);
		return NULL;
	}
	node = calloc(1, sizeof(*node));
	if (node == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	node->allocated = tree->allocated;
	tree->allocated = node;
	tree->count++;
	node->key = key != NULL ? strdup(key) : NULL;
	if (key != NULL && node->key == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (sops_node_set(node, kind, text, len, err) < 0)
		return NULL;
	node->parent = parent;
	if (parent == NULL)
		return node;
	if (parent->last != NULL)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	return key == NULL || count_member(parent, node, err) == 0 ? node : NULL;
}

struct sops_node *sops_get(const struct sops_node *map, const char *key)
{
	if (map == NULL || map->kind != SOPS_MAP)
		return NULL;
	if (map->index != NULL)
		return *slot_of(map->index, key);
	for (struct sops_node *child = map->first; child != NULL; child = child->next)
		if (child->key != NULL && strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

static struct sops_node *item(const struct sops_node *list, const char *number)
{
	uint64_t wanted;
	struct error ignored;

	if (text_read_unsigned(number, SOPS_NODES_MAX, &wanted, &ignored) < 0)
		return NULL;
	for (struct sops_node *child = list->first; child != NULL; child = child->next)
		if (child->kind != SOPS_COMMENT && wanted-- == 0)
			return child;
	return NULL;
}

int sops_path_read(struct sops_path *path, const char *text, struct error *err)
{
	bool pointer = text[0] == '/';
	char separator = pointer ? '/' : '.';

	*path = (struct sops_path){ .count = 0 };
	for (const char *at = text + pointer; at != NULL;) {
		const char *stop = strchr(at, separator);
		size_t len = stop != NULL ? (size_t)(stop - at) : strlen(at), used = 0;
		char *part;

		if (path->count == SOPS_DEPTH_MAX || (len == 0 && !pointer)) {
			sops_path_free(path);
			return error_set(err, ERROR_INVALID,
					 "'%.100s' is not a name such as a.b or /a/b", text);
		}
		part = malloc(len + 1);
		if (part == NULL) {
			sops_path_free(path);
			return error_no_memory(err);
		}
		for (size_t i = 0; i < len; i++) {
			bool escape = pointer && at[i] == '~' && i + 1 < len &&
				      (at[i + 1] == '0' || at[i + 1] == '1');

			part[used++] = (char)(!escape ? at[i] : at[i + 1] == '0' ? '~' : '/');
			i += escape;
		}
		part[used] = '\0';
		path->parts[path->count++] = part;
		at = stop != NULL ? stop + 1 : NULL;
	}
	return 0;
}

void sops_path_free(struct sops_path *path)
{
	for (size_t i = 0; i < path->count; i++)
		free(path->parts[i]);
	path->count = 0;
}

struct sops_node *sops_find(struct sops_node *from, const char *path)
{
	AUTO(sops_path_free) struct sops_path parts = { .count = 0 };
	struct error ignored;

	if (path == NULL || path[0] == '\0')
		return from;
	if (sops_path_read(&parts, path, &ignored) < 0)
		return NULL;
	for (size_t i = 0; i < parts.count && from != NULL; i++)
		from = from->kind == SOPS_LIST ? item(from, parts.parts[i])
					       : sops_get(from, parts.parts[i]);
	return from;
}

static size_t index_of(const struct sops_node *node)
{
	size_t index = 0;

	for (const struct sops_node *child = node->parent->first; child != node;
	     child = child->next)
		index += child->kind != SOPS_COMMENT;
	return index;
}

void sops_write_path(struct buf *buf, const struct sops_node *node)
{
	if (node->parent == NULL)
		return;
	if (node->parent->parent != NULL) {
		sops_write_path(buf, node->parent);
		buf_putc(buf, '.');
	}
	if (node->key != NULL)
		buf_puts(buf, node->key);
	else
		buf_printf(buf, "%zu", index_of(node));
}

int sops_edits_add(struct sops_edits *edits, struct sops_span span, const struct buf *text,
		   struct error *err)
{
	struct sops_edit edit = { .span = span, .order = edits->count, .len = text->len };

	if (buf_check(text, "the new document", err) < 0)
		return -1;
	if (edits->count == edits->capacity) {
		size_t capacity = edits->capacity > 0 ? 2 * edits->capacity : 16;
		struct sops_edit *items = reallocarray(edits->items, capacity, sizeof(*items));

		if (items == NULL)
			return error_no_memory(err);
		edits->items = items;
		edits->capacity = capacity;
	}
	edit.text = wipe_malloc(text->len + 1);
	if (edit.text == NULL)
		return error_no_memory(err);
	if (text->len > 0)
		memcpy(edit.text, text->data, text->len);
	edits->items[edits->count++] = edit;
	return 0;
}

static int by_start(const void *one, const void *other)
{
	const struct sops_edit *a = one, *b = other;

	if (a->span.start != b->span.start)
		return a->span.start < b->span.start ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

void sops_edits_apply(struct sops_edits *edits, const char *text, size_t len, struct buf *out)
{
	size_t at = 0;

	if (edits->count > 0)
		qsort(edits->items, edits->count, sizeof(*edits->items), by_start);
	for (size_t i = 0; i < edits->count; i++) {
		const struct sops_edit *edit = &edits->items[i];

		if (edit->span.start > at)
			buf_put(out, text + at, edit->span.start - at);
		buf_put(out, edit->text, edit->len);
		if (edit->span.end > at)
			at = edit->span.end;
	}
	buf_put(out, text + at, len - at);
}

void sops_edits_free(struct sops_edits *edits)
{
	for (size_t i = 0; i < edits->count; i++)
		wipe_free(edits->items[i].text);
	free(edits->items);
	*edits = (struct sops_edits){ .count = 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where new members go, and how they look: behind the last one, in its style. Their values are
 * empty at first; sops_edit.c fills them in, since how a value is sealed depends on its place.
 */
#include "backends/sops_add.h"

#include <ctype.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/sops_internal.h"
#include "backends/sops_metadata.h"
#include "backends/sops_scalar.h"

enum { INDENT = 4 };

static bool is_metadata(const struct sops_node *node)
{
	return node->key != NULL && node->parent->parent == NULL &&
	       strcmp(node->key, SOPS_METADATA) == 0;
}

/* The last child that counts; NULL when there is none. */
static const struct sops_node *last_value(const struct sops_node *node)
{
	const struct sops_node *last = NULL;

	for (const struct sops_node *child = node->first; child != NULL; child = child->next)
		if (!sops_is_between(child) && !is_metadata(child))
			last = child;
	return last;
}

size_t sops_line_start(const char *text, size_t at)
{
	while (at > 0 && text[at - 1] != '\n')
		at--;
	return at;
}

size_t sops_next_line(const struct buf *source, size_t end)
{
	if (end > 0 && source->data[end - 1] == '\n')
		return end;
	while (end < source->len && source->data[end] != '\n')
		end++;
	return end < source->len ? end + 1 : end;
}

size_t sops_block_column(const struct sops_document *document, const struct sops_node *node)
{
	const struct sops_node *member = last_value(node);
	size_t at = node->span.start;

	if (member == NULL) /* the document itself, with nothing but metadata */
		member = sops_get(node, SOPS_METADATA);
	if (member == NULL)
		return 0;
	if (node->kind == SOPS_MAP)
		at = member->key_span.start;
	return at - sops_line_start(document->source.data, at);
}

/* --- as indented lines --- */

static void put_spaces(struct buf *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_putc(out, ' ');
}

static void put_block_member(struct buf *out, const struct sops_node *member, size_t indent);

/* The members of a collection, the first where the line already stands. */
static void put_block_members(struct buf *out, const struct sops_node *node, size_t indent)
{
	bool first = true;

	for (const struct sops_node *child = node->first; child != NULL; child = child->next) {
		if (child->kind == SOPS_COMMENT)
			continue;
		if (!first)
			put_spaces(out, indent);
		first = false;
		put_block_member(out, child, indent);
	}
}

static bool is_empty(const struct sops_node *node)
{
	for (const struct sops_node *child = node->first; child != NULL; child = child->next)
		if (child->kind != SOPS_COMMENT)
			return false;
	return true;
}

/* "b:\n    c: \"\"" or "- c: \"\"", with its line's end. */
static void put_block_member(struct buf *out, const struct sops_node *member, size_t indent)
{
	if (member->key != NULL) {
		sops_write_yaml_string(out, member->key, strlen(member->key), 0);
		buf_putc(out, ':');
	} else {
		buf_putc(out, '-');
	}
	if (sops_is_scalar(member)) {
		buf_puts(out, " \"\"\n");
	} else if (is_empty(member)) {
		buf_puts(out, member->kind == SOPS_MAP ? " {}\n" : " []\n");
	} else if (member->key != NULL) {
		buf_putc(out, '\n');
		put_spaces(out, indent + INDENT);
		put_block_members(out, member, indent + INDENT);
	} else {
		buf_putc(out, ' ');
		put_block_members(out, member, indent + 2);
	}
}

static int add_block(const struct sops_document *document, const struct sops_node *home,
		     const struct sops_members *members, struct sops_edits *edits,
		     struct error *err)
{
	const struct sops_node *last = last_value(home),
			       *metadata = sops_get(document->tree.root, SOPS_METADATA);
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	size_t indent = sops_block_column(document, home), at = document->source.len;

	if (last != NULL)
		at = sops_next_line(&document->source, last->span.end);
	else if (metadata != NULL)
		at = sops_line_start(document->source.data, metadata->key_span.start);
	if (at > 0 && document->source.data[at - 1] != '\n')
		buf_putc(&text, '\n');
	for (size_t i = 0; i < members->count; i++) {
		put_spaces(&text, indent);
		put_block_member(&text, members->items[i], indent);
	}
	return sops_edits_add(edits, (struct sops_span){ at, at }, &text, err);
}

/* --- in braces --- */

static void put_flow_member(struct buf *out, const struct sops_node *member)
{
	bool first = true;

	if (member->key != NULL) {
		text_write_json(out, member->key, strlen(member->key));
		buf_puts(out, ": ");
	}
	if (sops_is_scalar(member)) {
		buf_puts(out, "\"\"");
		return;
	}
	buf_putc(out, member->kind == SOPS_MAP ? '{' : '[');
	for (const struct sops_node *child = member->first; child != NULL; child = child->next) {
		if (child->kind == SOPS_COMMENT)
			continue;
		buf_puts(out, first ? "" : ", ");
		first = false;
		put_flow_member(out, child);
	}
	buf_putc(out, member->kind == SOPS_MAP ? '}' : ']');
}

/* What separates members in braces: the white space in front of the first, if it starts a line. */
static void put_flow_gap(struct buf *out, const struct buf *source, const struct sops_node *home)
{
	const struct sops_node *first = home->first;
	size_t at, start;

	buf_putc(out, ',');
	if (first == NULL) {
		buf_putc(out, ' ');
		return;
	}
	at = first->key != NULL ? first->key_span.start : first->span.start;
	start = sops_line_start(source->data, at);
	for (size_t i = start; i < at; i++)
		if (!isspace((unsigned char)source->data[i])) {
			buf_putc(out, ' ');
			return;
		}
	buf_putc(out, '\n');
	buf_put(out, source->data + start, at - start);
}

static int add_flow(const struct sops_document *document, const struct sops_node *home,
		    const struct sops_members *members, struct sops_edits *edits, struct error *err)
{
	const struct sops_node *last = last_value(home);
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	size_t at = home->span.start + 1;

	if (last != NULL)
		at = last->span.end;
	else if (home->first != NULL && home->first->key != NULL)
		at = home->first->key_span.start; /* the metadata stay last */
	for (size_t i = 0; i < members->count; i++) {
		if (last != NULL || i > 0)
			put_flow_gap(&text, &document->source, home);
		put_flow_member(&text, members->items[i]);
	}
	if (last == NULL && home->first != NULL)
		put_flow_gap(&text, &document->source, home);
	return sops_edits_add(edits, (struct sops_span){ at, at }, &text, err);
}

/* --- as lines NAME= --- */

static int add_lines(const struct sops_document *document, const struct sops_members *members,
		     struct sops_edits *edits, struct error *err)
{
	const struct buf *source = &document->source;
	const struct sops_node *last = last_value(document->tree.root);
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	size_t at = last != NULL ? sops_next_line(source, last->span.end) : 0;

	while (last == NULL && at < source->len && strncmp(source->data + at, "sops_", 5) != 0)
		at = sops_next_line(source, at + 1);
	if (at > 0 && source->data[at - 1] != '\n')
		buf_putc(&text, '\n');
	for (size_t i = 0; i < members->count; i++) {
		const struct sops_node *member = members->items[i];
		const char *name = member->key;

		if (!sops_is_scalar(member))
			return error_set(err, ERROR_INVALID,
					 "'%.100s': a dotenv file holds no levels: use one name",
					 name);
		if (name[0] == '\0' || name[0] == '#' || strpbrk(name, "=\n\r") != NULL ||
		    text_starts_with(name, "sops_"))
			return error_set(err, ERROR_INVALID,
					 "'%.100s' cannot be the name of a variable", name);
		buf_printf(&text, "%s=\n", name);
	}
	return sops_edits_add(edits, (struct sops_span){ at, at }, &text, err);
}

int sops_add(const struct sops_document *document, const struct sops_node *home,
	     const struct sops_members *members, struct sops_edits *edits, struct error *err)
{
	if (members->count == 0)
		return 0;
	if (document->tree.format == SOPS_DOTENV)
		return add_lines(document, members, edits, err);
	if (home->flow)
		return add_flow(document, home, members, edits, err);
	return add_block(document, home, members, edits, err);
}

int sops_members_put(struct sops_members *members, const struct sops_node *node, struct error *err)
{
	const struct sops_node **items = members->items;

	if (members->count == members->capacity) {
		members->capacity = members->capacity > 0 ? 2 * members->capacity : 16;
		items = reallocarray(items, members->capacity, sizeof(*items));
		if (items == NULL)
			return error_no_memory(err);
		members->items = items;
	}
	members->items[members->count++] = node;
	return 0;
}

void sops_members_free(struct sops_members *members)
{
	free(members->items);
	*members = (struct sops_members){ .count = 0 };
}

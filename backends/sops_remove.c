/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A removed member takes its line along, or its comma; what held the last one says that it is
 * empty.
 */
#include <string.h>

#include "backends/sops_add.h"
#include "backends/sops_internal.h"
#include "backends/sops_metadata.h"

static int apply_one(struct sops_document *document, struct sops_span span, const struct buf *text,
		     struct error *err)
{
	AUTO(sops_edits_free) struct sops_edits edits = { .count = 0 };
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);

	if (sops_edits_add(&edits, span, text, err) < 0)
		return -1;
	sops_edits_apply(&edits, document->source.data, document->source.len, &out);
	return sops_document_replace(document, &out, err);
}

static size_t count_values(const struct sops_node *node)
{
	size_t count = 0;

	for (const struct sops_node *child = node->first; child != NULL; child = child->next)
		count += !sops_is_between(child);
	return count;
}

static const struct sops_node *previous_value(const struct sops_node *node)
{
	const struct sops_node *previous = NULL;

	for (const struct sops_node *child = node->parent->first; child != node;
	     child = child->next)
		if (!sops_is_between(child))
			previous = child;
	return previous;
}

static struct sops_span flow_span(const struct sops_document *document,
				  const struct sops_node *node)
{
	const struct sops_node *previous = previous_value(node), *next = node->next;
	struct sops_span span = { node->key != NULL ? node->key_span.start : node->span.start,
				  node->span.end };

	while (next != NULL && sops_is_between(next))
		next = next->next;
	if (previous != NULL)
		span.start = previous->span.end;
	else if (next != NULL)
		span.end = next->key != NULL ? next->key_span.start : next->span.start;
	else
		span = (struct sops_span){ node->parent->span.start + 1,
					   node->parent->span.end - 1 };
	(void)document;
	return span;
}

static bool blank(const char *text, size_t from, size_t to)
{
	while (from < to && (text[from] == ' ' || text[from] == '\t'))
		from++;
	return from == to;
}

/* Where the item's dash stands, or its key. Every dash of a list is in the list's own column,
 * behind spaces or the dashes of lists around it. */
static size_t member_start(const struct sops_document *document, const struct sops_node *node)
{
	const char *source = document->source.data;
	size_t column, start = node->span.start, at;

	if (node->key != NULL)
		return node->key_span.start;
	column = sops_block_column(document, node->parent);
	do {
		start = sops_line_start(source, start);
		at = start + column;
		if (at < node->span.start && source[at] == '-' &&
		    strspn(source + start, " -") > column)
			return at;
	} while (start-- > node->parent->span.start);
	return node->span.start;
}

static int remove_block(struct sops_document *document, const struct sops_node *node,
			struct error *err)
{
	const char *source = document->source.data;
	const struct sops_node *parent = node->parent, *next = node->next;
	AUTO(buf_deinit) struct buf text = BUF_INIT(8);
	size_t at = member_start(document, node), start = sops_line_start(source, at);
	struct sops_span span = { start, sops_next_line(&document->source, node->span.end) };

	if (count_values(parent) == 1 && parent->parent != NULL) {
		/* The last one: what held it is empty now, and says so. */
		buf_puts(&text, parent->kind == SOPS_MAP ? "{}" : "[]");
		span = (struct sops_span){ parent->span.start, node->span.end };
		if (parent->key != NULL) {
			span.start = parent->key_span.end;
			buf_reset(&text);
			buf_puts(&text, parent->kind == SOPS_MAP ? ": {}" : ": []");
		}
		if (node->span.end > 0 && source[node->span.end - 1] == '\n')
			buf_putc(&text, '\n');
	} else if (!blank(source, start, at)) {
		/* The first of its map stands on the line of a dash, which stays. */
		while (next != NULL && sops_is_between(next))
			next = next->next;
		span = (struct sops_span){ at,
					   next != NULL ? member_start(document, next) : span.end };
	}
	return apply_one(document, span, &text, err);
}

int sops_document_remove(struct sops_document *document, const char *path, struct error *err)
{
	AUTO(buf_deinit) struct buf nothing = BUF_INIT(1);
	const struct sops_node *node = sops_document_find(document, path, err);
	struct sops_span span;

	if (node == NULL)
		return -1;
	if (node->parent == NULL)
		return error_set(err, ERROR_INVALID, "name what to remove");
	if (document->tree.format == SOPS_DOTENV) {
		span = (struct sops_span){ sops_line_start(document->source.data,
							   node->key_span.start),
					   sops_next_line(&document->source, node->span.end) };
		return apply_one(document, span, &nothing, err);
	}
	if (node->parent->flow)
		return apply_one(document, flow_span(document, node), &nothing, err);
	return remove_block(document, node, err);
}

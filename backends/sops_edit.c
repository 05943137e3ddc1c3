/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value that is not there is first put in place empty; then what stands at the path is replaced,
 * sealed as the rules say for that place. Every step reads the new text again, so positions are
 * always those of the source.
 */
#include <ctype.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/sops_internal.h"
#include "backends/sops_metadata.h"
#include "backends/sops_scalar.h"

enum { INDENT = 4 };

struct target {
	struct sops_walk walk;
	const struct sops_node *node;
	bool encrypted, found;
	struct buf place;
};

static int note_target(struct sops_walk *walk, struct sops_node *node, bool encrypted,
		       struct error *err)
{
	struct target *target = CONTAINER_OF(walk, struct target, walk);

	(void)err;
	if (node != target->node)
		return 0;
	target->encrypted = encrypted;
	target->found = true;
	buf_puts(&target->place, sops_place(walk, node));
	return 0;
}

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
		if ((child->kind != SOPS_COMMENT || child->item) && !is_metadata(child))
			last = child;
	return last;
}

static size_t line_start(const char *text, size_t at)
{
	while (at > 0 && text[at - 1] != '\n')
		at--;
	return at;
}

/* The start of the line after the one that `end` is on or right behind. */
static size_t next_line(const struct buf *source, size_t end)
{
	if (end > 0 && source->data[end - 1] == '\n')
		return end;
	while (end < source->len && source->data[end] != '\n')
		end++;
	return end < source->len ? end + 1 : end;
}

static void put_spaces(struct buf *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_putc(out, ' ');
}

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

/* --- adding --- */

/* "b:\n    c: \"\"" for the rest of a path, each level indented more. */
static void put_block_members(struct buf *out, char *const *parts, size_t count, size_t indent)
{
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			put_spaces(out, indent + INDENT * i);
		sops_write_yaml_string(out, parts[i], strlen(parts[i]), 0);
		buf_puts(out, i + 1 < count ? ":\n" : ": \"\"\n");
	}
}

static void put_flow_members(struct buf *out, char *const *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		buf_puts(out, i > 0 ? "{" : "");
		text_write_json(out, parts[i], strlen(parts[i]));
		buf_puts(out, i + 1 < count ? ": " : ": \"\"");
	}
	for (size_t i = 1; i < count; i++)
		buf_putc(out, '}');
}

/* What separates members in braces: the white space in front of the first, if it starts a line. */
static void put_flow_gap(struct buf *out, const struct buf *source, const struct sops_node *node)
{
	const struct sops_node *first = node->first;
	size_t at = first->key != NULL ? first->key_span.start : first->span.start;
	size_t start = line_start(source->data, at);

	for (size_t i = start; i < at; i++)
		if (!isspace((unsigned char)source->data[i])) {
			buf_putc(out, ' ');
			return;
		}
	buf_putc(out, '\n');
	buf_put(out, source->data + start, at - start);
}

static int add_flow(struct sops_document *document, const struct sops_node *node,
		    char *const *parts, size_t count, struct error *err)
{
	const struct sops_node *last = last_value(node);
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	size_t at;

	if (last != NULL) {
		at = last->span.end;
		buf_putc(&text, ',');
		put_flow_gap(&text, &document->source, node);
	} else if (node->first != NULL && node->first->key != NULL) {
		at = node->first->key_span.start; /* the metadata stay last */
	} else {
		at = node->span.start + 1;
	}
	if (node->kind == SOPS_LIST && count == 1)
		buf_puts(&text, "\"\"");
	else if (node->kind == SOPS_LIST) {
		buf_putc(&text, '{');
		put_flow_members(&text, parts + 1, count - 1);
		buf_putc(&text, '}');
	} else
		put_flow_members(&text, parts, count);
	if (last == NULL && node->first != NULL) {
		buf_putc(&text, ',');
		put_flow_gap(&text, &document->source, node);
	}
	return apply_one(document, (struct sops_span){ at, at }, &text, err);
}

/* The column of the members of a block: of the dash in a list, of the key in a map. */
static size_t block_column(const struct sops_document *document, const struct sops_node *node)
{
	const struct sops_node *member = last_value(node);
	size_t at, start;

	if (member == NULL)
		return node->parent == NULL && node->first != NULL && node->first->column > 0
			       ? node->first->column - 1
			       : 0;
	if (node->kind == SOPS_LIST)
		return node->column > 0 && node->key == NULL
			       ? node->column - 1
			       : (start = line_start(document->source.data, node->span.start),
				  node->span.start - start);
	at = member->key_span.start;
	return at - line_start(document->source.data, at);
}

static int add_block(struct sops_document *document, const struct sops_node *node,
		     char *const *parts, size_t count, struct error *err)
{
	const struct sops_node *last = last_value(node),
			       *metadata = sops_get(document->tree.root, SOPS_METADATA);
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	size_t indent = block_column(document, node), at;

	if (last != NULL)
		at = next_line(&document->source, last->span.end);
	else if (metadata != NULL)
		at = line_start(document->source.data, metadata->key_span.start);
	else
		at = document->source.len;
	if (at > 0 && document->source.data[at - 1] != '\n')
		buf_putc(&text, '\n');
	put_spaces(&text, indent);
	if (node->kind == SOPS_LIST) {
		buf_puts(&text, "- ");
		if (count == 1)
			buf_puts(&text, "\"\"\n");
		else
			put_block_members(&text, parts + 1, count - 1, indent + 2);
	} else {
		put_block_members(&text, parts, count, indent);
	}
	return apply_one(document, (struct sops_span){ at, at }, &text, err);
}

static int add_line(struct sops_document *document, const char *name, struct error *err)
{
	const struct sops_node *last = last_value(document->tree.root);
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	size_t at = last != NULL ? next_line(&document->source, last->span.end) : 0;

	if (name[0] == '\0' || name[0] == '#' || strpbrk(name, "=\n\r") != NULL ||
	    text_starts_with(name, "sops_"))
		return error_set(err, ERROR_INVALID, "'%.100s' cannot be the name of a variable",
				 name);
	if (last == NULL)
		while (at < document->source.len &&
		       strncmp(document->source.data + at, "sops_", 5) != 0)
			at = next_line(&document->source, at + 1);
	if (at > 0 && document->source.data[at - 1] != '\n')
		buf_putc(&text, '\n');
	buf_printf(&text, "%s=\n", name);
	return apply_one(document, (struct sops_span){ at, at }, &text, err);
}

static int add(struct sops_document *document, const struct sops_path *path,
	       const struct sops_node *node, size_t depth, struct error *err)
{
	char *const *parts = path->parts + depth;
	size_t count = path->count - depth;

	if (document->tree.format == SOPS_DOTENV && count != 1)
		return error_set(err, ERROR_INVALID, "a dotenv file holds no levels: use one name");
	if (document->tree.format == SOPS_DOTENV)
		return add_line(document, parts[0], err);
	if (node->flow)
		return add_flow(document, node, parts, count, err);
	return add_block(document, node, parts, count, err);
}

/* --- setting --- */

/* Follows the path as far as it goes; *depth counts the parts that were there. */
static struct sops_node *follow(const struct sops_document *document, const struct sops_path *path,
				size_t *depth, struct error *err)
{
	struct sops_node *node = document->tree.root;

	for (*depth = 0; *depth < path->count; (*depth)++) {
		const char *part = path->parts[*depth];
		struct sops_node *child = NULL;

		if (node->kind == SOPS_MAP) {
			child = sops_get(node, part);
		} else if (node->kind == SOPS_LIST) {
			size_t items = 0;
			uint64_t wanted;

			for (const struct sops_node *c = node->first; c != NULL; c = c->next)
				items += c->kind != SOPS_COMMENT;
			if (text_read_unsigned(part, items, &wanted, err) < 0) {
				(void)error_set(err, ERROR_BAD_DATA,
						"%s: a list of %zu items stands before '%.100s'; "
						"items are 0 to %zu, "
						"which adds one",
						document->file, items, part, items);
				return NULL;
			}
			for (child = node->first; child != NULL; child = child->next)
				if (child->kind != SOPS_COMMENT && wanted-- == 0)
					break;
		} else {
			(void)error_set(err, ERROR_BAD_DATA,
					"%s:%u: a value stands before '%.100s'; `agent secrets rm` "
					"removes it",
					document->file, node->line, part);
			return NULL;
		}
		if (child == NULL)
			return node;
		node = child;
	}
	return node;
}

static struct sops_node *reach(struct sops_document *document, const struct sops_path *path,
			       struct error *err)
{
	size_t depth;
	struct sops_node *node;

	if (path->count > 0 && (strcmp(path->parts[0], SOPS_METADATA) == 0)) {
		(void)error_set(err, ERROR_INVALID,
				"'sops' holds the metadata of the file: use another name");
		return NULL;
	}
	node = follow(document, path, &depth, err);
	if (node == NULL || depth == path->count)
		return node;
	if (add(document, path, node, depth, err) < 0)
		return NULL;
	node = follow(document, path, &depth, err);
	if (node != NULL && depth < path->count) {
		(void)error_set(err, ERROR_BAD_DATA, "%s: the value cannot be added there",
				document->file);
		return NULL;
	}
	return node;
}

/* The spelling of a value that stays as it is read. */
static void put_plain(const struct sops_document *document, const struct sops_node *node,
		      enum sops_kind kind, const char *value, size_t len, struct buf *out)
{
	char *text = NULL;
	struct sops_node plain = { .kind = kind, .len = len };

	if (document->tree.format == SOPS_DOTENV) {
		for (size_t i = 0; i < len; i++) {
			if (value[i] == '\n')
				buf_puts(out, "\\n");
			else
				buf_putc(out, value[i]);
		}
		return;
	}
	text = strndup(value, len);
	plain.text = text;
	if (text == NULL)
		out->failed = true;
	else if (document->tree.format == SOPS_JSON)
		sops_write_json_scalar(out, &plain);
	else
		sops_write_yaml_scalar(out, &plain, node->parent->flow ? -1 : 0);
	free(text);
}

int sops_document_set(struct sops_document *document, const char *path, enum sops_kind kind,
		      const char *value, size_t len, struct error *err)
{
	AUTO(sops_path_free) struct sops_path parts = { .count = 0 };
	AUTO(buf_deinit)
	struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX), sealed = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct target target = { .walk = { .rules = &document->rules, .leaf = note_target },
				 .place = BUF_INIT(64 << 10) };
	struct sops_node *node, null_as_text;
	bool bare;
	int status;

	if (!text_is_utf8(value, len) || memchr(value, '\0', len) != NULL)
		return error_set(
			err, ERROR_BAD_DATA,
			"the value of '%.100s' is not UTF-8 text: encode it first (base64)", path);
	if (sops_path_read(&parts, path, err) < 0)
		return -1;
	node = reach(document, &parts, err);
	if (node == NULL)
		return -1;
	if (!sops_is_scalar(node))
		return error_set(err, ERROR_BAD_DATA,
				 "%s:%u: '%.100s' holds several values; name one of them",
				 document->file, node->line, path);
	null_as_text = *node;
	if (node->kind == SOPS_NULL)
		node->kind = SOPS_STRING; /* so that the walk shows it */
	target.node = node;
	status = sops_walk(&target.walk, document->tree.root, err);
	node->kind = null_as_text.kind;
	if (status == 0 && target.encrypted && len > 0)
		status = sops_seal(document->key, value, len, sops_type_name(kind),
				   buf_string(&target.place), &sealed, err);
	buf_deinit(&target.place);
	if (status < 0)
		return -1;

	if (node->span.start > 0 && node->span.start == node->span.end &&
	    document->tree.format == SOPS_YAML)
		buf_putc(&text, ' ');
	bare = document->tree.format == SOPS_DOTENV ||
	       (document->tree.format == SOPS_YAML && !node->parent->flow);
	if (sealed.len > 0 && bare)
		buf_put(&text, sealed.data, sealed.len);
	else if (sealed.len > 0)
		text_write_json(&text, sealed.data, sealed.len);
	else if (kind != SOPS_NULL || document->tree.format != SOPS_DOTENV)
		put_plain(document, node, kind, value, len, &text);
	if (node->span.end > node->span.start &&
	    document->source.data[node->span.end - 1] == '\n' && document->tree.format == SOPS_YAML)
		buf_putc(&text, '\n');
	return apply_one(document, node->span, &text, err);
}

/* --- removing --- */

static size_t count_values(const struct sops_node *node)
{
	size_t count = 0;

	for (const struct sops_node *child = node->first; child != NULL; child = child->next)
		count += child->kind != SOPS_COMMENT && !is_metadata(child);
	return count;
}

static const struct sops_node *previous_value(const struct sops_node *node)
{
	const struct sops_node *previous = NULL;

	for (const struct sops_node *child = node->parent->first; child != node;
	     child = child->next)
		if (child->kind != SOPS_COMMENT)
			previous = child;
	return previous;
}

static struct sops_span flow_span(const struct sops_document *document,
				  const struct sops_node *node)
{
	const struct sops_node *previous = previous_value(node), *next = node->next;
	struct sops_span span = { node->key != NULL ? node->key_span.start : node->span.start,
				  node->span.end };

	while (next != NULL && next->kind == SOPS_COMMENT)
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

/* Where the item's dash stands, or its key. */
static size_t member_start(const struct sops_document *document, const struct sops_node *node)
{
	size_t at = node->key != NULL ? node->key_span.start : node->span.start;

	if (node->key == NULL)
		while (at > 0 && document->source.data[at] != '-')
			at--;
	return at;
}

static int remove_block(struct sops_document *document, const struct sops_node *node,
			struct error *err)
{
	const char *source = document->source.data;
	const struct sops_node *parent = node->parent, *next = node->next;
	AUTO(buf_deinit) struct buf text = BUF_INIT(8);
	size_t at = member_start(document, node), start = line_start(source, at);
	struct sops_span span = { start, next_line(&document->source, node->span.end) };

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
		while (next != NULL && next->kind == SOPS_COMMENT)
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
		span = (struct sops_span){ line_start(document->source.data, node->key_span.start),
					   next_line(&document->source, node->span.end) };
		return apply_one(document, span, &nothing, err);
	}
	if (node->parent->flow)
		return apply_one(document, flow_span(document, node), &nothing, err);
	return remove_block(document, node, err);
}

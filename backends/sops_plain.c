/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decrypted document: in its own format the values are replaced where they stand, in another it
 * is written anew.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/dotenv.h"
#include "agent/base/text.h"
#include "backends/sops_internal.h"
#include "backends/sops_metadata.h"
#include "backends/sops_scalar.h"

enum { INDENT = 4 };

struct plain {
	struct sops_walk walk;
	const struct sops_document *document;
	struct sops_edits edits;
};

/* What would end the line, or what YAML does not know, becomes a question mark. */
static void put_comment(struct buf *out, const struct sops_node *node, enum sops_format format)
{
	buf_putc(out, '#');
	if (format == SOPS_YAML)
		sops_write_yaml_comment(out, node->text, node->len);
	else
		for (size_t i = 0; i < node->len; i++)
			buf_putc(out, (char)(node->text[i] == '\n' ? '?' : node->text[i]));
}

/* A block of lines may stand where nothing follows on the line. */
static int block_indent(const struct sops_document *document, const struct sops_node *node)
{
	const struct buf *source = &document->source;
	size_t start;

	if (node->parent->flow || node->span.end >= source->len ||
	    source->data[node->span.end] != '\n')
		return -1;
	if (node->key == NULL) {
		for (start = node->span.start; start > 0 && source->data[start - 1] != '\n';)
			start--;
		return (int)(node->span.start - start) + INDENT - 2;
	}
	return (int)node->column - 1 + INDENT;
}

static int write_plain_value(const struct plain *p, const struct sops_node *node, struct buf *text)
{
	int indent = block_indent(p->document, node);

	switch (p->document->tree.format) {
	case SOPS_DOTENV:
		for (size_t i = 0; i < node->len; i++) {
			if (node->text[i] == '\n')
				buf_puts(text, "\\n");
			else
				buf_putc(text, node->text[i]);
		}
		break;
	case SOPS_JSON:
		sops_write_json_scalar(text, node);
		break;
	case SOPS_YAML:
	default:
		sops_write_yaml_scalar(text, node,
				       node->parent->flow ? -1
				       : indent < 0	  ? 0
							  : indent);
		if (text->len > 0 && text->data[text->len - 1] == '\n')
			buf_truncate(text, text->len - 1);
		break;
	}
	return 0;
}

static bool has_values(const struct sops_node *node)
{
	for (const struct sops_node *child = node->first; child != NULL; child = child->next)
		if (child->kind != SOPS_COMMENT)
			return true;
	return false;
}

/* sops writes the comment of an empty list as its only item; without it nothing would be left that
 * says that there is a list. */
static int put_empty_list(struct plain *p, const struct sops_node *list, struct error *err)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct sops_span span = list->span;

	if (list->key != NULL)
		span.start = list->key_span.end;
	buf_puts(&text, list->key != NULL ? ": []" : "[]");
	for (const struct sops_node *child = list->first; child != NULL; child = child->next) {
		buf_putc(&text, '\n');
		for (unsigned i = 1; i < list->column; i++)
			buf_putc(&text, ' ');
		put_comment(&text, child, SOPS_YAML);
		span.end = child->span.end;
	}
	return sops_edits_add(&p->edits, span, &text, err);
}

static int plain_leaf(struct sops_walk *walk, struct sops_node *node, bool encrypted,
		      struct error *err)
{
	struct plain *p = CONTAINER_OF(walk, struct plain, walk);
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct sops_span span = node->span;

	if (node->kind == SOPS_COMMENT && node->item && !has_values(node->parent))
		return node == node->parent->first ? put_empty_list(p, node->parent, err) : 0;
	if (node->kind == SOPS_COMMENT) {
		/* One that stands as an item takes its dash along. */
		while (node->item && span.start > 0 && p->document->source.data[span.start] != '-')
			span.start--;
		put_comment(&text, node, p->document->tree.format);
		return sops_edits_add(&p->edits, span, &text, err);
	}
	if (!encrypted || node->len == 0)
		return 0;
	(void)write_plain_value(p, node, &text);
	return sops_edits_add(&p->edits, span, &text, err);
}

/* Cuts the metadata out: their lines, or in braces also the comma before them. */
static int cut_metadata(const struct sops_document *document, struct sops_edits *edits,
			struct error *err)
{
	const struct sops_node *node = sops_metadata(&document->tree, err);
	const struct sops_node *previous = NULL;
	const char *source = document->source.data;
	AUTO(buf_deinit) struct buf nothing = BUF_INIT(1);
	struct sops_span span;

	if (node == NULL)
		return -1;
	for (const struct sops_node *child = document->tree.root->first; child != node;
	     child = child->next)
		previous = child->kind != SOPS_COMMENT ? child : previous;
	span = (struct sops_span){ node->key_span.start, node->span.end };
	if (document->tree.root->flow && previous != NULL) {
		span.start = previous->span.end;
	} else if (document->tree.root->flow) {
		const char *comma =
			memchr(source + span.end, ',', document->tree.root->span.end - span.end);

		span.end = comma != NULL ? (size_t)(comma + 1 - source) : span.end;
	} else {
		while (span.start > 0 && source[span.start - 1] != '\n')
			span.start--;
		while (span.end < document->source.len && source[span.end - 1] != '\n')
			span.end++;
	}
	return sops_edits_add(edits, span, &nothing, err);
}

static int cut_lines(const struct sops_document *document, struct sops_edits *edits,
		     struct error *err)
{
	AUTO(buf_deinit) struct buf nothing = BUF_INIT(1);
	const char *source = document->source.data;

	for (size_t at = 0; at < document->source.len;) {
		const char *stop = memchr(source + at, '\n', document->source.len - at);
		size_t end = stop != NULL ? (size_t)(stop + 1 - source) : document->source.len;

		if (strncmp(source + at, "sops_", 5) == 0 &&
		    sops_edits_add(edits, (struct sops_span){ at, end }, &nothing, err) < 0)
			return -1;
		at = end;
	}
	return 0;
}

void sops_origins_free(struct sops_origins *origins)
{
	free(origins->items);
	*origins = (struct sops_origins){ .count = 0 };
}

/* The edits are applied and so in order: what stands before one has moved by what they grew. */
static int note_origins(const struct sops_edits *edits, struct sops_origins *origins,
			struct error *err)
{
	size_t at = 0, plain = 0;

	origins->items = calloc(edits->count + 1, sizeof(*origins->items));
	if (origins->items == NULL)
		return error_no_memory(err);
	for (; origins->count < edits->count; origins->count++) {
		const struct sops_edit *edit = &edits->items[origins->count];

		plain += edit->span.start - at;
		origins->items[origins->count] = (struct sops_origin){ plain, edit->span };
		plain += edit->len;
		at = edit->span.end;
	}
	return 0;
}

int sops_document_plain(const struct sops_document *document, struct buf *out,
			struct sops_origins *origins, struct error *err)
{
	struct plain p = {
		.walk = { .rules = &document->rules, .leaf = plain_leaf },
		.document = document,
	};
	int status = document->tree.format == SOPS_DOTENV ? cut_lines(document, &p.edits, err)
							  : cut_metadata(document, &p.edits, err);

	if (status == 0)
		status = sops_walk(&p.walk, document->tree.root, err);
	if (status == 0)
		sops_edits_apply(&p.edits, document->source.data, document->source.len, out);
	if (status == 0)
		status = note_origins(&p.edits, origins, err);
	sops_edits_free(&p.edits);
	return status;
}

static void put_break(struct buf *out, unsigned depth)
{
	buf_putc(out, '\n');
	for (unsigned i = 0; i < depth; i++)
		buf_putc(out, '\t');
}

static bool shown(const struct sops_node *node)
{
	return node->kind != SOPS_COMMENT && !(node->key != NULL && node->parent->parent == NULL &&
					       strcmp(node->key, SOPS_METADATA) == 0);
}

static void put_json(struct buf *out, const struct sops_node *node, unsigned depth)
{
	bool any = false;

	if (sops_is_scalar(node)) {
		sops_write_json_scalar(out, node);
		return;
	}
	buf_putc(out, node->kind == SOPS_MAP ? '{' : '[');
	for (const struct sops_node *child = node->first; child != NULL; child = child->next) {
		if (!shown(child))
			continue;
		buf_puts(out, any ? "," : "");
		any = true;
		put_break(out, depth + 1);
		if (child->key != NULL) {
			text_write_json(out, child->key, strlen(child->key));
			buf_puts(out, ": ");
		}
		put_json(out, child, depth + 1);
	}
	if (any)
		put_break(out, depth);
	buf_putc(out, node->kind == SOPS_MAP ? '}' : ']');
}

static void put_yaml(struct buf *out, const struct sops_node *node, unsigned indent)
{
	for (const struct sops_node *child = node->first; child != NULL; child = child->next) {
		if (!shown(child) && !(child->kind == SOPS_COMMENT))
			continue;
		for (unsigned i = 0; i < indent; i++)
			buf_putc(out, ' ');
		if (child->kind == SOPS_COMMENT) {
			put_comment(out, child, SOPS_YAML);
			buf_putc(out, '\n');
			continue;
		}
		if (child->key != NULL)
			sops_write_yaml_string(out, child->key, strlen(child->key), 0);
		buf_puts(out, child->key != NULL ? ":" : "-");
		if (sops_is_scalar(child)) {
			buf_putc(out, ' ');
			sops_write_yaml_scalar(out, child, (int)(indent + INDENT));
			if (out->len > 0 && out->data[out->len - 1] != '\n')
				buf_putc(out, '\n');
		} else {
			if (!has_values(child))
				buf_puts(out, child->kind == SOPS_MAP ? " {}" : " []");
			buf_putc(out, '\n');
			put_yaml(out, child, indent + INDENT);
		}
	}
}

static int put_dotenv(struct buf *out, const struct sops_node *root, struct error *err)
{
	for (const struct sops_node *child = root->first; child != NULL; child = child->next) {
		if (child->kind == SOPS_COMMENT) {
			put_comment(out, child, SOPS_DOTENV);
			buf_putc(out, '\n');
			continue;
		}
		if (!shown(child))
			continue;
		if (!sops_is_scalar(child))
			return error_set(
				err, ERROR_BAD_DATA,
				"'%.100s' holds several values, which a dotenv file cannot",
				child->key);
		if (!dotenv_name_is_valid(child->key))
			return error_set(err, ERROR_BAD_DATA,
					 "'%.100s' cannot be the name of a variable", child->key);
		buf_printf(out, "%s=", child->key);
		dotenv_write_value(out, child->text, child->len);
		buf_putc(out, '\n');
	}
	return 0;
}

void sops_write_json(struct buf *out, const struct sops_node *node)
{
	put_json(out, node, 0);
}

int sops_document_write(const struct sops_document *document, enum sops_format format,
			struct buf *out, struct error *err)
{
	AUTO(sops_origins_free) struct sops_origins origins = { .count = 0 };

	if (format == document->tree.format) {
		if (sops_document_plain(document, out, &origins, err) < 0)
			return error_wrap(err, "%s", document->file);
	} else if (format == SOPS_JSON) {
		put_json(out, document->tree.root, 0);
		buf_putc(out, '\n');
	} else if (format == SOPS_YAML) {
		put_yaml(out, document->tree.root, 0);
	} else if (put_dotenv(out, document->tree.root, err) < 0) {
		return error_wrap(err, "%s", document->file);
	}
	return buf_check(out, "the decrypted document", err);
}

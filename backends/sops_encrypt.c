/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain document becomes an encrypted one, and back, by replacing values where they stand.
 */
#include <sodium.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/sops_internal.h"
#include "backends/sops_metadata.h"
#include "backends/sops_scalar.h"

enum { INDENT = 4 };

/* --- aliases --- */

static void put_flow(struct buf *out, const struct sops_node *node)
{
	bool first = true;

	if (sops_is_scalar(node)) {
		sops_write_yaml_scalar(out, node, -1);
		return;
	}
	buf_putc(out, node->kind == SOPS_MAP ? '{' : '[');
	for (const struct sops_node *child = node->first; child != NULL; child = child->next) {
		if (child->kind == SOPS_COMMENT)
			continue;
		buf_puts(out, first ? "" : ", ");
		first = false;
		if (child->key != NULL) {
			sops_write_yaml_string(out, child->key, strlen(child->key), -1);
			buf_puts(out, ": ");
		}
		put_flow(out, child);
	}
	buf_putc(out, node->kind == SOPS_MAP ? '}' : ']');
}

/* A value is bound to its place, so that each place gets a copy of its own, as sops does it. */
static int expand_aliases(const struct sops_node *node, struct sops_edits *edits, struct error *err)
{
	for (const struct sops_node *child = node->first; child != NULL; child = child->next) {
		if (child->alias) {
			AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);

			put_flow(&text, child);
			if (sops_edits_add(edits, child->span, &text, err) < 0)
				return -1;
		} else if (expand_aliases(child, edits, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* --- encrypting --- */

struct encryption {
	struct sops_walk walk;
	const struct sops_document *document;
	const struct sops_document *like;
	struct sops_edits edits;
};

static size_t index_of(const struct sops_node *node)
{
	size_t index = 0;

	for (const struct sops_node *child = node->parent->first; child != node;
	     child = child->next)
		index += child->kind != SOPS_COMMENT;
	return index;
}

/* What stood at the same place in the other document. */
static const struct sops_node *twin(const struct sops_node *root, const struct sops_node *node)
{
	const struct sops_node *parent;
	size_t index;

	if (node->parent == NULL)
		return root;
	parent = twin(root, node->parent);
	if (parent == NULL || node->key != NULL)
		return sops_get(parent, node->key != NULL ? node->key : "");
	index = index_of(node);
	for (const struct sops_node *child = parent->first; child != NULL; child = child->next)
		if (child->kind != SOPS_COMMENT && index-- == 0)
			return child;
	return NULL;
}

static bool same_value(const struct sops_node *one, const struct sops_node *other)
{
	return one->kind == other->kind && one->len == other->len &&
	       memcmp(one->text, other->text, one->len) == 0;
}

static const struct sops_node *twin_comment(const struct sops_node *root,
					    const struct sops_node *node)
{
	const struct sops_node *parent = twin(root, node->parent);

	for (const struct sops_node *child = parent != NULL ? parent->first : NULL; child != NULL;
	     child = child->next)
		if (same_value(child, node))
			return child;
	return NULL;
}

/* Takes the sealed text of what did not change; false when there is none. *item: it stood as an
 * item of a list. */
static bool take_sealed(const struct encryption *e, const struct sops_node *node, struct buf *out,
			bool *item)
{
	const struct sops_node *old;
	const char *text;
	struct sops_sealed sealed;
	size_t len;

	if (e->like == NULL)
		return false;
	old = node->kind == SOPS_COMMENT ? twin_comment(e->like->tree.root, node)
					 : twin(e->like->tree.root, node);
	if (old == NULL || !same_value(old, node) || old->alias)
		return false;
	text = e->like->source.data + old->span.start;
	len = old->span.end - old->span.start;
	if (len > 1 && (text[0] == '"' || text[0] == '#')) {
		len -= text[0] == '"' ? 2 : 1;
		text++;
	}
	if (!sops_sealed_read(text, len, &sealed))
		return false;
	buf_put(out, text, len);
	*item = old->item;
	return true;
}

static bool starts_line(const struct sops_document *document, const struct sops_node *node)
{
	size_t at = node->span.start;

	while (at > 0 && document->source.data[at - 1] == ' ')
		at--;
	return at == 0 || document->source.data[at - 1] == '\n';
}

static int encrypt_leaf(struct sops_walk *walk, struct sops_node *node, bool encrypted,
			struct error *err)
{
	struct encryption *e = CONTAINER_OF(walk, struct encryption, walk);
	enum sops_format format = e->document->tree.format;
	AUTO(buf_deinit)
	struct buf sealed = BUF_INIT(SOPS_DOCUMENT_MAX), text = BUF_INIT(SOPS_DOCUMENT_MAX);
	bool block = node->span.end > 0 && e->document->source.data[node->span.end - 1] == '\n',
	     item = false;

	if (!encrypted || node->len == 0)
		return 0;
	if (!take_sealed(e, node, &sealed, &item) &&
	    sops_seal(e->document->key, node->text, node->len, sops_type_name(node->kind),
		      sops_place(walk, node), &sealed, err) < 0)
		return -1;
	if (node->kind == SOPS_COMMENT)
		buf_puts(&text, item && !node->parent->flow && starts_line(e->document, node)
					? "- "
					: "#");
	if (format == SOPS_JSON ||
	    (format == SOPS_YAML && node->parent->flow && node->kind != SOPS_COMMENT))
		text_write_json(&text, sealed.data, sealed.len);
	else
		buf_put(&text, sealed.data, sealed.len);
	if (format == SOPS_YAML && block)
		buf_putc(&text, '\n');
	return sops_edits_add(&e->edits, node->span, &text, err);
}

static int encrypt_values(struct sops_document *document, const struct sops_document *like,
			  struct error *err)
{
	struct encryption e = {
		.walk = { .rules = &document->rules, .leaf = encrypt_leaf },
		.document = document,
		.like = like,
	};
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	int status = sops_walk(&e.walk, document->tree.root, err);

	if (status == 0) {
		sops_edits_apply(&e.edits, document->source.data, document->source.len, &out);
		status = sops_document_replace(document, &out, err);
	}
	sops_edits_free(&e.edits);
	return status;
}

static int prepare(struct sops_document *document, struct error *err)
{
	AUTO(sops_edits_free) struct sops_edits edits = { .count = 0 };
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);

	if (sops_get(document->tree.root, SOPS_METADATA) != NULL)
		return error_set(err, ERROR_INVALID,
				 "%s has a top-level 'sops' and so is encrypted already",
				 document->file);
	if (expand_aliases(document->tree.root, &edits, err) < 0)
		return -1;
	if (edits.count == 0)
		return 0;
	sops_edits_apply(&edits, document->source.data, document->source.len, &out);
	return sops_document_replace(document, &out, err);
}

static int encrypt(struct sops_document *document, const uint8_t (*recipients)[AGE_KEY_LEN],
		   size_t count, const struct sops_document *like, struct error *err)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	const struct sops_node *metadata = NULL;
	int status;

	if (prepare(document, err) < 0)
		return -1;
	if (like != NULL) {
		metadata = sops_metadata(&like->tree, err);
		memcpy(document->key, like->key, sizeof(document->key));
	} else {
		randombytes_buf(document->key, sizeof(document->key));
	}
	if (sops_rules_read(&document->rules, metadata, err) < 0 ||
	    encrypt_values(document, like, err) < 0)
		return -1;
	if (like != NULL)
		status = sops_metadata_copy(&document->tree, buf_string(&document->source),
					    document->source.len, &like->tree,
					    buf_string(&like->source), &out, err);
	else
		status = sops_metadata_append(&document->tree, buf_string(&document->source),
					      document->source.len, document->key, recipients,
					      count, &out, err);
	return status < 0 ? -1 : sops_document_replace(document, &out, err);
}

int sops_document_encrypt(struct sops_document *document, enum sops_format format, const char *text,
			  size_t len, const char *file, const uint8_t (*recipients)[AGE_KEY_LEN],
			  size_t recipient_count, const struct sops_document *like,
			  struct error *err)
{
	int status = sops_document_init(document, format, text, len, file, err);

	if (status == 0)
		status = encrypt(document, recipients, recipient_count, like, err);
	if (status < 0)
		sops_document_free(document);
	return status;
}

/* --- writing plain --- */

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

static int plain_leaf(struct sops_walk *walk, struct sops_node *node, bool encrypted,
		      struct error *err)
{
	struct plain *p = CONTAINER_OF(walk, struct plain, walk);
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct sops_span span = node->span;

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

static int write_in_place(const struct sops_document *document, struct buf *out, struct error *err)
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
		} else if (child->first == NULL) {
			buf_puts(out, child->kind == SOPS_MAP ? " {}\n" : " []\n");
		} else {
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
		if (strpbrk(child->key, "=\n\r") != NULL)
			return error_set(err, ERROR_BAD_DATA,
					 "'%.100s' cannot be the name of a variable", child->key);
		buf_printf(out, "%s=", child->key);
		for (size_t i = 0; i < child->len; i++) {
			if (child->text[i] == '\n')
				buf_puts(out, "\\n");
			else
				buf_putc(out, child->text[i]);
		}
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
	if (format == document->tree.format) {
		if (write_in_place(document, out, err) < 0)
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

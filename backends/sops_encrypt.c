/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain document becomes an encrypted one by replacing values where they stand.
 */
#include <sodium.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/sops_internal.h"
#include "backends/sops_metadata.h"
#include "backends/sops_scalar.h"

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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain document becomes an encrypted one by replacing values where they stand.
 */
#include <sodium.h>
#include <stdlib.h>
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
	/* Of `like`: its decrypted text, and how much of it the new one begins and ends with. */
	struct buf plain;
	struct sops_origins origins;
	size_t same_before, same_after;
};

static void find_same(struct encryption *e)
{
	const struct buf *text = &e->document->source;
	size_t most = text->len < e->plain.len ? text->len : e->plain.len;

	while (e->same_before < most && text->data[e->same_before] == e->plain.data[e->same_before])
		e->same_before++;
	most -= e->same_before;
	while (e->same_after < most && text->data[text->len - 1 - e->same_after] ==
					       e->plain.data[e->plain.len - 1 - e->same_after])
		e->same_after++;
}

static int compare_origin(const void *key, const void *item)
{
	const size_t *at = key;
	const struct sops_origin *origin = item;

	return *at < origin->plain ? -1 : *at > origin->plain;
}

/* Where a value came from that stands in what did not change; NULL: nowhere. */
static const struct sops_origin *origin_of(const struct encryption *e, const struct sops_node *node)
{
	size_t len = e->document->source.len, at = node->span.start;

	if (node->span.end > e->same_before && at < len - e->same_after)
		return NULL;
	if (node->span.end > e->same_before)
		at = at - len + e->plain.len;
	return bsearch(&at, e->origins.items, e->origins.count, sizeof(*e->origins.items),
		       compare_origin);
}

/* A value is bound to its place, which can be another now although the text is the same. What was
 * found must be the value itself, however it was found. */
static bool still_opens(const struct encryption *e, const struct sops_node *node,
			const struct sops_sealed *sealed)
{
	AUTO(buf_deinit) struct buf plain = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct error ignored;
	int status;

	if (node->kind == SOPS_COMMENT)
		status = sops_unseal_comment(e->like, sealed, &e->walk, &plain, &ignored);
	else
		status = sops_unseal(e->like->key, sealed, sops_place(&e->walk, node), &plain,
				     &ignored);
	return status == 0 && plain.len == node->len &&
	       memcmp(buf_string(&plain), node->text, node->len) == 0;
}

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

static bool starts_line(const struct sops_document *document, const struct sops_node *node)
{
	size_t at = node->span.start;

	while (at > 0 && document->source.data[at - 1] == ' ')
		at--;
	return at == 0 || document->source.data[at - 1] == '\n';
}

/* Whether a comment may stand as an item again: where its line begins as it did, or with it. */
static bool item_fits(const struct encryption *e, const struct sops_node *node,
		      const struct sops_origin *origin)
{
	const struct buf *text = &e->document->source;
	size_t line = node->span.start;

	if (origin == NULL)
		return !node->parent->flow && starts_line(e->document, node);
	while (line > 0 && text->data[line - 1] != '\n')
		line--;
	return node->span.end <= e->same_before || line >= text->len - e->same_after;
}

/* Takes the sealed text of what did not change; false when there is none. *item: it stood as an
 * item of a list. */
static bool take_sealed(const struct encryption *e, const struct sops_node *node, struct buf *out,
			bool *item)
{
	const struct sops_origin *origin = origin_of(e, node);
	const struct sops_node *old = NULL;
	struct sops_sealed sealed;
	struct sops_span span;
	const char *text;

	if (e->like == NULL)
		return false;
	if (origin == NULL) {
		old = node->kind == SOPS_COMMENT ? twin_comment(e->like->tree.root, node)
						 : twin(e->like->tree.root, node);
		if (old == NULL || !same_value(old, node) || old->alias)
			return false;
	}
	span = origin != NULL ? origin->sealed : old->span;
	text = e->like->source.data + span.start;
	*item = (origin != NULL ? text[0] == '-' : old->item) && item_fits(e, node, origin);
	/* Quotes, the mark of a comment, and the dash of an item stand around it. */
	while (span.start < span.end && strchr("\"#- ", *text) != NULL) {
		text++;
		span.start++;
	}
	while (span.end > span.start && text[span.end - span.start - 1] != ']')
		span.end--;
	if (!sops_sealed_read(text, span.end - span.start, &sealed) ||
	    !still_opens(e, node, &sealed))
		return false;
	buf_put(out, text, span.end - span.start);
	return true;
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
		buf_puts(&text, item ? "- " : "#");
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
		.plain = BUF_INIT(2 * SOPS_DOCUMENT_MAX),
	};
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	int status = 0;

	if (like != NULL)
		status = sops_document_plain(like, &e.plain, &e.origins, err);
	if (like != NULL && status == 0)
		find_same(&e);
	if (status == 0)
		status = sops_walk(&e.walk, document->tree.root, err);
	sops_origins_free(&e.origins);
	buf_deinit(&e.plain);
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

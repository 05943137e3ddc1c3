/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not there is first put in place with empty values; then every value is replaced where it
 * stands, sealed as the rules say for that place. The new text is read again between the two, so
 * that positions are always those of the source.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/sops_add.h"
#include "backends/sops_internal.h"
#include "backends/sops_metadata.h"
#include "backends/sops_scalar.h"

static int apply(struct sops_document *document, struct sops_edits *edits, struct error *err)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);

	sops_edits_apply(edits, document->source.data, document->source.len, &out);
	return sops_document_replace(document, &out, err);
}

/* --- values --- */

/* Puts the value of `incoming` wherever one is noted. */
struct filling {
	struct sops_walk walk;
	const struct sops_document *document;
	struct sops_edits edits;
};

/* The spelling of a value that is not encrypted. */
static int put_plain(const struct sops_document *document, const struct sops_node *node,
		     const struct sops_node *value, struct buf *out, struct error *err)
{
	if (document->tree.format == SOPS_JSON) {
		sops_write_json_scalar(out, value);
	} else if (document->tree.format == SOPS_YAML) {
		sops_write_yaml_scalar(out, value, node->parent->flow ? -1 : 0);
	} else if (strstr(value->text, "\\n") != NULL) {
		return error_set(err, ERROR_BAD_DATA,
				 "'%.100s' is not encrypted, and a dotenv file cannot hold \\n in "
				 "plain text",
				 node->key);
	} else {
		for (size_t i = 0; i < value->len; i++) {
			if (value->text[i] == '\n')
				buf_puts(out, "\\n");
			else
				buf_putc(out, value->text[i]);
		}
	}
	return 0;
}

static int fill(struct sops_walk *walk, struct sops_node *node, bool encrypted, struct error *err)
{
	struct filling *filling = CONTAINER_OF(walk, struct filling, walk);
	const struct sops_document *document = filling->document;
	const struct sops_node *value = node->incoming;
	AUTO(buf_deinit)
	struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX), sealed = BUF_INIT(SOPS_DOCUMENT_MAX);
	bool yaml = document->tree.format == SOPS_YAML;

	if (value == NULL)
		return 0;
	if (encrypted && value->kind != SOPS_NULL && value->len > 0 &&
	    sops_seal(document->key, value->text, value->len, sops_type_name(value->kind),
		      sops_place(walk, node), &sealed, err) < 0)
		return -1;
	if (yaml && node->span.start > 0 && node->span.start == node->span.end)
		buf_putc(&text, ' ');
	if (sealed.len == 0) {
		if (put_plain(document, node, value, &text, err) < 0)
			return -1;
	} else if (document->tree.format == SOPS_DOTENV || (yaml && !node->parent->flow)) {
		buf_put(&text, sealed.data, sealed.len);
	} else {
		text_write_json(&text, sealed.data, sealed.len);
	}
	/* A block of lines has its last line's end in it. */
	if (yaml && node->span.end > node->span.start &&
	    document->source.data[node->span.end - 1] == '\n')
		buf_putc(&text, '\n');
	return sops_edits_add(&filling->edits, node->span, &text, err);
}

static int fill_values(struct sops_document *document, struct error *err)
{
	struct filling filling = {
		.walk = { .rules = &document->rules, .leaf = fill },
		.document = document,
	};
	int status = sops_walk(&filling.walk, document->tree.root, err);

	if (status == 0)
		status = apply(document, &filling.edits, err);
	sops_edits_free(&filling.edits);
	return status;
}

/* The value that `node` is to have. */
static int note(const struct sops_document *document, struct sops_node *node,
		const struct sops_node *value, struct error *err)
{
	if (!text_is_utf8(value->text, value->len) ||
	    memchr(value->text, '\0', value->len) != NULL) {
		AUTO(buf_deinit) struct buf path = BUF_INIT(200);

		sops_write_path(&path, node);
		return error_set(err, ERROR_BAD_DATA,
				 "the value of '%s' is not UTF-8 text without NUL, and so nothing "
				 "that %s can hold: encode it first (base64)",
				 buf_string(&path), document->file);
	}
	if (node->kind == SOPS_NULL)
		node->kind = SOPS_STRING; /* so that the walk shows it */
	node->incoming = value;
	return 0;
}

/* --- one value --- */

/* The item of that number; NULL and no error for the one behind the last. */
static struct sops_node *item_at(const struct sops_document *document, const struct sops_node *list,
				 const char *part, bool *bad, struct error *err)
{
	struct sops_node *item = list->first;
	size_t items = 0;
	uint64_t wanted = 0;

	for (const struct sops_node *child = list->first; child != NULL; child = child->next)
		items += child->kind != SOPS_COMMENT;
	*bad = text_read_unsigned(part, items, &wanted, err) < 0;
	if (*bad) {
		(void)error_set(
			err, ERROR_BAD_DATA,
			"%s: a list of %zu items stands before '%.100s'; items are 0 to %zu, "
			"which adds one",
			document->file, items, part, items);
		return NULL;
	}
	while (item != NULL && (item->kind == SOPS_COMMENT || wanted-- > 0))
		item = item->next;
	return item;
}

/* Follows the path as far as it goes; *depth counts the parts that were there. */
static struct sops_node *follow(const struct sops_document *document, const struct sops_path *path,
				size_t *depth, struct error *err)
{
	struct sops_node *node = document->tree.root;

	for (*depth = 0; *depth < path->count; (*depth)++) {
		const char *part = path->parts[*depth];
		struct sops_node *child = NULL;
		bool bad = false;

		if (node->kind == SOPS_MAP) {
			child = sops_get(node, part);
		} else if (node->kind == SOPS_LIST) {
			child = item_at(document, node, part, &bad, err);
		} else {
			bad = true;
			(void)error_set(err, ERROR_BAD_DATA,
					"%s:%u: a value stands before '%.100s'; `agent secrets rm` "
					"removes it",
					document->file, node->line, part);
		}
		if (bad)
			return NULL;
		if (child == NULL)
			return node;
		node = child;
	}
	return node;
}

/* The rest of a path as members to add: a map in a map, and an empty value at its end. */
static struct sops_node *chain(struct sops_tree *tree, const struct sops_node *home,
			       const struct sops_path *path, size_t depth, struct error *err)
{
	struct sops_node *top = NULL, *node = NULL;

	for (size_t i = depth; i < path->count; i++) {
		bool item = i == depth && home->kind == SOPS_LIST;

		node = sops_node_add(tree, node, i + 1 < path->count ? SOPS_MAP : SOPS_STRING,
				     item ? NULL : path->parts[i], "", 0, err);
		if (node == NULL)
			return NULL;
		top = top != NULL ? top : node;
	}
	return top;
}

static int add_rest(struct sops_document *document, const struct sops_node *home,
		    const struct sops_path *path, size_t depth, struct error *err)
{
	AUTO(sops_tree_free) struct sops_tree tree = { .format = document->tree.format };
	AUTO(sops_edits_free) struct sops_edits edits = { .count = 0 };
	AUTO(sops_members_free) struct sops_members members = { .count = 0 };
	const struct sops_node *top = chain(&tree, home, path, depth, err);

	if (top == NULL || sops_members_put(&members, top, err) < 0 ||
	    sops_add(document, home, &members, &edits, err) < 0)
		return -1;
	return apply(document, &edits, err);
}

/* The node at the path, added where there is none. */
static struct sops_node *reach(struct sops_document *document, const struct sops_path *path,
			       struct error *err)
{
	size_t depth;
	struct sops_node *node;

	if (path->count > 0 && strcmp(path->parts[0], SOPS_METADATA) == 0) {
		(void)error_set(err, ERROR_INVALID,
				"'sops' holds the metadata of the file: use another name");
		return NULL;
	}
	node = follow(document, path, &depth, err);
	if (node == NULL || depth == path->count)
		return node;
	if (add_rest(document, node, path, depth, err) < 0)
		return NULL;
	node = follow(document, path, &depth, err);
	if (node != NULL && depth < path->count) {
		(void)error_set(err, ERROR_BAD_DATA, "%s: the value cannot be added there",
				document->file);
		return NULL;
	}
	return node;
}

int sops_document_set(struct sops_document *document, const char *path, enum sops_kind kind,
		      const char *value, size_t len, struct error *err)
{
	AUTO(sops_path_free) struct sops_path parts = { .count = 0 };
	AUTO(sops_tree_free) struct sops_tree holder = { .count = 0 };
	const struct sops_node *incoming =
		sops_node_add(&holder, NULL, kind, NULL, value, len, err);
	struct sops_node *node;

	if (incoming == NULL || sops_path_read(&parts, path, err) < 0)
		return -1;
	node = reach(document, &parts, err);
	if (node == NULL)
		return -1;
	if (!sops_is_scalar(node))
		return error_set(err, ERROR_BAD_DATA,
				 "%s:%u: '%.100s' holds several values; name one of them",
				 document->file, node->line, path);
	if (note(document, node, incoming, err) < 0)
		return -1;
	return fill_values(document, err);
}

/* --- a whole tree --- */

static const char *kind_name(const struct sops_node *node)
{
	return node->kind == SOPS_MAP ? "a map" : node->kind == SOPS_LIST ? "a list" : "a value";
}

static int check_kinds(const struct sops_document *document, const struct sops_node *to,
		       const struct sops_node *from, struct error *err)
{
	AUTO(buf_deinit) struct buf path = BUF_INIT(200);

	if (sops_is_scalar(to) ? sops_is_scalar(from) : to->kind == from->kind)
		return 0;
	sops_write_path(&path, from);
	return error_set(
		err, ERROR_BAD_DATA,
		"%s:%u: '%s' is %s here, and %s in what is added; `agent secrets rm` removes "
		"it",
		document->file, to->line, buf_string(&path), kind_name(to), kind_name(from));
}

struct merge {
	const struct sops_document *document;
	struct sops_edits edits;
};

/* What `to` has at the place of `from`: the member of that name, or the next item. */
static struct sops_node *counterpart(struct sops_node *to, struct sops_node **item,
				     const struct sops_node *from)
{
	struct sops_node *found;

	if (to->kind == SOPS_MAP)
		return sops_get(to, from->key);
	while (*item != NULL && (*item)->kind == SOPS_COMMENT)
		*item = (*item)->next;
	found = *item;
	*item = found != NULL ? found->next : NULL;
	return found;
}

/* What `to` lacks is added behind what it has, so that the edits of inner collections come first.
 */
static int merge_structure(struct merge *merge, struct sops_node *to, const struct sops_node *from,
			   struct error *err)
{
	AUTO(sops_members_free) struct sops_members missing = { .count = 0 };
	struct sops_node *item = to->first;

	for (const struct sops_node *child = from->first; child != NULL; child = child->next) {
		struct sops_node *there;
		int status = 0;

		if (child->kind == SOPS_COMMENT)
			continue;
		there = counterpart(to, &item, child);
		if (there == NULL)
			status = sops_members_put(&missing, child, err);
		else if (check_kinds(merge->document, there, child, err) < 0)
			return -1;
		else if (!sops_is_scalar(child))
			status = merge_structure(merge, there, child, err);
		if (status < 0)
			return -1;
	}
	return sops_add(merge->document, to, &missing, &merge->edits, err);
}

static int note_values(const struct sops_document *document, struct sops_node *to,
		       const struct sops_node *from, struct error *err)
{
	struct sops_node *item = to->first;

	for (const struct sops_node *child = from->first; child != NULL; child = child->next) {
		struct sops_node *there;
		int status;

		if (child->kind == SOPS_COMMENT)
			continue;
		there = counterpart(to, &item, child);
		if (there == NULL || check_kinds(document, there, child, err) < 0)
			return error_set(err, ERROR_BAD_DATA, "%s: '%.100s' cannot be added there",
					 document->file,
					 child->key != NULL ? child->key : "an item");
		status = sops_is_scalar(child) ? note(document, there, child, err)
					       : note_values(document, there, child, err);
		if (status < 0)
			return -1;
	}
	return 0;
}

int sops_document_merge(struct sops_document *document, const struct sops_node *from,
			struct error *err)
{
	struct merge merge = { .document = document };
	int status;

	if (sops_get(from, SOPS_METADATA) != NULL)
		return error_set(
			err, ERROR_INVALID,
			"'sops' holds the metadata of an encrypted file: decrypt it first, or "
			"use another name");
	status = merge_structure(&merge, document->tree.root, from, err);
	if (status == 0)
		status = apply(document, &merge.edits, err);
	sops_edits_free(&merge.edits);
	if (status < 0 || note_values(document, document->tree.root, from, err) < 0)
		return -1;
	return fill_values(document, err);
}

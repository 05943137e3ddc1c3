/* SPDX-License-Identifier: Apache-2.0 */
/* The strict reader keeps each value's own bytes, from which the places in the source follow. */
#include <stdio.h>
#include <string.h>

#include "agent/base/json.h"
#include "backends/sops_scalar.h"

static const struct json_limits limits = {
	.depth = SOPS_DEPTH_MAX,
	.nodes = 2 * SOPS_NODES_MAX,
	.bytes = SOPS_DOCUMENT_MAX,
};

struct reader {
	struct sops_tree *tree;
	const char *text;
	const char *base; /* the byte of the document's copy that is text[0] */
	unsigned line;	  /* of `counted` */
	size_t counted, line_start;
};

static void count_lines(struct reader *r, size_t at)
{
	for (; r->counted < at; r->counted++)
		if (r->text[r->counted] == '\n') {
			r->line++;
			r->line_start = r->counted + 1;
		}
}

/* Backwards over white space, the colon and the key's quotes; a quote inside has an odd count of
 * \ before it. */
static struct sops_span key_before(const char *text, size_t at)
{
	struct sops_span span;

	while (text[at - 1] != '"')
		at--;
	span.end = at;
	for (at--; at > 0; at--) {
		size_t escapes = 0;

		if (text[at - 1] != '"')
			continue;
		while (at - 1 > escapes && text[at - 2 - escapes] == '\\')
			escapes++;
		if (escapes % 2 == 0)
			break;
	}
	span.start = at - 1;
	return span;
}

static enum sops_kind kind_of(const struct json_node *node)
{
	static const enum sops_kind kinds[] = {
		[JSON_IS_NULL] = SOPS_NULL,    [JSON_IS_BOOL] = SOPS_BOOL,
		[JSON_IS_NUMBER] = SOPS_FLOAT, [JSON_IS_STRING] = SOPS_STRING,
		[JSON_IS_LIST] = SOPS_LIST,    [JSON_IS_MAP] = SOPS_MAP,
	};

	return kinds[node->type];
}

static int check_text(const struct json_node *node, const struct reader *r, struct error *err)
{
	if ((node->key != NULL && strlen(node->key) != node->key_len) ||
	    (node->type == JSON_IS_STRING && strlen(node->text) != node->text_len))
		return error_set(err, ERROR_BAD_DATA, "line %u: a key or value holds NUL", r->line);
	return 0;
}

static int add(struct reader *r, struct sops_node *parent, const struct json_node *from,
	       struct error *err)
{
	AUTO(buf_deinit) struct buf number = BUF_INIT(1024);
	size_t start = (size_t)(from->raw - r->base);
	const char *text = from->type == JSON_IS_STRING ? from->text : "";
	size_t len = from->type == JSON_IS_STRING ? from->text_len : 0;
	struct sops_node *node;

	count_lines(r, start);
	if (check_text(from, r, err) < 0)
		return -1;
	if (from->type == JSON_IS_NUMBER) {
		/* To sops each number of JSON is a float. */
		if (!sops_write_float(&number, from->text))
			return error_set(err, ERROR_BAD_DATA, "line %u: a number is too long",
					 r->line);
		text = buf_string(&number);
		len = number.len;
	} else if (from->type == JSON_IS_BOOL) {
		text = from->truth ? "True" : "False";
		len = strlen(text);
	}
	node = sops_node_add(r->tree, parent, kind_of(from), from->key, text, len, err);
	if (node == NULL)
		return -1;
	node->flow = true;
	node->quoted = from->type == JSON_IS_STRING;
	node->span = (struct sops_span){ start, start + from->raw_len };
	if (from->key != NULL)
		node->key_span = key_before(r->text, start);
	node->line = r->line;
	node->column = (unsigned)(start - r->line_start) + 1;
	if (parent == NULL)
		r->tree->root = node;
	for (const struct json_node *child = from->first; child != NULL; child = child->next)
		if (add(r, node, child, err) < 0)
			return -1;
	return 0;
}

/* The reader names the byte; people look for the line. */
static int name_line(const char *text, size_t len, struct error *err)
{
	const char *reason = strstr(err->text, ": ");
	struct error told = *err;
	unsigned line = 1;
	size_t at;

	if (err->code != ERROR_PROTOCOL || reason == NULL ||
	    sscanf(err->text, "JSON at byte %zu", &at) != 1)
		return -1;
	for (size_t i = 0; i < at && i < len; i++)
		line += text[i] == '\n';
	return error_set(err, ERROR_BAD_DATA, "line %u: not JSON: %s", line,
			 told.text + (reason + 2 - err->text));
}

int sops_json_read(struct sops_tree *tree, const char *text, size_t len, struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = json_doc_read(text, len, &limits, err);
	struct reader r = { .tree = tree, .text = text, .line = 1 };
	const struct json_node *root;

	if (doc == NULL)
		return name_line(text, len, err);
	root = json_doc_root(doc);
	if (root->type != JSON_IS_MAP)
		return error_set(err, ERROR_BAD_DATA, "line 1: a document must be an object");
	r.base = root->raw - strspn(text, " \t\r\n");
	return add(&r, NULL, root, err);
}

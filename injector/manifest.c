/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/manifest.h"

#include <string.h>

#include "agent/base/text.h"
#include "agent/base/yaml.h"

enum { TEXT_MOST = 16 << 20 };

/* Depth and nodes as YAML_CONFIG_LIMITS and the review have them. */
static const struct yaml_limits yaml_limits = { .depth = 64, .nodes = 50000, .bytes = TEXT_MOST };
static const struct json_limits json_limits = { .depth = 64, .nodes = 50000, .bytes = TEXT_MOST };

/* "---" alone on its line, or with a comment. */
static bool is_separator(const char *line, size_t len)
{
	return len >= 3 && memcmp(line, "---", 3) == 0 &&
	       (len == 3 || line[3] == ' ' || line[3] == '\r' || line[3] == '\t');
}

bool manifest_next(const char **text, size_t *len, const char **document, size_t *document_len)
{
	const char *end = *text + *len, *line = *text, *newline;
	size_t line_len;

	if (*len == 0)
		return false;
	*document = *text;
	for (; line < end; line = newline != NULL ? newline + 1 : end) {
		newline = memchr(line, '\n', (size_t)(end - line));
		line_len = (size_t)((newline != NULL ? newline : end) - line);
		if (is_separator(line, line_len)) {
			*document_len = (size_t)(line - *document);
			*text = newline != NULL ? newline + 1 : end;
			*len = (size_t)(end - *text);
			return true;
		}
	}
	*document_len = *len;
	*text = end;
	*len = 0;
	return true;
}

static int write_scalar(struct buf *out, const struct yaml_node *node, struct error *err)
{
	switch (node->core) {
	case YAML_CORE_NULL:
		buf_puts(out, "null");
		return 0;
	case YAML_CORE_BOOL:
		buf_puts(out, node->text[0] == 't' || node->text[0] == 'T' ? "true" : "false");
		return 0;
	case YAML_CORE_INT:
	case YAML_CORE_FLOAT:
		/* Octal and hexadecimal numbers, infinities and the like are in no pod: the reader
		 * of JSON says where. */
		buf_put(out, node->text, node->text_len);
		return 0;
	case YAML_CORE_STRING:
		text_write_json(out, node->text, node->text_len);
		return 0;
	}
	return error_set(err, ERROR_INVALID, "line %zu: no value", node->mark.line);
}

static int write_json(struct buf *out, const struct yaml_node *node, struct error *err)
{
	if (node->type == YAML_IS_SCALAR)
		return write_scalar(out, node, err);
	buf_putc(out, node->type == YAML_IS_MAP ? '{' : '[');
	for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
		if (node->type == YAML_IS_MAP) {
			text_write_json(out, child->key, strlen(child->key));
			buf_putc(out, ':');
		}
		if (write_json(out, child, err) < 0)
			return -1;
		if (child->next != NULL)
			buf_putc(out, ',');
	}
	buf_putc(out, node->type == YAML_IS_MAP ? '}' : ']');
	return 0;
}

struct json_doc *manifest_read(const char *document, size_t len, struct error *err)
{
	AUTO(yaml_doc_freep)
	struct yaml_doc *doc = yaml_doc_read(document, len, &yaml_limits, NULL, err);
	AUTO(buf_deinit) struct buf json = BUF_INIT(TEXT_MOST);

	if (doc == NULL || write_json(&json, yaml_doc_root(doc), err) < 0 ||
	    buf_check(&json, "the document", err) < 0)
		return NULL;
	return json_doc_read(buf_string(&json), json.len, &json_limits, err);
}

const struct json_node *manifest_pod(const struct json_node *root)
{
	const char *kind = json_string(json_get(root, "kind"));
	const struct json_node *spec = json_get(root, "spec");

	if (kind == NULL)
		return NULL;
	if (strcmp(kind, "Pod") == 0)
		return root;
	if (strcmp(kind, "CronJob") == 0)
		spec = json_get(json_get(spec, "jobTemplate"), "spec");
	return json_get(spec, "template");
}

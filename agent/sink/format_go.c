/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the default templates of injected Vault Agents make of a secret, byte for byte: Go's
 * fmt and encoding/json over the decoded answer. Maps are in the order of their keys' bytes and
 * numbers as the server spelled them.
 */
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/secret.h"
#include "agent/base/text.h"
#include "agent/sink/format.h"

/* ---- order ---- */

static int compare_bytes(const char *one, size_t one_len, const char *other, size_t other_len)
{
	int order = memcmp(one, other, one_len < other_len ? one_len : other_len);

	return order != 0 ? order : (one_len > other_len) - (one_len < other_len);
}

static int compare_nodes(const void *one, const void *other)
{
	const struct json_node *left = *(const struct json_node *const *)one;
	const struct json_node *right = *(const struct json_node *const *)other;

	/* Items of a list have no keys, and are never sorted. */
	return compare_bytes(left->key, left->key_len, right->key, right->key_len);
}

static int compare_fields(const void *one, const void *other)
{
	const struct field *left = *(const struct field *const *)one;
	const struct field *right = *(const struct field *const *)other;

	return strcmp(left->name, right->name);
}

/* The children in the order in which Go visits them; freed with free. */
static const struct json_node **children_of(const struct json_node *node, struct error *err)
{
	const struct json_node **children = calloc(node->count + 1, sizeof(*children));
	size_t i = 0;

	if (children == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	for (const struct json_node *child = node->first; child != NULL; child = child->next)
		children[i++] = child;
	if (node->type == JSON_IS_MAP)
		qsort(children, node->count, sizeof(*children), compare_nodes);
	return children;
}

/* ---- fmt's %v ---- */

static int put_value(struct buf *out, const struct json_node *node, struct error *err);

/* map[a:1 b:[x y]]; nothing says where a string ends, in Go neither. */
static int put_nested(struct buf *out, const struct json_node *node, struct error *err)
{
	AUTO(freep) const struct json_node **children = children_of(node, err);

	if (children == NULL)
		return -1;
	buf_puts(out, node->type == JSON_IS_MAP ? "map[" : "[");
	for (size_t i = 0; i < node->count; i++) {
		if (i > 0)
			buf_putc(out, ' ');
		if (node->type == JSON_IS_MAP) {
			buf_put(out, children[i]->key, children[i]->key_len);
			buf_putc(out, ':');
		}
		if (put_value(out, children[i], err) < 0)
			return -1;
	}
	buf_putc(out, ']');
	return 0;
}

static int put_value(struct buf *out, const struct json_node *node, struct error *err)
{
	switch (node->type) {
	case JSON_IS_NULL:
		buf_puts(out, "<nil>");
		return 0;
	case JSON_IS_BOOL:
		buf_puts(out, node->truth ? "true" : "false");
		return 0;
	case JSON_IS_NUMBER:
	case JSON_IS_STRING:
		buf_put(out, node->text, node->text_len);
		return 0;
	case JSON_IS_LIST:
	case JSON_IS_MAP:
		break;
	}
	return put_nested(out, node, err);
}

/* A template prints a value that is nil in other words than fmt prints one inside of a value. */
static int put_printed(struct buf *out, const struct json_node *node, struct error *err)
{
	if (node->type != JSON_IS_NULL)
		return put_value(out, node, err);
	buf_puts(out, "<no value>");
	return 0;
}

/* ---- encoding/json ---- */

/* What a string of Go's encoder escapes: as JSON must, and what HTML and JavaScript trip over. */
static void put_string(struct buf *out, const char *text, size_t len)
{
	static const char letters[] = "\b\f\n\r\t\"\\";
	static const char escapes[] = "bfnrt\"\\";
	const char *letter;
	uint32_t point;
	size_t taken;

	buf_putc(out, '"');
	for (size_t at = 0; at < len; at += taken) {
		taken = text_read_character(text + at, len - at, &point);
		if (taken == 0)
			break;
		letter = point != 0 && point < 0x80 ? strchr(letters, (int)point) : NULL;
		if (letter != NULL) {
			buf_putc(out, '\\');
			buf_putc(out, escapes[letter - letters]);
		} else if (point < 0x20 || point == '<' || point == '>' || point == '&' ||
			   point == 0x2028 || point == 0x2029) {
			buf_printf(out, "\\u%04x", point);
		} else {
			buf_put(out, text + at, taken);
		}
	}
	buf_putc(out, '"');
}

static int put_json(struct buf *out, const struct json_node *node, struct error *err)
{
	AUTO(freep) const struct json_node **children = NULL;
	bool map = node->type == JSON_IS_MAP;

	if (node->type == JSON_IS_STRING) {
		put_string(out, node->text, node->text_len);
		return 0;
	}
	if (!map && node->type != JSON_IS_LIST) {
		buf_put(out, node->raw, node->raw_len);
		return 0;
	}
	children = children_of(node, err);
	if (children == NULL)
		return -1;
	buf_putc(out, map ? '{' : '[');
	for (size_t i = 0; i < node->count; i++) {
		if (i > 0)
			buf_putc(out, ',');
		if (map) {
			put_string(out, children[i]->key, children[i]->key_len);
			buf_putc(out, ':');
		}
		if (put_json(out, children[i], err) < 0)
			return -1;
	}
	buf_putc(out, map ? '}' : ']');
	return 0;
}

/* ---- the two templates ---- */

typedef int put_node(struct buf *out, const struct json_node *node, struct error *err);

/* A field's JSON by `put`. */
static int put_field(struct buf *out, const struct field *field, put_node *put, struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = format_read_field(field, err);

	return doc != NULL ? put(out, json_doc_root(doc), err) : -1;
}

/* {{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }} */
static int put_map_line(struct buf *out, const struct field *field, struct error *err)
{
	buf_puts(out, field->name);
	buf_puts(out, ": ");
	if (field->type == FIELD_STRING)
		buf_put(out, secret_bytes(field->value), secret_len(field->value));
	else if (put_field(out, field, put_printed, err) < 0)
		return -1;
	buf_putc(out, '\n');
	return 0;
}

static int put_json_member(struct buf *out, const struct field *field, struct error *err)
{
	put_string(out, field->name, strlen(field->name));
	buf_putc(out, ':');
	if (field->type != FIELD_STRING)
		return put_field(out, field, put_json, err);
	put_string(out, (const char *)secret_bytes(field->value), secret_len(field->value));
	return 0;
}

int format_write_go(struct buf *out, const struct secret_version *version, bool json,
		    struct error *err)
{
	AUTO(freep) const struct field **fields = calloc(version->count + 1, sizeof(*fields));

	if (fields == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < version->count; i++)
		fields[i] = &version->fields[i];
	qsort(fields, version->count, sizeof(*fields), compare_fields);
	for (size_t i = 0; i < version->count; i++) {
		if (json)
			buf_putc(out, i > 0 ? ',' : '{');
		if ((json ? put_json_member : put_map_line)(out, fields[i], err) < 0)
			return -1;
	}
	if (json)
		buf_puts(out, version->count > 0 ? "}\n" : "{}\n");
	return 0;
}

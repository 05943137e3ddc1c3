/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/yaml_write.h"

#include <string.h>
#include <strings.h>

#include "agent/base/macros.h"
#include "agent/base/text.h"

enum { WORD_MAX = 5 };

struct writer {
	struct buf *out;
	enum yaml_style style;
};

/* Words that some YAML reads as no string. */
static bool is_word_of_yaml(const char *text, size_t len)
{
	static const char *const words[] = { "true", "false", "null", "yes", "no",
					     "on",   "off",   "y",    "n" };

	for (size_t i = 0; len <= WORD_MAX && i < ARRAY_SIZE(words); i++)
		if (strcasecmp(words[i], text) == 0)
			return true;
	return false;
}

/* 2: may begin a plain word, 1: may be within one. */
static const unsigned char letters[256] = {
	['A' ... 'Z'] = 2, ['a' ... 'z'] = 2, ['_'] = 2, ['/'] = 2,
	['0' ... '9'] = 1, ['.'] = 1,	      ['-'] = 1,
};

static bool is_plain(const char *text, size_t len)
{
	if (len == 0 || letters[(unsigned char)text[0]] != 2 || text[len - 1] == '-')
		return false;
	for (size_t i = 1; i < len; i++)
		if (letters[(unsigned char)text[i]] == 0)
			return false;
	return !is_word_of_yaml(text, len);
}

/* Characters that JSON has in a string as they are, and that YAML takes for the end of a line, or
 * not at all. */
static bool is_for_json_alone(uint32_t character)
{
	return (character >= 0x7f && character <= 0x9f) || character == 0x2028 ||
	       character == 0x2029 || character == 0xfeff || character == 0xfffe ||
	       character == 0xffff;
}

/* How much of the text stands in YAML as it does in JSON. */
static size_t span_of_both(const char *text, size_t len)
{
	uint32_t character;
	size_t at = 0, size;

	for (; at < len; at += size) {
		size = 1;
		if ((unsigned char)text[at] < 0x7f)
			continue;
		size = text_read_character(text + at, len - at, &character);
		if (size == 0 || is_for_json_alone(character))
			return at;
	}
	return at;
}

static void write_quoted(struct buf *out, const char *text, size_t len)
{
	AUTO(buf_deinit) struct buf json = BUF_INIT(6 * len + 2); /* all of it as \\u00xx */
	const char *at, *end;
	uint32_t character;
	size_t plain;

	if (span_of_both(text, len) == len) {
		text_write_json(out, text, len);
		return;
	}
	text_write_json(&json, text, len);
	out->failed = out->failed || json.failed;
	at = buf_string(&json);
	end = at + json.len;
	while (at < end) {
		plain = span_of_both(at, (size_t)(end - at));
		buf_put(out, at, plain);
		at += plain;
		if (at == end)
			break;
		at += text_read_character(at, (size_t)(end - at), &character);
		buf_printf(out, "\\u%04x", character);
	}
}

static void write_text(struct buf *out, const char *text, size_t len)
{
	if (is_plain(text, len))
		buf_put(out, text, len);
	else
		write_quoted(out, text, len);
}

static void indent(struct buf *out, unsigned depth)
{
	for (; depth > 0; depth--)
		buf_puts(out, "  ");
}

/* Several lines that stand as they are in a literal block. */
static bool is_block_text(const char *text, size_t len)
{
	if (memchr(text, '\n', len) == NULL || text[0] == '\n' || text[0] == ' ' ||
	    text[len - 1] != '\n' || (len > 1 && text[len - 2] == '\n'))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' && text[i] != '\n')
			return false;
	return span_of_both(text, len) == len;
}

static void write_block_text(struct buf *out, const char *text, unsigned depth)
{
	size_t len;

	buf_putc(out, '|');
	for (; *text != '\0'; text += len + 1) {
		len = strcspn(text, "\n");
		buf_putc(out, '\n');
		if (len > 0)
			indent(out, depth);
		buf_put(out, text, len);
	}
}

static bool is_scalar(const struct json_node *node)
{
	return node->type != JSON_IS_MAP && node->type != JSON_IS_LIST;
}

/* Fits on one line: scalars, lists of scalars, and maps of both. */
static bool is_leaf(const struct json_node *node, unsigned levels)
{
	for (const struct json_node *child = node->first; child != NULL; child = child->next)
		if (!is_scalar(child) && (levels == 0 || !is_leaf(child, levels - 1)))
			return false;
	return true;
}

static void write_flow(struct buf *out, const struct json_node *node)
{
	if (node->type == JSON_IS_STRING) {
		write_text(out, node->text, node->text_len);
		return;
	}
	if (is_scalar(node)) {
		json_write(out, node);
		return;
	}
	buf_puts(out, node->type == JSON_IS_MAP ? "{ " : "[ ");
	for (const struct json_node *child = node->first; child != NULL; child = child->next) {
		if (child->key != NULL) {
			write_text(out, child->key, child->key_len);
			buf_puts(out, ": ");
		}
		write_flow(out, child);
		if (child->next != NULL)
			buf_puts(out, ", ");
	}
	buf_puts(out, node->type == JSON_IS_MAP ? " }" : " ]");
}

static void write_children(const struct writer *writer, const struct json_node *node,
			   unsigned depth, bool inlined);

/* Behind "key:" or "-". */
static void write_value(const struct writer *writer, const struct json_node *node, unsigned depth,
			bool in_list)
{
	struct buf *out = writer->out;

	if (node->type == JSON_IS_STRING && is_block_text(node->text, node->text_len)) {
		buf_putc(out, ' ');
		write_block_text(out, node->text, depth + 1);
		buf_putc(out, '\n');
	} else if (is_scalar(node) || (writer->style == YAML_STYLE_COMPACT && is_leaf(node, 1) &&
				       node->first != NULL)) {
		buf_putc(out, ' ');
		write_flow(out, node);
		buf_putc(out, '\n');
	} else if (node->first == NULL) {
		buf_puts(out, node->type == JSON_IS_MAP ? " {}\n" : " []\n");
	} else if (in_list && node->type == JSON_IS_MAP) {
		buf_putc(out, ' ');
		write_children(writer, node, depth + 1, true);
	} else {
		buf_putc(out, '\n');
		/* The items of a map's list stand under their key. */
		write_children(writer, node, depth + (node->type == JSON_IS_MAP || in_list ? 1 : 0),
			       false);
	}
}

/* `inlined`: the first child stands behind "- " already. */
static void write_children(const struct writer *writer, const struct json_node *node,
			   unsigned depth, bool inlined)
{
	for (const struct json_node *child = node->first; child != NULL; child = child->next) {
		if (!inlined)
			indent(writer->out, depth);
		inlined = false;
		if (node->type == JSON_IS_LIST) {
			buf_putc(writer->out, '-');
		} else {
			write_text(writer->out, child->key, child->key_len);
			buf_putc(writer->out, ':');
		}
		write_value(writer, child, depth, node->type == JSON_IS_LIST);
	}
}

void yaml_write(struct buf *out, const struct json_node *root, enum yaml_style style)
{
	const struct writer writer = { .out = out, .style = style };

	if (is_scalar(root) || root->first == NULL) {
		write_flow(out, root);
		buf_putc(out, '\n');
		return;
	}
	write_children(&writer, root, 0, false);
}

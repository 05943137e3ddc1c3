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

static void write_text(struct buf *out, const char *text, size_t len)
{
	if (is_plain(text, len))
		buf_put(out, text, len);
	else
		text_write_json(out, text, len);
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
		if (((unsigned char)text[i] < ' ' && text[i] != '\n') || text[i] == 0x7f)
			return false;
	return true;
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

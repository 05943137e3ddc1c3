/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as Go's encoding/json writes it: keys in order, < > & escaped unless asked otherwise.
 */
#include <math.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/template/functions.h"
#include "agent/template/number.h"
#include "agent/template/strings.h"
#include "agent/template/unicode.h"

struct writer {
	struct render *render;
	struct buf *out;
	bool pretty, escapes_html;
};

static int write_value(struct writer *writer, const struct value *value, unsigned depth);

/* ---- strings ---- */

static void write_sign(struct writer *writer, uint32_t character)
{
	static const char letters[] = "bfnrt", values[] = "\b\f\n\r\t";
	const char *found = character != 0 ? strchr(values, (int)character) : NULL;

	if (character == '"' || character == '\\')
		buf_printf(writer->out, "\\%c", (char)character);
	else if (found != NULL)
		buf_printf(writer->out, "\\%c", letters[found - values]);
	else if (character < ' ' || (writer->escapes_html &&
				     (character == '<' || character == '>' || character == '&')))
		buf_printf(writer->out, "\\u%04x", character);
	else
		buf_putc(writer->out, (char)character);
}

static void write_string(struct writer *writer, const struct value *text)
{
	uint32_t character;

	buf_putc(writer->out, '"');
	for (size_t at = 0; at < text->len;) {
		size_t len = strings_character(text, at, &character);

		if (character < 0x80)
			write_sign(writer, character);
		else if (character == 0x2028 || character == 0x2029 ||
			 (character == UNICODE_REPLACEMENT && len == 1))
			buf_printf(writer->out, "\\u%04x", character);
		else
			buf_put(writer->out, text->bytes + at, len);
		at += len;
	}
	buf_putc(writer->out, '"');
}

/* ---- numbers ---- */

/* As a browser writes it: an exponent only where it is far away, and that without zeros. */
static int write_real(struct writer *writer, double value)
{
	double size = fabs(value);
	size_t len;
	char *text;

	if (isnan(value) || isinf(value))
		return render_error(writer->render, "JSON has no number for a NaN or an infinity");
	if (size == 0 || (size >= 1e-6 && size < 1e21)) {
		number_write_real(writer->out, value, 'f', -1);
		return 0;
	}
	number_write_real(writer->out, value, 'e', -1);
	len = writer->out->len;
	text = writer->out->data;
	if (!writer->out->failed && len >= 4 && text[len - 4] == 'e' && text[len - 3] == '-' &&
	    text[len - 2] == '0') {
		text[len - 2] = text[len - 1];
		buf_truncate(writer->out, len - 1);
	}
	return 0;
}

/* ---- what holds others ---- */

static void write_line(struct writer *writer, unsigned depth)
{
	if (!writer->pretty)
		return;
	buf_putc(writer->out, '\n');
	for (unsigned i = 0; i < depth; i++)
		buf_puts(writer->out, "  ");
}

static int write_list(struct writer *writer, const struct value *list, unsigned depth)
{
	buf_putc(writer->out, '[');
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			buf_putc(writer->out, ',');
		write_line(writer, depth + 1);
		if (write_value(writer, &list->items[i], depth + 1) < 0)
			return -1;
	}
	if (list->count > 0)
		write_line(writer, depth);
	buf_putc(writer->out, ']');
	return 0;
}

static int write_member(struct writer *writer, const struct value *key, const struct value *value,
			bool first, unsigned depth)
{
	if (!first)
		buf_putc(writer->out, ',');
	write_line(writer, depth + 1);
	write_string(writer, key);
	buf_puts(writer->out, writer->pretty ? ": " : ":");
	return write_value(writer, value, depth + 1);
}

static int write_map(struct writer *writer, const struct map *map, unsigned depth)
{
	buf_putc(writer->out, '{');
	for (size_t i = 0; i < map->count; i++)
		if (write_member(writer, &map->entries[i].key, &map->entries[i].value, i == 0,
				 depth) < 0)
			return -1;
	if (map->count > 0)
		write_line(writer, depth);
	buf_putc(writer->out, '}');
	return 0;
}

static int write_object(struct writer *writer, const struct object *object, unsigned depth)
{
	if (object->type->fields == NULL)
		return render_error(writer->render, "this value has no JSON");
	buf_putc(writer->out, '{');
	for (size_t i = 0; i < object->type->count; i++) {
		const char *name = object->type->fields[i];
		struct value key = value_text(name, strlen(name));

		if (write_member(writer, &key, &object->fields[i], i == 0, depth) < 0)
			return -1;
	}
	write_line(writer, depth);
	buf_putc(writer->out, '}');
	return 0;
}

static int write_value(struct writer *writer, const struct value *value, unsigned depth)
{
	if (depth > TEMPLATE_NESTING_MAX)
		return render_error(writer->render, "the value is nested too deep");
	if (value_is_nil(value)) {
		buf_puts(writer->out, "null");
		return 0;
	}
	if (value->type == VALUE_STRING) {
		write_string(writer, value);
		return 0;
	}
	if (value->type == VALUE_NUMBER) {
		buf_put(writer->out, value->bytes, value->len);
		return 0;
	}
	if (value_is_list(value))
		return write_list(writer, value, depth);
	if (value->type == VALUE_MAP || value->type == VALUE_STRING_MAP)
		return write_map(writer, value->map, depth);
	if (value->type == VALUE_OBJECT)
		return write_object(writer, value->object, depth);
	if (value->type == VALUE_FLOAT64)
		return write_real(writer, value->real);
	if (value->type == VALUE_BOOL)
		buf_puts(writer->out, value->truth ? "true" : "false");
	else if (value->type == VALUE_INT || value->type == VALUE_INT64)
		buf_printf(writer->out, "%lld", (long long)value->integer);
	else if (value->type == VALUE_UINT64 || value->type == VALUE_UINT8)
		buf_printf(writer->out, "%llu", (unsigned long long)value->unsigned_);
	else
		return render_error(writer->render, "%s has no JSON", value_type_name(value));
	return 0;
}

static int to_json(struct render *render, const struct value *value, bool pretty, bool escapes_html,
		   struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	struct writer writer = {
		.render = render, .out = &out, .pretty = pretty, .escapes_html = escapes_html
	};

	return write_value(&writer, value, 0) < 0 ? -1 : render_string(render, &out, ret);
}

static int call_to_json(struct render *render, const struct value *arguments, size_t count,
			struct value *ret)
{
	(void)count;
	return to_json(render, &arguments[0], false, true, ret);
}

static int call_to_json_pretty(struct render *render, const struct value *arguments, size_t count,
			       struct value *ret)
{
	(void)count;
	return to_json(render, &arguments[0], true, true, ret);
}

static int call_to_unescaped(struct render *render, const struct value *arguments, size_t count,
			     struct value *ret)
{
	(void)count;
	return to_json(render, &arguments[0], false, false, ret);
}

static int call_to_unescaped_pretty(struct render *render, const struct value *arguments,
				    size_t count, struct value *ret)
{
	(void)count;
	return to_json(render, &arguments[0], true, false, ret);
}

const struct template_function functions_json[] = {
	{ "toJSON", "a", call_to_json },
	{ "toJSONPretty", "a", call_to_json_pretty },
	{ "toUnescapedJSON", "a", call_to_unescaped },
	{ "toUnescapedJSONPretty", "a", call_to_unescaped_pretty },
	{ 0 },
};

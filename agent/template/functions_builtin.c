/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of Go's text/template itself, without the comparisons.
 */
#include <string.h>

#include "agent/base/text.h"
#include "agent/template/format.h"
#include "agent/template/functions.h"
#include "agent/template/unicode.h"

/* ---- index, slice, len ---- */

static int read_index(struct render *render, const struct value *index, size_t end, size_t *ret)
{
	int64_t place;

	if (index->type == VALUE_INT || index->type == VALUE_INT64)
		place = index->integer;
	else if (index->type == VALUE_UINT64 || index->type == VALUE_UINT8)
		place = index->unsigned_ > INT64_MAX ? -1 : (int64_t)index->unsigned_;
	else
		return render_error(render, "%s is no index", value_type_name(index));
	if (place < 0 || (uint64_t)place > end)
		return render_error(render, "the index is out of range");
	*ret = (size_t)place;
	return 0;
}

static int index_list(struct render *render, const struct value *list, const struct value *index,
		      struct value *ret)
{
	size_t len = value_is_text(list) ? list->len : list->count, place = 0;

	if (read_index(render, index, len, &place) < 0)
		return -1;
	if (place == len)
		return render_error(render, "the index is out of range");
	if (value_is_text(list))
		*ret = (struct value){ .type = VALUE_UINT8,
				       .unsigned_ = (unsigned char)list->bytes[place] };
	else
		*ret = list->items[place];
	return 0;
}

static int index_map(struct render *render, const struct value *map, const struct value *index,
		     struct value *ret)
{
	const struct value *found;

	if (map->type != VALUE_ANY_MAP && index->type != VALUE_STRING)
		return render_error(render, "the key is %s and should be a string",
				    value_type_name(index));
	found = map_find(map->map, index);
	if (found != NULL)
		*ret = *found;
	else
		*ret = map->type == VALUE_STRING_MAP ? value_text("", 0)
						     : (struct value){ .type = VALUE_NIL };
	return 0;
}

static int call_index(struct render *render, const struct value *arguments, size_t count,
		      struct value *ret)
{
	struct value value = arguments[0], found;

	if (value.type == VALUE_NIL || value.type == VALUE_NONE)
		return render_error(render, "there is nothing to index");
	for (size_t i = 1; i < count; i++) {
		int done;

		if (value_is_text(&value) || value_is_list(&value))
			done = index_list(render, &value, &arguments[i], &found);
		else if (value_is_map(&value))
			done = index_map(render, &value, &arguments[i], &found);
		else
			done = render_error(render, "%s cannot be indexed",
					    value_type_name(&value));
		if (done < 0)
			return -1;
		value = found;
	}
	*ret = value;
	return 0;
}

static int call_slice(struct render *render, const struct value *arguments, size_t count,
		      struct value *ret)
{
	const struct value *value = &arguments[0];
	size_t len, places[3];

	if (!value_is_text(value) && !value_is_list(value))
		return render_error(render, "%s cannot be sliced", value_type_name(value));
	len = value_is_text(value) ? value->len : value->count;
	places[0] = 0;
	places[1] = len;
	if (count > 4 || (count == 4 && value_is_text(value)))
		return render_error(render, "there are too many indexes");
	for (size_t i = 1; i < count; i++)
		if (read_index(render, &arguments[i], len, &places[i - 1]) < 0)
			return -1;
	if (places[0] > places[1] || (count == 4 && places[1] > places[2]))
		return render_error(render, "the indexes are in the wrong order");
	*ret = *value;
	if (value_is_text(value)) {
		ret->bytes = value->bytes != NULL ? value->bytes + places[0] : NULL;
		ret->len = places[1] - places[0];
	} else {
		ret->items = value->items != NULL ? value->items + places[0] : NULL;
		ret->count = places[1] - places[0];
	}
	return 0;
}

static int call_len(struct render *render, const struct value *arguments, size_t count,
		    struct value *ret)
{
	const struct value *value = &arguments[0];
	size_t len;

	(void)count;
	if (value_is_text(value))
		len = value->len;
	else if (value_is_list(value))
		len = value->count;
	else if (value_is_map(value))
		len = value->map != NULL ? value->map->count : 0;
	else if (value->type == VALUE_LOOP)
		len = 0;
	else
		return render_error(render, "%s has no length", value_type_name(value));
	*ret = value_int((int64_t)len);
	return 0;
}

static int call_not(struct render *render, const struct value *arguments, size_t count,
		    struct value *ret)
{
	(void)render;
	(void)count;
	*ret = value_bool(!value_truth(&arguments[0]));
	return 0;
}

/* ---- printing ---- */

static int call_print(struct render *render, const struct value *arguments, size_t count,
		      struct value *ret)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);

	return format_print(render, &text, arguments, count) < 0
		       ? -1
		       : render_string(render, &text, ret);
}

static int call_println(struct render *render, const struct value *arguments, size_t count,
			struct value *ret)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);

	return format_println(render, &text, arguments, count) < 0
		       ? -1
		       : render_string(render, &text, ret);
}

static int call_printf(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);

	return format_printf(render, &text, arguments, arguments + 1, count - 1) < 0
		       ? -1
		       : render_string(render, &text, ret);
}

/* ---- escapes ---- */

/* The arguments as one text: nothing is <no value> here, as in an action. */
static int join_arguments(struct render *render, const struct value *arguments, size_t count,
			  struct buf *text)
{
	for (size_t i = 0; i < count; i++) {
		const struct value *value = &arguments[i];
		bool is_text = value_is_text(value) || value->type == VALUE_NONE ||
			       value->type == VALUE_NIL;
		const struct value *before = i > 0 ? &arguments[i - 1] : NULL;
		bool was_text =
			before != NULL && (value_is_text(before) || before->type == VALUE_NONE ||
					   before->type == VALUE_NIL);

		if (before != NULL && !is_text && !was_text)
			buf_putc(text, ' ');
		if (value->type == VALUE_NIL || value->type == VALUE_NONE)
			buf_puts(text, "<no value>");
		else if (format_action(render, text, value) < 0)
			return -1;
	}
	return 0;
}

static void escape_html(struct buf *out, const char *bytes, size_t len)
{
	static const char *const escapes[0x40] = {
		['\0'] = "\xef\xbf\xbd", ['"'] = "&#34;", ['\''] = "&#39;",
		['&'] = "&amp;",	 ['<'] = "&lt;",  ['>'] = "&gt;",
	};

	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		if (byte < ARRAY_SIZE(escapes) && escapes[byte] != NULL)
			buf_puts(out, escapes[byte]);
		else
			buf_putc(out, bytes[i]);
	}
}

static bool escape_js_sign(struct buf *out, unsigned char byte)
{
	switch (byte) {
	case '\\':
	case '\'':
	case '"':
		buf_printf(out, "\\%c", byte);
		return true;
	case '<':
	case '>':
	case '&':
	case '=':
		buf_printf(out, "\\u%04X", byte);
		return true;
	default:
		if (byte >= ' ')
			return false;
		buf_printf(out, "\\u%04X", byte);
		return true;
	}
}

static void escape_js(struct buf *out, const char *bytes, size_t len)
{
	while (len > 0) {
		uint32_t character = 0;
		size_t one = text_read_character(bytes, len, &character);

		if (one == 0) {
			one = 1;
			character = UNICODE_REPLACEMENT;
		}
		if (character >= 0x80 && unicode_is_printable(character))
			buf_put(out, bytes, one);
		else if (character >= 0x80)
			buf_printf(out, "\\u%04X", character);
		else if (!escape_js_sign(out, (unsigned char)character))
			buf_putc(out, (char)character);
		bytes += one;
		len -= one;
	}
}

/* As in a query: a space is +. */
static void escape_query(struct buf *out, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		if (byte == ' ')
			buf_putc(out, '+');
		else if ((byte >= '0' && byte <= '9') ||
			 ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') ||
			 (byte != '\0' && strchr("-_.~", byte) != NULL))
			buf_putc(out, (char)byte);
		else
			buf_printf(out, "%%%02X", byte);
	}
}

static int escape(struct render *render, const struct value *arguments, size_t count,
		  void (*write)(struct buf *out, const char *bytes, size_t len), struct value *ret)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	AUTO(buf_deinit) struct buf escaped = BUF_INIT(TEMPLATE_OUTPUT_MAX);

	if (join_arguments(render, arguments, count, &text) < 0)
		return -1;
	write(&escaped, buf_string(&text), text.len);
	escaped.failed = escaped.failed || text.failed;
	return render_string(render, &escaped, ret);
}

static int call_html(struct render *render, const struct value *arguments, size_t count,
		     struct value *ret)
{
	return escape(render, arguments, count, escape_html, ret);
}

static int call_js(struct render *render, const struct value *arguments, size_t count,
		   struct value *ret)
{
	return escape(render, arguments, count, escape_js, ret);
}

static int call_urlquery(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	return escape(render, arguments, count, escape_query, ret);
}

const struct template_function functions_builtin[] = {
	{ "html", "a*", call_html },
	{ "index", "vv*", call_index },
	{ "js", "a*", call_js },
	{ "len", "v", call_len },
	{ "not", "v", call_not },
	{ "print", "a*", call_print },
	{ "printf", "sa*", call_printf },
	{ "println", "a*", call_println },
	{ "slice", "vv*", call_slice },
	{ "urlquery", "a*", call_urlquery },
	{ 0 },
};

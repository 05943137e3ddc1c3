/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts: cutting, joining, replacing, cases.
 */
#include <string.h>

#include "agent/template/functions.h"
#include "agent/template/strings.h"
#include "agent/template/unicode.h"
#include "agent/base/text.h"

/* Of the letters with a title case of two letters the only one that is met. */
#define SHARP_S 0xdfu

/* ---- trimming ---- */

static bool is_in_set(const struct value *set, uint32_t character)
{
	uint32_t member;

	for (size_t at = 0; at < set->len;) {
		at += strings_character(set, at, &member);
		if (member == character)
			return true;
	}
	return false;
}

static int call_trim(struct render *render, const struct value *arguments, size_t count,
		     struct value *ret)
{
	struct value text = arguments[1];
	uint32_t character;
	size_t end = 0, len;

	(void)render;
	(void)count;
	while (text.len > 0) {
		len = strings_character(&text, 0, &character);
		if (!is_in_set(&arguments[0], character))
			break;
		text.bytes += len;
		text.len -= len;
	}
	for (size_t at = 0; at < text.len;) {
		at += strings_character(&text, at, &character);
		if (!is_in_set(&arguments[0], character))
			end = at;
	}
	*ret = value_text(text.bytes, end);
	return 0;
}

static int call_trim_space(struct render *render, const struct value *arguments, size_t count,
			   struct value *ret)
{
	(void)render;
	(void)count;
	*ret = strings_trim_space(&arguments[0]);
	return 0;
}

static int call_trim_prefix(struct render *render, const struct value *arguments, size_t count,
			    struct value *ret)
{
	const struct value *prefix = &arguments[0], *text = &arguments[1];
	bool there = prefix->len > 0 && prefix->len <= text->len &&
		     memcmp(text->bytes, prefix->bytes, prefix->len) == 0;

	(void)render;
	(void)count;
	*ret = there ? value_text(text->bytes + prefix->len, text->len - prefix->len) : *text;
	return 0;
}

static int call_trim_suffix(struct render *render, const struct value *arguments, size_t count,
			    struct value *ret)
{
	const struct value *suffix = &arguments[0], *text = &arguments[1];
	bool there = suffix->len > 0 && suffix->len <= text->len &&
		     memcmp(text->bytes + text->len - suffix->len, suffix->bytes, suffix->len) == 0;

	(void)render;
	(void)count;
	*ret = there ? value_text(text->bytes, text->len - suffix->len) : *text;
	return 0;
}

/* ---- splitting and joining ---- */

static int call_join(struct render *render, const struct value *arguments, size_t count,
		     struct value *ret)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	const struct value *list = &arguments[1];

	(void)count;
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			buf_put(&text, arguments[0].bytes, arguments[0].len);
		buf_put(&text, list->items[i].bytes, list->items[i].len);
	}
	return render_string(render, &text, ret);
}

/* Where the next piece ends and the one after it begins; without a separator pieces are
 * characters. */
static size_t piece_end(const struct value *text, const struct value *separator, size_t at,
			size_t *next)
{
	uint32_t character;
	size_t found;

	if (separator->len == 0) {
		*next = at + strings_character(text, at, &character);
		return *next;
	}
	found = strings_find(text, separator, at);
	if (found == SIZE_MAX) {
		*next = SIZE_MAX;
		return text->len;
	}
	*next = found + separator->len;
	return found;
}

static int split(struct render *render, const struct value *text, const struct value *separator,
		 struct value *ret)
{
	struct value trimmed = strings_trim_space(text);
	size_t count = 0, at, next = 0;

	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1) {
			*ret = (struct value){ .type = VALUE_STRINGS };
			ret->items = region_array(&render->values, count + 1, sizeof(*ret->items));
			if (ret->items == NULL)
				return render_no_memory(render);
		}
		if (trimmed.len == 0)
			continue;
		for (at = 0; at != SIZE_MAX && (separator->len > 0 || at < trimmed.len);
		     at = next) {
			size_t end = piece_end(&trimmed, separator, at, &next);

			if (pass == 0)
				count++;
			else
				ret->items[ret->count++] = value_text(trimmed.bytes + at, end - at);
		}
	}
	return 0;
}

static int call_split(struct render *render, const struct value *arguments, size_t count,
		      struct value *ret)
{
	(void)count;
	return split(render, &arguments[1], &arguments[0], ret);
}

/* Pieces that have no second separator are left out. */
static int call_split_to_map(struct render *render, const struct value *arguments, size_t count,
			     struct value *ret)
{
	const struct value *separator = &arguments[1];
	struct value pieces;
	struct map *map = map_new(&render->values);

	(void)count;
	if (map == NULL)
		return render_no_memory(render);
	if (split(render, &arguments[2], &arguments[0], &pieces) < 0)
		return -1;
	for (size_t i = 0; i < pieces.count; i++) {
		const struct value *piece = &pieces.items[i];
		size_t found = strings_find(piece, separator, 0);
		struct value key, value;

		if (found == SIZE_MAX)
			continue;
		key = value_text(piece->bytes, found);
		value = value_text(piece->bytes + found + separator->len,
				   piece->len - found - separator->len);
		if (map_set(&render->values, map, &key, &value) < 0)
			return render_no_memory(render);
	}
	*ret = (struct value){ .type = VALUE_STRING_MAP, .map = map };
	return 0;
}

/* ---- replacing ---- */

/* Before every character and at the end, where nothing is what is replaced. */
static void replace_nothing(struct buf *out, const struct value *text, const struct value *by)
{
	uint32_t character;

	for (size_t at = 0; at < text->len;) {
		size_t len = strings_character(text, at, &character);

		buf_put(out, by->bytes, by->len);
		buf_put(out, text->bytes + at, len);
		at += len;
	}
	buf_put(out, by->bytes, by->len);
}

static int call_replace_all(struct render *render, const struct value *arguments, size_t count,
			    struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	const struct value *from = &arguments[0], *text = &arguments[2];
	size_t at = 0, found;

	(void)count;
	if (from->len == 0) {
		replace_nothing(&out, text, &arguments[1]);
		return render_string(render, &out, ret);
	}
	while ((found = strings_find(text, from, at)) != SIZE_MAX) {
		buf_put(&out, text->bytes + at, found - at);
		buf_put(&out, arguments[1].bytes, arguments[1].len);
		at = found + from->len;
	}
	if (at < text->len)
		buf_put(&out, text->bytes + at, text->len - at);
	return render_string(render, &out, ret);
}

static int call_indent(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	const struct value *text = &arguments[1];
	int64_t spaces = arguments[0].integer;
	bool begins = true;

	(void)count;
	if (spaces < 0 || (uint64_t)spaces > TEMPLATE_OUTPUT_MAX)
		return render_error(render, "so many spaces cannot be");
	for (size_t i = 0; i < text->len; i++) {
		char *room =
			begins && text->bytes[i] != '\n' ? buf_reserve(&out, (size_t)spaces) : NULL;

		if (room != NULL) {
			memset(room, ' ', (size_t)spaces);
			buf_commit(&out, (size_t)spaces);
		}
		buf_putc(&out, text->bytes[i]);
		begins = text->bytes[i] == '\n';
	}
	return render_string(render, &out, ret);
}

/* ---- cases ---- */

static void put_character(struct buf *out, uint32_t character)
{
	char bytes[4];

	buf_put(out, bytes, text_encode_character(bytes, character));
}

static int map_characters(struct render *render, const struct value *text, uint32_t (*to)(uint32_t),
			  struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	uint32_t character;

	for (size_t at = 0; at < text->len;) {
		at += strings_character(text, at, &character);
		put_character(&out, to(character));
	}
	return render_string(render, &out, ret);
}

static int call_to_lower(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	(void)count;
	return map_characters(render, &arguments[0], unicode_to_lower, ret);
}

static int call_to_upper(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	(void)count;
	return map_characters(render, &arguments[0], unicode_to_upper, ret);
}

static bool is_word(uint32_t character)
{
	return character == '_' || unicode_is_letter(character) || unicode_is_digit(character);
}

/* Signs that end no word when they stand between two letters. */
static bool joins_letters(const struct value *text, size_t at, uint32_t character)
{
	uint32_t next = 0;

	if (character != '\'' && character != '.' && character != ':' && character != 0xb7 &&
	    character != 0x2019)
		return false;
	if (at >= text->len)
		return false;
	(void)strings_character(text, at, &next);
	return unicode_is_letter(next);
}

/* The first letter of each word; the others stay. */
static int call_to_title(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	const struct value *text = &arguments[0];
	bool inside = false, after_letter = false, titled = false;
	uint32_t character;

	(void)count;
	for (size_t at = 0; at < text->len;) {
		at += strings_character(text, at, &character);
		inside = is_word(character) || (inside && joins_letters(text, at, character));
		after_letter = unicode_is_letter(character);
		titled = titled && inside;
		if (after_letter && !titled) {
			if (character == SHARP_S)
				buf_puts(&out, "Ss");
			else
				put_character(&out, unicode_to_title(character));
			titled = true;
		} else {
			put_character(&out, character);
		}
	}
	return render_string(render, &out, ret);
}

const struct template_function functions_string[] = {
	{ "indent", "is", call_indent },
	{ "join", "st", call_join },
	{ "replaceAll", "sss", call_replace_all },
	{ "split", "ss", call_split },
	{ "splitToMap", "sss", call_split_to_map },
	{ "toLower", "s", call_to_lower },
	{ "toTitle", "s", call_to_title },
	{ "toUpper", "s", call_to_upper },
	{ "trim", "ss", call_trim },
	{ "trimPrefix", "ss", call_trim_prefix },
	{ "trimSpace", "s", call_trim_space },
	{ "trimSuffix", "ss", call_trim_suffix },
	{ 0 },
};

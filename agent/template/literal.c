/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/template/literal.h"

#include <string.h>

#include "agent/base/text.h"
#include "agent/template/unicode.h"

/* One character of a quotation: a byte of \x and \ooo is a byte, all else is a character. */
struct piece {
	uint32_t value;
	bool byte;
};

static int hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool read_hex(const char **at, const char *end, size_t count, struct piece *ret)
{
	ret->value = 0;
	ret->byte = count == 2;
	for (size_t i = 0; i < count; i++, (*at)++) {
		if (*at == end || hex_digit(**at) < 0)
			return false;
		ret->value = ret->value << 4 | (uint32_t)hex_digit(**at);
	}
	return ret->byte ||
	       (ret->value <= 0x10ffff && (ret->value < 0xd800 || ret->value > 0xdfff));
}

static bool read_octal(const char **at, const char *end, struct piece *ret)
{
	ret->value = 0;
	ret->byte = true;
	for (size_t i = 0; i < 3; i++, (*at)++) {
		if (*at == end || **at < '0' || **at > '7')
			return false;
		ret->value = ret->value << 3 | (uint32_t)(**at - '0');
	}
	return ret->value <= 0xff;
}

static bool read_escape(const char **at, const char *end, char quote, struct piece *ret)
{
	static const char letters[] = "abfnrtv", values[] = "\a\b\f\n\r\t\v";
	const char *found;
	char byte;

	if (*at == end)
		return false;
	byte = *(*at)++;
	switch (byte) {
	case 'x':
		return read_hex(at, end, 2, ret);
	case 'u':
		return read_hex(at, end, 4, ret);
	case 'U':
		return read_hex(at, end, 8, ret);
	default:
		break;
	}
	if (byte >= '0' && byte <= '7') {
		(*at)--;
		return read_octal(at, end, ret);
	}
	found = byte != '\0' ? strchr(letters, byte) : NULL;
	ret->byte = false;
	ret->value =
		found != NULL ? (uint32_t)values[found - letters] : (uint32_t)(unsigned char)byte;
	return found != NULL || byte == '\\' || byte == quote;
}

static bool read_piece(const char **at, const char *end, char quote, struct piece *ret)
{
	size_t len;

	if (**at == quote || **at == '\n')
		return false;
	if (**at == '\\') {
		(*at)++;
		return read_escape(at, end, quote, ret);
	}
	len = text_read_character(*at, (size_t)(end - *at), &ret->value);
	if (len == 0) {
		ret->value = UNICODE_REPLACEMENT;
		len = 1;
	}
	ret->byte = false;
	*at += len;
	return true;
}

static size_t copy_raw(char *to, const char *from, const char *end)
{
	size_t len = 0;

	for (; from < end; from++)
		if (*from != '\r')
			to[len++] = *from;
	return len;
}

bool literal_string(struct region *region, const char *quoted, size_t len, const char **ret,
		    size_t *ret_len)
{
	const char *at = quoted + 1, *end = quoted + len - 1;
	/* A byte that is no UTF-8 becomes three. */
	char *text = region_array(region, len, 3);
	struct piece piece;
	size_t count = 0;

	if (text == NULL)
		return false;
	if (*quoted == '`') {
		count = copy_raw(text, at, end);
		at = end;
	}
	while (at < end) {
		if (!read_piece(&at, end, *quoted, &piece))
			return false;
		if (piece.byte)
			text[count++] = (char)piece.value;
		else
			count += text_encode_character(text + count, piece.value);
	}
	*ret = text;
	*ret_len = count;
	return true;
}

bool literal_character(const char *quoted, size_t len, uint32_t *ret)
{
	const char *at = quoted + 1, *end = quoted + len - 1;
	struct piece piece;

	if (at >= end || !read_piece(&at, end, '\'', &piece) || at != end)
		return false;
	*ret = piece.value;
	return true;
}

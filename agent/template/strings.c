/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/template/strings.h"

#include <string.h>

#include "agent/base/text.h"
#include "agent/template/unicode.h"

size_t strings_character(const struct value *text, size_t at, uint32_t *ret)
{
	size_t len = text_read_character(text->bytes + at, text->len - at, ret);

	if (len > 0)
		return len;
	*ret = UNICODE_REPLACEMENT;
	return 1;
}

/* Where the last character of the first `end` bytes begins. */
static size_t last_character(const struct value *text, size_t end)
{
	size_t start = end - 1;
	uint32_t character;

	while (start > 0 && end - start < 4 && ((unsigned char)text->bytes[start] & 0xc0) == 0x80)
		start--;
	return text_read_character(text->bytes + start, end - start, &character) == end - start
		       ? start
		       : end - 1;
}

struct value strings_trim_space(const struct value *text)
{
	size_t start = 0, end = text->len;
	uint32_t character;

	while (start < end) {
		size_t len = strings_character(text, start, &character);

		if (!unicode_is_space(character))
			break;
		start += len;
	}
	while (end > start) {
		size_t last = last_character(text, end);

		(void)strings_character(text, last, &character);
		if (!unicode_is_space(character))
			break;
		end = last;
	}
	return value_text(text->bytes != NULL ? text->bytes + start : NULL, end - start);
}

size_t strings_find(const struct value *text, const struct value *part, size_t from)
{
	const char *found;

	if (part->len == 0)
		return from;
	if (from >= text->len)
		return SIZE_MAX;
	found = memmem(text->bytes + from, text->len - from, part->bytes, part->len);
	return found != NULL ? (size_t)(found - text->bytes) : SIZE_MAX;
}

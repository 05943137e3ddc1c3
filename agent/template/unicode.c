/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/template/unicode.h"

#include <stddef.h>

#include "agent/base/macros.h"

struct range {
	uint32_t first, last;
};

/* Every `step`th character of the range is mapped. */
struct shift {
	uint32_t first, last;
	int32_t distance;
	uint32_t step;
};

#include "agent/template/unicode_tables.inc"

static bool in_ranges(const struct range *ranges, size_t count, uint32_t character)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (character > ranges[middle].last)
			low = middle + 1;
		else if (character < ranges[middle].first)
			high = middle;
		else
			return true;
	}
	return false;
}

static uint32_t shift(const struct shift *shifts, size_t count, uint32_t character)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct shift *here = &shifts[middle];

		if (character > here->last)
			low = middle + 1;
		else if (character < here->first)
			high = middle;
		else if ((character - here->first) % here->step == 0)
			return (uint32_t)((int32_t)character + here->distance);
		else
			return character;
	}
	return character;
}

bool unicode_is_letter(uint32_t character)
{
	if (character < 0x80)
		return (character | 0x20) >= 'a' && (character | 0x20) <= 'z';
	return in_ranges(letters, ARRAY_SIZE(letters), character);
}

bool unicode_is_digit(uint32_t character)
{
	if (character < 0x80)
		return character >= '0' && character <= '9';
	return in_ranges(digits, ARRAY_SIZE(digits), character);
}

bool unicode_is_printable(uint32_t character)
{
	if (character < 0x80)
		return character >= ' ' && character < 0x7f;
	return in_ranges(printable, ARRAY_SIZE(printable), character);
}

bool unicode_is_space(uint32_t character)
{
	static const struct range spaces[] = {
		{ '\t', '\r' },	    { ' ', ' ' },	{ 0x85, 0x85 },	    { 0xa0, 0xa0 },
		{ 0x1680, 0x1680 }, { 0x2000, 0x200a }, { 0x2028, 0x2029 }, { 0x202f, 0x202f },
		{ 0x205f, 0x205f }, { 0x3000, 0x3000 },
	};

	return in_ranges(spaces, ARRAY_SIZE(spaces), character);
}

uint32_t unicode_to_upper(uint32_t character)
{
	if (character < 0x80)
		return character >= 'a' && character <= 'z' ? character - 0x20 : character;
	return shift(upper, ARRAY_SIZE(upper), character);
}

uint32_t unicode_to_lower(uint32_t character)
{
	if (character < 0x80)
		return character >= 'A' && character <= 'Z' ? character + 0x20 : character;
	return shift(lower, ARRAY_SIZE(lower), character);
}

uint32_t unicode_to_title(uint32_t character)
{
	if (character < 0x80)
		return unicode_to_upper(character);
	return shift(title, ARRAY_SIZE(title), character);
}

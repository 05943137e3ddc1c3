/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of configuration name the text that they refuse; readers of encodings, whose text may be
 * a secret, name only the place.
 */
#include "agent/base/text.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#include "agent/base/macros.h"

enum { SHOWN_MAX = 40, NEAREST_MAX = 64 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The digits at *text; false when there is none or the number does not fit. Moves *text behind
 * them. */
static bool read_digits(const char **text, uint64_t *ret)
{
	uint64_t number = 0;
	const char *at = *text;

	if (!is_digit(*at))
		return false;
	for (; is_digit(*at); at++)
		if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
			return false;
	*text = at;
	*ret = number;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* The unit at the start of the text; names that begin alike stand longest first. */
static const struct unit *find_unit(const struct unit *units, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (text_starts_with(text, units[i].name))
			return &units[i];
	return NULL;
}

/* From small to large: the parts of a duration must come the other way round, each at most once. */
static const struct unit duration_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
};

static bool read_duration(const char *text, uint64_t *ret)
{
	const struct unit *before = NULL, *unit;
	uint64_t sum = 0, number;

	if (strcmp(text, "0") == 0) {
		*ret = 0;
		return true;
	}
	do {
		if (!read_digits(&text, &number))
			return false;
		unit = find_unit(duration_units, ARRAY_SIZE(duration_units), text);
		if (unit == NULL || (before != NULL && unit >= before))
			return false;
		if (__builtin_mul_overflow(number, unit->factor, &number) ||
		    __builtin_add_overflow(sum, number, &sum))
			return false;
		text += strlen(unit->name);
		before = unit;
	} while (*text != '\0');
	*ret = sum;
	return sum <= INT64_MAX;
}

int text_read_duration(const char *text, int64_t *ret_ms, struct error *err)
{
	uint64_t sum;

	if (!read_duration(text, &sum))
		return error_set(err, ERROR_INVALID,
				 "'%.*s' is not a duration: write it like 250ms, 10s, 5m or 1h30m",
				 SHOWN_MAX, text);
	*ret_ms = (int64_t)sum;
	return 0;
}

void text_write_duration(struct buf *buf, int64_t ms)
{
	uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

	if (ms == 0)
		buf_puts(buf, "0s");
	if (ms < 0)
		buf_putc(buf, '-');
	/* Hours at most: "36h" is read at a glance, and every reader of durations knows it. */
	for (size_t i = ARRAY_SIZE(duration_units) - 1; i-- > 0;) {
		uint64_t part = left / duration_units[i].factor;

		left %= duration_units[i].factor;
		if (part > 0)
			buf_printf(buf, "%llu%s", (unsigned long long)part, duration_units[i].name);
	}
}

static const struct unit size_units[] = {
	{ "KiB", (uint64_t)1 << 10 },
	{ "MiB", (uint64_t)1 << 20 },
	{ "GiB", (uint64_t)1 << 30 },
	{ "kB", 1000 },
	{ "MB", 1000000 },
	{ "GB", 1000000000 },
	{ "B", 1 },
};

static bool read_size(const char *text, uint64_t *ret)
{
	const struct unit *unit;
	uint64_t number;

	if (!read_digits(&text, &number))
		return false;
	if (*text != '\0') {
		unit = find_unit(size_units, ARRAY_SIZE(size_units), text);
		if (unit == NULL || text[strlen(unit->name)] != '\0' ||
		    __builtin_mul_overflow(number, unit->factor, &number))
			return false;
	}
	*ret = number;
	return true;
}

int text_read_size(const char *text, uint64_t *ret, struct error *err)
{
	if (!read_size(text, ret))
		return error_set(err, ERROR_INVALID,
				 "'%.*s' is not a size: write it like 512, 64KiB, 1MiB or 10kB",
				 SHOWN_MAX, text);
	return 0;
}

int text_read_mode(const char *text, unsigned *ret, struct error *err)
{
	size_t len = strlen(text);
	unsigned mode = 0;

	if (len < 3 || len > 4 || strspn(text, "01234567") != len)
		return error_set(err, ERROR_INVALID,
				 "'%.*s' is not a file mode: write three or four octal digits, "
				 "like \"0440\"",
				 SHOWN_MAX, text);
	for (size_t i = 0; i < len; i++)
		mode = mode * 8 + (unsigned)(text[i] - '0');
	*ret = mode;
	return 0;
}

int text_read_unsigned(const char *text, uint64_t max, uint64_t *ret, struct error *err)
{
	const char *end = text;
	uint64_t number;

	if (text[strspn(text, "0123456789")] != '\0' || *text == '\0')
		return error_set(err, ERROR_INVALID, "'%.*s' is not a whole number", SHOWN_MAX,
				 text);
	if (!read_digits(&end, &number) || number > max)
		return error_set(err, ERROR_INVALID, "'%.*s' is too large: at most %llu", SHOWN_MAX,
				 text, (unsigned long long)max);
	*ret = number;
	return 0;
}

/* Exactly `count` digits at *text. Moves *text behind them. */
static bool read_fixed(const char **text, const char *end, int count, int *ret)
{
	int number = 0;

	if (end - *text < count)
		return false;
	for (int i = 0; i < count; i++) {
		if (!is_digit((*text)[i]))
			return false;
		number = number * 10 + ((*text)[i] - '0');
	}
	*text += count;
	*ret = number;
	return true;
}

static bool read_mark(const char **text, const char *end, const char *marks)
{
	if (*text == end || **text == '\0' || strchr(marks, **text) == NULL)
		return false;
	(*text)++;
	return true;
}

/* ".5" and ".123456789": milliseconds count, the rest is dropped. No dot: 0. */
static bool read_fraction(const char **text, const char *end, int *ret_ms)
{
	int ms = 0, weight = 100;
	const char *first;

	*ret_ms = 0;
	if (!read_mark(text, end, "."))
		return true;
	first = *text;
	for (; *text < end && is_digit(**text); (*text)++, weight /= 10)
		ms += (**text - '0') * weight;
	*ret_ms = ms;
	return *text > first;
}

static bool read_offset(const char **text, const char *end, int *ret_minutes)
{
	int hours, minutes;
	bool negative;

	*ret_minutes = 0;
	if (read_mark(text, end, "Zz"))
		return true;
	negative = *text < end && **text == '-';
	if (!read_mark(text, end, "+-") || !read_fixed(text, end, 2, &hours) ||
	    !read_mark(text, end, ":") || !read_fixed(text, end, 2, &minutes) || hours > 23 ||
	    minutes > 59)
		return false;
	*ret_minutes = (hours * 60 + minutes) * (negative ? -1 : 1);
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool read_time(const char *text, const char *end, int64_t *ret_ms)
{
	struct tm tm = { 0 };
	int year, month, ms, offset;

	if (!read_fixed(&text, end, 4, &year) || !read_mark(&text, end, "-") ||
	    !read_fixed(&text, end, 2, &month) || !read_mark(&text, end, "-") ||
	    !read_fixed(&text, end, 2, &tm.tm_mday) || !read_mark(&text, end, "Tt ") ||
	    !read_fixed(&text, end, 2, &tm.tm_hour) || !read_mark(&text, end, ":") ||
	    !read_fixed(&text, end, 2, &tm.tm_min) || !read_mark(&text, end, ":") ||
	    !read_fixed(&text, end, 2, &tm.tm_sec) || !read_fraction(&text, end, &ms) ||
	    !read_offset(&text, end, &offset) || text != end)
		return false;
	/* A leap second (60) is the next minute's first. */
	if (month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > days_in_month(year, month) ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	*ret_ms = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * 1000 + ms;
	return true;
}

int text_read_time(const char *text, size_t len, int64_t *ret_ms, struct error *err)
{
	if (!read_time(text, text + len, ret_ms))
		return error_set(err, ERROR_INVALID,
				 "not a time: it is written like 2026-11-24T14:29:01Z (RFC 3339)");
	return 0;
}

void text_write_time(struct buf *buf, int64_t real_ms)
{
	time_t seconds = real_ms / 1000 - (real_ms % 1000 < 0 ? 1 : 0);
	struct tm tm = { 0 };

	(void)gmtime_r(&seconds, &tm);
	buf_printf(buf, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

size_t text_read_character(const void *bytes, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *at = bytes;
	uint32_t character;
	size_t size;

	if (len == 0)
		return 0;
	if (at[0] < 0x80) {
		*ret = at[0];
		return 1;
	}
	size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	if (at[0] < 0xc2 || at[0] > 0xf4 || size > len)
		return 0;
	character = at[0] & (0x7fU >> size);
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (at[i] & 0x3f);
	}
	if (character < least[size] || character > 0x10ffff ||
	    (character >= 0xd800 && character <= 0xdfff))
		return 0;
	*ret = character;
	return size;
}

size_t text_encode_character(char ret[4], uint32_t character)
{
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t size = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;

	for (size_t i = size; i-- > 1; character >>= 6)
		ret[i] = (char)(0x80 | (character & 0x3f));
	ret[0] = (char)(lead[size] | character);
	return size;
}

bool text_is_utf8(const void *bytes, size_t len)
{
	const uint8_t *at = bytes, *end = at + len;
	uint32_t character;
	size_t size;

	for (; at < end; at += size) {
		size = text_read_character(at, (size_t)(end - at), &character);
		if (size == 0)
			return false;
	}
	return true;
}

static void write_json_control(struct buf *buf, uint32_t character)
{
	static const char *const names[0x20] = {
		['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r",
	};

	if (names[character] != NULL)
		buf_puts(buf, names[character]);
	else
		buf_printf(buf, "\\u%04x", character);
}

/* Plain ASCII, which most of all text is. */
static bool stands_for_itself(unsigned char byte)
{
	return byte - 0x20u < 0x60u && byte != '"' && byte != '\\';
}

void text_write_json(struct buf *buf, const void *bytes, size_t len)
{
	const char *at = bytes, *end = at + len, *plain = at;
	uint32_t character;
	size_t size;

	buf_putc(buf, '"');
	for (; at < end; at += size) {
		size = 1;
		if (stands_for_itself((unsigned char)*at))
			continue;
		size = text_read_character(at, (size_t)(end - at), &character);
		if (size > 0 && character >= 0x20 && character != '"' && character != '\\')
			continue;
		buf_put(buf, plain, (size_t)(at - plain));
		if (size == 0) {
			buf_puts(buf, "\xef\xbf\xbd");
			size = 1;
		} else if (character < 0x20) {
			write_json_control(buf, character);
		} else {
			buf_putc(buf, '\\');
			buf_putc(buf, *at);
		}
		plain = at + size;
	}
	buf_put(buf, plain, (size_t)(at - plain));
	buf_putc(buf, '"');
}

static void write_base64(struct buf *buf, const void *bytes, size_t len, int variant)
{
	size_t size = sodium_base64_encoded_len(len, variant);
	char *room = buf_reserve(buf, size - 1);

	if (room == NULL)
		return;
	(void)sodium_bin2base64(room, size, bytes, len, variant);
	buf_commit(buf, strlen(room));
}

void text_write_base64(struct buf *buf, const void *bytes, size_t len)
{
	write_base64(buf, bytes, len, sodium_base64_VARIANT_ORIGINAL);
}

void text_write_base64_public(struct buf *buf, const void *bytes, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *at = bytes;
	char *out = buf_reserve(buf, (len + 2) / 3 * 4), *first = out;
	uint32_t group;
	size_t step;

	if (out == NULL)
		return;
	for (; len > 0; at += step, len -= step, out += 4) {
		group = (uint32_t)at[0] << 16 | (len > 1 ? (uint32_t)at[1] << 8 : 0) |
			(len > 2 ? at[2] : 0);
		out[0] = digits[group >> 18];
		out[1] = digits[group >> 12 & 63];
		out[2] = len > 1 ? digits[group >> 6 & 63] : '=';
		out[3] = len > 2 ? digits[group & 63] : '=';
		step = len < 3 ? len : 3;
	}
	buf_commit(buf, (size_t)(out - first));
}

void text_write_base64_raw(struct buf *buf, const void *bytes, size_t len)
{
	write_base64(buf, bytes, len, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

int text_read_base64(struct buf *buf, const char *text, size_t len, struct error *err)
{
	bool padded = len > 0 && text[len - 1] == '=';
	int variant =
		padded ? sodium_base64_VARIANT_ORIGINAL : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
	size_t most = len / 4 * 3 + (len % 4 > 1 ? len % 4 - 1 : 0), decoded;
	char *room;

	/* A padded group holds fewer bytes; asking for exactly what will come keeps the buffer's
	 * limit exact. */
	if (padded && most > 1)
		most -= len > 1 && text[len - 2] == '=' ? 2 : 1;
	room = buf_reserve(buf, most);
	if (room == NULL)
		return buf_check(buf, "base64 text", err);
	if (sodium_base642bin((uint8_t *)room, most, text, len, NULL, &decoded, NULL, variant) !=
	    0) {
		sodium_memzero(room, most);
		room[0] = '\0';
		return error_set(err, ERROR_BAD_DATA,
				 "not base64 (standard alphabet, no white space)");
	}
	buf_commit(buf, decoded);
	return 0;
}

void text_write_hex(struct buf *buf, const void *bytes, size_t len)
{
	char *room = buf_reserve(buf, 2 * len);

	if (room == NULL)
		return;
	(void)sodium_bin2hex(room, 2 * len + 1, bytes, len);
	buf_commit(buf, 2 * len);
}

static bool is_unreserved(char c)
{
	return is_letter(c) || is_digit(c) || (c != '\0' && strchr("-._~", c) != NULL);
}

void text_write_percent(struct buf *buf, const void *bytes, size_t len, const char *keep)
{
	const char *at = bytes;

	for (size_t i = 0; i < len; i++) {
		if (is_unreserved(at[i]) ||
		    (keep != NULL && at[i] != '\0' && strchr(keep, at[i]) != NULL))
			buf_putc(buf, at[i]);
		else
			buf_printf(buf, "%%%02X", (unsigned)(uint8_t)at[i]);
	}
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int text_read_percent(struct buf *buf, const char *text, size_t len, struct error *err)
{
	size_t before = buf->len;

	for (size_t i = 0; i < len; i++) {
		int byte = (uint8_t)text[i];

		if (text[i] == '%') {
			int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;

			byte = high >= 0 && low >= 0 ? high * 16 + low : -1;
			i += 2;
		}
		if (byte <= 0) {
			buf_truncate(buf, before);
			return error_set(
				err, ERROR_INVALID, "%s",
				byte < 0 ? "a % without two hexadecimal digits: write it as %25"
					 : "a NUL byte (%00) is not allowed here");
		}
		buf_putc(buf, (char)byte);
	}
	return buf_check(buf, "percent-encoded text", err);
}

void text_write_shell(struct buf *buf, const void *bytes, size_t len)
{
	const char *at = bytes, *end = at + len, *quote;

	buf_putc(buf, '\'');
	for (; at < end; at = quote + 1) {
		quote = memchr(at, '\'', (size_t)(end - at));
		if (quote == NULL) {
			buf_put(buf, at, (size_t)(end - at));
			break;
		}
		buf_put(buf, at, (size_t)(quote - at));
		buf_puts(buf, "'\\''");
	}
	buf_putc(buf, '\'');
}

void text_write_variable(struct buf *buf, const char *name)
{
	if (*name == '\0' || is_digit(*name))
		buf_putc(buf, '_');
	for (; *name != '\0'; name++) {
		/* One `_` per character, however many bytes it takes. */
		if (((uint8_t)*name & 0xc0) == 0x80)
			continue;
		if (*name >= 'a' && *name <= 'z')
			buf_putc(buf, (char)(*name - 'a' + 'A'));
		else
			buf_putc(buf, is_letter(*name) || is_digit(*name) ? *name : '_');
	}
}

/* Edit distance where swapping two neighbours is one edit; both words are shorter than NEAREST_MAX.
 */
static size_t distance(const char *one, size_t one_len, const char *other, size_t other_len)
{
	size_t rows[3][NEAREST_MAX + 1] = { 0 };
	size_t *older = rows[0], *above = rows[1], *row = rows[2], *spare;

	for (size_t j = 0; j <= other_len; j++)
		above[j] = j;
	for (size_t i = 1; i <= one_len; i++) {
		row[0] = i;
		for (size_t j = 1; j <= other_len; j++) {
			size_t best = above[j - 1] + (one[i - 1] != other[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && one[i - 1] == other[j - 2] &&
			    one[i - 2] == other[j - 1] && older[j - 2] + 1 < best)
				best = older[j - 2] + 1;
			row[j] = best;
		}
		spare = older;
		older = above;
		above = row;
		row = spare;
	}
	return above[other_len];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
	size_t len = strnlen(word, NEAREST_MAX);
	/* Two edits in a word of three letters make any other word. */
	size_t limit = len / 3 > 2 ? len / 3 : len / 2 < 2 ? len / 2 : 2;
	const char *nearest = NULL;

	if (len == NEAREST_MAX)
		return NULL;
	for (; *candidates != NULL; candidates++) {
		size_t candidate_len = strnlen(*candidates, NEAREST_MAX), edits;

		if (candidate_len == NEAREST_MAX)
			continue;
		edits = distance(word, len, *candidates, candidate_len);
		if (edits > limit || (edits == limit && nearest != NULL))
			continue;
		nearest = *candidates;
		limit = edits;
	}
	return nearest;
}

bool text_starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);

	return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

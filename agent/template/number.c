/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library rounds correctly both ways; what is ours is Go's spelling, and the search for the
 * shortest digits.
 */
#include "agent/template/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_TEXT_MAX = 1100, EXPONENT_FIRST = -4, LIMIT_SHORTEST = 6 };

/* ---- integers ---- */

static int digit_of(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z')
		return (byte | 0x20) - 'a' + 10;
	return 99;
}

/* 0x, 0o, 0b or a plain 0 in front; returns the base and how long the prefix is. */
static int base_of(const char *text, size_t len, size_t *prefix)
{
	static const struct {
		char letter;
		int base;
	} prefixes[] = { { 'x', 16 }, { 'o', 8 }, { 'b', 2 } };

	*prefix = 0;
	if (len == 0 || text[0] != '0')
		return 10;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (len >= 3 && (text[1] | 0x20) == prefixes[i].letter) {
			*prefix = 2;
			return prefixes[i].base;
		}
	}
	*prefix = 1;
	return 8;
}

/* Underscores stand between digits, or between a prefix and a digit. */
static bool underscores_are_good(const char *text, size_t len, size_t prefix)
{
	bool digit = prefix > 0;

	for (size_t i = prefix; i < len; i++) {
		if (text[i] == '_' && !digit)
			return false;
		digit = text[i] != '_';
	}
	return digit;
}

bool number_read_unsigned(const char *text, size_t len, int base, uint64_t *ret)
{
	bool any_base = base == 0;
	size_t prefix = 0;
	uint64_t value = 0;

	if (any_base)
		base = base_of(text, len, &prefix);
	if (len == 0 || (any_base && !underscores_are_good(text, len, prefix)))
		return false;
	for (size_t i = prefix; i < len; i++) {
		int digit = digit_of(text[i]);

		if (text[i] == '_' && any_base)
			continue;
		if (digit >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return false;
	}
	*ret = value;
	return true;
}

bool number_read_integer(const char *text, size_t len, int base, int64_t *ret)
{
	bool negative = len > 0 && text[0] == '-';
	uint64_t value;

	if (len > 0 && (text[0] == '-' || text[0] == '+')) {
		text++;
		len--;
	}
	if (!number_read_unsigned(text, len, base, &value))
		return false;
	if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return false;
	*ret = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

/* ---- reading reals ---- */

static bool is_special(const char *text)
{
	static const char *const names[] = { "inf", "infinity", "nan" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(text, names[i]) == 0)
			return true;
	return false;
}

/* What strtod takes and Go does not: white space, nan(…), a hexadecimal without its p. */
static bool is_go_real(const char *text)
{
	const char *digits = text + (*text == '+' || *text == '-');
	bool hexadecimal = digits[0] == '0' && (digits[1] | 0x20) == 'x';

	if (is_special(digits))
		return strcasecmp(digits, "nan") != 0 || digits == text;
	for (const char *at = digits; *at != '\0'; at++)
		if (strchr(hexadecimal ? "0123456789abcdefABCDEFxXpP.+-" : "0123456789eE.+-",
			   *at) == NULL)
			return false;
	return *digits != '\0' && (!hexadecimal || strpbrk(digits, "pP") != NULL);
}

static bool is_hexadecimal(const char *text, size_t len)
{
	size_t sign = len > 0 && (text[0] == '+' || text[0] == '-') ? 1 : 0;

	return len > sign + 2 && text[sign] == '0' && (text[sign + 1] | 0x20) == 'x';
}

/* An underscore may also follow the prefix. */
static bool stands_between_digits(const char *text, size_t len, size_t at, bool hexadecimal)
{
	int base = hexadecimal ? 16 : 10;

	return at > 0 && at + 1 < len && digit_of(text[at + 1]) < base &&
	       (digit_of(text[at - 1]) < base || (hexadecimal && (text[at - 1] | 0x20) == 'x'));
}

bool number_read_real(const char *text, size_t len, double *ret)
{
	char copy[NUMBER_TEXT_MAX];
	size_t count = 0;
	char *end;
	double value;
	bool hexadecimal = is_hexadecimal(text, len);

	if (len == 0 || len >= sizeof(copy))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '_')
			copy[count++] = text[i];
		else if (!stands_between_digits(text, len, i, hexadecimal))
			return false;
	}
	copy[count] = '\0';
	if (strlen(copy) != count || !is_go_real(copy))
		return false;
	value = strtod(copy, &end);
	if (*end != '\0')
		return false;
	if (isinf(value) && strpbrk(copy, "0123456789") != NULL)
		return false;
	*ret = value;
	return true;
}

/* ---- the shortest digits ---- */

/* Splits what %.{n}e prints: digits without their point, and where the point belongs. */
static int split(const char *printed, char digits[NUMBER_DIGITS_MAX + 1], int *point)
{
	int count = 0;

	for (; *printed != 'e'; printed++)
		if (isdigit((unsigned char)*printed))
			digits[count++] = *printed;
	*point = (int)strtol(printed + 1, NULL, 10) + 1;
	while (count > 1 && digits[count - 1] == '0')
		count--;
	digits[count] = '\0';
	return count;
}

static bool names(double value, const char *digits, int point)
{
	char text[NUMBER_DIGITS_MAX + 16];

	(void)snprintf(text, sizeof(text), "0.%se%d", digits, point);
	return strtod(text, NULL) == value;
}

/* The next larger number of so many digits. */
static void increment(char *digits, int count, int *point)
{
	int i = count - 1;

	while (i >= 0 && digits[i] == '9')
		digits[i--] = '0';
	if (i >= 0) {
		digits[i]++;
		return;
	}
	digits[0] = '1';
	(*point)++;
}

int number_shortest(double value, char digits[NUMBER_DIGITS_MAX + 1], int *point)
{
	char printed[NUMBER_DIGITS_MAX + 16];
	int count = 0;

	value = fabs(value);
	for (int precision = 1; precision <= NUMBER_DIGITS_MAX; precision++) {
		(void)snprintf(printed, sizeof(printed), "%.*e", precision - 1, value);
		count = split(printed, digits, point);
		if (names(value, digits, *point))
			break;
		/* Below a power of two doubles lie closer: the nearest digits may miss it where
		 * the next above do not. */
		while (count < precision)
			digits[count++] = '0';
		digits[count] = '\0';
		increment(digits, count, point);
		if (names(value, digits, *point))
			break;
	}
	while (count > 1 && digits[count - 1] == '0')
		digits[--count] = '\0';
	if (value == 0)
		*point = 1;
	return count;
}

/* ---- writing ---- */

static void write_exponent(struct buf *out, const char *digits, int count, int point, char verb,
			   int precision)
{
	buf_putc(out, digits[0]);
	if (precision < 0)
		precision = count - 1;
	if (precision > 0)
		buf_putc(out, '.');
	for (int i = 1; i <= precision; i++)
		buf_putc(out, i < count ? digits[i] : '0');
	buf_printf(out, "%c%c%02d", verb, point - 1 < 0 ? '-' : '+', abs(point - 1));
}

static void write_fixed(struct buf *out, const char *digits, int count, int point, int precision)
{
	if (point <= 0)
		buf_putc(out, '0');
	for (int i = 0; i < point; i++)
		buf_putc(out, i < count ? digits[i] : '0');
	if (precision < 0)
		precision = count > point ? count - point : 0;
	if (precision > 0)
		buf_putc(out, '.');
	for (int i = point; i < point + precision; i++)
		buf_putc(out, i >= 0 && i < count ? digits[i] : '0');
}

/* %g: the exponent decides which of the two forms it is. */
static void write_general(struct buf *out, double value, bool large, int precision)
{
	char printed[NUMBER_TEXT_MAX], digits[NUMBER_TEXT_MAX];
	bool shortest = precision < 0;
	int count, point, limit;

	if (shortest) {
		count = number_shortest(value, digits, &point);
		limit = LIMIT_SHORTEST;
	} else {
		precision = precision == 0 ? 1 : precision;
		if (precision > 800)
			precision = 800;
		(void)snprintf(printed, sizeof(printed), "%.*e", precision - 1, fabs(value));
		count = 0;
		for (const char *at = printed; *at != 'e'; at++)
			if (*at != '.')
				digits[count++] = *at;
		point = (int)strtol(strchr(printed, 'e') + 1, NULL, 10) + 1;
		while (count > 1 && digits[count - 1] == '0')
			count--;
		limit = precision;
	}
	if (!shortest && limit > count && count >= point)
		limit = count;
	if (point - 1 < EXPONENT_FIRST || point - 1 >= limit)
		write_exponent(out, digits, count, point, large ? 'E' : 'e', -1);
	else
		write_fixed(out, digits, count, point, -1);
}

void number_write_real(struct buf *out, double value, char verb, int precision)
{
	char digits[NUMBER_DIGITS_MAX + 1];
	int count, point;

	if (isnan(value) || isinf(value)) {
		buf_puts(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
		return;
	}
	if (signbit(value))
		buf_putc(out, '-');
	if (verb == 'g' || verb == 'G') {
		write_general(out, value, verb == 'G', precision);
	} else if (precision < 0) {
		count = number_shortest(value, digits, &point);
		if (verb == 'f' || verb == 'F')
			write_fixed(out, digits, count, point, -1);
		else
			write_exponent(out, digits, count, point, verb, -1);
	} else {
		char format[] = { '%', '.', '*', verb == 'F' ? 'f' : verb, '\0' };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		buf_printf(out, format, precision, fabs(value));
#pragma GCC diagnostic pop
	}
}

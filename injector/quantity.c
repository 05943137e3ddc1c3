/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/quantity.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 40, MILLI = 1000 };

/* Factors of one, in thousandths: m is one of them, and what is smaller is rounded up to it. */
static const struct {
	const char *name;
	int64_t numerator, denominator;
} suffixes[] = {
	{ "n", 1, 1000000 },
	{ "u", 1, 1000 },
	{ "m", 1, 1 },
	{ "", MILLI, 1 },
	{ "k", MILLI * 1000LL, 1 },
	{ "M", MILLI * 1000000LL, 1 },
	{ "G", MILLI * 1000000000LL, 1 },
	{ "T", MILLI * 1000000000000LL, 1 },
	{ "P", MILLI * 1000000000000000LL, 1 },
	{ "Ki", MILLI * 1024LL, 1 },
	{ "Mi", MILLI * 1024LL * 1024, 1 },
	{ "Gi", MILLI * 1024LL * 1024 * 1024, 1 },
	{ "Ti", MILLI * 1024LL * 1024 * 1024 * 1024, 1 },
	{ "Pi", MILLI * 1024LL * 1024 * 1024 * 1024 * 1024, 1 },
};

static int fail(const char *text, struct error *err)
{
	return error_set(err, ERROR_INVALID,
			 "'%.*s' is no quantity: write it as 5m, 0.5, 64Mi or 1Gi", SHOWN_MAX,
			 text);
}

/* Digits with at most one point as an integer and the tens that divide it. */
static bool read_digits(const char **at, int64_t *value, int64_t *divisor)
{
	bool point = false, any = false;

	*value = 0;
	*divisor = 1;
	for (;; (*at)++) {
		if (**at == '.' && !point) {
			point = true;
			continue;
		}
		if (**at < '0' || **at > '9')
			return any;
		any = true;
		if (__builtin_mul_overflow(*value, (int64_t)10, value) ||
		    __builtin_add_overflow(*value, (int64_t)(**at - '0'), value) ||
		    (point && __builtin_mul_overflow(*divisor, (int64_t)10, divisor)))
			return false;
	}
}

static bool read_exponent(const char *at, int64_t *value, int64_t *divisor)
{
	bool negative = at[1] == '-';
	char *end;
	long exponent;

	at += at[1] == '-' || at[1] == '+' ? 2 : 1;
	if (*at < '0' || *at > '9')
		return false;
	exponent = strtol(at, &end, 10);
	if (*end != '\0' || exponent > 18)
		return false;
	for (; exponent > 0; exponent--)
		if (__builtin_mul_overflow(negative ? *divisor : *value, (int64_t)10,
					   negative ? divisor : value))
			return false;
	return true;
}

static bool scale(const char *suffix, int64_t value, int64_t divisor, int64_t *ret)
{
	__int128 product;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (strcmp(suffixes[i].name, suffix) != 0)
			continue;
		product = (__int128)value * suffixes[i].numerator;
		product = (product + (__int128)divisor * suffixes[i].denominator - 1) /
			  ((__int128)divisor * suffixes[i].denominator);
		if (product > INT64_MAX)
			return false;
		*ret = (int64_t)product;
		return true;
	}
	return false;
}

int quantity_read(const char *text, int64_t *ret_milli, struct error *err)
{
	const char *at = text[0] == '+' ? text + 1 : text;
	int64_t value, divisor, milli;

	if (!read_digits(&at, &value, &divisor))
		return fail(text, err);
	/* "2e3" is an exponent; "2E" alone would be exa, which nobody asks for. */
	if (*at == 'e' || *at == 'E') {
		if (!read_exponent(at, &value, &divisor))
			return fail(text, err);
		at += strlen(at);
	}
	if (!scale(at, value, divisor, &milli))
		return fail(text, err);
	*ret_milli = milli;
	return 0;
}

bool quantity_equal(const char *one, const char *other)
{
	int64_t left, right;
	struct error ignored;

	return one != NULL && other != NULL && quantity_read(one, &left, &ignored) == 0 &&
	       quantity_read(other, &right, &ignored) == 0 && left == right;
}

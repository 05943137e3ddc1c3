#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as Go reads and writes them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"

/* strconv.ParseInt, ParseUint: base 10, or 0 for Go's prefixes and underscores. False when it is no
 * such number or does not fit. */
bool number_read_integer(const char *text, size_t len, int base, int64_t *ret);
bool number_read_unsigned(const char *text, size_t len, int base, uint64_t *ret);

/* strconv.ParseFloat(…, 64); false when it is no number or too large. */
bool number_read_real(const char *text, size_t len, double *ret);

/* The fewest digits that name this double and no other: "12345" and where the point stands in them
 * (0: before the first). Not for infinities and NaN; a zero is "0" with its point at 1. */
enum { NUMBER_DIGITS_MAX = 17 };
int number_shortest(double value, char digits[NUMBER_DIGITS_MAX + 1], int *point);

/* strconv.FormatFloat(value, verb, precision, 64) for e, E, f, g, G; a negative precision is the
 * shortest that can be read back. */
void number_write_real(struct buf *out, double value, char verb, int precision);

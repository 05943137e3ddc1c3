/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of characters as ranges, and which letters are the same without regard to case. The table
 * holds Latin, Greek and Cyrillic: what keys and field names are written in. Letters elsewhere only
 * match themselves.
 */
#include <stdlib.h>

#include "agent/base/regex_program.h"

enum { FIRST_RANGES = 8, FOLD_PASSES = 2 };

/* Upper-case letters `low` to `high`, every `step`-th, and how far the lower-case partner is away.
 */
static const struct {
	uint32_t low, high, step;
	int32_t distance;
} folds[] = {
	{ 'A', 'Z', 1, 32 },
	{ 0xc0, 0xd6, 1, 32 },
	{ 0xd8, 0xde, 1, 32 },
	{ 0x100, 0x12e, 2, 1 },
	{ 0x132, 0x136, 2, 1 },
	{ 0x139, 0x147, 2, 1 },
	{ 0x14a, 0x176, 2, 1 },
	{ 0x178, 0x178, 1, 0xff - 0x178 },
	{ 0x179, 0x17d, 2, 1 },
	{ 0x391, 0x3a1, 1, 32 },
	{ 0x3a3, 0x3a9, 1, 32 },
	{ 0x400, 0x40f, 1, 80 },
	{ 0x410, 0x42f, 1, 32 },
	/* Third spellings: long s, final sigma, the signs for Kelvin, Angstrom, micro and Ohm. */
	{ 0x17f, 0x17f, 1, 's' - 0x17f },
	{ 0x3c2, 0x3c2, 1, 1 },
	{ 0x212a, 0x212a, 1, 'k' - 0x212a },
	{ 0x212b, 0x212b, 1, 0xe5 - 0x212b },
	{ 0xb5, 0xb5, 1, 0x3bc - 0xb5 },
	{ 0x2126, 0x2126, 1, 0x3c9 - 0x2126 },
};

static void add_range(struct regex_set *set, uint32_t low, uint32_t high)
{
	if (set->count == set->capacity) {
		size_t capacity = set->capacity > 0 ? 2 * set->capacity : FIRST_RANGES;
		struct regex_range *ranges = reallocarray(set->ranges, capacity, sizeof(*ranges));

		if (ranges == NULL) {
			set->failed = true;
			return;
		}
		set->ranges = ranges;
		set->capacity = capacity;
	}
	set->ranges[set->count++] = (struct regex_range){ .low = low, .high = high };
}

static void add_partner(struct regex_set *set, struct regex_range range, uint32_t upper,
			uint32_t lower)
{
	bool has_upper = upper >= range.low && upper <= range.high;
	bool has_lower = lower >= range.low && lower <= range.high;

	if (has_upper && !has_lower)
		add_range(set, lower, lower);
	if (has_lower && !has_upper)
		add_range(set, upper, upper);
}

static void add_partners(struct regex_set *set, struct regex_range range)
{
	for (size_t i = 0; i < sizeof(folds) / sizeof(folds[0]); i++)
		for (uint32_t upper = folds[i].low; upper <= folds[i].high; upper += folds[i].step)
			add_partner(set, range, upper,
				    (uint32_t)((int32_t)upper + folds[i].distance));
}

void regex_set_add(struct regex_set *set, uint32_t low, uint32_t high, bool fold)
{
	size_t first = set->count, end;

	add_range(set, low, high);
	/* Twice: K reaches the Kelvin sign by way of k. */
	for (int pass = 0; fold && pass < FOLD_PASSES; pass++) {
		end = set->count;
		for (size_t i = first; i < end; i++)
			add_partners(set, set->ranges[i]);
		first = end;
	}
}

void regex_set_add_set(struct regex_set *set, const struct regex_set *other)
{
	for (size_t i = 0; i < other->count; i++)
		add_range(set, other->ranges[i].low, other->ranges[i].high);
	set->failed = set->failed || other->failed;
}

static int compare_ranges(const void *one, const void *other)
{
	const struct regex_range *a = one, *b = other;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return 0;
}

void regex_set_finish(struct regex_set *set)
{
	size_t kept = 0;

	if (set->count == 0)
		return;
	qsort(set->ranges, set->count, sizeof(set->ranges[0]), compare_ranges);
	for (size_t i = 1; i < set->count; i++) {
		struct regex_range range = set->ranges[i];

		if (range.low > set->ranges[kept].high + 1)
			set->ranges[++kept] = range;
		else if (range.high > set->ranges[kept].high)
			set->ranges[kept].high = range.high;
	}
	set->count = kept + 1;
}

void regex_set_negate(struct regex_set *set)
{
	struct regex_set others = { .failed = set->failed };
	uint32_t low = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (set->ranges[i].low > low)
			add_range(&others, low, set->ranges[i].low - 1);
		low = set->ranges[i].high + 1;
	}
	if (low <= REGEX_CHARACTER_MAX)
		add_range(&others, low, REGEX_CHARACTER_MAX);
	regex_set_deinit(set);
	*set = others;
}

void regex_set_deinit(struct regex_set *set)
{
	free(set->ranges);
	*set = (struct regex_set){ 0 };
}

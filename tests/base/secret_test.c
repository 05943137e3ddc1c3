/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/secret.h"

Test(secret, keeps_bytes_with_nul_and_counts_references)
{
	struct error err = ERROR_INIT;
	struct secret *secret = secret_new("a\0b", 3, &err);

	cr_assert_not_null(secret);
	cr_expect(secret_ref(secret) == secret);
	cr_expect_null(secret_unref(secret));
	cr_expect_eq(secret_len(secret), 3);
	cr_expect_eq(memcmp(secret_bytes(secret), "a\0b", 3), 0);
	cr_expect_null(secret_unref(secret));
	cr_expect_eq(arena_stats().used_bytes, 0);
}

Test(secret, packs_small_values_into_one_chunk_and_gives_large_ones_back)
{
	struct error err = ERROR_INIT;
	struct secret *small[500], *large;
	size_t before;
	char bytes[100 << 10] = { 1 };

	for (size_t i = 0; i < 500; i++)
		small[i] = secret_new(&i, sizeof(i), &err);
	before = arena_stats().mapped_bytes;
	cr_expect_eq(before, 64 << 10);
	large = secret_new(bytes, sizeof(bytes), &err);
	cr_expect_gt(arena_stats().mapped_bytes, before);
	(void)secret_unref(large);
	cr_expect_eq(arena_stats().mapped_bytes, before);
	for (size_t i = 0; i < 500; i++) {
		cr_expect_eq(memcmp(secret_bytes(small[i]), &i, sizeof(i)), 0);
		(void)secret_unref(small[i]);
	}
	cr_expect_eq(arena_stats().used_bytes, 0);
}

Test(secret, reuses_freed_blocks_whatever_the_order)
{
	struct error err = ERROR_INIT;
	struct secret *held[64] = { NULL };
	unsigned state = 1;

	for (size_t i = 0; i < 20000; i++) {
		state = state * 1103515245 + 12345;
		size_t slot = state / 65536 % 64, len = state / 256 % 700;
		char bytes[700];

		(void)secret_unref(held[slot]);
		memset(bytes, (int)slot, len);
		held[slot] = secret_new(bytes, len, &err);
		cr_assert_not_null(held[slot]);
	}
	cr_expect_leq(arena_stats().mapped_bytes, 128 << 10);
	for (size_t i = 0; i < 64; i++) {
		for (size_t j = 0; held[i] != NULL && j < secret_len(held[i]); j++)
			cr_assert_eq(secret_bytes(held[i])[j], i);
		(void)secret_unref(held[i]);
	}
}

Test(secret, refuses_what_is_larger_than_its_limit)
{
	struct error err = ERROR_INIT;
	static char bytes[SECRET_MAX + 1];
	struct secret *secret = secret_new(bytes, SECRET_MAX, &err);

	cr_expect_not_null(secret);
	(void)secret_unref(secret);
	cr_expect_null(secret_new(bytes, SECRET_MAX + 1, &err));
	cr_expect_eq(err.code, ERROR_EXHAUSTED);
}

Test(secret, equality_is_of_length_and_content)
{
	struct error err = ERROR_INIT;
	struct secret *one = secret_new("abc", 3, &err), *same = secret_new("abc", 3, &err);
	struct secret *longer = secret_new("abcd", 4, &err), *other = secret_new("abd", 3, &err);

	cr_expect(secret_equal(one, same));
	cr_expect_not(secret_equal(one, longer));
	cr_expect_not(secret_equal(one, other));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/base/macros.h"
#include "agent/base/pool.h"

Test(pool, memory_is_zeroed_aligned_and_apart)
{
	AUTO(pool_deinit) struct pool pool = POOL_INIT;
	unsigned char *blocks[200];

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		blocks[i] = pool_alloc(&pool, i + 1);
		cr_assert_not_null(blocks[i]);
		cr_assert_eq((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j <= i; j++)
			cr_assert_eq(blocks[i][j], 0);
		memset(blocks[i], (int)i, i + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		for (size_t j = 0; j <= i; j++)
			cr_assert_eq(blocks[i][j], (unsigned char)i);
}

Test(pool, large_pieces_fit_and_impossible_ones_are_refused)
{
	AUTO(pool_deinit) struct pool pool = POOL_INIT;

	cr_assert_not_null(pool_alloc(&pool, 1 << 20));
	cr_assert_not_null(pool_alloc(&pool, 0));
	cr_assert_null(pool_alloc(&pool, SIZE_MAX));
	cr_assert_not_null(pool_alloc(&pool, POOL_PIECE_MAX));
	cr_assert_null(pool_alloc(&pool, POOL_PIECE_MAX + 1));
	cr_assert_null(pool_copy(&pool, "x", SIZE_MAX));
}

Test(pool, copies_end_with_nul)
{
	AUTO(pool_deinit) struct pool pool = POOL_INIT;

	cr_assert_str_eq(pool_copy(&pool, "abcdef", 3), "abc");
	cr_assert_str_eq(pool_copy(&pool, NULL, 0), "");
}

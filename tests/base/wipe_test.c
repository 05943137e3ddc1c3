/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "agent/base/macros.h"
#include "agent/base/wipe.h"

/* Small enough for the allocator to hand the same block out again at once. */
enum { BLOCK = 512, MARK = 'S', OWN_BYTES = 32 };

/* How much of a mark is left in the block that was just freed; the allocator's own links at its
 * start do not count. */
static size_t marks_in_next_block(void)
{
	volatile const unsigned char *block = wipe_malloc(BLOCK);
	size_t marks = 0;

	for (size_t i = OWN_BYTES; i < BLOCK; i++)
		marks += block[i] == MARK;
	wipe_free((void *)(uintptr_t)block);
	return marks;
}

Test(wipe, freed_memory_keeps_nothing)
{
	char *block = wipe_malloc(BLOCK);

	memset(block, MARK, BLOCK);
	wipe_free(block);
	cr_assert_eq(marks_in_next_block(), 0);
}

Test(wipe, moved_memory_keeps_nothing_behind_and_all_in_front)
{
	char *block = wipe_malloc(BLOCK), *moved;

	memset(block, MARK, BLOCK);
	moved = wipe_realloc(block, 100 * BLOCK);
	cr_assert_not_null(moved);
	for (size_t i = 0; i < BLOCK; i++)
		cr_assert_eq(moved[i], MARK);
	cr_assert_eq(marks_in_next_block(), 0);
	wipe_free(moved);
}

Test(wipe, shrunk_memory_keeps_its_beginning)
{
	char *block = wipe_malloc(100 * BLOCK);

	memset(block, MARK, 100 * BLOCK);
	block = wipe_realloc(block, BLOCK);
	cr_assert_not_null(block);
	cr_assert_eq(block[0], MARK);
	cr_assert_eq(block[BLOCK - 1], MARK);
	cr_assert_null(wipe_realloc(block, 0));
}

Test(wipe, empty_requests_are_memory_too)
{
	AUTO(wipe_freep) void *none = wipe_malloc(0);
	AUTO(wipe_freep) unsigned char *zeros = wipe_calloc(10, 3);
	AUTO(wipe_freep) void *grown = wipe_realloc(NULL, 5);
	AUTO(wipe_freep) char *copy = wipe_strdup("text");

	cr_assert_not_null(none);
	cr_assert_not_null(grown);
	cr_assert_str_eq(copy, "text");
	for (size_t i = 0; i < 30; i++)
		cr_assert_eq(zeros[i], 0);
	wipe_free(NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/base/wipe.h"

Test(buf, content_grows_and_is_a_string)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(1000);

	cr_assert_str_eq(buf_string(&buf), "");
	buf_puts(&buf, "a");
	buf_putc(&buf, 'b');
	buf_put(&buf, "c\0d", 3);
	buf_printf(&buf, "-%03d", 7);
	cr_assert_eq(buf.len, 9);
	cr_assert_eq(memcmp(buf.data, "abc\0d-007", 10), 0);
	for (int i = 0; i < 900; i++)
		buf_putc(&buf, 'x');
	cr_assert_eq(buf.len, 909);
	cr_assert_eq(buf.data[909], '\0');
	cr_assert_eq(memcmp(buf.data, "abc\0d-007x", 10), 0);
}

Test(buf, the_maximum_is_reached_and_not_passed)
{
	struct error err;

	for (size_t len = 99; len <= 101; len++) {
		AUTO(buf_deinit) struct buf buf = BUF_INIT(100);

		for (size_t i = 0; i < len; i++)
			buf_putc(&buf, 'x');
		cr_assert_eq(buf.failed, len > 100);
		cr_assert_eq(buf.len, len > 100 ? 100 : len);
		cr_assert_eq(buf_check(&buf, "the page", &err), len > 100 ? -1 : 0);
	}
	cr_assert_eq(err.code, ERROR_EXHAUSTED);
	cr_assert_str_eq(err.text, "the page is larger than 100 bytes");
}

Test(buf, failure_is_kept_until_the_reset)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(4);

	buf_puts(&buf, "abc");
	buf_puts(&buf, "de");
	buf_puts(&buf, "f");
	cr_assert(buf.failed);
	cr_assert_str_eq(buf_string(&buf), "abc");
	cr_assert_null(buf_reserve(&buf, 1));
	cr_assert_null(buf_steal(&buf));
	buf_reset(&buf);
	cr_assert_not(buf.failed);
	cr_assert_eq(buf.len, 0);
	buf_printf(&buf, "%d", 12345);
	cr_assert(buf.failed);
	buf_reset(&buf);
	buf_puts(&buf, "abcd");
	cr_assert_not(buf.failed);
}

Test(buf, a_length_that_overflows_is_refused)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(100);

	buf_puts(&buf, "abc");
	cr_assert_null(buf_reserve(&buf, SIZE_MAX - 1));
	cr_assert(buf.failed);
	cr_assert_eq(buf.len, 3);
}

Test(buf, what_is_cut_is_wiped)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(100);
	static const char zeros[10];

	buf_puts(&buf, "secret-value");
	buf_truncate(&buf, 20);
	cr_assert_eq(buf.len, 12);
	buf_truncate(&buf, 2);
	cr_assert_str_eq(buf.data, "se");
	cr_assert_eq(memcmp(buf.data + 2, zeros, 10), 0);
	buf_reset(&buf);
	cr_assert_eq(memcmp(buf.data, zeros, 10), 0);
}

Test(buf, reserved_room_is_written_and_committed)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(10);
	char *room;

	room = buf_reserve(&buf, 10);
	cr_assert_not_null(room);
	memcpy(room, "0123456789", 10);
	cr_assert_eq(buf.len, 0);
	buf_commit(&buf, 4);
	cr_assert_str_eq(buf.data, "0123");
}

Test(buf, stolen_memory_is_the_takers)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(10);
	AUTO(wipe_freep) char *empty = NULL;
	AUTO(wipe_freep) char *text = NULL;

	empty = buf_steal(&buf);
	cr_assert_str_eq(empty, "");
	buf_puts(&buf, "abc");
	text = buf_steal(&buf);
	cr_assert_str_eq(text, "abc");
	cr_assert_null(buf.data);
	buf_puts(&buf, "again");
	cr_assert_str_eq(buf.data, "again");
	cr_assert_str_eq(text, "abc");
}

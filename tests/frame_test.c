/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/frame.h"

static void send_pair(int fd, const char *name, const char *value)
{
	AUTO(buf_deinit) struct buf buf = FRAME_BUF;
	struct error err = ERROR_INIT;

	frame_begin(&buf, FRAME_ENV);
	frame_put_number(&buf, FRAME_ENV_SUPERVISE);
	frame_put_bytes(&buf, name, strlen(name));
	frame_put_bytes(&buf, value, strlen(value));
	cr_assert_eq(frame_send(fd, &buf, &err), 0);
	cr_expect_eq(buf.len, 0);
}

static void expect_pair(struct frame *frame, const char *name, const char *value)
{
	uint32_t flags;
	const char *bytes;
	size_t len;

	cr_expect_eq(frame->type, FRAME_ENV);
	cr_assert(frame_take_number(frame, &flags));
	cr_expect_eq(flags, FRAME_ENV_SUPERVISE);
	cr_assert(frame_take_bytes(frame, &bytes, &len));
	cr_expect(len == strlen(name) && memcmp(bytes, name, len) == 0);
	cr_assert(frame_take_bytes(frame, &bytes, &len));
	cr_expect(len == strlen(value) && memcmp(bytes, value, len) == 0);
	cr_expect_not(frame_take_bytes(frame, &bytes, &len));
	cr_expect_not(frame_take_number(frame, &flags));
}

Test(frame, arrives_as_sent_one_after_the_other)
{
	AUTO(frame_reader_deinit) struct frame_reader reader = FRAME_READER_INIT;
	struct error err = ERROR_INIT;
	struct frame frame;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_expect_eq(frame_receive(&reader, ends[1], &err), 0);
	send_pair(ends[0], "ONE", "first");
	send_pair(ends[0], "TWO", "");
	cr_assert_eq(frame_receive(&reader, ends[1], &err), 1);
	cr_assert_eq(frame_next(&reader, &frame, &err), 1);
	expect_pair(&frame, "ONE", "first");
	cr_assert_eq(frame_next(&reader, &frame, &err), 1);
	expect_pair(&frame, "TWO", "");
	cr_expect_eq(frame_next(&reader, &frame, &err), 0);
	(void)close(ends[0]);
	cr_expect_eq(frame_receive(&reader, ends[1], &err), -1);
	cr_expect_eq(err.code, ERROR_CANCELED);
	(void)close(ends[1]);
}

Test(frame, waits_for_the_last_byte)
{
	AUTO(frame_reader_deinit) struct frame_reader reader = FRAME_READER_INIT;
	struct error err = ERROR_INIT;
	struct frame frame;
	char bytes[256];
	ssize_t len;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	send_pair(ends[0], "NAME", "value");
	len = read(ends[1], bytes, sizeof(bytes));
	cr_assert_gt(len, 8);
	for (ssize_t i = 0; i < len; i++) {
		cr_assert_eq(frame_next(&reader, &frame, &err), 0, "byte %zd", i);
		cr_assert_eq(write(ends[0], bytes + i, 1), 1);
		cr_assert_eq(frame_receive(&reader, ends[1], &err), 1);
	}
	cr_assert_eq(frame_next(&reader, &frame, &err), 1);
	expect_pair(&frame, "NAME", "value");
	(void)close(ends[0]);
	(void)close(ends[1]);
}

Test(frame, refuses_unknown_types_and_lengths_before_it_asks_for_memory)
{
	static const uint32_t heads[][2] = {
		{ 0, 0 },
		{ FRAME_TYPES, 0 },
		{ FRAME_ENV, FRAME_BODY_MAX + 1 },
		{ FRAME_ENV, UINT32_MAX },
	};
	struct error err = ERROR_INIT;
	struct frame frame;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		AUTO(frame_reader_deinit) struct frame_reader reader = FRAME_READER_INIT;

		cr_assert_eq(write(ends[0], heads[i], sizeof(heads[i])), (ssize_t)sizeof(heads[i]));
		cr_assert_eq(frame_receive(&reader, ends[1], &err), 1);
		cr_expect_eq(frame_next(&reader, &frame, &err), -1, "row %zu", i);
		cr_expect_eq(err.code, ERROR_PROTOCOL, "row %zu", i);
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
}

Test(frame, refuses_a_length_that_leaves_its_body)
{
	const uint32_t body[] = { 5, 'a' };
	struct frame frame = { .type = FRAME_FAIL,
			       .body = (const char *)body,
			       .len = sizeof(body) };
	const char *bytes = NULL;
	size_t len = 77;

	cr_expect_not(frame_take_bytes(&frame, &bytes, &len));
	cr_expect_eq(frame.at, 0);
	cr_expect_null(bytes);
	cr_expect_eq(len, 77);
}

Test(frame, refuses_to_send_more_than_its_limit)
{
	AUTO(buf_deinit) struct buf buf = FRAME_BUF;
	struct error err = ERROR_INIT;
	static char large[FRAME_BODY_MAX];

	frame_begin(&buf, FRAME_ENV);
	frame_put_bytes(&buf, large, sizeof(large) - 4);
	cr_expect_not(buf.failed);
	frame_put_bytes(&buf, "", 0);
	cr_expect(buf.failed);
	cr_expect_eq(frame_send(-1, &buf, &err), -1);
	cr_expect_eq(err.code, ERROR_EXHAUSTED);
}

Test(frame, says_so_when_nobody_listens)
{
	AUTO(buf_deinit) struct buf buf = FRAME_BUF;
	struct error err = ERROR_INIT;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	(void)close(ends[1]);
	frame_begin(&buf, FRAME_EXIT);
	frame_put_number(&buf, 0);
	cr_expect_eq(frame_send(ends[0], &buf, &err), -1);
	cr_expect_eq(err.code, ERROR_CANCELED);
	(void)close(ends[0]);
}

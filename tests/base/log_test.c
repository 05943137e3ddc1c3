/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

/* Standard error of this test's process becomes a pipe; returns the end to read. */
static int capture(void)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(ends[1]);
	return ends[0];
}

static void read_all(int fd, struct buf *buf)
{
	char bytes[4096];
	ssize_t len;

	while ((len = read(fd, bytes, sizeof(bytes))) > 0)
		buf_put(buf, bytes, (size_t)len);
}

Test(log, text_lines_have_time_level_event_and_fields)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(65536);
	AUTO(closep) int fd = capture();
	struct error err;
	int64_t time;

	log_info("secret published", LOG_STR("secret", "db"), LOG_NUM("fields", 3),
		 LOG_STR("path", "with \"space\"\n"), LOG_STR("empty", ""));
	read_all(fd, &buf);
	cr_assert_eq(text_read_time(buf.data, 20, &time, &err), 0);
	cr_assert_str_eq(buf.data + 20,
			 " info  secret published secret=db fields=3 "
			 "path=\"with \\\"space\\\"\\n\" empty=\"\"\n");
}

Test(log, json_lines_are_json_whatever_the_fields_hold)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(buf_deinit) struct buf buf = BUF_INIT(65536);
	AUTO(closep) int fd = capture();
	const struct json_node *root;
	struct error err;

	log_setup(LOG_INFO, LOG_JSON);
	(void)error_set(&err, ERROR_DENIED, "policy \"x\"");
	log_error("fetch failed", LOG_ERR(&err), LOG_STR("bad", "a\x01\xff"),
		  LOG_NUM("least", INT64_MIN));
	read_all(fd, &buf);
	cr_assert_eq(buf.data[buf.len - 1], '\n');
	doc = json_doc_read(buf.data, buf.len, &JSON_REPLY_LIMITS, &err);
	cr_assert_not_null(doc, "%s: %s", err.text, buf.data);
	root = json_doc_root(doc);
	cr_assert_str_eq(json_string(json_get(root, "level")), "error");
	cr_assert_str_eq(json_string(json_get(root, "event")), "fetch failed");
	cr_assert_str_eq(json_string(json_get(root, "error")), "denied");
	cr_assert_str_eq(json_string(json_get(root, "cause")), "policy \"x\"");
	cr_assert_eq(json_integer(json_get(root, "least"), 0), INT64_MIN);
}

Test(log, lines_past_the_level_are_not_written)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(65536);
	AUTO(closep) int fd = capture();

	log_setup(LOG_WARN, LOG_TEXT);
	log_info("not this");
	log_debug("nor this");
	log_warn("this");
	read_all(fd, &buf);
	cr_assert_not_null(strstr(buf_string(&buf), " warn  this\n"));
	cr_assert_null(strstr(buf_string(&buf), "not"));
	cr_assert_eq(log_level(), LOG_WARN);
	cr_assert_eq(log_dropped(), 0);
}

Test(log, a_full_pipe_loses_the_line_and_counts_it)
{
	AUTO(closep) int fd = capture();
	static const char filler[4096];

	while (write(STDERR_FILENO, filler, sizeof(filler)) > 0)
		;
	log_info("lost");
	cr_assert_eq(log_dropped(), 1);
	log_info("lost again");
	cr_assert_eq(log_dropped(), 2);
}

Test(log, a_line_that_is_too_long_is_dropped_whole)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(65536);
	AUTO(closep) int fd = capture();
	char text[5000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("long", LOG_STR("text", text));
	read_all(fd, &buf);
	cr_assert_eq(buf.len, 0);
	cr_assert_eq(log_dropped(), 1);
}

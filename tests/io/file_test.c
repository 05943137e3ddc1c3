/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/io/file.h"

/* A directory of the test's own; removed with what is in it. */
static char directory[64];
static char path[128];

static void enter(void)
{
	(void)snprintf(directory, sizeof(directory), "/tmp/agent-file-test-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/file", directory);
}

static size_t entries(bool remove_them)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		if (remove_them)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	(void)closedir(dir);
	return count;
}

static void leave(void)
{
	(void)entries(true);
	cr_expect_eq(rmdir(directory), 0);
}

static void put(const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	(void)fputs(text, file);
	(void)fclose(file);
	cr_assert_eq(chmod(path, mode), 0);
}

Test(file, reads_at_the_limit_and_refuses_one_byte_more, .init = enter, .fini = leave)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(1000);
	struct error err = ERROR_INIT;

	put("12345", 0600);
	buf_puts(&out, "> ");
	cr_expect_eq(file_read(path, 5, false, &out, &err), 0);
	cr_expect_str_eq(out.data, "> 12345");
	cr_expect_eq(file_read(path, 6, false, &out, &err), 0);
	cr_expect_eq(file_read(path, 4, false, &out, &err), -1);
	cr_expect_eq(err.code, ERROR_EXHAUSTED);
	cr_expect_not_null(strstr(err.text, path));
	cr_expect_str_eq(out.data, "> 1234512345", "a failure leaves what was there");
}

Test(file, reads_files_whose_size_is_not_known_and_still_keeps_the_limit)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(1 << 20);
	struct error err = ERROR_INIT;

	cr_expect_eq(file_read("/proc/self/status", 1 << 20, false, &out, &err), 0);
	cr_expect_gt(out.len, 100);
	cr_expect_eq(file_read("/proc/self/status", 100, false, &out, &err), -1);
	cr_expect_eq(err.code, ERROR_EXHAUSTED);
}

Test(file, names_what_cannot_be_read, .init = enter, .fini = leave)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(1000);
	struct error err = ERROR_INIT;

	cr_expect_eq(file_read(path, 100, false, &out, &err), -1);
	cr_expect_eq(err.code, ERROR_NOT_FOUND);
	cr_expect_not_null(strstr(err.text, path));
	cr_expect_eq(file_read(directory, 100, false, &out, &err), -1);
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_eq(file_read("/dev/zero", 100, false, &out, &err), -1);
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(file_read(path, 100, false, &out, &err), -1,
		     "and it does not wait for a writer");
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_eq(out.len, 0);
}

Test(file, refuses_a_credential_that_others_can_write, .init = enter, .fini = leave)
{
	static const struct {
		mode_t mode;
		bool good;
	} rows[] = {
		{ 0600, true }, { 0644, true }, { 0444, true }, { 0602, false }, { 0666, false }
	};
	AUTO(buf_deinit) struct buf out = BUF_INIT(1000);
	struct error err = ERROR_INIT;

	put("token", 0600);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert_eq(chmod(path, rows[i].mode), 0);
		cr_expect_eq(file_read(path, 100, true, &out, &err), rows[i].good ? 0 : -1,
			     "row %zu", i);
		if (!rows[i].good)
			cr_expect_eq(err.code, ERROR_INVALID);
		cr_expect_eq(file_read(path, 100, false, &out, &err), 0, "row %zu", i);
	}
	if (geteuid() == 0) {
		cr_assert_eq(chmod(path, 0620), 0);
		cr_assert_eq(chown(path, 0, 12345), 0);
		cr_expect_eq(file_read(path, 100, true, &out, &err), -1);
		cr_assert_eq(chmod(path, 0600), 0);
		cr_assert_eq(chown(path, 12345, 0), 0);
		cr_expect_eq(file_read(path, 100, true, &out, &err), -1);
	}
}

Test(file, replaces_keeping_mode_and_leaves_nothing_beside, .init = enter, .fini = leave)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(1000);
	struct error err = ERROR_INIT;
	struct stat st;

	cr_expect_eq(file_replace(path, "one", 3, 0, &err), 0);
	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_eq(file_replace(path, "two!", 4, 0640, &err), 0);
	cr_expect_eq(file_replace(path, "3", 1, 0, &err), 0);
	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0640);
	cr_expect_eq(file_read(path, 100, false, &out, &err), 0);
	cr_expect_str_eq(out.data, "3");
	cr_expect_eq(entries(false), 1);
}

Test(file, replaces_what_a_link_points_to_and_keeps_the_link, .init = enter, .fini = leave)
{
	struct error err = ERROR_INIT;
	char link[160];
	struct stat st;

	put("old", 0604);
	(void)snprintf(link, sizeof(link), "%s/link", directory);
	cr_assert_eq(symlink("file", link), 0);
	cr_expect_eq(file_replace(link, "new", 3, 0, &err), 0);
	cr_expect_eq(lstat(link, &st), 0);
	cr_expect(S_ISLNK(st.st_mode));
	cr_expect_eq(lstat(path, &st), 0);
	cr_expect(S_ISREG(st.st_mode));
	cr_expect_eq(st.st_mode & 07777, 0604);
	cr_expect_eq(st.st_size, 3);
}

Test(file, refuses_to_replace_what_is_no_file, .init = enter, .fini = leave)
{
	struct error err = ERROR_INIT;

	cr_expect_eq(file_replace(directory, "x", 1, 0, &err), -1);
	cr_expect_eq(entries(false), 0);
	cr_expect_eq(file_replace("/nonexistent/file", "x", 1, 0, &err), -1);
	cr_expect_eq(err.code, ERROR_NOT_FOUND);
	cr_expect_eq(file_replace("/proc/file", "x", 1, 0, &err), -1);
	cr_expect_not_null(strstr(err.text, "/proc/file"));
}

Test(file, performs_a_request_with_its_limit_and_stamps, .init = enter, .fini = leave)
{
	AUTO(request_deinit) struct request request = REQUEST_INIT;
	AUTO(buf_deinit) struct buf out = BUF_INIT(REPLY_LIST_MAX);
	struct error err = ERROR_INIT;
	struct reply reply;

	request_reset(&request);
	request.kind = REQUEST_FILE;
	buf_puts(&request.path, path);
	put("", 0600);
	cr_expect_eq(file_perform(&request, clock_system(), &out, &reply, &err), 0);
	cr_expect_str_eq(reply.body, "");
	put("content", 0666);
	cr_expect_eq(file_perform(&request, clock_system(), &out, &reply, &err), 0);
	cr_expect_eq(reply.kind, REQUEST_FILE);
	cr_expect_eq(reply.status, 200);
	cr_expect_eq(reply.len, 7);
	cr_expect_str_eq(reply.body, "content");
	cr_expect_eq(reply.retry_after_ms, -1);
	cr_expect_gt(reply.received.real_ms, 0);
	request.reply_max = 6;
	cr_expect_eq(file_perform(&request, clock_system(), &out, &reply, &err), -1);
	request.reply_max = 7;
	request.file_secret = true;
	cr_expect_eq(file_perform(&request, clock_system(), &out, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_assert_eq(unlink(path), 0);
	request.file_remedy = "make one";
	cr_expect_eq(file_perform(&request, clock_system(), &out, &reply, &err), -1);
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(err.text, "No such file or directory: make one"), "%s", err.text);
}

Test(file, stream_is_read_to_its_end_and_not_past_the_limit)
{
	for (size_t len = 3; len <= 5; len++) {
		AUTO(buf_deinit) struct buf out = BUF_INIT(100);
		struct error err = ERROR_INIT;
		char name[32];
		int ends[2];

		cr_assert_eq(pipe(ends), 0);
		cr_assert_eq(write(ends[1], "12345", len), (ssize_t)len);
		(void)close(ends[1]);
		(void)snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
		cr_expect_eq(file_read_stream(name, 4, &out, &err), len <= 4 ? 0 : -1);
		cr_expect_eq(out.len, len <= 4 ? len : 0);
		if (len > 4)
			cr_expect_eq(err.code, ERROR_EXHAUSTED);
		(void)close(ends[0]);
	}
}

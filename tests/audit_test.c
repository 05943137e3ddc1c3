/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/audit.h"

static char root[64], file[80], old[80];
static struct audit *audit;
static struct error err;

static struct stamp now(const struct clock *clock)
{
	(void)clock;
	return (struct stamp){ .real_ms = 1700000000000 };
}

static const struct clock fake_clock = { .now = now };

static void setup(void)
{
	(void)snprintf(root, sizeof(root), "/tmp/audit-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
	(void)snprintf(file, sizeof(file), "%s/audit.log", root);
	(void)snprintf(old, sizeof(old), "%s/audit.log.1", root);
	audit = audit_open(file, &fake_clock, &err);
	cr_assert_not_null(audit, "%s", err.text);
}

static void teardown(void)
{
	audit = audit_close(audit);
	(void)unlink(file);
	(void)unlink(old);
	(void)rmdir(root);
}

TestSuite(audit, .init = setup, .fini = teardown);

static const char *content(const char *path)
{
	static char text[2][1024];
	static unsigned next;
	char *into = text[next++ % 2];
	AUTO(closep) int fd = open(path, O_RDONLY);
	ssize_t len = fd >= 0 ? read(fd, into, sizeof(text[0]) - 1) : 0;

	into[len > 0 ? len : 0] = '\0';
	return into;
}

#define LINE(name)                                                                                 \
	"{\"time\":\"2023-11-14T22:13:20Z\",\"event\":\"publish\",\"secret\":\"" name              \
	"\",\"version\":\"7\",\"result\":\"ok\"}\n"

Test(audit, writes_a_line_per_read_and_per_publication)
{
	const struct http_peer peer = { .uid = 1000, .gid = 100, .pid = 42 };
	struct stat status;

	audit_publish(audit, "db", "7");
	audit_read(audit, &peer, "db", "7", AUDIT_OK);
	audit_read(audit, &peer, "no\"such", NULL, AUDIT_NOT_FOUND);
	cr_expect_str_eq(content(file),
			 LINE("db") "{\"time\":\"2023-11-14T22:13:20Z\",\"event\":\"read\","
				    "\"uid\":1000,\"gid\":100,\"pid\":42,\"secret\":\"db\","
				    "\"version\":\"7\",\"result\":\"ok\"}\n"
				    "{\"time\":\"2023-11-14T22:13:20Z\",\"event\":\"read\","
				    "\"uid\":1000,\"gid\":100,\"pid\":42,"
				    "\"secret\":\"no\\\"such\",\"result\":\"not_found\"}\n");
	cr_expect(stat(file, &status) == 0 && (status.st_mode & 07777) == 0600);
	cr_expect_eq(audit_dropped(audit), 0);
}

Test(audit, follows_a_rotation_with_the_first_line_after_it)
{
	audit_publish(audit, "one", "7");
	cr_assert_eq(rename(file, old), 0);
	audit_publish(audit, "two", "7");
	audit_publish(audit, "three", "7");
	cr_expect_str_eq(content(old), LINE("one"));
	cr_expect_str_eq(content(file), LINE("two") LINE("three"));
	cr_assert_eq(unlink(file), 0);
	audit_publish(audit, "four", "7");
	cr_expect_str_eq(content(file), LINE("four"));
	cr_expect_eq(audit_dropped(audit), 0);
}

Test(audit, stays_with_the_file_it_has_while_there_can_be_no_other)
{
	audit_publish(audit, "one", "7");
	cr_assert_eq(rename(file, old), 0);
	cr_assert_eq(mkdir(file, 0700), 0);
	audit_publish(audit, "two", "7");
	cr_expect_str_eq(content(old), LINE("one") LINE("two"));
	cr_expect_eq(audit_dropped(audit), 0);
	cr_assert_eq(rmdir(file), 0);
	/* A link that somebody put there is not followed. */
	cr_assert_eq(symlink(old, file), 0);
	audit_publish(audit, "three", "7");
	cr_expect_str_eq(content(old), LINE("one") LINE("two") LINE("three"));
	cr_assert_eq(unlink(file), 0);
	audit_publish(audit, "four", "7");
	cr_expect_str_eq(content(file), LINE("four"));
}

Test(audit, drops_and_counts_what_nobody_takes)
{
	cr_assert_eq(audit_close(audit), NULL);
	cr_assert_eq(unlink(file), 0);
	cr_assert_eq(mkfifo(file, 0600), 0);
	AUTO(closep) int reader = open(file, O_RDONLY | O_NONBLOCK);

	audit = audit_open(file, &fake_clock, &err);
	cr_assert_not_null(audit, "%s", err.text);
	for (int i = 0; i < 2000; i++)
		audit_publish(audit, "db", "7");
	cr_expect_gt(audit_dropped(audit), 0);
	cr_expect_lt(audit_dropped(audit), 2000);
}

/* A limit of the file's size stands for a disk without room: the line that crosses it is cut. */
Test(audit, parts_a_line_that_was_cut_from_the_next_and_says_what_is_lost_once)
{
	const struct rlimit cut = { 150, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
	AUTO(closep) int log = open(old, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO(closep) int standard = dup(STDERR_FILENO);

	cr_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &cut) == 0);
	audit_publish(audit, "one", "7");
	cr_assert_eq(dup2(log, STDERR_FILENO), STDERR_FILENO);
	audit_publish(audit, "two", "7");
	audit_publish(audit, "three", "7");
	cr_assert_eq(dup2(standard, STDERR_FILENO), STDERR_FILENO);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	audit_publish(audit, "four", "7");
	cr_expect_eq(audit_dropped(audit), 2);
	cr_expect(strncmp(content(file), LINE("one"), strlen(LINE("one"))) == 0);
	cr_expect_not_null(strstr(content(file), "\n" LINE("four")), "%s", content(file));
	cr_expect_not_null(strstr(content(old), "audit lines are lost"), "%s", content(old));
	cr_expect_null(strstr(strstr(content(old), "audit lines") + 1, "audit lines"));
}

Test(audit, names_what_cannot_be_its_file)
{
	char link[96];

	(void)snprintf(link, sizeof(link), "%s", old);
	cr_assert_eq(symlink(file, link), 0);
	cr_expect_null(audit_open(link, &fake_clock, &err));
	cr_expect_not_null(strstr(err.text, "a symbolic link, which is not followed"), "%s",
			   err.text);
	cr_assert(unlink(link) == 0 && mkfifo(link, 0600) == 0);
	cr_expect_null(audit_open(link, &fake_clock, &err));
	cr_expect_not_null(strstr(err.text, "start who reads it first"), "%s", err.text);
}

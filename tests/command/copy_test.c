/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/macros.h"
#include "agent/command/usage.h"

static char directory[] = "/tmp/agent-copy-XXXXXX";
static char program[64], fresh[64];

static void enter(void)
{
	cr_assert_not_null(mkdtemp(directory));
	(void)snprintf(program, sizeof(program), "%s/agent", directory);
	(void)snprintf(fresh, sizeof(fresh), "%s/.agent.new", directory);
	cr_redirect_stderr();
}

static void leave(void)
{
	(void)unlink(program);
	(void)rmdir(program);
	(void)rmdir(directory);
}

static int copy_to(char *path)
{
	char name[] = "agent", verb[] = "copy";
	char *words[] = { name, verb, path, NULL };

	return command_main(3, words);
}

/* This test's own program is what is copied. */
static bool same_bytes(void)
{
	AUTO(closep) int one = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	AUTO(closep) int other = open(program, O_RDONLY | O_CLOEXEC);
	static char left[1 << 16], right[1 << 16];
	ssize_t got;

	cr_assert(one >= 0 && other >= 0);
	do {
		got = read(one, left, sizeof(left));
		if (got < 0 || read(other, right, sizeof(right)) != got ||
		    memcmp(left, right, (size_t)got) != 0)
			return false;
	} while (got > 0);
	return true;
}

Test(copy, is_whole_and_for_everybody_whatever_the_umask, .init = enter, .fini = leave)
{
	struct stat info;

	(void)umask(0077);
	cr_expect_eq(copy_to(directory), 0);
	cr_assert_eq(stat(program, &info), 0);
	cr_expect_eq(info.st_mode, S_IFREG | 0755);
	cr_expect(same_bytes());
	cr_expect_neq(access(fresh, F_OK), 0);
}

Test(copy, replaces_what_stands_there_and_what_a_killed_one_left, .init = enter, .fini = leave)
{
	struct stat before, after;

	cr_assert_eq(copy_to(directory), 0);
	cr_assert_eq(stat(program, &before), 0);
	cr_assert_eq(link(program, fresh), 0);
	cr_expect_eq(copy_to(directory), 0);
	cr_assert_eq(stat(program, &after), 0);
	cr_expect_neq(before.st_ino, after.st_ino, "one that runs is never written into");
	cr_expect(same_bytes());
	cr_expect_neq(access(fresh, F_OK), 0);
}

Test(copy, that_cannot_be_placed_leaves_nothing_and_names_the_place, .init = enter, .fini = leave)
{
	cr_assert_eq(mkdir(program, 0700), 0);
	cr_expect_eq(copy_to(directory), 78);
	cr_expect_neq(access(fresh, F_OK), 0);
	(void)fflush(stderr);
	cr_expect_neq(access(program, F_OK), -1);
}

Test(copy, needs_a_directory_that_is_there, .init = enter, .fini = leave)
{
	char missing[] = "/tmp/agent-copy-missing/dir";

	cr_expect_eq(copy_to(missing), 65);
	(void)fflush(stderr);
	cr_expect_stderr_eq_str(
		"agent: cannot copy into '/tmp/agent-copy-missing/dir': No such file "
		"or directory\n");
}

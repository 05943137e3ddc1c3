/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/command/usage.h"

enum { OUTPUT_MAX = 1 << 20 };

/* Lets the shell itself check what was written; a shell that is not installed takes everything. */
static void expect_parses(const char *shell)
{
	char path[] = "/tmp/agent-completion-XXXXXX";
	struct buf out = BUF_INIT(OUTPUT_MAX);
	int fd = mkstemp(path), status = -1;
	pid_t pid;

	cr_assert_eq(completion_write(&out, shell, NULL), 0);
	cr_assert_eq(write(fd, out.data, out.len), (ssize_t)out.len);
	(void)close(fd);
	pid = fork();
	if (pid == 0) {
		(void)execlp(shell, shell, "-n", path, NULL);
		_exit(errno == ENOENT ? 0 : 1);
	}
	cr_expect_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0, "%s does not take it", shell);
	(void)unlink(path);
	buf_deinit(&out);
}

Test(completion, is_what_the_shells_take)
{
	expect_parses("bash");
	expect_parses("zsh");
	expect_parses("fish");
}

Test(completion, knows_every_command_and_its_options)
{
	static const char *const kinds[] = { "bash", "zsh", "fish" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct buf out = BUF_INIT(OUTPUT_MAX);

		cr_assert_eq(completion_write(&out, kinds[i], NULL), 0);
		for (size_t j = 0; commands[j] != NULL; j++)
			cr_expect_not_null(strstr(buf_string(&out), commands[j]->name));
		cr_expect_not_null(strstr(buf_string(&out), "policy"));
		buf_deinit(&out);
	}
}

Test(completion, has_a_page_for_the_program_and_for_every_command)
{
	struct buf out = BUF_INIT(OUTPUT_MAX);

	cr_assert_eq(completion_write(&out, "man", NULL), 0);
	cr_expect_eq(strncmp(buf_string(&out), ".TH AGENT 1", 11), 0);
	for (size_t i = 0; commands[i] != NULL; i++) {
		struct buf page = BUF_INIT(OUTPUT_MAX);

		cr_expect_eq(completion_write(&page, "man", commands[i]->name), 0);
		cr_expect_not_null(strstr(buf_string(&page), ".SH SYNOPSIS"));
		buf_deinit(&page);
	}
	buf_deinit(&out);
}

Test(completion, refuses_what_it_does_not_know)
{
	struct buf out = BUF_INIT(OUTPUT_MAX);

	cr_expect_eq(completion_write(&out, "tcsh", NULL), -1);
	cr_expect_eq(completion_write(&out, "man", "nobody"), -1);
	cr_expect_eq(completion_write(&out, "bash", "check"), -1);
	cr_expect_eq(out.len, 0);
}

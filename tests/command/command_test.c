/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/command.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/command/usage.h"

enum { WORDS_MAX = 8 };

static void redirect(void)
{
	cr_redirect_stdout();
	cr_redirect_stderr();
}

/* Splits at spaces; argv ends with NULL as main's does. */
static int run(const char *line)
{
	char copy[256], *words[WORDS_MAX + 1] = { NULL }, *rest = copy;
	int count = 0;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	while (count < WORDS_MAX && (words[count] = strsep(&rest, " ")) != NULL)
		count++;
	return command_main(count, words);
}

static void expect_streams(const char *out, const char *err)
{
	(void)fflush(NULL);
	if (out != NULL)
		cr_expect_stdout_eq_str(out);
	cr_expect_stderr_eq_str(err);
}

Test(command, without_a_name_is_a_usage_error, .init = redirect)
{
	struct buf help = BUF_INIT(COMMAND_HELP_MAX);

	command_write_help(&help);
	cr_expect_eq(run("agent"), 64);
	(void)fflush(stderr);
	cr_expect_stderr_eq_str(buf_string(&help));
	buf_deinit(&help);
}

Test(command, misspelled_is_a_usage_error_with_a_suggestion, .init = redirect)
{
	cr_expect_eq(run("agent chekc"), 64);
	expect_streams(NULL,
		       "agent: unknown command 'chekc' (did you mean 'check'?)\n"
		       "Try `agent --help` for the list.\n");
}

Test(command, unlike_any_gets_no_suggestion, .init = redirect)
{
	cr_expect_eq(run("agent --frobnicate"), 64);
	expect_streams(NULL,
		       "agent: unknown option '--frobnicate'\n"
		       "Try `agent --help` for the list.\n");
}

Test(command, version_is_one_line, .init = redirect)
{
	cr_expect_eq(run("agent --version"), 0);
	expect_streams("agent " AGENT_VERSION "\n", "");
}

Test(command, every_row_of_the_table_is_in_the_help)
{
	struct buf help = BUF_INIT(COMMAND_HELP_MAX);

	command_write_help(&help);
	for (size_t i = 0; commands[i] != NULL; i++) {
		cr_expect_not_null(strstr(buf_string(&help), commands[i]->summary));
		cr_expect_eq(command_find(commands[i]->name), commands[i]);
	}
	cr_expect_null(command_find("nobody"));
	buf_deinit(&help);
}

Test(command, the_help_fits_a_terminal)
{
	AUTO(buf_deinit) struct buf help = BUF_INIT(COMMAND_HELP_MAX);

	command_write_help(&help);
	for (const char *line = buf_string(&help); *line != '\0';) {
		size_t len = strcspn(line, "\n");

		cr_expect_leq(len, 79, "%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

Test(command, every_name_and_backend_is_there_once)
{
	for (size_t i = 0; commands[i] != NULL; i++) {
		cr_expect_lt(i, PROGRAM_COMMANDS_MAX);
		for (size_t j = 0; j < i; j++)
			cr_expect_str_neq(commands[i]->name, commands[j]->name);
	}
}

/* argp ends the process: the exit code is the test's. */
Test(command, unknown_option_of_one_is_a_usage_error, .init = redirect, .exit_code = 64)
{
	(void)run("agent check --polciy");
}

Test(command, help_of_one_is_no_error, .init = redirect, .exit_code = 0)
{
	(void)run("agent check --help");
}

Test(command, help_then_a_name_is_the_help_of_that_one, .init = redirect, .exit_code = 0)
{
	(void)run("agent help check");
}

Test(command, failure_is_told_once_and_chooses_the_exit_status, .init = redirect)
{
	struct error err = ERROR_INIT;

	(void)error_set(&err, ERROR_DENIED, "role 'web' may not");
	cr_expect_eq(command_fail(&err), 77);
	expect_streams(NULL, "agent: role 'web' may not\n");
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
}

static void enter_scratch(char *directory)
{
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
	(void)unsetenv("AGENT_CONFIG");
	(void)unsetenv("AGENT_CONFIG_YAML");
}

static void leave_scratch(const char *directory)
{
	(void)unlink("agent.yaml");
	cr_assert_eq(chdir("/"), 0);
	(void)rmdir(directory);
}

Test(check, says_every_problem_and_exits_78, .init = redirect)
{
	char directory[] = "/tmp/agent-check-XXXXXX";

	enter_scratch(directory);
	write_file("agent.yaml", "max_stael: 1h\nlog: { level: lots }\n");
	cr_expect_eq(run("agent check"), 78);
	expect_streams(
		"",
		"./agent.yaml:1:1: unknown key 'max_stael' (did you mean 'max_stale'?)\n"
		"./agent.yaml:2:15: log.level: 'lots' is not one of error, warn, info, debug, "
		"trace\n");
	leave_scratch(directory);
}

Test(check, names_the_variable_that_holds_the_text, .init = redirect)
{
	char directory[] = "/tmp/agent-check-XXXXXX";

	enter_scratch(directory);
	write_file("agent.yaml", "max_stale: 1h\n");
	cr_assert_eq(setenv("AGENT_CONFIG_YAML", "max_stale: 1h\nlog: { level: lots }\n", 1), 0);
	cr_expect_eq(run("agent check"), 78);
	expect_streams("",
		       "$AGENT_CONFIG_YAML:2:15: log.level: 'lots' is not one of error, warn, "
		       "info, debug, trace\n");
	(void)unsetenv("AGENT_CONFIG_YAML");
	leave_scratch(directory);
}

Test(check, sums_up_a_good_file_in_one_line, .init = redirect)
{
	char directory[] = "/tmp/agent-check-XXXXXX";

	enter_scratch(directory);
	write_file("agent.yaml",
		   "backends: { vault: { address: 'https://127.0.0.1:1' } }\n"
		   "secrets: { db: { backend: vault, path: secret/db } }\n"
		   "env: { A: db.a, B: db.b }\n");
	cr_expect_eq(run("agent check"), 0);
	expect_streams(
		"./agent.yaml: 1 secret from 1 backend, 0 files sinks, 0 sockets, 2 variables: "
		"good\n",
		"");
	leave_scratch(directory);
}

Test(check, prints_the_least_policy_in_both_forms, .init = redirect)
{
	char directory[] = "/tmp/agent-check-XXXXXX";

	enter_scratch(directory);
	write_file("agent.yaml",
		   "backends: { vault: { address: 'https://127.0.0.1:1' } }\n"
		   "secrets: { db: { backend: vault, path: secret/db },\n"
		   "           web: { backend: vault, path: pki/issue/web, write: { a: b } } }\n");
	cr_expect_eq(run("agent check --policy"), 0);
	expect_streams(
		"# backend vault\n"
		"path \"secret/db\" {\n  capabilities = [\"read\"]\n}\n"
		"path \"secret/data/db\" {\n  capabilities = [\"read\"]\n}\n"
		"path \"pki/issue/web\" {\n  capabilities = [\"update\"]\n}\n",
		"");
	leave_scratch(directory);
}

Test(check, without_a_configuration_says_where_it_looked, .init = redirect)
{
	char directory[] = "/tmp/agent-check-XXXXXX";

	enter_scratch(directory);
	if (access("/etc/agent/agent.yaml", F_OK) != 0) {
		cr_expect_eq(run("agent check"), 78);
		expect_streams("",
			       "agent: no configuration: give -c FILE, set AGENT_CONFIG (a path) "
			       "or AGENT_CONFIG_YAML (its text), or write ./agent.yaml or "
			       "/etc/agent/agent.yaml\n");
	}
	leave_scratch(directory);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/common.h"

#include <criterion/criterion.h>
#include <string.h>

static bool has(const struct command *command, const char *name)
{
	const struct argp_option *row;
	size_t found = 0;

	for (size_t i = 0; (row = command_option(command, i)) != NULL; i++)
		found += strcmp(row->name, name) == 0;
	cr_expect_leq(found, 1, "%s --%s stands %zu times", command->name, name, found);
	return found == 1;
}

/* One spelling each, and none that a command spells for itself besides. */
Test(common, options_are_those_that_the_command_says)
{
	static const struct {
		const char *name;
		unsigned flag;
	} rows[] = {
		{ "config", COMMON_CONFIG },
		{ "socket", COMMON_SOCKET },
		{ "timeout", COMMON_TIMEOUT },
	};

	for (size_t i = 0; commands[i] != NULL; i++)
		for (size_t j = 0; j < ARRAY_SIZE(rows); j++)
			cr_expect_eq(has(commands[i], rows[j].name),
				     (commands[i]->common & rows[j].flag) != 0, "%s --%s",
				     commands[i]->name, rows[j].name);
}

Test(common, options_come_with_the_commands_own)
{
	static const struct argp_option own[] = { { "own", 1, NULL, 0, "", 0 }, { 0 } };
	const struct command two = { .name = "two",
				     .common = COMMON_CONFIG | COMMON_TIMEOUT,
				     .options = own };
	const struct command none = { .name = "none" };

	cr_expect_str_eq(command_option(&two, 0)->name, "config");
	cr_expect_str_eq(command_option(&two, 1)->name, "timeout");
	cr_expect_str_eq(command_option(&two, 2)->name, "own");
	cr_expect_null(command_option(&two, 3));
	cr_expect_null(command_option(&two, 4));
	cr_expect_null(command_option(&none, 0));
}

static error_t read_own(int key, char *text, struct argp_state *state)
{
	struct arguments {
		struct common common;
		const char *own;
	} *arguments = state->input;

	if (key != 1)
		return ARGP_ERR_UNKNOWN;
	arguments->own = text;
	return 0;
}

Test(common, options_are_read_into_one_struct_with_the_commands_own)
{
	static const struct argp_option own[] = { { "own", 1, "TEXT", 0, "", 0 }, { 0 } };
	const struct command command = { .name = "x",
					 .arguments = "",
					 .summary = "",
					 .common = COMMON_CONFIG | COMMON_SOCKET | COMMON_TIMEOUT,
					 .options = own };
	static char words[][16] = { "agent x", "-cF", "--own=o", "--socket=S", "--timeout", "2m" };
	char *argv[] = { words[0], words[1], words[2], words[3], words[4], words[5], NULL };
	struct {
		struct common common;
		const char *own;
	} arguments = { 0 };

	cr_expect_eq(command_parse(&command, read_own, 6, argv, &arguments), 0);
	cr_expect_str_eq(arguments.common.config, "F");
	cr_expect_str_eq(arguments.common.socket, "S");
	cr_expect_eq(arguments.common.timeout_ms, 120000);
	cr_expect_str_eq(arguments.own, "o");
}

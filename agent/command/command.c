/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/command.h"

#include <sysexits.h>

#include "agent/base/text.h"
#include "agent/command/common.h"
#include "agent/command/usage.h"

static const struct program program = {
	.name = "agent",
	.version = COMMAND_VERSION,
	.about = "Fetches the secrets of one application, keeps them fresh, and hands them over\n"
		 "in its environment, in files or over a unix socket.\n",
	.commands = commands,
};

const struct command *command_find(const char *name)
{
	return program_find(&program, name);
}

void command_write_help(struct buf *out)
{
	program_write_help(&program, out);
}

int command_main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}

int command_fail(const struct error *err)
{
	return program_fail(&program, err);
}

struct shared {
	void *input;
	size_t parts;
};

/* Every part of a command's options writes into the same struct. */
static error_t share_input(int key, char *argument, struct argp_state *state)
{
	const struct shared *shared = state->input;

	(void)argument;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	for (size_t i = 0; i < shared->parts; i++)
		state->child_inputs[i] = shared->input;
	return 0;
}

int command_parse(const struct command *command, argp_parser_t parser, int argc, char **argv,
		  void *input)
{
	AUTO(buf_deinit) struct buf doc = BUF_INIT(COMMAND_HELP_MAX);
	const struct argp own = { .options = command->options, .parser = parser };
	struct argp_child children[1 + COMMON_CHILDREN] = { { .argp = &own } };
	struct argp argp = { .parser = share_input, .children = children };
	struct shared shared = { .input = input };

	shared.parts = 1 + common_children(command, children + 1);
	program_describe(&program, command, &doc, &argp);
	/* In order, so that a parser may take everything from its first argument on, as `run` does.
	 */
	return argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &shared) == 0 ? 0 : EX_USAGE;
}

int64_t command_duration(struct argp_state *state, const char *option, const char *text)
{
	int64_t ms = 0;
	struct error err;

	if (text_read_duration(text, &ms, &err) < 0)
		argp_error(state, "%s: %s", option, err.text);
	return ms;
}

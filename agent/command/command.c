/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/command.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "agent/base/text.h"
#include "agent/command/common.h"
#include "agent/command/usage.h"

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i] != NULL; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
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
	struct argp argp = { .parser = share_input,
			     .args_doc = command->arguments,
			     .children = children };

	struct shared shared = { .input = input };

	shared.parts = 1 + common_children(command, children + 1);
	/* What stands after \v is printed below the options. */
	buf_puts(&doc, command->summary);
	if (command->details != NULL)
		buf_printf(&doc, "\v%s", command->details);
	argp.doc = buf_string(&doc);
	argp_err_exit_status = EX_USAGE;
	argp_program_version = COMMAND_VERSION;
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

int command_fail(const struct error *err)
{
	(void)fprintf(stderr, "agent: %s\n", err->text);
	if (err->code == ERROR_USAGE)
		(void)fprintf(stderr, "Try `%s --help' for more information.\n",
			      program_invocation_short_name);
	return error_exit_status(err->code);
}

void command_write_help(struct buf *out)
{
	size_t width = 0;

	for (size_t i = 0; commands[i] != NULL; i++)
		if (strlen(commands[i]->name) > width)
			width = strlen(commands[i]->name);
	buf_puts(out,
		 "Usage: agent COMMAND [OPTION...] [ARGUMENT...]\n"
		 "Fetches the secrets of one application, keeps them fresh, and hands them over\n"
		 "in its environment, in files or over a unix socket.\n\n");
	for (size_t i = 0; commands[i] != NULL; i++)
		buf_printf(out, "  %-*s  %s\n", (int)width, commands[i]->name,
			   commands[i]->summary);
	buf_puts(out,
		 "\n`agent COMMAND --help` says more of one, `agent --version` the version.\n");
}

static int unknown_command(const char *name)
{
	const char *names[COMMANDS_MAX + 1] = { NULL }, *nearest;

	for (size_t i = 0; commands[i] != NULL && i < COMMANDS_MAX; i++)
		names[i] = commands[i]->name;
	nearest = text_nearest(name, names);
	(void)fprintf(stderr, "agent: unknown %s '%s'", name[0] == '-' ? "option" : "command",
		      name);
	if (nearest != NULL)
		(void)fprintf(stderr, " (did you mean '%s'?)", nearest);
	(void)fputs("\nTry `agent --help` for the list.\n", stderr);
	return EX_USAGE;
}

static int print_help(FILE *stream)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(COMMAND_HELP_MAX);

	command_write_help(&out);
	return fputs(buf_string(&out), stream) < 0 || fflush(stream) != 0 ? EX_IOERR : 0;
}

/* argp names the program after argv[0]: "agent run: unrecognized option". */
static int dispatch(const struct command *command, int argc, char **argv)
{
	AUTO(buf_deinit) struct buf name = BUF_INIT(COMMAND_HELP_MAX);

	buf_printf(&name, "agent %s", command->name);
	if (name.failed)
		return EX_OSERR;
	argv[0] = name.data;
	program_invocation_short_name = name.data;
	return command->run(argc, argv);
}

int command_main(int argc, char **argv)
{
	static char help_option[] = "--help";
	const struct command *command;
	const char *name;

	if (argc < 2) {
		(void)print_help(stderr);
		return EX_USAGE;
	}
	name = argv[1];
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		return puts(COMMAND_VERSION) < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
	if (strcmp(name, "help") == 0 && argc > 2) {
		argv[1] = argv[2];
		argv[2] = help_option;
		return command_main(3, argv);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "-?") == 0 ||
	    strcmp(name, "help") == 0)
		return print_help(stdout);
	command = command_find(name);
	if (command == NULL)
		return unknown_command(name);
	return dispatch(command, argc - 1, argv + 1);
}

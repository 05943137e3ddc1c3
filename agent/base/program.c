/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "agent/base/text.h"

const struct command *program_find(const struct program *program, const char *name)
{
	for (size_t i = 0; program->commands[i] != NULL; i++)
		if (strcmp(program->commands[i]->name, name) == 0)
			return program->commands[i];
	return NULL;
}

void program_describe(const struct program *program, const struct command *command, struct buf *doc,
		      struct argp *argp)
{
	/* What stands after \v is printed below the options. */
	buf_puts(doc, command->summary);
	if (command->details != NULL)
		buf_printf(doc, "\v%s", command->details);
	argp->args_doc = command->arguments;
	argp->doc = buf_string(doc);
	argp_err_exit_status = EX_USAGE;
	argp_program_version = program->version;
}

int program_fail(const struct program *program, const struct error *err)
{
	(void)fprintf(stderr, "%s: %s\n", program->name, err->text);
	if (err->code == ERROR_USAGE)
		(void)fprintf(stderr, "Try `%s --help' for more information.\n",
			      program_invocation_short_name);
	return error_exit_status(err->code);
}

void program_write_help(const struct program *program, struct buf *out)
{
	const struct command *const *commands = program->commands;
	size_t width = 0;

	for (size_t i = 0; commands[i] != NULL; i++)
		if (strlen(commands[i]->name) > width)
			width = strlen(commands[i]->name);
	buf_printf(out, "Usage: %s COMMAND [OPTION...] [ARGUMENT...]\n%s\n", program->name,
		   program->about);
	for (size_t i = 0; commands[i] != NULL; i++)
		buf_printf(out, "  %-*s  %s\n", (int)width, commands[i]->name,
			   commands[i]->summary);
	buf_printf(out, "\n`%s COMMAND --help` says more of one, `%s --version` the version.\n",
		   program->name, program->name);
}

static int unknown_command(const struct program *program, const char *name)
{
	const char *names[PROGRAM_COMMANDS_MAX + 1] = { NULL }, *nearest;

	for (size_t i = 0; program->commands[i] != NULL && i < PROGRAM_COMMANDS_MAX; i++)
		names[i] = program->commands[i]->name;
	nearest = text_nearest(name, names);
	(void)fprintf(stderr, "%s: unknown %s '%s'", program->name,
		      name[0] == '-' ? "option" : "command", name);
	if (nearest != NULL)
		(void)fprintf(stderr, " (did you mean '%s'?)", nearest);
	(void)fprintf(stderr, "\nTry `%s --help` for the list.\n", program->name);
	return EX_USAGE;
}

static int print_help(const struct program *program, FILE *stream)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(PROGRAM_HELP_MAX);

	program_write_help(program, &out);
	return fputs(buf_string(&out), stream) < 0 || fflush(stream) != 0 ? EX_IOERR : 0;
}

/* argp names the program after argv[0]: "agent run: unrecognized option". */
static int dispatch(const struct program *program, const struct command *command, int argc,
		    char **argv)
{
	AUTO(buf_deinit) struct buf name = BUF_INIT(PROGRAM_HELP_MAX);

	buf_printf(&name, "%s %s", program->name, command->name);
	if (name.failed)
		return EX_OSERR;
	argv[0] = name.data;
	program_invocation_short_name = name.data;
	return command->run(argc, argv);
}

int program_main(const struct program *program, int argc, char **argv)
{
	static char help_option[] = "--help";
	const struct command *command;
	const char *name;

	if (argc < 2) {
		(void)print_help(program, stderr);
		return EX_USAGE;
	}
	name = argv[1];
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		return puts(program->version) < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
	if (strcmp(name, "help") == 0 && argc > 2) {
		argv[1] = argv[2];
		argv[2] = help_option;
		return program_main(program, 3, argv);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "-?") == 0 ||
	    strcmp(name, "help") == 0)
		return print_help(program, stdout);
	command = program_find(program, name);
	return command != NULL ? dispatch(program, command, argc - 1, argv + 1)
			       : unknown_command(program, name);
}

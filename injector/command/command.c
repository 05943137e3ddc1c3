/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/command/command.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "agent/base/buf.h"
#include "agent/base/text.h"

enum { COMMANDS_MAX = 16, TEXT_MAX = 64 << 10 };

#define VERSION_LINE "injector " AGENT_VERSION

int injector_parse(const struct command *command, argp_parser_t parser, int argc, char **argv,
		   void *input)
{
	AUTO(buf_deinit) struct buf doc = BUF_INIT(TEXT_MAX);
	struct argp argp = { .options = command->options,
			     .parser = parser,
			     .args_doc = command->arguments };

	/* What stands after \v is printed below the options. */
	buf_puts(&doc, command->summary);
	if (command->details != NULL)
		buf_printf(&doc, "\v%s", command->details);
	argp.doc = buf_string(&doc);
	argp_err_exit_status = EX_USAGE;
	argp_program_version = VERSION_LINE;
	return argp_parse(&argp, argc, argv, 0, NULL, input) == 0 ? 0 : EX_USAGE;
}

int injector_fail(const struct error *err)
{
	(void)fprintf(stderr, "injector: %s\n", err->text);
	return error_exit_status(err->code);
}

struct injector_config *injector_load(const char *file, int *status)
{
	struct config_problems problems = { 0 };
	AUTO(buf_deinit) struct buf text = BUF_INIT(1 << 20);
	struct injector_config *config =
		injector_config_read(file != NULL ? file : INJECTOR_CONFIG_DEFAULT, &problems);

	if (config == NULL) {
		config_problems_print(&problems, &text);
		(void)fputs(buf_string(&text), stderr);
		*status = EX_CONFIG;
	}
	config_problems_free(&problems);
	return config;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; injector_commands[i] != NULL; i++)
		if (strcmp(injector_commands[i]->name, name) == 0)
			return injector_commands[i];
	return NULL;
}

static int print_help(FILE *stream)
{
	(void)fputs(
		"Usage: injector COMMAND [OPTION...] [ARGUMENT...]\n"
		"Puts the secrets agent into the pods that ask for it by annotation.\n\n",
		stream);
	for (size_t i = 0; injector_commands[i] != NULL; i++)
		(void)fprintf(stream, "  %-8s  %s\n", injector_commands[i]->name,
			      injector_commands[i]->summary);
	(void)fputs(
		"\n`injector COMMAND --help` says more about one; `injector --version` tells "
		"the version.\n",
		stream);
	return fflush(stream) != 0 || ferror(stream) ? EX_IOERR : 0;
}

static int unknown_command(const char *name)
{
	const char *names[COMMANDS_MAX + 1] = { NULL }, *nearest;

	for (size_t i = 0; injector_commands[i] != NULL && i < COMMANDS_MAX; i++)
		names[i] = injector_commands[i]->name;
	nearest = text_nearest(name, names);
	(void)fprintf(stderr, "injector: unknown %s '%s'", name[0] == '-' ? "option" : "command",
		      name);
	if (nearest != NULL)
		(void)fprintf(stderr, " (did you mean '%s'?)", nearest);
	(void)fputs("\nTry `injector --help` for the list.\n", stderr);
	return EX_USAGE;
}

/* argp names the program after argv[0]: "injector explain: unrecognized option". */
static int dispatch(const struct command *command, int argc, char **argv)
{
	AUTO(buf_deinit) struct buf name = BUF_INIT(TEXT_MAX);

	buf_printf(&name, "injector %s", command->name);
	if (name.failed)
		return EX_OSERR;
	argv[0] = name.data;
	program_invocation_short_name = name.data;
	return command->run(argc, argv);
}

int injector_main(int argc, char **argv)
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
		return puts(VERSION_LINE) < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
	if (strcmp(name, "help") == 0 && argc > 2) {
		argv[1] = argv[2];
		argv[2] = help_option;
		return injector_main(3, argv);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "-?") == 0 ||
	    strcmp(name, "help") == 0)
		return print_help(stdout);
	command = find(name);
	return command != NULL ? dispatch(command, argc - 1, argv + 1) : unknown_command(name);
}

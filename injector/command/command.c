/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/command/command.h"

#include <stdio.h>
#include <sysexits.h>

#include "agent/base/buf.h"

static const struct program program = {
	.name = "injector",
	.version = "injector " AGENT_VERSION,
	.about = "Puts the secrets agent into the pods that ask for it by annotation.\n",
	.commands = injector_commands,
};

int injector_main(int argc, char **argv)
{
	return program_main(&program, argc, argv);
}

int injector_fail(const struct error *err)
{
	return program_fail(&program, err);
}

int injector_parse(const struct command *command, argp_parser_t parser, int argc, char **argv,
		   void *input)
{
	AUTO(buf_deinit) struct buf doc = BUF_INIT(PROGRAM_HELP_MAX);
	struct argp argp = { .options = command->options, .parser = parser };

	program_describe(&program, command, &doc, &argp);
	return argp_parse(&argp, argc, argv, 0, NULL, input) == 0 ? 0 : EX_USAGE;
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

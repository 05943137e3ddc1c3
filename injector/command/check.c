/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `injector check` says everything that is wrong with the operator's file.
 */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#include "injector/command/command.h"

static error_t parse(int key, char *argument, struct argp_state *state)
{
	const char **config = state->input;

	switch (key) {
	case 'c':
		*config = argument;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The operator's file (" INJECTOR_CONFIG_DEFAULT ")", 0 },
	{ 0 },
};

static int run(int argc, char **argv);

const struct command command_injector_check = {
	.name = "check",
	.arguments = "",
	.summary = "Validate the operator's file whole and say everything that is wrong with it.",
	.details = "Every problem is printed as FILE:LINE:COLUMN: text, and the exit status is 78.",
	.options = options,
	.run = run,
};

static int run(int argc, char **argv)
{
	AUTO(injector_config_freep) struct injector_config *config = NULL;
	const char *file = NULL;
	int status = injector_parse(&command_injector_check, parse, argc, argv, &file);

	if (status == 0)
		config = injector_load(file, &status);
	if (config == NULL)
		return status;
	if (printf("%s: %zu profile%s: good\n", config->file, config->profile_count,
		   config->profile_count == 1 ? "" : "s") < 0 ||
	    fflush(stdout) != 0)
		return EX_IOERR;
	return 0;
}

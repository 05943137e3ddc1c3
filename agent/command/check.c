/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent check` says everything that is wrong with a configuration, or what it declares.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "agent/command/common.h"
#include "agent/command/load.h"
#include "agent/survey.h"

enum { POLICY_MAX = 1 << 20, ONLINE_TIMEOUT_MS = 30000 };

struct arguments {
	struct common common;
	bool policy;
	bool online;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'p':
		arguments->policy = true;
		return 0;
	case 'o':
		arguments->online = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static struct secret *lookup(void *environment, const char *name)
{
	const char *value = secure_getenv(name);
	struct error err;

	(void)environment;
	return value != NULL ? secret_new(value, strlen(value), &err) : NULL;
}

/* Without asking a server: both forms where the declared path leaves the choice open. */
static int write_policy(const struct config *config, const struct config_backend *row,
			struct buf *policy, struct error *err)
{
	const struct backend_config opening = { .name = row->name,
						.options = row->options,
						.lookup = lookup };
	struct backend *backend;

	if (row->ops->policy == NULL)
		return 0;
	backend = row->ops->open(&opening, err);
	if (backend == NULL)
		return error_wrap(err, "backend '%s'", row->name);
	buf_printf(policy, "# backend %s\n", row->name);
	for (size_t i = 0; i < config->secret_count; i++)
		if (strcmp(config->secrets[i].backend, row->name) == 0)
			row->ops->policy(backend, &config->secrets[i], policy);
	row->ops->close(backend);
	return 0;
}

static int print_policy(const struct config *config)
{
	AUTO(buf_deinit) struct buf policy = BUF_INIT(POLICY_MAX);
	struct error err;

	for (size_t i = 0; i < config->backend_count; i++)
		if (write_policy(config, &config->backends[i], &policy, &err) < 0)
			return command_fail(&err);
	if (buf_check(&policy, "the policy", &err) < 0)
		return command_fail(&err);
	return fputs(buf_string(&policy), stdout) < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
}

static int print_survey(const struct config *config, bool policies)
{
	AUTO(buf_deinit) struct buf report = BUF_INIT(POLICY_MAX);
	AUTO(buf_deinit) struct buf policy = BUF_INIT(POLICY_MAX);
	const struct survey_request request = {
		.config = config,
		.timeout_ms = ONLINE_TIMEOUT_MS,
		.report = &report,
		.policy = policies ? &policy : NULL,
	};
	struct error err = ERROR_INIT;
	int status;

	log_setup(LOG_ERROR, LOG_TEXT);
	status = survey_run(&request, &err);
	if (err.code != ERROR_NONE)
		return command_fail(&err);
	/* A policy is for a file: what is said about the paths must not end up in it. */
	if (fputs(buf_string(&report), policies ? stderr : stdout) < 0 ||
	    fputs(buf_string(&policy), stdout) < 0 || fflush(stdout) != 0)
		return EX_IOERR;
	return status;
}

static int print_summary(const struct config *config)
{
	int written =
		printf("%s: %zu secret%s from %zu backend%s, %zu files sink%s, %zu socket%s, "
		       "%zu variable%s: good\n",
		       config->file, config->secret_count, config->secret_count == 1 ? "" : "s",
		       config->backend_count, config->backend_count == 1 ? "" : "s",
		       config->files_count, config->files_count == 1 ? "" : "s",
		       config->socket_count, config->socket_count == 1 ? "" : "s",
		       config->variable_count, config->variable_count == 1 ? "" : "s");

	return written < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
}

static const struct argp_option options[] = {
	{ "online", 'o', NULL, 0,
	  "Sign in and say for each declared path whether it may be read; the exit status tells "
	  "the first that may not",
	  0 },
	{ "policy", 'p', NULL, 0,
	  "Print the least policy that the declared paths need, for each backend that has policies",
	  0 },
	{ 0 },
};

static int run(int argc, char **argv);

const struct command command_check = {
	.name = "check",
	.arguments = "",
	.summary = "Validate the configuration and say everything that is wrong.",
	.details = "Every problem is printed as FILE:LINE:COLUMN: text, and the exit status is 78.",
	.common = COMMON_CONFIG,
	.options = options,
	.run = run,
};

static int run(int argc, char **argv)
{
	AUTO(config_freep) struct config *config = NULL;
	struct arguments arguments = { 0 };
	int status = command_parse(&command_check, parse, argc, argv, &arguments);

	if (status != 0)
		return status;
	config = command_load(arguments.common.config, &status);
	if (config == NULL)
		return status;
	if (arguments.online)
		return print_survey(config, arguments.policy);
	return arguments.policy ? print_policy(config) : print_summary(config);
}

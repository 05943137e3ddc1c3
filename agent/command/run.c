/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent run`: what is asked for becomes a configuration, a request and a plan; launcher and broker
 * do the rest.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/base/text.h"
#include "agent/child.h"
#include "agent/child_remote.h"
#include "agent/command/common.h"
#include "agent/command/load.h"
#include "agent/command/run_references.h"
#include "agent/command/secrets_file.h"
#include "agent/launcher.h"
#include "agent/remote.h"
#include "agent/variables.h"

enum { SIGNALS_MAX = 32, PATH_MOST = 4096 };

enum {
	KEY_ENV = 256,
	KEY_FILE,
	KEY_ENV_FILE,
	KEY_ONLY,
	KEY_NO_ENV,
	KEY_PRISTINE,
	KEY_STRICT,
	KEY_MASK,
	KEY_WATCH,
	KEY_MAX_STALE
};

struct arguments {
	struct common common;
	struct strings env, files, env_files;
	struct run_request request;
	struct launch_plan plan;
};

extern const struct command command_run;

static const struct argp_option options[] = {
	{ "env", KEY_ENV, "NAME=REF", 0,
	  "A variable from vault://PATH#FIELD, sops://FILE#/POINTER or NAME.FIELD of the "
	  "configuration",
	  0 },
	{ "file", KEY_FILE, "PATH=REF", 0,
	  "A file that stands there while the command runs, in memory", 0 },
	{ "env-file", KEY_ENV_FILE, "FILE", 0,
	  "NAME=value lines; a value that is a reference is fetched; - is standard input", 0 },
	{ "only", KEY_ONLY, "NAMES", 0, "Give these secrets or variables and no others (a,b)", 0 },
	{ "no-env", KEY_NO_ENV, NULL, 0,
	  "Give no variable: with --watch, for a command that reads its secrets from files or the "
	  "socket",
	  0 },
	{ "pristine", KEY_PRISTINE, NULL, 0,
	  "Of the environment keep PATH HOME USER LOGNAME SHELL TERM LANG LC_* TZ PWD alone", 0 },
	{ "strict", KEY_STRICT, NULL, 0, "An error when a secret would replace a variable", 0 },
	{ "mask", KEY_MASK, "never|always|auto", 0,
	  "Replace secrets in the output by ***: never (the default), always, or auto (on a "
	  "terminal and under CI=true)",
	  0 },
	{ "watch", KEY_WATCH, "restart|signal:NAME|none", 0,
	  "What happens to the command at new versions", 0 },
	{ "max-stale", KEY_MAX_STALE, "DURATION", 0,
	  "How old a secret may get with its backend away", 0 },
	{ 0 },
};

static void must(struct argp_state *state, const char *option, int result, const struct error *err)
{
	if (result < 0)
		argp_error(state, "--%s: %s", option, err->text);
}

static enum mask_mode mask_of(struct argp_state *state, const char *text)
{
	if (strcmp(text, "auto") == 0)
		return MASK_AUTO;
	if (strcmp(text, "always") == 0)
		return MASK_ALWAYS;
	if (strcmp(text, "never") != 0)
		argp_error(state, "--mask: '%s' is none of auto, always, never", text);
	return MASK_NEVER;
}

static int signal_number(const char *name)
{
	if (strncasecmp(name, "SIG", strlen("SIG")) == 0)
		name += strlen("SIG");
	for (int number = 1; number < SIGNALS_MAX; number++)
		if (sigabbrev_np(number) != NULL && strcasecmp(sigabbrev_np(number), name) == 0)
			return number;
	return 0;
}

static void read_watch(struct argp_state *state, const char *text, struct launch_plan *plan)
{
	plan->watch = WATCH_NONE;
	if (strcmp(text, "none") == 0)
		return;
	if (strcmp(text, "restart") == 0) {
		plan->watch = WATCH_RESTART;
		return;
	}
	if (text_starts_with(text, "signal:")) {
		plan->watch = WATCH_SIGNAL;
		plan->watch_signal = signal_number(text + strlen("signal:"));
	}
	if (plan->watch_signal == 0)
		argp_error(state,
			   "--watch: '%s' is none of restart, signal:NAME (as signal:HUP), none",
			   text);
}

static int add_names(struct strings *names, char *list, struct error *err)
{
	char *name;

	while ((name = strsep(&list, ",")) != NULL)
		if (name[0] != '\0' && strings_add(names, name, err) < 0)
			return -1;
	/* An empty variable of a script, say, must not mean everything. */
	return names->count > 0 ? 0 : error_set(err, ERROR_USAGE, "no name is given");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct error err = ERROR_INIT;

	switch (key) {
	case KEY_MAX_STALE:
		arguments->request.max_stale_ms = command_duration(state, "--max-stale", argument);
		return 0;
	case KEY_ENV:
		must(state, "env", strings_add(&arguments->env, argument, &err), &err);
		return 0;
	case KEY_FILE:
		must(state, "file", strings_add(&arguments->files, argument, &err), &err);
		return 0;
	case KEY_ENV_FILE:
		must(state, "env-file", strings_add(&arguments->env_files, argument, &err), &err);
		return 0;
	case KEY_ONLY:
		must(state, "only", add_names(&arguments->request.only, argument, &err), &err);
		return 0;
	case KEY_NO_ENV:
		arguments->request.none = true;
		arguments->plan.no_env = true;
		return 0;
	case KEY_PRISTINE:
		arguments->plan.pristine = true;
		return 0;
	case KEY_STRICT:
		arguments->plan.strict = true;
		return 0;
	case KEY_MASK:
		arguments->plan.mask = mask_of(state, argument);
		return 0;
	case KEY_WATCH:
		read_watch(state, argument, &arguments->plan);
		return 0;
	case ARGP_KEY_ARG:
		/* The command and all that follows are not ours. */
		arguments->plan.argv = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (arguments->plan.argv == NULL)
			argp_error(state,
				   "no command: agent run [OPTION...] -- COMMAND [ARGUMENT...]");
		if (arguments->request.none &&
		    arguments->env.count + arguments->env_files.count > 0)
			argp_error(state, "--no-env excludes --env and --env-file");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Nothing says what to give: the nearest encrypted file is meant. */
static int use_nearest_file(struct config *config, struct run_request *request, struct error *err)
{
	AUTO(freep) char *file = secrets_file_nearest();
	AUTO(buf_deinit) struct buf reference = BUF_INIT(PATH_MOST);

	if (file == NULL)
		return error_set(err, ERROR_INVALID,
				 "nothing says which secrets to give: there is no agent.yaml, no "
				 "--env, no $AGENT_SOCKET, and no "
				 "%s here or above (`agent secrets init` makes one)",
				 SECRETS_FILE);
	request->all = true;
	buf_printf(&reference, "sops://%s", file);
	if (buf_check(&reference, file, err) < 0)
		return -1;
	return config_add_reference(config, backend_types, NULL, reference.data, err);
}

static int collect(struct arguments *arguments, struct config *config, bool declared,
		   struct error *err)
{
	struct run_request *request = &arguments->request;

	if (arguments->env.count > 0)
		run_forget_variables(config);
	if (run_add_env(config, &arguments->env, err) < 0 ||
	    run_add_env_files(config, request, &arguments->env_files, err) < 0 ||
	    run_add_files(config, request, &arguments->files, err) < 0)
		return !declared && err->code == ERROR_NOT_FOUND
			       ? error_wrap(err,
					    "there is no agent.yaml, so TYPE://PATH#FIELD is meant")
			       : -1;
	if (!declared && config->secret_count == 0 && arguments->env_files.count == 0 &&
	    use_nearest_file(config, request, err) < 0)
		return -1;
	if (request->none)
		run_forget_variables(config);
	else if (config->variable_count == 0 && request->file_count == 0 &&
		 config->secret_count > 0)
		request->all = true;
	if (request->max_stale_ms >= 0)
		config->max_stale_ms = request->max_stale_ms;
	run_forget_unneeded(config, request);
	return 0;
}

struct broker_context {
	const struct config *config;
	const struct run_request *request;
};

static int broker(int channel, void *context)
{
	const struct broker_context *both = context;

	if (both->request->socket != NULL)
		return child_remote_main(both->config, both->request, channel);
	return child_broker_main(both->config, both->request, channel);
}

static int run_with(struct arguments *arguments, struct config *config, bool declared)
{
	struct broker_context context = { .config = config, .request = &arguments->request };
	struct error err = ERROR_INIT;

	if (collect(arguments, config, declared, &err) < 0)
		return command_fail(&err);
	/* What happens every day is not worth a line on the program's own standard error. */
	log_setup(config->log_level == LOG_INFO ? LOG_WARN : config->log_level, config->log_format);
	arguments->request.watch = arguments->plan.watch != WATCH_NONE;
	arguments->plan.timeout_ms = arguments->request.timeout_ms;
	return launcher_run(&arguments->plan, broker, &context);
}

/* ---- from a running agent ---- */

/* $AGENT_SOCKET is for who has no configuration and names nothing that lies elsewhere. */
static const char *socket_of_environment(const struct arguments *arguments)
{
	const char *socket = command_socket(NULL, NULL);
	AUTO(freep) char *nearest = NULL;

	if (socket == NULL || run_names_backends(&arguments->env) ||
	    run_names_backends(&arguments->files))
		return NULL;
	if (arguments->env.count + arguments->files.count > 0)
		return socket;
	nearest = secrets_file_nearest();
	return arguments->env_files.count == 0 && nearest == NULL ? socket : NULL;
}

/* What cannot be meant together with a running agent; NULL: nothing. */
static const char *unfit_for_socket(const struct arguments *arguments)
{
	if (arguments->common.config != NULL)
		return "--socket and --config exclude each other";
	if (run_names_backends(&arguments->env) || run_names_backends(&arguments->files))
		return "--socket: a REF is NAME.FIELD of the running agent, no TYPE://PATH";
	if (arguments->request.max_stale_ms >= 0)
		return "--socket: --max-stale is the running agent's own, in its configuration";
	return NULL;
}

static int run_from_socket(struct arguments *arguments, const char *socket)
{
	AUTO(config_freep) struct config *config = NULL;
	const struct remote remote = { .socket = socket,
				       .timeout_ms = arguments->request.timeout_ms };
	const char *unfit = unfit_for_socket(arguments);
	struct error err = ERROR_INIT;

	if (unfit != NULL) {
		(void)error_set(&err, ERROR_USAGE, "%s", unfit);
		return command_fail(&err);
	}
	/* Our own copy: the broker empties its environment. */
	arguments->request.socket = strdup(socket);
	config = config_new(&err);
	if (arguments->request.socket == NULL)
		(void)error_no_memory(&err);
	if (config == NULL || arguments->request.socket == NULL ||
	    remote_declare(&remote, config, &err) < 0 ||
	    run_check_names(config, &arguments->env, "--env", &err) < 0 ||
	    run_check_names(config, &arguments->files, "--file", &err) < 0)
		return command_fail(&err);
	return run_with(arguments, config, true);
}

static int run_from_backends(struct arguments *arguments)
{
	AUTO(config_freep) struct config *config = NULL;
	struct error err = ERROR_INIT;
	int status = 0;
	bool declared;
	const char *socket;

	config = command_load_optional(arguments->common.config, &status);
	if (status != 0)
		return status;
	declared = config != NULL;
	socket = declared ? NULL : socket_of_environment(arguments);
	if (socket != NULL)
		return run_from_socket(arguments, socket);
	if (!declared)
		config = config_new(&err);
	return config != NULL ? run_with(arguments, config, declared) : command_fail(&err);
}

static int run(int argc, char **argv)
{
	struct arguments arguments = {
		.common = { .timeout_ms = COMMON_TIMEOUT_MS },
		.request = { .max_stale_ms = -1 },
	};
	int status = command_parse(&command_run, parse, argc, argv, &arguments);

	arguments.request.timeout_ms = arguments.common.timeout_ms;
	if (status == 0)
		status = arguments.common.socket != NULL
				 ? run_from_socket(&arguments, arguments.common.socket)
				 : run_from_backends(&arguments);
	strings_free(&arguments.env);
	strings_free(&arguments.files);
	strings_free(&arguments.env_files);
	run_request_deinit(&arguments.request);
	return status;
}

const struct command command_run = {
	.name = "run",
	.arguments = "-- COMMAND [ARGUMENT...]",
	.summary = "Run a command with its secrets in its environment.",
	.details =
		"Without configuration and references the nearest secrets.enc.yaml upwards is "
		"given, each value as a "
		"variable: upper case, levels joined by _; and where there is none either, the "
		"agent on $AGENT_SOCKET is asked. Exit status, signals and terminal are the "
		"command's own; before it starts: 64 usage, 65 bad data, 69 unavailable, 77 "
		"denied, 78 configuration.",
	.common = COMMON_CONFIG | COMMON_SOCKET | COMMON_TIMEOUT,
	.options = options,
	.run = run,
};

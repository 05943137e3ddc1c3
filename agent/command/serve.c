/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve.h"

#include <sysexits.h>

#include "agent/base/text.h"
#include "agent/command/common.h"
#include "agent/command/load.h"
#include "agent/launcher.h"
#include "agent/oneshot.h"

enum { KEY_ONCE = 0x100, KEY_ALLOW_DEGRADED, KEY_STATUS_SOCKET };

extern const struct command command_serve;

static const struct argp_option options[] = {
	{ "once", KEY_ONCE, NULL, 0,
	  "Publish everything once and exit, for an init container, within --timeout if that is "
	  "given; revokes nothing",
	  0 },
	{ "allow-degraded", KEY_ALLOW_DEGRADED, NULL, 0,
	  "Go on where the kernel lacks seccomp, landlock or no_new_privs; status shows it", 0 },
	{ "status-socket", KEY_STATUS_SOCKET, "PATH", 0,
	  "Listen there too, for our own uid, and answer everything but secrets: for a probe by "
	  "`agent ready --socket PATH`, whatever sockets the configuration has",
	  0 },
	{ 0 },
};

struct arguments {
	struct common common;
	const char *status_socket;
	bool once;
	bool allow_degraded;
};

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_ONCE:
		arguments->once = true;
		return 0;
	case KEY_ALLOW_DEGRADED:
		arguments->allow_degraded = true;
		return 0;
	case KEY_STATUS_SOCKET:
		arguments->status_socket = text;
		return 0;
	case ARGP_KEY_END:
		if (arguments->once && arguments->status_socket != NULL)
			argp_error(state,
				   "leave out --status-socket: --once answers by its exit status");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int serve_once(const struct config *config, const struct arguments *arguments)
{
	const struct oneshot_request request = {
		.config = config,
		.flags = HOST_SINKS | (arguments->allow_degraded ? HOST_ALLOW_DEGRADED : 0),
		.timeout_ms = arguments->common.timeout_ms,
	};
	struct error err = ERROR_INIT;
	int status;

	log_setup(config->log_level, config->log_format);
	status = oneshot_run(&request, &err);
	if (err.code != ERROR_NONE)
		(void)command_fail(&err);
	return status;
}

static int broker(int channel, void *context)
{
	return serve_main(context, channel);
}

static int run(int argc, char **argv)
{
	static const struct launch_plan plan = { .hooks_only = true };
	struct arguments arguments = { 0 };
	struct serve_request request;
	struct config *config;
	struct error err;
	int status = command_parse(&command_serve, parse, argc, argv, &arguments);

	if (status != 0)
		return status;
	config = command_load(arguments.common.config, &status);
	if (config == NULL)
		return status;
	if (arguments.once) {
		status = serve_once(config, &arguments);
		config = config_free(config);
		return status;
	}
	if (arguments.status_socket != NULL &&
	    config_add_status_socket(config, arguments.status_socket, &err) < 0) {
		config = config_free(config);
		return command_fail(&err);
	}
	request =
		(struct serve_request){ config, arguments.allow_degraded, arguments.status_socket };
	if (!config_has_hooks(config))
		return serve_main(&request, -1);
	status = launcher_run(&plan, broker, &request);
	return status;
}

const struct command command_serve = {
	.name = "serve",
	.arguments = "",
	.summary = "Keep the declared secrets fresh in files and on the socket.",
	.details =
		"SIGHUP, or a change of the file, reads the configuration again: it is applied "
		"whole or not at all. "
		"SIGTERM ends.",
	.common = COMMON_CONFIG | COMMON_TIMEOUT,
	.options = options,
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `injector serve` answers the API server.
 */
#include "injector/serve.h"

#include <errno.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "injector/command/command.h"

enum { KEY_LISTEN = 0x100, KEY_CERT, KEY_KEY, KEY_CLIENT_CA, KEY_DRAIN, KEY_LOG_FORMAT };

struct arguments {
	const char *config;
	enum log_format log_format;
	struct serve_request request;
};

static int read_duration(struct argp_state *state, const char *option, const char *text,
			 int64_t *ret)
{
	struct error err;

	if (text_read_duration(text, ret, &err) == 0)
		return 0;
	argp_error(state, "%s: %s", option, err.text);
	return EINVAL;
}

static int read_log_format(struct argp_state *state, const char *text, enum log_format *ret)
{
	if (strcmp(text, "text") == 0)
		*ret = LOG_TEXT;
	else if (strcmp(text, "json") == 0)
		*ret = LOG_JSON;
	else
		argp_error(state, "--log-format: '%s' is neither text nor json", text);
	return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct serve_request *request = &arguments->request;

	switch (key) {
	case 'c':
		arguments->config = argument;
		return 0;
	case KEY_LISTEN:
		request->listen = argument;
		return 0;
	case KEY_CERT:
		request->cert_file = argument;
		return 0;
	case KEY_KEY:
		request->key_file = argument;
		return 0;
	case KEY_CLIENT_CA:
		request->client_ca_file = argument;
		return 0;
	case KEY_DRAIN:
		return read_duration(state, "--drain", argument, &request->drain_ms);
	case KEY_LOG_FORMAT:
		return read_log_format(state, argument, &arguments->log_format);
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "the operator's file (" INJECTOR_CONFIG_DEFAULT ")", 0 },
	{ "listen", KEY_LISTEN, "ADDRESS", 0, "where to listen ([::]:8443, which takes IPv4 too)",
	  0 },
	{ "cert", KEY_CERT, "FILE", 0, "the certificate to show, in PEM, with its chain", 0 },
	{ "key", KEY_KEY, "FILE", 0, "its key", 0 },
	{ "client-ca", KEY_CLIENT_CA, "FILE", 0,
	  "answer reviews only to callers whose certificate one of these CAs signed", 0 },
	{ "drain", KEY_DRAIN, "DURATION", 0,
	  "how long to go on serving after SIGTERM, for endpoints to spread (10s)", 0 },
	{ "log-format", KEY_LOG_FORMAT, "FORMAT", 0, "text or json (text)", 0 },
	{ 0 },
};

static int run(int argc, char **argv);

const struct command command_injector_serve = {
	.name = "serve",
	.arguments = "",
	.summary = "Answer the API server's admission reviews over HTTPS.",
	.details =
		"POST /mutate answers AdmissionReviews (v1); GET /ready, /live and /metrics are "
		"there for the kubelet and for Prometheus. SIGHUP, or a change of a file, reads "
		"configuration and certificate again. At SIGTERM readiness fails at once, serving "
		"goes on for --drain, and what is in flight is answered.",
	.options = options,
	.run = run,
};

static int run(int argc, char **argv)
{
	struct arguments arguments = {
		.log_format = LOG_TEXT,
		.request = { .listen = "[::]:8443",
			     .cert_file = "/etc/injector/tls/tls.crt",
			     .key_file = "/etc/injector/tls/tls.key",
			     .drain_ms = SERVE_DRAIN_MS },
	};
	struct error err = ERROR_INIT;
	struct injector_config *config = NULL;
	int status = injector_parse(&command_injector_serve, parse, argc, argv, &arguments);

	if (status == 0)
		config = injector_load(arguments.config, &status);
	if (config == NULL)
		return status;
	log_setup(LOG_INFO, arguments.log_format);
	status = serve_run(&arguments.request, config, &err);
	return status < 0 ? injector_fail(&err) : status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `injector serve` answers the API server.
 */
#include "injector/serve.h"

#include <errno.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/io/file.h"
#include "injector/command/command.h"

enum {
	KEY_LISTEN = 0x100,
	KEY_CERT,
	KEY_KEY,
	KEY_AUTHORITY,
	KEY_WEBHOOK,
	KEY_NAME,
	KEY_NAMESPACE,
	KEY_CA_LIFE,
	KEY_LEAF_LIFE,
	KEY_PROPAGATION,
	KEY_CHECK,
	KEY_SERVER_VERSION,
	KEY_KUBELET_VERSION,
	KEY_KUBE,
	KEY_KUBE_CA,
	KEY_KUBE_TOKEN,
	KEY_CLIENT_CA,
	KEY_DRAIN,
	KEY_LOG_FORMAT,
	KEY_LOG_LEVEL,
	KEY_ALLOW_DEGRADED,
	NAMES_MAX = 16,
};

struct arguments {
	const char *config;
	enum log_format log_format;
	enum log_level log_level;
	const char *server_version, *kubelet_version; /* NULL: asked for */
	const char *names[NAMES_MAX + 1];	      /* of the certificate; ends with NULL */
	size_t name_count;
	char url[KUBE_URL_MAX];
	struct serve_request request;
};

/* Options that are a text or a duration, and where it goes. */
static const struct {
	int key;
	const char *option;
	bool duration;
	size_t offset; /* in struct serve_request */
} plain[] = {
#define TEXT(key_, option_, member_)                                                               \
	{                                                                                          \
		(key_), (option_), false, offsetof(struct serve_request, member_)                  \
	}
#define DURATION(key_, option_, member_)                                                           \
	{                                                                                          \
		(key_), (option_), true, offsetof(struct serve_request, member_)                   \
	}
	TEXT(KEY_LISTEN, "--listen", listen),
	TEXT(KEY_CERT, "--cert", cert_file),
	TEXT(KEY_KEY, "--key", key_file),
	TEXT(KEY_AUTHORITY, "--authority", rotation.secret),
	TEXT(KEY_WEBHOOK, "--webhook", rotation.webhook),
	TEXT(KEY_NAMESPACE, "--namespace", rotation.namespace),
	TEXT(KEY_KUBE, "--kube", kube.url),
	TEXT(KEY_KUBE_CA, "--kube-ca", kube.ca_file),
	TEXT(KEY_KUBE_TOKEN, "--kube-token", kube.token_file),
	TEXT(KEY_CLIENT_CA, "--client-ca", client_ca_file),
	DURATION(KEY_CA_LIFE, "--ca-life", rotation.ca_life_ms),
	DURATION(KEY_LEAF_LIFE, "--leaf-life", rotation.leaf_life_ms),
	DURATION(KEY_PROPAGATION, "--propagation", rotation.propagation_ms),
	DURATION(KEY_CHECK, "--check", rotation.check_ms),
	DURATION(KEY_DRAIN, "--drain", drain_ms),
#undef TEXT
#undef DURATION
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

/* Which of the words it is; argp prints what is wrong with it. */
static unsigned read_choice(struct argp_state *state, const char *option, const char *text,
			    const char *const *words)
{
	for (unsigned i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	argp_error(state, "%s: '%s' is not possible", option, text);
	return 0;
}

static error_t parse_plain(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	char *request = (char *)&arguments->request;

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		if (plain[i].key != key)
			continue;
		if (plain[i].duration)
			return read_duration(state, plain[i].option, argument,
					     (int64_t *)(void *)(request + plain[i].offset));
		*(const char **)(void *)(request + plain[i].offset) = argument;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'c':
		arguments->config = argument;
		return 0;
	case KEY_NAME:
		if (arguments->name_count == NAMES_MAX)
			argp_error(state, "--name: at most %d are possible", NAMES_MAX);
		else
			arguments->names[arguments->name_count++] = argument;
		return 0;
	case KEY_ALLOW_DEGRADED:
		arguments->request.allow_degraded = true;
		return 0;
	case KEY_SERVER_VERSION:
		arguments->server_version = argument;
		return 0;
	case KEY_KUBELET_VERSION:
		arguments->kubelet_version = argument;
		return 0;
	case KEY_LOG_FORMAT:
		arguments->log_format =
			(enum log_format)read_choice(state, "--log-format", argument,
						     (const char *const[]){ "text", "json", NULL });
		return 0;
	case KEY_LOG_LEVEL:
		arguments->log_level = (enum log_level)read_choice(
			state, "--log-level", argument,
			(const char *const[]){ "error", "warn", "info", "debug", NULL });
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	default:
		return parse_plain(key, argument, state);
	}
}

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "the operator's file (" INJECTOR_CONFIG_DEFAULT ")", 0 },
	{ "listen", KEY_LISTEN, "ADDRESS", 0, "where to listen ([::]:8443, which takes IPv4 too)",
	  0 },
	{ "drain", KEY_DRAIN, "DURATION", 0,
	  "how long to go on serving after SIGTERM, for endpoints to spread (10s)", 0 },
	{ "log-format", KEY_LOG_FORMAT, "FORMAT", 0, "text or json (text)", 0 },
	{ "log-level", KEY_LOG_LEVEL, "LEVEL", 0,
	  "error, warn, info or debug (info: one line for each pod injected or refused)", 0 },
	{ "allow-degraded", KEY_ALLOW_DEGRADED, NULL, 0,
	  "go on where the kernel allows no filter of system calls", 0 },
	{ 0, 0, 0, 0, "A certificate that somebody else renews:", 1 },
	{ "cert", KEY_CERT, "FILE", 0, "the certificate to show, in PEM, with its chain", 1 },
	{ "key", KEY_KEY, "FILE", 0, "its key", 1 },
	{ 0, 0, 0, 0, "Or an authority that the replicas keep themselves:", 2 },
	{ "authority", KEY_AUTHORITY, "SECRET", 0, "the Secret that holds it", 2 },
	{ "webhook", KEY_WEBHOOK, "NAME", 0,
	  "the MutatingWebhookConfiguration whose every caBundle is kept", 2 },
	{ "name", KEY_NAME, "NAME", 0,
	  "a name that the certificate is for, as injector.secrets.svc; may be repeated", 2 },
	{ "namespace", KEY_NAMESPACE, "NAME", 0, "of the Secret (the pod's own)", 2 },
	{ "ca-life", KEY_CA_LIFE, "DURATION", 0, "of the authority (8760h)", 2 },
	{ "leaf-life", KEY_LEAF_LIFE, "DURATION", 0, "of the certificate (168h)", 2 },
	{ "propagation", KEY_PROPAGATION, "DURATION", 0,
	  "how long API servers may take to load a bundle (1m)", 2 },
	{ "check", KEY_CHECK, "DURATION", 0, "between looks at Secret and bundles (10s)", 2 },
	{ 0, 0, 0, 0, "The API server, where it is not the pod's own or may not be asked:", 3 },
	{ "server-version", KEY_SERVER_VERSION, "V", 0,
	  "what it is, as v1.36.0, instead of asking it", 3 },
	{ "kubelet-version", KEY_KUBELET_VERSION, "V", 0,
	  "the oldest kubelet's, with --server-version (the same)", 3 },
	{ "kube", KEY_KUBE, "URL", 0, "its address", 3 },
	{ "kube-ca", KEY_KUBE_CA, "FILE", 0, "who signed its certificate", 3 },
	{ "kube-token", KEY_KUBE_TOKEN, "FILE", 0, "the token to show there", 3 },
	{ 0, 0, 0, 0, "Callers:", 4 },
	{ "client-ca", KEY_CLIENT_CA, "FILE", 0,
	  "answer reviews only to callers whose certificate one of these CAs signed", 4 },
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

static int usage(const char *text)
{
	struct error err;

	(void)error_set(&err, ERROR_USAGE, "%s", text);
	return injector_fail(&err);
}

/* Which of the two kinds of certificate, and what it needs; the exit status, or 0. */
static int check_certificate(struct serve_request *request, size_t names)
{
	bool files = request->cert_file != NULL || request->key_file != NULL;

	if (files == (request->rotation.secret != NULL))
		return usage("serve: give --cert and --key, or --authority");
	if (files && (request->cert_file == NULL || request->key_file == NULL))
		return usage("serve: --cert needs --key, and --key needs --cert");
	if (!files && (request->rotation.webhook == NULL || names == 0))
		return usage("serve: --authority needs --webhook and at least one --name");
	/* An authority is renewed at half of its life and must outlive what it has signed. */
	if (request->rotation.ca_life_ms < 5 * request->rotation.leaf_life_ms)
		return usage("serve: --ca-life must be at least five times --leaf-life");
	if (request->rotation.leaf_life_ms < 5 * request->rotation.propagation_ms)
		return usage("serve: --leaf-life must be at least five times --propagation");
	return 0;
}

/* With an authority the API server is needed; with files it is asked for versions where we are in a
 * pod. */
static int find_kube(struct arguments *arguments, char **namespace, struct error *err)
{
	struct serve_request *request = &arguments->request;
	AUTO(buf_deinit) struct buf text = BUF_INIT(256);

	if (request->kube.url == NULL) {
		if (kube_access_of_pod(arguments->url, &request->kube, err) < 0)
			return request->rotation.secret != NULL ? -1 : 0;
	} else if (request->kube.ca_file == NULL || request->kube.token_file == NULL) {
		return error_set(err, ERROR_USAGE,
				 "serve: --kube needs --kube-ca and --kube-token");
	}
	if (request->rotation.secret == NULL || request->rotation.namespace != NULL)
		return 0;
	if (file_read(KUBE_ACCOUNT "/namespace", 256, false, &text, err) < 0)
		return error_wrap(err, "the pod's namespace (--namespace names it)");
	*namespace = strndup(buf_string(&text), strcspn(buf_string(&text), "\n"));
	if (*namespace == NULL)
		return error_no_memory(err);
	request->rotation.namespace = *namespace;
	return 0;
}

static int read_versions(struct arguments *arguments, struct error *err)
{
	struct cluster_versions *versions = &arguments->request.versions;
	const char *kubelet = arguments->kubelet_version;

	if (arguments->server_version == NULL)
		return kubelet == NULL
			       ? 0
			       : error_set(err, ERROR_USAGE,
					   "serve: --kubelet-version needs --server-version");
	if (kube_version_read(arguments->server_version, &versions->server, err) < 0)
		return error_wrap(err, "--server-version");
	if (kube_version_read(kubelet != NULL ? kubelet : arguments->server_version,
			      &versions->oldest_kubelet, err) < 0)
		return error_wrap(err, "--kubelet-version");
	return 0;
}

static int run(int argc, char **argv)
{
	struct arguments arguments = {
		.log_format = LOG_TEXT,
		.log_level = LOG_INFO,
		.request = { .listen = "[::]:8443",
			     .rotation = { .ca_life_ms = ROTATION_CA_LIFE_MS,
					   .leaf_life_ms = ROTATION_LEAF_LIFE_MS,
					   .propagation_ms = ROTATION_PROPAGATION_MS,
					   .check_ms = ROTATION_CHECK_MS },
			     .drain_ms = SERVE_DRAIN_MS },
	};
	AUTO(freep) char *namespace = NULL;
	struct error err = ERROR_INIT;
	struct injector_config *config;
	int status = injector_parse(&command_injector_serve, parse, argc, argv, &arguments);

	if (status == 0)
		status = check_certificate(&arguments.request, arguments.name_count);
	if (status != 0)
		return status;
	arguments.request.rotation.names = arguments.names;
	if (read_versions(&arguments, &err) < 0 || find_kube(&arguments, &namespace, &err) < 0)
		return injector_fail(&err);
	config = injector_load(arguments.config, &status);
	if (config == NULL)
		return status;
	log_setup(arguments.log_level, arguments.log_format);
	status = serve_run(&arguments.request, config, &err);
	return status < 0 ? injector_fail(&err) : status;
}

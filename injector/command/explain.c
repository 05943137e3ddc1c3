/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `injector explain` says what would happen to a pod, without a cluster: for CI, and for moving
 * from another injector.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "agent/config/reader.h"
#include "injector/command/command.h"
#include "injector/explain.h"
#include "injector/manifest.h"

enum {
	KEY_SERVER = 256,
	KEY_KUBELET,
	KEY_NAMESPACE,
	KEY_OUTPUT,
	FILE_MAX = 16 << 20,
	REPORT_MAX = 64 << 20
};

struct arguments {
	const char *config, *file, *namespace;
	enum explain_output output;
	struct cluster_versions versions;
};

static void read_version(struct argp_state *state, const char *option, const char *text,
			 struct kube_version *ret)
{
	struct error err;

	if (kube_version_read(text, ret, &err) < 0)
		argp_error(state, "--%s: %s", option, err.text);
}

static enum explain_output read_output(struct argp_state *state, const char *text)
{
	if (strcmp(text, "yaml") == 0)
		return EXPLAIN_YAML;
	if (strcmp(text, "json") == 0)
		return EXPLAIN_JSON;
	if (strcmp(text, "text") != 0)
		argp_error(state, "--output: '%s' is none of text, yaml, json", text);
	return EXPLAIN_TEXT;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'c':
		arguments->config = argument;
		return 0;
	case 'n':
		arguments->namespace = argument;
		return 0;
	case 'o':
		arguments->output = read_output(state, argument);
		return 0;
	case KEY_SERVER:
		read_version(state, "server-version", argument, &arguments->versions.server);
		return 0;
	case KEY_KUBELET:
		read_version(state, "kubelet-version", argument,
			     &arguments->versions.oldest_kubelet);
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->file != NULL)
			argp_error(state, "one file at a time, and '%s' is the second", argument);
		arguments->file = argument;
		return 0;
	case ARGP_KEY_END:
		if (arguments->file == NULL)
			argp_error(state,
				   "no file: injector explain POD.yaml (- for standard "
				   "input)");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The operator's file (" INJECTOR_CONFIG_DEFAULT ")", 0 },
	{ "namespace", 'n', "NAME", 0, "The namespace of pods that name none (default)", 0 },
	{ "output", 'o', "FORMAT", 0,
	  "text (what would happen; the default), or the pods that come out as yaml or json", 0 },
	{ "server-version", KEY_SERVER, "V", 0,
	  "The API server's version, as v1.36.0; unknown counts as old", 0 },
	{ "kubelet-version", KEY_KUBELET, "V", 0, "The oldest kubelet's; the server's if absent",
	  0 },
	{ 0 },
};

static int run(int argc, char **argv);

const struct command command_injector_explain = {
	.name = "explain",
	.arguments = "POD.yaml",
	.summary = "Say what would happen to a pod and why, offline.",
	.details =
		"The file may hold several manifests: pods, and what makes pods. The exit "
		"status is 65 when one of them would be refused.",
	.options = options,
	.run = run,
};

static int explain_all(const struct explain_request *request, const char *file,
		       const struct buf *content, struct buf *report, bool *refused)
{
	const char *text = buf_string(content), *document;
	size_t len = content->len, document_len, count = 0;
	struct error err;

	while (manifest_next(&text, &len, &document, &document_len)) {
		AUTO(json_doc_freep)
		struct json_doc *doc = manifest_read(document, document_len, &err);

		if (doc == NULL || explain(request, json_doc_root(doc), report, refused, &err) < 0)
			return injector_fail(&err);
		count += json_doc_root(doc)->type != JSON_IS_NULL;
	}
	/* What a pipe that failed hands on must not pass a CI. */
	if (count == 0) {
		(void)error_set(&err, ERROR_BAD_DATA, "%s: it holds no manifest", file);
		return injector_fail(&err);
	}
	if (buf_check(report, "the report", &err) < 0)
		return injector_fail(&err);
	return 0;
}

static int run(int argc, char **argv)
{
	AUTO(injector_config_freep) struct injector_config *config = NULL;
	AUTO(buf_deinit) struct buf content = BUF_INIT(FILE_MAX);
	AUTO(buf_deinit) struct buf report = BUF_INIT(REPORT_MAX);
	struct arguments arguments = { .namespace = "default" };
	struct explain_request request;
	struct error err;
	bool refused = false;
	int status = injector_parse(&command_injector_explain, parse, argc, argv, &arguments);

	if (status == 0)
		config = injector_load(arguments.config, &status);
	if (config == NULL)
		return status;
	if (reader_file(strcmp(arguments.file, "-") == 0 ? "/dev/stdin" : arguments.file, &content,
			&err) < 0) {
		(void)error_wrap(&err, "%s", arguments.file);
		return injector_fail(&err);
	}
	if (!kube_version_is_known(arguments.versions.oldest_kubelet))
		arguments.versions.oldest_kubelet = arguments.versions.server;
	request = (struct explain_request){ .config = config,
					    .versions = &arguments.versions,
					    .namespace = arguments.namespace,
					    .output = arguments.output };
	status = explain_all(&request, arguments.file, &content, &report, &refused);
	if (fputs(buf_string(&report), stdout) < 0 || fflush(stdout) != 0)
		return EX_IOERR;
	return status != 0 ? status : refused ? EX_DATAERR : 0;
}

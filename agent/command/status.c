/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent status` and `agent ready`: what a running agent says about itself.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/text.h"
#include "agent/command/common.h"
#include "agent/command/load.h"
#include "agent/io/unix_client.h"

enum {
	KEY_JSON = 0x100,
	KEY_WATCH,
	KEY_WAIT,
	WATCH_MS = 2000,
	READY_FIRST_MS = 10,  /* between questions, doubled each time up to … */
	READY_EVERY_MS = 100, /* … this */
	READY_LEAST_MS = 500, /* for an answer, however little is left of the wait */
	READY_REPLY_MAX = 16 << 10,
	NAME_COLUMN = 24
};

extern const struct command command_status, command_ready;

static const struct argp_option status_options[] = {
	{ "json", KEY_JSON, NULL, 0, "As JSON", 0 },
	{ "watch", KEY_WATCH, NULL, 0, "Again every two seconds", 0 },
	{ 0 },
};

static const struct argp_option ready_options[] = {
	{ "wait", KEY_WAIT, "DURATION", 0, "Wait this long for it", 0 },
	{ 0 },
};

struct arguments {
	struct common common;
	bool json;
	bool watch;
	int64_t wait_ms;
};

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_JSON:
		arguments->json = true;
		return 0;
	case KEY_WATCH:
		arguments->watch = true;
		return 0;
	case KEY_WAIT:
		arguments->wait_ms = command_duration(state, "--wait", text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The configuration is read only for its socket, and only when nothing nearer names one. */
static const char *find_socket(const struct arguments *arguments, struct config **config,
			       int *status)
{
	const char *socket = command_socket(arguments->common.socket, NULL);
	struct error err;

	*status = 0;
	if (socket != NULL)
		return socket;
	*config = command_load_optional(arguments->common.config, status);
	if (*status != 0)
		return NULL;
	socket = command_socket(NULL, *config);
	if (socket == NULL) {
		(void)error_set(
			&err, ERROR_INVALID,
			"no socket is known: use --socket PATH, $AGENT_SOCKET, or a configuration "
			"with sinks.socket");
		*status = command_fail(&err);
	}
	return socket;
}

static void pause_ms(int64_t ms)
{
	struct timespec wait = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&wait, NULL);
}

/* ---- status ---- */

static const char *or_dash(const struct json_node *node)
{
	const char *text = node == NULL || node->type == JSON_IS_NULL ? NULL : node->text;

	return text != NULL && text[0] != '\0' ? text : "-";
}

static void print_error(const struct json_node *item)
{
	const struct json_node *error = json_get(item, "error");

	if (error != NULL && error->type == JSON_IS_MAP)
		(void)printf("  %*s %s: %s\n", NAME_COLUMN, "", or_dash(json_get(error, "code")),
			     or_dash(json_get(error, "text")));
}

/* The first child of a list or map that the answer may lack. */
static const struct json_node *first_of(const struct json_node *root, const char *key)
{
	const struct json_node *list = json_get(root, key);

	return list != NULL ? list->first : NULL;
}

/* A sink's error is its first problem, unless it has one of its own. */
static void print_errors(const struct json_node *item)
{
	const struct json_node *problem = first_of(item, "problems");
	const char *own = json_string(json_get(json_get(item, "error"), "text"));
	const char *first = json_string(json_get(json_get(problem, "error"), "text"));

	if (own != NULL && (first == NULL || strcmp(own, first) != 0))
		print_error(item);
	for (; problem != NULL; problem = problem->next)
		print_error(problem);
}

static void print_secrets(const struct json_node *root)
{
	const struct json_node *item = first_of(root, "secrets");

	(void)printf("%-*s %-8s %-18s %8s  %-20s %s\n", NAME_COLUMN + 2, "SECRET", "STATE",
		     "VERSION", "AGE s", "NEXT REFRESH", "EXPIRES");
	for (; item != NULL; item = item->next) {
		(void)printf("  %-*s %-8s %-18s %8s  %-20s %s\n", NAME_COLUMN,
			     or_dash(json_get(item, "name")), or_dash(json_get(item, "state")),
			     or_dash(json_get(item, "version")),
			     or_dash(json_get(item, "age_seconds")),
			     or_dash(json_get(item, "next_refresh_at")),
			     or_dash(json_get(item, "expires_at")));
		print_error(item);
	}
}

/* Backends and sinks: a name, a state, and one more column. */
static void print_parts(const struct json_node *root, const char *key, const char *title,
			const char *column, const char *column_title)
{
	const struct json_node *item = first_of(root, key);

	(void)printf("%-*s %-12s %s\n", NAME_COLUMN + 2, title, "STATE", column_title);
	for (; item != NULL; item = item->next) {
		(void)printf("  %-*s %-12s %s\n", NAME_COLUMN, or_dash(json_get(item, "name")),
			     or_dash(json_get(item, "state")), or_dash(json_get(item, column)));
		print_errors(item);
	}
}

static void print_table(const struct json_node *root)
{
	const struct json_node *item = first_of(root, "hardening");

	print_secrets(root);
	print_parts(root, "backends", "BACKEND", "session_expires_at", "SESSION EXPIRES");
	print_parts(root, "sinks", "SINK", "generation", "GENERATION");
	(void)printf("HARDENING\n");
	for (; item != NULL; item = item->next)
		(void)printf("  %-*s %s\n", NAME_COLUMN, item->key, or_dash(item));
}

static int print_status(const char *socket, bool json, struct error *err)
{
	const struct json_limits limits = { .depth = 16,
					    .nodes = 500000,
					    .bytes = UNIX_CLIENT_REPLY_MAX };
	const struct unix_get get = { .socket = socket, .target = "/v1/status" };
	AUTO(unix_reply_deinit) struct unix_reply reply = { 0 };
	AUTO(json_doc_freep) struct json_doc *doc = NULL;

	if (unix_client_get(clock_system(), &get, &reply, err) < 0)
		return error_wrap(err, "the agent at %s", socket);
	if (reply.status != 200)
		return error_set(err, ERROR_PROTOCOL, "the agent at %s answered %d", socket,
				 reply.status);
	if (json) {
		(void)printf("%s\n", buf_string(&reply.body));
		return fflush(stdout) == 0
			       ? 0
			       : error_set(err, ERROR_UNAVAILABLE, "standard output is closed");
	}
	doc = json_doc_read(reply.body.data, reply.body.len, &limits, err);
	if (doc == NULL)
		return error_wrap(err, "the agent's answer");
	print_table(json_doc_root(doc));
	return fflush(stdout) == 0 ? 0
				   : error_set(err, ERROR_UNAVAILABLE, "standard output is closed");
}

static int run_status(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	AUTO(config_freep) struct config *config = NULL;
	struct error err = ERROR_INIT;
	int status = command_parse(&command_status, parse, argc, argv, &arguments);
	const char *socket;

	if (status != 0)
		return status;
	socket = find_socket(&arguments, &config, &status);
	if (socket == NULL)
		return status;
	for (;;) {
		if (arguments.watch && isatty(STDOUT_FILENO) == 1)
			(void)fputs("\033[H\033[2J", stdout);
		if (print_status(socket, arguments.json, &err) < 0)
			return command_fail(&err);
		if (!arguments.watch)
			return 0;
		pause_ms(WATCH_MS);
	}
}

const struct command command_status = {
	.name = "status",
	.arguments = "",
	.summary = "Show how each secret, backend and sink is doing.",
	.common = COMMON_CONFIG | COMMON_SOCKET,
	.options = status_options,
	.run = run_status,
};

/* ---- ready ---- */

/* 1: ready; 0: not yet; -1: nobody answers. */
static int ask_ready(const char *socket, int64_t left_ms, struct error *err)
{
	const struct json_limits limits = { .depth = 2, .nodes = 16, .bytes = READY_REPLY_MAX };
	const struct unix_get get = { .socket = socket,
				      .target = "/v1/ready",
				      .timeout_ms =
					      left_ms > READY_LEAST_MS ? left_ms : READY_LEAST_MS,
				      .reply_max = READY_REPLY_MAX };
	AUTO(unix_reply_deinit) struct unix_reply reply = { 0 };
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const char *reason = NULL;
	struct error unreadable;

	if (unix_client_get(clock_system(), &get, &reply, err) < 0)
		return error_wrap(err, "the agent at %s", socket);
	if (reply.status == 200)
		return 1;
	doc = json_doc_read(reply.body.data, reply.body.len, &limits, &unreadable);
	if (doc != NULL)
		reason = json_string(json_get(json_doc_root(doc), "reason"));
	(void)error_set(err, ERROR_UNAVAILABLE, "not ready: %s",
			reason != NULL ? reason : "`agent status` says why");
	return 0;
}

static int run_ready(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	AUTO(config_freep) struct config *config = NULL;
	struct error err = ERROR_INIT;
	int status = command_parse(&command_ready, parse, argc, argv, &arguments);
	int64_t end = clock_now(clock_system()).boot_ms + arguments.wait_ms, left;
	int64_t every = READY_FIRST_MS;
	const char *socket;

	if (status != 0)
		return status;
	socket = find_socket(&arguments, &config, &status);
	if (socket == NULL)
		return status;
	for (;;) {
		left = end - clock_now(clock_system()).boot_ms;
		if (ask_ready(socket, left, &err) == 1)
			return 0;
		left = end - clock_now(clock_system()).boot_ms;
		if (left <= 0)
			return command_fail(&err);
		pause_ms(left < every ? left : every);
		every = 2 * every < READY_EVERY_MS ? 2 * every : READY_EVERY_MS;
	}
}

const struct command command_ready = {
	.name = "ready",
	.arguments = "",
	.summary = "Exit 0 when every required secret is published: a startup probe.",
	.common = COMMON_CONFIG | COMMON_SOCKET,
	.options = ready_options,
	.run = run_ready,
};

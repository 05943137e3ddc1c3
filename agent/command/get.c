/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value on standard output: from a running agent when there is one, else by signing in for it.
 */
#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/command/common.h"
#include "agent/command/load.h"
#include "agent/oneshot.h"
#include "agent/remote.h"
#include "agent/sink/format.h"
#include "agent/variables.h"

enum { KEY_OUTPUT = 0x100, OUTPUT_MAX = 8 << 20 };

extern const struct command command_get;

static const struct argp_option options[] = {
	{ "output", KEY_OUTPUT, "raw|json", 0, "The bytes (the default), or JSON", 0 },
	{ 0 },
};

struct arguments {
	struct common common;
	const char *name;
	bool json;
};

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_OUTPUT:
		arguments->json = strcmp(text, "json") == 0;
		if (!arguments->json && strcmp(text, "raw") != 0)
			argp_error(state, "--output takes raw or json, not '%s'", text);
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->name != NULL)
			argp_error(state, "one NAME[.FIELD], not also '%s'", text);
		arguments->name = text;
		return 0;
	case ARGP_KEY_END:
		if (arguments->name == NULL)
			argp_error(state, "which secret? NAME or NAME.FIELD");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- printing ---- */

static int print(const struct buf *out, struct error *err)
{
	size_t done = 0;

	while (done < out->len) {
		ssize_t written = write(STDOUT_FILENO, out->data + done, out->len - done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_errno(err, errno, "standard output");
		done += (size_t)written;
	}
	return 0;
}

static int print_value(struct buf *out, struct error *err)
{
	if (isatty(STDOUT_FILENO) == 1 && (out->len == 0 || out->data[out->len - 1] != '\n'))
		buf_putc(out, '\n');
	if (buf_check(out, "the output", err) < 0)
		return -1;
	return print(out, err);
}

static int write_field_json(struct buf *out, const char *name, const uint8_t *bytes, size_t len,
			    enum field_type type, struct error *err)
{
	if (type == FIELD_JSON) {
		buf_put(out, bytes, len);
		return 0;
	}
	if (!text_is_utf8(bytes, len))
		return error_set(err, ERROR_BAD_DATA, "field '%s' is not UTF-8: use --output raw",
				 name);
	text_write_json(out, bytes, len);
	return 0;
}

static int list_fields(const struct secret_version *version, const char *name, struct error *err)
{
	AUTO(buf_deinit) struct buf names = BUF_INIT(ERROR_TEXT_MAX / 2);

	for (size_t i = 0; i < version->count; i++)
		buf_printf(&names, "%s%s", i > 0 ? ", " : "", version->fields[i].name);
	return error_set(err, ERROR_NOT_FOUND, "secret '%s' has %zu fields; name one of them: %s",
			 name, version->count, buf_string(&names));
}

static int print_version(const struct secret_version *version, const char *name, const char *field,
			 bool json, struct error *err)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(OUTPUT_MAX);
	AUTO(secret_unrefp) struct secret *value = NULL;
	const struct field *typed;
	int written = 0;

	if (field == NULL && json) {
		written = format_write(&out, version, FORMAT_JSON, err);
	} else if (field == NULL && version->count != 1) {
		return list_fields(version, name, err);
	} else {
		value = version_select(version, field, err);
		if (value == NULL)
			return error_wrap(err, "secret '%s'", name);
		typed = secret_version_field(version,
					     field != NULL ? field : version->fields[0].name);
		if (json)
			written = write_field_json(&out, field != NULL ? field : "",
						   secret_bytes(value), secret_len(value),
						   typed != NULL ? typed->type : FIELD_STRING, err);
		else
			buf_put(&out, secret_bytes(value), secret_len(value));
	}
	return written < 0 ? -1 : print_value(&out, err);
}

/* ---- from a running agent ---- */

/* Names may hold dots: the longest one that the agent knows is meant. */
static int ask(const struct remote *remote, char *name, struct secret_version **ret,
	       struct error *err)
{
	const struct remote_wish wish = { .name = name };
	struct error shorter;
	char *dot;

	if (remote_version(remote, &wish, ret, err) > 0)
		return 0;
	/* When none is known, it is the whole name that is not there. */
	while (err->code == ERROR_NOT_FOUND && (dot = strrchr(name, '.')) != NULL && dot > name) {
		*dot = '\0';
		if (remote_version(remote, &wish, ret, &shorter) > 0)
			return 0;
		if (shorter.code != ERROR_NOT_FOUND)
			*err = shorter;
	}
	return -1;
}

static int get_from_socket(const char *socket, const struct arguments *arguments, struct error *err)
{
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	const struct remote remote = { .socket = socket,
				       .timeout_ms = arguments->common.timeout_ms };
	AUTO(freep) char *name = strndup(arguments->name, strcspn(arguments->name, "#"));
	const char *field;

	if (name == NULL)
		return error_no_memory(err);
	if (ask(&remote, name, &version, err) < 0)
		return -1;
	field = arguments->name + strlen(name);
	return print_version(version, name, *field != '\0' ? field + 1 : NULL, arguments->json,
			     err);
}

/* ---- by signing in ---- */

struct wanted {
	const struct arguments *arguments;
	const char *field;
};

static int use(void *context, const struct store *store, struct error *err)
{
	const struct wanted *wanted = context;
	const struct store_entry *entry = &store->entries[0];

	if (print_version(entry->version, entry->spec->name, wanted->field, wanted->arguments->json,
			  err) < 0)
		return error_exit_status(err->code);
	return 0;
}

/* The declared secret with the longest name that the argument begins with. */
static struct secret_spec *find_spec(struct config *config, const char *asked,
				     const char **ret_field)
{
	struct secret_spec *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < config->secret_count; i++) {
		size_t len = strlen(config->secrets[i].name);

		if (len < best_len || strncmp(config->secrets[i].name, asked, len) != 0 ||
		    (asked[len] != '\0' && asked[len] != '.' && asked[len] != '#'))
			continue;
		best = &config->secrets[i];
		best_len = len;
	}
	if (best != NULL)
		*ret_field = asked[best_len] != '\0' ? asked + best_len + 1 : NULL;
	return best;
}

static int get_by_signing_in(struct config *config, const struct arguments *arguments,
			     struct error *err)
{
	struct wanted wanted = { .arguments = arguments };
	struct secret_spec *spec = find_spec(config, arguments->name, &wanted.field);
	struct config alone = *config;
	struct secret_spec asked;
	const struct oneshot_request request = {
		.config = &alone,
		.flags = HOST_ALLOW_DEGRADED,
		.timeout_ms = arguments->common.timeout_ms,
		.revoke = true,
		.use = use,
		.context = &wanted,
	};

	if (spec == NULL) {
		(void)error_set(err, ERROR_NOT_FOUND, "%s declares no secret '%s'", config->file,
				arguments->name);
		return error_exit_status(err->code);
	}
	/* Only this one, the others are nobody's business here; and who asks for it requires it. */
	asked = *spec;
	asked.optional = false;
	alone.secrets = &asked;
	alone.secret_count = 1;
	return oneshot_run(&request, err);
}

static int run(int argc, char **argv)
{
	struct arguments arguments = { .common = { .timeout_ms = COMMON_TIMEOUT_MS } };
	AUTO(config_freep) struct config *config = NULL;
	struct error err = ERROR_INIT;
	const char *socket;
	int status = command_parse(&command_get, parse, argc, argv, &arguments);

	if (status != 0)
		return status;
	if (arguments.common.socket == NULL)
		config = command_load_optional(arguments.common.config, &status);
	if (status != 0)
		return status;
	socket = command_socket(arguments.common.socket, config);
	log_setup(LOG_ERROR, LOG_TEXT);
	if (socket != NULL && (config == NULL || access(socket, F_OK) == 0)) {
		if (get_from_socket(socket, &arguments, &err) == 0)
			return 0;
		/* A socket file that nobody listens on is no agent. */
		if (config == NULL || err.code != ERROR_UNAVAILABLE)
			return command_fail(&err);
		err = ERROR_INIT;
	}
	if (config == NULL) {
		(void)error_set(&err, ERROR_INVALID,
				"no configuration and no running agent: use -c FILE, --socket PATH "
				"or $AGENT_SOCKET");
		return command_fail(&err);
	}
	status = get_by_signing_in(config, &arguments, &err);
	if (err.code != ERROR_NONE)
		return command_fail(&err);
	return status;
}

const struct command command_get = {
	.name = "get",
	.arguments = "NAME[.FIELD]",
	.summary = "Print one value.",
	.details =
		"From the running agent when there is one, else by signing in for it. No newline "
		"is added when standard "
		"output is not a terminal.",
	.common = COMMON_CONFIG | COMMON_SOCKET | COMMON_TIMEOUT,
	.options = options,
	.run = run,
};

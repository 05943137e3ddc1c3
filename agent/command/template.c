/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent template FILE` renders a template offline, from answers that stand in a file: for people
 * who write templates, and for their tests.
 */
#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/command/command.h"
#include "agent/io/file.h"
#include "agent/template/template.h"

enum { KEY_DATA = 0x100, KEY_LEFT, KEY_RIGHT, KEY_MISSING_KEY, KEY_DENY, KEY_DEPS };
enum { DATA_MAX = 8 << 20, DENIED_MAX = 64, KEYS_MAX = 1 << 20 };

extern const struct command command_template;

static const struct argp_option options[] = {
	{ "data", KEY_DATA, "FILE", 0,
	  "The answers: a JSON map of path to what the API answers there", 0 },
	{ "left-delimiter", KEY_LEFT, "TEXT", 0, "What begins an action; {{ by default", 0 },
	{ "right-delimiter", KEY_RIGHT, "TEXT", 0, "What ends an action; }} by default", 0 },
	{ "error-on-missing-key", KEY_MISSING_KEY, NULL, 0,
	  "A key that a map does not have is an error", 0 },
	{ "function-denylist", KEY_DENY, "NAME", 0,
	  "Refuse calls of this function (* is anything; may be repeated)", 0 },
	{ "deps", KEY_DEPS, NULL, 0,
	  "Print what the template asks for, a key of --data per line, instead of rendering", 0 },
	{ 0 },
};

struct arguments {
	const char *file, *data;
	const char *denied[DENIED_MAX + 1];
	size_t denied_count;
	struct template_options template;
	bool deps;
};

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case KEY_DATA:
		arguments->data = text;
		return 0;
	case KEY_LEFT:
		arguments->template.left = text;
		return 0;
	case KEY_RIGHT:
		arguments->template.right = text;
		return 0;
	case KEY_MISSING_KEY:
		arguments->template.missing_key_is_error = true;
		return 0;
	case KEY_DENY:
		if (arguments->denied_count == DENIED_MAX)
			argp_error(state, "at most %d times --function-denylist", DENIED_MAX);
		arguments->denied[arguments->denied_count++] = text;
		return 0;
	case KEY_DEPS:
		arguments->deps = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->file != NULL)
			argp_error(state, "one FILE, not also '%s'", text);
		arguments->file = text;
		return 0;
	case ARGP_KEY_END:
		if (arguments->file == NULL)
			argp_error(state, "which template? FILE, or - for standard input");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- answers ---- */

struct answers {
	struct template_source source;
	const struct json_node *root; /* NULL: none */
	bool deps;
	struct buf asked;   /* keys, a line each, in the order of the first question */
	struct buf missing; /* those that have no answer */
};

/* How --data and --deps spell what a template asks for. */
static void write_key(struct buf *key, const struct template_need *need)
{
	static const char *const verbs[] = {
		[TEMPLATE_READ] = "",	 [TEMPLATE_WRITE] = "PUT ", [TEMPLATE_LIST] = "LIST ",
		[TEMPLATE_PKI] = "PUT ", [TEMPLATE_FILE] = "FILE ",
	};

	buf_printf(key, "%s%s", verbs[need->kind], need->path);
}

/* Adds a line once. */
static void note(struct buf *lines, const char *key)
{
	size_t len = strlen(key);
	const char *at = buf_string(lines);

	while (*at != '\0') {
		const char *end = strchr(at, '\n');

		if ((size_t)(end - at) == len && memcmp(at, key, len) == 0)
			return;
		at = end + 1;
	}
	buf_printf(lines, "%s\n", key);
}

static int lookup(struct template_source *source, const struct template_need *need,
		  struct template_answer *ret, struct error *err)
{
	struct answers *answers = CONTAINER_OF(source, struct answers, source);
	AUTO(buf_deinit) struct buf key = BUF_INIT(KEYS_MAX);
	const struct json_node *found;

	write_key(&key, need);
	if (buf_check(&key, "the path", err) < 0)
		return -1;
	note(&answers->asked, buf_string(&key));
	found = json_get(answers->root, buf_string(&key));
	if (found == NULL) {
		note(&answers->missing, buf_string(&key));
		return 0;
	}
	if (need->kind == TEMPLATE_FILE && found->type != JSON_IS_STRING)
		return error_set(err, ERROR_BAD_DATA, "--data: the answer for '%s' is no string",
				 buf_string(&key));
	if (need->kind != TEMPLATE_FILE && found->type != JSON_IS_MAP)
		return error_set(err, ERROR_BAD_DATA, "--data: the answer for '%s' is no map",
				 buf_string(&key));
	*ret = (struct template_answer){ .reply = found,
					 .bytes = found->text,
					 .len = found->text_len };
	return 1;
}

static const char *environment(struct template_source *source, const char *name)
{
	(void)source;
	return secure_getenv(name);
}

static struct json_doc *read_answers(const char *path, struct error *err)
{
	static const struct json_limits limits = { .depth = 64,
						   .nodes = 100000,
						   .bytes = DATA_MAX };
	AUTO(buf_deinit) struct buf text = BUF_INIT(DATA_MAX);
	struct json_doc *doc;

	if (file_read_stream(path, DATA_MAX, &text, err) < 0)
		return NULL;
	doc = json_doc_read(buf_string(&text), text.len, &limits, err);
	if (doc == NULL) {
		(void)error_wrap(err, "%s", path);
		err->code = ERROR_BAD_DATA;
	}
	return doc;
}

/* ---- output ---- */

/* Not by stdio, whose buffer nobody wipes. */
static int print(const void *bytes, size_t len)
{
	const char *at = bytes;
	struct error err;

	while (len > 0) {
		ssize_t written = write(STDOUT_FILENO, at, len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0) {
			(void)error_errno(&err, errno, "standard output");
			return command_fail(&err);
		}
		at += written;
		len -= (size_t)written;
	}
	return 0;
}

static int report_missing(const struct answers *answers)
{
	struct error err;
	size_t len = strcspn(buf_string(&answers->missing), "\n");

	(void)error_set(&err, ERROR_BAD_DATA,
			"the template asks for '%.*s', for which --data has no answer; --deps "
			"lists all that it asks for",
			(int)len, buf_string(&answers->missing));
	return command_fail(&err);
}

static int render(const struct arguments *arguments, struct template *template,
		  struct answers *answers)
{
	AUTO(secret_unrefp) struct secret *output = NULL;
	struct error err;

	if (template_render(template, &answers->source, &output, &err) < 0)
		return command_fail(&err);
	if (arguments->deps)
		return print(buf_string(&answers->asked), answers->asked.len);
	if (output == NULL)
		return report_missing(answers);
	return print(secret_bytes(output), secret_len(output));
}

static int run_template(struct arguments *arguments)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(TEMPLATE_TEXT_MAX);
	AUTO(json_doc_freep) struct json_doc *data = NULL;
	AUTO(template_freep) struct template *template = NULL;
	struct answers answers = {
		.source = { .lookup = lookup,
			    .environment = environment,
			    .now_ms = (int64_t)time(NULL) * 1000 },
		.asked = BUF_INIT(KEYS_MAX),
		.missing = BUF_INIT(KEYS_MAX),
	};
	struct error err;
	int status;

	if (file_read_stream(arguments->file, TEMPLATE_TEXT_MAX, &text, &err) < 0)
		return command_fail(&err);
	if (arguments->data != NULL) {
		data = read_answers(arguments->data, &err);
		if (data == NULL)
			return command_fail(&err);
		answers.root = json_doc_root(data);
	}
	arguments->template.name = arguments->file;
	arguments->template.denied = arguments->denied;
	template = template_new(buf_string(&text), text.len, &arguments->template, &err);
	if (template == NULL)
		return command_fail(&err);
	status = render(arguments, template, &answers);
	buf_deinit(&answers.asked);
	buf_deinit(&answers.missing);
	return status;
}

static int run(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	int status = command_parse(&command_template, parse, argc, argv, &arguments);

	return status != 0 ? status : run_template(&arguments);
}

const struct command command_template = {
	.name = "template",
	.arguments = "FILE",
	.summary = "Render a template of Vault Agent offline, from answers in a file.",
	.details =
		"The language is Go's text/template with consul-template's functions; "
		"docs/templates.md says which are there. --data is a JSON map: "
		"`{\"secret/data/db\": "
		"{\"data\": {…}}}`, with `LIST PATH` as the key of a list, `PUT PATH` of a write "
		"and "
		"of pkiCert, and `FILE PATH` of a file, whose answer is a string. What is wrong "
		"with "
		"a template is told with file, line, column and function, and the exit status is "
		"65.",
	.options = options,
	.run = run,
};

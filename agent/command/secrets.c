/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent secrets` keeps the encrypted file. Values come from standard input or a prompt, never from
 * arguments, which every process of the machine can read.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "agent/command/command.h"
#include "agent/command/secrets_file.h"
#include "agent/io/file.h"
#include "backends/sops_scalar.h"

enum { RECIPIENTS_MAX = 64, OPTION_AGE = 256, OPTION_RAW, OPTION_FORMAT };

struct arguments {
	const char *file;
	const char *action;
	const char *name;
	const char *recipients[RECIPIENTS_MAX];
	size_t recipient_count;
	const char *format;
	bool raw, in_place;
};

struct action {
	const char *name;
	bool takes_name, needs_name;
	int (*run)(const struct arguments *arguments, struct error *err);
};

/* --- output --- */

static int write_out(const char *bytes, size_t len, struct error *err)
{
	if ((len > 0 && fwrite(bytes, len, 1, stdout) != 1) || fflush(stdout) != 0)
		return error_errno(err, errno, "standard output");
	return 0;
}

static int read_format(const char *name, enum sops_format *ret, struct error *err)
{
	static const char *const names[] = {
		[SOPS_YAML] = "yaml", [SOPS_JSON] = "json", [SOPS_DOTENV] = "dotenv"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names) && name != NULL; i++)
		if (strcmp(names[i], name) == 0) {
			*ret = (enum sops_format)i;
			return 0;
		}
	return name == NULL ? 0
			    : error_set(err, ERROR_INVALID,
					"--format is yaml, json or dotenv, not '%.40s'", name);
}

/* --- actions --- */

struct recipients {
	uint8_t (*keys)[AGE_KEY_LEN];
	size_t count;
};

static void recipients_free(struct recipients *recipients)
{
	free(recipients->keys);
}

/* Those that were named, else those of the keys at hand; `make` makes a key where there is none. */
static int collect_recipients(const struct arguments *arguments, bool make, struct recipients *ret,
			      struct error *err)
{
	AUTO(age_identities_free) struct age_identities keys = { .count = 0 };
	bool named = arguments->recipient_count > 0, made = false;

	if (!named && secrets_keys_read(&keys, make, &made, err) < 0)
		return -1;
	if (made) {
		AUTO(freep) char *place = secrets_keys_place();

		(void)fprintf(stderr, "agent: made a key in %s: keep a copy in a safe place\n",
			      place != NULL ? place : "the key file");
	}
	ret->count = named ? arguments->recipient_count : keys.count;
	ret->keys = calloc(ret->count, sizeof(*ret->keys));
	if (ret->keys == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < ret->count; i++) {
		if (!named)
			memcpy(ret->keys[i], keys.items[i].recipient, AGE_KEY_LEN);
		else if (age_recipient_read(arguments->recipients[i], ret->keys[i], err) < 0)
			return -1;
	}
	return 0;
}

static int encrypt_text(const struct arguments *arguments, bool make, const char *file,
			enum sops_format format, const char *text, size_t len,
			struct sops_document *document, struct error *err)
{
	AUTO(recipients_free) struct recipients recipients = { .count = 0 };
	int64_t now = (int64_t)time(NULL) * 1000;

	if (collect_recipients(arguments, make, &recipients, err) < 0 ||
	    sops_document_encrypt(document, format, text, len, file,
				  (const uint8_t(*)[AGE_KEY_LEN])recipients.keys, recipients.count,
				  NULL, err) < 0)
		return -1;
	return sops_document_seal(document, now, err);
}

static int run_init(const struct arguments *arguments, struct error *err)
{
	const char *file = arguments->file != NULL ? arguments->file : SECRETS_FILE;
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	enum sops_format format = sops_format_of(file);
	const char *empty = format == SOPS_JSON ? "{}\n" : "";

	if (access(file, F_OK) == 0)
		return error_set(err, ERROR_INVALID, "%s is there already; it stays as it is",
				 file);
	if (encrypt_text(arguments, true, file, format, empty, strlen(empty), &document, err) < 0)
		return -1;
	return file_replace(file, document.source.data, document.source.len, 0644, err);
}

static int run_set(const struct arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf value = BUF_INIT(SOPS_DOCUMENT_MAX);
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);
	AUTO(closep) int lock = -1;

	if (file == NULL || secrets_value_read(arguments->name, arguments->raw, &value, err) < 0 ||
	    secrets_file_open(file, &document, &lock, err) < 0 ||
	    sops_document_set(&document, arguments->name, SOPS_STRING, buf_string(&value),
			      value.len, err) < 0)
		return -1;
	return secrets_file_save(&document, err);
}

static int run_rm(const struct arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);
	AUTO(closep) int lock = -1;

	if (file == NULL || secrets_file_open(file, &document, &lock, err) < 0 ||
	    sops_document_remove(&document, arguments->name, err) < 0)
		return -1;
	return secrets_file_save(&document, err);
}

static int run_get(const struct arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);
	AUTO(closep) int lock = -1;
	const struct sops_node *node;

	if (file == NULL || secrets_file_open(file, &document, &lock, err) < 0)
		return -1;
	node = sops_document_find(&document, arguments->name, err);
	if (node == NULL)
		return -1;
	if (node->kind == SOPS_STRING || node->kind == SOPS_TIME)
		buf_put(&out, node->text, node->len);
	else
		sops_write_json(&out, node);
	if (isatty(STDOUT_FILENO))
		buf_putc(&out, '\n');
	if (buf_check(&out, "the value", err) < 0)
		return -1;
	return write_out(buf_string(&out), out.len, err);
}

static void put_names(struct buf *out, const struct sops_node *node)
{
	for (const struct sops_node *child = node->first; child != NULL; child = child->next) {
		if (child->kind == SOPS_COMMENT ||
		    (node->parent == NULL && child->key != NULL && strcmp(child->key, "sops") == 0))
			continue;
		if (child->first != NULL) {
			put_names(out, child);
			continue;
		}
		sops_write_path(out, child);
		buf_putc(out, '\n');
	}
}

static int run_list(const struct arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);
	AUTO(closep) int lock = -1;

	if (file == NULL || secrets_file_open(file, &document, &lock, err) < 0)
		return -1;
	put_names(&out, document.tree.root);
	if (buf_check(&out, "the list of names", err) < 0)
		return -1;
	return write_out(buf_string(&out), out.len, err);
}

static int run_edit(const struct arguments *arguments, struct error *err)
{
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);

	return file != NULL ? secrets_edit(file, err) : -1;
}

static int run_import(const struct arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(sops_tree_free) struct sops_tree tree = { .count = 0 };
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);
	AUTO(closep) int lock = -1;
	enum sops_format format = sops_format_of(arguments->name);

	if (file == NULL || read_format(arguments->format, &format, err) < 0 ||
	    secrets_text_read(arguments->name, &text, err) < 0 ||
	    sops_tree_read(&tree, format, buf_string(&text), text.len, arguments->name, err) < 0 ||
	    secrets_file_open(file, &document, &lock, err) < 0 ||
	    sops_document_merge(&document, tree.root, err) < 0)
		return -1;
	return secrets_file_save(&document, err);
}

static int run_encrypt(const struct arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	enum sops_format format = sops_format_of(arguments->name);

	if (read_format(arguments->format, &format, err) < 0 ||
	    secrets_text_read(arguments->name, &text, err) < 0 ||
	    encrypt_text(arguments, false, arguments->name, format, buf_string(&text), text.len,
			 &document, err) < 0)
		return -1;
	if (!arguments->in_place)
		return write_out(document.source.data, document.source.len, err);
	return file_replace(arguments->name, document.source.data, document.source.len, 0, err);
}

static int run_decrypt(const struct arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	AUTO(freep)
	char *file =
		secrets_file_find(arguments->name != NULL ? arguments->name : arguments->file, err);
	enum sops_format format = file != NULL ? sops_format_of(file) : SOPS_YAML;
	AUTO(closep) int lock = -1;

	if (file == NULL || read_format(arguments->format, &format, err) < 0 ||
	    secrets_file_open(file, &document, &lock, err) < 0 ||
	    sops_document_write(&document, format, &out, err) < 0)
		return -1;
	return write_out(buf_string(&out), out.len, err);
}

static const struct action actions[] = {
	{ "init", false, false, run_init },
	{ "set", true, true, run_set },
	{ "get", true, true, run_get },
	{ "list", false, false, run_list },
	{ "rm", true, true, run_rm },
	{ "edit", false, false, run_edit },
	{ "import", true, true, run_import },
	{ "encrypt", true, true, run_encrypt },
	{ "decrypt", true, false, run_decrypt },
};

/* --- arguments --- */

static const struct argp_option options[] = {
	{ "file", 'f', "FILE", 0,
	  "The encrypted file (default: the nearest " SECRETS_FILE " upwards)", 0 },
	{ "age", OPTION_AGE, "RECIPIENT", 0,
	  "init, encrypt: who may read it (default: the keys at hand)", 0 },
	{ "raw", OPTION_RAW, NULL, 0, "set: keep a final newline of standard input", 0 },
	{ "format", OPTION_FORMAT, "FORMAT", 0, "import, encrypt, decrypt: yaml, json or dotenv",
	  0 },
	{ "in-place", 'i', NULL, 0, "encrypt: replace the file", 0 },
	{ 0 },
};

static int take_word(struct arguments *arguments, char *word, struct argp_state *state)
{
	if (arguments->action == NULL) {
		arguments->action = word;
		return 0;
	}
	if (arguments->name != NULL)
		argp_error(state,
			   "one name or file at a time; a value comes from standard input, never "
			   "from an "
			   "argument");
	arguments->name = word;
	return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'f':
		arguments->file = argument;
		return 0;
	case 'i':
		arguments->in_place = true;
		return 0;
	case OPTION_AGE:
		if (arguments->recipient_count == RECIPIENTS_MAX)
			argp_error(state, "more than %d recipients", RECIPIENTS_MAX);
		else
			arguments->recipients[arguments->recipient_count++] = argument;
		return 0;
	case OPTION_RAW:
		arguments->raw = true;
		return 0;
	case OPTION_FORMAT:
		arguments->format = argument;
		return 0;
	case ARGP_KEY_ARG:
		return take_word(arguments, argument, state);
	case ARGP_KEY_END:
		if (arguments->action == NULL)
			argp_error(state,
				   "say what to do: init, set, get, list, rm, edit, import, "
				   "encrypt or decrypt");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

extern const struct command command_secrets;

static int usage(const char *problem, const char *word)
{
	(void)fprintf(stderr, "agent secrets: %s%s%s\nTry `agent secrets --help` for more.\n",
		      problem, word, problem[strlen(problem) - 1] == '\'' ? "'" : "");
	return EX_USAGE;
}

static int run(int argc, char **argv)
{
	struct arguments arguments = { .file = NULL };
	struct error err = ERROR_INIT;
	int status = command_parse(&command_secrets, parse, argc, argv, &arguments);

	if (status != 0)
		return status;
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		const struct action *action = &actions[i];

		if (strcmp(action->name, arguments.action) != 0)
			continue;
		if (action->needs_name && arguments.name == NULL)
			return usage("a name or file is missing after ", action->name);
		if (!action->takes_name && arguments.name != NULL)
			return usage("unexpected argument '", arguments.name);
		return action->run(&arguments, &err) < 0 ? command_fail(&err) : 0;
	}
	return usage("it does not know '", arguments.action);
}

const struct command command_secrets = {
	.name = "secrets",
	.arguments = "init|list|edit\nset|get|rm NAME\nimport FILE|-\nencrypt|decrypt FILE",
	.summary = "Keep secrets in an encrypted file (SOPS with age keys)",
	.details =
		"Names are a.b or /a/b; items of lists are numbers. set reads the value from "
		"standard input, or "
		"asks for it on a terminal; one final newline is dropped unless --raw.\n\n"
		"The key is that of $SOPS_AGE_KEY, of the file $SOPS_AGE_KEY_FILE, or of "
		"~/.config/sops/age/keys.txt; init makes one where there is none.",
	.options = options,
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent secrets` keeps the encrypted file. Values come from standard input or a prompt, never from
 * arguments, which every process of the machine can read.
 */
#include <string.h>

#include "agent/base/text.h"
#include "agent/command/command.h"
#include "agent/command/secrets_actions.h"
#include "agent/command/secrets_file.h"
#include "backends/age.h"

enum { KEY_AGE = 256, KEY_RAW, KEY_FORMAT, ACTIONS_MAX = 16 };

/* Options besides -f; a mistake that would be passed over in silence is none that anybody finds. */
enum { TAKES_AGE = 1, TAKES_RAW = 2, TAKES_FORMAT = 4, TAKES_IN_PLACE = 8 };

enum operand { NOTHING, A_NAME, A_FILE, PERHAPS_A_FILE };

static const struct action {
	const char *name;
	enum operand operand;
	unsigned takes;
	int (*run)(const struct secrets_arguments *arguments, struct error *err);
} actions[] = {
	{ "init", NOTHING, TAKES_AGE, secrets_init },
	{ "set", A_NAME, TAKES_RAW, secrets_set },
	{ "get", A_NAME, 0, secrets_get },
	{ "list", NOTHING, 0, secrets_list },
	{ "rm", A_NAME, 0, secrets_rm },
	{ "edit", NOTHING, 0, secrets_edit_file },
	{ "import", A_FILE, TAKES_FORMAT, secrets_import },
	{ "encrypt", A_FILE, TAKES_AGE | TAKES_FORMAT | TAKES_IN_PLACE, secrets_encrypt },
	{ "decrypt", PERHAPS_A_FILE, TAKES_FORMAT, secrets_decrypt },
};

/* A group each, which keeps them in this order. */
static const struct argp_option options[] = {
	{ "init", 0, NULL, OPTION_DOC, "make the file, and a key where there is none", 1 },
	{ "set NAME", 0, NULL, OPTION_DOC,
	  "set or add a value, which standard input or a prompt gives", 2 },
	{ "get NAME", 0, NULL, OPTION_DOC, "print a value", 3 },
	{ "list", 0, NULL, OPTION_DOC, "print the names", 4 },
	{ "rm NAME", 0, NULL, OPTION_DOC, "remove a value, or everything below a name", 5 },
	{ "edit", 0, NULL, OPTION_DOC, "edit the plain text with $EDITOR, in memory alone", 6 },
	{ "import FILE", 0, NULL, OPTION_DOC,
	  "add every value of a plain file (- is standard input)", 7 },
	{ "encrypt FILE", 0, NULL, OPTION_DOC, "print a plain file encrypted", 8 },
	{ "decrypt [FILE]", 0, NULL, OPTION_DOC, "print the file decrypted", 9 },
	{ "file", 'f', "FILE", 0,
	  "The encrypted file (default: the nearest " SECRETS_FILE " upwards)", 10 },
	{ "age", KEY_AGE, "RECIPIENT", 0,
	  "init, encrypt: who may read it (default: the keys at hand); may be given several times",
	  10 },
	{ "raw", KEY_RAW, NULL, 0, "set: keep a final newline of standard input", 10 },
	{ "format", KEY_FORMAT, "yaml|json|dotenv", 0,
	  "import, encrypt, decrypt: how the plain text is written (default: by the file's name)",
	  10 },
	{ "in-place", 'i', NULL, 0, "encrypt: replace the file", 10 },
	{ 0 },
};

struct input {
	struct secrets_arguments arguments;
	const struct action *action;
	unsigned given;
};

/* --- reading them --- */

static void find_action(struct input *input, const char *word, struct argp_state *state)
{
	const char *names[ACTIONS_MAX + 1] = { NULL }, *nearest;

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		names[i] = actions[i].name;
		if (strcmp(word, names[i]) == 0)
			input->action = &actions[i];
	}
	if (input->action != NULL)
		return;
	nearest = text_nearest(word, names);
	argp_error(state, "there is no '%.40s'%s%s%s", word,
		   nearest != NULL ? " (did you mean '" : "", nearest != NULL ? nearest : "",
		   nearest != NULL ? "'?)" : "");
}

static void take_word(struct input *input, const char *word, struct argp_state *state)
{
	if (input->action == NULL) {
		find_action(input, word, state);
		return;
	}
	if (input->action->operand == NOTHING)
		argp_error(state, "%s takes no argument", input->action->name);
	else if (input->arguments.name != NULL)
		argp_error(state,
			   "one name or file at a time; a value comes from standard input, "
			   "never from an argument");
	input->arguments.name = word;
}

static void take_format(struct secrets_arguments *arguments, const char *name,
			struct argp_state *state)
{
	static const char *const names[] = {
		[SOPS_YAML] = "yaml", [SOPS_JSON] = "json", [SOPS_DOTENV] = "dotenv"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], name) == 0) {
			arguments->format = (enum sops_format)i;
			arguments->format_given = true;
			return;
		}
	argp_error(state, "--format is yaml, json or dotenv, not '%.40s'", name);
}

static void take_recipient(struct secrets_arguments *arguments, const char *recipient,
			   struct argp_state *state)
{
	uint8_t ignored[AGE_KEY_LEN];
	struct error err;

	if (arguments->recipient_count == SECRETS_RECIPIENTS_MAX)
		argp_error(state, "more than %d recipients", SECRETS_RECIPIENTS_MAX);
	else if (age_recipient_read(recipient, ignored, &err) < 0)
		argp_error(state, "--age: %s", err.text);
	else
		arguments->recipients[arguments->recipient_count++] = recipient;
}

/* What is wrong only once everything is known. */
static void check(const struct input *input, struct argp_state *state)
{
	static const struct {
		unsigned bit;
		const char *name;
	} named[] = {
		{ TAKES_AGE, "--age" },
		{ TAKES_RAW, "--raw" },
		{ TAKES_FORMAT, "--format" },
		{ TAKES_IN_PLACE, "--in-place" },
	};
	const struct action *action = input->action;
	const char *name = input->arguments.name;
	struct sops_path path = { .count = 0 };
	struct error err;

	if (action == NULL) {
		argp_error(state,
			   "say what to do: init, set, get, list, rm, edit, import, encrypt or "
			   "decrypt");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if ((input->given & named[i].bit & ~action->takes) != 0)
			argp_error(state, "%s does not take %s", action->name, named[i].name);
	if (name == NULL && (action->operand == A_NAME || action->operand == A_FILE))
		argp_error(state, "%s needs %s", action->name,
			   action->operand == A_NAME ? "a name" : "a file; - is standard input");
	else if (action->operand == A_NAME && sops_path_read(&path, name, &err) < 0)
		argp_error(state, "%s", err.text);
	else if (input->arguments.in_place && strcmp(name, "-") == 0)
		argp_error(state, "standard input cannot be replaced: leave out -i");
	sops_path_free(&path);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct input *input = state->input;

	switch (key) {
	case 'f':
		input->arguments.file = argument;
		return 0;
	case 'i':
		input->given |= TAKES_IN_PLACE;
		input->arguments.in_place = true;
		return 0;
	case KEY_AGE:
		input->given |= TAKES_AGE;
		take_recipient(&input->arguments, argument, state);
		return 0;
	case KEY_RAW:
		input->given |= TAKES_RAW;
		input->arguments.raw = true;
		return 0;
	case KEY_FORMAT:
		input->given |= TAKES_FORMAT;
		take_format(&input->arguments, argument, state);
		return 0;
	case ARGP_KEY_ARG:
		take_word(input, argument, state);
		return 0;
	case ARGP_KEY_END:
		check(input, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

extern const struct command command_secrets;

static int run(int argc, char **argv)
{
	struct input input = { .action = NULL };
	struct error err = ERROR_INIT;
	int status = command_parse(&command_secrets, parse, argc, argv, &input);

	if (status != 0)
		return status;
	return input.action->run(&input.arguments, &err) < 0 ? command_fail(&err) : 0;
}

const struct command command_secrets = {
	.name = "secrets",
	.arguments = "ACTION [NAME|FILE]",
	.summary = "Keep secrets in an encrypted file (SOPS with age keys).",
	.details =
		"Names are a.b, or /a/b where a name holds a dot; items of lists are numbers. set "
		"drops "
		"one final newline of standard input unless --raw.\n\n"
		"import --format dotenv reads .env files as shells and dotenv libraries do: quotes "
		"are "
		"taken off, a quoted value may span lines, and $NAME is not expanded. decrypt "
		"--format "
		"dotenv writes the same. encrypt and decrypt of a .env file are those of sops, to "
		"which "
		"quotes are data.\n\n"
		"The key is that of $SOPS_AGE_KEY, of the file $SOPS_AGE_KEY_FILE, or of "
		"~/.config/sops/age/keys.txt; init makes one where there is none.",
	.options = options,
	.run = run,
};

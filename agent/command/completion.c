/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent completion` writes what shells and man read, from the table of commands.
 */
#include "agent/command/completion.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "agent/base/text.h"
#include "agent/command/common.h"
#include "agent/command/usage.h"
#include "agent/config/config.h"

enum { OUTPUT_MAX = 1 << 20 };

bool completion_is_option(const struct argp_option *row)
{
	return row->name != NULL && (row->flags & (OPTION_HIDDEN | OPTION_DOC)) == 0;
}

bool completion_is_action(const struct argp_option *row)
{
	return row->name != NULL && (row->flags & OPTION_DOC) != 0;
}

bool completion_has_letter(const struct argp_option *row)
{
	return row->key > 0 && row->key < 128 && isprint(row->key);
}

bool completion_has_actions(const struct command *command)
{
	const struct argp_option *row;

	for (size_t i = 0; (row = command_option(command, i)) != NULL; i++)
		if (completion_is_action(row))
			return true;
	return false;
}

enum completion completion_of_argument(const char *argument)
{
	if (argument == NULL)
		return COMPLETES_NOTHING;
	if (strchr(argument, '|') != NULL)
		return COMPLETES_CHOICES;
	if (strcmp(argument, "DIR") == 0)
		return COMPLETES_FOLDERS;
	return strcmp(argument, "FILE") == 0 || strcmp(argument, "PATH") == 0 ? COMPLETES_FILES
									      : COMPLETES_NOTHING;
}

enum completion completion_of_operand(const struct argp_option *action)
{
	static const struct {
		const char *word;
		enum completion kind;
	} words[] = {
		{ "NAME", COMPLETES_NAMES },
		{ "FILE", COMPLETES_FILES },
		{ "COMMAND", COMPLETES_COMMANDS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(action->name, words[i].word) != NULL)
			return words[i].kind;
	return COMPLETES_NOTHING;
}

enum completion completion_of_command(const struct command *command)
{
	if (command->arguments == NULL)
		return COMPLETES_NOTHING;
	if (strstr(command->arguments, "COMMAND") != NULL)
		return COMPLETES_PROGRAMS;
	return strstr(command->arguments, "DIR") != NULL    ? COMPLETES_FOLDERS
	       : strstr(command->arguments, "FILE") != NULL ? COMPLETES_FILES
							    : COMPLETES_NOTHING;
}

size_t completion_name_len(const struct argp_option *action)
{
	return strcspn(action->name, " ");
}

size_t completion_choice(const char *choices, size_t i, const char **text)
{
	for (; i > 0 && choices != NULL; i--) {
		choices = strchr(choices, '|');
		choices += choices != NULL;
	}
	*text = choices;
	return choices != NULL ? strcspn(choices, "|ABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0;
}

static void write_configuration(struct buf *out)
{
	config_write_reference(out, backend_types);
}

/* One row per kind of output. */
static const struct {
	const char *name;
	void (*write)(struct buf *out);
} outputs[] = {
	{ "bash", completion_write_bash },	  { "zsh", completion_write_zsh },
	{ "fish", completion_write_fish },	  { "man", completion_write_man },
	{ "configuration", write_configuration },
};

int completion_write(struct buf *out, const char *kind, const char *name)
{
	const struct command *command = name != NULL ? command_find(name) : NULL;

	if (name != NULL) {
		if (command == NULL || strcmp(kind, "man") != 0)
			return -1;
		completion_write_man_of(out, command);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(outputs); i++)
		if (strcmp(outputs[i].name, kind) == 0) {
			outputs[i].write(out);
			return 0;
		}
	return -1;
}

struct arguments {
	const char *kind;
	const char *name;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			return ARGP_ERR_UNKNOWN;
		if (state->arg_num == 0)
			arguments->kind = argument;
		else
			arguments->name = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "name a shell: bash, zsh or fish");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "bash", 0, NULL, OPTION_DOC, "completions for bash", 1 },
	{ "zsh", 0, NULL, OPTION_DOC, "for zsh", 2 },
	{ "fish", 0, NULL, OPTION_DOC, "for fish", 3 },
	{ "man [COMMAND]", 0, NULL, OPTION_DOC, "the manual page of the program or of a command",
	  4 },
	{ "configuration", 0, NULL, OPTION_DOC, "the reference of agent.yaml", 5 },
	{ 0 },
};

static int run(int argc, char **argv);

const struct command command_completion = {
	.name = "completion",
	.arguments = "bash|zsh|fish|man|configuration",
	.summary = "Print a shell's completions, or a manual page.",
	.details = "For bash: source <(agent completion bash).",
	.options = options,
	.run = run,
};

static int run(int argc, char **argv)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(OUTPUT_MAX);
	struct arguments arguments = { 0 };
	struct error err;
	int status = command_parse(&command_completion, parse, argc, argv, &arguments);

	if (status != 0)
		return status;
	if (completion_write(&out, arguments.kind, arguments.name) < 0) {
		(void)fprintf(stderr,
			      "agent completion: there is no '%s'%s%s: bash, zsh, fish, man, man "
			      "COMMAND or configuration\n",
			      arguments.kind, arguments.name != NULL ? " of " : "",
			      arguments.name != NULL ? arguments.name : "");
		return EX_USAGE;
	}
	if (buf_check(&out, "the output", &err) < 0)
		return command_fail(&err);
	return fputs(buf_string(&out), stdout) < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
}

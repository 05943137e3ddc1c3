/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `agent completion` writes what shells and man read, from the table of commands.
 */
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

static bool is_shown(const struct argp_option *option)
{
	return option->name != NULL && (option->flags & (OPTION_HIDDEN | OPTION_DOC)) == 0;
}

static bool has_letter(const struct argp_option *option)
{
	return option->key > 0 && option->key < 128 && isprint(option->key);
}

static void put_command_names(struct buf *out)
{
	for (size_t i = 0; commands[i] != NULL; i++)
		buf_printf(out, "%s%s", i > 0 ? " " : "", commands[i]->name);
}

static void put_option_names(struct buf *out, const struct command *command)
{
	const struct argp_option *row;

	for (size_t i = 0; (row = command_option(command, i)) != NULL; i++) {
		if (!is_shown(row))
			continue;
		buf_printf(out, "--%s ", row->name);
		if (has_letter(row))
			buf_printf(out, "-%c ", row->key);
	}
	buf_puts(out, "--help --usage --version");
}

static void write_bash(struct buf *out)
{
	buf_puts(out,
		 "# bash completion for agent; source it, or save it as\n"
		 "# /usr/share/bash-completion/completions/agent\n"
		 "_agent() {\n"
		 "\tlocal word=\"${COMP_WORDS[COMP_CWORD]}\" i\n"
		 "\tlocal -a words=()\n"
		 "\tCOMPREPLY=()\n"
		 "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
		 "\t\tif [[ ${COMP_WORDS[i]} == -- ]]; then\n"
		 "\t\t\tif declare -F _command_offset >/dev/null; then\n"
		 "\t\t\t\t_command_offset $((i + 1))\n"
		 "\t\t\tfi\n"
		 "\t\t\treturn\n"
		 "\t\tfi\n"
		 "\tdone\n"
		 "\tif ((COMP_CWORD == 1)); then\n"
		 "\t\tCOMPREPLY=($(compgen -W '");
	put_command_names(out);
	buf_puts(out,
		 " --help --version' -- \"$word\"))\n"
		 "\t\treturn\n"
		 "\tfi\n"
		 "\tcase \"${COMP_WORDS[1]}\" in\n");
	for (size_t i = 0; commands[i] != NULL; i++) {
		buf_printf(out, "\t%s) words=(", commands[i]->name);
		put_option_names(out, commands[i]);
		buf_puts(out, ") ;;\n");
	}
	buf_puts(out, "\thelp) words=(");
	put_command_names(out);
	buf_puts(out,
		 ") ;;\n"
		 "\tesac\n"
		 "\tif [[ $word == -* || ${COMP_WORDS[1]} == help ]]; then\n"
		 "\t\tCOMPREPLY=($(compgen -W \"${words[*]}\" -- \"$word\"))\n"
		 "\telse\n"
		 "\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n"
		 "\tfi\n"
		 "}\n"
		 "complete -o filenames -F _agent agent\n");
}

/* What zsh's _arguments and _describe take as their own stays plain text. */
static void put_zsh_text(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (strchr("[]:\\", *text) != NULL)
			buf_putc(out, '\\');
		if (*text == '\'')
			buf_puts(out, "'\\'");
		buf_putc(out, *text == '\n' ? ' ' : *text);
	}
}

static void put_zsh_option(struct buf *out, const struct argp_option *row)
{
	buf_puts(out, " \\\n\t\t\t");
	if (has_letter(row))
		buf_printf(out, "'(-%c --%s)'{-%c,--%s%s}'[", row->key, row->name, row->key,
			   row->name, row->arg != NULL ? "=" : "");
	else
		buf_printf(out, "'--%s%s[", row->name, row->arg != NULL ? "=" : "");
	put_zsh_text(out, row->doc != NULL ? row->doc : "");
	buf_puts(out, "]");
	if (row->arg != NULL) {
		buf_puts(out, ":");
		put_zsh_text(out, row->arg);
		buf_puts(out, ":_files");
	}
	buf_puts(out, "'");
}

static void write_zsh(struct buf *out)
{
	const struct argp_option *row;

	buf_puts(out,
		 "#compdef agent\n"
		 "# zsh completion for agent; save it as _agent in a folder of $fpath\n"
		 "_agent() {\n"
		 "\tlocal -a names=(\n");
	for (size_t i = 0; commands[i] != NULL; i++) {
		buf_printf(out, "\t\t'%s:", commands[i]->name);
		put_zsh_text(out, commands[i]->summary);
		buf_puts(out, "'\n");
	}
	buf_puts(out,
		 "\t)\n"
		 "\tif ((CURRENT == 2)); then\n"
		 "\t\t_describe command names\n"
		 "\t\treturn\n"
		 "\tfi\n"
		 "\tlocal name=${words[2]}\n"
		 "\tshift words\n"
		 "\t((CURRENT--))\n"
		 "\tcase $name in\n");
	for (size_t i = 0; commands[i] != NULL; i++) {
		buf_printf(out, "\t%s)\n\t\t_arguments -s", commands[i]->name);
		for (size_t j = 0; (row = command_option(commands[i], j)) != NULL; j++)
			if (is_shown(row))
				put_zsh_option(out, row);
		buf_puts(out,
			 " \\\n\t\t\t'--help[Give a help list]' \\\n\t\t\t'*::argument:_files'\n"
			 "\t\t;;\n");
	}
	buf_puts(out, "\tesac\n}\n_agent \"$@\"\n");
}

static void put_fish_text(struct buf *out, const char *text)
{
	buf_putc(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *text == '\n' ? ' ' : *text);
	}
	buf_putc(out, '\'');
}

static void write_fish(struct buf *out)
{
	const struct argp_option *row;

	buf_puts(out,
		 "# fish completion for agent; save it as ~/.config/fish/completions/agent.fish\n");
	for (size_t i = 0; commands[i] != NULL; i++) {
		buf_printf(out, "complete -c agent -n __fish_use_subcommand -f -a %s -d ",
			   commands[i]->name);
		put_fish_text(out, commands[i]->summary);
		buf_putc(out, '\n');
		for (size_t j = 0; (row = command_option(commands[i], j)) != NULL; j++) {
			if (!is_shown(row))
				continue;
			buf_printf(out,
				   "complete -c agent -n '__fish_seen_subcommand_from %s' -l %s",
				   commands[i]->name, row->name);
			if (has_letter(row))
				buf_printf(out, " -s %c", row->key);
			buf_printf(out, "%s -d ", row->arg != NULL ? " -r" : "");
			put_fish_text(out, row->doc != NULL ? row->doc : "");
			buf_putc(out, '\n');
		}
	}
}

/* Text in roff: a backslash, what would be a request at the start of a line, and a blank line,
 * which starts a paragraph. */
static void put_roff(struct buf *out, const char *text)
{
	for (bool first = true; *text != '\0'; first = *text++ == '\n') {
		if (first && (*text == '.' || *text == '\''))
			buf_puts(out, "\\&");
		if (*text == '\\')
			buf_puts(out, "\\e");
		else if (*text == '-')
			buf_puts(out, "\\-");
		else if (first && *text == '\n')
			buf_puts(out, ".PP\n");
		else
			buf_putc(out, *text);
	}
}

static void put_roff_option(struct buf *out, const struct argp_option *row)
{
	buf_puts(out, ".TP\n");
	if (has_letter(row))
		buf_printf(out, "\\fB\\-%c\\fR, ", row->key);
	buf_puts(out, "\\fB\\-\\-");
	put_roff(out, row->name);
	buf_puts(out, "\\fR");
	if (row->arg != NULL) {
		buf_puts(out, (row->flags & OPTION_ARG_OPTIONAL) != 0 ? "[=\\fI" : "=\\fI");
		put_roff(out, row->arg);
		buf_puts(out, (row->flags & OPTION_ARG_OPTIONAL) != 0 ? "\\fR]" : "\\fR");
	}
	buf_putc(out, '\n');
	put_roff(out, row->doc != NULL ? row->doc : "");
	buf_putc(out, '\n');
}

static void write_man_of_command(struct buf *out, const struct command *command)
{
	const struct argp_option *row;

	buf_printf(out, ".TH AGENT-%s 1 \"\" \"" COMMAND_VERSION "\"\n.SH NAME\nagent\\-%s \\- ",
		   command->name, command->name);
	put_roff(out, command->summary);
	buf_printf(out, "\n.SH SYNOPSIS\n\\fBagent %s\\fR [\\fIOPTION\\fR...] ", command->name);
	put_roff(out, command->arguments);
	buf_puts(out, "\n");
	if (command->details != NULL) {
		buf_puts(out, ".SH DESCRIPTION\n");
		put_roff(out, command->details);
		buf_putc(out, '\n');
	}
	buf_puts(out, ".SH OPTIONS\n");
	for (size_t i = 0; (row = command_option(command, i)) != NULL; i++)
		if (is_shown(row))
			put_roff_option(out, row);
	buf_puts(out,
		 ".TP\n\\fB\\-?\\fR, \\fB\\-\\-help\\fR\nGive a help list.\n"
		 ".SH EXIT STATUS\n0 success, 64 usage, 65 bad data, 69 unavailable, 77 denied, "
		 "78 configuration.\n.SH SEE ALSO\n.BR agent (1)\n");
}

static void write_man(struct buf *out)
{
	buf_puts(out,
		 ".TH AGENT 1 \"\" \"" COMMAND_VERSION
		 "\"\n.SH NAME\n"
		 "agent \\- secrets for one application\n.SH SYNOPSIS\n"
		 "\\fBagent\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
		 ".SH DESCRIPTION\nFetches the secrets of one application, keeps them fresh, and "
		 "hands them over in its environment, in files or over a unix socket.\n"
		 ".SH COMMANDS\n");
	for (size_t i = 0; commands[i] != NULL; i++) {
		buf_printf(out, ".TP\n\\fBagent %s\\fR ", commands[i]->name);
		put_roff(out, commands[i]->arguments);
		buf_putc(out, '\n');
		put_roff(out, commands[i]->summary);
		buf_putc(out, '\n');
	}
	buf_puts(out,
		 ".SH FILES\n.TP\n\\fI./agent.yaml\\fR, \\fI/etc/agent/agent.yaml\\fR\n"
		 "The configuration, unless \\fB\\-c\\fR or \\fBAGENT_CONFIG\\fR names one or "
		 "\\fBAGENT_CONFIG_YAML\\fR holds its text.\n");
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
	{ "bash", write_bash },
	{ "zsh", write_zsh },
	{ "fish", write_fish },
	{ "man", write_man },
	{ "configuration", write_configuration },
};

int completion_write(struct buf *out, const char *kind, const char *name)
{
	const struct command *command = name != NULL ? command_find(name) : NULL;

	if (name != NULL) {
		if (command == NULL || strcmp(kind, "man") != 0)
			return -1;
		write_man_of_command(out, command);
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

static int run(int argc, char **argv);

const struct command command_completion = {
	.name = "completion",
	.arguments = "bash|zsh|fish|man [COMMAND]|configuration",
	.summary = "Print a shell's completions, or a manual page.",
	.details =
		"For bash: source <(agent completion bash). `man` prints the page of the program, "
		"`man "
		"COMMAND` that of a command, `configuration` the reference of agent.yaml.",
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

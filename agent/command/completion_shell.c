/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/command/common.h"
#include "agent/command/completion.h"
#include "agent/command/usage.h"

#define EACH_ROW(row, command)                                                                     \
	size_t row##_i = 0;                                                                        \
	((row) = command_option((command), row##_i)) != NULL;                                      \
	row##_i++

static void put_names(struct buf *out, const struct argp_option *row, const char *separator)
{
	buf_printf(out, "--%s", row->name);
	if (completion_has_letter(row))
		buf_printf(out, "%s-%c", separator, row->key);
}

static void put_commands(struct buf *out, const char *separator)
{
	for (size_t i = 0; commands[i] != NULL; i++)
		buf_printf(out, "%s%s", i > 0 ? separator : "", commands[i]->name);
}

static void put_choices(struct buf *out, const char *choices, const char *separator)
{
	const char *text;
	size_t len;

	for (size_t i = 0; (len = completion_choice(choices, i, &text)) > 0; i++) {
		buf_puts(out, i > 0 ? separator : "");
		buf_put(out, text, len);
	}
}

/* --- bash --- */

/* One line of a case: the option's names behind the command's. */
static void put_bash_argument(struct buf *out, const struct command *command,
			      const struct argp_option *row)
{
	enum completion kind = completion_of_argument(row->arg);

	buf_printf(out, "\t%s,--%s", command->name, row->name);
	if (completion_has_letter(row))
		buf_printf(out, " | %s,-%c", command->name, row->key);
	buf_puts(out, ") ");
	if (kind == COMPLETES_CHOICES) {
		buf_puts(out, "_agent_words '");
		put_choices(out, row->arg, " ");
		buf_puts(out, "' ");
	} else if (kind == COMPLETES_FILES || kind == COMPLETES_FOLDERS) {
		buf_printf(out, "_agent_files %s ", kind == COMPLETES_FILES ? "-f" : "-d");
	}
	buf_puts(out, ";;\n");
}

static const char *bash_call(enum completion kind)
{
	static const char *const calls[] = {
		[COMPLETES_NOTHING] = ":",
		[COMPLETES_CHOICES] = ":",
		[COMPLETES_FILES] = "_agent_files -f",
		[COMPLETES_FOLDERS] = "_agent_files -d",
		[COMPLETES_PROGRAMS] = "_agent_program $at",
		[COMPLETES_COMMANDS] = "_agent_words \"$commands\"",
		[COMPLETES_NAMES] = "_agent_names",
	};

	return calls[kind];
}

static void put_bash_command(struct buf *out, const struct command *command)
{
	const struct argp_option *row;

	buf_printf(out, "\t%s)\n\t\toptions='", command->name);
	for (EACH_ROW(row, command))
		if (completion_is_option(row)) {
			put_names(out, row, " ");
			buf_putc(out, ' ');
		}
	buf_puts(out, "--help --usage --version'\n");
	if (!completion_has_actions(command)) {
		buf_printf(out, "\t\toperand=(%s)\n\t\t;;\n",
			   bash_call(completion_of_command(command)));
		return;
	}
	buf_puts(out, "\t\tcase $first in\n\t\t'') operand=(_agent_words '");
	for (EACH_ROW(row, command))
		if (completion_is_action(row))
			buf_printf(out, "%.*s ", (int)completion_name_len(row), row->name);
	buf_puts(out, "') ;;\n");
	for (EACH_ROW(row, command))
		if (completion_is_action(row))
			buf_printf(out, "\t\t%.*s) operand=(%s) ;;\n",
				   (int)completion_name_len(row), row->name,
				   bash_call(completion_of_operand(row)));
	buf_puts(out, "\t\tesac\n\t\t;;\n");
}

static const char bash_head[] =
	"# bash completion for agent; source it, or save it as\n"
	"# /usr/share/bash-completion/completions/agent\n"
	"_agent_words() {\n"
	"\tCOMPREPLY=($(compgen -W \"$1\" -- \"$word\"))\n"
	"}\n"
	"_agent_files() {\n"
	"\tlocal IFS=$'\\n'\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"\tCOMPREPLY=($(compgen \"$1\" -- \"$word\"))\n"
	"}\n"
	/* Not by -W, which expands what it is given: a name may be $(anything). */
	"_agent_names() {\n"
	"\tlocal name quoted\n"
	"\twhile read -r name; do\n"
	"\t\tprintf -v quoted %q \"$name\"\n"
	"\t\t[[ $name == \"$word\"* || $quoted == \"$word\"* ]] && COMPREPLY+=(\"$quoted\")\n"
	"\tdone < <(\"${COMP_WORDS[0]/#~/$HOME}\" secrets list \"${file[@]}\" 2>/dev/null)\n"
	"}\n"
	"_agent_program() {\n"
	"\tif declare -F _command_offset >/dev/null; then\n"
	"\t\t_command_offset \"$1\"\n"
	"\telif (($1 == COMP_CWORD)); then\n"
	"\t\tCOMPREPLY=($(compgen -c -- \"$word\"))\n"
	"\telse\n"
	"\t\t_agent_files -f\n"
	"\tfi\n"
	"}\n"
	"_agent() {\n"
	"\tlocal command=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]} "
	"previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\tlocal first='' options='' i at=$COMP_CWORD\n"
	"\tlocal -a file=() operand=(:)\n"
	"\tCOMPREPLY=()\n";

/* Finds the first operand; an option that takes an argument takes a word with it. Past the last
 * word such an argument is being written. */
static const char bash_walk[] =
	"\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
	"\t\tif [[ \" $takes \" == *\" $command,${COMP_WORDS[i]} \"* ]]; then\n"
	"\t\t\tlocal option=${COMP_WORDS[i]}\n"
	"\t\t\t[[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))\n"
	"\t\t\t((i++))\n"
	"\t\t\t[[ $option == -f || $option == --file ]] && file=(-f \"${COMP_WORDS[i]}\")\n"
	"\t\telif [[ ${COMP_WORDS[i]} == -- ]]; then\n"
	"\t\t\tat=$((i + 1))\n"
	"\t\t\tbreak\n"
	"\t\telif [[ ${COMP_WORDS[i]} != -* && -z $first ]]; then\n"
	"\t\t\tfirst=${COMP_WORDS[i]} at=$i\n"
	"\t\t\t[[ $command == run ]] && break\n"
	"\t\tfi\n"
	"\tdone\n";

void completion_write_bash(struct buf *out)
{
	const struct argp_option *row;

	buf_puts(out, bash_head);
	buf_puts(out, "\tlocal commands='");
	put_commands(out, " ");
	buf_puts(out, "' takes='");
	for (size_t i = 0; commands[i] != NULL; i++)
		for (EACH_ROW(row, commands[i]))
			if (completion_is_option(row) && row->arg != NULL) {
				buf_printf(out, "%s,--%s ", commands[i]->name, row->name);
				if (completion_has_letter(row))
					buf_printf(out, "%s,-%c ", commands[i]->name, row->key);
			}
	buf_puts(out,
		 "'\n"
		 "\tif ((COMP_CWORD == 1)); then\n"
		 "\t\t_agent_words \"$commands help --help --version\"\n"
		 "\t\treturn\n"
		 "\tfi\n"
		 "\t# --option=argument comes in three words.\n"
		 "\tif [[ $word == = ]]; then\n"
		 "\t\tword=''\n"
		 "\telif [[ $previous == = ]]; then\n"
		 "\t\tprevious=${COMP_WORDS[COMP_CWORD - 2]}\n"
		 "\tfi\n");
	buf_puts(out, bash_walk);
	buf_puts(out, "\t((i <= COMP_CWORD)) || case $command,$previous in\n");
	for (size_t i = 0; commands[i] != NULL; i++)
		for (EACH_ROW(row, commands[i]))
			if (completion_is_option(row) && row->arg != NULL)
				put_bash_argument(out, commands[i], row);
	buf_puts(out,
		 "\tesac\n\t((i <= COMP_CWORD)) || return\n\tcase $command in\n\thelp) "
		 "operand='_agent_words "
		 "\"$commands\"' ;;\n");
	for (size_t i = 0; commands[i] != NULL; i++)
		put_bash_command(out, commands[i]);
	buf_puts(out,
		 "\tesac\n"
		 "\tif [[ $word == -* && (-z $first || $command != run) ]]; then\n"
		 "\t\t_agent_words \"$options\"\n"
		 "\telse\n"
		 "\t\t\"${operand[@]}\"\n"
		 "\tfi\n"
		 "}\n"
		 "complete -F _agent agent\n");
}

/* --- zsh --- */

/* What zsh's _arguments and _describe take as their own stays plain text. */
static void put_zsh_text(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (strchr("[]:\\", text[i]) != NULL)
			buf_putc(out, '\\');
		if (text[i] == '\'')
			buf_puts(out, "'\\'");
		buf_putc(out, text[i] == '\n' ? ' ' : text[i]);
	}
}

static const char *zsh_call(enum completion kind)
{
	static const char *const calls[] = {
		[COMPLETES_NOTHING] = " ",
		[COMPLETES_CHOICES] = " ",
		[COMPLETES_FILES] = "_files",
		[COMPLETES_FOLDERS] = "_files -/",
		[COMPLETES_PROGRAMS] = "_normal",
		[COMPLETES_COMMANDS] = "_describe command commands",
		[COMPLETES_NAMES] = "_agent_names",
	};

	return calls[kind];
}

static void put_zsh_option(struct buf *out, const struct argp_option *row)
{
	const char *doc = row->doc != NULL ? row->doc : "";

	buf_puts(out, " \\\n\t\t\t");
	if (completion_has_letter(row))
		buf_printf(out, "'(-%c --%s)'{-%c,--%s%s}'[", row->key, row->name, row->key,
			   row->name, row->arg != NULL ? "=" : "");
	else
		buf_printf(out, "'%s--%s%s[", row->arg != NULL ? "*" : "", row->name,
			   row->arg != NULL ? "=" : "");
	put_zsh_text(out, doc, strlen(doc));
	buf_puts(out, "]");
	if (row->arg != NULL) {
		enum completion kind = completion_of_argument(row->arg);

		buf_printf(out, ":%s:", row->name);
		if (kind == COMPLETES_CHOICES) {
			buf_putc(out, '(');
			put_choices(out, row->arg, " ");
			buf_putc(out, ')');
		} else {
			buf_puts(out, zsh_call(kind));
		}
	}
	buf_putc(out, '\'');
}

static void put_zsh_actions(struct buf *out, const struct command *command)
{
	const struct argp_option *row;

	buf_puts(out,
		 " \\\n\t\t\t'1:action:->action' '*:operand:->operand' && return\n"
		 "\t\tcase $state in\n\t\taction)\n\t\t\tactions=(\n");
	for (EACH_ROW(row, command))
		if (completion_is_action(row)) {
			buf_puts(out, "\t\t\t\t'");
			put_zsh_text(out, row->name, completion_name_len(row));
			buf_putc(out, ':');
			put_zsh_text(out, row->doc, strlen(row->doc));
			buf_puts(out, "'\n");
		}
	buf_puts(out,
		 "\t\t\t)\n\t\t\t_describe action actions\n\t\t\t;;\n\t\toperand)\n\t\t\tcase "
		 "$line[1] in\n");
	for (EACH_ROW(row, command))
		if (completion_is_action(row) && completion_of_operand(row) != COMPLETES_NOTHING)
			buf_printf(out, "\t\t\t%.*s) %s ;;\n", (int)completion_name_len(row),
				   row->name, zsh_call(completion_of_operand(row)));
	buf_puts(out, "\t\t\tesac\n\t\t\t;;\n\t\tesac\n\t\t;;\n");
}

static void put_zsh_command(struct buf *out, const struct command *command)
{
	enum completion kind = completion_of_command(command);
	const struct argp_option *row;

	buf_printf(out, "\t%s)\n\t\t_arguments -s -S", command->name);
	for (EACH_ROW(row, command))
		if (completion_is_option(row))
			put_zsh_option(out, row);
	buf_puts(out, " \\\n\t\t\t'(- *)'{-\\?,--help}'[Give a help list]'");
	if (completion_has_actions(command)) {
		put_zsh_actions(out, command);
		return;
	}
	if (kind == COMPLETES_PROGRAMS)
		buf_puts(out,
			 " \\\n\t\t\t'(-)1:command: _command_names -e' "
			 "'*::argument:_normal'\n\t\t;;\n");
	else
		buf_printf(out, " \\\n\t\t\t'*:argument:%s'\n\t\t;;\n", zsh_call(kind));
}

void completion_write_zsh(struct buf *out)
{
	buf_puts(out,
		 "#compdef agent\n"
		 "# zsh completion for agent; save it as _agent in a folder of $fpath\n"
		 "_agent_names() {\n"
		 "\tlocal -a names file\n"
		 "\tfile=(${opt_args[-f]:+-f} ${(Q)opt_args[-f]} ${opt_args[--file]:+-f} "
		 "${(Q)opt_args[--file]})\n"
		 "\tnames=(${(f)\"$(agent secrets list $file 2>/dev/null)\"})\n"
		 "\tcompadd -a names\n"
		 "}\n"
		 "_agent() {\n"
		 "\tlocal context state state_descr line name\n"
		 "\tlocal -a actions commands\n"
		 "\ttypeset -A opt_args\n"
		 "\tcommands=(\n");
	for (size_t i = 0; commands[i] != NULL; i++) {
		buf_printf(out, "\t\t'%s:", commands[i]->name);
		put_zsh_text(out, commands[i]->summary, strlen(commands[i]->summary));
		buf_puts(out, "'\n");
	}
	buf_puts(out,
		 "\t)\n"
		 "\tif ((CURRENT == 2)); then\n"
		 "\t\t_describe command commands\n"
		 "\t\treturn\n"
		 "\tfi\n"
		 "\tname=${words[2]}\n"
		 "\tshift words\n"
		 "\t((CURRENT--))\n"
		 "\tcase $name in\n"
		 "\thelp) _describe command commands ;;\n");
	for (size_t i = 0; commands[i] != NULL; i++)
		put_zsh_command(out, commands[i]);
	buf_puts(out,
		 "\tesac\n}\n"
		 "if [[ $funcstack[1] == _agent ]]; then\n\t_agent \"$@\"\nelse\n\tcompdef _agent "
		 "agent\nfi\n");
}

/* --- fish --- */

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

static void put_fish_option(struct buf *out, const struct command *command,
			    const struct argp_option *row)
{
	enum completion kind = completion_of_argument(row->arg);

	buf_printf(out, "complete -c agent -n '__agent_command %s' -l %s", command->name,
		   row->name);
	if (completion_has_letter(row))
		buf_printf(out, " -s %c", row->key);
	if (kind == COMPLETES_CHOICES) {
		buf_puts(out, " -x -a '");
		put_choices(out, row->arg, " ");
		buf_putc(out, '\'');
	} else if (kind == COMPLETES_FILES) {
		buf_puts(out, " -r -F");
	} else if (kind == COMPLETES_FOLDERS) {
		buf_puts(out, " -x -a '(__fish_complete_directories)'");
	} else if (row->arg != NULL) {
		buf_puts(out, " -x");
	}
	buf_puts(out, " -d ");
	put_fish_text(out, row->doc != NULL ? row->doc : "");
	buf_putc(out, '\n');
}

static const char *fish_call(enum completion kind)
{
	static const char *const calls[] = {
		[COMPLETES_NOTHING] = NULL,
		[COMPLETES_CHOICES] = NULL,
		[COMPLETES_FILES] = "-F",
		[COMPLETES_FOLDERS] = "-a '(__fish_complete_directories)'",
		[COMPLETES_PROGRAMS] = "-a '(__agent_program)'",
		[COMPLETES_COMMANDS] = "-a '(__agent_commands)'",
		[COMPLETES_NAMES] = "-a '(__agent_names)'",
	};

	return calls[kind];
}

static void put_fish_command(struct buf *out, const struct command *command)
{
	const char *call = fish_call(completion_of_command(command));
	const struct argp_option *row;

	buf_printf(out, "complete -c agent -n '__agent_command' -a %s -d ", command->name);
	put_fish_text(out, command->summary);
	buf_putc(out, '\n');
	for (EACH_ROW(row, command)) {
		if (completion_is_option(row))
			put_fish_option(out, command, row);
		if (!completion_is_action(row))
			continue;
		buf_printf(
			out,
			"complete -c agent -n '__agent_command %s; and __agent_action' -a %.*s -d ",
			command->name, (int)completion_name_len(row), row->name);
		put_fish_text(out, row->doc);
		buf_putc(out, '\n');
		if (fish_call(completion_of_operand(row)) != NULL)
			buf_printf(out,
				   "complete -c agent -n '__agent_command %s; and __agent_action "
				   "%.*s' %s\n",
				   command->name, (int)completion_name_len(row), row->name,
				   fish_call(completion_of_operand(row)));
	}
	if (call != NULL && !completion_has_actions(command))
		buf_printf(out, "complete -c agent -n '__agent_command %s' %s\n", command->name,
			   call);
}

void completion_write_fish(struct buf *out)
{
	const struct argp_option *row;

	buf_puts(out,
		 "# fish completion for agent; save it as ~/.config/fish/completions/agent.fish\n"
		 "function __agent_command # NAME: it is the command; without: there is none yet\n"
		 "\tset -l words (commandline -opc)\n"
		 "\ttest \"$words[2]\" = \"$argv[1]\"\n"
		 "end\n"
		 "function __agent_action # the same for the first operand\n"
		 "\tset -l words (commandline -opc)\n"
		 "\tset -l skip 0\n"
		 "\tfor word in $words[3..]\n"
		 "\t\tif test $skip = 1\n"
		 "\t\t\tset skip 0\n"
		 "\t\telse if contains -- $word -f --file --age --format\n"
		 "\t\t\tset skip 1\n"
		 "\t\telse if not string match -q -- '-*' $word\n"
		 "\t\t\ttest \"$word\" = \"$argv[1]\"\n"
		 "\t\t\treturn\n"
		 "\t\tend\n"
		 "\tend\n"
		 "\ttest -z \"$argv[1]\"\n"
		 "end\n"
		 "function __agent_names\n"
		 "\tset -l words (commandline -opc)\n"
		 "\tset -l file\n"
		 "\tif set -l at (contains -i -- -f $words; or contains -i -- --file $words)\n"
		 "\t\tset file -f $words[(math $at[1] + 1)]\n"
		 "\tend\n"
		 "\t$words[1] secrets list $file 2>/dev/null\n"
		 "end\n"
		 "function __agent_commands\n\tprintf '%s\\n' ");
	put_commands(out, " ");
	buf_puts(out,
		 "\nend\nfunction __agent_program\n"
		 "\t__fish_complete_subcommand --fcs-skip=2 --");
	for (EACH_ROW(row, command_find("run")))
		if (completion_is_option(row) && row->arg != NULL) {
			buf_putc(out, ' ');
			put_names(out, row, " ");
		}
	buf_puts(out,
		 "\nend\ncomplete -c agent -f\n"
		 "complete -c agent -n '__agent_command help' -a '(__agent_commands)'\n");
	for (size_t i = 0; commands[i] != NULL; i++)
		put_fish_command(out, commands[i]);
}

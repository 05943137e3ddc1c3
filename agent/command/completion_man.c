/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/command/common.h"
#include "agent/command/completion.h"
#include "agent/command/usage.h"

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
	if (completion_has_letter(row))
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

void completion_write_man_of(struct buf *out, const struct command *command)
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
	if (completion_has_actions(command))
		buf_puts(out, ".SH ACTIONS\n");
	for (size_t i = 0; (row = command_option(command, i)) != NULL; i++)
		if (completion_is_action(row)) {
			buf_puts(out, ".TP\n.B ");
			put_roff(out, row->name);
			buf_putc(out, '\n');
			put_roff(out, row->doc);
			buf_putc(out, '\n');
		}
	buf_puts(out, ".SH OPTIONS\n");
	for (size_t i = 0; (row = command_option(command, i)) != NULL; i++)
		if (completion_is_option(row))
			put_roff_option(out, row);
	buf_puts(out,
		 ".TP\n\\fB\\-?\\fR, \\fB\\-\\-help\\fR\nGive a help list.\n"
		 ".SH EXIT STATUS\n0 success, 64 usage, 65 bad data, 69 unavailable, 77 denied, "
		 "78 configuration.\n.SH SEE ALSO\n.BR agent (1)\n");
}

void completion_write_man(struct buf *out)
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
	buf_puts(out, ".SH SEE ALSO\n");
	for (size_t i = 0; commands[i] != NULL; i++)
		buf_printf(out, ".BR agent\\-%s (1)%s\n", commands[i]->name,
			   commands[i + 1] != NULL ? "," : "");
}

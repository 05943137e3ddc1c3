#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What shells and man read, written from the table of commands.
 *
 * A command's options tell by their argument what can be completed: choices are divided by |
 * ("raw|json", where upper case stands for the user's own words), FILE, PATH and DIR are on the
 * disk. A row with OPTION_DOC is a first operand of the command, with what follows it:
 * "set NAME".
 */
#include "agent/base/buf.h"
#include "agent/command/command.h"

void completion_write_bash(struct buf *out);
void completion_write_zsh(struct buf *out);
void completion_write_fish(struct buf *out);
void completion_write_man(struct buf *out);
void completion_write_man_of(struct buf *out, const struct command *command);

/* What stands for an argument or an operand. */
enum completion {
	COMPLETES_NOTHING,
	COMPLETES_CHOICES,
	COMPLETES_FILES,
	COMPLETES_FOLDERS,
	COMPLETES_PROGRAMS, /* with their arguments */
	COMPLETES_COMMANDS, /* of ours */
	COMPLETES_NAMES,    /* of the encrypted file */
};
enum completion completion_of_argument(const char *argument);
enum completion completion_of_operand(const struct argp_option *action);
enum completion completion_of_command(const struct command *command);

/* The i-th of "raw|json"; 0 when there is none. */
size_t completion_choice(const char *choices, size_t i, const char **text);

/* How long the name of an operand's row is: "set" of "set NAME". */
size_t completion_name_len(const struct argp_option *action);

bool completion_is_option(const struct argp_option *row);
bool completion_is_action(const struct argp_option *row);
bool completion_has_letter(const struct argp_option *row);
bool completion_has_actions(const struct command *command);

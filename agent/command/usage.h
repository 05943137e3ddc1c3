#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the table of commands to what users read: help, and the way from argv to a command.
 */
#include "agent/base/buf.h"
#include "agent/command/command.h"

#define COMMAND_HELP_MAX PROGRAM_HELP_MAX
#define COMMAND_VERSION	 "agent " AGENT_VERSION

/* NULL when there is none of that name. */
const struct command *command_find(const char *name);

/* What `agent --help` prints. */
void command_write_help(struct buf *out);

/* Finds the command that argv[1] names and runs it; --help, --version and unknown names are
 * answered here. Returns the exit status. */
int command_main(int argc, char **argv);

/* Writes the completions of a shell, or (`kind` "man") a manual page; -1 when there is no such kind
 * or command. */
int completion_write(struct buf *out, const char *kind, const char *name);

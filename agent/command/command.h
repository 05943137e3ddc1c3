#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of commands, one thin file each; `--help`, completions and man pages are made from it.
 */
#include <stdint.h>

#include "agent/base/program.h"

/* NULL-terminated, in the order of --help. */
extern const struct command *const commands[];

/* Parses with the command's options; argp prints --help and usage errors (exit 64). Where the
 * command takes common options, `input` begins with a struct common. */
int command_parse(const struct command *command, argp_parser_t parser, int argc, char **argv,
		  void *input);

/* The milliseconds that an option's text says; argp prints what is wrong with it (exit 64). */
int64_t command_duration(struct argp_state *state, const char *option, const char *text);

/* Prints "agent: text" (or "agent NAME: text") on standard error and returns the code's exit
 * status. */
int command_fail(const struct error *err);

/* The backends that this program has; NULL-terminated. */
extern const struct backend_ops *const backend_types[];

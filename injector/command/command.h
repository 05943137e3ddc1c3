#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table of commands, one thin file each; `injector --help` is made from it.
 */
#include "agent/base/program.h"
#include "injector/config.h"

/* NULL-terminated, in the order of --help. */
extern const struct command *const injector_commands[];

/* Where the operator's file is when -c does not say. */
#define INJECTOR_CONFIG_DEFAULT "/etc/injector/injector.yaml"

/* Parses with the command's own options; argp prints --help and usage errors (exit 64). */
int injector_parse(const struct command *command, argp_parser_t parser, int argc, char **argv,
		   void *input);

/* Prints "injector: text" on standard error and returns the code's exit status. */
int injector_fail(const struct error *err);

/* The operator's file, or NULL after printing every problem of it and setting *status. */
struct injector_config *injector_load(const char *file, int *status);

/* Finds the command that argv[1] names and runs it; --help, --version and unknown names are
 * answered here. Returns the exit status. */
int injector_main(int argc, char **argv);

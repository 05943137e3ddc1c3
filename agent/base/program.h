#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that is a table of commands: from its words to the command, its help and its version.
 */
/* <argp.h> brings getopt's `struct option`, which nobody here uses; the name is our own tables'. */
#define option getopt_option
#include <argp.h>
#undef option

#include "agent/base/buf.h"
#include "agent/base/error.h"

#define PROGRAM_HELP_MAX     ((size_t)64 << 10)
#define PROGRAM_COMMANDS_MAX 32

struct command {
	const char *name;
	const char *arguments; /* as in a usage line: "NAME[.FIELD]" */
	const char *summary;   /* one line */
	const char *details;   /* paragraphs; NULL: none */
	unsigned common;       /* options that commands share, as bits of the program's own */
	const struct argp_option *options; /* its own; NULL: none */
	/* argv[0] is "PROGRAM NAME". Returns the exit status. */
	int (*run)(int argc, char **argv);
};

struct program {
	const char *name;
	const char *version;		       /* the line that --version prints */
	const char *about;		       /* lines of --help */
	const struct command *const *commands; /* NULL-terminated, in the order of --help */
};

/* NULL when there is none of that name. */
const struct command *program_find(const struct program *program, const char *name);

/* What `PROGRAM --help` prints. */
void program_write_help(const struct program *program, struct buf *out);

/* Finds the command that argv[1] names and runs it; --help, --version and unknown names are
 * answered here. Returns the exit status. */
int program_main(const struct program *program, int argc, char **argv);

/* Prepares argp for a command, whose help `doc` gets and must outlive; 64 is the status of what
 * argp refuses. */
void program_describe(const struct program *program, const struct command *command, struct buf *doc,
		      struct argp *argp);

/* Prints "PROGRAM: text" on standard error, and where help is after a mistake in usage; returns the
 * code's exit status. */
int program_fail(const struct program *program, const struct error *err);

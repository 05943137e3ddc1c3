#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `agent run` was asked to deliver besides the configuration.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/option.h"

/* NAME=value of an env file: not a reference, so given as it is. */
struct run_literal {
	char *name;
	char *value;
};

/* PATH=REF of --file: a file that stands at `path` while the child runs. */
struct run_file {
	char *path;
	char *secret;
	char *field; /* NULL: the only field */
};

struct run_request {
	bool all;	     /* every field of every secret; else config->variables */
	bool none;	     /* no variable: the command is told of changes alone */
	struct strings only; /* names of variables or of secrets; count 0: no restriction */
	struct run_literal *literals;
	size_t literal_count;
	struct run_file *files;
	size_t file_count;
	bool watch;	      /* stay, and hand over new versions */
	int64_t max_stale_ms; /* -1: the configuration's */
	int64_t timeout_ms;   /* 0: none */
	char *socket; /* --socket: take the values from a running agent; NULL: from the backends */
};

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options that several commands have: spelled, explained and read in one place.
 */
#include "agent/command/command.h"

/* What `command->common` may hold. */
enum { COMMON_CONFIG = 1, COMMON_SOCKET = 2, COMMON_TIMEOUT = 4 };

/* How long `run` and `get` wait for secrets unless --timeout says it. */
enum { COMMON_TIMEOUT_MS = 30000 };

/* The first member of what such a command gives to command_parse as `input`. */
struct common {
	const char *config;
	const char *socket;
	int64_t timeout_ms;
};

enum { COMMON_CHILDREN = 4 };

/* The parts of the command's argp that these options are, an empty one last. Returns how many. */
size_t common_children(const struct command *command, struct argp_child children[COMMON_CHILDREN]);

/* The command's options, its own and these, one after the other from 0; NULL past the last. */
const struct argp_option *command_option(const struct command *command, size_t i);

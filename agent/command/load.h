#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several commands begin with: the configuration, or the socket of a running agent.
 */
#include "agent/config/config.h"

/* Finds and reads the configuration; prints every problem. NULL: *status is the exit status. */
struct config *command_load(const char *explicit_path, int *status);

/* As command_load, but NULL with *status 0 when there is none and none was named. */
struct config *command_load_optional(const char *explicit_path, int *status);

/* The running agent's socket: the explicit one, $AGENT_SOCKET, the configuration's first. NULL:
 * none is known. */
const char *command_socket(const char *explicit_path, const struct config *config);

static inline void config_freep(struct config **config)
{
	*config = config_free(*config);
}

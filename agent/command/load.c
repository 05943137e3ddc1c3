/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/load.h"

#include <stdio.h>
#include <sysexits.h>

#include "agent/command/command.h"

enum { PROBLEMS_MAX = 1 << 20 };

static struct config *read_or_print(const char *file, int *status)
{
	struct config_problems problems = { 0 };
	AUTO(buf_deinit) struct buf text = BUF_INIT(PROBLEMS_MAX);
	struct config *config = config_read(file, backend_types, &problems);

	if (config == NULL) {
		config_problems_print(&problems, &text);
		(void)fputs(buf_string(&text), stderr);
		*status = EX_CONFIG;
	}
	config_problems_free(&problems);
	return config;
}

struct config *command_load(const char *explicit_path, char **file, int *status)
{
	struct error err = ERROR_INIT;

	*file = config_find(explicit_path, &err);
	if (*file == NULL) {
		(void)command_fail(&err);
		*status = EX_CONFIG;
		return NULL;
	}
	return read_or_print(*file, status);
}

struct config *command_load_optional(const char *explicit_path, int *status)
{
	struct error err = ERROR_INIT;
	AUTO(freep) char *file = config_find(explicit_path, &err);

	*status = 0;
	if (file != NULL)
		return read_or_print(file, status);
	if (err.code != ERROR_NOT_FOUND) {
		(void)command_fail(&err);
		*status = EX_CONFIG;
	}
	return NULL;
}

const char *command_socket(const char *explicit_path, const struct config *config)
{
	const char *named = getenv("AGENT_SOCKET");

	if (explicit_path != NULL)
		return explicit_path;
	if (named != NULL && named[0] != '\0')
		return named;
	return config != NULL && config->socket_count > 0 ? config->sockets[0].path : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/load.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "agent/command/command.h"

enum { PROBLEMS_MAX = 1 << 20 };

/* `text` NULL: it is in the file. */
static struct config *read_or_print(const char *file, const char *text, int *status)
{
	struct config_problems problems = { 0 };
	AUTO(buf_deinit) struct buf lines = BUF_INIT(PROBLEMS_MAX);
	struct config *config =
		text != NULL ? config_parse(text, strlen(text), file, backend_types, &problems)
			     : config_read(file, backend_types, &problems);

	if (config == NULL) {
		config_problems_print(&problems, &lines);
		(void)fputs(buf_string(&lines), stderr);
		*status = EX_CONFIG;
	} else {
		config->in_environment = text != NULL;
	}
	config_problems_free(&problems);
	return config;
}

struct config *command_load(const char *explicit_path, int *status)
{
	struct error err = ERROR_INIT;
	const char *text = NULL;
	AUTO(freep) char *file = config_find(explicit_path, &text, &err);

	if (file == NULL) {
		(void)command_fail(&err);
		*status = EX_CONFIG;
		return NULL;
	}
	return read_or_print(file, text, status);
}

struct config *command_load_optional(const char *explicit_path, int *status)
{
	struct error err = ERROR_INIT;
	const char *text = NULL;
	AUTO(freep) char *file = config_find(explicit_path, &text, &err);

	*status = 0;
	if (file != NULL)
		return read_or_print(file, text, status);
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

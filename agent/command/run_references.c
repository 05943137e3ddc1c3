/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/run_references.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/dotenv.h"
#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "agent/command/command.h"
#include "agent/io/file.h"
#include "agent/variables.h"

enum { ENV_FILE_MAX = 1 << 20 };

static void variable_free(struct config_variable *variable)
{
	free(variable->variable);
	free(variable->secret);
	free(variable->field);
}

void run_forget_variables(struct config *config)
{
	for (size_t i = 0; i < config->variable_count; i++)
		variable_free(&config->variables[i]);
	config->variable_count = 0;
}

int run_add_env(struct config *config, const struct strings *list, struct error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *equals = strchr(list->items[i], '=');
		AUTO(freep) char *name = NULL;

		if (equals == NULL)
			return error_set(err, ERROR_USAGE, "--env %s: NAME=REF is meant",
					 list->items[i]);
		name = strndup(list->items[i], (size_t)(equals - list->items[i]));
		if (name == NULL)
			return error_no_memory(err);
		if (!config_variable_is_valid(name))
			return error_set(err, ERROR_USAGE,
					 "--env: '%s' cannot be the name of a variable", name);
		if (config_add_reference(config, backend_types, name, equals + 1, err) < 0)
			return error_wrap(err, "--env %s", name);
	}
	return 0;
}

int run_add_files(struct config *config, struct run_request *request, const struct strings *list,
		  struct error *err)
{
	request->files = calloc(list->count + 1, sizeof(*request->files));
	if (request->files == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < list->count; i++) {
		struct run_file *file = &request->files[request->file_count];
		const char *equals = strchr(list->items[i], '=');

		if (equals == NULL || equals == list->items[i])
			return error_set(err, ERROR_USAGE, "--file %s: PATH=REF is meant",
					 list->items[i]);
		file->path = strndup(list->items[i], (size_t)(equals - list->items[i]));
		if (file->path == NULL)
			return error_no_memory(err);
		request->file_count++;
		if (config_resolve_reference(config, backend_types, equals + 1, &file->secret,
					     &file->field, err) < 0)
			return error_wrap(err, "--file %s", file->path);
	}
	return 0;
}

/* ---- env files ---- */

static bool is_reference(const char *value)
{
	for (size_t i = 0; backend_types[i] != NULL; i++) {
		size_t len = strlen(backend_types[i]->type);

		if (strncmp(value, backend_types[i]->type, len) == 0 &&
		    strncmp(value + len, "://", strlen("://")) == 0)
			return true;
	}
	return false;
}

static bool is_named(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->variable_count; i++)
		if (strcmp(config->variables[i].variable, name) == 0)
			return true;
	return false;
}

static int add_literal(struct run_request *request, const char *name, const char *value,
		       struct error *err)
{
	struct run_literal *grown =
		reallocarray(request->literals, request->literal_count + 1, sizeof(*grown));

	if (grown == NULL)
		return error_no_memory(err);
	request->literals = grown;
	grown[request->literal_count] =
		(struct run_literal){ .name = strdup(name), .value = wipe_strdup(value) };
	request->literal_count++;
	if (grown[request->literal_count - 1].name == NULL ||
	    grown[request->literal_count - 1].value == NULL)
		return error_no_memory(err);
	return 0;
}

static int take_entry(struct config *config, struct run_request *request, const char *name,
		      const char *value, struct error *err)
{
	if (!config_variable_is_valid(name))
		return error_set(err, ERROR_INVALID,
				 "what stands before = cannot be the name of a variable");
	if (is_named(config, name))
		return 0;
	if (is_reference(value) && request->socket != NULL)
		return error_set(err, ERROR_USAGE, "with --socket nothing is fetched from %.*s://",
				 (int)strcspn(value, ":"), value);
	if (!is_reference(value))
		return add_literal(request, name, value, err);
	if (config_add_reference(config, backend_types, name, value, err) == 0)
		return 0;
	/* It stands in a file, not on the command line. */
	if (err->code == ERROR_USAGE)
		err->code = ERROR_INVALID;
	return -1;
}

static int add_env_file(struct config *config, struct run_request *request, const char *file,
			struct error *err)
{
	AUTO(buf_deinit)
	struct buf text = BUF_INIT(ENV_FILE_MAX), name = BUF_INIT(ENV_FILE_MAX),
		   value = BUF_INIT(ENV_FILE_MAX);
	struct dotenv_reader reader;
	int status;

	if (file_read_stream(file, ENV_FILE_MAX, &text, err) < 0) {
		err->code = ERROR_INVALID;
		return -1;
	}
	if (memchr(buf_string(&text), '\0', text.len) != NULL)
		return error_set(err, ERROR_INVALID, "%s: holds a NUL byte", file);
	reader = dotenv_reader(text.data, text.len);
	while ((status = dotenv_next(&reader, &name, &value, err)) > 0)
		if (take_entry(config, request, buf_string(&name), buf_string(&value), err) < 0)
			return error_wrap(err, "%s: line %u", file, reader.line);
	if (status < 0) {
		err->code = ERROR_INVALID;
		return error_wrap(err, "%s", file);
	}
	return 0;
}

int run_add_env_files(struct config *config, struct run_request *request,
		      const struct strings *files, struct error *err)
{
	for (size_t i = 0; i < files->count; i++)
		if (add_env_file(config, request, files->items[i], err) < 0)
			return error_wrap(err, "--env-file");
	return 0;
}

/* ---- names of a running agent ---- */

bool run_names_backends(const struct strings *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *equals = strchr(list->items[i], '=');

		if (equals != NULL && strstr(equals, "://") != NULL)
			return true;
	}
	return false;
}

int run_check_names(struct config *config, const struct strings *list, const char *option,
		    struct error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *equals = strchr(list->items[i], '=');
		AUTO(freep) char *secret = NULL;
		AUTO(freep) char *field = NULL;

		if (equals == NULL || config_resolve_reference(config, backend_types, equals + 1,
							       &secret, &field, err) == 0)
			continue;
		return error_wrap(err, "%s %.*s", option, (int)(equals - list->items[i]),
				  list->items[i]);
	}
	return 0;
}

/* ---- what is not needed ---- */

void run_forget_unneeded(struct config *config, const struct run_request *request)
{
	AUTO(freep) bool *needed = NULL;
	size_t kept = 0;

	if (config->files_count + config->socket_count > 0)
		return;
	/* variables_need asks the list for names: it must be whole until the last answer. */
	needed = calloc(config->secret_count + 1, sizeof(*needed));
	for (size_t i = 0; needed != NULL && i < config->secret_count; i++)
		needed[i] = variables_need(config, request, config->secrets[i].name);
	for (size_t i = 0; needed != NULL && i < config->secret_count; i++) {
		struct secret_spec spec = config->secrets[i];

		if (!needed[i]) {
			free(spec.name);
			free(spec.backend);
			free(spec.path);
			free(spec.write);
			continue;
		}
		config->secrets[kept++] = spec;
	}
	if (needed != NULL)
		config->secret_count = kept;
}

void run_request_deinit(struct run_request *request)
{
	free(request->socket);
	strings_free(&request->only);
	for (size_t i = 0; i < request->literal_count; i++) {
		free(request->literals[i].name);
		wipe_free(request->literals[i].value);
	}
	for (size_t i = 0; i < request->file_count; i++) {
		free(request->files[i].path);
		free(request->files[i].secret);
		free(request->files[i].field);
	}
	free(request->literals);
	free(request->files);
}

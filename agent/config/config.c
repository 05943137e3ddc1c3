/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/paths.h"
#include "agent/config/tables.h"

/* Of a status socket: a probe each second, and people. */
enum { STATUS_CONNECTIONS = 64, STATUS_IDLE_MS = 10000 };

static void files_deinit(struct config_files *files)
{
	for (size_t i = 0; i < files->entry_count; i++) {
		free(files->entries[i].path);
		free(files->entries[i].secret);
		free(files->entries[i].field);
		free(files->entries[i].variable);
	}
	free(files->entries);
	free(files->directory);
	free(files->on_change.pid_file);
	strings_free(&files->on_change.exec);
}

static void socket_deinit(struct config_socket *sock)
{
	for (size_t i = 0; i < sock->allow_count; i++)
		strings_free(&sock->allow[i].secrets);
	free(sock->allow);
	free(sock->path);
}

static void backend_deinit(struct config_backend *backend)
{
	if (backend->options != NULL)
		option_free(backend->ops->options, backend->options);
	free(backend->options);
	free(backend->name);
}

static void secret_spec_deinit(struct secret_spec *spec)
{
	free(spec->name);
	free(spec->backend);
	free(spec->path);
	free(spec->write);
}

struct config *config_free(struct config *config)
{
	if (config == NULL)
		return NULL;
	for (size_t i = 0; i < config->backend_count; i++)
		backend_deinit(&config->backends[i]);
	for (size_t i = 0; i < config->secret_count; i++)
		secret_spec_deinit(&config->secrets[i]);
	for (size_t i = 0; i < config->files_count; i++)
		files_deinit(&config->files[i]);
	for (size_t i = 0; i < config->socket_count; i++)
		socket_deinit(&config->sockets[i]);
	for (size_t i = 0; i < config->variable_count; i++) {
		free(config->variables[i].variable);
		free(config->variables[i].secret);
		free(config->variables[i].field);
	}
	free(config->backends);
	free(config->secrets);
	free(config->files);
	free(config->sockets);
	free(config->variables);
	free(config->metrics_listen);
	free(config->audit_file);
	free(config->hand_over);
	free(config->file);
	free(config);
	return NULL;
}

bool config_has_hooks(const struct config *config)
{
	for (size_t i = 0; i < config->files_count; i++)
		if (config->files[i].on_change.exec.count > 0)
			return true;
	return false;
}

const struct config_backend *config_backend_find(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->backend_count; i++)
		if (strcmp(config->backends[i].name, name) == 0)
			return &config->backends[i];
	return NULL;
}

const struct secret_spec *config_secret_find(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->secret_count; i++)
		if (strcmp(config->secrets[i].name, name) == 0)
			return &config->secrets[i];
	return NULL;
}

bool config_variable_is_valid(const char *name)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return name[0] != '\0' && (name[0] < '0' || name[0] > '9') &&
	       name[strspn(name, letters)] == '\0';
}

void config_apply_global(struct config *config, const struct global_options *options)
{
	config->max_stale_ms = options->max_stale_ms;
	config->remove_missing = options->on_missing == 1;
	config->revoke_on_exit = options->revoke_on_exit;
	config->splay = options->splay;
	config->log_level = (enum log_level)options->log.level;
	config->log_format = (enum log_format)options->log.format;
}

struct config *config_new(struct error *err)
{
	struct global_options options = { 0 };
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (option_defaults(global_table, &options, err) < 0) {
		option_free(global_table, &options);
		return config_free(config);
	}
	config_apply_global(config, &options);
	option_free(global_table, &options);
	return config;
}

int config_add_status_socket(struct config *config, const char *path, struct error *err)
{
	struct config_socket *grown;
	AUTO(freep) char *copy = strdup(path);

	if (strlen(path) > SOCKET_PATH_MAX)
		return error_set(err, ERROR_INVALID,
				 "the status socket's path has %zu bytes, the kernel takes %d: "
				 "choose a shorter directory",
				 strlen(path), SOCKET_PATH_MAX);
	for (size_t i = 0; i < config->socket_count; i++)
		if (path_is_same(config->sockets[i].path, path))
			return error_set(
				err, ERROR_INVALID,
				"the status socket needs a path of its own: sinks.socket has "
				"'%.200s' already",
				path);
	grown = reallocarray(config->sockets, config->socket_count + 1, sizeof(*grown));
	if (grown == NULL || copy == NULL)
		return error_no_memory(err);
	config->sockets = grown;
	grown[config->socket_count++] = (struct config_socket){
		.path = STEAL(copy),
		.mode = SOCKET_MODE_OWN,
		.status_only = true,
		.max_connections = STATUS_CONNECTIONS,
		.max_connections_per_uid = STATUS_CONNECTIONS,
		.idle_timeout_ms = STATUS_IDLE_MS,
	};
	return 0;
}

/* A file that was named must be there; one that is looked for need not. */
static char *named_file(const char *path, const char *how, struct error *err)
{
	char *copy;

	if (access(path, R_OK) < 0) {
		(void)error_errno(err, errno, "cannot read the configuration '%s' (%s)", path, how);
		err->code = ERROR_INVALID;
		return NULL;
	}
	copy = strdup(path);
	if (copy == NULL)
		(void)error_no_memory(err);
	return copy;
}

static char *environment_text(const char *value, const char **text, struct error *err)
{
	char *name = strdup(CONFIG_IN_ENVIRONMENT);

	if (name == NULL)
		(void)error_no_memory(err);
	else
		*text = value;
	return name;
}

char *config_find(const char *explicit_path, const char **text, struct error *err)
{
	static const char *const places[] = { "./agent.yaml", "/etc/agent/agent.yaml" };
	const char *named = getenv("AGENT_CONFIG"), *value = getenv("AGENT_CONFIG_YAML");

	*text = NULL;
	if (explicit_path != NULL)
		return named_file(explicit_path, "given by -c", err);
	if (named != NULL && named[0] != '\0')
		return named_file(named, "given by AGENT_CONFIG", err);
	if (value != NULL && value[0] != '\0')
		return environment_text(value, text, err);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], F_OK) == 0)
			return named_file(places[i], "found", err);
	(void)error_set(err, ERROR_NOT_FOUND,
			"no configuration: give -c FILE, set AGENT_CONFIG (a path) or "
			"AGENT_CONFIG_YAML (its "
			"text), or write ./agent.yaml or /etc/agent/agent.yaml");
	return NULL;
}

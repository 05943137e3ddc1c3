/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References: NAME.FIELD of what is declared, or TYPE://PATH#FIELD, for which a backend and a
 * secret are made up. A backend that has an option `file` is a file: what stands after :// is then
 * its name, and the whole document is one secret.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/text.h"
#include "agent/config/sections.h"
#include "agent/config/tables.h"

enum { REFERENCE_MAX = 8192 };

struct reference {
	const struct backend_ops *ops;
	const char *scheme; /* a type, or a backend's name */
	char *path;
	char *field; /* decoded; NULL: every field */
};

static void reference_deinit(struct reference *reference)
{
	free(reference->path);
	free(reference->field);
}

static const struct option *file_option(const struct backend_ops *ops)
{
	const struct option *option = option_find(ops->options, "file");

	return option != NULL && (option->type == OPTION_PATH || option->type == OPTION_STRING)
		       ? option
		       : NULL;
}

static const char *file_of(const struct config_backend *backend)
{
	const struct option *option = file_option(backend->ops);

	return option != NULL ? *(char **)(void *)((char *)backend->options + option->offset)
			      : NULL;
}

/* A pointer's spelling of the names that a document's fields are flattened to: /app/key is app.key.
 */
static int flatten_pointer(char **field, struct error *err)
{
	AUTO(buf_deinit) struct buf flat = BUF_INIT(REFERENCE_MAX);
	const char *at = *field + 1;

	for (;;) {
		size_t len = strcspn(at, "/");

		if (json_read_pointer_name(&flat, at, len, err) < 0) {
			err->code = ERROR_USAGE;
			return -1;
		}
		at += len;
		if (*at++ == '\0')
			break;
		buf_putc(&flat, '.');
	}
	free(*field);
	*field = strdup(buf_string(&flat));
	return *field != NULL ? 0 : error_no_memory(err);
}

static int read_reference(const char *ref, struct reference *ret, struct error *err)
{
	AUTO(buf_deinit) struct buf decoded = BUF_INIT(REFERENCE_MAX);
	const char *path = strstr(ref, "://") + strlen("://");
	const char *mark = strchr(path, '#');

	ret->path = mark != NULL ? strndup(path, (size_t)(mark - path)) : strdup(path);
	if (ret->path == NULL)
		return error_no_memory(err);
	if (ret->path[0] == '\0')
		return error_set(err, ERROR_USAGE, "no path after '://'");
	if (mark == NULL)
		return 0;
	if (text_read_percent(&decoded, mark + 1, strlen(mark + 1), err) < 0) {
		err->code = ERROR_USAGE;
		return error_wrap(err, "after '#'");
	}
	if (decoded.len == 0)
		return error_set(err, ERROR_USAGE, "no field after '#'");
	ret->field = strdup(buf_string(&decoded));
	return ret->field != NULL ? 0 : error_no_memory(err);
}

/* Takes the names over, also on failure. */
static int add_backend(struct config *config, const struct backend_ops *ops, char *name,
		       const char *file, const struct config_backend **ret, struct error *err)
{
	AUTO(freep) char *owned = name;
	struct config_backend *grown, *added;

	if (owned == NULL)
		return error_no_memory(err);
	grown = reallocarray(config->backends, config->backend_count + 1, sizeof(*grown));
	if (grown == NULL)
		return error_no_memory(err);
	config->backends = grown;
	added = &grown[config->backend_count];
	*added = (struct config_backend){
		.ops = ops, .options = calloc(1, ops->options_size > 0 ? ops->options_size : 1)
	};
	if (added->options == NULL)
		return error_no_memory(err);
	/* From here on config_free frees what the options hold. */
	added->name = STEAL(owned);
	config->backend_count++;
	if (option_defaults(ops->options, added->options, err) < 0)
		return -1;
	if (file != NULL && option_read(file_option(ops), added->options, file, err) < 0)
		return -1;
	if (ops->check != NULL && ops->check(added->options, err) < 0)
		return error_wrap(err, "%s", added->name);
	*ret = added;
	return 0;
}

static int backend_for_file(struct config *config, const struct reference *reference,
			    const struct config_backend **ret, struct error *err)
{
	char *name = NULL;

	for (size_t i = 0; i < config->backend_count; i++) {
		const char *file = file_of(&config->backends[i]);

		if (config->backends[i].ops == reference->ops && file != NULL &&
		    strcmp(file, reference->path) == 0) {
			*ret = &config->backends[i];
			return 0;
		}
	}
	if (asprintf(&name, "%s:%s", reference->ops->type, reference->path) < 0)
		return error_no_memory(err);
	return add_backend(config, reference->ops, name, reference->path, ret, err);
}

/* The backend of that very name, else the only one of that type, else a new one. */
static int backend_for_server(struct config *config, const struct reference *reference,
			      const char *scheme, const struct config_backend **ret,
			      struct error *err)
{
	const struct config_backend *found = config_backend_find(config, scheme);

	for (size_t i = 0; i < config->backend_count && found == NULL; i++)
		if (config->backends[i].ops == reference->ops)
			found = &config->backends[i];
	if (found == NULL)
		return add_backend(config, reference->ops, strdup(scheme), NULL, ret, err);
	*ret = found;
	return 0;
}

static int add_secret(struct config *config, const struct config_backend *backend, const char *path,
		      const char **ret, struct error *err)
{
	AUTO(freep) char *name = NULL;
	bool whole = file_option(backend->ops) != NULL;
	struct secret_options defaults = { 0 };
	struct secret_spec *grown, *added;
	char *copy;

	for (size_t i = 0; i < config->secret_count; i++) {
		const struct secret_spec *spec = &config->secrets[i];

		if (strcmp(spec->backend, backend->name) == 0 && spec->write == NULL &&
		    (whole ? spec->path == NULL
			   : spec->path != NULL && strcmp(spec->path, path) == 0)) {
			*ret = spec->name;
			return 0;
		}
	}
	if (asprintf(&name, "%s%s%s", backend->name, whole ? "" : ":", whole ? "" : path) < 0)
		return error_no_memory(err);
	grown = reallocarray(config->secrets, config->secret_count + 1, sizeof(*grown));
	if (grown == NULL)
		return error_no_memory(err);
	config->secrets = grown;
	added = &grown[config->secret_count];
	*added = (struct secret_spec){ .name = STEAL(name) };
	config->secret_count++;
	if (option_defaults(secret_table, &defaults, err) < 0)
		return -1;
	added->refresh_ms = defaults.refresh_ms;
	option_free(secret_table, &defaults);
	copy = whole ? NULL : strdup(path);
	added->path = copy;
	added->backend = strdup(backend->name);
	if (added->backend == NULL || (copy == NULL && !whole))
		return error_no_memory(err);
	*ret = added->name;
	return 0;
}

static int add_variable(struct config *config, const char *variable, const char *secret,
			const char *field, struct error *err)
{
	struct config_variable *grown, *added;

	for (size_t i = 0; i < config->variable_count; i++)
		if (strcmp(config->variables[i].variable, variable) == 0)
			return error_set(err, ERROR_USAGE, "'%.80s' is given twice", variable);
	grown = reallocarray(config->variables, config->variable_count + 1, sizeof(*grown));
	if (grown == NULL)
		return error_no_memory(err);
	config->variables = grown;
	added = &grown[config->variable_count++];
	*added = (struct config_variable){ .variable = strdup(variable),
					   .secret = strdup(secret),
					   .field = field != NULL ? strdup(field) : NULL };
	if (added->variable == NULL || added->secret == NULL ||
	    (added->field == NULL && field != NULL))
		return error_no_memory(err);
	return 0;
}

static int resolve_declared(const struct config *config, const char *ref, char **secret,
			    char **field, struct error *err)
{
	AUTO(freep) const char **names = calloc(config->secret_count + 1, sizeof(*names));

	if (names == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < config->secret_count; i++)
		names[i] = config->secrets[i].name;
	return reference_split(ref, names, secret, field, err);
}

static int resolve_elsewhere(struct config *config, config_backend_types types, const char *ref,
			     char **secret, char **field, struct error *err)
{
	AUTO(reference_deinit) struct reference reference = { 0 };
	AUTO(freep) char *scheme = strndup(ref, (size_t)(strstr(ref, "://") - ref));
	const struct config_backend *backend = NULL;
	const char *name = NULL;
	char hint[WHERE_MAX];

	if (scheme == NULL)
		return error_no_memory(err);
	backend = config_backend_find(config, scheme);
	reference.ops = backend != NULL ? backend->ops : backend_type_find(types, scheme);
	if (reference.ops == NULL)
		return error_set(err, ERROR_USAGE, "there is no backend '%.80s'%s", scheme,
				 backend_type_hint(hint, types, scheme));
	if (read_reference(ref, &reference, err) < 0)
		return -1;
	if (file_option(reference.ops) != NULL) {
		if (reference.field != NULL && reference.field[0] == '/' &&
		    flatten_pointer(&reference.field, err) < 0)
			return -1;
		if (backend_for_file(config, &reference, &backend, err) < 0)
			return -1;
	} else if (backend_for_server(config, &reference, scheme, &backend, err) < 0) {
		return -1;
	}
	if (add_secret(config, backend, reference.path, &name, err) < 0)
		return -1;
	*secret = strdup(name);
	if (*secret == NULL)
		return error_no_memory(err);
	*field = STEAL(reference.field);
	return 0;
}

int config_resolve_reference(struct config *config, config_backend_types types, const char *ref,
			     char **secret, char **field, struct error *err)
{
	int rc = strstr(ref, "://") != NULL
			 ? resolve_elsewhere(config, types, ref, secret, field, err)
			 : resolve_declared(config, ref, secret, field, err);

	return rc < 0 ? error_wrap(err, "reference '%.120s'", ref) : 0;
}

int config_add_reference(struct config *config, config_backend_types types, const char *variable,
			 const char *ref, struct error *err)
{
	AUTO(freep) char *secret = NULL;
	AUTO(freep) char *field = NULL;

	if (config_resolve_reference(config, types, ref, &secret, &field, err) < 0)
		return -1;
	return variable != NULL ? add_variable(config, variable, secret, field, err) : 0;
}

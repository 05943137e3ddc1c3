/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `secrets:` and `env:`, and how a reference to a secret is spelled.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/sections.h"
#include "agent/config/tables.h"

enum { FIELD_NAME_MAX = 4096 };

void check_secret_exists(struct reader *reader, struct yaml_mark mark, const char *where,
			 const char *name)
{
	const struct yaml_node *declared = yaml_get(reader->root, "secrets");
	char hint[WHERE_MAX];

	if (yaml_get(declared, name) == NULL)
		reader_problem(reader, mark, "%s: there is no secret '%.80s'%s", where, name,
			       reader_hint(hint, name, declared));
}

static void check_backend(struct reader *reader, const struct yaml_node *node, const char *where,
			  const struct secret_options *options)
{
	const struct yaml_node *declared = yaml_get(reader->root, "backends");
	const struct config_backend *backend;
	char hint[WHERE_MAX];

	if (options->backend == NULL)
		return;
	if (yaml_get(declared, options->backend) == NULL) {
		reader_problem(reader, yaml_get(node, "backend")->mark,
			       "%s.backend: there is no backend '%.80s'%s", where, options->backend,
			       reader_hint(hint, options->backend, declared));
		return;
	}
	/* A backend that is a file can be taken whole, and cannot be written to by a read. */
	backend = config_backend_find(reader->config, options->backend);
	if (backend == NULL)
		return;
	if (options->path == NULL && backend->ops->endpoint != NULL)
		reader_problem(reader, node->key_mark,
			       "%s needs 'path': backend '%.80s' has no default", where,
			       options->backend);
	if (options->write != NULL && backend->ops->endpoint == NULL)
		reader_problem(reader, yaml_get(node, "write")->key_mark,
			       "%s.write: backend '%.80s' is a file and answers no write", where,
			       options->backend);
}

static void check_verbatim(struct reader *reader, const struct yaml_node *node, const char *where,
			   const struct secret_options *options)
{
	const struct config_backend *backend =
		options->backend != NULL ? config_backend_find(reader->config, options->backend)
					 : NULL;

	if (options->verbatim != VERBATIM_NO && backend != NULL && !backend->ops->verbatim)
		reader_problem(reader, yaml_get(node, "verbatim")->mark,
			       "%s.verbatim: backend '%.80s' is of type %s, which has one way to "
			       "read a path: leave it out",
			       where, options->backend, backend->ops->type);
}

static void check_path(struct reader *reader, const struct yaml_node *node, const char *where,
		       const struct secret_options *options)
{
	if (options->path != NULL && options->path[0] == '\0')
		reader_problem(reader, yaml_get(node, "path")->mark, "%s.path is empty", where);
}

static void read_secret(struct reader *reader, const struct yaml_node *node)
{
	struct config *config = reader->config;
	struct secret_options options = { 0 };
	const struct reader_part part = { secret_table, &options };
	struct secret_spec *grown;
	char where[WHERE_MAX];

	(void)reader_where(where, "secrets", node->key);
	if (!config_name_is_valid(node->key))
		reader_problem(
			reader, node->key_mark,
			"secrets: '%.80s' is no name: use letters, digits, '.', '_' and '-', "
			"without '..'",
			node->key);
	if (reader_map(reader, node, where, &part, 1, NULL)) {
		check_backend(reader, node, where, &options);
		check_path(reader, node, where, &options);
		check_verbatim(reader, node, where, &options);
	}
	grown = reader_grow(reader, config->secrets, &config->secret_count, sizeof(*grown));
	if (grown != NULL) {
		config->secrets = grown;
		grown[config->secret_count - 1] = (struct secret_spec){
			.name = reader_copy(reader, node->key),
			.backend = STEAL(options.backend),
			.path = STEAL(options.path),
			.write = STEAL(options.write),
			.verbatim = (enum secret_verbatim)options.verbatim,
			.refresh_ms = options.refresh_ms,
			.optional = !options.required,
		};
	}
	option_free(secret_table, &options);
}

void read_secrets(struct reader *reader)
{
	const struct yaml_node *map =
		reader_expect(reader, yaml_get(reader->root, "secrets"), YAML_IS_MAP, "secrets");

	for (const struct yaml_node *node = map != NULL ? map->first : NULL; node != NULL;
	     node = node->next)
		read_secret(reader, node);
}

/* The longest name that is the text, or that the text goes on from with a dot. */
static const char *longest_name(const char *text, const char *const *names)
{
	const char *longest = NULL;

	for (size_t i = 0; names[i] != NULL; i++) {
		size_t len = strlen(names[i]);

		if (strncmp(text, names[i], len) == 0 && (text[len] == '\0' || text[len] == '.') &&
		    (longest == NULL || len > strlen(longest)))
			longest = names[i];
	}
	return longest;
}

static int no_such_secret(const char *text, size_t len, const char *const *names, struct error *err)
{
	AUTO(freep) char *name = strndup(text, len);
	char hint[WHERE_MAX];

	if (name == NULL)
		return error_no_memory(err);
	return error_set(err, ERROR_NOT_FOUND, "there is no secret '%.80s'%s", name,
			 reader_hint_of(hint, text_nearest(name, names)));
}

int reference_split(const char *text, const char *const *names, char **secret, char **field,
		    struct error *err)
{
	AUTO(buf_deinit) struct buf decoded = BUF_INIT(FIELD_NAME_MAX);
	AUTO(freep) char *name = NULL;
	AUTO(freep) char *rest = NULL;
	const char *mark = strchr(text, '#'), *found;
	size_t len = mark != NULL ? (size_t)(mark - text) : strcspn(text, ".");

	if (mark != NULL) {
		name = strndup(text, len);
		found = name != NULL ? longest_name(name, names) : NULL;
		if (found == NULL || found[len] != '\0')
			return no_such_secret(text, len, names, err);
		if (text_read_percent(&decoded, mark + 1, strlen(mark + 1), err) < 0)
			return error_wrap(err, "after '#'");
		rest = strdup(buf_string(&decoded));
	} else {
		found = longest_name(text, names);
		if (found == NULL)
			return no_such_secret(text, len, names, err);
		name = strdup(found);
		len = strlen(found);
		rest = text[len] == '.' ? strdup(text + len + 1) : NULL;
	}
	if (name == NULL || (rest == NULL && text[len] != '\0'))
		return error_no_memory(err);
	if (rest != NULL && rest[0] == '\0')
		return error_set(err, ERROR_USAGE, "'%.80s' names no field after '%c'", text,
				 text[len]);
	*secret = STEAL(name);
	*field = STEAL(rest);
	return 0;
}

static void read_variable(struct reader *reader, const struct yaml_node *node,
			  const char *const *names)
{
	struct config *config = reader->config;
	struct config_variable row = { 0 }, *grown;
	char where[WHERE_MAX];
	const char *text;
	struct error err;

	if (!config_variable_is_valid(node->key))
		reader_problem(
			reader, node->key_mark,
			"env: '%.80s' is no name of a variable: use letters, digits and '_', and "
			"no digit first",
			node->key);
	(void)reader_where(where, "env", node->key);
	text = reader_scalar(reader, node, where);
	if (text == NULL)
		return;
	if (reference_split(text, names, &row.secret, &row.field, &err) < 0) {
		reader_problem(reader, node->mark, "%s: %s", where, err.text);
		return;
	}
	if (row.field == NULL)
		reader_problem(reader, node->mark,
			       "%s: '%.80s' is a whole secret: name one field, as %.80s.FIELD",
			       where, text, text);
	row.variable = reader_copy(reader, node->key);
	grown = reader_grow(reader, config->variables, &config->variable_count, sizeof(*grown));
	if (grown == NULL) {
		free(row.variable);
		free(row.secret);
		free(row.field);
		return;
	}
	config->variables = grown;
	grown[config->variable_count - 1] = row;
}

void read_variables(struct reader *reader)
{
	const struct yaml_node *declared = yaml_get(reader->root, "secrets");
	const struct yaml_node *map =
		reader_expect(reader, yaml_get(reader->root, "env"), YAML_IS_MAP, "env");
	AUTO(freep) const char **names = NULL;
	size_t count = 0;

	if (map == NULL)
		return;
	names = calloc(declared != NULL ? declared->count + 1 : 1, sizeof(*names));
	if (names == NULL) {
		reader_problem(reader, map->mark, "out of memory");
		return;
	}
	if (declared != NULL && declared->type == YAML_IS_MAP)
		for (const struct yaml_node *node = declared->first; node != NULL;
		     node = node->next)
			names[count++] = node->key;
	for (const struct yaml_node *node = map->first; node != NULL; node = node->next)
		read_variable(reader, node, names);
}

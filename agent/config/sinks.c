/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sinks:` — directories of files and sockets, one or a list of each.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/config/paths.h"
#include "agent/config/sections.h"
#include "agent/config/tables.h"

enum { SIGNALS_MAX = 32 };
#define UID_MOST	   (UINT32_MAX - 1)
#define SOCKET_MODE_OTHERS 0666u

static const char *const sink_kinds[] = { "files", "socket", NULL };
static const char *const files_nested[] = { "entries", NULL };
static const char *const socket_nested[] = { "allow", NULL };

/* "HUP" or "SIGHUP"; 0 when there is none of that name. */
static int signal_number(const char *name)
{
	if (text_starts_with(name, "SIG"))
		name += 3;
	for (int number = 1; number < SIGNALS_MAX; number++)
		if (sigabbrev_np(number) != NULL && strcmp(sigabbrev_np(number), name) == 0)
			return number;
	return 0;
}

static const char *signal_hint(char hint[WHERE_MAX], const char *name)
{
	const char *names[SIGNALS_MAX + 1] = { NULL };
	size_t count = 0;

	for (int number = 1; number < SIGNALS_MAX; number++)
		if (sigabbrev_np(number) != NULL)
			names[count++] = sigabbrev_np(number);
	return reader_hint_of(hint, text_nearest(name, names));
}

static void check_signal(struct reader *reader, const struct yaml_node *node, const char *where,
			 const struct files_options *options, struct config_on_change *on_change)
{
	const char *name = options->on_change.signal;
	char hint[WHERE_MAX];

	if (name == NULL) {
		if (options->on_change.pid_file != NULL)
			reader_problem(reader, yaml_get(node, "pid_file")->key_mark,
				       "%s.on_change: pid_file needs 'signal', as HUP", where);
		return;
	}
	on_change->signal = signal_number(name);
	if (on_change->signal == 0)
		reader_problem(reader, yaml_get(node, "signal")->mark,
			       "%s.on_change.signal: there is no signal '%.40s'%s", where, name,
			       signal_hint(hint, name));
	if (options->on_change.pid_file == NULL)
		reader_problem(reader, yaml_get(node, "signal")->key_mark,
			       "%s.on_change: signal needs 'pid_file', which says whom to signal",
			       where);
}

static void read_on_change(struct reader *reader, const struct yaml_node *node, const char *where,
			   struct files_options *options, struct config_on_change *on_change)
{
	const struct yaml_node *signal = yaml_get(node, "signal"), *exec = yaml_get(node, "exec");

	if (node == NULL || node->type == YAML_IS_LIST || node->text_len > 0)
		return;
	if (signal != NULL && exec != NULL)
		reader_problem(reader,
			       signal->key_mark.line > exec->key_mark.line ||
					       (signal->key_mark.line == exec->key_mark.line &&
						signal->key_mark.column > exec->key_mark.column)
				       ? signal->key_mark
				       : exec->key_mark,
			       "%s.on_change: signal and exec exclude each other", where);
	else if (signal == NULL && exec == NULL && yaml_get(node, "pid_file") == NULL)
		reader_problem(reader, node->key_mark,
			       "%s.on_change needs 'signal' and 'pid_file', or 'exec'", where);
	check_signal(reader, node, where, options, on_change);
	on_change->pid_file = STEAL(options->on_change.pid_file);
	on_change->exec = options->on_change.exec;
	options->on_change.exec = (struct strings){ 0 };
}

static void check_entry_path(struct reader *reader, const struct yaml_node *node, const char *where)
{
	const char *fault = entry_path_fault(node->key);

	if (fault != NULL) {
		reader_problem(reader, node->key_mark, "%s: '%.200s' %s", where, node->key, fault);
		return;
	}
}

/* Siblings before it; YAML itself refuses a second equal key. */
static void check_entry_collisions(struct reader *reader, const struct yaml_node *first,
				   const struct yaml_node *node, const char *where)
{
	for (; first != node; first = first->next) {
		if (entry_path_holds(first->key, node->key))
			reader_problem(
				reader, node->key_mark,
				"%s: '%.100s' needs a directory where '%.100s' (line %zu) stands",
				where, node->key, first->key, first->key_mark.line);
		else if (entry_path_holds(node->key, first->key))
			reader_problem(reader, node->key_mark,
				       "%s: '%.100s' is a directory of '%.100s' (line %zu)", where,
				       node->key, first->key, first->key_mark.line);
	}
}

/* A kubelet's limit on a `key`. */
enum { VARIABLE_NAME_MAX = 128 };

static void check_variable(struct reader *reader, const struct yaml_node *node, const char *where,
			   const struct entry_options *options)
{
	const char *name = options->variable;

	if (options->format != FORMAT_KUBELET_ENV) {
		if (name != NULL)
			reader_problem(reader, yaml_get(node, "variable")->key_mark,
				       "%s.variable is for format: kubelet-env", where);
	} else if (name == NULL) {
		reader_problem(reader, yaml_get(node, "format")->mark,
			       "%s: format: kubelet-env needs 'variable'", where);
	} else if (!config_variable_is_valid(name) || strlen(name) > VARIABLE_NAME_MAX) {
		reader_problem(reader, yaml_get(node, "variable")->mark,
			       "%s.variable: '%.80s' is no name of a variable: use letters, digits "
			       "and '_', no digit first, at most %d",
			       where, name, VARIABLE_NAME_MAX);
	}
}

static bool is_of_one_field(enum file_format format)
{
	return format == FORMAT_FIELD || format == FORMAT_RAW || format == FORMAT_KUBELET_ENV;
}

static void check_entry(struct reader *reader, const struct yaml_node *node, const char *where,
			const struct entry_options *options)
{
	if (options->secret != NULL)
		check_secret_exists(reader, yaml_get(node, "secret")->mark, where, options->secret);
	check_variable(reader, node, where, options);
	if (options->field == NULL)
		return;
	if (options->field[0] == '\0')
		reader_problem(reader, yaml_get(node, "field")->mark, "%s.field is empty", where);
	if (!is_of_one_field((enum file_format)options->format))
		reader_problem(reader, yaml_get(node, "format")->mark,
			       "%s.format is of a whole secret: leave out 'field'", where);
}

static void read_entry(struct reader *reader, const struct yaml_node *node, const char *parent,
		       struct config_files *files)
{
	struct entry_options options = { 0 };
	const struct reader_part part = { entry_table, &options };
	struct config_entry *grown;
	char where[WHERE_MAX];

	(void)reader_where(where, parent, node->key);
	if (reader_map(reader, node, where, &part, 1, NULL))
		check_entry(reader, node, where, &options);
	grown = reader_grow(reader, files->entries, &files->entry_count, sizeof(*grown));
	if (grown != NULL) {
		files->entries = grown;
		grown[files->entry_count - 1] = (struct config_entry){
			.path = reader_copy(reader, node->key),
			.secret = STEAL(options.secret),
			/* One field as raw bytes is that field. */
			.format = options.field != NULL && options.format == FORMAT_RAW
					  ? FORMAT_FIELD
					  : (enum file_format)options.format,
			.field = STEAL(options.field),
			.variable = STEAL(options.variable),
			.mode = yaml_get(node, "mode") != NULL ? options.mode : files->mode,
			.owner = options.owner >= 0 ? options.owner : files->owner,
			.group = options.group >= 0 ? options.group : files->group,
		};
	}
	option_free(entry_table, &options);
}

/* Every field of every secret, as <secret>/<field>. */
static void add_default_entries(struct reader *reader, struct config_files *files)
{
	const struct config *config = reader->config;

	files->entries = calloc(config->secret_count + 1, sizeof(*files->entries));
	if (files->entries == NULL) {
		reader_problem(reader, reader->root->mark, "out of memory");
		return;
	}
	for (size_t i = 0; i < config->secret_count; i++)
		files->entries[files->entry_count++] = (struct config_entry){
			.path = reader_copy(reader, config->secrets[i].name),
			.secret = reader_copy(reader, config->secrets[i].name),
			.mode = files->mode,
			.owner = files->owner,
			.group = files->group,
		};
}

static void read_entries(struct reader *reader, const struct yaml_node *node, const char *parent,
			 struct config_files *files)
{
	const struct yaml_node *map;
	char where[WHERE_MAX];

	(void)reader_where(where, parent, "entries");
	if (node == NULL) {
		add_default_entries(reader, files);
		return;
	}
	map = reader_expect(reader, node, YAML_IS_MAP, where);
	if (map == NULL || map->count == 0) {
		if (node->count > 0 || node->text_len > 0)
			return;
		reader_problem(reader, node->key_mark,
			       "%s is empty: leave it out for every field of every secret", where);
		return;
	}
	for (const struct yaml_node *child = map->first; child != NULL; child = child->next) {
		check_entry_path(reader, child, where);
		check_entry_collisions(reader, map->first, child, where);
		read_entry(reader, child, where, files);
	}
}

static void read_files(struct reader *reader, const struct yaml_node *node, const char *where)
{
	struct config *config = reader->config;
	struct files_options options = { 0 };
	const struct reader_part part = { files_table, &options };
	struct config_files *files;

	(void)reader_map(reader, node, where, &part, 1, files_nested);
	files = reader_grow(reader, config->files, &config->files_count, sizeof(*files));
	if (files != NULL) {
		config->files = files;
		files += config->files_count - 1;
		*files = (struct config_files){ .directory = STEAL(options.directory),
						.mode = options.mode,
						.owner = options.owner,
						.group = options.group };
		for (size_t i = 0; i + 1 < config->files_count && files->directory != NULL; i++)
			if (config->files[i].directory != NULL &&
			    path_is_same(config->files[i].directory, files->directory))
				reader_problem(reader, yaml_get(node, "directory")->mark,
					       "%s.directory: another sink has '%.200s' already",
					       where, files->directory);
		read_on_change(reader, yaml_get(node, "on_change"), where, &options,
			       &files->on_change);
		read_entries(reader, yaml_get(node, "entries"), where, files);
	}
	option_free(files_table, &options);
}

static void read_uid(struct reader *reader, const struct yaml_node *node, const char *where,
		     const char *text, struct config_allow *allow)
{
	struct error err;
	uint64_t uid;

	allow->any = strcmp(text, "any") == 0;
	if (allow->any)
		return;
	if (text_read_unsigned(text, UID_MOST, &uid, &err) < 0) {
		reader_problem(reader, yaml_get(node, "uid")->mark,
			       "%s.uid: '%.40s' is neither a number nor 'any'", where, text);
		return;
	}
	allow->uid = (int64_t)uid;
}

static void check_allowed_secrets(struct reader *reader, const struct yaml_node *node,
				  const char *where)
{
	const struct yaml_node *secrets = yaml_get(node, "secrets");
	const struct yaml_node *item =
		secrets != NULL && secrets->type == YAML_IS_LIST ? secrets->first : secrets;

	for (; item != NULL; item = item != secrets ? item->next : NULL)
		if (item->type == YAML_IS_SCALAR && item->core != YAML_CORE_NULL)
			check_secret_exists(reader, item->mark, where, item->text);
}

static void read_allow(struct reader *reader, const struct yaml_node *node, const char *where,
		       struct config_socket *sock)
{
	struct allow_options options = { 0 };
	const struct reader_part part = { allow_table, &options };
	struct config_allow *allow;

	if (!reader_map(reader, node, where, &part, 1, NULL)) {
		option_free(allow_table, &options);
		return;
	}
	allow = reader_grow(reader, sock->allow, &sock->allow_count, sizeof(*allow));
	if (allow != NULL) {
		sock->allow = allow;
		allow += sock->allow_count - 1;
		read_uid(reader, node, where, options.uid, allow);
		check_allowed_secrets(reader, node, where);
		allow->secrets = options.secrets;
		options.secrets = (struct strings){ 0 };
		for (size_t i = 0; i + 1 < sock->allow_count; i++)
			if (sock->allow[i].any == allow->any && sock->allow[i].uid == allow->uid)
				reader_problem(
					reader, yaml_get(node, "uid")->mark,
					"%s.uid: %s has an entry already: list its secrets there",
					where, options.uid);
	}
	option_free(allow_table, &options);
}

static unsigned default_socket_mode(const struct config_socket *sock)
{
	for (size_t i = 0; i < sock->allow_count; i++)
		if (sock->allow[i].any || sock->allow[i].uid != (int64_t)geteuid())
			return SOCKET_MODE_OTHERS;
	return SOCKET_MODE_OWN;
}

static void read_allow_list(struct reader *reader, const struct yaml_node *node, const char *parent,
			    struct config_socket *sock)
{
	char where[WHERE_MAX], name[WHERE_MAX];
	const struct yaml_node *list;
	size_t i = 0;

	if (node == NULL)
		return;
	(void)reader_where(where, parent, "allow");
	if (node->type == YAML_IS_MAP) {
		read_allow(reader, node, where, sock);
		return;
	}
	list = reader_expect(reader, node, YAML_IS_LIST, where);
	if (list == NULL || list->count == 0) {
		if (node->text_len > 0)
			return;
		reader_problem(reader, node->key_mark,
			       "%s is empty: leave it out for the agent's own uid", where);
		return;
	}
	for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
		(void)snprintf(name, sizeof(name), "allow[%zu]", i++);
		read_allow(reader, item, reader_where(where, parent, name), sock);
	}
}

static void check_socket_path(struct reader *reader, const struct yaml_node *node,
			      const char *where, const char *path)
{
	const struct config *config = reader->config;

	if (path == NULL)
		return;
	if (strlen(path) > SOCKET_PATH_MAX)
		reader_problem(
			reader, yaml_get(node, "path")->mark,
			"%s.path: %zu bytes are more than the kernel's %d for a socket: choose a "
			"shorter directory",
			where, strlen(path), SOCKET_PATH_MAX);
	for (size_t i = 0; i < config->files_count; i++)
		if (config->files[i].directory != NULL &&
		    path_is_same(config->files[i].directory, path))
			reader_problem(reader, yaml_get(node, "path")->mark,
				       "%s.path: '%.200s' is the directory of a files sink", where,
				       path);
	for (size_t i = 0; i < config->socket_count; i++)
		if (config->sockets[i].path != NULL && path_is_same(config->sockets[i].path, path))
			reader_problem(reader, yaml_get(node, "path")->mark,
				       "%s.path: another sink has '%.200s' already", where, path);
}

static void read_socket(struct reader *reader, const struct yaml_node *node, const char *where)
{
	struct config *config = reader->config;
	struct socket_options options = { 0 };
	const struct reader_part part = { socket_table, &options };
	struct config_socket *sock;

	(void)reader_map(reader, node, where, &part, 1, socket_nested);
	check_socket_path(reader, node, where, options.path);
	sock = reader_grow(reader, config->sockets, &config->socket_count, sizeof(*sock));
	if (sock != NULL) {
		config->sockets = sock;
		sock += config->socket_count - 1;
		*sock = (struct config_socket){
			.path = STEAL(options.path),
			.max_connections = options.max_connections,
			.max_connections_per_uid = options.max_connections_per_uid,
			.idle_timeout_ms = options.idle_timeout_ms,
		};
		read_allow_list(reader, yaml_get(node, "allow"), where, sock);
		sock->mode =
			yaml_get(node, "mode") != NULL ? options.mode : default_socket_mode(sock);
	}
	option_free(socket_table, &options);
}

typedef void read_sink_fn(struct reader *reader, const struct yaml_node *node, const char *where);

static void one_or_list(struct reader *reader, const struct yaml_node *node, const char *where,
			read_sink_fn *read)
{
	char name[WHERE_MAX];
	size_t i = 0;

	if (node == NULL)
		return;
	if (node->type != YAML_IS_LIST) {
		read(reader, node, where);
		return;
	}
	if (node->count == 0)
		reader_problem(reader, node->mark, "%s is an empty list", where);
	for (const struct yaml_node *item = node->first; item != NULL; item = item->next) {
		(void)snprintf(name, sizeof(name), "%s[%zu]", where, i++);
		read(reader, item, name);
	}
}

void read_sinks(struct reader *reader)
{
	const struct yaml_node *node = yaml_get(reader->root, "sinks");

	if (node == NULL)
		return;
	(void)reader_map(reader, node, "sinks", NULL, 0, sink_kinds);
	one_or_list(reader, yaml_get(node, "files"), "sinks.files", read_files);
	one_or_list(reader, yaml_get(node, "socket"), "sinks.socket", read_socket);
}

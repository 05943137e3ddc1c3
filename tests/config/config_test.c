/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config/config.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/config/fake_backends.h"

static const char whole[] =
	"backends:\n"
	"  remote:\n"
	"    address: [ https://a:8200, https://b:8200 ]\n"
	"    namespace: team-a\n"
	"    auth: { method: kubernetes, role: web, token_file: tokens/vault }\n"
	"  local: { type: store, file: secrets.enc.yaml, key_file: ~/keys.txt }\n"
	"secrets:\n"
	"  db:    { backend: remote, path: secret/db, refresh: 1m, required: false }\n"
	"  db.ro: { backend: remote, path: secret/ro }\n"
	"  cert:\n"
	"    backend: remote\n"
	"    path: pki/issue/web\n"
	"    write: { common_name: a\"b, ttl: 12.50, alt: [ x, \"1\", 1, ~, true ], o: {} }\n"
	"  app:   { backend: local }\n"
	"sinks:\n"
	"  files:\n"
	"    directory: out\n"
	"    mode: \"0400\"\n"
	"    group: 2000\n"
	"    entries:\n"
	"      db/password: { secret: db, field: password }\n"
	"      db.json: { secret: db, format: json, mode: \"0444\", owner: 7 }\n"
	"      all: { secret: db.ro }\n"
	"    on_change: { signal: SIGHUP, pid_file: app.pid }\n"
	"  socket:\n"
	"    path: /run/agent/agent.sock\n"
	"    allow: [ { uid: 4242, secrets: [ db, app ] }, { uid: any } ]\n"
	"env: { A: db.password, B: db.ro.user, C: 'db#/a~1b/c', D: 'db.ro#x%20y' }\n"
	"max_stale: 1h\n"
	"on_missing: remove\n"
	"revoke_on_exit: true\n"
	"splay: true\n"
	"log: { level: debug, format: json }\n"
	"metrics: { listen: '[::1]:9102' }\n"
	"audit: { file: audit.log }\n";

Test(config, reads_backends_with_their_own_options)
{
	struct config *config;
	const struct remote_options *remote;
	const struct store_options *store;

	cr_assert_eq(setenv("HOME", "/home/someone", 1), 0);
	config = config_good(whole);
	remote = config_backend_find(config, "remote")->options;
	store = config_backend_find(config, "local")->options;
	cr_expect_eq(config->backend_count, 2);
	cr_expect_eq(config_backend_find(config, "local")->ops, &fake_store);
	cr_expect_null(config_backend_find(config, "store"));
	cr_expect_eq(remote->address.count, 2);
	cr_expect_str_eq(remote->address.items[1], "https://b:8200");
	cr_expect_str_eq(remote->namespace, "team-a");
	cr_expect_eq(remote->auth.method, 2);
	cr_expect_eq(remote->timeout_ms, 15000);
	/* Relative to the file, not to the working directory. */
	cr_expect_str_eq(remote->auth.token_file, "/etc/agent/tokens/vault");
	cr_expect_str_eq(store->file, "/etc/agent/secrets.enc.yaml");
	cr_expect_str_eq(store->key_file, "/home/someone/keys.txt");
	cr_expect_null(config_free(config));
}

Test(config, reads_secrets)
{
	struct config *config = config_good(whole);
	const struct secret_spec *db = config_secret_find(config, "db");
	const struct secret_spec *cert = config_secret_find(config, "cert");

	cr_expect_eq(config->secret_count, 4);
	cr_expect_eq(db->refresh_ms, 60000);
	cr_expect(db->optional);
	cr_expect_null(db->write);
	cr_expect_str_eq(db->path, "secret/db");
	cr_expect_eq(cert->refresh_ms, 300000);
	cr_expect_not(cert->optional);
	cr_expect_str_eq(cert->write,
			 "{\"common_name\":\"a\\\"b\",\"ttl\":12.50,"
			 "\"alt\":[\"x\",\"1\",1,null,true],\"o\":{}}");
	cr_expect_null(config_secret_find(config, "app")->path);
	cr_expect_null(config_secret_find(config, "nobody"));
	(void)config_free(config);
}

Test(config, reads_sinks)
{
	struct config *config = config_good(whole);
	const struct config_files *files = config->files;
	const struct config_socket *sock = config->sockets;

	cr_assert_eq(config->files_count, 1);
	cr_expect_str_eq(files->directory, "/etc/agent/out");
	cr_expect_eq(files->mode, 0400);
	cr_expect_eq(files->owner, -1);
	cr_expect_eq(files->on_change.signal, SIGHUP);
	cr_expect_str_eq(files->on_change.pid_file, "/etc/agent/app.pid");
	cr_assert_eq(files->entry_count, 3);
	cr_expect_str_eq(files->entries[0].field, "password");
	cr_expect_eq(files->entries[0].mode, 0400);
	cr_expect_eq(files->entries[0].group, 2000);
	cr_expect_eq(files->entries[1].format, FORMAT_JSON);
	cr_expect_eq(files->entries[1].mode, 0444);
	cr_expect_eq(files->entries[1].owner, 7);
	cr_expect_eq(files->entries[2].format, FORMAT_FIELD);
	cr_expect_null(files->entries[2].field);
	cr_assert_eq(config->socket_count, 1);
	cr_expect_eq(sock->mode, 0666);
	cr_assert_eq(sock->allow_count, 2);
	cr_expect_eq(sock->allow[0].uid, 4242);
	cr_expect_eq(sock->allow[0].secrets.count, 2);
	cr_expect(sock->allow[1].any);
	cr_expect_eq(sock->allow[1].secrets.count, 0);
	(void)config_free(config);
}

Test(config, reads_variables_by_the_longest_name)
{
	static const char *const expected[][3] = { { "A", "db", "password" },
						   { "B", "db.ro", "user" },
						   { "C", "db", "/a~1b/c" },
						   { "D", "db.ro", "x y" } };
	struct config *config = config_good(whole);

	cr_assert_eq(config->variable_count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		cr_expect_str_eq(config->variables[i].variable, expected[i][0]);
		cr_expect_str_eq(config->variables[i].secret, expected[i][1]);
		cr_expect_str_eq(config->variables[i].field, expected[i][2]);
	}
	(void)config_free(config);
}

Test(config, reads_the_rest)
{
	struct config *config = config_good(whole);

	cr_expect_str_eq(config->file, "/etc/agent/agent.yaml");
	cr_expect_eq(config->max_stale_ms, 3600000);
	cr_expect(config->remove_missing);
	cr_expect(config->revoke_on_exit);
	cr_expect(config->splay);
	cr_expect_eq(config->log_level, LOG_DEBUG);
	cr_expect_eq(config->log_format, LOG_JSON);
	cr_expect_str_eq(config->metrics_listen, "[::1]:9102");
	cr_expect_str_eq(config->audit_file, "/etc/agent/audit.log");
	(void)config_free(config);
}

Test(config, of_an_empty_file_is_the_defaults)
{
	struct config *config = config_good(""), *made;
	struct error err;

	cr_expect_eq(config->max_stale_ms, 24 * 3600000);
	cr_expect_not(config->remove_missing);
	cr_expect_not(config->revoke_on_exit);
	cr_expect_eq(config->log_level, LOG_INFO);
	cr_expect_null(config->metrics_listen);
	cr_expect_null(config->audit_file);
	made = config_new(&err);
	cr_expect_eq(made->max_stale_ms, config->max_stale_ms);
	cr_expect_eq(made->log_level, config->log_level);
	(void)config_free(made);
	(void)config_free(config);
}

Test(config, without_entries_every_secret_is_a_directory_of_its_fields)
{
	struct config *config = config_good(
		"backends: { store: { file: /s } }\n"
		"secrets: { b: { backend: store }, a: { backend: store } }\n"
		"sinks: { files: [ { directory: /one }, { directory: /two } ],\n"
		"         socket: { path: s } }\n"
		"audit: stderr\n");

	cr_assert_eq(config->files_count, 2);
	cr_assert_eq(config->files[1].entry_count, 2);
	cr_expect_str_eq(config->files[1].entries[0].path, "b");
	cr_expect_str_eq(config->files[1].entries[0].secret, "b");
	cr_expect_null(config->files[1].entries[0].field);
	cr_expect_eq(config->files[1].entries[0].mode, 0440);
	cr_expect_str_eq(config->sockets[0].path, "/etc/agent/s");
	cr_expect_eq(config->sockets[0].mode, 0600);
	cr_expect_eq(config->sockets[0].max_connections, 1024);
	cr_expect_eq(config->sockets[0].max_connections_per_uid, 64);
	cr_expect_eq(config->sockets[0].idle_timeout_ms, 60000);
	cr_expect_str_eq(config->audit_file, "stderr");
	(void)config_free(config);
}

Test(config, the_socket_is_ours_alone_until_another_uid_is_named)
{
	char text[256];
	struct config *config;

	(void)snprintf(text, sizeof(text), "sinks: { socket: { path: /s, allow: { uid: %u } } }\n",
		       (unsigned)geteuid());
	config = config_good(text);
	cr_expect_eq(config->sockets[0].mode, 0600);
	(void)config_free(config);
	config = config_good(
		"sinks: { socket: { path: /s, allow: { uid: any }, mode: \"0660\" } }\n");
	cr_expect_eq(config->sockets[0].mode, 0660);
	(void)config_free(config);
}

Test(config, status_socket_is_ours_and_has_a_path_of_its_own)
{
	struct config *config = config_good("sinks: { socket: { path: /run/s } }\n");
	struct error err = ERROR_INIT;
	char path[128] = "/";

	cr_assert_eq(config_add_status_socket(config, "/run/private/s", &err), 0, "%s", err.text);
	cr_assert_eq(config->socket_count, 2);
	cr_expect_str_eq(config->sockets[1].path, "/run/private/s");
	cr_expect_eq(config->sockets[1].mode, 0600);
	cr_expect(config->sockets[1].status_only && !config->sockets[0].status_only);
	cr_expect_eq(config_add_status_socket(config, "/run//s", &err), -1);
	cr_expect_eq(err.code, ERROR_INVALID);
	memset(path + 1, 'x', SOCKET_PATH_MAX);
	cr_expect_eq(config_add_status_socket(config, path, &err), -1);
	path[SOCKET_PATH_MAX] = '\0';
	cr_expect_eq(config_add_status_socket(config, path, &err), 0);
	(void)config_free(config);
}

Test(config, limits_hold_to_the_byte)
{
	char path[128] = "/", text[256];
	struct config *config;
	char *faults;

	memset(path + 1, 'x', 106);
	(void)snprintf(text, sizeof(text), "sinks: { socket: { path: %s } }\n", path);
	config = config_good(text);
	cr_expect_eq(strlen(config->sockets[0].path), 107);
	(void)config_free(config);
	(void)snprintf(text, sizeof(text), "sinks: { socket: { path: %sx } }\n", path);
	faults = config_faults(text);
	cr_expect_not_null(strstr(faults, "108 bytes are more than the kernel's 107"));
	wipe_free(faults);
}

Test(config, is_found_where_it_was_named_else_in_its_places)
{
	char directory[] = "/tmp/agent-config-XXXXXX";
	struct error err = ERROR_INIT;
	const char *text;
	char *file;

	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
	cr_assert_eq(unsetenv("AGENT_CONFIG"), 0);
	cr_assert_eq(unsetenv("AGENT_CONFIG_YAML"), 0);
	if (access("/etc/agent/agent.yaml", F_OK) != 0) {
		cr_expect_null(config_find(NULL, &text, &err));
		cr_expect_eq(err.code, ERROR_NOT_FOUND);
	}
	fclose(fopen("agent.yaml", "w"));
	fclose(fopen("other.yaml", "w"));
	file = config_find(NULL, &text, &err);
	cr_expect_str_eq(file, "./agent.yaml");
	cr_expect_null(text);
	free(file);
	cr_assert_eq(setenv("AGENT_CONFIG_YAML", "", 1), 0);
	file = config_find(NULL, &text, &err);
	cr_expect_str_eq(file, "./agent.yaml", "an empty variable is none");
	free(file);
	cr_assert_eq(setenv("AGENT_CONFIG_YAML", "env: {}\n", 1), 0);
	file = config_find(NULL, &text, &err);
	cr_expect_str_eq(file, "$AGENT_CONFIG_YAML", "before the places, after what is named");
	cr_expect_str_eq(text, "env: {}\n");
	free(file);
	cr_assert_eq(setenv("AGENT_CONFIG", "other.yaml", 1), 0);
	file = config_find(NULL, &text, &err);
	cr_expect_str_eq(file, "other.yaml");
	cr_expect_null(text);
	free(file);
	file = config_find("agent.yaml", &text, &err);
	cr_expect_str_eq(file, "agent.yaml");
	free(file);
	cr_expect_null(config_find("missing.yaml", &text, &err));
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_str_eq(err.text,
			 "cannot read the configuration 'missing.yaml' (given by -c): No such "
			 "file or directory");
	cr_assert_eq(setenv("AGENT_CONFIG", "missing.yaml", 1), 0);
	cr_expect_null(config_find(NULL, &text, &err));
	cr_expect_eq(err.code, ERROR_INVALID);
	(void)unlink("agent.yaml");
	(void)unlink("other.yaml");
	cr_assert_eq(chdir("/"), 0);
	(void)rmdir(directory);
}

Test(config, the_reference_names_every_key)
{
	static const char *const keys[] = { "`max_stale`",
					    "`log.level`",
					    "`metrics.listen`",
					    "`address`",
					    "`auth.role`",
					    "`key_file`",
					    "`backend`",
					    "`refresh`",
					    "`directory`",
					    "`on_change.pid_file`",
					    "`format`",
					    "`idle_timeout`",
					    "`uid`",
					    "`secrets`",
					    "`audit.file`",
					    "`type`",
					    "`entries`",
					    "`allow`" };
	struct buf out = BUF_INIT(1 << 20);

	config_write_reference(&out, fake_types);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		cr_expect_not_null(strstr(buf_string(&out), keys[i]), "%s", keys[i]);
	buf_deinit(&out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/agent_yaml.h"

#include <string.h>

#include "injector/yaml_write.h"

/* Whoever can reach a file may read it: the mount is the boundary. A group that is ours is one that
 * the pod's fsGroup gave. */
#define MODE_FOR_GROUP	  "0440"
#define MODE_FOR_ALL	  "0444"
#define MODE_FOR_KUBELET  "0400"
#define BACKEND_NAME	  "vault"
#define FORMAT_OF_KUBELET "kubelet-env"

static void put_text(struct wish *wish, struct json_node *map, const char *key, const char *text)
{
	if (text != NULL)
		json_put_string(wish->edit, map, key, text);
}

static struct json_node *add_map(struct wish *wish, struct json_node *list)
{
	struct json_node *map = json_new(wish->edit, JSON_IS_MAP);

	json_append(list, map);
	return map;
}

static struct json_node *put_map(struct wish *wish, struct json_node *map, const char *key,
				 enum json_type type)
{
	return json_open_member(wish->edit, map, key, type);
}

static const char *auth_method(const struct wish *wish)
{
	if (wish->auth_method != NULL)
		return wish->auth_method;
	return wish->profile->auth_method == PROFILE_JWT ? "jwt" : "kubernetes";
}

static const char *ca_file(const struct wish *wish)
{
	if (wish->ca_file != NULL)
		return wish->ca_file;
	return wish->profile->ca_cert != NULL || wish->profile->ca_config_map != NULL ? PLAN_CA_FILE
										      : NULL;
}

static void put_address(struct wish *wish, struct json_node *backend)
{
	const struct strings *address = &wish->profile->address;
	struct json_node *list;

	if (wish->service != NULL || address->count == 1) {
		put_text(wish, backend, "address",
			 wish->service != NULL ? wish->service : address->items[0]);
		return;
	}
	list = put_map(wish, backend, "address", JSON_IS_LIST);
	for (size_t i = 0; i < address->count; i++)
		json_append(list, json_new_string(wish->edit, address->items[i]));
}

static void put_backend(struct wish *wish, struct json_node *root)
{
	const struct profile *profile = wish->profile;
	const char *mount = wish->auth_mount != NULL ? wish->auth_mount : profile->auth_mount;
	const char *server_name =
		wish->server_name != NULL ? wish->server_name : profile->server_name;
	struct json_node *backend, *tls, *auth;

	backend = put_map(wish, put_map(wish, root, "backends", JSON_IS_MAP), BACKEND_NAME,
			  JSON_IS_MAP);
	put_address(wish, backend);
	if (profile->insecure_http)
		json_put_bool(wish->edit, backend, "insecure_http", true);
	put_text(wish, backend, "namespace",
		 wish->vault_namespace != NULL ? wish->vault_namespace : profile->vault_namespace);
	tls = json_new(wish->edit, JSON_IS_MAP);
	put_text(wish, tls, "ca_file", ca_file(wish));
	put_text(wish, tls, "cert_file", wish->cert_file);
	put_text(wish, tls, "key_file", wish->key_file);
	put_text(wish, tls, "server_name", server_name);
	if (tls != NULL && tls->count > 0)
		json_put(wish->edit, backend, "tls", tls);
	auth = put_map(wish, backend, "auth", JSON_IS_MAP);
	put_text(wish, auth, "method", auth_method(wish));
	put_text(wish, auth, "mount", mount);
	put_text(wish, auth, "role", wish->role);
	put_text(wish, auth, "token_file", PLAN_TOKEN_FILE);
}

/* A Vault Agent puts data/ after a KV v2 mount unless the path has that or one of its sisters. So a
 * path that has is asked as it is, and of another the agent learns the mount. */
static bool is_api_path(const char *path)
{
	return path != NULL &&
	       (strstr(path, "/data/") != NULL || strstr(path, "/metadata/") != NULL ||
		strstr(path, "/subkeys/") != NULL);
}

static void put_secrets(struct wish *wish, struct json_node *root)
{
	struct json_node *secrets = put_map(wish, root, "secrets", JSON_IS_MAP), *map;

	for (const struct wish_secret *secret = wish->secrets; secret != NULL;
	     secret = secret->next) {
		map = put_map(wish, secrets, secret->name, JSON_IS_MAP);
		put_text(wish, map, "backend", BACKEND_NAME);
		put_text(wish, map, "path", secret->path);
		if (secret->verbatim && is_api_path(secret->path))
			json_put_bool(wish->edit, map, "verbatim", true);
		else if (secret->verbatim)
			put_text(wish, map, "verbatim", "answer");
		put_text(wish, map, "refresh", wish->refresh);
	}
}

static bool lies_in(const struct plan *plan, const struct wish_secret *secret,
		    const struct plan_directory *directory)
{
	const char *path = secret->directory != NULL ? secret->directory : plan->wish->directory;

	return !secret->no_file && strcmp(path, directory->path) == 0;
}

static const char *default_mode(const struct wish *wish)
{
	const struct json_node *context = json_get(json_get(wish->pod, "spec"), "securityContext");

	if (wish->dialect->mode != NULL)
		return wish->dialect->mode;
	return json_get(context, "fsGroup") != NULL ? MODE_FOR_GROUP : MODE_FOR_ALL;
}

static void put_directory(const struct plan *plan, struct json_node *list,
			  const struct plan_directory *directory)
{
	struct wish *wish = plan->wish;
	struct json_node *entries = json_new(wish->edit, JSON_IS_MAP), *map, *sink;

	for (const struct wish_secret *secret = wish->secrets; secret != NULL;
	     secret = secret->next) {
		if (!lies_in(plan, secret, directory))
			continue;
		map = put_map(wish, entries, secret->file, JSON_IS_MAP);
		put_text(wish, map, "secret", secret->name);
		put_text(wish, map, "format", secret->format);
		put_text(wish, map, "mode", secret->mode);
	}
	if (entries == NULL || entries->count == 0)
		return;
	sink = add_map(wish, list);
	put_text(wish, sink, "directory", directory->path);
	put_text(wish, sink, "mode", default_mode(wish));
	json_put(wish->edit, sink, "entries", entries);
}

static void put_variables(const struct plan *plan, struct json_node *list)
{
	struct wish *wish = plan->wish;
	struct json_node *sink = add_map(wish, list), *entries, *map;

	put_text(wish, sink, "directory", PLAN_ENV);
	put_text(wish, sink, "mode", MODE_FOR_KUBELET);
	entries = put_map(wish, sink, "entries", JSON_IS_MAP);
	for (const struct wish_variable *variable = wish->variables; variable != NULL;
	     variable = variable->next) {
		map = put_map(wish, entries, plan_env_file(plan, variable), JSON_IS_MAP);
		put_text(wish, map, "secret", variable->secret);
		put_text(wish, map, "field", variable->field);
		put_text(wish, map, "format", FORMAT_OF_KUBELET);
		put_text(wish, map, "variable", variable->name);
	}
}

static void put_files(const struct plan *plan, struct json_node *sinks)
{
	struct json_node *list = json_new(plan->wish->edit, JSON_IS_LIST);

	for (const struct plan_directory *directory = plan->directories; directory != NULL;
	     directory = directory->next)
		put_directory(plan, list, directory);
	if (plan->env_files)
		put_variables(plan, list);
	if (list != NULL && list->count > 0)
		json_put(plan->wish->edit, sinks, "files", list);
}

/* A container sees the secrets that it gets in another way too, and no others: files where it is
 * chosen, or where a socket is all that it asked for, and those of its variables. */
static void mark_seen(const struct plan *plan, const struct plan_target *target)
{
	bool files = target->chosen || !target->wrapped;

	for (struct wish_secret *secret = plan->wish->secrets; secret != NULL;
	     secret = secret->next)
		secret->seen = files && !secret->no_file;
	for (const struct wish_variable *variable = plan->wish->variables; variable != NULL;
	     variable = variable->next)
		if (variable->of != NULL && plan_gives(variable, target))
			variable->of->seen = true;
}

static void put_socket(const struct plan *plan, struct json_node *list,
		       const struct plan_target *target)
{
	struct wish *wish = plan->wish;
	struct json_node *secrets = json_new(wish->edit, JSON_IS_LIST), *sock, *allow;

	mark_seen(plan, target);
	for (const struct wish_secret *secret = wish->secrets; secret != NULL;
	     secret = secret->next)
		if (secret->seen)
			json_append(secrets, json_new_string(wish->edit, secret->name));
	/* An absent list would mean all of them. */
	if (secrets == NULL || secrets->count == 0)
		return;
	sock = add_map(wish, list);
	put_text(wish, sock, "path", wish_text(wish, PLAN_SOCKET "/%s/agent.sock", target->name));
	allow = add_map(wish, put_map(wish, sock, "allow", JSON_IS_LIST));
	put_text(wish, allow, "uid", "any");
	json_put(wish->edit, allow, "secrets", secrets);
}

static void put_sockets(const struct plan *plan, struct json_node *sinks)
{
	struct wish *wish = plan->wish;
	struct json_node *list = json_new(wish->edit, JSON_IS_LIST);

	for (size_t i = 0; i < plan->target_count; i++)
		if (plan->targets[i].socket)
			put_socket(plan, list, &plan->targets[i]);
	if (list != NULL && list->count > 0)
		json_put(wish->edit, sinks, "socket", list);
}

void agent_yaml_write(const struct plan *plan, struct buf *out)
{
	struct wish *wish = plan->wish;
	struct json_node *root = json_new(wish->edit, JSON_IS_MAP), *sinks, *log;

	put_backend(wish, root);
	put_secrets(wish, root);
	sinks = put_map(wish, root, "sinks", JSON_IS_MAP);
	put_files(plan, sinks);
	if (plan->sidecar)
		put_sockets(plan, sinks);
	if (plan->init && plan->sidecar)
		put_text(wish, root, "hand_over", PLAN_PRIVATE);
	if (wish->revoke)
		json_put_bool(wish->edit, root, "revoke_on_exit", true);
	if (wish->log_level != NULL || wish->log_format != NULL) {
		log = put_map(wish, root, "log", JSON_IS_MAP);
		put_text(wish, log, "level", wish->log_level);
		put_text(wish, log, "format", wish->log_format);
	}
	if (root != NULL && !wish->edit->failed)
		yaml_write(out, root, YAML_STYLE_COMPACT);
}

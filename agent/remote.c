/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/text.h"
#include "agent/io/unix_client.h"

enum { TARGET_MAX = 4096 };

static const struct json_limits limits = { .depth = 64,
					   .nodes = 50000,
					   .bytes = UNIX_CLIENT_REPLY_MAX };

static int odd_answer(const char *socket, struct error *err)
{
	return error_set(err, ERROR_PROTOCOL,
			 "what listens on '%s' did not answer as an agent does", socket);
}

static struct json_doc *read_body(const struct unix_reply *reply, struct error *err)
{
	struct json_doc *doc = json_doc_read(reply->body.data, reply->body.len, &limits, err);

	if (doc == NULL)
		(void)error_wrap(err, "the agent's answer");
	return doc;
}

/* ---- what there is ---- */

static int get(const struct remote *remote, const char *target, const char *known, int64_t more_ms,
	       struct unix_reply *ret, struct error *err)
{
	int64_t timeout_ms = remote->timeout_ms > 0 ? remote->timeout_ms : UNIX_CLIENT_TIMEOUT_MS;
	const struct unix_get asked = { .socket = remote->socket,
					.target = target,
					.if_none_match = known,
					.timeout_ms = timeout_ms + more_ms,
					.canceled_by = remote->canceled_by };

	return unix_client_get(clock_system(), &asked, ret, err);
}

static int no_connection(const struct remote *remote, struct error *err)
{
	return error_set(err, ERROR_UNAVAILABLE, "the agent at %s has no connection to spare",
			 remote->socket);
}

static int ask(const struct remote *remote, const char *target, struct json_doc **ret,
	       struct error *err)
{
	AUTO(unix_reply_deinit) struct unix_reply reply = { 0 };
	struct json_doc *doc;

	if (get(remote, target, NULL, 0, &reply, err) < 0)
		return -1;
	if (reply.status == 503)
		return no_connection(remote, err);
	if (reply.status != 200)
		return odd_answer(remote->socket, err);
	doc = read_body(&reply, err);
	if (doc == NULL)
		return -1;
	*ret = doc;
	return 0;
}

static int add_names(const char *socket, const struct json_node *list, struct config *config,
		     struct error *err)
{
	if (list == NULL || list->type != JSON_IS_LIST)
		return odd_answer(socket, err);
	config->secrets = calloc(list->count + 1, sizeof(*config->secrets));
	if (config->secrets == NULL)
		return error_no_memory(err);
	for (const struct json_node *item = list->first; item != NULL; item = item->next) {
		struct secret_spec *spec = &config->secrets[config->secret_count];
		const char *name = json_string(json_get(item, "name"));

		if (name == NULL)
			return odd_answer(socket, err);
		config->secret_count++;
		spec->name = strdup(name);
		spec->backend = strdup(REMOTE_BACKEND);
		spec->optional = !json_bool(json_get(item, "required"), true);
		if (spec->name == NULL || spec->backend == NULL)
			return error_no_memory(err);
	}
	return 0;
}

static int add_variables(const char *socket, const struct json_node *map, struct config *config,
			 struct error *err)
{
	if (map == NULL || map->type != JSON_IS_MAP)
		return odd_answer(socket, err);
	config->variables = calloc(map->count + 1, sizeof(*config->variables));
	if (config->variables == NULL)
		return error_no_memory(err);
	for (const struct json_node *item = map->first; item != NULL; item = item->next) {
		struct config_variable *variable = &config->variables[config->variable_count];
		const char *secret = json_string(json_get(item, "secret"));
		const char *field = json_string(json_get(item, "field"));

		if (secret == NULL || field == NULL || !config_variable_is_valid(item->key))
			return odd_answer(socket, err);
		config->variable_count++;
		variable->variable = strdup(item->key);
		variable->secret = strdup(secret);
		variable->field = strdup(field);
		if (variable->variable == NULL || variable->secret == NULL ||
		    variable->field == NULL)
			return error_no_memory(err);
	}
	return 0;
}

int remote_declare(const struct remote *remote, struct config *config, struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *names = NULL;
	AUTO(json_doc_freep) struct json_doc *variables = NULL;

	if (ask(remote, "/v1/secrets", &names, err) < 0 ||
	    ask(remote, "/v1/env", &variables, err) < 0)
		return -1;
	if (add_names(remote->socket, json_get(json_doc_root(names), "secrets"), config, err) < 0)
		return -1;
	return add_variables(remote->socket, json_doc_root(variables), config, err);
}

int remote_wait(const struct remote *remote, struct remote_mark *mark, int64_t wait_ms,
		struct error *err)
{
	AUTO(unix_reply_deinit) struct unix_reply reply = { 0 };
	char target[64];

	(void)snprintf(target, sizeof(target), "/v1/secrets?wait=%lldms", (long long)wait_ms);
	if (get(remote, target, mark->text[0] != '\0' ? mark->text : NULL, wait_ms, &reply, err) <
	    0)
		return -1;
	if (reply.status == 304)
		return 0;
	if (reply.status == 503)
		return no_connection(remote, err);
	if (reply.status != 200)
		return odd_answer(remote->socket, err);
	if (reply.etag[0] == '\0')
		return error_set(err, ERROR_PROTOCOL,
				 "the agent at %s is too old to say when its secrets change",
				 remote->socket);
	(void)snprintf(mark->text, sizeof(mark->text), "%s", reply.etag);
	return 1;
}

/* ---- one version ---- */

static int add_base64(struct secret_version *version, const struct json_node *node,
		      struct error *err)
{
	AUTO(buf_deinit) struct buf bytes = BUF_INIT(FIELD_VALUE_MAX);

	if (node->type != JSON_IS_STRING)
		return error_set(err, ERROR_PROTOCOL, "field '%s' is no base64", node->key);
	if (text_read_base64(&bytes, node->text, node->text_len, err) < 0)
		return error_wrap(err, "field '%s'", node->key);
	return secret_version_add_bytes(version, node->key, FIELD_STRING, bytes.data, bytes.len,
					err);
}

static int read_version(const struct unix_reply *reply, struct secret_version **ret,
			struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = read_body(reply, err);
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	const struct json_node *fields, *node;

	if (doc == NULL)
		return -1;
	version = secret_version_new(err);
	if (version == NULL)
		return -1;
	(void)snprintf(version->id, sizeof(version->id), "%.*s", (int)sizeof(version->id) - 1,
		       reply->etag);
	fields = json_get(json_doc_root(doc), "fields");
	if (fields == NULL || fields->type != JSON_IS_MAP)
		return error_set(err, ERROR_PROTOCOL, "the agent's answer has no fields");
	for (node = fields->first; node != NULL; node = node->next) {
		bool text = node->type == JSON_IS_STRING;

		if (secret_version_add_bytes(version, node->key, text ? FIELD_STRING : FIELD_JSON,
					     text ? node->text : node->raw,
					     text ? node->text_len : node->raw_len, err) < 0)
			return -1;
	}
	fields = json_get(json_doc_root(doc), "fields_base64");
	for (node = fields != NULL ? fields->first : NULL; node != NULL; node = node->next)
		if (add_base64(version, node, err) < 0)
			return error_wrap(err, "the agent's answer");
	*ret = STEAL(version);
	return 0;
}

/* The agent says itself which value it does not hand out. */
static int refused(const char *socket, const struct unix_reply *reply, struct error *err)
{
	struct error ignored;
	AUTO(json_doc_freep)
	struct json_doc *doc = json_doc_read(reply->body.data, reply->body.len, &limits, &ignored);
	const struct json_node *root = doc != NULL ? json_doc_root(doc) : NULL;
	const char *cause = json_string(json_get(root, "error"));
	const char *field = json_string(json_get(root, "field"));

	if (cause == NULL || field == NULL)
		return odd_answer(socket, err);
	return error_set(err, ERROR_BAD_DATA, "field '%s': %s", field, cause);
}

int remote_version(const struct remote *remote, const struct remote_wish *wish,
		   struct secret_version **ret, struct error *err)
{
	AUTO(buf_deinit) struct buf target = BUF_INIT(TARGET_MAX);
	AUTO(unix_reply_deinit) struct unix_reply reply = { 0 };
	const struct secret_version *known = wish->known;

	buf_puts(&target, "/v1/secrets/");
	text_write_percent(&target, wish->name, strlen(wish->name), "");
	if (wish->wait && known == NULL)
		buf_puts(&target, "?wait=1s");
	if (buf_check(&target, "the name", err) < 0)
		return -1;
	if (get(remote, target.data, known != NULL ? known->id : NULL, 0, &reply, err) < 0)
		return -1;
	switch (reply.status) {
	case 200:
		return read_version(&reply, ret, err) == 0 ? 1 : -1;
	case 304:
		return known != NULL ? 0 : odd_answer(remote->socket, err);
	case 404:
		return error_set(err, ERROR_NOT_FOUND,
				 "the agent at %s has no secret '%s' that uid %u may see",
				 remote->socket, wish->name, (unsigned)getuid());
	case 503:
		return error_set(err, ERROR_UNAVAILABLE,
				 "secret '%s' has not been fetched yet: see `agent status`",
				 wish->name);
	default:
		return refused(remote->socket, &reply, err);
	}
}

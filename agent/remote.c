/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/remote.h"

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

static int ask(const char *socket, const char *target, int64_t timeout_ms, struct json_doc **ret,
	       struct error *err)
{
	const struct unix_get get = { .socket = socket,
				      .target = target,
				      .timeout_ms = timeout_ms };
	AUTO(unix_reply_deinit) struct unix_reply reply = { 0 };
	struct json_doc *doc;

	if (unix_client_get(clock_system(), &get, &reply, err) < 0)
		return -1;
	if (reply.status == 503)
		return error_set(err, ERROR_UNAVAILABLE,
				 "the agent at %s has no connection to spare", socket);
	if (reply.status != 200)
		return odd_answer(socket, err);
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

int remote_declare(const char *socket, int64_t timeout_ms, struct config *config, struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *names = NULL;
	AUTO(json_doc_freep) struct json_doc *variables = NULL;

	if (ask(socket, "/v1/secrets", timeout_ms, &names, err) < 0 ||
	    ask(socket, "/v1/env", timeout_ms, &variables, err) < 0)
		return -1;
	if (add_names(socket, json_get(json_doc_root(names), "secrets"), config, err) < 0)
		return -1;
	return add_variables(socket, json_doc_root(variables), config, err);
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

int remote_version(const char *socket, const char *name, bool wait, int64_t timeout_ms,
		   struct secret_version **ret, struct error *err)
{
	AUTO(buf_deinit) struct buf target = BUF_INIT(TARGET_MAX);
	AUTO(unix_reply_deinit) struct unix_reply reply = { 0 };
	struct unix_get get = { .socket = socket, .timeout_ms = timeout_ms };

	buf_puts(&target, "/v1/secrets/");
	text_write_percent(&target, name, strlen(name), "");
	if (wait)
		buf_puts(&target, "?wait=1s");
	if (buf_check(&target, "the name", err) < 0)
		return -1;
	get.target = target.data;
	if (unix_client_get(clock_system(), &get, &reply, err) < 0)
		return -1;
	switch (reply.status) {
	case 200:
		return read_version(&reply, ret, err);
	case 404:
		return error_set(err, ERROR_NOT_FOUND,
				 "the agent at %s has no secret '%s' that uid %u may see", socket,
				 name, (unsigned)getuid());
	case 503:
		return error_set(err, ERROR_UNAVAILABLE,
				 "secret '%s' has not been fetched yet: see `agent status`", name);
	default:
		return refused(socket, &reply, err);
	}
}

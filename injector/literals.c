/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `value: vault:PATH#KEY`, as pods of bank-vaults' webhook write it. What would need more than one
 * read of one key is refused by name.
 */
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "injector/plan.h"
#include "injector/pod.h"

#define MARK	   "vault:"
#define WRITE_MARK ">>vault:"

struct literal {
	const char *container, *variable, *value;
	const struct json_node *env; /* that it stands in */
};

static int refuse(struct wish *wish, const struct literal *literal, const char *why)
{
	return wish_refuse(wish, REASON_UNSUPPORTED, "container '%.63s': %.80s: '%.80s' %s",
			   literal->container, literal->variable, literal->value, why);
}

static bool is_inline(const char *value)
{
	return strstr(value, "${" MARK) != NULL || strstr(value, "${" WRITE_MARK) != NULL;
}

/* The secret that this path is read as; one per path. */
static struct wish_secret *secret_of(struct wish *wish, const char *path)
{
	struct wish_secret *secret;
	const char *name;
	size_t count = 0;

	for (secret = wish->secrets; secret != NULL; secret = secret->next) {
		if (!secret->no_file)
			continue;
		if (strcmp(secret->path, path) == 0)
			return secret;
		count++;
	}
	/* A secret of the pod's own may be called so. */
	do {
		name = wish_text(wish, "literal.%zu", ++count);
	} while (wish_find_secret(wish, name) != NULL);
	secret = wish_secret(wish, name);
	if (secret == NULL)
		return NULL;
	secret->path = path;
	secret->no_file = true;
	/* Of KV v2 the path is the API's own, and the key lies a level deeper. */
	secret->verbatim = strstr(path, "/data/") != NULL;
	return secret;
}

static const char *field_of(struct wish *wish, const struct wish_secret *secret, const char *key)
{
	AUTO(buf_deinit) struct buf pointer = BUF_INIT(WISH_TEXT_MAX);

	if (!secret->verbatim)
		return key;
	buf_puts(&pointer, "/data/");
	for (; *key != '\0'; key++) {
		if (*key == '~' || *key == '/')
			buf_puts(&pointer, *key == '~' ? "~0" : "~1");
		else
			buf_putc(&pointer, *key);
	}
	return wish_text_buf(wish, &pointer);
}

static bool is_set_twice(const struct json_node *env, const char *variable)
{
	size_t count = 0;

	for (const struct json_node *item = env->first; item != NULL; item = item->next)
		count += strcmp(container_name(item), variable) == 0;
	return count > 1;
}

static int read_literal(struct wish *wish, const struct literal *literal)
{
	const char *path = literal->value + strlen(MARK);
	const char *hash = strchr(path, '#'), *key, *fault;
	const struct wish_secret *secret;

	if (hash == NULL)
		return refuse(wish, literal,
			      "names no key (and tokens and transit are not handed out): write it "
			      "as vault:secret/data/db#password");
	key = hash + 1;
	if (strstr(key, "${") != NULL)
		return refuse(wish, literal,
			      "holds a template: name one key, and do the rest in the application");
	if (strchr(key, '#') != NULL)
		return refuse(wish, literal, "asks for a version: leave it out for the newest");
	path = wish_text_bytes(wish, path, (size_t)(hash - path));
	fault = wish_path_fault(path);
	if (fault == NULL && *key == '\0')
		fault = "names no key: write it as vault:secret/data/db#password";
	if (fault == NULL && !config_variable_is_valid(literal->variable))
		fault = "stands in a variable whose name has other characters than letters, digits "
			"and '_': rename it";
	if (fault == NULL && is_set_twice(literal->env, literal->variable))
		fault = "stands in a variable that the container sets twice: keep one of them";
	if (fault != NULL)
		return refuse(wish, literal, fault);
	secret = secret_of(wish, path);
	if (secret == NULL)
		return wish->mutation->verdict == MUTATE_REFUSE ? -1 : 0;
	return wish_add_variable(wish, literal->variable, secret->name, field_of(wish, secret, key),
				 literal->container);
}

static int read_variable(struct wish *wish, const struct literal *literal)
{
	if (literal->value == NULL)
		return 0;
	if (text_starts_with(literal->value, WRITE_MARK))
		return refuse(wish, literal,
			      "would write to the server: ask for it with an agent.yaml");
	if (is_inline(literal->value))
		return refuse(wish, literal,
			      "puts a secret into a longer text: give it a variable of its own");
	return text_starts_with(literal->value, MARK) ? read_literal(wish, literal) : 0;
}

static int read_container(struct wish *wish, const struct json_node *container)
{
	const struct json_node *env = json_get(container, "env");
	const struct json_node *item = env != NULL && env->type == JSON_IS_LIST ? env->first : NULL;

	for (; item != NULL; item = item->next) {
		const struct literal literal = {
			.env = env,
			.container = container_name(container),
			.variable = container_name(item),
			.value = json_string(json_get(item, "value")),
		};

		if (read_variable(wish, &literal) < 0)
			return -1;
	}
	return 0;
}

int wish_read_literals(struct wish *wish)
{
	for (int init = 1; init >= 0; init--) {
		const struct json_node *item = pod_containers(wish->pod, init)->first;

		for (; item != NULL; item = item->next)
			if (wish_chooses(wish, item, init) && read_container(wish, item) < 0)
				return -1;
	}
	return 0;
}

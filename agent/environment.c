/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strings that the kernel laid out are overwritten where they lie, since /proc/PID/environ
 * shows that memory for as long as the process lives. What stays is named here; a deny list would
 * miss the next SSLKEYLOGFILE.
 */
#include "agent/environment.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"

static const char *const secret_names[] = { "BAO_TOKEN", "VAULT_TOKEN", "SOPS_AGE_KEY", NULL };

/* What we read ourselves, and nothing that a library reads; a trailing * stands for any rest. */
static const char *const allowed_names[] = {
	"HOME",
	"USER",
	"LOGNAME",
	"TERM",
	"NO_COLOR",
	"CI",
	"PWD",
	"XDG_CONFIG_HOME",
	"XDG_RUNTIME_DIR",
	"AGENT_*",
	"BAO_ADDR",
	"BAO_NAMESPACE",
	"VAULT_ADDR",
	"VAULT_NAMESPACE",
	"SOPS_AGE_KEY_FILE",
	"KUBERNETES_SERVICE_HOST",
	"KUBERNETES_SERVICE_PORT",
	NULL,
};

struct moved {
	char *name;
	struct secret *value;
};

struct environment {
	struct moved *items;
	size_t count;
};

static bool listed(const char *const *names, const char *name, size_t len)
{
	size_t size;

	for (; names != NULL && *names != NULL; names++) {
		size = strlen(*names);
		if ((*names)[size - 1] == '*'
			    ? len >= size - 1 && strncmp(*names, name, size - 1) == 0
			    : len == size && strncmp(*names, name, size) == 0)
			return true;
	}
	return false;
}

static int move_value(struct environment *environment, char *text, size_t name_len,
		      struct error *err)
{
	struct moved *item = &environment->items[environment->count];
	char *value = text + name_len + 1;

	item->name = strndup(text, name_len);
	if (item->name == NULL)
		return error_no_memory(err);
	environment->count++;
	item->value = secret_move(value, strlen(value), err);
	return item->value != NULL ? 0 : -1;
}

struct environment *environment_take(const char *const *names, struct error *err)
{
	AUTO(environment_freep) struct environment *environment = calloc(1, sizeof(*environment));
	size_t count = 0, kept = 0, len;

	while (environ[count] != NULL)
		count++;
	if (environment != NULL)
		environment->items = calloc(count + 1, sizeof(*environment->items));
	if (environment == NULL || environment->items == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}

	for (size_t i = 0; i < count; i++) {
		char *text = environ[i];

		len = strcspn(text, "=");
		if (text[len] == '=' &&
		    (listed(secret_names, text, len) || listed(names, text, len))) {
			if (move_value(environment, text, len, err) < 0)
				return NULL;
		} else if (listed(allowed_names, text, len)) {
			environ[kept++] = text;
		} else {
			/* It may be a secret that nobody declared: a database's password of the
			 * application. */
			wipe(text, strlen(text));
		}
	}
	environ[kept] = NULL;
	/* Every conversion of a time reads the zone: neither the user's file nor the system's. */
	if (setenv("TZ", "UTC0", 1) < 0) {
		(void)error_no_memory(err);
		return NULL;
	}
	return STEAL(environment);
}

struct environment *environment_free(struct environment *environment)
{
	if (environment == NULL)
		return NULL;
	for (size_t i = 0; i < environment->count; i++) {
		free(environment->items[i].name);
		(void)secret_unref(environment->items[i].value);
	}
	free(environment->items);
	free(environment);
	return NULL;
}

struct secret *environment_lookup(void *environment, const char *name)
{
	const struct environment *taken = environment;
	const char *value;
	struct error err;

	for (size_t i = 0; i < taken->count; i++)
		if (strcmp(taken->items[i].name, name) == 0)
			return secret_ref(taken->items[i].value);
	value = listed(allowed_names, name, strlen(name)) ? getenv(name) : NULL;
	return value != NULL ? secret_new(value, strlen(value), &err) : NULL;
}

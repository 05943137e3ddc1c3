/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/wish.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "injector/annotations.h"
#include "injector/pod.h"

enum { LINE_MAX_BYTES = 2048, LABEL_MAX = 63, HINT_NAMES_MAX = 256 };

const struct dialect own_dialect = {
	.prefix = OWN_PREFIX,
	.inject = OWN_PREFIX "inject",
	.status = OWN_PREFIX "status",
	.agent = "secrets-agent",
	.init = "secrets-agent-init",
	.volume = "secrets-agent-secrets",
	.directory = "/run/agent/secrets",
	.own = true,
};

/* The peers' files are for everybody in the container, whatever the pod's groups are. */
#define PEER_MODE "0644"

const struct dialect vault_dialect = {
	.prefix = VAULT_PREFIX,
	.inject = VAULT_PREFIX "agent-inject",
	.status = VAULT_PREFIX "agent-inject-status",
	.agent = "vault-agent",
	.init = "vault-agent-init",
	.volume = "vault-secrets",
	.directory = "/vault/secrets",
	.mode = PEER_MODE,
};

const struct dialect openbao_dialect = {
	.prefix = OPENBAO_PREFIX,
	.inject = OPENBAO_PREFIX "agent-inject",
	.status = OPENBAO_PREFIX "agent-inject-status",
	.agent = "openbao-agent",
	.init = "openbao-agent-init",
	.volume = "openbao-secrets",
	.directory = "/vault/secrets",
	.mode = PEER_MODE,
};

int wish_refuse(struct wish *wish, enum mutate_reason reason, const char *format, ...)
{
	struct mutation *mutation = wish->mutation;
	size_t used = 0;
	va_list args;

	if (mutation->verdict == MUTATE_REFUSE)
		return -1;
	mutation->verdict = MUTATE_REFUSE;
	mutation->reason = reason;
	if (wish->annotation != NULL)
		used = (size_t)snprintf(mutation->text, sizeof(mutation->text),
					"%.120s: ", wish->annotation);
	va_start(args, format);
	(void)vsnprintf(mutation->text + used, sizeof(mutation->text) - used, format, args);
	va_end(args);
	return -1;
}

const char *wish_text_bytes(struct wish *wish, const char *text, size_t len)
{
	const char *copy = pool_copy(&wish->edit->pool, text, len);

	if (copy != NULL)
		return copy;
	wish->edit->failed = true;
	return "";
}

const char *wish_text_buf(struct wish *wish, const struct buf *text)
{
	wish->edit->failed = wish->edit->failed || text->failed;
	return wish_text_bytes(wish, buf_string(text), text->len);
}

const char *wish_text(struct wish *wish, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = len >= 0 ? pool_alloc(&wish->edit->pool, (size_t)len + 1) : NULL;
	if (text == NULL) {
		wish->edit->failed = true;
		return "";
	}
	va_start(args, format);
	(void)vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	return text;
}

static void *take(struct wish *wish, size_t size)
{
	void *memory = pool_alloc(&wish->edit->pool, size);

	if (memory == NULL)
		wish->edit->failed = true;
	return memory;
}

struct wish_secret *wish_find_secret(const struct wish *wish, const char *name)
{
	struct wish_secret *secret = wish->secrets;

	while (secret != NULL && strcmp(secret->name, name) != 0)
		secret = secret->next;
	return secret;
}

struct wish_secret *wish_secret(struct wish *wish, const char *name)
{
	struct wish_secret *secret = wish_find_secret(wish, name);

	if (secret != NULL)
		return secret;
	if (wish->secret_count == WISH_SECRETS_MAX) {
		(void)wish_refuse(wish, REASON_ANNOTATION,
				  "more than %d secrets: give the pod fewer", WISH_SECRETS_MAX);
		return NULL;
	}
	wish->secret_count++;
	secret = take(wish, sizeof(*secret));
	if (secret == NULL)
		return NULL;
	*secret = (struct wish_secret){ .name = name, .next = wish->secrets };
	wish->secrets = secret;
	return secret;
}

static bool same_text(const char *one, const char *other)
{
	return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

int wish_add_variable(struct wish *wish, const char *name, const char *secret, const char *field,
		      const char *container)
{
	struct wish_variable *variable;

	for (variable = wish->variables; variable != NULL; variable = variable->next)
		if (strcmp(variable->name, name) == 0 && same_text(variable->container, container))
			return wish_refuse(wish, REASON_CONFLICT,
					   "the variable %.120s is asked for twice: keep one",
					   name);
	if (strlen(name) > WISH_VARIABLE_NAME_MAX)
		return wish_refuse(
			wish, REASON_ANNOTATION,
			"the name of variable %.40s… is longer than %d bytes: shorten it", name,
			WISH_VARIABLE_NAME_MAX);
	if (wish->variable_count == WISH_VARIABLES_MAX)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "more than %d variables: give the pod fewer",
				   WISH_VARIABLES_MAX);
	wish->variable_count++;
	variable = take(wish, sizeof(*variable));
	if (variable == NULL)
		return 0;
	*variable = (struct wish_variable){ .name = name,
					    .secret = secret,
					    .field = field,
					    .container = container,
					    .next = wish->variables };
	wish->variables = variable;
	return 0;
}

void wish_add_word(struct wish *wish, struct wish_word **list, const char *name, const char *value)
{
	struct wish_word *word = take(wish, sizeof(*word));

	if (word == NULL)
		return;
	*word = (struct wish_word){ .name = name, .value = value, .next = *list };
	*list = word;
}

/* Insertion: annotations come sorted from an API server, and were put in front one by one, so each
 * goes to the front again. */
static void sort_secrets(struct wish *wish)
{
	struct wish_secret *sorted = NULL, *next, **at;

	for (struct wish_secret *secret = wish->secrets; secret != NULL; secret = next) {
		next = secret->next;
		at = &sorted;
		while (*at != NULL && strcmp((*at)->name, secret->name) < 0)
			at = &(*at)->next;
		secret->next = *at;
		*at = secret;
	}
	wish->secrets = sorted;
}

static bool variable_less(const struct wish_variable *one, const struct wish_variable *other)
{
	int order = strcmp(one->name, other->name);

	if (order != 0)
		return order < 0;
	return strcmp(one->container != NULL ? one->container : "",
		      other->container != NULL ? other->container : "") < 0;
}

static void sort_variables(struct wish *wish)
{
	struct wish_variable *sorted = NULL, *next, **at;

	for (struct wish_variable *item = wish->variables; item != NULL; item = next) {
		next = item->next;
		at = &sorted;
		while (*at != NULL && variable_less(*at, item))
			at = &(*at)->next;
		item->next = *at;
		*at = item;
	}
	wish->variables = sorted;
}

void wish_sort(struct wish *wish)
{
	sort_secrets(wish);
	sort_variables(wish);
	for (struct wish_variable *variable = wish->variables; variable != NULL;
	     variable = variable->next)
		variable->of = wish_find_secret(wish, variable->secret);
}

/* ---- comma lists ---- */

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* The item at *list, and its length without the blanks behind it; false at the end. */
static bool next_item(const char **list, const char **item, size_t *len)
{
	*item = skip_blanks(*list);
	if (**item == '\0')
		return false;
	*len = strcspn(*item, ",");
	*list = *item + *len + ((*item)[*len] == ',' ? 1 : 0);
	while (*len > 0 && strchr(" \t\r\n", (*item)[*len - 1]) != NULL)
		(*len)--;
	return true;
}

const char *wish_next_item(struct wish *wish, const char **list)
{
	const char *item;
	size_t len;

	return next_item(list, &item, &len) ? wish_text_bytes(wish, item, len) : NULL;
}

bool wish_list_has(const char *list, const char *item)
{
	const char *found;
	size_t len;

	while (next_item(&list, &found, &len))
		if (strlen(item) == len && memcmp(found, item, len) == 0)
			return true;
	return false;
}

/* ---- values ---- */

int wish_check_line(struct wish *wish, const char *value)
{
	if (value[0] == '\0')
		return wish_refuse(wish, REASON_ANNOTATION, "it has no value: write one");
	if (strlen(value) > LINE_MAX_BYTES)
		return wish_refuse(wish, REASON_ANNOTATION, "longer than %d bytes", LINE_MAX_BYTES);
	for (const char *at = value; *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return wish_refuse(wish, REASON_ANNOTATION,
					   "'%.40s' holds a control character: write one line of "
					   "text",
					   value);
	return 0;
}

int wish_check_label(struct wish *wish, const char *value, const char *what)
{
	if (!object_name_is_valid(value))
		return wish_refuse(wish, REASON_ANNOTATION,
				   "'%.80s' cannot be the name of a %s: use small letters, digits, "
				   "'-' and '.'",
				   value, what);
	return 0;
}

const char *wish_path_fault(const char *path)
{
	const char *segment = path[0] == '/' ? path + 1 : path;
	size_t len;

	if (*segment == '\0')
		return "names nothing: write it as secret/db";
	for (;; segment += len + 1) {
		len = strcspn(segment, "/");
		if (len == 0)
			return "has an empty segment: write it as secret/db";
		if (segment[0] == '.' && (len == 1 || (len == 2 && segment[1] == '.')))
			return "has a segment that is . or ..: write it as secret/db";
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)segment[i] < 0x20 || segment[i] == 0x7f ||
			    segment[i] == '?' || segment[i] == '#')
				return "holds ?, # or a control character: write it as secret/db";
		if (segment[len] == '\0')
			return NULL;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets-agent/…: strict, since a mistake that is passed over is found in production.
 */
#include "injector/own.h"

#include <signal.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/config/paths.h"
#include "agent/config/sections.h"
#include "injector/annotations.h"

enum { SIGNALS_MAX = 32, NAMES_MAX = 128, MODE_MOST = 0777 };

static const char *const formats[] = { "field", "json", "env", "yaml", "raw", "pem", NULL };
static const char *const env_methods[] = { "auto", "kubelet", "run", NULL };
static const char *const shapes[] = { "sidecar", "init", "both", NULL };

static int choose(struct wish *wish, const char *const *choices, const char *value)
{
	const char *nearest = text_nearest(value, choices);
	const char *list = "";

	for (int i = 0; choices[i] != NULL; i++) {
		if (strcmp(choices[i], value) == 0)
			return i;
		list = wish_text(wish, "%s%s%s", list, i > 0 ? ", " : "", choices[i]);
	}
	return wish_refuse(wish, REASON_ANNOTATION, "'%.40s' is not one of %s%s%s%s", value, list,
			   nearest != NULL ? " (did you mean '" : "",
			   nearest != NULL ? nearest : "", nearest != NULL ? "'?)" : "");
}

static struct wish_secret *named(struct wish *wish, const char *name)
{
	if (!config_name_is_valid(name)) {
		(void)wish_refuse(wish, REASON_ANNOTATION,
				  "'%.80s' is no name of a secret: use letters, digits, '.', '_' "
				  "and '-', without '..'",
				  name);
		return NULL;
	}
	return wish_secret(wish, name);
}

/* NULL secret: refused, or out of memory, which the edit has latched. */
static int outcome(const struct wish *wish)
{
	return wish->mutation->verdict == MUTATE_REFUSE ? -1 : 0;
}

static int read_role(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->role = value;
	return wish_check_line(wish, value);
}

static int read_secret(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret = named(wish, member);
	const char *fault;

	if (secret == NULL)
		return outcome(wish);
	if (wish_check_line(wish, value) < 0)
		return -1;
	fault = wish_path_fault(value);
	if (fault != NULL)
		return wish_refuse(wish, REASON_ANNOTATION, "the path '%.120s' %s", value, fault);
	secret->path = value;
	return 0;
}

static int read_file(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret = named(wish, member);
	const char *fault = entry_path_fault(value);

	if (secret == NULL)
		return outcome(wish);
	if (fault != NULL)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "'%.120s' %s: write a path below /run/agent/secrets, as db.json",
				   value, fault);
	secret->file = value;
	return 0;
}

static int read_format(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret = named(wish, member);
	int format;

	if (secret == NULL)
		return outcome(wish);
	format = choose(wish, formats, value);
	if (format < 0)
		return -1;
	secret->format = format > 0 ? formats[format] : NULL;
	return 0;
}

static int read_mode(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret = named(wish, member);
	unsigned mode;
	struct error err;

	if (secret == NULL)
		return outcome(wish);
	if (text_read_mode(value, &mode, &err) < 0)
		return wish_refuse(wish, REASON_ANNOTATION, "%s", err.text);
	if (mode > MODE_MOST || (mode & 0444) == 0)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "'%.20s' lets nobody read it, or has a special bit: write it as "
				   "\"0440\"",
				   value);
	secret->mode = value;
	return 0;
}

/* NAME.FIELD is taken apart once every name is known. */
static int add_variable(struct wish *wish, const char *variable, const char *reference)
{
	if (!config_variable_is_valid(variable))
		return wish_refuse(wish, REASON_ANNOTATION,
				   "'%.80s' cannot be the name of a variable: use letters, digits "
				   "and '_', no digit first",
				   variable);
	if (reference[0] == '\0')
		return wish_refuse(wish, REASON_ANNOTATION,
				   "%.80s has no value: write it as NAME.FIELD, as db.password",
				   variable);
	return wish_add_variable(wish, variable, NULL, reference, NULL);
}

static int read_env(struct wish *wish, const char *member, const char *value)
{
	return add_variable(wish, member, value);
}

static int read_env_list(struct wish *wish, const char *member, const char *value)
{
	const char *item, *equals;

	(void)member;
	while ((item = wish_next_item(wish, &value)) != NULL) {
		equals = strchr(item, '=');
		if (equals == NULL)
			return wish_refuse(wish, REASON_ANNOTATION,
					   "'%.80s' is no VAR=NAME.FIELD: write it as "
					   "\"DB_PASSWORD=db.password, API_KEY=api.key\"",
					   item);
		if (add_variable(wish, wish_text_bytes(wish, item, (size_t)(equals - item)),
				 equals + 1) < 0)
			return -1;
	}
	return 0;
}

static int read_env_method(struct wish *wish, const char *member, const char *value)
{
	int method = choose(wish, env_methods, value);

	(void)member;
	if (method < 0)
		return -1;
	wish->env_method = (enum wish_env_method)method;
	return 0;
}

static int read_containers(struct wish *wish, const char *member, const char *value)
{
	const char *rest = value;

	(void)member;
	if (wish_next_item(wish, &rest) == NULL)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "it names no container: list them, as \"web,worker\", or remove "
				   "it for all");
	wish->containers = value;
	return 0;
}

static int read_socket(struct wish *wish, const char *member, const char *value)
{
	struct error ignored;
	bool on;

	(void)member;
	/* A container called "true" is meant by nobody. */
	if (annotation_read_bool(value, &on, &ignored) == 0)
		wish->sockets = on ? "*" : NULL;
	else
		wish->sockets = value;
	return 0;
}

static bool is_signal(const char *name)
{
	if (text_starts_with(name, "SIG"))
		name += strlen("SIG");
	for (int number = 1; number < SIGNALS_MAX; number++)
		if (sigabbrev_np(number) != NULL && strcmp(sigabbrev_np(number), name) == 0)
			return number != SIGKILL && number != SIGSTOP;
	return false;
}

static int read_on_change(struct wish *wish, const char *member, const char *value)
{
	if (!is_signal(value))
		return wish_refuse(wish, REASON_ANNOTATION,
				   "'%.40s' is no signal that a process can take: write it as HUP",
				   value);
	wish_add_word(wish, &wish->signals, member, value);
	return 0;
}

static int read_config(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->config_map = value;
	return wish_check_label(wish, value, "ConfigMap");
}

static int read_shape(struct wish *wish, const char *member, const char *value)
{
	int shape = choose(wish, shapes, value);

	(void)member;
	if (shape < 0)
		return -1;
	wish->shape = (enum wish_shape)(shape + 1);
	return 0;
}

static int read_ours(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	(void)value;
	if (wish->again)
		return 0;
	return wish_refuse(wish, REASON_ANNOTATION, "it is set by the injector alone: remove it");
}

#define HONOURED(name_, read_)                                                                     \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_HONOUR, .read = (read_)                       \
	}
#define FAMILY(name_, read_)                                                                       \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_HONOUR, .family = true, .read = (read_)       \
	}

const struct annotation own_annotations[] = {
	HONOURED("inject", NULL),
	HONOURED("status", NULL),
	HONOURED("profile", NULL),
	HONOURED("ca", read_ours),
	HONOURED("role", read_role),
	FAMILY("secret.", read_secret),
	FAMILY("file.", read_file),
	FAMILY("format.", read_format),
	FAMILY("mode.", read_mode),
	FAMILY("env.", read_env),
	HONOURED("env", read_env_list),
	HONOURED("env-method", read_env_method),
	HONOURED("containers", read_containers),
	HONOURED("socket", read_socket),
	FAMILY("on-change.", read_on_change),
	HONOURED("shape", read_shape),
	{ .name = "config", .class = ANNOTATION_GATE, .gate = ALLOW_CONFIG, .read = read_config },
	{ .name = NULL },
};

/* ---- together ---- */

static const char *nearest_secret(const struct wish *wish, const char *name)
{
	const char *names[NAMES_MAX + 1] = { NULL };
	size_t count = 0;

	for (const struct wish_secret *secret = wish->secrets; secret != NULL && count < NAMES_MAX;
	     secret = secret->next)
		if (secret->path != NULL)
			names[count++] = secret->name;
	return text_nearest(name, names);
}

static int refuse_undeclared(struct wish *wish, const char *name)
{
	const char *nearest = nearest_secret(wish, name);

	return wish_refuse(wish, REASON_ANNOTATION,
			   "there is no secret '%.80s'%s%s%s: add secrets-agent/secret.%.80s with "
			   "its path",
			   name, nearest != NULL ? " (did you mean '" : "",
			   nearest != NULL ? nearest : "", nearest != NULL ? "'?)" : "", name);
}

static int check_declared(struct wish *wish)
{
	for (const struct wish_secret *secret = wish->secrets; secret != NULL;
	     secret = secret->next) {
		if (secret->path != NULL)
			continue;
		wish->annotation = wish_text(wish, OWN_PREFIX "%s.%.80s",
					     secret->file != NULL     ? "file"
					     : secret->format != NULL ? "format"
					     : secret->mode != NULL   ? "mode"
								      : "format",
					     secret->name);
		return refuse_undeclared(wish, secret->name);
	}
	return 0;
}

/* db.password, my.app.key, db#/nested/key: the longest declared name wins. */
static int resolve(struct wish *wish, struct wish_variable *variable)
{
	const char *reference = variable->field;
	size_t best = 0, len;

	wish->annotation = wish_text(wish, OWN_PREFIX "env.%.80s", variable->name);
	for (const struct wish_secret *secret = wish->secrets; secret != NULL;
	     secret = secret->next) {
		len = strlen(secret->name);
		if (len > best && strncmp(reference, secret->name, len) == 0 &&
		    (reference[len] == '.' || reference[len] == '#') &&
		    reference[len + 1] != '\0') {
			best = len;
			variable->secret = secret->name;
		}
	}
	if (best > 0) {
		variable->field = reference + best + 1;
		return wish_check_line(wish, variable->field);
	}
	len = strcspn(reference, ".#");
	if (wish_find_secret(wish, reference) != NULL || len == 0 || reference[len] == '\0' ||
	    strchr(".#", reference[strlen(reference) - 1]) != NULL)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "'%.80s' names no field: write it as NAME.FIELD, as db.password",
				   reference);
	return refuse_undeclared(wish, wish_text_bytes(wish, reference, len));
}

static int resolve_variables(struct wish *wish)
{
	for (struct wish_variable *variable = wish->variables; variable != NULL;
	     variable = variable->next)
		if (variable->secret == NULL && resolve(wish, variable) < 0)
			return -1;
	return 0;
}

/* db.json, db.env: what a reader would look for. */
static void name_files(struct wish *wish)
{
	for (struct wish_secret *secret = wish->secrets; secret != NULL; secret = secret->next) {
		if (secret->file != NULL)
			continue;
		secret->file = secret->format == NULL || strcmp(secret->format, "raw") == 0
				       ? secret->name
				       : wish_text(wish, "%s.%s", secret->name, secret->format);
	}
}

static int check_files(struct wish *wish)
{
	for (const struct wish_secret *one = wish->secrets; one != NULL; one = one->next)
		for (const struct wish_secret *other = one->next; other != NULL;
		     other = other->next) {
			if (one->no_file || other->no_file ||
			    (strcmp(one->file, other->file) != 0 &&
			     !entry_path_holds(one->file, other->file) &&
			     !entry_path_holds(other->file, one->file)))
				continue;
			wish->annotation = wish_text(wish, OWN_PREFIX "file.%.80s", other->name);
			return wish_refuse(wish, REASON_CONFLICT,
					   "'%.80s' collides with '%.80s', the file of secret "
					   "'%.80s': give one of them another file",
					   other->file, one->file, one->name);
		}
	return 0;
}

static int check_config_map(struct wish *wish)
{
	wish->annotation = OWN_PREFIX "config";
	if (wish->secrets != NULL || wish->variables != NULL || wish->role != NULL)
		return wish_refuse(wish, REASON_CONFLICT,
				   "the ConfigMap's agent.yaml says all of it: remove the secret, "
				   "file, format, mode, env and role annotations");
	if (wish->signals != NULL)
		return wish_refuse(
			wish, REASON_CONFLICT,
			"on-change works with variables of annotations alone: remove it");
	wish->annotation = NULL;
	return 0;
}

int own_finish(struct wish *wish)
{
	if (wish->config_map != NULL)
		return check_config_map(wish);
	if (wish->secrets == NULL) {
		wish->annotation = wish->dialect->inject;
		return wish_refuse(wish, REASON_ANNOTATION,
				   "the pod names no secret: add " OWN_PREFIX
				   "secret.NAME with a path, as secret/db");
	}
	if (check_declared(wish) < 0 || resolve_variables(wish) < 0)
		return -1;
	name_files(wish);
	wish_sort(wish);
	if (check_files(wish) < 0)
		return -1;
	wish->annotation = NULL;
	if (wish->role == NULL)
		wish->role = wish->profile->role;
	if (wish->role == NULL && wish->profile->auth_method == PROFILE_KUBERNETES)
		return wish_refuse(wish, REASON_ANNOTATION,
				   OWN_PREFIX
				   "role is missing, and profile '%.80s' has none: add "
				   "it with the role to sign in as",
				   wish->profile->name);
	return 0;
}

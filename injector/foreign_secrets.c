/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which secrets a pod of the peers wants, and the files that they become.
 */
#include "injector/foreign.h"

#include <string.h>

#include "agent/base/text.h"
#include "agent/config/paths.h"
#include "agent/config/sections.h"
#include "injector/annotations.h"
#include "injector/foreign_readers.h"
#include "injector/plan.h"
#include "injector/pod.h"

enum { MODE_MOST = 0777 };

#define FORMAT_MAP  "go-map"
#define FORMAT_JSON "go-json"

void foreign_warn(struct wish *wish, const char *why)
{
	mutation_warn(wish->mutation, "%s is ignored: %s", wish->annotation, why);
}

int foreign_refuse_error(struct wish *wish, const struct error *err)
{
	return wish_refuse(wish, REASON_ANNOTATION, "%s", err->text);
}

int foreign_take_bool(struct wish *wish, const char *value, bool *ret)
{
	struct error err;

	return annotation_read_bool(value, ret, &err) < 0 ? foreign_refuse_error(wish, &err) : 0;
}

/* ---- what to fetch ---- */

static int get_secret(struct wish *wish, const char *name, struct wish_secret **ret)
{
	*ret = NULL;
	if (!config_name_is_valid(name))
		return wish_refuse(
			wish, REASON_UNSUPPORTED,
			"'%.80s' cannot be the name of a secret here: rename it, without "
			"'..'",
			name);
	*ret = wish_secret(wish, name);
	return *ret != NULL || wish->mutation->verdict != MUTATE_REFUSE ? 0 : -1;
}

int foreign_read_secret(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret;
	const char *fault;

	if (value[strspn(value, " \t\r\n")] == '\0')
		return 0;
	if (get_secret(wish, member, &secret) < 0)
		return -1;
	fault = wish_path_fault(value);
	if (fault != NULL)
		return wish_refuse(wish, REASON_UNSUPPORTED, "the path '%.120s' %s", value, fault);
	if (secret != NULL) {
		secret->path = value[0] == '/' ? value + 1 : value;
		secret->verbatim = true;
	}
	return 0;
}

int foreign_read_file(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret;

	if (get_secret(wish, member, &secret) < 0)
		return -1;
	if (secret != NULL)
		secret->file = value;
	return 0;
}

int foreign_read_perms(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret;
	unsigned mode;
	struct error err;

	if (get_secret(wish, member, &secret) < 0)
		return -1;
	if (text_read_mode(value, &mode, &err) < 0 || mode > MODE_MOST)
		foreign_warn(wish, "it is no mode; write it as \"0644\"");
	else if (secret != NULL)
		secret->mode = value;
	return 0;
}

int foreign_read_default_template(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	if (strcasecmp(value, "map") != 0 && strcasecmp(value, "json") != 0)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "'%.40s' is neither map nor json: write one of them", value);
	wish->default_format = strcasecmp(value, "map") == 0 ? FORMAT_MAP : FORMAT_JSON;
	return 0;
}

int foreign_check_bool(struct wish *wish, const char *member, const char *value)
{
	bool ignored;

	(void)member;
	return foreign_take_bool(wish, value, &ignored);
}

/* As a path is joined to a directory: "." and empty components go, ".." takes one away. */
static const char *clean(struct wish *wish, const char *path)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(WISH_TEXT_MAX);
	size_t len;

	for (; *path != '\0'; path += len) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0 || (len == 1 && path[0] == '.'))
			continue;
		if (len == 2 && path[0] == '.' && path[1] == '.') {
			const char *slash = text.len > 0 ? strrchr(text.data, '/') : NULL;

			if (text.len == 0)
				return "..";
			buf_truncate(&text, slash != NULL ? (size_t)(slash - text.data) : 0);
			continue;
		}
		if (text.len > 0)
			buf_putc(&text, '/');
		buf_put(&text, path, len);
	}
	return wish_text_buf(wish, &text);
}

/* What the agent's own container has in its place. */
static bool hides_agent(const char *path)
{
	static const char *const places[] = { PLAN_PROGRAM, "/etc/agent",  "/etc/ssl/certs",
					      PLAN_PRIVATE, PLAN_IDENTITY, PLAN_ENV,
					      PLAN_SOCKET,  PLAN_BIN };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (path_covers(path, places[i]) || path_covers(places[i], path))
			return true;
	return false;
}

/* An absolute path without what an API server refuses, one spelling of it. */
static int read_directory(struct wish *wish, const char *value, const char **ret)
{
	const char *path = clean(wish, value);

	if (value[0] != '/' || path[0] == '\0' || strchr(value, ':') != NULL ||
	    strstr(value, "..") != NULL)
		return wish_refuse(
			wish, REASON_ANNOTATION,
			"'%.120s' is no directory to mount at: write an absolute path, as "
			"/vault/secrets",
			value);
	path = wish_text(wish, "/%s", path);
	if (hides_agent(path))
		return wish_refuse(wish, REASON_UNSUPPORTED,
				   "'%.120s' is where the agent has files of its own: choose "
				   "another directory",
				   value);
	if (path_covers(path, "/run/secrets"))
		mutation_warn(wish->mutation,
			      "%s: the service account's token is mounted below %s, so the files "
			      "are mounted writable",
			      wish->annotation, value);
	*ret = path;
	return 0;
}

int foreign_read_volume_path(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	return read_directory(wish, value, &wish->directory);
}

int foreign_read_volume_path_of(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret;

	if (get_secret(wish, member, &secret) < 0)
		return -1;
	return secret != NULL ? read_directory(wish, value, &secret->directory) : 0;
}

int foreign_read_case(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	return foreign_take_bool(wish, value, &wish->keep_case);
}

int foreign_read_case_of(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret;

	if (get_secret(wish, member, &secret) < 0)
		return -1;
	return secret != NULL ? foreign_take_bool(wish, value, &secret->keep_case) : 0;
}

/* ---- together ---- */

static void drop_undeclared(struct wish *wish)
{
	struct wish_secret **at = &wish->secrets;

	while (*at != NULL) {
		if ((*at)->path != NULL) {
			at = &(*at)->next;
			continue;
		}
		mutation_warn(wish->mutation,
			      "%sagent-inject-secret-%s is missing: what is said "
			      "about %s is ignored",
			      wish->dialect->prefix, (*at)->name, (*at)->name);
		*at = (*at)->next;
	}
}

static const char *lower(struct wish *wish, const char *name)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(WISH_TEXT_MAX);

	for (; *name != '\0'; name++)
		buf_putc(&text, *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name);
	return wish_text_buf(wish, &text);
}

static int name_file(struct wish *wish, struct wish_secret *secret)
{
	const char *fault;

	if (secret->file == NULL)
		secret->file = wish->keep_case || secret->keep_case ? secret->name
								    : lower(wish, secret->name);
	secret->file = clean(wish, secret->file);
	secret->format = wish->default_format != NULL ? wish->default_format : FORMAT_MAP;
	fault = entry_path_fault(secret->file);
	if (fault == NULL)
		return 0;
	wish->annotation =
		wish_text(wish, "%sagent-inject-file-%.80s", wish->dialect->prefix, secret->name);
	return wish_refuse(wish, REASON_UNSUPPORTED,
			   "'%.120s' %s: write a path below the directory of secrets", secret->file,
			   fault);
}

static bool collide(const struct wish *wish, const struct wish_secret *one,
		    const struct wish_secret *other)
{
	const char *left = one->directory != NULL ? one->directory : wish->directory;
	const char *right = other->directory != NULL ? other->directory : wish->directory;

	return strcmp(left, right) == 0 &&
	       (strcmp(one->file, other->file) == 0 || entry_path_holds(one->file, other->file) ||
		entry_path_holds(other->file, one->file));
}

static int check_files(struct wish *wish)
{
	for (const struct wish_secret *one = wish->secrets; one != NULL; one = one->next)
		for (const struct wish_secret *other = one->next; other != NULL;
		     other = other->next)
			if (collide(wish, one, other))
				return wish_refuse(
					wish, REASON_CONFLICT,
					"%sagent-inject-secret-%.80s and -%.80s make one "
					"file '%.80s': name another with "
					"agent-inject-file-%.80s",
					wish->dialect->prefix, one->name, other->name, one->file,
					other->name);
	return 0;
}

static void settle_shape(struct wish *wish)
{
	if (wish->shape == SHAPE_AUTO && wish->no_init)
		wish->shape = SHAPE_SIDECAR;
}

int foreign_finish(struct wish *wish)
{
	wish->annotation = NULL;
	drop_undeclared(wish);
	settle_shape(wish);
	if (wish->secrets == NULL)
		mutation_warn(wish->mutation,
			      "%sagent-inject: the pod names no secret: add "
			      "%sagent-inject-secret-NAME with a path",
			      wish->dialect->prefix, wish->dialect->prefix);
	for (struct wish_secret *secret = wish->secrets; secret != NULL; secret = secret->next)
		if (name_file(wish, secret) < 0)
			return -1;
	wish_sort(wish);
	if (check_files(wish) < 0)
		return -1;
	if (wish->role == NULL)
		wish->role = wish->profile->role;
	if (wish->role == NULL && wish->profile->auth_method == PROFILE_KUBERNETES &&
	    wish->auth_method == NULL) {
		wish->annotation = wish_text(wish, "%srole", wish->dialect->prefix);
		return wish_refuse(wish, REASON_ANNOTATION,
				   "it is missing, and profile '%.80s' has none: add it with the "
				   "role to sign in as",
				   wish->profile->name);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the peers' annotations say about the server, and how the agent deals with it.
 */
#include <string.h>

#include "agent/base/text.h"
#include "injector/annotations.h"
#include "injector/foreign_readers.h"

enum { SECOND_MS = 1000 };

FOREIGN_TAKE(foreign_read_role, role)
FOREIGN_TAKE(foreign_read_server_name, server_name)
FOREIGN_TAKE(foreign_read_ca_cert, ca_file)
FOREIGN_TAKE(foreign_read_client_cert, cert_file)
FOREIGN_TAKE(foreign_read_client_key, key_file)

bool foreign_is_profiles_service(const struct wish *wish, const char *value)
{
	size_t len = strlen(value);

	while (len > 0 && value[len - 1] == '/')
		len--;
	for (size_t i = 0; i < wish->profile->address.count; i++)
		if (strncmp(wish->profile->address.items[i], value, len) == 0 &&
		    wish->profile->address.items[i][len] == '\0')
			return true;
	return false;
}

static const char *without_auth(const char *path)
{
	return text_starts_with(path, "auth/") ? path + strlen("auth/") : path;
}

bool foreign_is_profiles_mount(const struct wish *wish, const char *value)
{
	const char *mount = wish->profile->auth_mount;

	if (mount == NULL)
		mount = wish->profile->auth_method == PROFILE_JWT ? "jwt" : "kubernetes";
	return strcmp(without_auth(value), mount) == 0;
}

int foreign_read_auth_path(struct wish *wish, const char *member, const char *value)
{
	const char *fault;

	(void)member;
	wish->auth_mount = without_auth(value);
	fault = wish->auth_mount[0] == '/' ? "starts with a slash"
					   : wish_path_fault(wish->auth_mount);
	if (fault != NULL)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "'%.120s' %s: write it as auth/kubernetes", value, fault);
	return 0;
}

/* Goes into a header, or into a line of HTTP. */
static bool is_graphic(const char *value)
{
	for (; *value != '\0'; value++)
		if ((unsigned char)*value <= 0x20 || (unsigned char)*value >= 0x7f)
			return false;
	return true;
}

int foreign_read_namespace(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	if (!is_graphic(value))
		return wish_refuse(
			wish, REASON_ANNOTATION,
			"'%.80s' holds a space or a character that is no ASCII: write it "
			"as team/a",
			value);
	wish->vault_namespace = value;
	return 0;
}

int foreign_read_service(struct wish *wish, const char *member, const char *value)
{
	bool plain = text_starts_with(value, "http://") && wish->profile->insecure_http;
	const char *host = strstr(value, "://");

	(void)member;
	if ((!plain && !text_starts_with(value, "https://")) || !is_graphic(value) ||
	    host[strlen("://")] == '\0' || strpbrk(host + strlen("://"), "/?#@\\<>\"") != NULL)
		return wish_refuse(
			wish, REASON_ANNOTATION,
			"'%.120s' is no address: write it as https://vault.vault.svc:8200", value);
	wish->service = value;
	return 0;
}

int foreign_read_auth_type(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	if (strcmp(value, "kubernetes") != 0 && strcmp(value, "jwt") != 0)
		return wish_refuse(wish, REASON_UNSUPPORTED,
				   "'%.40s' is not supported yet: use kubernetes or jwt", value);
	wish->auth_method = value;
	return 0;
}

int foreign_read_auth_config(struct wish *wish, const char *member, const char *value)
{
	if (strcmp(member, "role") == 0) {
		wish->role = value;
		return wish_check_line(wish, value);
	}
	if (strcmp(member, "token-path") == 0 || strcmp(member, "path") == 0 ||
	    strcmp(member, "remove-jwt-after-reading") == 0) {
		foreign_warn(wish, "the agent signs in with a token of its own");
		return 0;
	}
	return wish_refuse(wish, REASON_UNSUPPORTED,
			   "this parameter is not supported: kubernetes and jwt need the role "
			   "alone; remove it");
}

int foreign_read_interval(struct wish *wish, const char *member, const char *value)
{
	int64_t ms;
	struct error err;

	(void)member;
	if (text_read_duration(value, &ms, &err) < 0 || ms < SECOND_MS)
		foreign_warn(wish, "it is no duration of a second or more, as 5m");
	else
		wish->refresh = value;
	return 0;
}

int foreign_read_revoke(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	(void)value;
	wish->revoke = true;
	return 0;
}

int foreign_read_log_level(struct wish *wish, const char *member, const char *value)
{
	static const char *const levels[][2] = {
		{ "trace", "trace" },  { "debug", "debug" }, { "info", "info" }, { "warn", "warn" },
		{ "warning", "warn" }, { "error", "error" }, { "err", "error" },
	};

	(void)member;
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcasecmp(levels[i][0], value) == 0) {
			wish->log_level = levels[i][1];
			return 0;
		}
	foreign_warn(wish, "there is no such level; write info or debug");
	return 0;
}

int foreign_read_log_format(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->log_format = strcasecmp(value, "json") == 0 ? "json" : NULL;
	return 0;
}

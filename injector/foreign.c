/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault.hashicorp.com/… and openbao.org/…: what vault-k8s 1.7 knows, a row each. A pod gets the
 * same files at the same paths; what cannot be given is refused by name, and what the peers take
 * without a word is at most a warning here.
 */
#include "injector/foreign.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/paths.h"
#include "agent/config/sections.h"
#include "injector/annotations.h"
#include "injector/plan.h"
#include "injector/pod.h"
#include "injector/quantity.h"

enum { MODE_MOST = 0777, PATH_MOST = 4096, SECOND_MS = 1000 };

#define FORMAT_MAP  "go-map"
#define FORMAT_JSON "go-json"

static void warn(struct wish *wish, const char *why)
{
	mutation_warn(wish->mutation, "%s is ignored: %s", wish->annotation, why);
}

static int refuse_error(struct wish *wish, const struct error *err)
{
	return wish_refuse(wish, REASON_ANNOTATION, "%s", err->text);
}

static int read_bool(struct wish *wish, const char *value, bool *ret)
{
	struct error err;

	return annotation_read_bool(value, ret, &err) < 0 ? refuse_error(wish, &err) : 0;
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

static int read_secret(struct wish *wish, const char *member, const char *value)
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

static int read_file(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret;

	if (get_secret(wish, member, &secret) < 0)
		return -1;
	if (secret != NULL)
		secret->file = value;
	return 0;
}

static int read_perms(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret;
	unsigned mode;
	struct error err;

	if (get_secret(wish, member, &secret) < 0)
		return -1;
	if (text_read_mode(value, &mode, &err) < 0 || mode > MODE_MOST)
		warn(wish, "it is no mode; write it as \"0644\"");
	else if (secret != NULL)
		secret->mode = value;
	return 0;
}

static int read_default_template(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	if (strcasecmp(value, "map") != 0 && strcasecmp(value, "json") != 0)
		return wish_refuse(wish, REASON_ANNOTATION,
				   "'%.40s' is neither map nor json: write one of them", value);
	wish->default_format = strcasecmp(value, "map") == 0 ? FORMAT_MAP : FORMAT_JSON;
	return 0;
}

static int check_bool(struct wish *wish, const char *member, const char *value)
{
	bool ignored;

	(void)member;
	return read_bool(wish, value, &ignored);
}

/* As a path is joined to a directory: "." and empty components go, ".." takes one away. */
static const char *clean(struct wish *wish, const char *path)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(PATH_MOST);
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
	return wish_text_bytes(wish, buf_string(&text), text.len);
}

/* What the agent's own container has in its place. */
static bool hides_agent(const char *path)
{
	static const char *const places[] = { "/bin/agent", "/etc/agent",  "/etc/ssl/certs",
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

static int read_volume_path(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	return read_directory(wish, value, &wish->directory);
}

static int read_volume_path_of(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret;

	if (get_secret(wish, member, &secret) < 0)
		return -1;
	return secret != NULL ? read_directory(wish, value, &secret->directory) : 0;
}

static int read_case(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	return read_bool(wish, value, &wish->keep_case);
}

static int read_case_of(struct wish *wish, const char *member, const char *value)
{
	struct wish_secret *secret;

	if (get_secret(wish, member, &secret) < 0)
		return -1;
	return secret != NULL ? read_bool(wish, value, &secret->keep_case) : 0;
}

/* ---- containers ---- */

#define TAKE(function_, member_)                                                                   \
	static int function_(struct wish *wish, const char *member, const char *value)             \
	{                                                                                          \
		(void)member;                                                                      \
		wish->member_ = value;                                                             \
		return wish_check_line(wish, value);                                               \
	}

TAKE(read_containers, containers)
TAKE(read_copy_mounts, copy_mounts)

TAKE(read_role, role)
TAKE(read_server_name, server_name)
TAKE(read_ca_cert, ca_file)
TAKE(read_client_cert, cert_file)
TAKE(read_client_key, key_file)

static int read_pre_populate(struct wish *wish, const char *member, const char *value)
{
	bool on;

	(void)member;
	if (read_bool(wish, value, &on) < 0)
		return -1;
	wish->no_init = !on;
	return 0;
}

static int read_only_init(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	(void)value;
	wish->shape = SHAPE_INIT;
	return 0;
}

static int read_tls_secret(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->tls_secret = value;
	return wish_check_label(wish, value, "Secret");
}

static int read_extra_secret(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->extra_secret = value;
	return wish_check_label(wish, value, "Secret");
}

static int read_agent_patch(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->agent_patch = value;
	return 0;
}

static int read_init_patch(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->init_patch = value;
	return 0;
}

static int take_quantity(struct wish *wish, const char *value, const char **ret)
{
	int64_t milli;
	struct error err;

	if (value[0] != '\0' && quantity_read(value, &milli, &err) < 0)
		return refuse_error(wish, &err);
	*ret = value;
	return 0;
}

#define QUANTITY(function_, member_)                                                               \
	static int function_(struct wish *wish, const char *member, const char *value)             \
	{                                                                                          \
		(void)member;                                                                      \
		return take_quantity(wish, value, &wish->resources.member_);                       \
	}

QUANTITY(read_limits_cpu, limits_cpu)
QUANTITY(read_limits_memory, limits_memory)
QUANTITY(read_limits_storage, limits_storage)
QUANTITY(read_requests_cpu, requests_cpu)
QUANTITY(read_requests_memory, requests_memory)
QUANTITY(read_requests_storage, requests_storage)

static int take_id(struct wish *wish, const char *value, int64_t *ret)
{
	uint64_t id;
	struct error err;

	if (text_read_unsigned(value, INT32_MAX, &id, &err) < 0)
		return refuse_error(wish, &err);
	if (id == 0)
		warn(wish, "the agent does not run as root");
	else
		*ret = (int64_t)id;
	return 0;
}

static int read_user(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	return take_id(wish, value, &wish->run_as_user);
}

static int read_group(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	return take_id(wish, value, &wish->run_as_group);
}

static int read_same_user(struct wish *wish, const char *member, const char *value)
{
	const struct json_node *first = pod_containers(wish->pod, false)->first;
	int64_t uid = json_integer(json_get(json_get(first, "securityContext"), "runAsUser"), 0);

	(void)member;
	(void)value;
	if (uid <= 0)
		return wish_refuse(wish, REASON_CONTAINER,
				   "the first container has no runAsUser other than root: give it "
				   "one, or remove the annotation");
	wish->run_as_user = uid;
	return 0;
}

/* The one part of the security context that a cluster may want to choose. */
static int read_security(struct wish *wish, const char *member, const char *value)
{
	bool on;

	(void)member;
	if (read_bool(wish, value, &on) < 0)
		return -1;
	if (!on) {
		wish->run_as_user = -1;
		wish->run_as_group = -1;
	}
	return 0;
}

static int read_share(struct wish *wish, const char *member, const char *value)
{
	const struct json_node *there =
		json_get(json_get(wish->pod, "spec"), "shareProcessNamespace");

	(void)member;
	(void)value;
	if (there != NULL && !json_bool(there, true))
		return wish_refuse(wish, REASON_CONFLICT,
				   "the pod says shareProcessNamespace: false: remove one of the "
				   "two");
	wish->share_process_namespace = 1;
	return 0;
}

/* ---- the server ---- */

static bool is_profiles_service(const struct wish *wish, const char *value)
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

static bool is_profiles_mount(const struct wish *wish, const char *value)
{
	const char *mount = wish->profile->auth_mount;

	if (mount == NULL)
		mount = wish->profile->auth_method == PROFILE_JWT ? "jwt" : "kubernetes";
	return strcmp(without_auth(value), mount) == 0;
}

static int read_auth_path(struct wish *wish, const char *member, const char *value)
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

static int read_namespace(struct wish *wish, const char *member, const char *value)
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

static int read_service(struct wish *wish, const char *member, const char *value)
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

static int read_auth_type(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	if (strcmp(value, "kubernetes") != 0 && strcmp(value, "jwt") != 0)
		return wish_refuse(wish, REASON_UNSUPPORTED,
				   "'%.40s' is not supported yet: use kubernetes or jwt", value);
	wish->auth_method = value;
	return 0;
}

static int read_auth_config(struct wish *wish, const char *member, const char *value)
{
	if (strcmp(member, "role") == 0) {
		wish->role = value;
		return wish_check_line(wish, value);
	}
	if (strcmp(member, "token-path") == 0 || strcmp(member, "path") == 0 ||
	    strcmp(member, "remove-jwt-after-reading") == 0) {
		warn(wish, "the agent signs in with a token of its own");
		return 0;
	}
	return wish_refuse(wish, REASON_UNSUPPORTED,
			   "this parameter is not supported: kubernetes and jwt need the role "
			   "alone; remove it");
}

static int read_interval(struct wish *wish, const char *member, const char *value)
{
	int64_t ms;
	struct error err;

	(void)member;
	if (text_read_duration(value, &ms, &err) < 0 || ms < SECOND_MS)
		warn(wish, "it is no duration of a second or more, as 5m");
	else
		wish->refresh = value;
	return 0;
}

static int read_revoke(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	(void)value;
	wish->revoke = true;
	return 0;
}

static int read_log_level(struct wish *wish, const char *member, const char *value)
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
	warn(wish, "there is no such level; write info or debug");
	return 0;
}

static int read_log_format(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->log_format = strcasecmp(value, "json") == 0 ? "json" : NULL;
	return 0;
}

/* ---- the table ---- */

#define HONOUR(name_, read_)                                                                       \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_HONOUR, .read = (read_)                       \
	}
#define HONOUR_EACH(name_, read_)                                                                  \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_HONOUR, .family = true, .read = (read_)       \
	}
#define HONOUR_IF_ON(name_, read_)                                                                 \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_HONOUR, .off_is_nothing = true,               \
		.read = (read_)                                                                    \
	}
#define AMOUNT(name_, read_)                                                                       \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_HONOUR, .empty_counts = true, .read = (read_) \
	}
#define GATE(name_, gate_, read_)                                                                  \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_GATE, .gate = (gate_), .read = (read_)        \
	}
#define WARN(name_, why_)                                                                          \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_WARN, .why = (why_)                           \
	}
#define WARN_EACH(name_, why_)                                                                     \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_WARN, .family = true, .why = (why_)           \
	}
#define REFUSE(name_, why_)                                                                        \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_REFUSE, .why = (why_)                         \
	}
#define REFUSE_EACH(name_, why_)                                                                   \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_REFUSE, .family = true, .why = (why_)         \
	}
#define REFUSE_IF_ON(name_, why_)                                                                  \
	{                                                                                          \
		.name = (name_), .class = ANNOTATION_REFUSE, .off_is_nothing = true, .why = (why_) \
	}

#define NO_TEMPLATES                                                                               \
	"templates are not supported yet: take the secret as it is, or use a profile of ours "     \
	"with "                                                                                    \
	"secrets-agent/format.NAME"
#define NO_DELIMITERS "only templates have delimiters"
#define NO_BACK_OFF   "the agent's own back-off is bounded"
#define NO_RENDERING  "the agent keeps the last good version and tries again"
#define NO_POOL	      "the agent keeps one connection, and none at rest"
#define NO_CACHE      "the agent is no proxy, so there is nothing to cache"

const struct annotation vault_annotations[] = {
	HONOUR("agent-inject", NULL),
	HONOUR("agent-inject-status", NULL),
	/* What the request says counts. */
	HONOUR("agent-request-namespace", NULL),
	HONOUR_EACH("agent-inject-secret-", read_secret),
	REFUSE_EACH("agent-inject-template-", NO_TEMPLATES),
	REFUSE_EACH("agent-inject-template-file-", NO_TEMPLATES),
	HONOUR("agent-inject-default-template", read_default_template),
	WARN_EACH("agent-template-left-delim-", NO_DELIMITERS),
	WARN_EACH("agent-template-right-delim-", NO_DELIMITERS),
	HONOUR_EACH("agent-inject-file-", read_file),
	HONOUR_EACH("agent-inject-perms-", read_perms),
	REFUSE_EACH("agent-inject-command-",
		    "commands after a change are not supported yet: watch the file, or use "
		    "secrets-agent/on-change.CONTAINER"),
	/* The formats map and json name no key. */
	HONOUR_EACH("error-on-missing-key-", check_bool),
	HONOUR("secret-volume-path", read_volume_path),
	HONOUR_EACH("secret-volume-path-", read_volume_path_of),
	HONOUR("preserve-secret-case", read_case),
	HONOUR_EACH("preserve-secret-case-", read_case_of),
	REFUSE_IF_ON("agent-inject-token",
		     "no token is handed out: name the secrets that the application needs"),
	HONOUR("agent-inject-containers", read_containers),
	GATE("agent-copy-volume-mounts", ALLOW_COPY_MOUNTS, read_copy_mounts),

	HONOUR("agent-pre-populate", read_pre_populate),
	HONOUR_IF_ON("agent-pre-populate-only", read_only_init),
	/* It always is. */
	HONOUR("agent-init-first", check_bool),
	WARN("agent-image", "the profile's image is used"),
	AMOUNT("agent-limits-cpu", read_limits_cpu),
	AMOUNT("agent-limits-mem", read_limits_memory),
	AMOUNT("agent-limits-ephemeral", read_limits_storage),
	AMOUNT("agent-requests-cpu", read_requests_cpu),
	AMOUNT("agent-requests-mem", read_requests_memory),
	AMOUNT("agent-requests-ephemeral", read_requests_storage),
	HONOUR("agent-run-as-user", read_user),
	HONOUR("agent-run-as-group", read_group),
	HONOUR_IF_ON("agent-run-as-same-user", read_same_user),
	HONOUR("agent-set-security-context", read_security),
	{ .name = "agent-share-process-namespace",
	  .class = ANNOTATION_GATE,
	  .gate = ALLOW_SHARE_PROCESS_NAMESPACE,
	  .off_is_nothing = true,
	  .read = read_share },
	GATE("agent-json-patch", ALLOW_JSON_PATCH, read_agent_patch),
	GATE("agent-init-json-patch", ALLOW_JSON_PATCH, read_init_patch),
	REFUSE("agent-configmap",
	       "an agent's configuration in HCL is not supported yet: say it with annotations"),
	GATE("agent-extra-secret", ALLOW_EXTRA_SECRET, read_extra_secret),
	WARN("agent-service-account-token-volume-name",
	     "the agent signs in with a token of its own"),
	HONOUR_IF_ON("agent-revoke-on-shutdown", read_revoke),
	WARN("agent-revoke-grace", "the agent revokes when it ends, after the application"),
	WARN("go-max-procs", "the agent has one thread"),

	{ .name = "service",
	  .class = ANNOTATION_GATE,
	  .gate = ALLOW_SERVICE,
	  .is_given = is_profiles_service,
	  .read = read_service },
	REFUSE("proxy-address",
	       "proxies are not supported yet: let the network reach the server itself"),
	HONOUR("namespace", read_namespace),
	HONOUR("role", read_role),
	HONOUR("auth-type", read_auth_type),
	{ .name = "auth-path",
	  .class = ANNOTATION_GATE,
	  .gate = ALLOW_AUTH_PATH,
	  .is_given = is_profiles_mount,
	  .read = read_auth_path },
	HONOUR_EACH("auth-config-", read_auth_config),
	WARN("auth-min-backoff", NO_BACK_OFF),
	WARN("auth-max-backoff", NO_BACK_OFF),
	WARN("agent-auto-auth-exit-on-err", NO_RENDERING),
	WARN("template-config-exit-on-retry-failure", NO_RENDERING),
	HONOUR("template-static-secret-render-interval", read_interval),
	WARN("template-max-connections-per-host", NO_POOL),
	WARN("template-lease-renewal-threshold",
	     "leases are renewed between 55 and 75 % of their "
	     "life"),
	REFUSE_IF_ON("tls-skip-verify",
		     "certificates are always checked: have the operator put the CA into the "
		     "profile"),
	GATE("tls-secret", ALLOW_TLS, read_tls_secret),
	GATE("tls-server-name", ALLOW_TLS, read_server_name),
	GATE("ca-cert", ALLOW_CA_CERT, read_ca_cert),
	GATE("client-cert", ALLOW_TLS, read_client_cert),
	GATE("client-key", ALLOW_TLS, read_client_key),
	REFUSE("ca-key", "it names a directory of CAs: name one file with ca-cert"),
	WARN("client-max-retries", NO_RENDERING),
	WARN("client-timeout", "requests end after 15 s"),
	HONOUR("log-level", read_log_level),
	HONOUR("log-format", read_log_format),
	REFUSE_IF_ON("agent-cache-enable",
		     "the caching proxy is not supported yet: name the secrets with "
		     "agent-inject-secret-NAME"),
	WARN("agent-cache-use-auto-auth-token", NO_CACHE),
	WARN("agent-cache-listener-port", NO_CACHE),
	WARN("agent-cache-exit-on-err", NO_CACHE),
	WARN("agent-enable-quit", "the agent ends with the pod's containers by itself"),
	WARN("agent-disable-idle-connections", NO_POOL),
	WARN("agent-disable-keep-alives", NO_POOL),
	WARN_EACH("agent-telemetry-", "the agent has metrics of its own"),
	{ .name = NULL },
};

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
	AUTO(buf_deinit) struct buf text = BUF_INIT(PATH_MOST);

	for (; *name != '\0'; name++)
		buf_putc(&text, *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name);
	return wish_text_bytes(wish, buf_string(&text), text.len);
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

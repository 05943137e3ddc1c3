/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault.hashicorp.com/… and openbao.org/…: what vault-k8s 1.7 knows, a row each. A pod gets the
 * same files at the same paths; what cannot be given is refused by name, and what the peers take
 * without a word is at most a warning here.
 */
#include "injector/annotations.h"
#include "injector/foreign_readers.h"

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
	HONOUR_EACH("agent-inject-secret-", foreign_read_secret),
	REFUSE_EACH("agent-inject-template-", NO_TEMPLATES),
	REFUSE_EACH("agent-inject-template-file-", NO_TEMPLATES),
	HONOUR("agent-inject-default-template", foreign_read_default_template),
	WARN_EACH("agent-template-left-delim-", NO_DELIMITERS),
	WARN_EACH("agent-template-right-delim-", NO_DELIMITERS),
	HONOUR_EACH("agent-inject-file-", foreign_read_file),
	HONOUR_EACH("agent-inject-perms-", foreign_read_perms),
	REFUSE_EACH("agent-inject-command-",
		    "commands after a change are not supported yet: watch the file, or use "
		    "secrets-agent/on-change.CONTAINER"),
	/* The formats map and json name no key. */
	HONOUR_EACH("error-on-missing-key-", foreign_check_bool),
	HONOUR("secret-volume-path", foreign_read_volume_path),
	HONOUR_EACH("secret-volume-path-", foreign_read_volume_path_of),
	HONOUR("preserve-secret-case", foreign_read_case),
	HONOUR_EACH("preserve-secret-case-", foreign_read_case_of),
	REFUSE_IF_ON("agent-inject-token",
		     "no token is handed out: name the secrets that the application needs"),
	HONOUR("agent-inject-containers", foreign_read_containers),
	GATE("agent-copy-volume-mounts", ALLOW_COPY_MOUNTS, foreign_read_copy_mounts),

	HONOUR("agent-pre-populate", foreign_read_pre_populate),
	HONOUR_IF_ON("agent-pre-populate-only", foreign_read_only_init),
	/* It always is. */
	HONOUR("agent-init-first", foreign_check_bool),
	WARN("agent-image", "the profile's image is used"),
	AMOUNT("agent-limits-cpu", foreign_read_limits_cpu),
	AMOUNT("agent-limits-mem", foreign_read_limits_memory),
	AMOUNT("agent-limits-ephemeral", foreign_read_limits_storage),
	AMOUNT("agent-requests-cpu", foreign_read_requests_cpu),
	AMOUNT("agent-requests-mem", foreign_read_requests_memory),
	AMOUNT("agent-requests-ephemeral", foreign_read_requests_storage),
	HONOUR("agent-run-as-user", foreign_read_user),
	HONOUR("agent-run-as-group", foreign_read_group),
	HONOUR_IF_ON("agent-run-as-same-user", foreign_read_same_user),
	HONOUR("agent-set-security-context", foreign_read_security),
	{ .name = "agent-share-process-namespace",
	  .class = ANNOTATION_GATE,
	  .gate = ALLOW_SHARE_PROCESS_NAMESPACE,
	  .off_is_nothing = true,
	  .read = foreign_read_share },
	GATE("agent-json-patch", ALLOW_JSON_PATCH, foreign_read_agent_patch),
	GATE("agent-init-json-patch", ALLOW_JSON_PATCH, foreign_read_init_patch),
	REFUSE("agent-configmap",
	       "an agent's configuration in HCL is not supported yet: say it with annotations"),
	GATE("agent-extra-secret", ALLOW_EXTRA_SECRET, foreign_read_extra_secret),
	WARN("agent-service-account-token-volume-name",
	     "the agent signs in with a token of its own"),
	HONOUR_IF_ON("agent-revoke-on-shutdown", foreign_read_revoke),
	WARN("agent-revoke-grace", "the agent revokes when it ends, after the application"),
	WARN("go-max-procs", "the agent has one thread"),

	{ .name = "service",
	  .class = ANNOTATION_GATE,
	  .gate = ALLOW_SERVICE,
	  .is_given = foreign_is_profiles_service,
	  .read = foreign_read_service },
	REFUSE("proxy-address",
	       "proxies are not supported yet: let the network reach the server itself"),
	HONOUR("namespace", foreign_read_namespace),
	HONOUR("role", foreign_read_role),
	HONOUR("auth-type", foreign_read_auth_type),
	{ .name = "auth-path",
	  .class = ANNOTATION_GATE,
	  .gate = ALLOW_AUTH_PATH,
	  .is_given = foreign_is_profiles_mount,
	  .read = foreign_read_auth_path },
	HONOUR_EACH("auth-config-", foreign_read_auth_config),
	WARN("auth-min-backoff", NO_BACK_OFF),
	WARN("auth-max-backoff", NO_BACK_OFF),
	WARN("agent-auto-auth-exit-on-err", NO_RENDERING),
	WARN("template-config-exit-on-retry-failure", NO_RENDERING),
	HONOUR("template-static-secret-render-interval", foreign_read_interval),
	WARN("template-max-connections-per-host", NO_POOL),
	WARN("template-lease-renewal-threshold",
	     "leases are renewed between 55 and 75 % of their "
	     "life"),
	REFUSE_IF_ON("tls-skip-verify",
		     "certificates are always checked: have the operator put the CA into the "
		     "profile"),
	GATE("tls-secret", ALLOW_TLS, foreign_read_tls_secret),
	GATE("tls-server-name", ALLOW_TLS, foreign_read_server_name),
	GATE("ca-cert", ALLOW_CA_CERT, foreign_read_ca_cert),
	GATE("client-cert", ALLOW_TLS, foreign_read_client_cert),
	GATE("client-key", ALLOW_TLS, foreign_read_client_key),
	REFUSE("ca-key", "it names a directory of CAs: name one file with ca-cert"),
	WARN("client-max-retries", NO_RENDERING),
	WARN("client-timeout", "requests end after 15 s"),
	HONOUR("log-level", foreign_read_log_level),
	HONOUR("log-format", foreign_read_log_format),
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/config_tables.h"

#include <string.h>

static const char *const switch_choices[] = { "auto", "on", "off", NULL };
static const char *const auth_choices[] = { "kubernetes", "jwt", NULL };
static const char *const pull_choices[] = { "IfNotPresent", "Always", "Never", NULL };

const char *const allow_key_names[ALLOW_KEYS + 1] = {
	[ALLOW_CONFIG] = "config",
	[ALLOW_SERVICE] = "service",
	[ALLOW_CA_CERT] = "ca-cert",
	[ALLOW_AUTH_PATH] = "auth-path",
	[ALLOW_TLS] = "tls",
	[ALLOW_EXTRA_SECRET] = "extra-secret",
	[ALLOW_JSON_PATCH] = "json-patch",
	[ALLOW_COPY_MOUNTS] = "copy-mounts",
	[ALLOW_SHARE_PROCESS_NAMESPACE] = "share-process-namespace",
	[ALLOW_KEYS] = NULL,
};

int allow_key_find(const char *name)
{
	for (int i = 0; i < ALLOW_KEYS; i++)
		if (strcmp(allow_key_names[i], name) == 0)
			return i;
	return -1;
}

/* Tables in a table write into the same struct: their rows' offsets are the struct's own, so the
 * table itself stands at 0. */
#define ROW(name_, type_, struct_, member_, ...)                                                   \
	{                                                                                          \
		.name = (name_), .type = (type_), .offset = offsetof(struct struct_, member_),     \
		__VA_ARGS__                                                                        \
	}
#define SECTION(name_, table_, help_)                                                              \
	{                                                                                          \
		.name = (name_), .type = OPTION_TABLE, .members = (table_), .help = (help_)        \
	}

static const struct option prefixes_table[] = {
	ROW("vault", OPTION_BOOL, injector_config, vault_prefix, .fallback = "true",
	    .help = "Obey the annotations of vault-k8s, vault.hashicorp.com/…"),
	ROW("openbao", OPTION_BOOL, injector_config, openbao_prefix, .fallback = "true",
	    .help = "Obey the annotations of openbao-k8s, openbao.org/…"),
	{ 0 },
};

const struct option injector_table[] = {
	SECTION("prefixes", prefixes_table, "Whose annotations are obeyed besides our own."),
	ROW("strict", OPTION_BOOL, injector_config, strict, .fallback = "false",
	    .help = "Refuse a pod in doubt, instead of leaving it as it is with a warning."),
	ROW("native_sidecar", OPTION_CHOICE, injector_config, native_sidecar,
	    .choices = switch_choices, .fallback = "auto",
	    .help = "One sidecar that starts before the application; `auto`: where the API server "
		    "is at least 1.29 and every kubelet 1.33."),
	ROW("env_files", OPTION_CHOICE, injector_config, env_files, .choices = switch_choices,
	    .fallback = "auto",
	    .help = "Variables through the kubelet (`fileKeyRef`), without a wrapper; `auto`: "
		    "where "
		    "server and kubelets are at least 1.35."),
	ROW("events", OPTION_BOOL, injector_config, events, .fallback = "true",
	    .help = "Events on the owners of pods that were refused or warned about."),
	ROW("own_namespace", OPTION_STRING, injector_config, own_namespace,
	    .help = "The injector's own namespace: its pods are left alone."),
	ROW("system_namespaces", OPTION_STRINGS, injector_config, system_namespaces,
	    .help = "Namespaces whose pods are left alone; kube-system, kube-public and "
		    "kube-node-lease by default."),
	{ 0 },
};

static const struct option tls_table[] = {
	ROW("ca_cert", OPTION_STRING, profile, ca_cert,
	    .help = "Certificates (PEM) that the server's must lead to; they travel with the pod."),
	ROW("ca_config_map", OPTION_STRING, profile, ca_config_map,
	    .help = "The ConfigMap in the pod's namespace that has them instead."),
	ROW("ca_key", OPTION_STRING, profile, ca_key, .fallback = "ca.crt",
	    .help = "The key of ca_config_map."),
	ROW("server_name", OPTION_STRING, profile, server_name,
	    .help = "The name that the server's certificate must have; default the address's "
		    "host."),
	{ 0 },
};

static const struct option auth_table[] = {
	ROW("method", OPTION_CHOICE, profile, auth_method, .choices = auth_choices,
	    .fallback = "kubernetes", .help = "How pods prove who they are."),
	ROW("mount", OPTION_STRING, profile, auth_mount,
	    .help = "Where the method is mounted, without auth/; default the method's name."),
	ROW("role", OPTION_STRING, profile, role, .help = "The role of pods that name none."),
	ROW("audience", OPTION_STRING, profile, audience,
	    .help = "The audience of the pod's token; default the API server's own."),
	ROW("token_life", OPTION_DURATION, profile, token_life_ms, .fallback = "1h",
	    .least = 600000, .most = 86400000, .help = "How long a token lives; at least 10m."),
	{ 0 },
};

#define RESOURCE(name_, member_, fallback_)                                                        \
	ROW(name_, OPTION_STRING, profile, resources.member_, .fallback = (fallback_),             \
	    .help = "A quantity, as 5m or 64Mi.")

static const struct option requests_table[] = {
	RESOURCE("cpu", requests_cpu, "5m"),
	RESOURCE("memory", requests_memory, "16Mi"),
	{ 0 },
};

static const struct option limits_table[] = {
	RESOURCE("cpu", limits_cpu, NULL),
	RESOURCE("memory", limits_memory, "64Mi"),
	{ 0 },
};

static const struct option resources_table[] = {
	SECTION("requests", requests_table, "What the agent asks for."),
	SECTION("limits", limits_table, "What the agent may use."),
	{ 0 },
};

const struct option profile_table[] = {
	ROW("address", OPTION_STRINGS, profile, address, .required = true,
	    .help = "https://host:port of Vault or OpenBao, or a list that is tried in turn."),
	ROW("namespace", OPTION_STRING, profile, vault_namespace,
	    .help = "The namespace of every request there."),
	ROW("insecure_http", OPTION_BOOL, profile, insecure_http, .fallback = "false",
	    .help = "Allows http://: everybody on the way can read the secrets."),
	SECTION("tls", tls_table, "Whom the agent trusts."),
	SECTION("auth", auth_table, "How pods prove who they are."),
	ROW("image", OPTION_STRING, profile, image, .required = true,
	    .help = "The agent's image, best by digest."),
	ROW("pull_policy", OPTION_CHOICE, profile, pull_policy, .choices = pull_choices,
	    .fallback = "IfNotPresent", .help = "When nodes pull the image."),
	ROW("pull_secrets", OPTION_STRINGS, profile, pull_secrets,
	    .help = "Secrets in the pod's namespace that nodes pull the image with."),
	SECTION("resources", resources_table, "What the agent's container asks for and may use."),
	ROW("volume_size", OPTION_SIZE, profile, volume_size, .fallback = "8MiB", .least = 65536,
	    .help = "The most that each directory of secrets may hold, in memory."),
	ROW("host_network", OPTION_BOOL, profile, host_network, .fallback = "false",
	    .help = "Pods on the host's network get secrets too."),
	ROW("cloud_identity", OPTION_BOOL, profile, cloud_identity, .fallback = "true",
	    .help = "The agent gets the AWS, GCP and Azure identity of the application."),
	ROW("namespaces", OPTION_STRINGS, profile, namespaces,
	    .help = "The namespaces whose pods may use this profile; all by default."),
	{ 0 },
};

const struct option profile_extra_table[] = {
	ROW("run_as_user", OPTION_STRING, profile_extra, run_as_user, .fallback = "65510",
	    .help = "The agent's uid and gid; `none` where the cluster gives one, as OpenShift "
		    "does."),
	ROW("allow", OPTION_STRINGS, profile_extra, allow,
	    .help = "What could widen trust and annotations may say nevertheless."),
	{ 0 },
};

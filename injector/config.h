#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's file: profiles by name, which prefixes of annotations are obeyed, and what is done
 * in doubt. Read strictly, every mistake at once with line and column.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/option.h"
#include "agent/config/config.h"

enum injector_switch { SWITCH_AUTO, SWITCH_ON, SWITCH_OFF };

/* What annotations may ask for only where the profile's `allow:` names it. */
enum allow_key {
	ALLOW_CONFIG,
	ALLOW_SERVICE,
	ALLOW_CA_CERT,
	ALLOW_AUTH_PATH,
	ALLOW_TLS,
	ALLOW_EXTRA_SECRET,
	ALLOW_JSON_PATCH,
	ALLOW_COPY_MOUNTS,
	ALLOW_SHARE_PROCESS_NAMESPACE,
	ALLOW_KEYS,
};

enum pull_policy { PULL_IF_NOT_PRESENT, PULL_ALWAYS, PULL_NEVER };
enum profile_auth { PROFILE_KUBERNETES, PROFILE_JWT };

struct profile_resources {
	char *requests_cpu, *requests_memory, *limits_cpu, *limits_memory;
};

struct profile {
	char *name;
	struct strings address;
	char *vault_namespace;
	char *ca_cert;	     /* PEM: travels with the pod in an annotation of ours */
	char *ca_config_map; /* name of a ConfigMap in the pod's namespace, instead */
	char *ca_key;	     /* its key */
	char *server_name;
	bool insecure_http;
	int auth_method; /* enum profile_auth */
	char *auth_mount;
	char *role;	/* where the pod names none; NULL: it must */
	char *audience; /* of the projected token; NULL: the API server's own */
	int64_t token_life_ms;
	char *image;
	int pull_policy; /* enum pull_policy */
	struct strings pull_secrets;
	struct profile_resources resources;
	int64_t run_as_user;  /* -1: none, as OpenShift wants it */
	uint64_t volume_size; /* of each tmpfs with secrets, bytes */
	bool host_network;    /* pods on the host's network are injected too */
	bool cloud_identity;  /* cloud variables and token mounts are carried over to the agent */
	struct strings namespaces; /* count 0: all */
	bool allow[ALLOW_KEYS];
};

struct injector_config {
	char *file;
	bool vault_prefix, openbao_prefix;
	bool strict;	    /* in doubt refuse, instead of leaving the pod as it is */
	int native_sidecar; /* enum injector_switch */
	int env_files;	    /* enum injector_switch: variables through the kubelet */
	bool events;	    /* owners of pods are told of refusals and warnings */
	char *own_namespace;
	struct strings system_namespaces;
	struct profile *profiles;
	size_t profile_count;
};

/* NULL with at least one problem; see agent/config/config.h for problems. */
struct injector_config *injector_config_read(const char *file, struct config_problems *problems);
struct injector_config *injector_config_parse(const char *bytes, size_t len, const char *file,
					      struct config_problems *problems);
struct injector_config *injector_config_free(struct injector_config *config); /* returns NULL */

/* NULL when there is none of that name. */
const struct profile *injector_profile(const struct injector_config *config, const char *name);

/* May pods of this namespace use it? */
bool profile_serves(const struct profile *profile, const char *namespace);

/* The word of `allow:`. */
const char *allow_key_name(enum allow_key key);

static inline void injector_config_freep(struct injector_config **config)
{
	*config = injector_config_free(*config);
}

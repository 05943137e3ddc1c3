#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets of HashiCorp Vault and OpenBao.
 */
#include <stdbool.h>

#include "agent/base/backend.h"
#include "agent/base/option.h"

/* Limits: a credential in a file (role id, secret id, JWT), a token, a secret's path, mounts looked
 * up, and how much of the server's own words an error repeats. */
#define VAULT_CREDENTIAL_MAX ((size_t)64 << 10)
#define VAULT_TOKEN_MAX	     ((size_t)8 << 10)
#define VAULT_PATH_MAX	     ((size_t)1024)
#define VAULT_MOUNTS_MAX     ((size_t)4096)

/* The longest lease that is believed, in seconds: a hundred years. */
#define VAULT_LEASE_MAX_S ((int64_t)100 * 365 * 24 * 3600)

/* In the order of the choices of `auth.method`. */
enum vault_method {
	VAULT_KUBERNETES,
	VAULT_JWT,
	VAULT_TOKEN_FILE,
	VAULT_APPROLE,
	VAULT_CERT,
	VAULT_TOKEN,
};

struct vault_tls {
	char *ca_file;
	char *cert_file;
	char *key_file;
	char *server_name;
};

struct vault_auth {
	int method;
	char *mount;
	char *role;
	char *token_file;
	char *role_id_file;
	char *secret_id_file;
	bool secret_id_wrapped;
};

struct vault_options {
	struct strings address;
	char *namespace;
	struct vault_tls tls;
	bool insecure_http;
	struct vault_auth auth;
};

extern const struct backend_ops vault_backend;

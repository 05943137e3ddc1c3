/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend as a value: its options, what they may not say together, and the table of its
 * conversations.
 */
#include "backends/vault.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/vault_common.h"

static const char *const methods[] = { "kubernetes", "jwt",   "token_file", "approle",
				       "cert",	     "token", NULL };

static const struct option tls_options[] = {
	{ .name = "ca_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct vault_tls, ca_file),
	  .help = "Certificates (PEM) that the server's must lead to; default the public roots." },
	{ .name = "cert_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct vault_tls, cert_file),
	  .help = "Our certificate (PEM), for servers that ask for one and for method cert." },
	{ .name = "key_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct vault_tls, key_file),
	  .help = "The key (PEM) of cert_file." },
	{ .name = "server_name",
	  .type = OPTION_STRING,
	  .offset = offsetof(struct vault_tls, server_name),
	  .help = "The name that the server's certificate must have; default the address's host." },
	{ .name = NULL },
};

static const struct option auth_options[] = {
	{ .name = "method",
	  .type = OPTION_CHOICE,
	  .offset = offsetof(struct vault_auth, method),
	  .choices = methods,
	  .fallback = "token",
	  .help = "How to sign in; token takes $BAO_TOKEN, else $VAULT_TOKEN (for development)." },
	{ .name = "mount",
	  .type = OPTION_STRING,
	  .offset = offsetof(struct vault_auth, mount),
	  .help = "Where the method is mounted, without auth/; default the method's name." },
	{ .name = "role",
	  .type = OPTION_STRING,
	  .offset = offsetof(struct vault_auth, role),
	  .help = "The role to sign in as." },
	{ .name = "token_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct vault_auth, token_file),
	  .help = "The file with the token, read again at each login; for kubernetes by default "
		  "/var/run/secrets/kubernetes.io/serviceaccount/token." },
	{ .name = "role_id_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct vault_auth, role_id_file),
	  .help = "The file with the role id of approle." },
	{ .name = "secret_id_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct vault_auth, secret_id_file),
	  .help = "The file with the secret id of approle, where the role asks for one." },
	{ .name = "secret_id_wrapped",
	  .type = OPTION_BOOL,
	  .offset = offsetof(struct vault_auth, secret_id_wrapped),
	  .help = "secret_id_file holds a wrapping token, unwrapped once." },
	{ .name = NULL },
};

static const struct option options[] = {
	{ .name = "address",
	  .type = OPTION_STRINGS,
	  .offset = offsetof(struct vault_options, address),
	  .help = "https://host:port, or a list that is tried in turn; default $BAO_ADDR, else "
		  "$VAULT_ADDR." },
	{ .name = "namespace",
	  .type = OPTION_STRING,
	  .offset = offsetof(struct vault_options, namespace),
	  .help = "The namespace of every request." },
	{ .name = "tls",
	  .type = OPTION_TABLE,
	  .offset = offsetof(struct vault_options, tls),
	  .members = tls_options,
	  .help = "Whom to trust and what to show." },
	{ .name = "insecure_http",
	  .type = OPTION_BOOL,
	  .offset = offsetof(struct vault_options, insecure_http),
	  .help = "Allows http:// to other machines: everybody on the way can read the secrets." },
	{ .name = "auth",
	  .type = OPTION_TABLE,
	  .offset = offsetof(struct vault_options, auth),
	  .members = auth_options,
	  .help = "How the workload proves who it is." },
	{ .name = NULL },
};

/* Which keys of `auth` a method takes. */
struct method_keys {
	bool mount, role, role_required, token_file, token_file_required, role_id_file;
};

static const struct method_keys method_keys[] = {
	[VAULT_KUBERNETES] = { .mount = true,
			       .role = true,
			       .role_required = true,
			       .token_file = true },
	[VAULT_JWT] = { .mount = true,
			.role = true,
			.token_file = true,
			.token_file_required = true },
	[VAULT_TOKEN_FILE] = { .token_file = true, .token_file_required = true },
	[VAULT_APPROLE] = { .mount = true, .role = true, .role_id_file = true },
	[VAULT_CERT] = { .mount = true, .role = true },
	[VAULT_TOKEN] = { .mount = false },
};

const char *vault_auth_method(const struct vault_options *vault)
{
	return methods[vault->auth.method];
}

const char *vault_auth_mount(const struct vault_options *vault)
{
	if (!method_keys[vault->auth.method].mount)
		return NULL;
	return vault->auth.mount != NULL ? vault->auth.mount : methods[vault->auth.method];
}

static int check_key(const struct vault_auth *auth, const char *key, bool set, bool taken,
		     bool required, struct error *err)
{
	if (set && !taken)
		return error_set(err, ERROR_INVALID,
				 "auth.%s: method %s does not use it; remove it", key,
				 methods[auth->method]);
	if (!set && required)
		return error_set(err, ERROR_INVALID, "auth.%s: missing; method %s needs it", key,
				 methods[auth->method]);
	return 0;
}

static int check_mount(const char *mount, struct error *err)
{
	AUTO(freep) char *path = NULL;
	struct error why;

	if (mount == NULL)
		return 0;
	if (text_starts_with(mount, "auth/"))
		return error_set(err, ERROR_INVALID,
				 "auth.mount: write it without the leading auth/");
	if (vault_path_read(mount, &path, &why) < 0 || mount[0] == '/')
		return error_set(
			err, ERROR_INVALID,
			"auth.mount: '%.100s' is no mount; write it as kubernetes or team/approle",
			mount);
	return 0;
}

static int check_auth(const struct vault_auth *auth, const struct vault_tls *tls, struct error *err)
{
	const struct method_keys *keys = &method_keys[auth->method];

	if (check_key(auth, "mount", auth->mount != NULL, keys->mount, false, err) < 0 ||
	    check_mount(auth->mount, err) < 0 ||
	    check_key(auth, "role", auth->role != NULL, keys->role, keys->role_required, err) < 0 ||
	    check_key(auth, "token_file", auth->token_file != NULL, keys->token_file,
		      keys->token_file_required, err) < 0 ||
	    check_key(auth, "role_id_file", auth->role_id_file != NULL, keys->role_id_file,
		      keys->role_id_file, err) < 0 ||
	    check_key(auth, "secret_id_file", auth->secret_id_file != NULL, keys->role_id_file,
		      false, err) < 0 ||
	    check_key(auth, "secret_id_wrapped", auth->secret_id_wrapped, keys->role_id_file, false,
		      err) < 0)
		return -1;
	if (auth->secret_id_wrapped && auth->secret_id_file == NULL)
		return error_set(
			err, ERROR_INVALID,
			"auth.secret_id_file: missing; secret_id_wrapped says what it holds");
	if (auth->method == VAULT_CERT && tls->cert_file == NULL)
		return error_set(err, ERROR_INVALID,
				 "tls.cert_file: missing; method cert needs it");
	return 0;
}

/* `host` is what stands between scheme and port, without brackets. */
static bool is_loopback(const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &four) == 1)
		return (ntohl(four.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* Splits "host[:port]" or "[v6][:port]"; false when it is neither. */
static bool read_authority(const char *authority, char *host, size_t size)
{
	bool bracket = authority[0] == '[';
	const char *start = authority + (bracket ? 1 : 0);
	size_t len = strcspn(start, bracket ? "]" : ":");
	const char *rest = start + len;
	uint64_t port;
	struct error ignored;

	if (len == 0 || len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (strchr("/?#@[]\\ \"<>", start[i]) != NULL || (unsigned char)start[i] <= 0x20 ||
		    (unsigned char)start[i] >= 0x7f)
			return false;
	if (bracket && *rest++ != ']')
		return false;
	memcpy(host, start, len);
	host[len] = '\0';
	if (*rest == '\0')
		return true;
	return *rest == ':' && text_read_unsigned(rest + 1, 65535, &port, &ignored) == 0 &&
	       port > 0;
}

/* Checks one address; *ret is it without a trailing slash, freed with free. */
static int read_address(const char *text, bool insecure, char **ret, struct error *err)
{
	AUTO(freep) char *copy = strdup(text);
	bool plain = text_starts_with(text, "http://");
	size_t scheme = plain ? strlen("http://") : strlen("https://");
	char host[256];
	size_t len;

	if (copy == NULL)
		return error_no_memory(err);
	len = strlen(copy);
	if (len > 0 && copy[len - 1] == '/')
		copy[--len] = '\0';
	if ((!plain && !text_starts_with(text, "https://")) || len <= scheme ||
	    !read_authority(copy + scheme, host, sizeof(host)))
		return error_set(err, ERROR_INVALID,
				 "address: '%.100s' is no address; write it as https://host:8200",
				 text);
	if (plain && !insecure && !is_loopback(host))
		return error_set(err, ERROR_INVALID,
				 "address: '%.100s' would send secrets readable by everybody on "
				 "the way; use "
				 "https://, or say insecure_http: true",
				 text);
	*ret = STEAL(copy);
	return 0;
}

static bool is_header_value(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= 0x20 || *text >= 0x7f)
			return false;
	return true;
}

static int vault_check(const void *object, struct error *err)
{
	const struct vault_options *vault = object;

	for (size_t i = 0; i < vault->address.count; i++) {
		AUTO(freep) char *address = NULL;

		if (read_address(vault->address.items[i], vault->insecure_http, &address, err) < 0)
			return -1;
	}
	if (vault->namespace != NULL && !is_header_value(vault->namespace))
		return error_set(
			err, ERROR_INVALID,
			"namespace: spaces, control characters and non-ASCII are not possible");
	if (vault->tls.cert_file != NULL && vault->tls.key_file == NULL)
		return error_set(err, ERROR_INVALID, "tls.key_file: missing; cert_file needs it");
	if (vault->tls.key_file != NULL && vault->tls.cert_file == NULL)
		return error_set(err, ERROR_INVALID, "tls.cert_file: missing; key_file needs it");
	return check_auth(&vault->auth, &vault->tls, err);
}

static int add_address(struct vault *vault, const char *text, struct error *err)
{
	AUTO(freep) char *address = NULL;

	if (read_address(text, vault->options->insecure_http, &address, err) < 0)
		return -1;
	return strings_add(&vault->addresses, address, err);
}

static int add_environment_address(struct vault *vault, const char *variable, struct error *err)
{
	AUTO(secret_unrefp) struct secret *value = NULL;
	AUTO(freep) char *text = NULL;

	if (vault->lookup == NULL)
		return 0;
	value = vault->lookup(vault->environment, variable);
	if (value == NULL || secret_len(value) == 0)
		return 0;
	text = strndup((const char *)secret_bytes(value), secret_len(value));
	if (text == NULL)
		return error_no_memory(err);
	if (add_address(vault, text, err) < 0)
		return error_wrap(err, "$%s", variable);
	return 0;
}

static int find_addresses(struct vault *vault, struct error *err)
{
	const struct strings *configured = &vault->options->address;

	for (size_t i = 0; i < configured->count; i++)
		if (add_address(vault, configured->items[i], err) < 0)
			return -1;
	if (vault->addresses.count == 0 && add_environment_address(vault, "BAO_ADDR", err) < 0)
		return -1;
	if (vault->addresses.count == 0 && add_environment_address(vault, "VAULT_ADDR", err) < 0)
		return -1;
	if (vault->addresses.count == 0)
		return error_set(err, ERROR_INVALID,
				 "address: missing, and neither $BAO_ADDR nor $VAULT_ADDR is set; "
				 "write it as "
				 "https://host:8200");
	return 0;
}

static void vault_close(struct backend *backend)
{
	struct vault *vault = vault_of(backend);

	if (vault == NULL)
		return;
	(void)secret_unref(vault->wrapping);
	(void)secret_unref(vault->secret_id);
	vault_mounts_deinit(&vault->mounts);
	strings_free(&vault->addresses);
	free(vault->name);
	free(vault);
}

static void vault_closep(struct vault **vault)
{
	vault_close((struct backend *)(void *)*vault);
	*vault = NULL;
}

static struct backend *vault_open(const struct backend_config *config, struct error *err)
{
	AUTO(vault_closep) struct vault *vault = calloc(1, sizeof(*vault));

	if (vault == NULL || (vault->name = strdup(config->name)) == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	vault->options = config->options;
	vault->lookup = config->lookup;
	vault->environment = config->environment;
	if (vault_check(vault->options, err) < 0 || find_addresses(vault, err) < 0) {
		(void)error_wrap(err, "backends.%s", vault->name);
		return NULL;
	}
	return (struct backend *)(void *)STEAL(vault);
}

static bool vault_endpoint(const struct backend *backend, size_t i, struct endpoint *ret)
{
	const struct vault *vault = (const struct vault *)(const void *)backend;

	if (i >= vault->addresses.count)
		return false;
	*ret = (struct endpoint){
		.url = vault->addresses.items[i],
		.ca_file = vault->options->tls.ca_file,
		.cert_file = vault->options->tls.cert_file,
		.key_file = vault->options->tls.key_file,
		.server_name = vault->options->tls.server_name,
		.insecure_http = vault->options->insecure_http,
	};
	return true;
}

const struct backend_ops vault_backend = {
	.type = "vault",
	.options = options,
	.options_size = sizeof(struct vault_options),
	.verbatim = true,
	.check = vault_check,
	.open = vault_open,
	.close = vault_close,
	.endpoint = vault_endpoint,
	.credential = vault_credential,
	.login = vault_login,
	.fetch = vault_fetch,
	.renew = vault_renew,
	.revoke = vault_revoke,
	.probe = vault_probe,
	.need = vault_need,
	.capabilities = vault_capabilities,
	.policy = vault_policy,
};

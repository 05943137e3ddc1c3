/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing in. Credentials are read from their files at each login, since whoever issues them
 * replaces them; a method that logs in posts them and gets a token, a method that has a token looks
 * up how long it lives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/vault_common.h"

#define KUBERNETES_TOKEN_FILE "/var/run/secrets/kubernetes.io/serviceaccount/token"

enum login_state {
	LOGIN_START,
	LOGIN_JWT,     /* file of kubernetes and jwt */
	LOGIN_ROLE_ID, /* files of approle */
	LOGIN_SECRET_ID,
	LOGIN_WRAP_LOOKUP, /* whose secret id is in there? */
	LOGIN_UNWRAP,
	LOGIN_AUTH,	  /* auth/MOUNT/login */
	LOGIN_TOKEN_FILE, /* file of token_file */
	LOGIN_LOOKUP,	  /* auth/token/lookup-self */
};

struct login {
	struct exchange x;
	struct vault *vault;
	enum login_state state;
	char *path; /* auth/MOUNT/login */
	struct secret *role_id;
	struct secret *wrapping; /* the token that holds the secret id */
	struct secret *token;	 /* that the user gave */
	const char *given;	 /* where the user gave it */
};

static void login_free(struct exchange *x)
{
	struct login *login = CONTAINER_OF(x, struct login, x);

	(void)secret_unref(login->role_id);
	(void)secret_unref(login->wrapping);
	(void)secret_unref(login->token);
	free(login->path);
	free(login);
}

static enum exchange_next ask_file(struct login *login, enum login_state state, const char *file,
				   struct error *err)
{
	request_reset(&login->x.request);
	login->x.request.kind = REQUEST_FILE;
	login->x.request.reply_max = VAULT_CREDENTIAL_MAX;
	login->x.request.file_secret = true;
	buf_puts(&login->x.request.path, file);
	login->state = state;
	return vault_send(&login->x, err);
}

static const char *token_file(const struct vault *vault)
{
	const struct vault_auth *auth = &vault->options->auth;

	return auth->token_file != NULL ? auth->token_file : KUBERNETES_TOKEN_FILE;
}

const char *vault_credential(const struct backend *backend, size_t i)
{
	const struct vault *vault = (const struct vault *)(const void *)backend;
	const struct vault_auth *auth = &vault->options->auth;
	const char *files[] = { NULL, NULL };

	switch (auth->method) {
	case VAULT_KUBERNETES:
	case VAULT_JWT:
	case VAULT_TOKEN_FILE:
		files[0] = token_file(vault);
		break;
	case VAULT_APPROLE:
		files[0] = auth->role_id_file;
		files[1] = auth->secret_id_file;
		break;
	case VAULT_CERT:
	case VAULT_TOKEN:
		break;
	}
	return i < ARRAY_SIZE(files) ? files[i] : NULL;
}

/* A credential is text on one line; what follows it is white space. */
static int read_credential(const char *file, const struct reply *reply, struct secret **ret,
			   struct error *err)
{
	size_t len = reply->len;
	struct secret *credential;

	while (len > 0 && strchr(" \t\r\n", reply->body[len - 1]) != NULL &&
	       reply->body[len - 1] != '\0')
		len--;
	if (len == 0)
		return error_set(err, ERROR_INVALID, "%.200s is empty; it should hold a credential",
				 file);
	if (len > VAULT_CREDENTIAL_MAX)
		return error_set(err, ERROR_EXHAUSTED, "%.200s holds more than %zu bytes", file,
				 VAULT_CREDENTIAL_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)reply->body[i] < 0x20 || reply->body[i] == 0x7f)
			return error_set(
				err, ERROR_INVALID,
				"%.200s holds no credential: a control character is at byte %zu",
				file, i);
	if (!text_is_utf8(reply->body, len))
		return error_set(err, ERROR_INVALID, "%.200s holds no credential: it is not UTF-8",
				 file);
	credential = secret_new(reply->body, len, err);
	if (credential == NULL)
		return -1;
	*ret = credential;
	return 0;
}

static int read_token_credential(const char *file, const struct reply *reply, struct secret **ret,
				 struct error *err)
{
	AUTO(secret_unrefp) struct secret *token = NULL;

	if (read_credential(file, reply, &token, err) < 0)
		return -1;
	if (!vault_token_is_sane(secret_bytes(token), secret_len(token)))
		return error_set(
			err, ERROR_INVALID,
			"%.200s holds no token: it has a space or non-ASCII, or over %zu bytes",
			file, VAULT_TOKEN_MAX);
	*ret = STEAL(token);
	return 0;
}

/* The session: its token as a field, its life as a lease. */
static int make_session(const void *token, size_t len, bool borrowed, struct secret_version **ret,
			const struct reply *reply, struct error *err)
{
	AUTO(secret_version_unrefp) struct secret_version *session = secret_version_new(err);

	if (session == NULL ||
	    secret_version_add_bytes(session, SESSION_TOKEN, FIELD_STRING, token, len, err) < 0)
		return -1;
	if (borrowed &&
	    secret_version_add_bytes(session, SESSION_BORROWED, FIELD_STRING, "true", 4, err) < 0)
		return -1;
	secret_version_identify(session);
	session->fetched = reply->received;
	*ret = STEAL(session);
	return 0;
}

/* The body is there: sign in with it. */
static enum exchange_next send_auth(struct login *login, struct error *err)
{
	login->state = LOGIN_AUTH;
	login->x.request.once = true;
	return vault_send(&login->x, err);
}

static enum exchange_next ask_jwt(struct login *login, const struct secret *jwt, struct error *err)
{
	const char *role = login->vault->options->auth.role;
	struct buf *body = &login->x.request.body;

	vault_ask(&login->x, login->vault, "POST", NULL, "", login->path);
	buf_putc(body, '{');
	if (role != NULL) {
		vault_put_member(body, "role", role, strlen(role));
		buf_putc(body, ',');
	}
	vault_put_member(body, "jwt", secret_bytes(jwt), secret_len(jwt));
	buf_putc(body, '}');
	return send_auth(login, err);
}

static enum exchange_next ask_approle(struct login *login, const struct secret *secret_id,
				      struct error *err)
{
	struct buf *body = &login->x.request.body;

	vault_ask(&login->x, login->vault, "POST", NULL, "", login->path);
	buf_putc(body, '{');
	vault_put_member(body, "role_id", secret_bytes(login->role_id), secret_len(login->role_id));
	if (secret_id != NULL) {
		buf_putc(body, ',');
		vault_put_member(body, "secret_id", secret_bytes(secret_id), secret_len(secret_id));
	}
	buf_putc(body, '}');
	return send_auth(login, err);
}

static enum exchange_next ask_cert(struct login *login, struct error *err)
{
	const char *role = login->vault->options->auth.role;
	struct buf *body = &login->x.request.body;

	vault_ask(&login->x, login->vault, "POST", NULL, "", login->path);
	buf_putc(body, '{');
	if (role != NULL)
		vault_put_member(body, "name", role, strlen(role));
	buf_putc(body, '}');
	return send_auth(login, err);
}

static enum exchange_next ask_lookup(struct login *login, struct error *err)
{
	vault_ask(&login->x, login->vault, "GET", login->token, "", "auth/token/lookup-self");
	login->state = LOGIN_LOOKUP;
	return vault_send(&login->x, err);
}

/* The one method without a file: the token of the environment. */
static enum exchange_next start_token(struct login *login, struct error *err)
{
	struct vault *vault = login->vault;

	login->given = "$BAO_TOKEN";
	if (vault->lookup != NULL)
		login->token = vault->lookup(vault->environment, "BAO_TOKEN");
	if (login->token == NULL && vault->lookup != NULL) {
		login->given = "$VAULT_TOKEN";
		login->token = vault->lookup(vault->environment, "VAULT_TOKEN");
	}
	if (login->token == NULL) {
		(void)error_set(
			err, ERROR_INVALID,
			"no token: neither $BAO_TOKEN nor $VAULT_TOKEN is set; set one, or choose "
			"another auth.method");
		return EXCHANGE_FAILED;
	}
	if (!vault_token_is_sane(secret_bytes(login->token), secret_len(login->token))) {
		(void)error_set(
			err, ERROR_INVALID,
			"%s holds no token: it is empty, has white space or non-ASCII, or over %zu "
			"bytes",
			login->given, VAULT_TOKEN_MAX);
		return EXCHANGE_FAILED;
	}
	return ask_lookup(login, err);
}

static enum exchange_next start(struct login *login, struct error *err)
{
	const struct vault_auth *auth = &login->vault->options->auth;

	switch ((enum vault_method)auth->method) {
	case VAULT_KUBERNETES:
	case VAULT_JWT:
		return ask_file(login, LOGIN_JWT, token_file(login->vault), err);
	case VAULT_TOKEN_FILE:
		return ask_file(login, LOGIN_TOKEN_FILE, token_file(login->vault), err);
	case VAULT_APPROLE:
		return ask_file(login, LOGIN_ROLE_ID, auth->role_id_file, err);
	case VAULT_CERT:
		return ask_cert(login, err);
	case VAULT_TOKEN:
		break;
	}
	return start_token(login, err);
}

static enum exchange_next read_jwt(struct login *login, const struct reply *reply,
				   struct error *err)
{
	AUTO(secret_unrefp) struct secret *jwt = NULL;

	if (read_credential(token_file(login->vault), reply, &jwt, err) < 0)
		return EXCHANGE_FAILED;
	return ask_jwt(login, jwt, err);
}

static enum exchange_next read_role_id(struct login *login, const struct reply *reply,
				       struct error *err)
{
	const struct vault_auth *auth = &login->vault->options->auth;

	if (read_credential(auth->role_id_file, reply, &login->role_id, err) < 0)
		return EXCHANGE_FAILED;
	if (auth->secret_id_file == NULL)
		return ask_approle(login, NULL, err);
	return ask_file(login, LOGIN_SECRET_ID, auth->secret_id_file, err);
}

static enum exchange_next ask_wrap_lookup(struct login *login, struct error *err)
{
	struct buf *body = &login->x.request.body;

	vault_ask(&login->x, login->vault, "POST", NULL, "", "sys/wrapping/lookup");
	buf_putc(body, '{');
	vault_put_member(body, "token", secret_bytes(login->wrapping), secret_len(login->wrapping));
	buf_putc(body, '}');
	login->state = LOGIN_WRAP_LOOKUP;
	return vault_send(&login->x, err);
}

static enum exchange_next read_secret_id(struct login *login, const struct reply *reply,
					 struct error *err)
{
	AUTO(secret_unrefp) struct secret *secret_id = NULL;
	struct vault *vault = login->vault;
	const struct vault_auth *auth = &vault->options->auth;

	if (!auth->secret_id_wrapped) {
		if (read_credential(auth->secret_id_file, reply, &secret_id, err) < 0)
			return EXCHANGE_FAILED;
		return ask_approle(login, secret_id, err);
	}
	if (read_token_credential(auth->secret_id_file, reply, &login->wrapping, err) < 0)
		return EXCHANGE_FAILED;
	if (vault->secret_id != NULL && secret_equal(login->wrapping, vault->wrapping))
		return ask_approle(login, vault->secret_id, err);
	return ask_wrap_lookup(login, err);
}

/* Was the wrapped thing made by auth/MOUNT/role/NAME/secret-id? Anything else is somebody's trick.
 */
static bool made_by_role(const struct vault_options *options, const char *path)
{
	const char *mount = vault_auth_mount(options), *role;
	size_t len = strlen(mount), role_len;

	if (!text_starts_with(path, "auth/"))
		return false;
	path += strlen("auth/");
	if (strncmp(path, mount, len) != 0 || !text_starts_with(path + len, "/role/"))
		return false;
	role = path + len + strlen("/role/");
	role_len = strcspn(role, "/");
	if (role_len == 0 || strcmp(role + role_len, "/secret-id") != 0)
		return false;
	return options->auth.role == NULL || (strlen(options->auth.role) == role_len &&
					      strncmp(role, options->auth.role, role_len) == 0);
}

static enum exchange_next read_wrap_lookup(struct login *login, const struct reply *reply,
					   struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const char *file = login->vault->options->auth.secret_id_file, *path;

	if (vault_judge(VAULT_CALL_WRAP, file, reply, err) < 0 ||
	    vault_parse("sys/wrapping/lookup", reply, &doc, err) < 0)
		return EXCHANGE_FAILED;
	path = json_string(json_get(json_get(json_doc_root(doc), "data"), "creation_path"));
	if (path == NULL || !made_by_role(login->vault->options, path)) {
		(void)error_set(err, ERROR_DENIED,
				"the wrapping token in %.100s was not made by "
				"auth/%.60s/role/%s/secret-id; "
				"somebody may have replaced it",
				file, vault_auth_mount(login->vault->options),
				login->vault->options->auth.role != NULL
					? login->vault->options->auth.role
					: "NAME");
		return EXCHANGE_FAILED;
	}
	vault_ask(&login->x, login->vault, "POST", login->wrapping, "", "sys/wrapping/unwrap");
	login->x.request.once = true;
	login->state = LOGIN_UNWRAP;
	return vault_send(&login->x, err);
}

static enum exchange_next read_unwrap(struct login *login, const struct reply *reply,
				      struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	struct vault *vault = login->vault;
	const char *file = vault->options->auth.secret_id_file;
	const struct json_node *id;
	struct secret *secret_id;

	if (vault_judge(VAULT_CALL_WRAP, file, reply, err) < 0 ||
	    vault_parse("sys/wrapping/unwrap", reply, &doc, err) < 0)
		return EXCHANGE_FAILED;
	id = json_get(json_get(json_doc_root(doc), "data"), "secret_id");
	if (json_string(id) == NULL || id->text_len == 0) {
		(void)error_set(err, ERROR_PROTOCOL,
				"sys/wrapping/unwrap: the answer has no secret_id");
		return EXCHANGE_FAILED;
	}
	secret_id = secret_new(id->text, id->text_len, err);
	if (secret_id == NULL)
		return EXCHANGE_FAILED;
	/* Kept before it is used: the wrapping token is worth nothing from here on. */
	(void)secret_unref(vault->secret_id);
	(void)secret_unref(vault->wrapping);
	vault->secret_id = secret_id;
	vault->wrapping = secret_ref(login->wrapping);
	return ask_approle(login, vault->secret_id, err);
}

static enum exchange_next read_auth(struct login *login, const struct reply *reply,
				    struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(secret_version_unrefp) struct secret_version *session = NULL;
	const struct json_node *auth, *token;
	int64_t seconds;

	if (vault_judge(VAULT_CALL_LOGIN, login->path, reply, err) < 0 ||
	    vault_parse(login->path, reply, &doc, err) < 0)
		return EXCHANGE_FAILED;
	auth = json_get(json_doc_root(doc), "auth");
	token = json_get(auth, "client_token");
	seconds = json_integer(json_get(auth, "lease_duration"), INT64_MIN);
	if (json_string(token) == NULL || seconds == INT64_MIN ||
	    !vault_token_is_sane(token->text, token->text_len)) {
		(void)error_set(err, ERROR_PROTOCOL,
				"%.120s: the answer holds no token that can be used", login->path);
		return EXCHANGE_FAILED;
	}
	if (make_session(token->text, token->text_len, false, &session, reply, err) < 0 ||
	    vault_lease_timed(&session->lease, json_string(json_get(auth, "accessor")), seconds,
			      json_bool(json_get(auth, "renewable"), false), reply, err) < 0)
		return EXCHANGE_FAILED;
	login->x.result = STEAL(session);
	return EXCHANGE_DONE;
}

static enum exchange_next read_token_file(struct login *login, const struct reply *reply,
					  struct error *err)
{
	login->given = token_file(login->vault);
	if (read_token_credential(login->given, reply, &login->token, err) < 0)
		return EXCHANGE_FAILED;
	return ask_lookup(login, err);
}

static enum exchange_next read_lookup(struct login *login, const struct reply *reply,
				      struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(secret_version_unrefp) struct secret_version *session = NULL;
	const struct json_node *data;
	int64_t ttl;

	if (vault_judge(VAULT_CALL_LOOKUP, login->given, reply, err) < 0 ||
	    vault_parse("auth/token/lookup-self", reply, &doc, err) < 0)
		return EXCHANGE_FAILED;
	data = json_get(json_doc_root(doc), "data");
	ttl = json_integer(json_get(data, "ttl"), -1);
	if (ttl < 0) {
		(void)error_set(err, ERROR_PROTOCOL,
				"auth/token/lookup-self: the answer has no usable ttl");
		return EXCHANGE_FAILED;
	}
	if (make_session(secret_bytes(login->token), secret_len(login->token), true, &session,
			 reply, err) < 0 ||
	    vault_lease_timed(&session->lease, json_string(json_get(data, "accessor")), ttl,
			      json_bool(json_get(data, "renewable"), false), reply, err) < 0)
		return EXCHANGE_FAILED;
	login->x.result = STEAL(session);
	return EXCHANGE_DONE;
}

static enum exchange_next login_step(struct exchange *x, const struct reply *reply,
				     struct error *err)
{
	struct login *login = CONTAINER_OF(x, struct login, x);

	if (login->state == LOGIN_START)
		return start(login, err);
	if (reply == NULL) {
		(void)error_set(err, ERROR_PROTOCOL, "sign-in: stepped without a reply");
		return EXCHANGE_FAILED;
	}
	switch (login->state) {
	case LOGIN_START:
		break;
	case LOGIN_JWT:
		return read_jwt(login, reply, err);
	case LOGIN_ROLE_ID:
		return read_role_id(login, reply, err);
	case LOGIN_SECRET_ID:
		return read_secret_id(login, reply, err);
	case LOGIN_WRAP_LOOKUP:
		return read_wrap_lookup(login, reply, err);
	case LOGIN_UNWRAP:
		return read_unwrap(login, reply, err);
	case LOGIN_AUTH:
		return read_auth(login, reply, err);
	case LOGIN_TOKEN_FILE:
		return read_token_file(login, reply, err);
	case LOGIN_LOOKUP:
		return read_lookup(login, reply, err);
	}
	return EXCHANGE_FAILED;
}

static const struct exchange_ops login_ops = { .step = login_step, .free = login_free };

struct exchange *vault_login(struct backend *backend, struct error *err)
{
	struct vault *vault = vault_of(backend);
	struct login *login = calloc(1, sizeof(*login));
	const char *mount = vault_auth_mount(vault->options);

	if (login == NULL ||
	    (mount != NULL && asprintf(&login->path, "auth/%s/login", mount) < 0)) {
		free(login);
		(void)error_no_memory(err);
		return NULL;
	}
	login->x = (struct exchange){ .ops = &login_ops, .request = REQUEST_INIT };
	login->vault = vault;
	return &login->x;
}

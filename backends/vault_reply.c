/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a request to Vault looks and what its reply means. One table says what each status of each
 * call asks of the caller; everything else here is the same for all calls.
 */
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "backends/vault_common.h"
#include "backends/vault_words.h"

void vault_ask(struct exchange *x, const struct vault *vault, const char *method,
	       const struct secret *token, const char *prefix, const char *path)
{
	struct request *request = &x->request;

	request_reset(request);
	request->method = method;
	buf_puts(&request->path, "/v1/");
	buf_puts(&request->path, prefix);
	text_write_percent(&request->path, path, strlen(path), "/");
	buf_puts(&request->headers, "X-Vault-Request: true\n");
	if (vault->options->namespace != NULL && vault->options->namespace[0] != '\0')
		buf_printf(&request->headers, "X-Vault-Namespace: %s\n", vault->options->namespace);
	if (token != NULL) {
		buf_puts(&request->headers, "X-Vault-Token: ");
		buf_put(&request->headers, secret_bytes(token), secret_len(token));
		buf_putc(&request->headers, '\n');
	}
	if (strcmp(method, "GET") != 0)
		buf_puts(&request->headers, "Content-Type: application/json\n");
}

void vault_put_member(struct buf *body, const char *key, const void *bytes, size_t len)
{
	text_write_json(body, key, strlen(key));
	buf_putc(body, ':');
	text_write_json(body, bytes, len);
}

enum exchange_next vault_send(struct exchange *x, struct error *err)
{
	if (buf_check(&x->request.path, "the request's path", err) < 0 ||
	    buf_check(&x->request.headers, "the request's headers", err) < 0 ||
	    buf_check(&x->request.body, "the request's body", err) < 0)
		return EXCHANGE_FAILED;
	return EXCHANGE_SEND;
}

bool vault_token_is_sane(const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;

	if (len == 0 || len > VAULT_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (byte[i] <= 0x20 || byte[i] >= 0x7f)
			return false;
	return true;
}

struct secret *vault_token(const struct secret_version *session, struct error *err)
{
	const struct field *field =
		session != NULL ? secret_version_field(session, SESSION_TOKEN) : NULL;

	if (field == NULL) {
		(void)error_set(err, ERROR_UNAUTHENTICATED, "not signed in");
		return NULL;
	}
	return secret_ref(field->value);
}

struct meaning {
	enum vault_call call;
	int from, to;
	const char
		*says; /* only when what we know of the server's words holds this; NULL: always */
	enum error_code code;
	const char *text;
};

/* The first row that fits decides. */
static const struct meaning meanings[] = {
	{ VAULT_CALL_LOGIN, 400, 400, NULL, ERROR_DENIED,
	  "sign-in refused; check auth.role and the credential" },
	{ VAULT_CALL_LOGIN, 401, 403, NULL, ERROR_DENIED,
	  "sign-in refused; check auth.role, auth.mount and the credential" },
	{ VAULT_CALL_LOGIN, 404, 404, NULL, ERROR_DENIED,
	  "sign-in refused: nothing answers there; check auth.mount, auth.method and namespace" },
	{ VAULT_CALL_LOOKUP, 400, 403, NULL, ERROR_DENIED,
	  "the token is not valid, expired or was revoked; give a new one" },
	{ VAULT_CALL_LOOKUP, 404, 404, NULL, ERROR_DENIED,
	  "the token cannot be looked up there; check namespace" },
	{ VAULT_CALL_WRAP, 400, 404, NULL, ERROR_DENIED,
	  "the wrapping token was used already, expired or is not one; deliver a new one (if it "
	  "was not "
	  "used by this agent, somebody else has the secret id: revoke it)" },
	{ VAULT_CALL_READ, 400, 400, "being upgraded", ERROR_UNAVAILABLE,
	  "the mount is being upgraded" },
	{ VAULT_CALL_READ, 401, 403, NULL, ERROR_DENIED,
	  "refused; the token's policy must allow it (`agent check --policy` prints one)" },
	{ VAULT_CALL_RENEW, 400, 404, NULL, ERROR_UNAUTHENTICATED,
	  "the session cannot be renewed" },
	{ VAULT_CALL_LEASE, 400, 400, NULL, ERROR_NOT_FOUND, "the lease is gone" },
	{ VAULT_CALL_LEASE, 404, 404, NULL, ERROR_NOT_FOUND, "the lease is gone" },
	{ VAULT_CALL_REVOKE, 400, 403, NULL, ERROR_UNAUTHENTICATED,
	  "the session has ended already" },
	{ VAULT_CALL_PROBE, 400, 403, NULL, ERROR_UNAUTHENTICATED, "the session has ended" },
	{ VAULT_CALL_ANY, 300, 399, NULL, ERROR_UNAVAILABLE,
	  "the server sends us elsewhere; set address to the active server" },
	{ VAULT_CALL_ANY, 400, 400, NULL, ERROR_INVALID, "the server finds the request wrong" },
	{ VAULT_CALL_ANY, 401, 403, NULL, ERROR_DENIED, "refused" },
	{ VAULT_CALL_ANY, 404, 404, NULL, ERROR_NOT_FOUND, "not there" },
	{ VAULT_CALL_ANY, 405, 405, NULL, ERROR_INVALID,
	  "the path does not support this operation" },
	{ VAULT_CALL_ANY, 408, 408, NULL, ERROR_UNAVAILABLE, "the server waited too long" },
	{ VAULT_CALL_ANY, 412, 412, NULL, ERROR_UNAVAILABLE, "the server has not caught up yet" },
	{ VAULT_CALL_ANY, 413, 413, NULL, ERROR_INVALID,
	  "the request is too large for the server" },
	{ VAULT_CALL_ANY, 429, 429, NULL, ERROR_UNAVAILABLE, "too many requests for the server" },
	{ VAULT_CALL_ANY, 472, 473, NULL, ERROR_UNAVAILABLE, "the server is a standby" },
	{ VAULT_CALL_ANY, 501, 501, NULL, ERROR_UNAVAILABLE, "the server is not initialised" },
	{ VAULT_CALL_ANY, 503, 503, "sealed", ERROR_UNAVAILABLE, "the server is sealed" },
	{ VAULT_CALL_ANY, 500, 599, NULL, ERROR_UNAVAILABLE, "the server failed" },
	{ VAULT_CALL_ANY, 0, 999, NULL, ERROR_PROTOCOL, "a status that Vault does not have" },
};

int vault_judge(enum vault_call call, const char *what, const struct reply *reply,
		struct error *err)
{
	AUTO(buf_deinit) struct buf words = BUF_INIT(ERROR_TEXT_MAX);
	const struct meaning *row = meanings;
	bool others;

	if (reply->status == 200 || reply->status == 204)
		return 0;
	others = vault_words(reply, &words);
	while ((row->call != VAULT_CALL_ANY && row->call != call) || reply->status < row->from ||
	       reply->status > row->to ||
	       (row->says != NULL && strstr(buf_string(&words), row->says) == NULL))
		if (row++ == &meanings[ARRAY_SIZE(meanings) - 1])
			return error_set(err, ERROR_PROTOCOL, "%.120s: no HTTP status", what);
	(void)error_set(err, row->code, "%.120s: %s (%d%s%s)", what, row->text, reply->status,
			words.len > 0 ? ": "
			: others      ? "; the server's log says more"
				      : "",
			buf_string(&words));
	if (row->code == ERROR_UNAVAILABLE && reply->retry_after_ms > 0)
		err->retry_after_ms =
			(uint32_t)(reply->retry_after_ms < UINT32_MAX ? reply->retry_after_ms
								      : UINT32_MAX);
	return -1;
}

int vault_parse(const char *what, const struct reply *reply, struct json_doc **ret,
		struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	struct json_limits limits = JSON_REPLY_LIMITS;
	const struct json_node *root, *errors;

	if (reply->len == 0)
		return error_set(err, ERROR_PROTOCOL, "%.120s: the answer (%d) is empty", what,
				 reply->status);
	doc = json_doc_read(reply->body, reply->len, &limits, err);
	if (doc == NULL)
		return error_wrap(err, "%.120s: answer", what);
	root = json_doc_root(doc);
	if (root->type != JSON_IS_MAP)
		return error_set(err, ERROR_PROTOCOL, "%.120s: the answer is no JSON object", what);
	errors = json_get(root, "errors");
	if (errors != NULL && errors->type != JSON_IS_NULL && errors->count > 0)
		return error_set(err, ERROR_PROTOCOL, "%.120s: the answer holds errors (status %d)",
				 what, reply->status);
	*ret = STEAL(doc);
	return 0;
}

int vault_lease_timed(struct lease *lease, const char *id, int64_t seconds, bool renewable,
		      const struct reply *reply, struct error *err)
{
	char *copy = NULL;

	if (seconds < 0)
		seconds = 1;
	if (seconds > VAULT_LEASE_MAX_S)
		seconds = VAULT_LEASE_MAX_S;
	if (id != NULL && id[0] != '\0') {
		copy = wipe_strdup(id);
		if (copy == NULL)
			return error_no_memory(err);
	}
	wipe_free(lease->id);
	*lease = (struct lease){
		.kind = LEASE_TIMED,
		.id = copy,
		.renewable = renewable && seconds > 0,
		.duration_ms = seconds * 1000,
		.issued = reply->sent,
	};
	return 0;
}

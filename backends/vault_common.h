#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the conversations with a Vault share: the backend itself, how a request looks, how a reply
 * is judged.
 */
#include "agent/base/backend.h"
#include "agent/base/json.h"
#include "backends/vault.h"
#include "backends/vault_mount.h"

struct vault {
	char *name;
	const struct vault_options *options;
	environment_lookup_fn *lookup;
	void *environment;
	struct strings addresses;
	struct vault_mounts mounts;
	struct secret *wrapping;  /* the wrapping token that was used up … */
	struct secret *secret_id; /* … and what it held: good until the file changes */
};

static inline struct vault *vault_of(struct backend *backend)
{
	return (struct vault *)(void *)backend;
}

/* What a request is about; decides what its status means. */
enum vault_call {
	VAULT_CALL_LOGIN,
	VAULT_CALL_LOOKUP, /* of a token that the user gave */
	VAULT_CALL_WRAP,
	VAULT_CALL_MOUNT,
	VAULT_CALL_READ,
	VAULT_CALL_RENEW, /* of the session */
	VAULT_CALL_LEASE, /* renewal of a secret's */
	VAULT_CALL_REVOKE,
	VAULT_CALL_PROBE,
	VAULT_CALL_CAPABILITIES,
	VAULT_CALL_ANY,
};

/* Starts a request for `/v1/PATH`; `token` NULL: none. `prefix` is put before the path as it is. */
void vault_ask(struct exchange *x, const struct vault *vault, const char *method,
	       const struct secret *token, const char *prefix, const char *path);

/* Appends `"key":"value"` to the request's body. */
void vault_put_member(struct buf *body, const char *key, const void *bytes, size_t len);

/* The last word on a request: SEND, or FAILED when it did not fit. */
enum exchange_next vault_send(struct exchange *x, struct error *err);

/* 0 for 200 and 204; else -1 with what the status means for this call. `what` names the place, as
 * "secret/db". */
int vault_judge(enum vault_call call, const char *what, const struct reply *reply,
		struct error *err) MUST_USE;

/* Reads a judged reply: a map without errors. */
int vault_parse(const char *what, const struct reply *reply, struct json_doc **ret,
		struct error *err) MUST_USE;

/* The session's token, a new reference; NULL with UNAUTHENTICATED when there is none. */
struct secret *vault_token(const struct secret_version *session, struct error *err) MUST_USE;

/* A token goes into a header: visible ASCII of a sane length. */
bool vault_token_is_sane(const void *bytes, size_t len);

/* A lease of `seconds` (clamped; 0: for ever) that began when the request was sent. `id` may be
 * NULL or "". */
int vault_lease_timed(struct lease *lease, const char *id, int64_t seconds, bool renewable,
		      const struct reply *reply, struct error *err) MUST_USE;

/* The conversations. */
struct exchange *vault_login(struct backend *backend, struct error *err);
const char *vault_credential(const struct backend *backend, size_t i);
struct exchange *vault_fetch(struct backend *backend, const struct secret_version *session,
			     const struct secret_spec *spec, struct error *err);
struct exchange *vault_capabilities(struct backend *backend, const struct secret_version *session,
				    const struct secret_spec *spec, struct error *err);
struct exchange *vault_need(struct backend *backend, const struct secret_version *session,
			    const char *key, struct error *err);
struct exchange *vault_renew(struct backend *backend, const struct secret_version *session,
			     const struct secret_version *version, struct error *err);
struct exchange *vault_revoke(struct backend *backend, const struct secret_version *session,
			      struct error *err);
struct exchange *vault_probe(struct backend *backend, const struct secret_version *session,
			     struct error *err);
void vault_policy(struct backend *backend, const struct secret_spec *spec, struct buf *policy);

/* The method's mount below auth/, NULL for methods that have none; and its name. */
const char *vault_auth_mount(const struct vault_options *options);
const char *vault_auth_method(const struct vault_options *options);

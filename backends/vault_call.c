/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversations of one question and one answer: renew, revoke, probe, and which mount a path is
 * in.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/wipe.h"
#include "backends/vault_common.h"

struct call {
	struct exchange x;
	struct vault *vault;
	bool asked;
	enum vault_call kind;
	struct secret *token;
	char *id; /* of the lease; or the path whose mount is asked for */
};

static void call_free(struct exchange *x)
{
	struct call *call = CONTAINER_OF(x, struct call, x);

	(void)secret_unref(call->token);
	wipe_free(call->id);
	free(call);
}

static const char *call_path(enum vault_call kind)
{
	switch ((int)kind) {
	case VAULT_CALL_RENEW:
		return "auth/token/renew-self";
	case VAULT_CALL_LEASE:
		return "sys/leases/renew";
	case VAULT_CALL_REVOKE:
		return "auth/token/revoke-self";
	case VAULT_CALL_PROBE:
		return "auth/token/lookup-self";
	default:
		return "sys/internal/ui/mounts/";
	}
}

static enum exchange_next ask(struct call *call, struct error *err)
{
	struct buf *body = &call->x.request.body;

	call->asked = true;
	if (call->kind == VAULT_CALL_MOUNT) {
		vault_ask(&call->x, call->vault, "GET", call->token, call_path(call->kind),
			  call->id);
		return vault_send(&call->x, err);
	}
	vault_ask(&call->x, call->vault, call->kind == VAULT_CALL_PROBE ? "GET" : "POST",
		  call->token, "", call_path(call->kind));
	if (call->kind == VAULT_CALL_LEASE) {
		buf_putc(body, '{');
		vault_put_member(body, "lease_id", call->id, strlen(call->id));
		buf_putc(body, '}');
	} else if (call->kind != VAULT_CALL_PROBE) {
		buf_puts(body, "{}");
	}
	return vault_send(&call->x, err);
}

/* A server that will not tell, or is too old to: the path is read as it is written. */
static enum exchange_next read_mount(struct call *call, const struct reply *reply,
				     struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_node *data = NULL;

	if (reply->status != 403 && reply->status != 404) {
		if (vault_judge(VAULT_CALL_MOUNT, call->id, reply, err) < 0 ||
		    vault_parse(call->id, reply, &doc, err) < 0)
			return EXCHANGE_FAILED;
		data = json_get(json_doc_root(doc), "data");
		if (data == NULL || data->type != JSON_IS_MAP) {
			(void)error_set(err, ERROR_PROTOCOL,
					"the answer about the mount of %.120s has no data",
					call->id);
			return EXCHANGE_FAILED;
		}
	}
	return vault_mounts_learn(&call->vault->mounts, call->id, data, err) < 0 ? EXCHANGE_FAILED
										 : EXCHANGE_DONE;
}

/* The new lease, as a version without fields. A renewal leaves the lease's id. */
static enum exchange_next read_renewal(struct call *call, const struct reply *reply,
				       struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	const char *path = call_path(call->kind);
	const struct json_node *lease;
	int64_t seconds;

	if (vault_parse(path, reply, &doc, err) < 0)
		return EXCHANGE_FAILED;
	lease = json_doc_root(doc);
	if (call->kind == VAULT_CALL_RENEW)
		lease = json_get(lease, "auth");
	seconds = json_integer(json_get(lease, "lease_duration"), INT64_MIN);
	if (seconds == INT64_MIN) {
		(void)error_set(err, ERROR_PROTOCOL, "%s: the answer has no lease_duration", path);
		return EXCHANGE_FAILED;
	}
	/* What was renewed ends: a renewal by 0 s means that its longest life is used up, not that
	 * it has no end. */
	if (seconds == 0)
		seconds = 1;
	version = secret_version_new(err);
	if (version == NULL ||
	    vault_lease_timed(&version->lease, call->id, seconds,
			      json_bool(json_get(lease, "renewable"), false), reply, err) < 0)
		return EXCHANGE_FAILED;
	version->fetched = reply->received;
	call->x.result = STEAL(version);
	return EXCHANGE_DONE;
}

static enum exchange_next call_step(struct exchange *x, const struct reply *reply,
				    struct error *err)
{
	struct call *call = CONTAINER_OF(x, struct call, x);

	if (!call->asked)
		return ask(call, err);
	if (reply == NULL) {
		(void)error_set(err, ERROR_PROTOCOL, "%s: stepped without a reply",
				call_path(call->kind));
		return EXCHANGE_FAILED;
	}
	if (call->kind == VAULT_CALL_MOUNT)
		return read_mount(call, reply, err);
	if (vault_judge(call->kind, call_path(call->kind), reply, err) < 0)
		return EXCHANGE_FAILED;
	if (call->kind == VAULT_CALL_RENEW || call->kind == VAULT_CALL_LEASE)
		return read_renewal(call, reply, err);
	return EXCHANGE_DONE;
}

static const struct exchange_ops call_ops = { .step = call_step, .free = call_free };

static void call_freep(struct call **call)
{
	if (*call != NULL)
		(void)exchange_free(&(*call)->x);
}

static struct exchange *call_new(struct backend *backend, enum vault_call kind,
				 const struct secret_version *session, const char *id,
				 struct error *err)
{
	AUTO(call_freep) struct call *call = calloc(1, sizeof(*call));

	if (call == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	call->x = (struct exchange){ .ops = &call_ops, .request = REQUEST_INIT };
	call->vault = vault_of(backend);
	call->kind = kind;
	call->token = vault_token(session, err);
	if (call->token == NULL)
		return NULL;
	if (id != NULL && (call->id = wipe_strdup(id)) == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	return &STEAL(call)->x;
}

struct exchange *vault_renew(struct backend *backend, const struct secret_version *session,
			     const struct secret_version *version, struct error *err)
{
	if (session == NULL || version == session)
		return call_new(backend, VAULT_CALL_RENEW, version, version->lease.id, err);
	if (version->lease.id == NULL) {
		(void)error_set(err, ERROR_INVALID, "a secret without a lease cannot be renewed");
		return NULL;
	}
	return call_new(backend, VAULT_CALL_LEASE, session, version->lease.id, err);
}

struct exchange *vault_revoke(struct backend *backend, const struct secret_version *session,
			      struct error *err)
{
	return call_new(backend, VAULT_CALL_REVOKE, session, NULL, err);
}

struct exchange *vault_probe(struct backend *backend, const struct secret_version *session,
			     struct error *err)
{
	return call_new(backend, VAULT_CALL_PROBE, session, NULL, err);
}

struct exchange *vault_need(struct backend *backend, const struct secret_version *session,
			    const char *key, struct error *err)
{
	const char *sample = vault_mounts_sample(&vault_of(backend)->mounts, key);

	if (sample == NULL) {
		(void)error_set(err, ERROR_INVALID, "nobody asked for '%.120s'", key);
		return NULL;
	}
	return call_new(backend, VAULT_CALL_MOUNT, session, sample, err);
}

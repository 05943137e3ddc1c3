/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one secret: which mount is it in, ask it, and make a version of the answer. The same
 * beginning serves `capabilities`, which asks what the session may do with the path instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/vault_certificate.h"
#include "backends/vault_common.h"

enum fetch_state { FETCH_MOUNT, FETCH_READ };

struct fetch {
	struct exchange x;
	struct vault *vault;
	enum fetch_state state;
	struct secret *token;
	char *path;
	char *query; /* "?version=3" of a path that is asked as written; NULL: none */
	enum secret_verbatim verbatim;
	struct buf write; /* the body of a read that is a write; empty: plain read */
	bool writes;
	bool capabilities; /* asks what may be done instead of doing it */
	unsigned needs;	   /* facts asked for so far */
	bool assumed;	   /* the server would not tell the mount */
	enum vault_mount_kind kind;
	struct buf api_path;
};

static void fetch_free(struct exchange *x)
{
	struct fetch *fetch = CONTAINER_OF(x, struct fetch, x);

	(void)secret_unref(fetch->token);
	buf_deinit(&fetch->write);
	buf_deinit(&fetch->api_path);
	free(fetch->path);
	free(fetch->query);
	free(fetch);
}

static enum exchange_next ask_capabilities(struct fetch *fetch, struct error *err)
{
	struct buf *body = &fetch->x.request.body;

	vault_ask(&fetch->x, fetch->vault, "POST", fetch->token, "", "sys/capabilities-self");
	buf_puts(body, "{\"paths\":[");
	text_write_json(body, buf_string(&fetch->api_path), fetch->api_path.len);
	buf_puts(body, "]}");
	return vault_send(&fetch->x, err);
}

static enum exchange_next ask_read(struct fetch *fetch, struct error *err)
{
	bool kv = fetch->kind == VAULT_MOUNT_KV1 || fetch->kind == VAULT_MOUNT_KV2;

	vault_ask(&fetch->x, fetch->vault, fetch->writes ? "POST" : "GET", fetch->token, "",
		  buf_string(&fetch->api_path));
	if (fetch->query != NULL)
		buf_puts(&fetch->x.request.path, fetch->query);
	if (fetch->writes)
		buf_put(&fetch->x.request.body, buf_string(&fetch->write), fetch->write.len);
	/* Reading anything but KV may make credentials, and a write is never KV here. */
	fetch->x.request.once = !kv;
	return vault_send(&fetch->x, err);
}

/* Settles the mount, or says what must be learned first. A write says itself where it goes, and so
 * does a path that is asked as written. */
static enum exchange_next ask(struct fetch *fetch, struct error *err)
{
	struct exchange *x = &fetch->x;
	bool literal = fetch->writes || fetch->verbatim == VERBATIM_YES;
	const struct vault_mount *mount = NULL;
	int known = 1;

	if (!literal)
		known = vault_mounts_resolve(&fetch->vault->mounts, fetch->path, &mount, x->need,
					     sizeof(x->need), err);
	if (known < 0)
		return EXCHANGE_FAILED;
	if (known == 0 && fetch->needs++ <= VAULT_PATH_MAX / 2)
		return EXCHANGE_NEED;
	if (known == 0) {
		(void)error_set(err, ERROR_PROTOCOL, "%.120s: its mount cannot be learned",
				fetch->path);
		return EXCHANGE_FAILED;
	}
	if (mount != NULL && mount->kind != VAULT_MOUNT_OTHER &&
	    strcmp(mount->path, fetch->path) == 0) {
		(void)error_set(
			err, ERROR_INVALID,
			"path '%.120s' is a whole KV mount; name a secret in it, as %.120s/db",
			fetch->path, fetch->path);
		return EXCHANGE_FAILED;
	}
	fetch->assumed = !literal && mount == NULL;
	fetch->kind = mount != NULL ? mount->kind : VAULT_MOUNT_OTHER;
	buf_reset(&fetch->api_path);
	vault_mount_api_path(&fetch->api_path, mount, fetch->path);
	if (buf_check(&fetch->api_path, "path", err) < 0)
		return EXCHANGE_FAILED;
	fetch->state = FETCH_READ;
	return fetch->capabilities ? ask_capabilities(fetch, err) : ask_read(fetch, err);
}

/* Every member of `data` becomes a field. One that nests a whole secret may be as long as that. */
static int read_fields(const struct fetch *fetch, const struct json_node *data,
		       struct secret_version *version, struct error *err)
{
	size_t most = fetch->verbatim != VERBATIM_NO ? SECRET_MAX : FIELD_VALUE_MAX;

	for (const struct json_node *node = data->first; node != NULL; node = node->next) {
		bool text = node->type == JSON_IS_STRING;
		const char *bytes = text ? node->text : node->raw;
		size_t len = text ? node->text_len : node->raw_len;

		if (strlen(node->key) != node->key_len)
			return error_set(err, ERROR_BAD_DATA, "a field's name holds NUL: '%.60s…'",
					 node->key);
		if (len > most)
			return error_set(
				err, ERROR_BAD_DATA,
				"field '%.100s' has %zu bytes; at most %zu can be handed out",
				node->key, len, most);
		if (secret_version_add_bytes(version, node->key, text ? FIELD_STRING : FIELD_JSON,
					     bytes, len, err) < 0)
			return -1;
	}
	return 0;
}

/* What lives without a lease of the server's: its data say how long. */
static int read_own_life(const struct fetch *fetch, const struct json_node *root,
			 const struct reply *reply, struct lease *lease, struct error *err)
{
	const struct json_node *data = json_get(root, "data");
	const struct json_node *certificate = json_get(data, "certificate");
	int64_t ttl = json_integer(json_get(data, "ttl"), -1);
	int64_t duration = json_integer(json_get(root, "lease_duration"), 0);

	/* Issued for us by this write. One that is merely read may be old already: it stays static,
	 * else its refresh would always be due. */
	if (fetch->writes && json_string(certificate) != NULL &&
	    vault_certificate_lease(certificate->text, certificate->text_len, reply->sent, lease))
		return 0;
	if (ttl >= 0 && (json_get(data, "rotation_period") != NULL ||
			 json_get(data, "rotation_schedule") != NULL)) {
		/* At 0 the rotation is under way. */
		if (vault_lease_timed(lease, NULL, ttl > 0 ? ttl : 1, false, reply, err) < 0)
			return -1;
		lease->kind = LEASE_ROTATION;
		return 0;
	}
	/* Where the mount is not known it may be KV v1, whose duration is a hint that means
	 * nothing. */
	if (duration > 0 && !fetch->assumed && fetch->verbatim != VERBATIM_YES && !fetch->writes)
		return vault_lease_timed(lease, NULL, duration, false, reply, err);
	return 0;
}

static int read_lease(const struct fetch *fetch, const struct json_node *root,
		      const struct reply *reply, struct lease *lease, struct error *err)
{
	const char *id = json_string(json_get(root, "lease_id"));
	int64_t duration = json_integer(json_get(root, "lease_duration"), -1);

	if (fetch->kind == VAULT_MOUNT_KV1 || fetch->kind == VAULT_MOUNT_KV2)
		return 0;
	if (id == NULL || id[0] == '\0')
		return read_own_life(fetch, root, reply, lease, err);
	return vault_lease_timed(lease, id, duration, json_bool(json_get(root, "renewable"), false),
				 reply, err);
}

/* KV v2 says of a version that is not readable why: deleted (and when), or destroyed. */
static int explain_absence(const struct fetch *fetch, const struct json_node *metadata,
			   const struct reply *reply, struct error *err)
{
	const struct json_node *deletion = json_get(metadata, "deletion_time");
	int64_t version = json_integer(json_get(metadata, "version"), 0);
	int64_t deleted_ms;
	struct error ignored;

	if (json_bool(json_get(metadata, "destroyed"), false))
		return error_set(err, ERROR_NOT_FOUND,
				 "%.120s: version %lld was destroyed; write a new one", fetch->path,
				 (long long)version);
	if (json_string(deletion) != NULL && deletion->text_len > 0 &&
	    text_read_time(deletion->text, deletion->text_len, &deleted_ms, &ignored) == 0 &&
	    (reply->status == 404 || deleted_ms <= reply->received.real_ms))
		return error_set(
			err, ERROR_NOT_FOUND,
			"%.120s: version %lld was deleted at %.40s; undelete it or write a new one",
			fetch->path, (long long)version, deletion->text);
	return error_set(err, ERROR_PROTOCOL,
			 "%.120s: the answer has no data, and does not say why", fetch->path);
}

static const char *absence_hint(const struct fetch *fetch)
{
	if (fetch->assumed)
		return ", or it is in a KV v2 mount that the token may not see";
	if (fetch->verbatim == VERBATIM_YES && strstr(fetch->path, "/data/") == NULL)
		return ", or it is in a KV v2 mount: `verbatim: true` wants data/ after it, "
		       "`verbatim: answer` finds it";
	return "";
}

/* A 404 of KV v2 may have a body that says more. */
static enum exchange_next read_absence(struct fetch *fetch, const struct reply *reply,
				       struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_node *metadata = NULL;
	struct json_limits limits = JSON_REPLY_LIMITS;
	struct error ignored;

	if (reply->len > 0)
		doc = json_doc_read(reply->body, reply->len, &limits, &ignored);
	if (doc != NULL)
		metadata = json_get(json_get(json_doc_root(doc), "data"), "metadata");
	if ((fetch->kind == VAULT_MOUNT_KV2 || fetch->verbatim == VERBATIM_YES) &&
	    metadata != NULL && metadata->type == JSON_IS_MAP &&
	    explain_absence(fetch, metadata, reply, err) < 0 && err->code == ERROR_NOT_FOUND)
		return EXCHANGE_FAILED;
	if (vault_judge(VAULT_CALL_READ, buf_string(&fetch->api_path), reply, err) == 0)
		(void)error_set(err, ERROR_NOT_FOUND, "%.120s: not there", fetch->path);
	if (err->code == ERROR_NOT_FOUND)
		(void)error_set(err, ERROR_NOT_FOUND,
				"%.120s: nothing was ever written there (404)%s", fetch->path,
				absence_hint(fetch));
	return EXCHANGE_FAILED;
}

static void take_number(struct secret_version *version, const struct json_node *metadata)
{
	int64_t number = json_integer(json_get(metadata, "version"), 0);

	if (number > 0)
		(void)snprintf(version->id, sizeof(version->id), "%lld", (long long)number);
}

/* The `data` of an answer that is taken whole. KV v2 says in it which version it is, and may say
 * there, and not with a 404, that this one was deleted. */
static int read_whole(const struct fetch *fetch, const struct json_node *data,
		      const struct reply *reply, struct secret_version *version, struct error *err)
{
	const struct json_node *metadata = json_get(data, "metadata");
	const struct json_node *fields = json_get(data, "data");
	struct error why;

	if (fields == NULL || json_string(json_get(metadata, "created_time")) == NULL)
		return 0;
	if (fields->type == JSON_IS_NULL && explain_absence(fetch, metadata, reply, &why) < 0 &&
	    why.code == ERROR_NOT_FOUND) {
		*err = why;
		return -1;
	}
	take_number(version, metadata);
	return 0;
}

/* Where the fields are; for KV v2 one level deeper, beside what says which version they are. */
static const struct json_node *find_fields(const struct fetch *fetch, const struct json_node *root,
					   const struct reply *reply,
					   struct secret_version *version, struct error *err)
{
	const struct json_node *data = json_get(root, "data");
	const struct json_node *metadata;

	if (fetch->verbatim != VERBATIM_NO) {
		if (read_whole(fetch, data, reply, version, err) < 0)
			return NULL;
	} else if (fetch->kind == VAULT_MOUNT_KV2) {
		metadata = json_get(data, "metadata");
		data = json_get(data, "data");
		if (data == NULL || data->type == JSON_IS_NULL) {
			(void)explain_absence(fetch, metadata, reply, err);
			return NULL;
		}
		take_number(version, metadata);
		if (data->type == JSON_IS_MAP)
			return data;
	}
	if (data == NULL || data->type != JSON_IS_MAP || data->count == 0) {
		(void)error_set(err, ERROR_PROTOCOL, "%.120s: the answer has no data", fetch->path);
		return NULL;
	}
	return data;
}

static enum exchange_next read_secret(struct fetch *fetch, const struct reply *reply,
				      struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	const struct json_node *root, *data;

	if (reply->status == 404 && !fetch->writes)
		return read_absence(fetch, reply, err);
	if (vault_judge(VAULT_CALL_READ, buf_string(&fetch->api_path), reply, err) < 0)
		return EXCHANGE_FAILED;
	if (reply->status == 204) {
		(void)error_set(err, ERROR_BAD_DATA, "%.120s: answers nothing to read",
				fetch->path);
		return EXCHANGE_FAILED;
	}
	version = secret_version_new(err);
	if (version == NULL || vault_parse(fetch->path, reply, &doc, err) < 0)
		return EXCHANGE_FAILED;
	root = json_doc_root(doc);
	data = find_fields(fetch, root, reply, version, err);
	if (data == NULL)
		return EXCHANGE_FAILED;
	if (read_fields(fetch, data, version, err) < 0 ||
	    read_lease(fetch, root, reply, &version->lease, err) < 0) {
		(void)error_wrap(err, "%.120s", fetch->path);
		return EXCHANGE_FAILED;
	}
	if (version->id[0] == '\0')
		secret_version_identify(version);
	version->fetched = reply->received;
	fetch->x.result = STEAL(version);
	return EXCHANGE_DONE;
}

static enum exchange_next read_capabilities(struct fetch *fetch, const struct reply *reply,
					    struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	const struct json_node *list;

	if (vault_judge(VAULT_CALL_CAPABILITIES, "sys/capabilities-self", reply, err) < 0 ||
	    vault_parse("sys/capabilities-self", reply, &doc, err) < 0)
		return EXCHANGE_FAILED;
	list = json_get(json_get(json_doc_root(doc), "data"), buf_string(&fetch->api_path));
	if (list == NULL)
		list = json_get(json_doc_root(doc), "capabilities");
	if (list == NULL || list->type != JSON_IS_LIST) {
		(void)error_set(err, ERROR_PROTOCOL,
				"sys/capabilities-self: the answer has no list for %.120s",
				fetch->path);
		return EXCHANGE_FAILED;
	}
	version = secret_version_new(err);
	if (version == NULL)
		return EXCHANGE_FAILED;
	for (const struct json_node *item = list->first; item != NULL; item = item->next)
		if (json_string(item) == NULL) {
			(void)error_set(err, ERROR_PROTOCOL,
					"sys/capabilities-self: a capability is no word");
			return EXCHANGE_FAILED;
		} else if (secret_version_field(version, item->text) == NULL &&
			   secret_version_add_bytes(version, item->text, FIELD_STRING, "true", 4,
						    err) < 0) {
			return EXCHANGE_FAILED;
		}
	version->fetched = reply->received;
	secret_version_identify(version);
	fetch->x.result = STEAL(version);
	return EXCHANGE_DONE;
}

static enum exchange_next fetch_step(struct exchange *x, const struct reply *reply,
				     struct error *err)
{
	struct fetch *fetch = CONTAINER_OF(x, struct fetch, x);
	enum exchange_next next;

	if (fetch->state == FETCH_MOUNT)
		return ask(fetch, err);
	if (reply == NULL) {
		(void)error_set(err, ERROR_PROTOCOL, "%.120s: stepped without a reply",
				fetch->path);
		return EXCHANGE_FAILED;
	}
	next = fetch->capabilities ? read_capabilities(fetch, reply, err)
				   : read_secret(fetch, reply, err);
	/* What was assumed of the mount may be what is wrong: ask again next time. */
	if (next == EXCHANGE_FAILED && fetch->assumed &&
	    (err->code == ERROR_DENIED || err->code == ERROR_NOT_FOUND))
		vault_mounts_forget(&fetch->vault->mounts, fetch->path);
	return next;
}

static const struct exchange_ops fetch_ops = { .step = fetch_step, .free = fetch_free };

static void fetch_freep(struct fetch **fetch)
{
	if (*fetch != NULL)
		(void)exchange_free(&(*fetch)->x);
}

/* A path that is asked as written may end with a query, as `secret/data/db?version=3`. */
static int read_path(struct fetch *fetch, const char *text, struct error *err)
{
	size_t len = fetch->verbatim == VERBATIM_YES && text != NULL ? strcspn(text, "?") : 0;
	AUTO(freep) char *path = NULL;

	if (len == 0 || text[len] == '\0')
		return vault_path_read(text, &fetch->path, err);
	for (const char *at = text + len + 1; *at != '\0'; at++)
		if (*at <= ' ' || *at >= '\x7f' || *at == '#' || *at == '?')
			return error_set(err, ERROR_INVALID,
					 "path '%.120s': write the query as NAME=VALUE&…, with "
					 "%%XX for what is not plain",
					 text);
	path = strndup(text, len);
	fetch->query = strdup(text + len);
	if (path == NULL || fetch->query == NULL)
		return error_no_memory(err);
	return vault_path_read(path, &fetch->path, err);
}

static struct exchange *fetch_new(struct backend *backend, const struct secret_version *session,
				  const struct secret_spec *spec, bool capabilities,
				  struct error *err)
{
	AUTO(fetch_freep) struct fetch *fetch = calloc(1, sizeof(*fetch));

	if (fetch == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	fetch->x = (struct exchange){ .ops = &fetch_ops, .request = REQUEST_INIT };
	fetch->vault = vault_of(backend);
	fetch->capabilities = capabilities;
	fetch->verbatim = spec->verbatim;
	fetch->write = BUF_INIT(REQUEST_BODY_MAX);
	fetch->api_path = BUF_INIT(VAULT_PATH_MAX + sizeof("/data"));
	if (read_path(fetch, spec->path, err) < 0)
		return NULL;
	fetch->token = vault_token(session, err);
	if (fetch->token == NULL)
		return NULL;
	if (spec->write != NULL) {
		fetch->writes = true;
		buf_puts(&fetch->write, spec->write);
		if (buf_check(&fetch->write, "write", err) < 0)
			return NULL;
	}
	return &STEAL(fetch)->x;
}

struct exchange *vault_fetch(struct backend *backend, const struct secret_version *session,
			     const struct secret_spec *spec, struct error *err)
{
	return fetch_new(backend, session, spec, false, err);
}

struct exchange *vault_capabilities(struct backend *backend, const struct secret_version *session,
				    const struct secret_spec *spec, struct error *err)
{
	return fetch_new(backend, session, spec, true, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hand_over_record.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"

/* ---- writing ---- */

static void put_stamp(struct buf *out, struct stamp stamp)
{
	buf_printf(out, "[%lld,%lld]", (long long)stamp.boot_ms, (long long)stamp.real_ms);
}

static void put_lease(struct buf *out, const struct lease *lease)
{
	buf_printf(out, "{\"kind\":%d,\"renewable\":%s,\"duration_ms\":%lld,\"issued\":",
		   (int)lease->kind, lease->renewable ? "true" : "false",
		   (long long)lease->duration_ms);
	put_stamp(out, lease->issued);
	if (lease->id != NULL) {
		buf_puts(out, ",\"id\":");
		text_write_json(out, lease->id, strlen(lease->id));
	}
	buf_putc(out, '}');
}

/* Base64, since a value need not be text. */
static void put_field(struct buf *out, const struct field *field)
{
	buf_puts(out, "{\"name\":");
	text_write_json(out, field->name, strlen(field->name));
	buf_printf(out, ",\"json\":%s,\"value\":\"", field->type == FIELD_JSON ? "true" : "false");
	text_write_base64(out, secret_bytes(field->value), secret_len(field->value));
	buf_puts(out, "\"}");
}

void hand_over_put_version(struct buf *out, const struct secret_version *version)
{
	buf_puts(out, "{\"fetched\":");
	put_stamp(out, version->fetched);
	buf_puts(out, ",\"lease\":");
	put_lease(out, &version->lease);
	buf_puts(out, ",\"fields\":[");
	for (size_t i = 0; i < version->count; i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_field(out, &version->fields[i]);
	}
	buf_puts(out, "]}");
}

/* ---- reading ---- */

static int bad(struct error *err, const char *what)
{
	return error_set(err, ERROR_BAD_DATA, "its %s is none that was written", what);
}

static int read_stamp(const struct json_node *node, struct stamp *ret, struct error *err)
{
	if (node == NULL || node->type != JSON_IS_LIST || node->count != 2)
		return bad(err, "time");
	ret->boot_ms = json_integer(node->first, -1);
	ret->real_ms = json_integer(node->first->next, -1);
	return ret->boot_ms >= 0 && ret->real_ms >= 0 ? 0 : bad(err, "time");
}

static int read_lease(const struct json_node *node, struct lease *ret, struct error *err)
{
	const char *id = json_string(json_get(node, "id"));
	int64_t kind = json_integer(json_get(node, "kind"), -1);

	ret->duration_ms = json_integer(json_get(node, "duration_ms"), -1);
	if (kind < LEASE_NONE || kind > LEASE_ROTATION || ret->duration_ms < 0)
		return bad(err, "lease");
	ret->kind = (enum lease_kind)kind;
	ret->renewable = json_bool(json_get(node, "renewable"), false);
	if (id != NULL) {
		ret->id = wipe_strdup(id);
		if (ret->id == NULL)
			return error_no_memory(err);
	}
	return read_stamp(json_get(node, "issued"), &ret->issued, err);
}

static int read_field(const struct json_node *node, struct secret_version *version,
		      struct error *err)
{
	AUTO(buf_deinit) struct buf bytes = BUF_INIT(SECRET_MAX);
	const char *name = json_string(json_get(node, "name"));
	const char *value = json_string(json_get(node, "value"));
	bool json = json_bool(json_get(node, "json"), false);

	if (name == NULL || value == NULL)
		return bad(err, "field");
	if (text_read_base64(&bytes, value, strlen(value), err) < 0)
		return -1;
	return secret_version_add_bytes(version, name, json ? FIELD_JSON : FIELD_STRING,
					buf_string(&bytes), bytes.len, err);
}

int hand_over_read_version(const struct json_node *node, struct secret_version **ret,
			   struct error *err)
{
	AUTO(secret_version_unrefp) struct secret_version *version = secret_version_new(err);
	const struct json_node *fields = json_get(node, "fields");

	if (version == NULL)
		return -1;
	if (fields == NULL || fields->type != JSON_IS_LIST)
		return bad(err, "list of fields");
	if (read_stamp(json_get(node, "fetched"), &version->fetched, err) < 0 ||
	    read_lease(json_get(node, "lease"), &version->lease, err) < 0)
		return -1;
	for (const struct json_node *field = fields->first; field != NULL; field = field->next)
		if (read_field(field, version, err) < 0)
			return -1;
	secret_version_identify(version);
	*ret = STEAL(version);
	return 0;
}

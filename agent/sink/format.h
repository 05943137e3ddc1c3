#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A version as bytes: json, env, yaml, raw, pem. The same writers serve files, the socket and
 * `agent get`. And one value as a kubelet's line.
 */
#include "agent/base/buf.h"
#include "agent/base/json.h"
#include "agent/base/model.h"
#include "agent/config/config.h"

/* Appends. ERROR_BAD_DATA names the field that the format cannot carry: NUL in env, two fields that
 * make one variable, bytes that are not UTF-8 in json or yaml, several fields in raw, no
 * certificate in pem. */
int format_write(struct buf *out, const struct secret_version *version, enum file_format format,
		 struct error *err) MUST_USE;

/* The document of a FIELD_JSON; an error names the field. */
struct json_doc *format_read_field(const struct field *field, struct error *err) MUST_USE;

/* go-json (the fields must be UTF-8) and go-map. */
int format_write_go(struct buf *out, const struct secret_version *version, bool json,
		    struct error *err) MUST_USE;

/* Appends NAME='value' and a newline, as a kubelet reads it for a `fileKeyRef`: nothing in it can
 * be escaped. ERROR_BAD_DATA says what it cannot carry, and the remedy. */
int format_write_kubelet_env(struct buf *out, const char *variable, const struct secret *value,
			     struct error *err) MUST_USE;

/* {"field": value, …} with the original types; fields that are not UTF-8 strings are left to the
 * caller, who gets their count. */
size_t format_write_json_fields(struct buf *out, const struct secret_version *version);

/* The field that a reference names: a field's name, or a pointer that starts with / and whose
 * names are spelled as in RFC 6901 (/a/b is the field a.b). NULL with ERROR_NOT_FOUND;
 * ERROR_INVALID for a malformed pointer. */
const struct field *format_find_field(const struct secret_version *version, const char *reference,
				      struct error *err) MUST_USE;

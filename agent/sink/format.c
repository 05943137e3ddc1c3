/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each format is one function over the fields of a version. A format that cannot carry a field says
 * which one and why; nothing is dropped silently. YAML is written in the subset that every reader
 * agrees on: each string in double quotes with whatever some YAML takes for a line break escaped,
 * everything else as JSON.
 */
#include "agent/sink/format.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/secret.h"
#include "agent/base/text.h"

static const char *bytes_of(const struct field *field)
{
	return (const char *)secret_bytes(field->value);
}

static bool is_text(const struct field *field)
{
	return text_is_utf8(secret_bytes(field->value), secret_len(field->value));
}

static int refuse_bytes(const struct field *field, const char *format, struct error *err)
{
	return error_set(err, ERROR_BAD_DATA,
			 "field '%.100s' is not UTF-8 text, which %s cannot carry; hand it out as "
			 "a file of its own",
			 field->name, format);
}

static void put_field_json(struct buf *out, const struct field *field)
{
	if (field->type == FIELD_STRING)
		text_write_json(out, secret_bytes(field->value), secret_len(field->value));
	else
		buf_put(out, secret_bytes(field->value), secret_len(field->value));
}

size_t format_write_json_fields(struct buf *out, const struct secret_version *version)
{
	size_t left = 0;
	bool first = true;

	buf_putc(out, '{');
	for (size_t i = 0; i < version->count; i++) {
		const struct field *field = &version->fields[i];

		if (!is_text(field)) {
			left++;
			continue;
		}
		if (!first)
			buf_putc(out, ',');
		first = false;
		text_write_json(out, field->name, strlen(field->name));
		buf_putc(out, ':');
		put_field_json(out, field);
	}
	buf_putc(out, '}');
	return left;
}

static int refuse_binary(const struct secret_version *version, const char *format,
			 struct error *err)
{
	for (size_t i = 0; i < version->count; i++)
		if (!is_text(&version->fields[i]))
			return refuse_bytes(&version->fields[i], format, err);
	return 0;
}

static int write_json(struct buf *out, const struct secret_version *version, struct error *err)
{
	if (refuse_binary(version, "json", err) < 0)
		return -1;
	(void)format_write_json_fields(out, version);
	buf_putc(out, '\n');
	return 0;
}

static int compare_names(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Refuses fields whose variables would have one name: the later would silently win. */
static int check_variables(const struct secret_version *version, struct error *err)
{
	AUTO(buf_deinit) struct buf names = BUF_INIT((size_t)16 << 20);
	AUTO(freep) const char **sorted = calloc(version->count + 1, sizeof(*sorted));
	size_t at = 0;

	if (sorted == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < version->count; i++) {
		text_write_variable(&names, version->fields[i].name);
		buf_putc(&names, '\0');
	}
	if (buf_check(&names, "the list of variables", err) < 0)
		return -1;
	for (size_t i = 0; i < version->count; i++) {
		sorted[i] = names.data + at;
		at += strlen(sorted[i]) + 1;
	}
	qsort(sorted, version->count, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < version->count; i++)
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			return error_set(err, ERROR_BAD_DATA,
					 "two fields make the variable '%.100s'; rename one, or "
					 "name fields one by one",
					 sorted[i]);
	return 0;
}

static int write_env(struct buf *out, const struct secret_version *version, struct error *err)
{
	if (check_variables(version, err) < 0)
		return -1;
	for (size_t i = 0; i < version->count; i++) {
		const struct field *field = &version->fields[i];
		size_t len = secret_len(field->value);

		if (field->name[0] == '\0')
			return error_set(err, ERROR_BAD_DATA,
					 "a field without a name makes no variable");
		if (memchr(secret_bytes(field->value), '\0', len) != NULL)
			return error_set(
				err, ERROR_BAD_DATA,
				"field '%.100s' holds a NUL byte, which no variable can carry; "
				"hand it out as a file of its own",
				field->name);
		text_write_variable(out, field->name);
		buf_putc(out, '=');
		text_write_shell(out, secret_bytes(field->value), len);
		buf_putc(out, '\n');
	}
	return 0;
}

/* A kubelet reads lines of less than 64 KiB. */
#define KUBELET_VALUE_MAX (((size_t)60 << 10) - 1)
#define KUBELET_REMEDY	  "which a kubelet cannot read from a file; set env-method: run"

static const char *kubelet_fault(const struct secret *value)
{
	const uint8_t *bytes = secret_bytes(value);
	size_t len = secret_len(value);

	if (len == 0)
		return "the value is empty, " KUBELET_REMEDY;
	if (len > KUBELET_VALUE_MAX)
		return "the value has 60 KiB or more, " KUBELET_REMEDY;
	if (memchr(bytes, '\'', len) != NULL)
		return "the value holds a single quote, " KUBELET_REMEDY;
	if (memchr(bytes, '\0', len) != NULL)
		return "the value holds a NUL byte, which no variable can carry; hand it out as a "
		       "file";
	if (memchr(bytes, '\r', len) != NULL)
		return "the value holds a carriage return, " KUBELET_REMEDY;
	if (!text_is_utf8(bytes, len))
		return "the value is not UTF-8 text, " KUBELET_REMEDY;
	return NULL;
}

int format_write_kubelet_env(struct buf *out, const char *variable, const struct secret *value,
			     struct error *err)
{
	const char *fault = kubelet_fault(value);

	if (fault != NULL)
		return error_set(err, ERROR_BAD_DATA, "%s", fault);
	buf_printf(out, "%s='", variable);
	buf_put(out, secret_bytes(value), secret_len(value));
	buf_puts(out, "'\n");
	return buf_check(out, "the variable", err);
}

/* The code point that starts at `*at`, which is moved behind it; the bytes are UTF-8. */
static uint32_t next_point(const uint8_t *bytes, size_t *at)
{
	uint8_t head = bytes[(*at)++];
	unsigned more = head >= 0xf0 ? 3 : head >= 0xe0 ? 2 : head >= 0xc0 ? 1 : 0;
	uint32_t point = more == 0 ? head : head & (0x3fu >> more);

	while (more-- > 0)
		point = point << 6 | (bytes[(*at)++] & 0x3fu);
	return point;
}

/* Whatever is not printable to YAML, or is a line break or byte order mark to some reader of it. */
static bool yaml_escapes(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 ||
	       point == 0x2029 || point == 0xfeff || point == 0xfffe || point == 0xffff;
}

static void put_yaml_string(struct buf *out, const void *text, size_t len)
{
	const uint8_t *bytes = text;
	size_t at = 0, start;

	buf_putc(out, '"');
	while (at < len) {
		start = at;
		uint32_t point = next_point(bytes, &at);

		if (point == '"' || point == '\\')
			buf_putc(out, '\\');
		if (point == '\n')
			buf_puts(out, "\\n");
		else if (yaml_escapes(point))
			buf_printf(out, "\\u%04x", point);
		else
			buf_put(out, bytes + start, at - start);
	}
	buf_putc(out, '"');
}

/* Depth is bounded by the reader's limits. */
static void put_yaml_flow(struct buf *out, const struct json_node *node)
{
	bool map = node->type == JSON_IS_MAP;

	if (node->type == JSON_IS_STRING) {
		put_yaml_string(out, node->text, node->text_len);
		return;
	}
	if (!map && node->type != JSON_IS_LIST) {
		json_write(out, node);
		return;
	}
	buf_putc(out, map ? '{' : '[');
	for (const struct json_node *child = node->first; child != NULL; child = child->next) {
		if (child != node->first)
			buf_puts(out, ", ");
		if (map) {
			put_yaml_string(out, child->key, child->key_len);
			buf_puts(out, ": ");
		}
		put_yaml_flow(out, child);
	}
	buf_putc(out, map ? '}' : ']');
}

struct json_doc *format_read_field(const struct field *field, struct error *err)
{
	const struct json_limits limits = { .depth = 64,
					    .nodes = FIELD_COUNT_MAX,
					    .bytes = SECRET_MAX };
	struct json_doc *doc =
		json_doc_read(secret_bytes(field->value), secret_len(field->value), &limits, err);

	if (doc == NULL)
		(void)error_wrap(err, "field '%.100s'", field->name);
	return doc;
}

static int write_yaml(struct buf *out, const struct secret_version *version, struct error *err)
{
	if (version->count == 0)
		buf_puts(out, "{}\n");
	for (size_t i = 0; i < version->count; i++) {
		AUTO(json_doc_freep) struct json_doc *doc = NULL;
		const struct field *field = &version->fields[i];

		if (!is_text(field))
			return refuse_bytes(field, "yaml", err);
		put_yaml_string(out, field->name, strlen(field->name));
		buf_puts(out, ": ");
		if (field->type == FIELD_STRING) {
			put_yaml_string(out, secret_bytes(field->value), secret_len(field->value));
		} else {
			doc = format_read_field(field, err);
			if (doc == NULL)
				return -1;
			put_yaml_flow(out, json_doc_root(doc));
		}
		buf_putc(out, '\n');
	}
	return 0;
}

static int write_raw(struct buf *out, const struct secret_version *version, struct error *err)
{
	const struct field *field;

	if (version->count != 1)
		return error_set(err, ERROR_BAD_DATA,
				 "raw takes a secret of exactly one field, this one has %zu; say "
				 "which with 'field'",
				 version->count);
	field = &version->fields[0];
	buf_put(out, secret_bytes(field->value), secret_len(field->value));
	return 0;
}

/* The next block of PEM in `text`, without the line end after it; false when there is none. */
static bool next_block(const char *text, size_t len, size_t *at, const char **block,
		       size_t *block_len)
{
	static const char begin[] = "-----BEGIN ", end[] = "-----END ", dashes[] = "-----";
	const char *head, *tail, *stop;

	head = memmem(text + *at, len - *at, begin, sizeof(begin) - 1);
	if (head == NULL)
		return false;
	tail = memmem(head, len - (size_t)(head - text), end, sizeof(end) - 1);
	if (tail == NULL)
		return false;
	tail += sizeof(end) - 1;
	stop = memmem(tail, len - (size_t)(tail - text), dashes, sizeof(dashes) - 1);
	if (stop == NULL)
		return false;
	stop += sizeof(dashes) - 1;
	*block = head;
	*block_len = (size_t)(stop - head);
	*at = (size_t)(stop - text);
	return true;
}

/* Appends the blocks of `text` that are not yet in what was written since `start`. */
static size_t put_blocks(struct buf *out, size_t start, const char *text, size_t len)
{
	const char *block;
	size_t at = 0, block_len, found = 0;

	for (; next_block(text, len, &at, &block, &block_len); found++) {
		if (out->len > start &&
		    memmem(out->data + start, out->len - start, block, block_len) != NULL)
			continue;
		buf_put(out, block, block_len);
		buf_putc(out, '\n');
	}
	return found;
}

/* A field that may be absent or null; one that is there holds at least one block. */
static int put_pem_field(struct buf *out, size_t start, const struct secret_version *version,
			 const char *name, struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct field *field = secret_version_field(version, name);
	size_t found = 0;

	if (field == NULL)
		return 0;
	if (field->type == FIELD_STRING) {
		found = put_blocks(out, start, bytes_of(field), secret_len(field->value));
	} else {
		doc = format_read_field(field, err);
		if (doc == NULL)
			return -1;
		if (json_doc_root(doc)->type == JSON_IS_NULL || json_doc_root(doc)->count == 0)
			return 0;
		for (const struct json_node *item = json_doc_root(doc)->first; item != NULL;
		     item = item->next)
			if (item->type == JSON_IS_STRING)
				found += put_blocks(out, start, item->text, item->text_len);
	}
	if (found == 0)
		return error_set(err, ERROR_BAD_DATA,
				 "field '%s' holds no PEM block (ask for format=pem)", name);
	return (int)found;
}

static int write_pem(struct buf *out, const struct secret_version *version, struct error *err)
{
	static const char *const order[] = { "certificate", "issuing_ca", "ca_chain",
					     "private_key" };
	size_t start = out->len;

	if (secret_version_field(version, order[0]) == NULL)
		return error_set(err, ERROR_BAD_DATA,
				 "pem takes a secret with a field 'certificate'; there is none");
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (put_pem_field(out, start, version, order[i], err) < 0)
			return -1;
	return 0;
}

int format_write(struct buf *out, const struct secret_version *version, enum file_format format,
		 struct error *err)
{
	int done = -1;

	switch (format) {
	case FORMAT_JSON:
		done = write_json(out, version, err);
		break;
	case FORMAT_ENV:
		done = write_env(out, version, err);
		break;
	case FORMAT_YAML:
		done = write_yaml(out, version, err);
		break;
	case FORMAT_PEM:
		done = write_pem(out, version, err);
		break;
	case FORMAT_GO_MAP:
		done = format_write_go(out, version, false, err);
		break;
	case FORMAT_GO_JSON:
		done = refuse_binary(version, "go-json", err);
		if (done == 0)
			done = format_write_go(out, version, true, err);
		break;
	case FORMAT_FIELD:
	case FORMAT_KUBELET_ENV:
	case FORMAT_RAW:
		done = write_raw(out, version, err);
		break;
	}
	return done < 0 ? -1 : buf_check(out, "the formatted secret", err);
}

/* /a/b~1c, each name decoded, as the name that a flattened document has for it: a.b/c */
static int read_pointer(struct buf *name, const char *pointer, struct error *err)
{
	for (const char *at = pointer; *at == '/';) {
		size_t len = strcspn(++at, "/");

		if (name->len > 0)
			buf_putc(name, '.');
		if (json_read_pointer_name(name, at, len, err) < 0)
			return error_wrap(err, "reference '%.100s'", pointer);
		at += len;
	}
	return buf_check(name, "a reference", err);
}

const struct field *format_find_field(const struct secret_version *version, const char *reference,
				      struct error *err)
{
	AUTO(buf_deinit) struct buf name = BUF_INIT(4096);
	const struct field *field = secret_version_field(version, reference);

	if (field == NULL && reference[0] == '/') {
		if (read_pointer(&name, reference, err) < 0)
			return NULL;
		field = secret_version_field(version, buf_string(&name));
	}
	if (field == NULL)
		(void)error_set(err, ERROR_NOT_FOUND, "there is no field '%.100s'", reference);
	return field;
}

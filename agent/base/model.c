/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/model.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/wipe.h"

enum { IDENTITY_BYTES = 8, FIRST_FIELDS = 8 };

struct secret_version *secret_version_new(struct error *err)
{
	struct secret_version *version = calloc(1, sizeof(*version));

	if (version == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	version->refs = 1;
	return version;
}

struct secret_version *secret_version_ref(struct secret_version *version)
{
	version->refs++;
	return version;
}

struct secret_version *secret_version_unref(struct secret_version *version)
{
	if (version == NULL || --version->refs > 0)
		return NULL;
	for (size_t i = 0; i < version->count; i++) {
		free(version->fields[i].name);
		(void)secret_unref(version->fields[i].value);
	}
	free(version->fields);
	free(version->by_name);
	wipe_free(version->lease.id);
	free(version);
	return NULL;
}

static int grow(struct secret_version *version, struct error *err)
{
	size_t capacity = version->capacity > 0 ? 2 * version->capacity : FIRST_FIELDS;
	struct field *fields = reallocarray(version->fields, capacity, sizeof(*fields));

	uint32_t *by_name;

	if (fields == NULL)
		return error_no_memory(err);
	version->fields = fields;
	by_name = reallocarray(version->by_name, capacity, sizeof(*by_name));
	if (by_name == NULL)
		return error_no_memory(err);
	version->by_name = by_name;
	version->capacity = capacity;
	return 0;
}

/* Where the name is in the order, or would be. */
static size_t find_place(const struct secret_version *version, const char *name, bool *there)
{
	size_t low = 0, high = version->count;

	*there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(version->fields[version->by_name[middle]].name, name);

		if (order == 0) {
			*there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int secret_version_add(struct secret_version *version, const char *name, enum field_type type,
		       struct secret *value, struct error *err)
{
	AUTO(secret_unrefp) struct secret *owned = value;
	AUTO(freep) char *copy = NULL;
	size_t place;
	bool there;

	if (version->count >= FIELD_COUNT_MAX)
		return error_set(err, ERROR_EXHAUSTED, "more than %d fields", FIELD_COUNT_MAX);
	place = find_place(version, name, &there);
	if (there)
		return error_set(err, ERROR_BAD_DATA, "two fields are named '%.100s'", name);
	if (version->count == version->capacity && grow(version, err) < 0)
		return -1;
	copy = strdup(name);
	if (copy == NULL)
		return error_no_memory(err);
	memmove(&version->by_name[place + 1], &version->by_name[place],
		(version->count - place) * sizeof(*version->by_name));
	version->by_name[place] = (uint32_t)version->count;
	version->fields[version->count++] =
		(struct field){ .name = STEAL(copy), .type = type, .value = STEAL(owned) };
	return 0;
}

int secret_version_add_bytes(struct secret_version *version, const char *name, enum field_type type,
			     const void *bytes, size_t len, struct error *err)
{
	struct secret *value = secret_new(bytes, len, err);

	if (value == NULL)
		return error_wrap(err, "field '%.100s'", name);
	return secret_version_add(version, name, type, value, err);
}

/* Made once and kept in the arena, so that the ids of equal contents agree while this process
 * lives. */
static const struct secret *identity_key(void)
{
	static struct secret *key;
	uint8_t bytes[crypto_generichash_KEYBYTES];
	struct error err;

	if (key == NULL) {
		randombytes_buf(bytes, sizeof(bytes));
		key = secret_move(bytes, sizeof(bytes), &err);
	}
	return key;
}

static void hash_part(crypto_generichash_state *state, const void *bytes, size_t len)
{
	uint64_t size = len;

	(void)crypto_generichash_update(state, (const uint8_t *)&size, sizeof(size));
	(void)crypto_generichash_update(state, bytes, len);
}

void secret_version_fingerprint(const struct secret_version *version, char ret[VERSION_ID_MAX])
{
	const struct secret *key = identity_key();
	crypto_generichash_state state;
	uint8_t hash[IDENTITY_BYTES * 2];

	(void)crypto_generichash_init(&state, key != NULL ? secret_bytes(key) : NULL,
				      key != NULL ? secret_len(key) : 0, sizeof(hash));
	for (size_t i = 0; i < version->count; i++) {
		const struct field *field = &version->fields[i];

		hash_part(&state, field->name, strlen(field->name));
		hash_part(&state, &field->type, sizeof(field->type));
		hash_part(&state, secret_bytes(field->value), secret_len(field->value));
	}
	(void)crypto_generichash_final(&state, hash, sizeof(hash));
	for (size_t i = 0; i < IDENTITY_BYTES; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", hash[i]);
	wipe(&state, sizeof(state));
}

void secret_version_identify(struct secret_version *version)
{
	secret_version_fingerprint(version, version->id);
}

const struct field *secret_version_field(const struct secret_version *version, const char *name)
{
	bool there;
	size_t place = find_place(version, name, &there);

	return there ? &version->fields[version->by_name[place]] : NULL;
}

bool secret_version_equal(const struct secret_version *one, const struct secret_version *other)
{
	if (one->count != other->count)
		return false;
	for (size_t i = 0; i < one->count; i++) {
		const struct field *field = secret_version_field(other, one->fields[i].name);

		if (field == NULL || field->type != one->fields[i].type ||
		    !secret_equal(field->value, one->fields[i].value))
			return false;
	}
	return true;
}

int64_t lease_expires_boot_ms(const struct lease *lease, struct stamp now)
{
	int64_t by_boot, left_by_real;

	if (lease->kind == LEASE_NONE || lease->duration_ms == 0)
		return DEADLINE_NEVER;
	by_boot = lease->issued.boot_ms + lease->duration_ms;
	left_by_real = lease->issued.real_ms + lease->duration_ms - now.real_ms;
	return deadline_earlier(by_boot, now.boot_ms + left_by_real);
}

int64_t lease_expires_real_ms(const struct lease *lease)
{
	if (lease->kind == LEASE_NONE || lease->duration_ms == 0)
		return 0;
	return lease->issued.real_ms + lease->duration_ms;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount may have several segments (team/kv), and none lies within another. So the first secret
 * below `team` asks with its whole path under the key `mount:team`; the others wait. Whoever then
 * lies under a known mount goes on; who does not asks under the next longer key. A server that will
 * not tell (403, or too old: 404) is taken at its word until a read as written fails.
 */
#include "backends/vault_mount.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/vault.h"

#define KEY_PREFIX "mount:"

enum { FIRST_MOUNTS = 8 };

static void mount_clear(struct vault_mount *mount)
{
	free(mount->path);
	free(mount->sample);
}

void vault_mounts_deinit(struct vault_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		mount_clear(&mounts->items[i]);
	free(mounts->items);
	*mounts = (struct vault_mounts){ .items = NULL };
}

static bool segment_is_sane(const char *segment, size_t len)
{
	if (len == 0 || (len == 1 && segment[0] == '.') ||
	    (len == 2 && segment[0] == '.' && segment[1] == '.'))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)segment[i] < 0x20 || segment[i] == 0x7f || segment[i] == '?' ||
		    segment[i] == '#')
			return false;
	return true;
}

int vault_path_read(const char *text, char **ret, struct error *err)
{
	char *copy;
	size_t len;

	if (text == NULL || text[0] == '\0' || strcmp(text, "/") == 0)
		return error_set(err, ERROR_INVALID, "path: missing; write it as secret/db");
	if (text[0] == '/')
		text++;
	if (strlen(text) > VAULT_PATH_MAX)
		return error_set(err, ERROR_INVALID, "path '%.60s…': longer than %zu bytes", text,
				 VAULT_PATH_MAX);
	for (const char *segment = text;; segment += len + 1) {
		len = strcspn(segment, "/");
		if (!segment_is_sane(segment, len))
			return error_set(
				err, ERROR_INVALID,
				"path '%.120s': segments may not be empty, '.' or '..', nor "
				"hold '?', '#' or control characters",
				text);
		if (segment[len] == '\0')
			break;
	}
	copy = strdup(text);
	if (copy == NULL)
		return error_no_memory(err);
	*ret = copy;
	return 0;
}

/* Is `path` this mount's, or below it? */
static bool lies_under(const char *path, const char *mount)
{
	size_t len = strlen(mount);

	return strncmp(path, mount, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

const struct vault_mount *vault_mounts_find(const struct vault_mounts *mounts, const char *path)
{
	for (size_t i = 0; i < mounts->count; i++) {
		const struct vault_mount *mount = &mounts->items[i];

		if (mount->kind != VAULT_MOUNT_ASKED && mount->kind != VAULT_MOUNT_NONE &&
		    lies_under(path, mount->path))
			return mount;
	}
	return NULL;
}

static struct vault_mount *find_exactly(const struct vault_mounts *mounts, const char *path,
					size_t len)
{
	for (size_t i = 0; i < mounts->count; i++)
		if (strncmp(mounts->items[i].path, path, len) == 0 &&
		    mounts->items[i].path[len] == '\0')
			return &mounts->items[i];
	return NULL;
}

static int grow(struct vault_mounts *mounts, struct error *err)
{
	size_t capacity = mounts->capacity > 0 ? 2 * mounts->capacity : FIRST_MOUNTS;
	struct vault_mount *items = reallocarray(mounts->items, capacity, sizeof(*items));

	if (items == NULL)
		return error_no_memory(err);
	mounts->items = items;
	mounts->capacity = capacity;
	return 0;
}

/* Adds or changes what is known of the first `len` bytes of `path`. */
static int record(struct vault_mounts *mounts, const char *path, size_t len,
		  enum vault_mount_kind kind, const char *sample, struct error *err)
{
	struct vault_mount *mount = find_exactly(mounts, path, len);
	AUTO(freep) char *name = NULL;
	AUTO(freep) char *asked = NULL;

	if (sample != NULL && (asked = strdup(sample)) == NULL)
		return error_no_memory(err);
	if (mount == NULL) {
		if (mounts->count >= VAULT_MOUNTS_MAX)
			return error_set(err, ERROR_EXHAUSTED, "more than %zu mounts to remember",
					 VAULT_MOUNTS_MAX);
		if (mounts->count == mounts->capacity && grow(mounts, err) < 0)
			return -1;
		name = strndup(path, len);
		if (name == NULL)
			return error_no_memory(err);
		mount = &mounts->items[mounts->count++];
		*mount = (struct vault_mount){ .path = STEAL(name) };
	}
	free(mount->sample);
	mount->sample = STEAL(asked);
	mount->kind = kind;
	return 0;
}

/* The length of the prefix with one segment more than the first `len` bytes; the whole path at its
 * end. */
static size_t longer(const char *path, size_t len)
{
	if (len > 0)
		len++;
	return len + strcspn(path + len, "/");
}

int vault_mounts_resolve(struct vault_mounts *mounts, const char *path,
			 const struct vault_mount **ret, char *need, size_t need_size,
			 struct error *err)
{
	const struct vault_mount *known = vault_mounts_find(mounts, path);
	const struct vault_mount *at;
	size_t len = 0;

	if (known != NULL) {
		*ret = known;
		return 1;
	}
	while (path[len] != '\0') {
		len = longer(path, len);
		if (sizeof(KEY_PREFIX) + len > need_size)
			break;
		at = find_exactly(mounts, path, len);
		if (at != NULL && at->kind == VAULT_MOUNT_NONE)
			continue;
		if (at == NULL && record(mounts, path, len, VAULT_MOUNT_ASKED, path, err) < 0)
			return -1;
		(void)snprintf(need, need_size, KEY_PREFIX "%.*s", (int)len, path);
		return 0;
	}
	*ret = NULL;
	return 1;
}

const char *vault_mounts_sample(const struct vault_mounts *mounts, const char *key)
{
	const struct vault_mount *mount;

	if (!text_starts_with(key, KEY_PREFIX))
		return NULL;
	key += strlen(KEY_PREFIX);
	mount = find_exactly(mounts, key, strlen(key));
	return mount != NULL ? mount->sample : NULL;
}

static int learn_nothing(struct vault_mounts *mounts, const char *sample, size_t upto,
			 struct error *err)
{
	size_t len = 0;

	while (sample[len] != '\0') {
		len = longer(sample, len);
		if (len >= upto)
			break;
		if (record(mounts, sample, len, VAULT_MOUNT_NONE, NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* How much of `sample` is the mount. The server puts the namespace before a mount of another
 * namespace than the request's: leading segments are dropped until what is left is where `sample`
 * begins. 0: nowhere. */
static size_t mount_length(const char *sample, const char *mount)
{
	size_t len;

	for (; mount != NULL; mount = strchr(mount, '/')) {
		while (*mount == '/')
			mount++;
		len = strlen(mount);
		while (len > 0 && mount[len - 1] == '/')
			len--;
		if (len == 0)
			return 0;
		if (strncmp(sample, mount, len) == 0 && (sample[len] == '/' || sample[len] == '\0'))
			return len;
	}
	return 0;
}

static enum vault_mount_kind kind_of(const struct json_node *data)
{
	const char *type = json_string(json_get(data, "type"));
	const char *version = json_string(json_get(json_get(data, "options"), "version"));

	if (type == NULL || (strcmp(type, "kv") != 0 && strcmp(type, "generic") != 0))
		return VAULT_MOUNT_OTHER;
	return version != NULL && strcmp(version, "2") == 0 ? VAULT_MOUNT_KV2 : VAULT_MOUNT_KV1;
}

int vault_mounts_learn(struct vault_mounts *mounts, const char *sample,
		       const struct json_node *data, struct error *err)
{
	const char *path = json_string(json_get(data, "path"));
	size_t len;

	if (data == NULL)
		return learn_nothing(mounts, sample, SIZE_MAX, err);
	if (path == NULL || json_string(json_get(data, "type")) == NULL)
		return error_set(err, ERROR_PROTOCOL,
				 "the answer about the mount of %.120s has no path or no type",
				 sample);
	len = mount_length(sample, path);
	if (len == 0)
		return error_set(err, ERROR_PROTOCOL,
				 "the server names a mount that %.120s does not lie under", sample);
	if (learn_nothing(mounts, sample, len, err) < 0)
		return -1;
	return record(mounts, sample, len, kind_of(data), NULL, err);
}

void vault_mounts_forget(struct vault_mounts *mounts, const char *path)
{
	for (size_t i = mounts->count; i-- > 0;) {
		struct vault_mount *mount = &mounts->items[i];

		if (mount->kind != VAULT_MOUNT_NONE || !lies_under(path, mount->path))
			continue;
		mount_clear(mount);
		*mount = mounts->items[--mounts->count];
	}
}

void vault_mount_api_path(struct buf *buf, const struct vault_mount *mount, const char *path)
{
	size_t len;

	if (mount == NULL || mount->kind != VAULT_MOUNT_KV2) {
		buf_puts(buf, path);
		return;
	}
	len = strlen(mount->path);
	buf_put(buf, path, len);
	if (path[len] != '/')
		return;
	if (!text_starts_with(path + len, "/data/"))
		buf_puts(buf, "/data");
	buf_puts(buf, path + len);
}

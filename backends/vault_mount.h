#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which engine answers below which path: learned once per mount, shared by every secret below it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"
#include "agent/base/json.h"

enum vault_mount_kind {
	VAULT_MOUNT_ASKED, /* somebody asks about it now; nothing is known */
	VAULT_MOUNT_NONE,  /* no mount at this very path that we may see */
	VAULT_MOUNT_OTHER, /* an engine that is not KV */
	VAULT_MOUNT_KV1,
	VAULT_MOUNT_KV2,
};

struct vault_mount {
	char *path;   /* "team/kv": no slash at either end */
	char *sample; /* the whole path that is asked about; NULL when the answer is there */
	enum vault_mount_kind kind;
};

struct vault_mounts {
	struct vault_mount *items;
	size_t count;
	size_t capacity;
};

void vault_mounts_deinit(struct vault_mounts *mounts);

/* The path without its leading slash, checked; *ret is freed with free. */
int vault_path_read(const char *text, char **ret, struct error *err) MUST_USE;

/* The mount that `path` lies under, NULL when none is known. */
const struct vault_mount *vault_mounts_find(const struct vault_mounts *mounts, const char *path);

/* 1: *ret is the mount of `path`, or NULL where the server tells nobody (to be read as it is
 * written); 0: `need` names what must be learned first; -1: *err. */
int vault_mounts_resolve(struct vault_mounts *mounts, const char *path,
			 const struct vault_mount **ret, char *need, size_t need_size,
			 struct error *err) MUST_USE;

/* The whole path to ask the server about for a key that vault_mounts_resolve gave; NULL for others.
 */
const char *vault_mounts_sample(const struct vault_mounts *mounts, const char *key);

/* Remembers the answer to a question about `sample`: `data` of the reply, NULL where the server
 * would not tell. */
int vault_mounts_learn(struct vault_mounts *mounts, const char *sample,
		       const struct json_node *data, struct error *err) MUST_USE;

/* Asks again next time: the server would not tell about `path`, and reading it as written failed.
 */
void vault_mounts_forget(struct vault_mounts *mounts, const char *path);

/* Appends the path that the API wants: with `data/` after a KV v2 mount. */
void vault_mount_api_path(struct buf *buf, const struct vault_mount *mount, const char *path);

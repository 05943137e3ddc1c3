#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option tables of agent.yaml, and the structs that they describe: what the file says, before
 * it is checked and turned into a struct config. Backends bring tables of their own.
 */
#include "agent/base/option.h"
#include "agent/config/config.h"

struct global_options {
	int64_t max_stale_ms;
	int on_missing; /* keep, remove */
	bool revoke_on_exit;
	bool splay;
	char *hand_over;
	struct {
		int level, format;
	} log;
	struct {
		char *listen;
	} metrics;
};
extern const struct option global_table[];

struct audit_options {
	char *file;
};
extern const struct option audit_table[];

struct backend_options {
	char *type;
};
extern const struct option backend_table[];

struct secret_options {
	char *backend, *path, *write;
	int verbatim; /* enum secret_verbatim */
	int64_t refresh_ms;
	bool required;
};
extern const struct option secret_table[];

struct files_options {
	char *directory;
	unsigned mode;
	int64_t owner, group;
	struct {
		char *signal, *pid_file;
		struct strings exec;
	} on_change;
};
extern const struct option files_table[];

struct entry_options {
	char *secret, *field, *variable;
	int format; /* enum file_format */
	unsigned mode;
	int64_t owner, group;
};
extern const struct option entry_table[];

struct socket_options {
	char *path;
	unsigned mode;
	uint64_t max_connections, max_connections_per_uid;
	int64_t idle_timeout_ms;
};
extern const struct option socket_table[];

struct allow_options {
	char *uid;
	struct strings secrets;
};
extern const struct option allow_table[];

void config_apply_global(struct config *config, const struct global_options *options);

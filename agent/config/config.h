#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.yaml as a value: read strictly, checked whole, every error at once with line and column.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/backend.h"
#include "agent/base/error.h"
#include "agent/base/log.h"
#include "agent/base/model.h"
#include "agent/base/option.h"

struct config_backend {
	char *name;
	const struct backend_ops *ops;
	void *options; /* ops->options_size bytes, described by ops->options */
};

enum file_format {
	FORMAT_FIELD,
	FORMAT_JSON,
	FORMAT_ENV,
	FORMAT_YAML,
	FORMAT_RAW,
	FORMAT_PEM,
	FORMAT_KUBELET_ENV,
	FORMAT_GO_MAP,
	FORMAT_GO_JSON,
};

struct config_entry {
	char *path; /* relative, no "..", checked */
	char *secret;
	char *field; /* FORMAT_FIELD: one field; NULL with FORMAT_FIELD: every field, as
			PATH/<field> */
	enum file_format format;
	unsigned mode;	      /* the sink's where the entry says nothing */
	int64_t owner, group; /* -1: the process's own */
	char *variable;	      /* FORMAT_KUBELET_ENV: the name that a kubelet finds it under */
};

struct config_on_change {
	int signal; /* 0: none */
	char *pid_file;
	struct strings exec; /* count 0: none */
};

struct config_files {
	char *directory;
	unsigned mode;
	int64_t owner, group;
	struct config_entry
		*entries; /* where the user gave none: one per secret, FORMAT_FIELD without field */
	size_t entry_count;
	struct config_on_change on_change;
};

struct config_allow {
	bool any; /* uid: any */
	int64_t uid;
	struct strings secrets; /* count 0: all */
};

/* The kernel's limit on a socket's path, and what a socket of our own uid is. */
#define SOCKET_PATH_MAX 107
#define SOCKET_MODE_OWN 0600u

struct config_socket {
	char *path;
	unsigned mode;
	bool status_only; /* shows no secret to anybody */
	struct config_allow *allow;
	size_t allow_count;
	uint64_t max_connections;
	uint64_t max_connections_per_uid;
	int64_t idle_timeout_ms;
};

/* NAME=REF of `env:` and `--env`. */
struct config_variable {
	char *variable;
	char *secret;
	char *field; /* a field's name, or a pointer that starts with /; NULL: every field (never
			from `env:`) */
};

struct config {
	char *file;	     /* where it came from; NULL: made from references */
	bool in_environment; /* `file` is CONFIG_IN_ENVIRONMENT: there is no file */
	struct config_backend *backends;
	size_t backend_count;
	struct secret_spec *secrets;
	size_t secret_count;
	struct config_files *files;
	size_t files_count;
	struct config_socket *sockets;
	size_t socket_count;
	struct config_variable *variables;
	size_t variable_count;
	int64_t max_stale_ms; /* 0: for ever */
	bool remove_missing;  /* on_missing: remove */
	bool revoke_on_exit;
	bool splay; /* spread the first requests of many agents over 2 s */
	enum log_level log_level;
	enum log_format log_format;
	char *metrics_listen; /* "host:port"; NULL: none */
	char *hand_over;      /* the directory of what an init container leaves; NULL: none */
	char *audit_file;     /* a path, or "stderr"; NULL: none */
};

/* One finding of a check. */
struct config_problem {
	char *file;
	unsigned line, column; /* 1-based; 0: the file as a whole */
	char *text;
};

struct config_problems {
	struct config_problem *items;
	size_t count;
};

/* The backends that a configuration may name: NULL-terminated, given by the agent (config knows
 * none). */
typedef const struct backend_ops *const *config_backend_types;

/* Reads and checks the file whole. NULL with at least one problem; on success problems is empty.
 * `directory` of the file is where relative paths in it start. */
struct config *config_read(const char *file, config_backend_types types,
			   struct config_problems *problems);

/* As config_read, from bytes; `file` names them in problems. */
struct config *config_parse(const char *bytes, size_t len, const char *file,
			    config_backend_types types, struct config_problems *problems);

struct config *config_free(struct config *config); /* returns NULL; NULL is allowed */

/* "agent.yaml:12:5: unknown key 'adress' in backends.vault (did you mean 'address'?)", a line per
 * problem, onto `out`. */
void config_problems_print(const struct config_problems *problems, struct buf *out);
void config_problems_free(struct config_problems *problems);

/* What a configuration is called whose text stands in the environment. */
#define CONFIG_IN_ENVIRONMENT "$AGENT_CONFIG_YAML"

/* The name of the configuration: -c (explicit), $AGENT_CONFIG, $AGENT_CONFIG_YAML, ./agent.yaml,
 * /etc/agent/agent.yaml, the first that is there; owned by the caller. *text is NULL for a file,
 * the variable's value for CONFIG_IN_ENVIRONMENT. NULL with ERROR_NOT_FOUND when there is none,
 * ERROR_INVALID when a named one is not readable. */
char *config_find(const char *explicit_path, const char **text, struct error *err);

/* A configuration that is made from references alone, for `agent run --env
 * DB=vault://secret/db#password` and for the nearest secrets.enc.yaml. Starts with defaults and
 * nothing else. */
struct config *config_new(struct error *err);
/* Adds the backend (once per type and file) and the secret that `ref` names, and, with a variable's
 * name, the variable. A ref is NAME.FIELD of the configuration, or TYPE://PATH#FIELD. Which part of
 * a backend's reference is its file is the backend type's: sops://FILE#/pointer,
 * vault://PATH#FIELD. Without #FIELD: every field. ERROR_USAGE: no such spelling or backend;
 * ERROR_NOT_FOUND: no such NAME; ERROR_INVALID: the backend lacks something (an address, say). */
int config_add_reference(struct config *config, config_backend_types types, const char *variable,
			 const char *ref, struct error *err) MUST_USE;
/* As config_add_reference, and says which secret and field it was instead of adding a variable;
 * both are the caller's, *field is NULL for every field. */
int config_resolve_reference(struct config *config, config_backend_types types, const char *ref,
			     char **secret, char **field, struct error *err) MUST_USE;

/* True when a change is told by running a command: on_change.exec of some sink. */
bool config_has_hooks(const struct config *config);

/* Adds a socket of our own uid that answers how everything is doing and no secret: for probes,
 * where no application's socket may be counted on. ERROR_INVALID for a path that is too long or
 * taken. */
int config_add_status_socket(struct config *config, const char *path, struct error *err) MUST_USE;

const struct config_backend *config_backend_find(const struct config *config, const char *name);
const struct secret_spec *config_secret_find(const struct config *config, const char *name);

/* The rows of an option table in Markdown, those of tables in it as `name.member`. */
void config_write_table(struct buf *out, const struct option *table);

/* The reference of agent.yaml in Markdown, from the tables. */
void config_write_reference(struct buf *out, config_backend_types types);

/* [A-Za-z_][A-Za-z0-9_]* */
bool config_variable_is_valid(const char *name);

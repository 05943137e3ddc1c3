#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod asks for, whoever's annotations said it: the one thing that readers of annotations
 * write and the builder of pods reads. Its text points into the request, into the configuration, or
 * into the edit.
 */
#include "agent/base/json_edit.h"
#include "injector/config.h"
#include "injector/mutate.h"

/* How one family of annotations names what is put into a pod, and how it hands files over. */
struct dialect {
	const char *prefix;    /* of its annotations */
	const char *inject;    /* the annotation that asks */
	const char *status;    /* the one that we set to "injected" */
	const char *agent;     /* container */
	const char *init;      /* container that ends */
	const char *volume;    /* of the files */
	const char *directory; /* where applications find them */
	const char *mode;      /* of files; NULL: by the pod's fsGroup */
	bool own; /* ours: strict about mistakes; others: what the peer allows is allowed */
};

extern const struct dialect own_dialect, vault_dialect, openbao_dialect;

/* A text made of a request's is never longer: one that does not fit into this is want of memory. */
#define WISH_TEXT_MAX ((size_t)64 << 20)

/* The most of one pod, so that a pod cannot cost more than a moment. */
enum {
	WISH_SECRETS_MAX = 1000,
	WISH_VARIABLES_MAX = 1000,
	WISH_ANNOTATIONS_MAX = 4000,
	WISH_VARIABLE_NAME_MAX = 128, /* a kubelet's, of a variable from a file */
	WISH_CONTAINERS_MAX = 100,    /* init containers too */
	WISH_DIRECTORIES_MAX = 100,
	WISH_GIVEN_MAX = 3000, /* variables and directories, of all containers together */
	WISH_OURS_MAX = 3,     /* containers or annotations that we add */
};

#define STATUS_INJECTED "injected"

enum wish_shape { SHAPE_AUTO, SHAPE_SIDECAR, SHAPE_INIT, SHAPE_BOTH };
enum wish_env_method { ENV_METHOD_AUTO, ENV_METHOD_KUBELET, ENV_METHOD_RUN };

struct wish_secret {
	const char *name;
	const char *path;      /* NULL: not declared yet */
	bool verbatim;	       /* found as a Vault Agent finds it, answered whole */
	bool no_file;	       /* only variables want it */
	const char *file;      /* below the directory; NULL: its name */
	const char *format;    /* agent.yaml's word; NULL: a directory with a file per field */
	const char *mode;      /* NULL: the dialect's */
	const char *directory; /* another one than the wish's; NULL: that one */
	bool keep_case;	       /* of the name, where it becomes a file's */
	bool seen;	       /* by the container that is being looked at */
	struct wish_secret *next;
};

struct wish_variable {
	const char *name;
	const char *secret;
	struct wish_secret *of; /* the same, once all are read */
	const char *field;	/* a name, or a pointer that starts with / */
	const char *container;	/* the one that it is for; NULL: all that get secrets */
	struct wish_variable *next;
};

/* A word that an annotation gave about something by name, as on-change.CONTAINER. */
struct wish_word {
	const char *name, *value;
	struct wish_word *next;
};

struct wish_resources {
	const char *requests_cpu, *requests_memory, *requests_storage;
	const char *limits_cpu, *limits_memory, *limits_storage;
};

struct wish {
	struct json_edit *edit;
	struct mutation *mutation;
	const struct dialect *dialect;
	const struct injector_config *config;
	const struct cluster_versions *versions;
	const struct profile *profile;
	const struct json_node *pod; /* as it came */
	bool again;		     /* the pod was injected before */
	const char *annotation;	     /* the one being read, for refusals and warnings */

	const char *role;
	const char *auth_method; /* NULL: the profile's */
	const char *auth_mount, *service, *vault_namespace, *ca_file, *cert_file, *key_file;
	const char *server_name;
	const char *tls_secret, *extra_secret; /* Secrets mounted into the agent */
	const char *directory;		       /* NULL: the dialect's */
	const char *default_format;	       /* of foreign files */
	bool keep_case;
	const char *refresh; /* of every secret */
	const char *log_level, *log_format;
	bool revoke;

	struct wish_secret *secrets; /* by name, once read */
	size_t secret_count, variable_count;
	struct wish_variable *variables;
	struct wish_word *signals; /* container → signal */
	enum wish_env_method env_method;
	enum wish_shape shape;
	bool no_init;		/* foreign: the pod wants no container that ends */
	const char *containers; /* comma list; NULL: all of the application */
	const char *sockets;	/* comma list; NULL: none; "*": as containers */
	const char *config_map;
	const char *init_patch, *agent_patch; /* RFC 6902 on our containers */
	const char *copy_mounts;	      /* of this container, onto ours */
	struct wish_resources resources;
	int64_t run_as_user, run_as_group; /* -1: none; -2: the profile's */
	bool same_user;
	int share_process_namespace; /* -1: as it is */
};

#define WISH_USER_PROFILE (-2)

/* Records the refusal, after the annotation that is being read, if any. Returns -1. The first one
 * stays. */
int wish_refuse(struct wish *wish, enum mutate_reason reason, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Text in the edit's memory; "" when memory is short, which the edit has latched. */
const char *wish_text(struct wish *wish, const char *format, ...) PRINTF_LIKE(2, 3);
const char *wish_text_bytes(struct wish *wish, const char *text, size_t len);
/* What a buffer holds; one that failed fails the edit, so that nothing is made of half a text. */
const char *wish_text_buf(struct wish *wish, const struct buf *text);

/* The secret of that name, made when there is none; NULL when memory is short or the pod is refused
 * because there are too many. */
struct wish_secret *wish_secret(struct wish *wish, const char *name);
/* NULL when there is none. */
struct wish_secret *wish_find_secret(const struct wish *wish, const char *name);
int wish_add_variable(struct wish *wish, const char *name, const char *secret, const char *field,
		      const char *container);
void wish_add_word(struct wish *wish, struct wish_word **list, const char *name, const char *value);

/* Secrets and variables in the order of their names, so that the annotations' order does not
 * matter.
 */
void wish_sort(struct wish *wish);

/* The next item of a comma list without the blanks around it, in the edit's memory; NULL at the
 * end. *list moves on. */
const char *wish_next_item(struct wish *wish, const char **list);
bool wish_list_has(const char *list, const char *item);

/* Does the container get files and variables? Ours never do. */
bool wish_chooses(const struct wish *wish, const struct json_node *container, bool init);

/* Reads all annotations of the wish's dialect. 0, or -1 when the pod is refused. */
int wish_read(struct wish *wish);

/* `vault:PATH#KEY` in the values of variables becomes secrets and variables of the wish. */
int wish_read_literals(struct wish *wish);

/* What Vault takes as a path: no empty segment, no "." or "..", no query. NULL, or the fault. */
const char *wish_path_fault(const char *path);

/* Values of annotations, checked: a single line of printable text; a DNS label (`what` for the
 * text). */
int wish_check_line(struct wish *wish, const char *value);
int wish_check_label(struct wish *wish, const char *value, const char *what);

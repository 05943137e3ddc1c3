#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wish checked against the pod and the cluster: every decision, so that building only obeys.
 */
#include "injector/wish.h"

#define PLAN_PROGRAM	"/bin/agent" /* in its own image */
#define PLAN_ROOT	"/run/agent"
#define PLAN_PRIVATE	PLAN_ROOT "/private"
#define PLAN_IDENTITY	PLAN_ROOT "/identity"
#define PLAN_ENV	PLAN_ROOT "/env"
#define PLAN_SOCKET	PLAN_ROOT "/socket"
#define PLAN_BIN	"/run/agent/bin"
#define PLAN_CONFIG	"/etc/agent"
#define PLAN_STATUS	"/run/agent/private/status.sock" /* in PLAN_PRIVATE */
#define PLAN_CA_FILE	PLAN_IDENTITY "/ca.pem"
#define PLAN_TOKEN_FILE PLAN_IDENTITY "/token"

/* Volumes; those of files are named by the dialect. */
#define PLAN_VOLUME(name) "secrets-agent-" name

/* A tmpfs with files, and where it is mounted. */
struct plan_directory {
	const char *path, *volume;
	struct plan_directory *next;
};

/* A container of the application that gets something. */
struct plan_target {
	const struct json_node *container; /* as it came */
	const char *name;
	bool init;
	bool chosen;	    /* gets files and variables */
	bool socket;	    /* gets a socket of its own */
	bool wrapped;	    /* its command is started by ours */
	const char *signal; /* at changes; NULL: none */
	const char *volume; /* of its socket */
};

struct plan {
	struct wish *wish;
	bool native;	/* one sidecar that starts before the application */
	bool init;	/* a container that ends */
	bool sidecar;	/* one that stays, native or not */
	bool env_files; /* variables through the kubelet */
	bool wrapper;	/* variables through ours */
	bool guaranteed;
	struct plan_directory *directories;
	struct plan_target *targets; /* those that get anything, in the pod's order */
	size_t target_count;
	int64_t user, group; /* -1: the cluster's choice */
};

/* 0, or -1 when the pod is refused. */
int plan_make(struct plan *plan, struct wish *wish);

/* For a pod that was injected before: who should have which files, and nothing else. */
void plan_again(struct plan *plan, struct wish *wish);

/* Is the variable for this container? */
bool plan_gives(const struct wish_variable *variable, const struct plan_target *target);

/* The file that a kubelet reads a variable from. */
const char *plan_env_file(const struct plan *plan, const struct wish_variable *variable);

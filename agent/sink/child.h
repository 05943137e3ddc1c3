#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's end of the channel to the launcher: environments go out, ends of the child and of
 * hooks come in.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/error.h"
#include "agent/base/secret.h"
#include "agent/io/loop.h"

/* One variable of the child, or, with `file`, one file that stands at the path `name` while the
 * child runs. */
struct child_variable {
	char *name;
	struct secret *value;
	bool file;
};

struct child_sink_events {
	/* The child ended (and the broker should, after revoking what it may). `status` as in
	 * waitpid. */
	void (*child_ended)(void *context, int status);
	/* The command of child_sink_exec ended. */
	void (*hook_done)(void *context, int status);
	/* The launcher wants nothing more, or is gone: revoke what may be, and end. Nothing is
	 * called after this. */
	void (*closed)(void *context);
};

struct child_sink;

/* The channel becomes the sink's. */
struct child_sink *child_sink_new(struct loop *loop, int channel,
				  const struct child_sink_events *events, void *context,
				  struct error *err) MUST_USE;
struct child_sink *child_sink_free(struct child_sink *sink); /* returns NULL; NULL is allowed */

/* Hands over a complete environment: the first starts the child, later ones restart or signal it as
 * the launch plan says. Without `supervise` and where nothing else needs a parent, the launcher
 * waits for the broker to end (at most 2 s: revoke, then return) and becomes the child. */
int child_sink_env(struct child_sink *sink, const struct child_variable *variables, size_t count,
		   bool supervise, struct error *err) MUST_USE;

/* Ends the program: the launcher prints "agent: TEXT" and exits with the status once the broker has
 * ended. */
int child_sink_fail(struct child_sink *sink, int exit_status, const char *text) MUST_USE;

/* Runs a command with the user's own environment; hook_done is called when it has ended. One at a
 * time. */
int child_sink_exec(struct child_sink *sink, char *const argv[], size_t count,
		    struct error *err) MUST_USE;

/* The same two for a broker that waits for nothing and so has no loop. */
int child_send_env(int channel, const struct child_variable *variables, size_t count,
		   bool supervise, struct error *err) MUST_USE;
int child_send_fail(int channel, int exit_status, const char *text) MUST_USE;

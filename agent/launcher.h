#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that the user started: it holds terminal, pty, masking, signals and the child, and it
 * forks the broker before any secret is read. Nothing that the broker does to itself reaches the
 * child: limits, umask, signal mask and dispositions are what the user's program would have had
 * without us.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/macros.h"

enum mask_mode {
	MASK_NEVER,
	MASK_AUTO, /* on a terminal and under CI=true */
	MASK_ALWAYS,
};

enum watch_mode {
	WATCH_NONE,
	WATCH_RESTART, /* new versions: end the child, then start it anew with them */
	WATCH_SIGNAL,  /* new versions: send `watch_signal` */
};

struct launch_plan {
	char **argv; /* of the child, NULL-terminated */
	enum mask_mode mask;
	enum watch_mode watch;
	int watch_signal;
	bool pristine; /* the child gets PATH HOME USER LOGNAME SHELL TERM LANG LC_* TZ PWD and its
			  secrets */
	bool strict;   /* a secret may not replace a variable that is there */
	bool no_env;   /* what the broker hands over says that something changed, and is no variable
			*/
	int64_t timeout_ms; /* for the first environment; the broker keeps to it, the launcher makes
			       sure. 0: none */
	bool hooks_only;    /* `serve`: no child; the launcher only runs commands for the broker */
};

/* Runs in the forked broker, in a process group of its own, with the user's signal mask and
 * dispositions, standard input and output on /dev/null. `channel` is for child_sink_new. Returns
 * the broker's exit status. It must end soon after the channel is closed by the launcher. */
typedef int broker_main_fn(int channel, void *context);

/* Call before any secret is read, any library started and any signal disposition changed. Returns
 * the exit status of the program; does not return where the launcher becomes the child (execve) or
 * dies of the child's signal. With hooks_only TERM, INT, HUP, USR1 and USR2 are passed on to the
 * broker, whose exit status is ours. */
int launcher_run(const struct launch_plan *plan, broker_main_fn *broker, void *context);

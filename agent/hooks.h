#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of on_change.exec, one at a time. What changes while a command runs is told by
 * another run after it: none is lost, several become one.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agent/base/error.h"
#include "agent/config/config.h"

struct hooks;

/* Embedded by whoever wants its command run; all zero but `command` and `done` is at rest. */
struct hook {
	const struct strings *command;
	/* A run that began for this generation has ended; `status` as in waitpid, -1: it could not
	 * be started. */
	void (*done)(struct hook *hook, uint64_t generation, int status);
	uint64_t wanted; /* the rest is the queue's own; 0: at rest */
	TAILQ_ENTRY(hook) entry;
};

/* Embedded by whoever can start commands. */
struct hooks {
	/* Starts a command whose end is told by hooks_ended. */
	int (*start)(void *context, const struct strings *command, struct error *err);
	void *context;
	TAILQ_HEAD(, hook) waiting;
	bool busy;
	struct hook *running; /* NULL while busy: whoever wanted it is gone */
	uint64_t generation;  /* that it runs for */
};

void hooks_init(struct hooks *hooks,
		int (*start)(void *context, const struct strings *command, struct error *err),
		void *context);

/* Runs the hook's command for this generation (not 0), now or after those before it. */
void hooks_run(struct hooks *hooks, struct hook *hook, uint64_t generation);

/* The command that was started has ended. */
void hooks_ended(struct hooks *hooks, int status);

/* The hook is going: `done` is not called for it any more. */
void hooks_forget(struct hooks *hooks, struct hook *hook);

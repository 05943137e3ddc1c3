#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One secret's life: fetched when due, renewed, replaced, retried with back-off, kept when the
 * backend is gone. A task never waits for another one and never repeats because of one.
 */
#include <stdbool.h>

#include "agent/source.h"
#include "agent/store.h"

struct task;

struct task_policy {
	int64_t max_stale_ms; /* 0: for ever */
	bool remove_missing;
	bool verdict_ends; /* broker_setup's `ends` */
};

struct task_listener {
	/* `changed`: the entry holds another version than before, or none any more. Else only its
	 * state is news. */
	void (*settled)(void *context, struct task *task, bool changed);
	/* What is due has changed: task_tick again soon. */
	void (*wake)(void *context);
	/* A credential may have been made that nobody holds. */
	void (*orphaned)(void *context);
	void *context;
};

struct task {
	struct store_entry *entry;
	struct source *source;
	const struct clock *clock;
	const struct task_policy *policy;
	const struct task_listener *listener;

	struct run run;
	enum { TASK_IDLE, TASK_FETCHING, TASK_RENEWING, TASK_IN_DOUBT } activity;
	struct secret_version *used; /* the session that the run went out with */
	bool leased_with_old;	     /* the session that made the lease is gone or going */
	bool attempted;		     /* the first attempt is over */
	bool once;		     /* fetch until it is there, then rest */
	unsigned failures;
	int64_t due_at; /* boot time */
};

/* `entry`, `source`, clock, policy and listener outlive the task. The first fetch is due at
 * `first_at`. */
void task_init(struct task *task, struct store_entry *entry, struct source *source,
	       const struct clock *clock, const struct task_policy *policy,
	       const struct task_listener *listener, int64_t first_at);
void task_deinit(struct task *task);

/* Starts what is due and may go out. Returns the next deadline in boot time. */
int64_t task_tick(struct task *task, struct stamp now);

/* Fetch again soon: what it came from has changed. */
void task_refresh(struct task *task);

/* The task's session became live, was replaced, or failed to be made. */
void task_session_changed(struct task *task, bool replaced);

/* The task's session is alive: a 403 in doubt was about the path. */
void task_session_confirmed(struct task *task);

/* Takes up a version that another process of ours fetched. Call before the first tick. */
void task_take(struct task *task, struct secret_version *version);

/* Takes over version, state and plan of a task for the same secret; what that one had in flight is
 * asked again. */
void task_adopt(struct task *task, const struct task *old);

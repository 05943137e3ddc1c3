/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run is one conversation under way. It is always in exactly one place: ready (something is to be
 * done in the next turn of the loop), delayed (the same, a little later), flying (a request is out)
 * or waiting for a fact that a run of the wire's own is learning. One timer serves ready and
 * delayed, so that nothing ends within wire_run.
 */
#include "agent/exchange_run.h"

#include <stdlib.h>

void run_move(struct run_state *state, struct run_list *list)
{
	if (state->list != NULL)
		TAILQ_REMOVE(state->list, state, entry);
	state->list = list;
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, state, entry);
}

void wire_enter(struct wire *wire)
{
	wire->entered++;
}

void wire_leave(struct wire *wire)
{
	if (--wire->entered == 0 && wire->gone)
		free(wire);
}

void run_soon(struct run_state *state, enum action action)
{
	state->action = action;
	run_move(state, &state->wire->ready);
	loop_timer_set(state->wire->timer, 0);
}

void run_later(struct run_state *state, enum action action, int64_t delay_ms)
{
	state->action = action;
	state->due = clock_now(state->wire->clock).boot_ms + delay_ms;
	run_move(state, &state->wire->delayed);
	loop_timer_set(state->wire->timer, 0); /* which finds the earliest */
}

/* -- Ends ---------------------------------------------------------------------------- */

void run_fail(struct run_state *state, const struct error *err)
{
	state->failed = true;
	state->error = *err;
	run_soon(state, ACT_FINISH);
}

void run_fail_canceled(struct run_state *state)
{
	struct error err;

	(void)error_set(&err, ERROR_CANCELED, "the conversation with the backend was canceled");
	run_fail(state, &err);
}

static void state_free(struct run_state *state)
{
	(void)exchange_free(state->x);
	(void)secret_version_unref(state->session);
	(void)address_unref(state->address);
	(void)address_unref(state->guest);
	free(state);
}

static void finish(struct run_state *state)
{
	AUTO(secret_version_unrefp) struct secret_version *result = STEAL(state->x->result);
	struct run *run = state->run;
	struct error err = state->error;
	bool failed = state->failed;

	run_move(state, NULL);
	if (state->need != NULL)
		need_finish(state->need, failed ? &err : NULL);
	if (run != NULL) {
		run->orphan = state->orphan;
		run->state = NULL;
	}
	state_free(state);
	if (run != NULL)
		run->done(run, failed ? NULL : result, failed ? &err : NULL);
}

/* -- Runs ---------------------------------------------------------------------------- */

void run_advance(struct run_state *state, const struct reply *reply)
{
	struct error err = ERROR_INIT;

	switch (state->x->ops->step(state->x, reply, &err)) {
	case EXCHANGE_SEND:
		run_request(state);
		return;
	case EXCHANGE_NEED:
		run_learn(state);
		return;
	case EXCHANGE_DONE:
		run_soon(state, ACT_FINISH);
		return;
	case EXCHANGE_FAILED:
		run_fail(state, &err);
		return;
	}
}

static void act(struct run_state *state)
{
	switch (state->action) {
	case ACT_STEP:
		run_advance(state, NULL);
		return;
	case ACT_FILE:
		run_read_file(state);
		return;
	case ACT_SEND:
		run_send(state);
		return;
	case ACT_FINISH:
		finish(state);
		return;
	}
}

/* Moves what is due to `ready` and sets the timer for what is not. */
static void wake_delayed(struct wire *wire)
{
	int64_t now = clock_now(wire->clock).boot_ms, next = DEADLINE_NEVER;
	struct run_state *state = TAILQ_FIRST(&wire->delayed);

	while (state != NULL) {
		struct run_state *following = TAILQ_NEXT(state, entry);

		if (state->due <= now)
			run_move(state, &wire->ready);
		else
			next = deadline_earlier(next, state->due);
		state = following;
	}
	loop_timer_set(wire->timer, next);
}

static void on_timer(void *context)
{
	struct wire *wire = context;
	struct run_state *state;

	wire_enter(wire);
	wake_delayed(wire);
	while (!wire->closing && (state = TAILQ_FIRST(&wire->ready)) != NULL)
		act(state);
	wire_leave(wire);
}

struct run_state *run_new(struct wire *wire, struct exchange *x, struct secret_version *session)
{
	struct run_state *state = calloc(1, sizeof(*state));

	if (state == NULL)
		return NULL;
	state->wire = wire;
	state->x = x;
	state->session = session != NULL ? secret_version_ref(session) : NULL;
	state->transfer.done = run_on_transfer;
	return state;
}

int wire_run(struct wire *wire, struct exchange *x, struct secret_version *session, struct run *run,
	     struct error *err)
{
	struct run_state *state;

	if (wire->closing) {
		(void)exchange_free(x);
		return error_set(err, ERROR_CANCELED, "the backend is being closed");
	}
	state = run_new(wire, x, session);
	if (state == NULL) {
		(void)exchange_free(x);
		return error_no_memory(err);
	}
	state->run = run;
	run->state = state;
	run->orphan = false;
	run_advance(state, NULL);
	return 0;
}

void wire_cancel(struct run *run)
{
	struct run_state *state = run->state;

	if (state == NULL)
		return;
	state->waits_for = NULL;
	if (state->list == &state->wire->flying)
		http_cancel(&state->transfer);
	else
		run_fail_canceled(state);
}

/* -- Wires --------------------------------------------------------------------------- */

int wire_reopen(struct wire *wire, struct error *err)
{
	return addresses_open(&wire->addresses, wire->ops, wire->backend, wire->client, err);
}

struct wire *wire_new(const struct backend_ops *ops, struct backend *backend, struct loop *loop,
		      struct http_client *client, const struct clock *clock, struct error *err)
{
	struct wire *wire = calloc(1, sizeof(*wire));

	if (wire == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	wire->ops = ops;
	wire->backend = backend;
	wire->client = client;
	wire->clock = clock;
	TAILQ_INIT(&wire->ready);
	TAILQ_INIT(&wire->delayed);
	TAILQ_INIT(&wire->flying);
	TAILQ_INIT(&wire->needs);
	wire->timer = loop_timer_new(loop, on_timer, wire, err);
	if (wire->timer == NULL || wire_reopen(wire, err) < 0)
		return wire_free(wire);
	return wire;
}

/* Each pool's end calls run_on_transfer, which finds the wire closing and makes the run ready to
 * finish. */
static void cancel_all(struct wire *wire)
{
	struct run_state *state;
	struct need *need;

	while ((state = TAILQ_FIRST(&wire->flying)) != NULL) {
		struct address *address = address_ref(state->address);

		address->pool = http_pool_free(address->pool);
		(void)address_unref(address);
	}
	TAILQ_CONCAT(&wire->ready, &wire->delayed, entry);
	TAILQ_FOREACH(state, &wire->ready, entry)
	{
		state->list = &wire->ready;
	}
	TAILQ_FOREACH(need, &wire->needs, entry)
	{
		while ((state = TAILQ_FIRST(&need->waiters)) != NULL) {
			state->waits_for = NULL;
			run_move(state, &wire->ready);
		}
	}
	TAILQ_FOREACH(state, &wire->ready, entry)
	{
		state->failed = true;
		(void)error_set(&state->error, ERROR_CANCELED,
				"the conversation with the backend was canceled");
	}
	while ((state = TAILQ_FIRST(&wire->ready)) != NULL)
		finish(state);
}

struct wire *wire_free(struct wire *wire)
{
	if (wire == NULL)
		return NULL;
	wire->closing = true;
	wire_enter(wire);
	cancel_all(wire);
	addresses_close(&wire->addresses);
	wire->timer = loop_timer_free(wire->timer);
	wire->gone = true;
	wire_leave(wire);
	return NULL;
}

uint64_t wire_requests(const struct wire *wire)
{
	return wire->requests;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts that many ask for and that are learned once, such as a mount's version. The first who asks
 * starts a run of the wire's own; all wait for its end.
 */
#include <stdio.h>
#include <string.h>

#include "agent/exchange_run.h"

/* An exchange that asks for facts for ever would never end. */
enum { NEEDS_MAX = 16 };

static struct need *find_need(struct wire *wire, const char *key)
{
	struct need *need;

	TAILQ_FOREACH(need, &wire->needs, entry)
	{
		if (strcmp(need->key, key) == 0)
			return need;
	}
	return NULL;
}

/* Would it wait for itself, over however many others? */
static bool is_circular(const struct run_state *state, const struct need *need)
{
	for (; need != NULL; need = need->learner->waits_for)
		if (need->learner == state)
			return true;
	return false;
}

static struct need *start_need(struct run_state *asker, struct error *err)
{
	struct wire *wire = asker->wire;
	AUTO(exchange_freep) struct exchange *x = NULL;
	AUTO(freep) struct need *need = calloc(1, sizeof(*need));

	if (need == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	(void)snprintf(need->key, sizeof(need->key), "%s", asker->x->need);
	if (wire->ops->need == NULL) {
		(void)error_set(err, ERROR_INVALID, "a backend of type %s cannot learn '%.100s'",
				wire->ops->type, need->key);
		return NULL;
	}
	x = wire->ops->need(wire->backend, asker->session, need->key, err);
	if (x == NULL)
		return NULL;
	need->learner = run_new(wire, x, asker->session);
	if (need->learner == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	(void)STEAL(x);
	need->learner->need = need;
	TAILQ_INIT(&need->waiters);
	TAILQ_INSERT_TAIL(&wire->needs, need, entry);
	run_soon(need->learner, ACT_STEP);
	return STEAL(need);
}

void run_learn(struct run_state *state)
{
	struct need *need = find_need(state->wire, state->x->need);
	struct error err;

	if (++state->needs > NEEDS_MAX || is_circular(state, need)) {
		(void)error_set(&err, ERROR_PROTOCOL,
				"'%.100s' cannot be learned: it is asked for again and again",
				state->x->need);
		run_fail(state, &err);
		return;
	}
	if (need == NULL)
		need = start_need(state, &err);
	if (need == NULL) {
		run_fail(state, &err);
		return;
	}
	state->waits_for = need;
	run_move(state, &need->waiters);
}

/* Those who waited for the fact go on, or fail as it did. */
void need_finish(struct need *need, const struct error *err)
{
	struct run_state *waiter;

	TAILQ_REMOVE(&need->learner->wire->needs, need, entry);
	while ((waiter = TAILQ_FIRST(&need->waiters)) != NULL) {
		waiter->waits_for = NULL;
		if (err != NULL)
			run_fail(waiter, err);
		else
			run_soon(waiter, ACT_STEP);
	}
	free(need);
}

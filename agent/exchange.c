/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run is one conversation under way. It is always in exactly one place: ready (something is to be
 * done in the next turn of the loop), delayed (the same, a little later), flying (a request is out)
 * or waiting for a fact that a run of the wire's own is learning. One timer serves ready and
 * delayed, so that nothing ends within wire_run.
 *
 * A request starts at the address that answered last. What an address cannot do, the next ones are
 * asked for, each once: see `judge`.
 */
#include "agent/exchange.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/address.h"
#include "agent/base/log.h"
#include "agent/io/file.h"

/* A stale index (412) catches up within a replication's delay; guests are the origins of 307s that
 * no option names; an exchange that asks for facts for ever would never end. */
enum { STALE_RETRIES = 3, STALE_WAIT_MS = 50, GUESTS_MAX = 4, NEEDS_MAX = 16 };

TAILQ_HEAD(run_list, run_state);

enum action { ACT_STEP, ACT_FILE, ACT_SEND, ACT_FINISH };

/* A fact that is being learned, once for all who wait for it. */
struct need {
	TAILQ_ENTRY(need) entry;
	struct run_state *learner;
	struct run_list waiters;
	char key[sizeof(((struct exchange *)NULL)->need)];
};

struct run_state {
	TAILQ_ENTRY(run_state) entry;
	struct run_list *list;
	struct wire *wire;
	struct run *run;   /* NULL: learns for `need` */
	struct need *need; /* whose learner this is */
	struct need *waits_for;
	struct exchange *x;
	struct secret_version *session;
	enum action action; /* in ready and delayed */
	int64_t due;	    /* in delayed */
	unsigned needs;

	/* The request under way. */
	struct http_transfer transfer;
	struct address *address; /* while it is out */
	size_t index;		 /* of the address that is asked */
	struct address *guest;	 /* instead of that address */
	size_t asked;		 /* addresses that were asked */
	unsigned stale_retries;
	bool redirected;

	bool orphan;
	bool failed;
	struct error error;
};

struct wire {
	const struct backend_ops *ops;
	struct backend *backend;
	struct http_client *client;
	const struct clock *clock;
	struct loop_timer *timer;
	struct address **addresses;
	size_t count;
	size_t current; /* answered last */
	struct address *guests[GUESTS_MAX];
	size_t guest_count;
	struct run_list ready, delayed, flying;
	TAILQ_HEAD(, need) needs;
	uint64_t requests;
	unsigned entered; /* how deep we are in callbacks that still need the wire */
	bool closing;
	bool gone; /* freed as soon as nobody is in it */
};

static void move_to(struct run_state *state, struct run_list *list)
{
	if (state->list != NULL)
		TAILQ_REMOVE(state->list, state, entry);
	state->list = list;
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, state, entry);
}

static void enter(struct wire *wire)
{
	wire->entered++;
}

static void leave(struct wire *wire)
{
	if (--wire->entered == 0 && wire->gone)
		free(wire);
}

static void do_soon(struct run_state *state, enum action action)
{
	state->action = action;
	move_to(state, &state->wire->ready);
	loop_timer_set(state->wire->timer, 0);
}

/* -- Ends
 * --------------------------------------------------------------------------------------------------
 */

static void fail(struct run_state *state, const struct error *err)
{
	state->failed = true;
	state->error = *err;
	do_soon(state, ACT_FINISH);
}

static void fail_canceled(struct run_state *state)
{
	struct error err;

	(void)error_set(&err, ERROR_CANCELED, "the conversation with the backend was canceled");
	fail(state, &err);
}

static void state_free(struct run_state *state)
{
	(void)exchange_free(state->x);
	(void)secret_version_unref(state->session);
	(void)address_unref(state->address);
	(void)address_unref(state->guest);
	free(state);
}

/* Those who waited for the fact go on, or fail as it did. */
static void need_finish(struct need *need, const struct error *err)
{
	struct run_state *waiter;

	TAILQ_REMOVE(&need->learner->wire->needs, need, entry);
	while ((waiter = TAILQ_FIRST(&need->waiters)) != NULL) {
		waiter->waits_for = NULL;
		if (err != NULL)
			fail(waiter, err);
		else
			do_soon(waiter, ACT_STEP);
	}
	free(need);
}

static void finish(struct run_state *state)
{
	AUTO(secret_version_unrefp) struct secret_version *result = STEAL(state->x->result);
	struct run *run = state->run;
	struct error err = state->error;
	bool failed = state->failed;

	move_to(state, NULL);
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

/* -- Addresses
 * --------------------------------------------------------------------------------------------- */

static void send_request(struct run_state *state)
{
	struct wire *wire = state->wire;
	struct address *address;
	struct error err;

	if (wire->count == 0) {
		(void)error_set(&err, ERROR_INVALID, "a backend of type %s has no address to ask",
				wire->ops->type);
		fail(state, &err);
		return;
	}
	state->index %= wire->count;
	address = state->guest != NULL ? state->guest : wire->addresses[state->index];
	if (http_send(address->pool, &state->x->request, 0, &state->transfer, &err) < 0) {
		fail(state, &err);
		return;
	}
	wire->requests++;
	(void)address_unref(state->address);
	state->address = address_ref(address);
	move_to(state, &wire->flying);
}

static void start_request(struct run_state *state)
{
	state->index = state->wire->current;
	state->guest = address_unref(state->guest);
	state->asked = 1;
	state->stale_retries = 0;
	state->redirected = false;
	if (state->x->request.kind == REQUEST_FILE)
		do_soon(state, ACT_FILE);
	else
		send_request(state);
}

/* False when every address was asked. */
static bool ask_next_address(struct run_state *state, const char *cause)
{
	if (state->asked >= state->wire->count)
		return false;
	log_warn("address does not serve, asking the next",
		 LOG_STR("address", state->address->origin), LOG_STR("cause", cause));
	state->asked++;
	state->index++;
	state->guest = address_unref(state->guest);
	send_request(state);
	return true;
}

/* What must not be repeated by us may be asked again by whoever started the run: then not here
 * first. */
static void prefer_another(struct run_state *state)
{
	struct wire *wire = state->wire;

	if (state->guest == NULL && wire->count > 0 && wire->current == state->index)
		wire->current = (wire->current + 1) % wire->count;
}

static void ask_again_soon(struct run_state *state)
{
	struct wire *wire = state->wire;
	int64_t jitter = (int64_t)(wire->clock->random(wire->clock) % STALE_WAIT_MS);

	state->stale_retries++;
	state->action = ACT_SEND;
	state->due = clock_now(wire->clock).boot_ms + STALE_WAIT_MS * state->stale_retries + jitter;
	move_to(state, &wire->delayed);
	loop_timer_set(wire->timer, 0); /* which finds the earliest */
}

/* -- The one 307
 * ------------------------------------------------------------------------------------------- */

static struct address *find_guest(struct wire *wire, const struct address *model,
				  const char *origin, struct error *err)
{
	struct address *guest;

	for (size_t i = 0; i < wire->guest_count; i++)
		if (strcmp(wire->guests[i]->origin, origin) == 0)
			return address_ref(wire->guests[i]);
	guest = address_like(wire->client, model, origin, err);
	if (guest == NULL)
		return NULL;
	if (wire->guest_count == GUESTS_MAX)
		(void)address_unref(wire->guests[--wire->guest_count]);
	wire->guests[wire->guest_count++] = guest;
	return address_ref(guest);
}

/* Where a Location leads: one of our addresses, or a stranger whom our private CA vouches for. */
static int choose_target(struct run_state *state, const char *origin, struct error *err)
{
	struct wire *wire = state->wire;
	const struct address *from = state->address;

	for (size_t i = 0; i < wire->count; i++) {
		if (strcmp(wire->addresses[i]->origin, origin) != 0)
			continue;
		state->guest = address_unref(state->guest);
		state->index = i;
		return 0;
	}
	if (from->endpoint.ca_file == NULL || strncmp(origin, "https://", 8) != 0)
		return error_set(err, ERROR_UNAVAILABLE,
				 "%.100s redirects to %.100s, which is not configured: add it to "
				 "the backend's "
				 "`address`",
				 from->origin, origin);
	(void)address_unref(state->guest);
	state->guest = find_guest(wire, from, origin, err);
	return state->guest != NULL ? 0 : -1;
}

static int follow(struct run_state *state, const char *location, struct error *err)
{
	struct buf *path = &state->x->request.path;
	const char *from = state->address->origin;
	char origin[ORIGIN_MAX];
	const char *rest;

	if (state->redirected)
		return error_set(err, ERROR_UNAVAILABLE,
				 "%.100s redirects once more: one 307 is followed", from);
	if (location == NULL)
		return error_set(err, ERROR_PROTOCOL, "%.100s redirects without saying where to",
				 from);
	if (location[0] == '/' && location[1] != '/') {
		(void)snprintf(origin, sizeof(origin), "%s", from);
		rest = location;
	} else if (origin_read(location, origin, &rest) < 0 || rest[0] != '/') {
		return error_set(err, ERROR_PROTOCOL, "%.100s redirects to what is no http(s) URL",
				 from);
	} else if (choose_target(state, origin, err) < 0) {
		return -1;
	}
	buf_reset(path);
	buf_put(path, rest, strcspn(rest, "#"));
	if (buf_check(path, "the path of a redirection", err) < 0)
		return -1;
	state->redirected = true;
	send_request(state);
	return 0;
}

/* -- Replies
 * -----------------------------------------------------------------------------------------------
 */

static void advance(struct run_state *state, const struct reply *reply);

/* The address may be asked no more, but another one of the same cluster might do: standby, sealed,
 * broken. */
static bool is_for_another(int status)
{
	return status == 472 || status == 473 || status >= 500;
}

static void judge(struct run_state *state, const struct reply *reply)
{
	bool repeatable = !state->x->request.once;
	char cause[32];
	struct error err;

	if (reply->status == 307) {
		if (follow(state, reply->location, &err) < 0)
			fail(state, &err);
		return;
	}
	if (reply->status == 412 && repeatable && state->stale_retries < STALE_RETRIES) {
		ask_again_soon(state);
		return;
	}
	(void)snprintf(cause, sizeof(cause), "status %d", reply->status);
	if (is_for_another(reply->status)) {
		if (repeatable && ask_next_address(state, cause))
			return;
		prefer_another(state);
	} else if (state->guest == NULL) {
		state->wire->current = state->index;
	}
	advance(state, reply);
}

/* No reply came. What may have made something at the server is repeated only while no byte of its
 * reply was seen. */
static void judge_silence(struct run_state *state, const struct error *err)
{
	bool once = state->x->request.once;

	if (once && (state->transfer.request_sent || state->transfer.reply_began))
		state->orphan = true;
	if (err->code == ERROR_UNAVAILABLE && !(once && state->transfer.reply_began) &&
	    ask_next_address(state, err->text))
		return;
	if (err->code == ERROR_UNAVAILABLE)
		prefer_another(state);
	fail(state, err);
}

static void on_transfer(struct http_transfer *transfer, const struct reply *reply,
			const struct error *err)
{
	struct run_state *state = CONTAINER_OF(transfer, struct run_state, transfer);
	struct wire *wire = state->wire;

	enter(wire);
	if (reply != NULL && !wire->closing)
		judge(state, reply);
	else if (err != NULL)
		judge_silence(state, err);
	else
		fail_canceled(state);
	leave(wire);
}

static void perform_file(struct run_state *state)
{
	AUTO(buf_deinit) struct buf content = BUF_INIT(state->x->request.reply_max);
	struct reply reply;
	struct error err;

	if (file_perform(&state->x->request, state->wire->clock, &content, &reply, &err) < 0)
		fail(state, &err);
	else
		advance(state, &reply);
}

/* -- Facts that are learned once
 * --------------------------------------------------------------------------- */

static struct run_state *state_new(struct wire *wire, struct exchange *x,
				   struct secret_version *session);

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
	need->learner = state_new(wire, x, asker->session);
	if (need->learner == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	(void)STEAL(x);
	need->learner->need = need;
	TAILQ_INIT(&need->waiters);
	TAILQ_INSERT_TAIL(&wire->needs, need, entry);
	do_soon(need->learner, ACT_STEP);
	return STEAL(need);
}

static void wait_for_need(struct run_state *state)
{
	struct need *need = find_need(state->wire, state->x->need);
	struct error err;

	if (++state->needs > NEEDS_MAX || is_circular(state, need)) {
		(void)error_set(&err, ERROR_PROTOCOL,
				"'%.100s' cannot be learned: it is asked for again and again",
				state->x->need);
		fail(state, &err);
		return;
	}
	if (need == NULL)
		need = start_need(state, &err);
	if (need == NULL) {
		fail(state, &err);
		return;
	}
	state->waits_for = need;
	move_to(state, &need->waiters);
}

/* -- Runs
 * --------------------------------------------------------------------------------------------------
 */

static void advance(struct run_state *state, const struct reply *reply)
{
	struct error err = ERROR_INIT;

	switch (state->x->ops->step(state->x, reply, &err)) {
	case EXCHANGE_SEND:
		start_request(state);
		return;
	case EXCHANGE_NEED:
		wait_for_need(state);
		return;
	case EXCHANGE_DONE:
		do_soon(state, ACT_FINISH);
		return;
	case EXCHANGE_FAILED:
		fail(state, &err);
		return;
	}
}

static void act(struct run_state *state)
{
	switch (state->action) {
	case ACT_STEP:
		advance(state, NULL);
		return;
	case ACT_FILE:
		perform_file(state);
		return;
	case ACT_SEND:
		send_request(state);
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
			move_to(state, &wire->ready);
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

	enter(wire);
	wake_delayed(wire);
	while (!wire->closing && (state = TAILQ_FIRST(&wire->ready)) != NULL)
		act(state);
	leave(wire);
}

static struct run_state *state_new(struct wire *wire, struct exchange *x,
				   struct secret_version *session)
{
	struct run_state *state = calloc(1, sizeof(*state));

	if (state == NULL)
		return NULL;
	state->wire = wire;
	state->x = x;
	state->session = session != NULL ? secret_version_ref(session) : NULL;
	state->transfer.done = on_transfer;
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
	state = state_new(wire, x, session);
	if (state == NULL) {
		(void)exchange_free(x);
		return error_no_memory(err);
	}
	state->run = run;
	run->state = state;
	run->orphan = false;
	advance(state, NULL);
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
		fail_canceled(state);
}

/* -- Wires
 * -------------------------------------------------------------------------------------------------
 */

static void close_addresses(struct address **addresses, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)address_unref(addresses[i]);
	free(addresses);
}

int wire_reopen(struct wire *wire, struct error *err)
{
	struct address **addresses = NULL;
	struct endpoint endpoint;
	size_t count = 0;

	while (wire->ops->endpoint != NULL && wire->client != NULL &&
	       wire->ops->endpoint(wire->backend, count, &endpoint)) {
		struct address **longer =
			reallocarray(addresses, count + 1, sizeof(struct address *));

		if (longer == NULL) {
			close_addresses(addresses, count);
			return error_no_memory(err);
		}
		addresses = longer;
		addresses[count] = address_open(wire->client, &endpoint, addresses, count, err);
		if (addresses[count] == NULL) {
			close_addresses(addresses, count);
			return -1;
		}
		count++;
	}
	close_addresses(wire->addresses, wire->count);
	wire->addresses = addresses;
	wire->count = count;
	wire->current = count > 0 ? wire->current % count : 0;
	while (wire->guest_count > 0)
		(void)address_unref(wire->guests[--wire->guest_count]);
	return 0;
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

/* Each pool's end calls on_transfer, which finds the wire closing and makes the run ready to
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
			move_to(state, &wire->ready);
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
	enter(wire);
	cancel_all(wire);
	close_addresses(STEAL(wire->addresses), wire->count);
	wire->count = 0;
	while (wire->guest_count > 0)
		(void)address_unref(wire->guests[--wire->guest_count]);
	wire->timer = loop_timer_free(wire->timer);
	wire->gone = true;
	leave(wire);
	return NULL;
}

uint64_t wire_requests(const struct wire *wire)
{
	return wire->requests;
}

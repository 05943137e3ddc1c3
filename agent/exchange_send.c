/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on its way. It starts at the address that answered last. What an address cannot do,
 * the next ones are asked for, each once: see `judge`. One 307 is followed.
 */
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/exchange_run.h"
#include "agent/io/file.h"

/* A stale index (412) catches up within a replication's delay. */
enum { STALE_RETRIES = 3, STALE_WAIT_MS = 50 };

void run_send(struct run_state *state)
{
	struct wire *wire = state->wire;
	struct addresses *addresses = &wire->addresses;
	struct address *address;
	struct error err;

	if (addresses->count == 0) {
		(void)error_set(&err, ERROR_INVALID, "a backend of type %s has no address to ask",
				wire->ops->type);
		run_fail(state, &err);
		return;
	}
	state->index %= addresses->count;
	address = state->guest != NULL ? state->guest : addresses->items[state->index];
	if (http_send(address->pool, &state->x->request, 0, &state->transfer, &err) < 0) {
		run_fail(state, &err);
		return;
	}
	wire->requests++;
	(void)address_unref(state->address);
	state->address = address_ref(address);
	run_move(state, &wire->flying);
}

void run_request(struct run_state *state)
{
	state->index = state->wire->addresses.current;
	state->guest = address_unref(state->guest);
	state->asked = 1;
	state->stale_retries = 0;
	state->redirected = false;
	if (state->x->request.kind == REQUEST_FILE)
		run_soon(state, ACT_FILE);
	else
		run_send(state);
}

/* False when every address was asked. */
static bool ask_next_address(struct run_state *state, const char *cause)
{
	if (state->asked >= state->wire->addresses.count)
		return false;
	log_warn("address does not serve, asking the next",
		 LOG_STR("address", state->address->origin), LOG_STR("cause", cause));
	state->asked++;
	state->index++;
	state->guest = address_unref(state->guest);
	run_send(state);
	return true;
}

/* What must not be repeated by us may be asked again by whoever started the run: then not here
 * first. */
static void prefer_another(struct run_state *state)
{
	struct addresses *addresses = &state->wire->addresses;

	if (state->guest == NULL && addresses->count > 0 && addresses->current == state->index)
		addresses->current = (addresses->current + 1) % addresses->count;
}

static void ask_again_soon(struct run_state *state)
{
	const struct clock *clock = state->wire->clock;
	int64_t jitter = (int64_t)(clock->random(clock) % STALE_WAIT_MS);

	state->stale_retries++;
	run_later(state, ACT_SEND, STALE_WAIT_MS * state->stale_retries + jitter);
}

/* -- The one 307 --------------------------------------------------------------------- */

/* Where a Location leads: one of our addresses, or a stranger whom our private CA vouches for. */
static int choose_target(struct run_state *state, const char *origin, struct error *err)
{
	struct wire *wire = state->wire;
	const struct address *from = state->address;
	int index = addresses_find(&wire->addresses, origin);

	if (index >= 0) {
		state->guest = address_unref(state->guest);
		state->index = (size_t)index;
		return 0;
	}
	if (from->endpoint.ca_file == NULL || strncmp(origin, "https://", 8) != 0)
		return error_set(err, ERROR_UNAVAILABLE,
				 "%.100s redirects to %.100s, which is not configured: add it to "
				 "the backend's `address`",
				 from->origin, origin);
	(void)address_unref(state->guest);
	state->guest = addresses_guest(&wire->addresses, wire->client, from, origin, err);
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
	run_send(state);
	return 0;
}

/* -- Replies ------------------------------------------------------------------------- */

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
			run_fail(state, &err);
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
		state->wire->addresses.current = state->index;
	}
	run_advance(state, reply);
}

/* Of an origin as origin_read spells it. */
static const char *port_of(const char *origin)
{
	return strrchr(origin, ':') + 1;
}

static bool is_configured_port(const struct addresses *addresses, const char *port)
{
	for (size_t i = 0; i < addresses->count; i++)
		if (strcmp(port_of(addresses->items[i]->origin), port) == 0)
			return true;
	return false;
}

/* The sandbox opens the ports of the configured addresses and no other, which looks like a server
 * that is down. */
static void explain_guest(const struct run_state *state, struct error *err)
{
	const char *origin = state->guest->origin;

	if (is_configured_port(&state->wire->addresses, port_of(origin)))
		(void)error_wrap(err, "a 307 leads to %.100s", origin);
	else
		(void)error_set(
			err, err->code,
			"a 307 leads to %.100s, where nothing can be reached: the sandbox opens "
			"the ports of configured addresses only; add it to the backend's "
			"`address`",
			origin);
}

/* No reply came. What may have made something at the server is repeated only while no byte of its
 * reply was seen. */
static void judge_silence(struct run_state *state, const struct error *err)
{
	bool once = state->x->request.once;
	struct error told = *err;

	if (once && (state->transfer.request_sent || state->transfer.reply_began))
		state->orphan = true;
	if (err->code == ERROR_UNAVAILABLE && !(once && state->transfer.reply_began) &&
	    ask_next_address(state, err->text))
		return;
	if (err->code == ERROR_UNAVAILABLE)
		prefer_another(state);
	if (err->code == ERROR_UNAVAILABLE && state->guest != NULL)
		explain_guest(state, &told);
	run_fail(state, &told);
}

void run_on_transfer(struct http_transfer *transfer, const struct reply *reply,
		     const struct error *err)
{
	struct run_state *state = CONTAINER_OF(transfer, struct run_state, transfer);
	struct wire *wire = state->wire;

	wire_enter(wire);
	if (reply != NULL && !wire->closing)
		judge(state, reply);
	else if (err != NULL)
		judge_silence(state, err);
	else
		run_fail_canceled(state);
	wire_leave(wire);
}

void run_read_file(struct run_state *state)
{
	AUTO(buf_deinit) struct buf content = BUF_INIT(state->x->request.reply_max);
	struct reply reply;
	struct error err;

	if (file_perform(&state->x->request, state->wire->clock, &content, &reply, &err) < 0)
		run_fail(state, &err);
	else
		run_advance(state, &reply);
}

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One backend's sign-in: made when first needed, renewed, made again before it ends or when it is
 * found dead. A new session swaps the credential and nothing else.
 */
#include <stdbool.h>

#include "agent/exchange.h"

enum session_state {
	SESSION_IDLE,	 /* nobody asked yet */
	SESSION_SIGNING, /* a login is under way, or waits for its time */
	SESSION_LIVE,
	SESSION_DEAD, /* the last login failed; the next is planned */
};

struct session;

struct session_listener {
	/* It became live (`replaced`: another one was there before, and leases made with it are
	 * gone or going), or an attempt failed: session_error says why. */
	void (*changed)(void *context, struct session *session, bool replaced);
	/* A doubt is settled: the session is alive, so the 403 was about the path. */
	void (*confirmed)(void *context, struct session *session);
	/* What is due has changed: session_tick again soon. */
	void (*wake)(void *context);
	void *context;
	/* Where nobody can ever sign in, the listener ends and says why: no line of the log. */
	bool verdict_ends;
};

/* `name` and `wire` outlive the session; the listener is copied. */
struct session *session_new(const char *name, const struct backend_ops *ops,
			    struct backend *backend, struct wire *wire, const struct clock *clock,
			    const struct session_listener *listener, struct error *err) MUST_USE;
/* Takes over the credential of a session with the same backend and identity, and when it last asked
 * for one. Call before the first tick. */
void session_adopt(struct session *session, const struct session *old);

/* Takes up a credential that another process of ours signed in for. Call before the first tick. */
void session_take(struct session *session, struct secret_version *version);

/* Cancels what runs, without calling the listener. Returns NULL. */
struct session *session_free(struct session *session);

/* True when fetches may go out: live, or the backend needs no session. Otherwise sees to it that
 * one is made. */
bool session_use(struct session *session);

/* The current session, NULL where there is none. Borrowed. */
struct secret_version *session_version(const struct session *session);

/* A 403 came while `used` was the session's version: a revoked token or a denied path? At most one
 * probe per 5 s settles it for all who ask, later where the last one is younger: what it said then
 * says nothing about a token that was revoked since. The listener hears `confirmed` or `changed`.
 * Returns false when nobody can be asked or the session has been replaced since: then fetch again.
 */
bool session_doubt(struct session *session, const struct secret_version *used);

/* A file that a login reads has changed: what was refused is tried again, 5 s after the last login
 * at the earliest. */
void session_credential_changed(struct session *session);

/* In `confirmed`: what kept the probe from an answer, NULL when it is settled. */
const struct error *session_unsettled(const struct session *session);

/* Does what is due. Returns the next deadline in boot time. */
int64_t session_tick(struct session *session);

/* Ends the session at the server when it is ours to end. False: there is nothing to do; else `done`
 * follows. */
bool session_revoke(struct session *session, void (*done)(void *context), void *context);

enum session_state session_state(const struct session *session);
const char *session_state_name(const struct session *session);
const struct error *session_error(const struct session *session);

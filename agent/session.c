/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a sign-in, and the one run (login, renewal, probe or revocation) that may be under
 * way. Everything that waits is a deadline which session_tick looks at; every wait comes from
 * base/schedule.
 */
#include "agent/session.h"

#include "agent/base/log.h"
#include "agent/base/schedule.h"

enum activity { NOTHING, LOGIN, RENEW, PROBE, REVOKE };

struct session {
	const char *name;
	const struct backend_ops *ops;
	struct backend *backend;
	struct wire *wire;
	const struct clock *clock;
	struct session_listener listener;

	enum session_state state;
	struct secret_version *version;
	struct error error;
	unsigned failures;     /* of login or renewal in a row */
	int64_t first_life_ms; /* what the session lived when it was new: renewals that give less
				  end it */
	int64_t next_at;       /* when to log in or renew */
	int64_t last_login_boot_ms; /* an attempt that reached the server */
	int64_t last_probe_boot_ms;

	struct run run;
	enum activity activity;
	struct error unsettled; /* what kept the last probe from an answer */
	bool credential_is_new; /* it changed while a login was under way */
	bool wanted_probe;	/* asked for, and not started yet */
	bool replaced; /* a session was lost or is about to end: whoever leased with it must know */
	void (*revoked)(void *context);
	void *revoked_context;
};

static void run_done(struct run *run, struct secret_version *result, const struct error *err);

struct session *session_new(const char *name, const struct backend_ops *ops,
			    struct backend *backend, struct wire *wire, const struct clock *clock,
			    const struct session_listener *listener, struct error *err)
{
	struct session *session = calloc(1, sizeof(*session));

	if (session == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	session->name = name;
	session->ops = ops;
	session->backend = backend;
	session->wire = wire;
	session->clock = clock;
	session->listener = *listener;
	session->next_at = DEADLINE_NEVER;
	session->last_login_boot_ms = INT64_MIN / 2;
	session->last_probe_boot_ms = INT64_MIN / 2;
	session->run.done = run_done;
	return session;
}

struct session *session_free(struct session *session)
{
	if (session == NULL)
		return NULL;
	/* The wire is gone by now, and with it every run. */
	(void)secret_version_unref(session->version);
	free(session);
	return NULL;
}

static int64_t boot_now(const struct session *session)
{
	return clock_now(session->clock).boot_ms;
}

void session_adopt(struct session *session, const struct session *old)
{
	/* A login that a reload cancels has been sent all the same. */
	session->last_login_boot_ms =
		old->activity == LOGIN ? boot_now(session) : old->last_login_boot_ms;
	session->last_probe_boot_ms = old->last_probe_boot_ms;
	if (old->state != SESSION_LIVE || old->version == NULL)
		return;
	session->version = secret_version_ref(old->version);
	session->state = SESSION_LIVE;
	session->first_life_ms = old->first_life_ms;
	session->next_at = schedule_refresh_at(session->clock, &old->version->lease, 0);
}

void session_take(struct session *session, struct secret_version *version)
{
	(void)secret_version_unref(session->version);
	session->version = secret_version_ref(version);
	session->state = SESSION_LIVE;
	session->first_life_ms = version->lease.duration_ms;
	session->next_at = schedule_refresh_at(session->clock, &version->lease, 0);
}

static void plan(struct session *session, int64_t wait_ms)
{
	session->next_at = boot_now(session) + wait_ms;
}

/* ---- starting runs ---- */

static struct exchange *new_exchange(struct session *session, enum activity activity,
				     struct error *err)
{
	switch (activity) {
	case LOGIN:
		return session->ops->login(session->backend, err);
	case RENEW:
		return session->ops->renew(session->backend, session->version, session->version,
					   err);
	case PROBE:
		return session->ops->probe(session->backend, session->version, err);
	case REVOKE:
		return session->ops->revoke(session->backend, session->version, err);
	case NOTHING:
		break;
	}
	(void)error_set(err, ERROR_INVALID, "nothing to do");
	return NULL;
}

static int start(struct session *session, enum activity activity, struct error *err)
{
	struct exchange *x = new_exchange(session, activity, err);

	if (x == NULL || wire_run(session->wire, x, session->version, &session->run, err) < 0)
		return -1;
	session->activity = activity;
	return 0;
}

static void start_or_fail(struct session *session, enum activity activity)
{
	struct error err = ERROR_INIT;

	session->next_at = DEADLINE_NEVER;
	if (start(session, activity, &err) == 0)
		return;
	session->activity = activity;
	run_done(&session->run, NULL, &err);
}

static void login(struct session *session)
{
	session->state = session->state == SESSION_LIVE ? SESSION_LIVE : SESSION_SIGNING;
	start_or_fail(session, LOGIN);
}

static int64_t login_allowed_at(const struct session *session)
{
	return session->last_login_boot_ms + SCHEDULE_LOGIN_EVERY_MS;
}

/* Plans a login: now, or when the last one that the server saw is 5 s old. */
static void want_login(struct session *session)
{
	int64_t now = boot_now(session), allowed = login_allowed_at(session);

	session->next_at = allowed > now ? allowed : now;
}

static int64_t probe_allowed_at(const struct session *session)
{
	return session->last_probe_boot_ms + SCHEDULE_LOGIN_EVERY_MS;
}

static bool has_ended(const struct session *session)
{
	struct stamp now = clock_now(session->clock);

	return lease_expires_boot_ms(&session->version->lease, now) <= now.boot_ms;
}

bool session_use(struct session *session)
{
	if (session->ops->login == NULL)
		return true;
	/* What would be leased with a session that has ended is leased again with the next. */
	if (session->state == SESSION_LIVE)
		return session->activity != LOGIN || !has_ended(session);
	if (session->state == SESSION_IDLE) {
		session->state = SESSION_SIGNING;
		want_login(session);
	}
	return false;
}

struct secret_version *session_version(const struct session *session)
{
	return session->version;
}

bool session_doubt(struct session *session, const struct secret_version *used)
{
	if (session->ops->probe == NULL || session->state != SESSION_LIVE ||
	    used != session->version)
		return false;
	if (session->activity != PROBE)
		session->wanted_probe = true;
	session->listener.wake(session->listener.context);
	return true;
}

void session_credential_changed(struct session *session)
{
	session->credential_is_new = session->activity == LOGIN;
	if (session->state != SESSION_DEAD || session->activity != NOTHING)
		return;
	want_login(session);
	session->listener.wake(session->listener.context);
}

/* ---- what came of it ---- */

static void adopt(struct session *session, struct secret_version *version)
{
	bool replaced = session->replaced || session->version != NULL;

	(void)secret_version_unref(session->version);
	session->version = secret_version_ref(version);
	session->state = SESSION_LIVE;
	session->error = ERROR_INIT;
	session->failures = 0;
	session->replaced = false;
	session->wanted_probe = false;
	session->first_life_ms = version->lease.duration_ms;
	session->next_at = schedule_refresh_at(session->clock, &version->lease, 0);
	log_info("signed in", LOG_STR("backend", session->name),
		 LOG_NUM("ttl_seconds", version->lease.duration_ms / 1000));
	session->listener.changed(session->listener.context, session, replaced);
}

static void login_failed(struct session *session, const struct error *err)
{
	bool never_had_one = session->version == NULL && !session->replaced;
	bool ends = session->listener.verdict_ends && error_is_final(err->code) && never_had_one;
	struct error planned = *err;

	session->error = *err;
	session->failures++;
	/* A credential file that is not there yet will be: the kubelet writes it. */
	if (planned.code == ERROR_NOT_FOUND || planned.code == ERROR_INVALID ||
	    planned.code == ERROR_FORBIDDEN)
		planned.code = ERROR_UNAVAILABLE;
	plan(session, schedule_retry_ms(session->clock, &planned, session->failures));
	if (err->code != ERROR_UNAVAILABLE)
		session->next_at = session->next_at < login_allowed_at(session)
					   ? login_allowed_at(session)
					   : session->next_at;
	if (session->credential_is_new)
		want_login(session);
	session->credential_is_new = false;
	/* An old session that still lives goes on being used. */
	if (session->version == NULL)
		session->state = SESSION_DEAD;
	log_event(ends ? LOG_DEBUG : LOG_WARN, "sign-in failed", LOG_STR("backend", session->name),
		  LOG_ERR(err), LOG_NUM("retry_ms", session->next_at - boot_now(session)));
	session->listener.changed(session->listener.context, session, false);
}

static void lose(struct session *session, const struct error *err)
{
	log_warn("session lost", LOG_STR("backend", session->name), LOG_ERR(err));
	session->version = secret_version_unref(session->version);
	session->wanted_probe = false;
	session->replaced = true;
	session->state = SESSION_SIGNING;
	session->error = *err;
	want_login(session);
}

static void renewed(struct session *session, const struct secret_version *result)
{
	struct lease *lease = &session->version->lease;

	session->failures = 0;
	session->error = ERROR_INIT;
	lease->duration_ms = result->lease.duration_ms;
	lease->issued = result->lease.issued;
	/* The server gives less and less: the token is near the end of what it may ever live. */
	lease->renewable =
		result->lease.renewable && 2 * lease->duration_ms > session->first_life_ms;
	session->next_at = schedule_refresh_at(session->clock, lease, 0);
	log_debug("session renewed", LOG_STR("backend", session->name),
		  LOG_NUM("ttl_seconds", lease->duration_ms / 1000));
}

static void renew_failed(struct session *session, const struct error *err)
{
	int64_t expires =
		lease_expires_boot_ms(&session->version->lease, clock_now(session->clock));

	if (err->code == ERROR_DENIED || err->code == ERROR_UNAUTHENTICATED ||
	    err->code == ERROR_NOT_FOUND || err->code == ERROR_INVALID ||
	    expires <= boot_now(session)) {
		lose(session, err);
		return;
	}
	session->error = *err;
	session->failures++;
	plan(session, schedule_retry_ms(session->clock, err, session->failures));
	session->next_at = deadline_earlier(session->next_at, expires);
	log_warn("session not renewed", LOG_STR("backend", session->name), LOG_ERR(err));
}

static void probed(struct session *session, const struct error *err)
{
	session->last_probe_boot_ms = boot_now(session);
	session->unsettled = ERROR_INIT;
	if (err != NULL && (err->code == ERROR_UNAUTHENTICATED || err->code == ERROR_DENIED)) {
		lose(session, err);
		return;
	}
	/* Nobody could be asked: then the path is not to blame either. */
	if (err != NULL)
		session->unsettled = *err;
	if (session->next_at == DEADLINE_NEVER)
		session->next_at = schedule_refresh_at(session->clock, &session->version->lease, 0);
	session->listener.confirmed(session->listener.context, session);
}

static void run_done(struct run *run, struct secret_version *result, const struct error *err)
{
	struct session *session = CONTAINER_OF(run, struct session, run);
	enum activity activity = session->activity;

	session->activity = NOTHING;
	if (err != NULL && err->code == ERROR_CANCELED && activity != REVOKE)
		return;
	switch (activity) {
	case LOGIN:
		if (err == NULL || err->code != ERROR_UNAVAILABLE)
			session->last_login_boot_ms = boot_now(session);
		if (err == NULL)
			adopt(session, result);
		else
			login_failed(session, err);
		break;
	case RENEW:
		if (err == NULL)
			renewed(session, result);
		else
			renew_failed(session, err);
		break;
	case PROBE:
		probed(session, err);
		break;
	case REVOKE:
		session->version = secret_version_unref(session->version);
		session->state = SESSION_IDLE;
		session->revoked(session->revoked_context);
		break;
	case NOTHING:
		break;
	}
	session->listener.wake(session->listener.context);
}

int64_t session_tick(struct session *session)
{
	struct stamp stamp = clock_now(session->clock);
	int64_t now = stamp.boot_ms;

	if (session->activity != NOTHING)
		return DEADLINE_NEVER;
	if (session->state == SESSION_LIVE && session->failures == 0)
		session->next_at =
			schedule_after_step(&session->version->lease, stamp, session->next_at);
	if (session->wanted_probe && probe_allowed_at(session) <= now) {
		int64_t next_at = session->next_at > now ? session->next_at : DEADLINE_NEVER;

		session->wanted_probe = false;
		start_or_fail(session, PROBE);
		session->next_at = next_at;
		return DEADLINE_NEVER;
	}
	if (session->next_at > now)
		return session->wanted_probe
			       ? deadline_earlier(session->next_at, probe_allowed_at(session))
			       : session->next_at;
	if (session->state == SESSION_LIVE && session->version->lease.renewable &&
	    session->ops->renew != NULL && !has_ended(session))
		start_or_fail(session, RENEW);
	else if (login_allowed_at(session) <= now)
		login(session);
	else
		want_login(session); /* tokens that live for a second */
	return session->activity == NOTHING ? session->next_at : DEADLINE_NEVER;
}

bool session_revoke(struct session *session, void (*done)(void *context), void *context)
{
	struct error err = ERROR_INIT;

	if (session->state != SESSION_LIVE || session->version == NULL ||
	    session->ops->revoke == NULL || session->activity != NOTHING ||
	    secret_version_field(session->version, SESSION_BORROWED) != NULL)
		return false;
	session->revoked = done;
	session->revoked_context = context;
	session->next_at = DEADLINE_NEVER;
	return start(session, REVOKE, &err) == 0;
}

enum session_state session_state(const struct session *session)
{
	return session->state;
}

const char *session_state_name(const struct session *session)
{
	static const char *const names[] = {
		[SESSION_IDLE] = "idle",
		[SESSION_SIGNING] = "signing_in",
		[SESSION_LIVE] = "live",
		[SESSION_DEAD] = "failed",
	};

	return session->ops->login == NULL ? "none" : names[session->state];
}

const struct error *session_error(const struct session *session)
{
	return &session->error;
}

const struct error *session_unsettled(const struct session *session)
{
	return session->unsettled.code != ERROR_NONE ? &session->unsettled : NULL;
}

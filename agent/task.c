/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/task.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/base/schedule.h"

/* Leases that died together are fetched again over this time, not at once. */
enum { REPLACE_SPREAD_MS = 5000 };

/* Of the refusals of one path, each so many-th asks whether the session lives. */
enum { DOUBT_AGAIN_EVERY = 8 };

static void run_done(struct run *run, struct secret_version *result, const struct error *err);

void task_init(struct task *task, struct store_entry *entry, struct source *source,
	       const struct clock *clock, const struct task_policy *policy,
	       const struct task_listener *listener, int64_t first_at)
{
	*task = (struct task){
		.entry = entry,
		.source = source,
		.clock = clock,
		.policy = policy,
		.listener = listener,
		.due_at = first_at,
		.run = { .done = run_done },
	};
}

void task_deinit(struct task *task)
{
	task->used = secret_version_unref(task->used);
}

static const char *name_of(const struct task *task)
{
	return task->entry->spec->name;
}

static void plan_at(struct task *task, int64_t boot_ms)
{
	task->due_at = boot_ms;
	task->entry->next_refresh_boot_ms = boot_ms;
}

/* When a version in hand has been stale for too long, in boot time. */
static int64_t stale_ends_at(const struct task *task)
{
	const struct store_entry *entry = task->entry;

	if (entry->version == NULL || task->policy->max_stale_ms == 0 ||
	    entry->state == STATE_FRESH)
		return DEADLINE_NEVER;
	return entry->confirmed_boot_ms + task->policy->max_stale_ms;
}

static void settle(struct task *task, bool changed)
{
	task->attempted = true;
	task->listener->settled(task->listener->context, task, changed);
}

/* ---- success ---- */

static void plan_refresh(struct task *task)
{
	const struct store_entry *entry = task->entry;

	plan_at(task, task->once ? DEADLINE_NEVER
				 : schedule_refresh_at(task->clock, &entry->version->lease,
						       entry->spec->refresh_ms));
}

/* The lease was made with a session that is gone or going, and ends with it. */
static void replace_soon(struct task *task)
{
	int64_t spread = (int64_t)(task->clock->random(task->clock) % REPLACE_SPREAD_MS);

	if (task->entry->version->lease.kind != LEASE_TIMED)
		return;
	task->leased_with_old = true;
	plan_at(task, deadline_earlier(task->due_at, clock_now(task->clock).boot_ms + spread));
}

static void fetched(struct task *task, struct secret_version *result)
{
	struct store_entry *entry = task->entry;
	bool changed = entry->version == NULL || strcmp(entry->version->id, result->id) != 0 ||
		       !secret_version_equal(entry->version, result);

	(void)secret_version_ref(result);
	(void)secret_version_unref(entry->version);
	entry->version = result;
	entry->state = STATE_FRESH;
	entry->error = ERROR_INIT;
	entry->published += changed;
	entry->confirmed_boot_ms = clock_now(task->clock).boot_ms;
	task->failures = 0;
	task->leased_with_old = false;
	plan_refresh(task);
	if (task->used != session_version(task->source->session))
		replace_soon(task);
	if (changed)
		log_info("secret fetched", LOG_STR("secret", name_of(task)),
			 LOG_STR("version", entry->version->id));
	settle(task, changed);
}

static void renewed(struct task *task, const struct secret_version *result)
{
	struct lease *lease = &task->entry->version->lease;
	int64_t before = lease->duration_ms;

	lease->duration_ms = result->lease.duration_ms;
	lease->issued = result->lease.issued;
	/* Less than half of what it was: the lease is at the end of what it may live, so replace it
	 * in time. */
	lease->renewable = result->lease.renewable && 2 * lease->duration_ms > before;
	task->entry->state = STATE_FRESH;
	task->entry->error = ERROR_INIT;
	task->entry->confirmed_boot_ms = clock_now(task->clock).boot_ms;
	task->failures = 0;
	plan_refresh(task);
	log_debug("lease renewed", LOG_STR("secret", name_of(task)),
		  LOG_NUM("ttl_seconds", lease->duration_ms / 1000));
	settle(task, false);
}

/* ---- failure ---- */

static enum secret_state state_after(const struct task *task, enum error_code code)
{
	switch (code) {
	case ERROR_DENIED:
		return STATE_DENIED;
	case ERROR_NOT_FOUND:
		return STATE_MISSING;
	case ERROR_NONE:
	case ERROR_UNAVAILABLE:
	case ERROR_UNAUTHENTICATED:
	case ERROR_INVALID:
	case ERROR_FORBIDDEN:
	case ERROR_BAD_DATA:
	case ERROR_PROTOCOL:
	case ERROR_EXHAUSTED:
	case ERROR_CANCELED:
	case ERROR_USAGE:
	case ERROR_CODES:
		break;
	}
	return task->entry->version != NULL ? STATE_STALE : STATE_FAILED;
}

/* True when the version in hand must go. */
static bool must_remove(const struct task *task, struct stamp now)
{
	const struct store_entry *entry = task->entry;

	if (entry->version == NULL)
		return false;
	if (task->policy->remove_missing &&
	    (entry->state == STATE_DENIED || entry->state == STATE_MISSING))
		return true;
	return stale_ends_at(task) <= now.boot_ms;
}

static bool remove_if_due(struct task *task, struct stamp now)
{
	struct store_entry *entry = task->entry;

	if (!must_remove(task, now))
		return false;
	log_warn("secret removed", LOG_STR("secret", name_of(task)),
		 LOG_STR("state", secret_state_name(entry->state)), LOG_ERR(&entry->error));
	entry->version = secret_version_unref(entry->version);
	if (entry->state == STATE_STALE)
		entry->state = STATE_FAILED;
	return true;
}

/* The first time is worth a line of its own; the same again is not, nor is what ends us: whoever
 * ends says it. */
static enum log_level level_of(const struct task *task, const struct error *err)
{
	const struct store_entry *entry = task->entry;
	bool ends = task->policy->verdict_ends && error_is_final(err->code) &&
		    entry->version == NULL && !entry->spec->optional;

	return ends || entry->error.code == err->code ? LOG_DEBUG : LOG_WARN;
}

static void failed(struct task *task, const struct error *err)
{
	struct store_entry *entry = task->entry;
	enum log_level level = level_of(task, err);
	int64_t wait;

	entry->error = *err;
	entry->state = state_after(task, err->code);
	task->failures++;
	wait = schedule_retry_ms(task->clock, err, task->failures);
	plan_at(task, clock_now(task->clock).boot_ms + wait);
	log_event(level, "secret not fetched", LOG_STR("secret", name_of(task)), LOG_ERR(err),
		  LOG_NUM("retry_ms", wait));
	settle(task, remove_if_due(task, clock_now(task->clock)));
}

/* The lease is gone or cannot be renewed: what it covers must be replaced, soon. */
static void renew_failed(struct task *task, const struct error *err)
{
	struct stamp now = clock_now(task->clock);
	int64_t expires = lease_expires_boot_ms(&task->entry->version->lease, now);

	if (err->code == ERROR_UNAVAILABLE && expires > now.boot_ms) {
		task->failures++;
		task->entry->error = *err;
		plan_at(task, now.boot_ms + schedule_retry_ms(task->clock, err, task->failures));
		log_warn("lease not renewed", LOG_STR("secret", name_of(task)), LOG_ERR(err));
		settle(task, false);
		return;
	}
	log_warn("lease lost", LOG_STR("secret", name_of(task)), LOG_ERR(err));
	task->entry->version->lease.renewable = false;
	plan_at(task, now.boot_ms + SCHEDULE_WAIT_LEAST_MS);
	settle(task, false);
}

/* A path known to be denied is, mostly, still denied; the session may have ended since all the
 * same.
 */
static bool is_doubtful(const struct task *task)
{
	return task->entry->state != STATE_DENIED || task->failures % DOUBT_AGAIN_EVERY == 0;
}

static void run_done(struct run *run, struct secret_version *result, const struct error *err)
{
	struct task *task = CONTAINER_OF(run, struct task, run);
	bool renewing = task->activity == TASK_RENEWING;

	task->activity = TASK_IDLE;
	task->source->runs--;
	if (run->orphan) {
		log_warn("a credential may have been made that nobody holds",
			 LOG_STR("secret", name_of(task)),
			 LOG_STR("path", task->entry->spec->path));
		task->listener->orphaned(task->listener->context);
	}
	if (err == NULL && renewing) {
		renewed(task, result);
	} else if (err == NULL) {
		fetched(task, result);
	} else if (err->code == ERROR_CANCELED) {
		return;
	} else if (err->code == ERROR_DENIED && is_doubtful(task) &&
		   session_doubt(task->source->session, task->used)) {
		task->entry->error = *err;
		task->activity = TASK_IN_DOUBT;
	} else if (err->code == ERROR_DENIED &&
		   task->used != session_version(task->source->session)) {
		/* The session was replaced meanwhile. */
		plan_at(task, clock_now(task->clock).boot_ms + SCHEDULE_WAIT_LEAST_MS);
		task->listener->wake(task->listener->context);
	} else if (renewing) {
		renew_failed(task, err);
	} else {
		failed(task, err);
	}
}

/* ---- the session's news ---- */

void task_session_confirmed(struct task *task)
{
	const struct error *unsettled = session_unsettled(task->source->session);
	struct error err = unsettled != NULL ? *unsettled : task->entry->error;

	if (task->activity != TASK_IN_DOUBT)
		return;
	task->activity = TASK_IDLE;
	failed(task, &err);
}

void task_session_changed(struct task *task, bool replaced)
{
	struct source *source = task->source;
	struct store_entry *entry = task->entry;
	int64_t now = clock_now(task->clock).boot_ms;

	if (session_version(source->session) == NULL) {
		/* Nobody can be asked: a secret that has nothing yet says why. */
		task->activity = task->activity == TASK_IN_DOUBT ? TASK_IDLE : task->activity;
		if (task->activity != TASK_IDLE ||
		    (task->due_at > now && entry->state != STATE_PENDING))
			return;
		entry->error = *session_error(source->session);
		if (entry->version != NULL)
			entry->state = STATE_STALE;
		else
			entry->state =
				entry->error.code == ERROR_DENIED ? STATE_DENIED : STATE_FAILED;
		settle(task, remove_if_due(task, clock_now(task->clock)));
		return;
	}
	if (task->activity == TASK_IN_DOUBT) {
		task->activity = TASK_IDLE;
		plan_at(task, now);
	} else if (entry->version == NULL && entry->error.code != ERROR_NOT_FOUND &&
		   task->activity == TASK_IDLE) {
		plan_at(task, now);
	}
	if (replaced && entry->version != NULL)
		replace_soon(task);
}

/* ---- starting ---- */

static struct exchange *new_exchange(struct task *task, bool renew, struct error *err)
{
	struct source *source = task->source;
	struct secret_version *session = session_version(source->session);

	if (renew)
		return source->config->ops->renew(source->backend, session, task->entry->version,
						  err);
	return source->config->ops->fetch(source->backend, session, task->entry->spec, err);
}

static bool may_renew(const struct task *task)
{
	const struct secret_version *version = task->entry->version;

	return version != NULL && version->lease.kind == LEASE_TIMED && version->lease.renewable &&
	       version->lease.id != NULL && !task->leased_with_old &&
	       task->source->config->ops->renew != NULL &&
	       lease_expires_boot_ms(&version->lease, clock_now(task->clock)) >
		       clock_now(task->clock).boot_ms;
}

static void start(struct task *task)
{
	bool renew = may_renew(task);
	struct error err = ERROR_INIT;
	struct exchange *x = new_exchange(task, renew, &err);
	struct secret_version *session = session_version(task->source->session);

	(void)secret_version_unref(task->used);
	task->used = session != NULL ? secret_version_ref(session) : NULL;
	task->run.orphan = false;
	if (x == NULL || wire_run(task->source->wire, x, session, &task->run, &err) < 0) {
		failed(task, &err);
		return;
	}
	task->activity = renew ? TASK_RENEWING : TASK_FETCHING;
	task->source->runs++;
}

int64_t task_tick(struct task *task, struct stamp now)
{
	if (remove_if_due(task, now))
		settle(task, true);
	if (task->activity != TASK_IDLE)
		return stale_ends_at(task);
	if (task->failures == 0 && task->entry->version != NULL)
		plan_at(task, schedule_after_step(&task->entry->version->lease, now, task->due_at));
	if (task->due_at > now.boot_ms)
		return deadline_earlier(task->due_at, stale_ends_at(task));
	/* Whoever waits for a session or for its turn is ticked again when that comes. */
	if (!source_is_full(task->source) && session_use(task->source->session))
		start(task);
	return task->due_at > now.boot_ms ? deadline_earlier(task->due_at, stale_ends_at(task))
					  : stale_ends_at(task);
}

void task_refresh(struct task *task)
{
	task->failures = 0;
	plan_at(task, clock_now(task->clock).boot_ms);
	task->listener->wake(task->listener->context);
}

void task_take(struct task *task, struct secret_version *version)
{
	struct store_entry *entry = task->entry;

	(void)secret_version_unref(entry->version);
	entry->version = secret_version_ref(version);
	entry->state = STATE_FRESH;
	entry->published++;
	entry->confirmed_boot_ms = version->fetched.boot_ms;
	task->attempted = true;
	plan_refresh(task);
}

void task_adopt(struct task *task, const struct task *old)
{
	struct store_entry *entry = task->entry;
	const struct store_entry *before = old->entry;

	if (before->version == NULL)
		return;
	entry->version = secret_version_ref(before->version);
	entry->state = before->state;
	entry->error = before->error;
	entry->published = before->published;
	entry->confirmed_boot_ms = before->confirmed_boot_ms;
	task->attempted = true;
	task->leased_with_old = old->leased_with_old;
	task->failures = old->failures;
	plan_refresh(task);
	if (old->activity == TASK_IDLE && old->due_at < task->due_at)
		plan_at(task, old->due_at);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/schedule.h"

enum { PERMILLE = 1000, DOUBLINGS_MOST = 5 };

/* Uniform in [low, high]. */
static int64_t uniform(const struct clock *clock, int64_t low, int64_t high)
{
	if (high <= low)
		return low;
	return low + (int64_t)(clock->random(clock) % (uint64_t)(high - low + 1));
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	if (value < low)
		return low;
	return value > high ? high : value;
}

int64_t schedule_retry_ms(const struct clock *clock, const struct error *err, unsigned attempt)
{
	unsigned doublings = attempt > DOUBLINGS_MOST ? DOUBLINGS_MOST
			     : attempt > 0	      ? attempt - 1
						      : 0;
	int64_t ceiling = clamp((int64_t)SCHEDULE_BACKOFF_FIRST_MS << doublings,
				SCHEDULE_BACKOFF_FIRST_MS, SCHEDULE_BACKOFF_CAP_MS);
	int64_t wait = ceiling / 2 + uniform(clock, 0, ceiling / 2);
	int64_t asked;

	/* Asking again does not help; the human who changes the policy should not wait long either.
	 */
	if (err->code == ERROR_DENIED || err->code == ERROR_NOT_FOUND ||
	    err->code == ERROR_INVALID || err->code == ERROR_FORBIDDEN)
		wait = SCHEDULE_DENIED_MS / 2 + uniform(clock, 0, SCHEDULE_DENIED_MS / 2);
	if (err->retry_after_ms > 0) {
		asked = clamp(err->retry_after_ms, SCHEDULE_RETRY_AFTER_LEAST_MS,
			      SCHEDULE_RETRY_AFTER_MOST_MS);
		wait = clamp(wait, asked + uniform(clock, 0, asked / 4), INT64_MAX);
	}
	return clamp(wait, SCHEDULE_WAIT_LEAST_MS, INT64_MAX);
}

/* One row per kind of lease: which part of its life passes before the next request, in permille. */
static const struct {
	int64_t low, high;
} parts[] = {
	[LEASE_NONE] = { 850, 1000 },
	[LEASE_TIMED] = { 800, 900 },
	[LEASE_CERTIFICATE] = { 600, 700 },
};
static const int64_t renewable_low = 550, renewable_high = 750;

/* A rotated secret is worth reading just after the server has replaced it. */
enum { ROTATION_GRACE_MS = 1000, ROTATION_JITTER_MS = 2000 };

int64_t schedule_refresh_at(const struct clock *clock, const struct lease *lease,
			    int64_t refresh_ms)
{
	struct stamp now = clock_now(clock);
	int64_t expires, life, low, high, at;

	if (lease->kind == LEASE_NONE || lease->duration_ms == 0) {
		if (refresh_ms == 0)
			return DEADLINE_NEVER;
		at = now.boot_ms +
		     uniform(clock,
			     refresh_ms / PERMILLE * parts[LEASE_NONE].low +
				     refresh_ms % PERMILLE * parts[LEASE_NONE].low / PERMILLE,
			     refresh_ms);
		return clamp(at, now.boot_ms + SCHEDULE_WAIT_LEAST_MS, INT64_MAX);
	}
	expires = lease_expires_boot_ms(lease, now);
	if (lease->kind == LEASE_ROTATION)
		return clamp(expires + uniform(clock, ROTATION_GRACE_MS,
					       ROTATION_GRACE_MS + ROTATION_JITTER_MS),
			     now.boot_ms + SCHEDULE_BACKOFF_FIRST_MS, INT64_MAX);
	life = lease->duration_ms;
	low = lease->renewable ? renewable_low : parts[lease->kind].low;
	high = lease->renewable ? renewable_high : parts[lease->kind].high;
	/* Counted back from the end, so that an end which moved nearer (a clock step) moves the
	 * deadline too. */
	at = expires - life / PERMILLE * (PERMILLE - low) +
	     uniform(clock, 0, life / PERMILLE * (high - low));
	return clamp(at, now.boot_ms + SCHEDULE_BACKOFF_FIRST_MS, INT64_MAX);
}

int64_t schedule_after_step(const struct lease *lease, struct stamp now, int64_t due)
{
	int64_t high, latest;

	if ((lease->kind != LEASE_TIMED && lease->kind != LEASE_CERTIFICATE) ||
	    lease->duration_ms == 0)
		return due;
	high = lease->renewable ? renewable_high : parts[lease->kind].high;
	latest = lease_expires_boot_ms(lease, now) -
		 lease->duration_ms / PERMILLE * (PERMILLE - high);
	/* Without a step `due` is no later than this, but for lives of a second. */
	return latest + SCHEDULE_BACKOFF_FIRST_MS < due ? latest : due;
}

int64_t schedule_splay_ms(const struct clock *clock)
{
	return uniform(clock, 0, SCHEDULE_SPLAY_MS);
}

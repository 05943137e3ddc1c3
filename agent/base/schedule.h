#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every wait of the program is decided here: pure arithmetic over stamps and a jitter, never 0.
 */
#include <stdint.h>

#include "agent/base/clock.h"
#include "agent/base/model.h"

#define SCHEDULE_WAIT_LEAST_MS	      250
#define SCHEDULE_BACKOFF_FIRST_MS     1000
#define SCHEDULE_BACKOFF_CAP_MS	      30000
#define SCHEDULE_DENIED_MS	      60000 /* a policy does not change by itself: 1 request a minute */
#define SCHEDULE_RETRY_AFTER_LEAST_MS 1000
#define SCHEDULE_RETRY_AFTER_MOST_MS  300000
#define SCHEDULE_LOGIN_EVERY_MS	      5000 /* at most one login, and one probe, in this time */
#define SCHEDULE_SPLAY_MS	      2000

/* How long after failure number `attempt` (1, 2, …) to wait: equal jitter (half fixed, half random)
 * under a doubling ceiling of 30 s; Retry-After, clamped, is the least. */
int64_t schedule_retry_ms(const struct clock *clock, const struct error *err, unsigned attempt);

/* When a version must be renewed or fetched again, in boot time: renewable lease U(0.55, 0.75) of
 * its life, other leases U(0.80, 0.90), static `refresh_ms` × U(0.85, 1.0), certificate U(0.60,
 * 0.70). */
int64_t schedule_refresh_at(const struct clock *clock, const struct lease *lease,
			    int64_t refresh_ms);

/* `due`, as schedule_refresh_at gave it for this lease, or earlier where the real-time clock was
 * stepped forward since: a machine that was paused learns only so how much of the lease has gone.
 * Not for retries, which count from now. */
int64_t schedule_after_step(const struct lease *lease, struct stamp now, int64_t due);

/* A random part of the start's splay. */
int64_t schedule_splay_ms(const struct clock *clock);

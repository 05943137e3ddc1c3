#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time is never read inside logic: modules take a struct clock and return deadlines.
 * Boot time counts through suspend and never steps; real time is what certificates and people use.
 */
#include <stdint.h>

struct stamp {
	int64_t boot_ms; /* CLOCK_BOOTTIME */
	int64_t real_ms; /* CLOCK_REALTIME, since 1970 */
};

struct clock {
	struct stamp (*now)(const struct clock *clock);
	uint64_t (*random)(const struct clock *clock); /* for jitter only; seeded in tests */
};

/* The machine's own clock. */
const struct clock *clock_system(void);

static inline struct stamp clock_now(const struct clock *clock)
{
	return clock->now(clock);
}

/* A deadline that never comes. */
#define DEADLINE_NEVER INT64_MAX

static inline int64_t deadline_earlier(int64_t one, int64_t other)
{
	return one < other ? one : other;
}

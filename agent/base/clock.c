/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"

#include <sodium.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
	struct timespec time;

	(void)clock_gettime(id, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static struct stamp system_now(const struct clock *clock)
{
	(void)clock;
	return (struct stamp){ read_ms(CLOCK_BOOTTIME), read_ms(CLOCK_REALTIME) };
}

static uint64_t system_random(const struct clock *clock)
{
	uint64_t value;

	(void)clock;
	randombytes_buf(&value, sizeof(value));
	return value;
}

const struct clock *clock_system(void)
{
	static const struct clock system_clock = { system_now, system_random };

	return &system_clock;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "agent/base/schedule.h"

struct fake_clock {
	struct clock clock;
	struct stamp now;
	uint64_t random;
};

static struct stamp fake_now(const struct clock *clock)
{
	return ((const struct fake_clock *)(const void *)clock)->now;
}

static uint64_t fake_random(const struct clock *clock)
{
	return ((const struct fake_clock *)(const void *)clock)->random;
}

static struct fake_clock make_clock(uint64_t random)
{
	return (struct fake_clock){ .clock = { .now = fake_now, .random = fake_random },
				    .now = { .boot_ms = 1000000, .real_ms = 1700000000000 },
				    .random = random };
}

/* Enough different draws to come near both ends of every range. */
enum { DRAWS = 2000, DRAW_STEP = 7919 };

struct span {
	int64_t least, most;
};

static struct span retry_span(const struct error *err, unsigned attempt)
{
	struct span span = { .least = INT64_MAX };

	for (uint64_t i = 0; i < DRAWS; i++) {
		struct fake_clock fake = make_clock(i * DRAW_STEP);
		int64_t wait = schedule_retry_ms(&fake.clock, err, attempt);

		if (wait < span.least)
			span.least = wait;
		if (wait > span.most)
			span.most = wait;
	}
	return span;
}

static struct span refresh_span(const struct lease *lease, int64_t refresh_ms)
{
	struct span span = { .least = INT64_MAX };

	for (uint64_t i = 0; i < DRAWS; i++) {
		struct fake_clock fake = make_clock(i * DRAW_STEP);
		int64_t wait =
			schedule_refresh_at(&fake.clock, lease, refresh_ms) - fake.now.boot_ms;

		if (wait < span.least)
			span.least = wait;
		if (wait > span.most)
			span.most = wait;
	}
	return span;
}

/* Inside [low, high] and, of the range, at least nine tenths used. */
static void check_span(struct span span, int64_t low, int64_t high)
{
	cr_assert_geq(span.least, low, "%lld < %lld", (long long)span.least, (long long)low);
	cr_assert_leq(span.most, high, "%lld > %lld", (long long)span.most, (long long)high);
	cr_assert_geq(span.most - span.least, (high - low) * 9 / 10, "%lld to %lld of %lld to %lld",
		      (long long)span.least, (long long)span.most, (long long)low, (long long)high);
}

Test(schedule, back_off_doubles_under_a_ceiling_with_half_of_it_random)
{
	static const int64_t ceilings[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000 };
	struct error err = { .code = ERROR_UNAVAILABLE };

	for (unsigned i = 0; i < ARRAY_SIZE(ceilings); i++)
		check_span(retry_span(&err, i + 1), ceilings[i] / 2, ceilings[i]);
	check_span(retry_span(&err, 0), 500, 1000);
	check_span(retry_span(&err, UINT32_MAX), 15000, 30000);
}

Test(schedule, what_time_does_not_mend_is_asked_once_a_minute)
{
	static const enum error_code codes[] = { ERROR_DENIED, ERROR_NOT_FOUND, ERROR_INVALID,
						 ERROR_FORBIDDEN };

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		struct error err = { .code = codes[i] };

		check_span(retry_span(&err, 1), 30000, 60000);
		check_span(retry_span(&err, 9), 30000, 60000);
	}
}

Test(schedule, retry_after_is_the_least_and_clamped)
{
	static const struct {
		uint32_t asked;
		int64_t low, high;
	} rows[] = {
		{ 1, 1000, 1250 },
		{ 10000, 10000, 12500 },
		{ 300000, 300000, 375000 },
		{ 86400000, 300000, 375000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = { .code = ERROR_UNAVAILABLE, .retry_after_ms = rows[i].asked };
		struct span span = retry_span(&err, 1);

		cr_assert_geq(span.least, rows[i].low);
		cr_assert_leq(span.most, rows[i].high);
	}
}

Test(schedule, each_kind_of_lease_has_its_part_of_life)
{
	static const struct {
		enum lease_kind kind;
		bool renewable;
		int64_t low, high;
	} rows[] = {
		{ LEASE_TIMED, true, 550, 750 },
		{ LEASE_TIMED, false, 800, 900 },
		{ LEASE_CERTIFICATE, false, 600, 700 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lease lease = { .kind = rows[i].kind,
				       .renewable = rows[i].renewable,
				       .duration_ms = 3600000,
				       .issued = { 1000000, 1700000000000 } };

		check_span(refresh_span(&lease, 0), 3600 * rows[i].low, 3600 * rows[i].high);
	}
}

Test(schedule, static_secrets_are_fetched_every_refresh)
{
	struct lease none = { .kind = LEASE_NONE };
	struct lease for_ever = { .kind = LEASE_TIMED, .renewable = true };

	check_span(refresh_span(&none, 300000), 255000, 300000);
	check_span(refresh_span(&for_ever, 300000), 255000, 300000);
	cr_assert_geq(refresh_span(&none, 1).least, SCHEDULE_WAIT_LEAST_MS);
	cr_assert_eq(refresh_span(&none, 0).most, DEADLINE_NEVER - 1000000);
}

Test(schedule, a_rotated_secret_is_read_after_its_rotation)
{
	struct lease lease = { .kind = LEASE_ROTATION,
			       .duration_ms = 60000,
			       .issued = { 1000000, 1700000000000 } };

	check_span(refresh_span(&lease, 0), 61000, 63000);
}

Test(schedule, nothing_is_due_at_once_however_late_it_is)
{
	struct lease ended = { .kind = LEASE_TIMED,
			       .renewable = true,
			       .duration_ms = 1000,
			       .issued = { 1000, 1699999001000 } };
	struct lease short_one = { .kind = LEASE_TIMED,
				   .duration_ms = 1,
				   .issued = { 1000000, 1700000000000 } };

	cr_assert_geq(refresh_span(&ended, 0).least, SCHEDULE_WAIT_LEAST_MS);
	cr_assert_geq(refresh_span(&short_one, 0).least, SCHEDULE_WAIT_LEAST_MS);
}

Test(schedule, a_clock_step_forwards_brings_the_deadline_nearer)
{
	struct lease lease = { .kind = LEASE_TIMED,
			       .duration_ms = 3600000,
			       .issued = { 1000000, 1700000000000 } };
	struct fake_clock fake = make_clock(0);
	int64_t before = schedule_refresh_at(&fake.clock, &lease, 0);

	fake.now.real_ms += 1800000;
	cr_assert_eq(schedule_refresh_at(&fake.clock, &lease, 0), before - 1800000);
	/* And back never makes it later. */
	fake.now.real_ms -= 7200000;
	cr_assert_eq(schedule_refresh_at(&fake.clock, &lease, 0), before);
}

Test(schedule, a_step_moves_what_is_due_forwards_only_and_no_step_moves_nothing)
{
	static const struct {
		enum lease_kind kind;
		bool renewable;
		int64_t duration_ms;
	} rows[] = { { LEASE_TIMED, true, 3600000 },
		     { LEASE_TIMED, false, 3600000 },
		     { LEASE_CERTIFICATE, false, 3600000 },
		     { LEASE_TIMED, true, 1000 },
		     { LEASE_TIMED, true, 1 },
		     { LEASE_ROTATION, false, 3600000 },
		     { LEASE_TIMED, true, 0 },
		     { LEASE_NONE, false, 0 } };
	static const int64_t year_ms = INT64_C(365) * 86400000;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (uint64_t draw = 0; draw < DRAWS; draw++) {
			struct fake_clock fake = make_clock(draw * DRAW_STEP);
			struct lease lease = { .kind = rows[i].kind,
					       .renewable = rows[i].renewable,
					       .duration_ms = rows[i].duration_ms,
					       .issued = fake.now };
			int64_t due = schedule_refresh_at(&fake.clock, &lease, 300000);
			bool leased = lease.duration_ms >= 3600000 && lease.kind != LEASE_ROTATION;

			cr_assert_eq(schedule_after_step(&lease, fake.now, due), due);
			fake.now.real_ms -= 10 * year_ms;
			cr_assert_eq(schedule_after_step(&lease, fake.now, due), due);
			fake.now.real_ms += 20 * year_ms;
			if (leased)
				cr_assert_lt(schedule_after_step(&lease, fake.now, due),
					     fake.now.boot_ms, "what has ended is due");
			else if (lease.duration_ms == 0 || lease.kind == LEASE_ROTATION)
				cr_assert_eq(schedule_after_step(&lease, fake.now, due), due);
		}
}

Test(schedule, the_splay_is_within_two_seconds)
{
	for (uint64_t i = 0; i < DRAWS; i++) {
		struct fake_clock fake = make_clock(i * DRAW_STEP);
		int64_t splay = schedule_splay_ms(&fake.clock);

		cr_assert(splay >= 0 && splay <= SCHEDULE_SPLAY_MS);
	}
}

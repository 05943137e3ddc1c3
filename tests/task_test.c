/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session and its tasks on a clock that the test turns, with a backend that answers as the test
 * says. What is asserted is what a server would see: which requests, how many, when.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/task.h"

enum { SECRETS = 3, KINDS = 6 };
enum kind { LOGIN, FETCH, RENEW, PROBE, REVOKE, NEED };

/* ---- a clock that is turned by hand ---- */

static struct stamp fake_now;

static struct stamp turn_now(const struct clock *clock)
{
	(void)clock;
	return fake_now;
}

static uint64_t middle(const struct clock *clock)
{
	(void)clock;
	return 1; /* the least jitter that is not none */
}

static const struct clock fake_clock = { turn_now, middle };

/* ---- a backend that answers from a script ---- */

struct script {
	enum error_code fails[KINDS]; /* ERROR_NONE: succeeds */
	const char *denied;	      /* the one secret whose fetch is denied */
	unsigned count[KINDS];
	struct lease session_lease, secret_lease;
	int64_t renewed_ms; /* what a renewal of a secret's lease gives; 0: as at first */
	const char *value;
};

static struct script script;

struct fake_exchange {
	struct exchange x;
	enum kind kind;
	const struct secret_spec *spec;
};

static struct secret_version *answer(const struct fake_exchange *fake, struct error *err)
{
	struct secret_version *version = secret_version_new(err);

	version->fetched = fake_now;
	if (fake->kind == LOGIN || (fake->kind == RENEW && fake->spec == NULL))
		version->lease = script.session_lease;
	else if (fake->kind == FETCH || fake->kind == RENEW)
		version->lease = script.secret_lease;
	if (fake->kind == RENEW && fake->spec != NULL && script.renewed_ms > 0)
		version->lease.duration_ms = script.renewed_ms;
	version->lease.issued = fake_now;
	if (fake->kind == FETCH) {
		if (version->lease.kind == LEASE_TIMED)
			version->lease.id = strdup("lease");
		(void)!secret_version_add_bytes(version, "value", FIELD_STRING, script.value,
						strlen(script.value), err);
		secret_version_identify(version);
	}
	return version;
}

static enum exchange_next step(struct exchange *x, const struct reply *reply, struct error *err)
{
	struct fake_exchange *fake = CONTAINER_OF(x, struct fake_exchange, x);
	enum error_code code = script.fails[fake->kind];

	(void)reply;
	script.count[fake->kind]++;
	if (fake->kind == FETCH && script.denied != NULL &&
	    strcmp(fake->spec->name, script.denied) == 0)
		code = ERROR_DENIED;
	if (code != ERROR_NONE) {
		(void)error_set(err, code, "as the test says");
		return EXCHANGE_FAILED;
	}
	x->result = answer(fake, err);
	return EXCHANGE_DONE;
}

static void free_exchange(struct exchange *x)
{
	free(CONTAINER_OF(x, struct fake_exchange, x));
}

static struct exchange *new_exchange(enum kind kind, const struct secret_spec *spec)
{
	static const struct exchange_ops ops = { step, free_exchange };
	struct fake_exchange *fake = calloc(1, sizeof(*fake));

	fake->x.ops = &ops;
	fake->x.request = REQUEST_INIT;
	fake->kind = kind;
	fake->spec = spec;
	return &fake->x;
}

static struct exchange *fake_login(struct backend *backend, struct error *err)
{
	(void)backend, (void)err;
	return new_exchange(LOGIN, NULL);
}

static struct exchange *fake_fetch(struct backend *backend, const struct secret_version *session,
				   const struct secret_spec *spec, struct error *err)
{
	(void)backend, (void)session, (void)err;
	return new_exchange(FETCH, spec);
}

static struct exchange *fake_renew(struct backend *backend, const struct secret_version *session,
				   const struct secret_version *version, struct error *err)
{
	static const struct secret_spec some = { 0 };

	(void)backend, (void)err;
	return new_exchange(RENEW, session == version ? NULL : &some);
}

static struct exchange *fake_probe(struct backend *backend, const struct secret_version *session,
				   struct error *err)
{
	(void)backend, (void)session, (void)err;
	return new_exchange(PROBE, NULL);
}

static const struct backend_ops fake_ops = {
	.type = "fake",
	.login = fake_login,
	.fetch = fake_fetch,
	.renew = fake_renew,
	.probe = fake_probe,
};

/* ---- the world ---- */

struct world {
	struct loop *loop;
	struct loop_timer *pause;
	struct config_backend config;
	struct source source;
	struct secret_spec specs[SECRETS];
	struct store store;
	struct task_policy policy;
	struct task_listener listener;
	struct task tasks[SECRETS];
};

static void on_session(void *context, struct session *session, bool replaced)
{
	struct world *world = context;

	(void)session;
	for (size_t i = 0; i < SECRETS; i++)
		task_session_changed(&world->tasks[i], replaced);
}

static void on_confirmed(void *context, struct session *session)
{
	struct world *world = context;

	(void)session;
	for (size_t i = 0; i < SECRETS; i++)
		task_session_confirmed(&world->tasks[i]);
}

static void on_settled(void *context, struct task *task, bool changed)
{
	(void)context, (void)task, (void)changed;
}

static void on_wake(void *context)
{
	(void)context;
}

static void stop(void *context)
{
	loop_stop(context);
}

static void open_world(struct world *world)
{
	const struct session_listener listener = {
		.changed = on_session, .confirmed = on_confirmed, .wake = on_wake, .context = world
	};
	static char names[SECRETS][2] = { "a", "b", "c" };
	struct error err;

	*world = (struct world){ .policy = { .max_stale_ms = 3600000 } };
	script = (struct script){ .value = "one",
				  .session_lease = { LEASE_TIMED, NULL, true, 3600000, { 0, 0 } } };
	fake_now = (struct stamp){ 1000000, 1700000000000 };
	world->config = (struct config_backend){ .name = (char[]){ "fake" }, .ops = &fake_ops };
	world->loop = loop_new(&err);
	world->pause = loop_timer_new(world->loop, stop, world->loop, &err);
	world->source.config = &world->config;
	world->source.wire = wire_new(&fake_ops, NULL, world->loop, NULL, &fake_clock, &err);
	world->source.session = session_new("fake", &fake_ops, NULL, world->source.wire,
					    &fake_clock, &listener, &err);
	for (size_t i = 0; i < SECRETS; i++)
		world->specs[i] = (struct secret_spec){ .name = names[i],
							.path = names[i],
							.refresh_ms = 300000 };
	cr_assert_eq(store_init(&world->store, world->specs, SECRETS, &err), 0);
	world->listener = (struct task_listener){ on_settled, on_wake, on_wake, world };
	for (size_t i = 0; i < SECRETS; i++)
		task_init(&world->tasks[i], &world->store.entries[i], &world->source, &fake_clock,
			  &world->policy, &world->listener, fake_now.boot_ms);
}

static void close_world(struct world *world)
{
	world->source.wire = wire_free(world->source.wire);
	world->source.session = session_free(world->source.session);
	for (size_t i = 0; i < SECRETS; i++)
		task_deinit(&world->tasks[i]);
	store_deinit(&world->store);
	world->pause = loop_timer_free(world->pause);
	world->loop = loop_free(world->loop);
}

/* Lets everything happen that is due now; returns the next deadline. */
static int64_t settle_down(struct world *world)
{
	int64_t next = DEADLINE_NEVER;

	for (unsigned round = 0; round < 12; round++) {
		next = session_tick(world->source.session);
		for (size_t i = 0; i < SECRETS; i++)
			next = deadline_earlier(next, task_tick(&world->tasks[i], fake_now));
		next = deadline_earlier(next, session_tick(world->source.session));
		/* One turn of the loop: what was started ends in it. */
		loop_timer_set(world->pause, 1);
		loop_run(world->loop);
	}
	return next;
}

static void turn(int64_t ms)
{
	fake_now.boot_ms += ms;
	fake_now.real_ms += ms;
}

/* Turns the clock from deadline to deadline until `ms` have passed. */
static void live(struct world *world, int64_t ms)
{
	int64_t end = fake_now.boot_ms + ms, next = settle_down(world);

	while (next <= end) {
		cr_assert_gt(next, fake_now.boot_ms, "a wait of nothing");
		turn(next - fake_now.boot_ms);
		next = settle_down(world);
	}
	turn(end - fake_now.boot_ms);
}

Test(task, start_costs_one_login_and_one_fetch_per_secret)
{
	struct world world;

	open_world(&world);
	(void)settle_down(&world);
	cr_expect_eq(script.count[LOGIN], 1);
	cr_expect_eq(script.count[FETCH], SECRETS);
	for (size_t i = 0; i < SECRETS; i++)
		cr_expect_eq(world.store.entries[i].state, STATE_FRESH);
	close_world(&world);
}

Test(task, static_secrets_are_fetched_again_every_refresh_and_the_session_renewed)
{
	struct world world;

	open_world(&world);
	live(&world, 3600000);
	/* 0.85 … 1.0 of five minutes, for an hour. */
	cr_expect(script.count[FETCH] >= 12 * SECRETS && script.count[FETCH] <= 15 * SECRETS,
		  "%u fetches", script.count[FETCH]);
	cr_expect_eq(script.count[LOGIN], 1);
	cr_expect_geq(script.count[RENEW], 1);
	close_world(&world);
}

Test(task, a_denied_path_costs_one_probe_and_the_others_nothing)
{
	struct world world;

	open_world(&world);
	script.denied = "b";
	live(&world, 10000);
	cr_expect_eq(world.store.entries[1].state, STATE_DENIED);
	cr_expect_eq(world.store.entries[0].state, STATE_FRESH);
	cr_expect_eq(script.count[FETCH], SECRETS);
	cr_expect_eq(script.count[PROBE], 1);
	cr_expect_eq(script.count[LOGIN], 1);
	live(&world, 110000);
	cr_expect_leq(script.count[FETCH] + script.count[PROBE], SECRETS + 1 + 4,
		      "two a minute at most");
	close_world(&world);
}

Test(task, a_revoked_token_costs_one_login_and_no_needless_fetch)
{
	struct world world;
	unsigned before;

	open_world(&world);
	live(&world, 60000);
	before = script.count[FETCH];
	/* The server says 403 to one fetch, and to the question whether the token lives. */
	script.fails[FETCH] = ERROR_DENIED;
	script.fails[PROBE] = ERROR_UNAUTHENTICATED;
	task_refresh(&world.tasks[0]);
	(void)task_tick(&world.tasks[0], fake_now);
	loop_timer_set(world.pause, 1);
	loop_run(world.loop);
	script.fails[FETCH] = ERROR_NONE;
	live(&world, 10000);
	cr_expect_eq(script.count[LOGIN], 2);
	cr_expect_eq(script.count[PROBE], 1);
	cr_expect_eq(script.count[FETCH], before + 2,
		     "the refused one and its repetition, no other");
	cr_expect_eq(world.store.entries[0].state, STATE_FRESH);
	close_world(&world);
}

Test(task, a_token_revoked_just_after_a_probe_is_not_taken_for_a_denied_path)
{
	struct world world;

	open_world(&world);
	script.denied = "b";
	live(&world, 2000);
	cr_expect_eq(script.count[PROBE], 1);
	cr_expect_eq(world.store.entries[1].state, STATE_DENIED);
	script.fails[FETCH] = ERROR_DENIED;
	script.fails[PROBE] = ERROR_UNAUTHENTICATED;
	task_refresh(&world.tasks[0]);
	live(&world, 1000);
	cr_expect_eq(world.store.entries[0].state, STATE_FRESH, "in doubt until the next probe");
	script.fails[FETCH] = ERROR_NONE;
	live(&world, 10000);
	cr_expect_eq(script.count[PROBE], 2, "one in 5 s");
	cr_expect_eq(script.count[LOGIN], 2);
	cr_expect_eq(world.store.entries[0].state, STATE_FRESH);
	close_world(&world);
}

Test(task, a_probe_that_nobody_answers_makes_no_path_denied)
{
	struct world world;

	open_world(&world);
	live(&world, 60000);
	script.fails[FETCH] = ERROR_DENIED;
	script.fails[PROBE] = ERROR_UNAVAILABLE;
	task_refresh(&world.tasks[0]);
	live(&world, 200);
	cr_expect_eq(world.store.entries[0].state, STATE_STALE);
	cr_expect_eq(world.store.entries[0].error.code, ERROR_UNAVAILABLE);
	script.fails[FETCH] = script.fails[PROBE] = ERROR_NONE;
	live(&world, 60000);
	cr_expect_eq(world.store.entries[0].state, STATE_FRESH);
	close_world(&world);
}

Test(task, a_refused_login_costs_at_most_four_requests_at_first_and_two_a_minute_after)
{
	struct world world;

	open_world(&world);
	script.fails[LOGIN] = ERROR_DENIED;
	live(&world, 10000);
	cr_expect_leq(script.count[LOGIN], 4);
	cr_expect_eq(world.store.entries[0].state, STATE_DENIED);
	cr_expect_eq(script.count[FETCH], 0);
	script.count[LOGIN] = 0;
	live(&world, 600000);
	cr_expect_leq(script.count[LOGIN], 20);
	cr_expect_geq(script.count[LOGIN], 8, "it goes on trying");
	script.fails[LOGIN] = ERROR_NONE;
	live(&world, 90000);
	cr_expect_eq(world.store.entries[0].state, STATE_FRESH);
	close_world(&world);
}

Test(task, a_new_credential_is_tried_at_once_but_not_before_5_s_have_passed)
{
	struct world world;

	open_world(&world);
	script.fails[LOGIN] = ERROR_DENIED;
	live(&world, 2000);
	cr_expect_eq(script.count[LOGIN], 1);
	session_credential_changed(world.source.session);
	session_credential_changed(world.source.session);
	live(&world, 2000);
	cr_expect_eq(script.count[LOGIN], 1);
	live(&world, 2000);
	cr_expect_eq(script.count[LOGIN], 2);
	live(&world, 12000);
	cr_expect_eq(script.count[LOGIN], 2, "without news it is once a minute");
	script.fails[LOGIN] = ERROR_NONE;
	session_credential_changed(world.source.session);
	live(&world, 1000);
	cr_expect_eq(script.count[LOGIN], 3);
	cr_expect_eq(world.store.entries[0].state, STATE_FRESH);
	session_credential_changed(world.source.session);
	live(&world, 20000);
	cr_expect_eq(script.count[LOGIN], 3, "a live session needs no new one");
	close_world(&world);
}

Test(task, a_mended_policy_is_noticed_within_a_minute)
{
	struct world world;

	open_world(&world);
	script.denied = "b";
	live(&world, 10000);
	cr_expect_eq(world.store.entries[1].state, STATE_DENIED);
	script.denied = NULL;
	live(&world, 60000);
	cr_expect_eq(world.store.entries[1].state, STATE_FRESH);
	cr_expect_eq(script.count[LOGIN], 1);
	close_world(&world);
}

Test(task, last_good_stays_until_it_is_too_stale)
{
	struct world world;

	open_world(&world);
	live(&world, 1000);
	script.fails[FETCH] = ERROR_UNAVAILABLE;
	live(&world, 1800000);
	cr_expect_eq(world.store.entries[0].state, STATE_STALE);
	cr_expect_not_null(world.store.entries[0].version);
	live(&world, 1900000);
	cr_expect_eq(world.store.entries[0].state, STATE_FAILED);
	cr_expect_null(world.store.entries[0].version, "older than max_stale");
	script.fails[FETCH] = ERROR_NONE;
	live(&world, 31000);
	cr_expect_eq(world.store.entries[0].state, STATE_FRESH);
	close_world(&world);
}

Test(task, a_missing_secret_is_kept_or_removed_as_configured)
{
	struct world world;

	open_world(&world);
	live(&world, 1000);
	script.fails[FETCH] = ERROR_NOT_FOUND;
	live(&world, 301000);
	cr_expect_eq(world.store.entries[0].state, STATE_MISSING);
	cr_expect_not_null(world.store.entries[0].version);
	world.policy.remove_missing = true;
	live(&world, 61000);
	cr_expect_null(world.store.entries[0].version);
	close_world(&world);
}

Test(task, renewable_leases_are_renewed_and_replaced_when_they_are_refused)
{
	struct world world;
	unsigned fetches;

	open_world(&world);
	script.secret_lease = (struct lease){ LEASE_TIMED, NULL, true, 60000, { 0, 0 } };
	live(&world, 1000);
	fetches = script.count[FETCH];
	live(&world, 50000);
	cr_expect_eq(script.count[FETCH], fetches);
	cr_expect_geq(script.count[RENEW], SECRETS);
	/* The lease was revoked at the server: renewing says it is not there. */
	script.fails[RENEW] = ERROR_NOT_FOUND;
	live(&world, 40000);
	cr_expect_eq(script.count[FETCH], fetches + SECRETS);
	close_world(&world);
}

/* A paused machine: what the server counts goes on, our boot time does not, and then the clock is
 * put right. */
Test(task, a_clock_step_past_the_lease_replaces_it_at_once_and_once)
{
	struct world world;
	unsigned fetches;

	open_world(&world);
	script.secret_lease = (struct lease){ LEASE_TIMED, NULL, true, 3600000, { 0, 0 } };
	live(&world, 10000);
	fetches = script.count[FETCH];
	fake_now.real_ms += 7200000;
	live(&world, 6000);
	cr_expect_eq(script.count[LOGIN], 2, "the session has ended too");
	cr_expect_eq(script.count[FETCH], fetches + SECRETS, "%u", script.count[FETCH]);
	cr_expect_eq(script.count[RENEW], 0, "what has ended is not renewed");
	live(&world, 600000);
	cr_expect_eq(script.count[LOGIN] + script.count[FETCH], 2 + fetches + SECRETS);
	close_world(&world);
}

Test(task, a_clock_step_within_the_lease_renews_it_earlier)
{
	struct world world;

	open_world(&world);
	script.secret_lease = (struct lease){ LEASE_TIMED, NULL, true, 3600000, { 0, 0 } };
	live(&world, 1000);
	fake_now.real_ms += 3000000;
	live(&world, 6000);
	cr_expect_eq(script.count[RENEW], SECRETS + 1, "%u: each secret's and the session's",
		     script.count[RENEW]);
	cr_expect_eq(script.count[FETCH], SECRETS);
	cr_expect_eq(script.count[LOGIN], 1);
	close_world(&world);
}

Test(task, a_clock_step_back_lengthens_nothing_and_hurries_nothing)
{
	static const int64_t steps[] = { -3600000, -INT64_C(315360000000) };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct world world;

		open_world(&world);
		script.secret_lease = (struct lease){ LEASE_TIMED, NULL, false, 3600000, { 0, 0 } };
		live(&world, 1000);
		fake_now.real_ms += steps[i];
		live(&world, 2800000);
		cr_expect_eq(script.count[FETCH], SECRETS, "before 0.8 of the lease's life");
		live(&world, 500000);
		cr_expect_eq(script.count[FETCH], 2 * SECRETS, "after 0.9 of it");
		close_world(&world);

		/* Nobody renews it: it ends when it would have ended. */
		open_world(&world);
		script.secret_lease = (struct lease){ LEASE_TIMED, NULL, true, 3600000, { 0, 0 } };
		live(&world, 1000);
		fake_now.real_ms += steps[i];
		script.fails[RENEW] = ERROR_UNAVAILABLE;
		live(&world, 3590000);
		cr_expect_eq(script.count[FETCH], SECRETS);
		live(&world, 50000);
		cr_expect_eq(script.count[FETCH], 2 * SECRETS);
		close_world(&world);
	}
}

Test(task, a_lease_that_comes_from_the_session_before_is_replaced_like_the_others)
{
	struct world world;

	open_world(&world);
	script.session_lease = (struct lease){ LEASE_TIMED, NULL, false, 1000000, { 0, 0 } };
	script.secret_lease = (struct lease){ LEASE_TIMED, NULL, false, 3600000, { 0, 0 } };
	live(&world, 799000);
	cr_expect_eq(script.count[FETCH], SECRETS);
	/* A fetch is under way, with the old session, when the new one comes. */
	turn(2000);
	task_refresh(&world.tasks[0]);
	live(&world, 7000);
	cr_expect_eq(script.count[LOGIN], 2);
	cr_expect_eq(script.count[FETCH], SECRETS + 1 + SECRETS, "%u", script.count[FETCH]);
	live(&world, 60000);
	cr_expect_eq(script.count[FETCH], SECRETS + 1 + SECRETS);
	close_world(&world);
}

Test(task, after_a_suspend_each_is_asked_for_once)
{
	struct world world;
	unsigned before;

	open_world(&world);
	live(&world, 1000);
	before = script.count[FETCH];
	/* Boot time counts through it: eight hours, which outlast the session. */
	turn(8 * 3600000);
	live(&world, 5000);
	cr_expect_eq(script.count[FETCH], before + SECRETS, "%u", script.count[FETCH] - before);
	cr_expect_eq(script.count[LOGIN], 2);
	cr_expect_eq(script.count[RENEW], 0);
	for (size_t i = 0; i < SECRETS; i++)
		cr_expect_eq(world.store.entries[i].state, STATE_FRESH);
	close_world(&world);
}

Test(task, at_most_one_login_in_five_seconds_however_often_the_token_dies)
{
	struct world world;
	unsigned logins = 0;

	open_world(&world);
	live(&world, 10000);
	script.count[LOGIN] = 0;
	/* A server that revokes every token at once: each fetch is refused, each probe says dead.
	 */
	script.fails[FETCH] = ERROR_DENIED;
	script.fails[PROBE] = ERROR_UNAUTHENTICATED;
	for (int second = 0; second < 60; second++) {
		unsigned before = script.count[LOGIN];

		for (size_t i = 0; i < SECRETS; i++)
			task_refresh(&world.tasks[i]);
		live(&world, 1000);
		logins += script.count[LOGIN] - before;
		cr_expect_leq(script.count[LOGIN], 1U + ((unsigned)second + 1) / 5, "in %d s",
			      second + 1);
	}
	cr_expect_geq(logins, 6, "it goes on trying: %u", logins);
	cr_expect_leq(script.count[PROBE], logins + 1);
	close_world(&world);
}

Test(task, at_most_one_login_in_five_seconds_however_short_the_token_lives)
{
	struct world world;

	open_world(&world);
	/* Each token lasts a second and is not renewed. */
	script.session_lease.duration_ms = 1000;
	script.fails[RENEW] = ERROR_UNAUTHENTICATED;
	for (unsigned second = 1; second <= 60; second++) {
		live(&world, 1000);
		cr_expect_leq(script.count[LOGIN], 1 + second / 5, "%u in %u s",
			      script.count[LOGIN], second);
	}
	cr_expect_geq(script.count[LOGIN], 6, "it goes on trying");
	close_world(&world);
}

Test(task, shrinking_renewals_end_in_a_replacement_not_in_a_storm)
{
	struct world world;
	unsigned renewals;

	open_world(&world);
	script.secret_lease = (struct lease){ LEASE_TIMED, NULL, true, 3600000, { 0, 0 } };
	live(&world, 1000);
	script.renewed_ms = 10000;
	live(&world, 2700000);
	renewals = script.count[RENEW];
	cr_expect_leq(renewals, SECRETS + 1, "%u renewals", renewals);
	cr_expect_eq(script.count[FETCH], 2 * SECRETS);
	close_world(&world);
}

Test(task, nothing_is_ever_asked_without_a_wait_whatever_fails)
{
	static const enum error_code codes[] = { ERROR_UNAVAILABLE, ERROR_DENIED,
						 ERROR_NOT_FOUND,   ERROR_INVALID,
						 ERROR_BAD_DATA,    ERROR_PROTOCOL,
						 ERROR_EXHAUSTED,   ERROR_UNAUTHENTICATED };

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		for (enum kind kind = LOGIN; kind <= PROBE; kind++) {
			struct world world;
			unsigned all = 0;

			open_world(&world);
			script.secret_lease =
				(struct lease){ LEASE_TIMED, NULL, true, 20000, { 0, 0 } };
			live(&world, 1000);
			memset(script.count, 0, sizeof(script.count));
			script.fails[kind] = codes[i];
			live(&world, 600000);
			for (enum kind each = LOGIN; each <= PROBE; each++)
				all += script.count[each];
			cr_expect_lt(all, 1200, "%s of %d: %u requests in ten minutes",
				     error_code_name(codes[i]), (int)kind, all);
			close_world(&world);
		}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which Events are asked for, when, and where the bounds are: the API server is this file.
 */
#include "injector/event_queue.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct stamp now;
static uint64_t dice;
static struct event_queue *queue;

static struct stamp clock_says(const struct clock *clock)
{
	(void)clock;
	return now;
}

static uint64_t roll(const struct clock *clock)
{
	(void)clock;
	return ++dice;
}

static const struct clock test_clock = { .now = clock_says, .random = roll };

static void begin(void)
{
	struct error err;

	now = (struct stamp){ .boot_ms = 1000, .real_ms = 1764000000000 };
	queue = event_queue_new(&test_clock, &err);
	cr_assert_not_null(queue);
}

static void end(void)
{
	queue = event_queue_free(queue);
}

TestSuite(event_queue, .init = begin, .fini = end);

static void pass(int64_t ms)
{
	now.boot_ms += ms;
	now.real_ms += ms;
}

static struct review_outcome outcome_of(const char *uid, const char *text)
{
	struct review_outcome outcome = {
		.verdict = MUTATE_REFUSE,
		.reason = REASON_ANNOTATION,
		.namespace = "shop",
		.owner = { .api_version = "apps/v1", .kind = "ReplicaSet", .name = "web-1" },
	};

	(void)snprintf(outcome.owner.uid, sizeof(outcome.owner.uid), "%s", uid);
	(void)snprintf(outcome.text, sizeof(outcome.text), "%s", text);
	return outcome;
}

static bool add(const char *uid, const char *text)
{
	const struct review_outcome outcome = outcome_of(uid, text);

	return event_queue_add(queue, &outcome);
}

/* `number` different owners, each in its own namespace. */
static bool add_number(unsigned number)
{
	struct review_outcome outcome = outcome_of("u", "wrong");

	(void)snprintf(outcome.namespace, sizeof(outcome.namespace), "n%u", number);
	return event_queue_add(queue, &outcome);
}

static enum event_next wake(void)
{
	return event_queue_step(queue, NULL, NULL);
}

static enum event_next answer(int status)
{
	const struct reply reply = { .status = status, .body = "{}", .len = 2 };

	return event_queue_step(queue, &reply, NULL);
}

static enum event_next unreachable(void)
{
	struct error err;

	(void)error_set(&err, ERROR_UNAVAILABLE, "no route");
	return event_queue_step(queue, NULL, &err);
}

static bool asks(const char *method, const char *path, const char *part)
{
	const struct request *request = event_queue_request(queue);
	const char *body = buf_string(&request->body);

	cr_expect_str_eq(request->method, method);
	cr_expect_not_null(strstr(buf_string(&request->path), path), "%s",
			   buf_string(&request->path));
	cr_expect_not_null(strstr(body, part), "%s", body);
	return strcmp(request->method, method) == 0 && strstr(body, part) != NULL;
}

static uint64_t dropped(enum event_drop why)
{
	return event_queue_counts(queue)->dropped[why];
}

static uint64_t sent(void)
{
	return event_queue_counts(queue)->sent;
}

Test(event_queue, a_refusal_becomes_an_event_on_the_owner)
{
	cr_expect_eq(event_queue_wake_ms(queue), DEADLINE_NEVER);
	cr_expect(add("o-1", "secrets-agent/mode.db: 'r\"w' is no mode"));
	cr_expect_eq(event_queue_wake_ms(queue), now.boot_ms, "at once, but not from within");
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect_str_eq(buf_string(&event_queue_request(queue)->path),
			 "/api/v1/namespaces/shop/events");
	cr_expect_str_eq(
		buf_string(&event_queue_request(queue)->body),
		"{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":"
		"\"secrets-agent-injector.0000000000000001\",\"namespace\":\"shop\"},"
		"\"involvedObject\":{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\","
		"\"name\":\"web-1\",\"uid\":\"o-1\",\"namespace\":\"shop\"},"
		"\"reason\":\"PodRefused\",\"message\":\"secrets-agent/mode.db: 'r\\\"w' is no "
		"mode\",\"firstTimestamp\":\"2025-11-24T16:00:00Z\","
		"\"lastTimestamp\":\"2025-11-24T16:00:00Z\",\"count\":1,\"type\":\"Warning\","
		"\"source\":{\"component\":\"secrets-agent-injector\"},"
		"\"reportingComponent\":\"secrets-agent-injector\"}");
	cr_expect(event_queue_request(queue)->once);
	cr_expect_eq(event_queue_wake_ms(queue), DEADLINE_NEVER, "while an answer is waited for");
	cr_expect_eq(answer(201), EVENT_REST);
	cr_expect_eq(sent(), 1);
	cr_expect_eq(event_queue_wake_ms(queue), DEADLINE_NEVER);
}

Test(event_queue, the_verdict_is_the_reason)
{
	static const struct {
		enum mutate_verdict verdict;
		const char *reason;
	} cases[] = {
		{ MUTATE_SKIP, "\"SecretsNotInjected\"" },
		{ MUTATE_INJECT, "\"SecretsInjectedWithWarnings\"" },
		{ MUTATE_REFUSE, "\"PodRefused\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct review_outcome outcome = outcome_of("o", "same words");

		outcome.verdict = cases[i].verdict;
		cr_expect(event_queue_add(queue, &outcome), "the same words, another verdict");
		cr_assert_eq(wake(), EVENT_SEND);
		cr_expect(asks("POST", "/events", cases[i].reason));
		cr_expect_eq(answer(201), EVENT_REST);
		pass(EVENT_OWNER_MS);
	}
}

Test(event_queue, what_nobody_needs_to_see_is_not_taken)
{
	struct review_outcome cases[4];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cases[i] = outcome_of("o-1", "wrong");
	cases[0].dry_run = true;
	cases[1].owner.uid[0] = '\0';
	cases[2].text[0] = '\0';
	cases[3].namespace[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect_not(event_queue_add(queue, &cases[i]), "row %zu", i);
	cr_expect_eq(event_queue_wake_ms(queue), DEADLINE_NEVER);
	cr_expect_eq(wake(), EVENT_REST);
}

/* Whoever reaches the port says what he likes. */
Test(event_queue, a_namespace_cannot_lead_elsewhere)
{
	static const char *const names[] = {
		"..", "a/b", "a?x", "a%2fb", "A", "a b", "a\"", "a.b"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct review_outcome outcome = outcome_of("o-1", "wrong");

		(void)snprintf(outcome.namespace, sizeof(outcome.namespace), "%s", names[i]);
		cr_expect_not(event_queue_add(queue, &outcome), "%s", names[i]);
	}
}

Test(event_queue, what_repeats_itself_is_counted_up_and_seldom)
{
	cr_expect(add("o-1", "wrong"));
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect(add("o-1", "wrong"), "while it is told");
	cr_expect_eq(answer(201), EVENT_REST);
	cr_expect_eq(event_queue_wake_ms(queue), now.boot_ms + EVENT_OWNER_MS);
	for (int i = 0; i < 1000; i++)
		cr_expect(add("o-1", "wrong"));
	pass(EVENT_OWNER_MS - 1);
	cr_expect_eq(wake(), EVENT_REST);
	pass(1);
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect(asks("PATCH", "/events/secrets-agent-injector.0000000000000001",
		       "\"count\":1002}"));
	cr_expect_null(strstr(buf_string(&event_queue_request(queue)->body), "firstTimestamp"));
	cr_expect_eq(answer(200), EVENT_REST);
	cr_expect_eq(sent(), 2);
	cr_expect_eq(event_queue_wake_ms(queue), DEADLINE_NEVER);
	cr_expect(add("o-1", "wrong"));
	cr_expect_eq(event_queue_wake_ms(queue), now.boot_ms + EVENT_OWNER_MS);
}

Test(event_queue, an_owner_waits_and_others_do_not)
{
	cr_expect(add("o-1", "first"));
	cr_expect(add("o-1", "second"));
	cr_expect(add("o-2", "first"));
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect(asks("POST", "/events", "\"o-1\""));
	cr_assert_eq(answer(201), EVENT_SEND);
	cr_expect(asks("POST", "/events", "\"o-2\""));
	cr_expect_eq(answer(201), EVENT_REST);
	cr_expect(add("o-1", "third"));
	pass(EVENT_OWNER_MS);
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect(asks("POST", "/events", "\"second\""));
	cr_expect_eq(answer(201), EVENT_REST);
	cr_expect_eq(event_queue_wake_ms(queue), now.boot_ms + EVENT_OWNER_MS);
}

Test(event_queue, its_bound)
{
	for (unsigned i = 0; i < EVENT_SERIES_MAX - 1; i++)
		cr_expect(add_number(i));
	cr_expect(add_number(EVENT_SERIES_MAX - 1), "the last place");
	cr_expect_eq(dropped(EVENT_DROP_FULL), 0);
	cr_expect_not(add_number(EVENT_SERIES_MAX), "one too many");
	cr_expect_eq(dropped(EVENT_DROP_FULL), 1);
	cr_expect(add_number(7), "what is there is counted up");

	/* A place is free when its owner may be told again, and not before. */
	cr_assert_eq(wake(), EVENT_SEND);
	while (answer(201) == EVENT_SEND)
		;
	cr_expect_eq(sent(), EVENT_SERIES_MAX);
	pass(EVENT_OWNER_MS - 1);
	cr_expect_not(add_number(EVENT_SERIES_MAX));
	pass(1);
	cr_expect(add_number(EVENT_SERIES_MAX));
	cr_expect_eq(dropped(EVENT_DROP_FULL), 2);
}

Test(event_queue, an_owner_has_no_more_than_its_part)
{
	char text[16];

	for (unsigned i = 0; i <= EVENT_PER_OWNER; i++) {
		(void)snprintf(text, sizeof(text), "text %u", i);
		cr_expect_eq(add("o-1", text), i < EVENT_PER_OWNER, "%u", i);
	}
	cr_expect_eq(dropped(EVENT_DROP_OWNER), 1);
	cr_expect(add("o-2", "text 0"));
}

Test(event_queue, a_namespace_has_no_more_than_its_part)
{
	char uid[16];

	for (unsigned i = 0; i <= EVENT_PER_NAMESPACE; i++) {
		(void)snprintf(uid, sizeof(uid), "o-%u", i);
		cr_expect_eq(add(uid, "wrong"), i < EVENT_PER_NAMESPACE, "%u", i);
	}
	cr_expect_eq(dropped(EVENT_DROP_NAMESPACE), 1);
	cr_expect(add_number(1), "another namespace");
}

Test(event_queue, an_event_that_has_ended_begins_anew)
{
	cr_expect(add("o-1", "wrong"));
	(void)wake();
	(void)answer(201);
	cr_expect(add("o-1", "wrong"));
	cr_expect(add("o-1", "wrong"));
	pass(EVENT_OWNER_MS);
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect_eq(answer(404), EVENT_REST, "no sooner than anything else about this owner");
	pass(EVENT_OWNER_MS);
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect(asks("POST", "/events", "\"count\":2"));
	cr_expect(asks("POST", "/events", "secrets-agent-injector.0000000000000002"));
	cr_expect_eq(answer(201), EVENT_REST);
}

Test(event_queue, a_lost_answer_makes_no_second_event)
{
	cr_expect(add("o-1", "wrong"));
	(void)wake();
	cr_expect_eq(unreachable(), EVENT_REST);
	now.boot_ms = event_queue_wake_ms(queue);
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect(asks("POST", "/events", "secrets-agent-injector.0000000000000001"));
	cr_expect_eq(answer(409), EVENT_REST);
	pass(EVENT_OWNER_MS);
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect(asks("PATCH", "/events/secrets-agent-injector.0000000000000001", "\"count\":1}"));
	cr_expect_eq(answer(200), EVENT_REST);
	cr_expect_eq(event_queue_wake_ms(queue), DEADLINE_NEVER);
}

Test(event_queue, a_server_that_refuses_is_not_asked_again_for_the_same)
{
	static const int statuses[] = { 400, 403, 404, 422 };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		cr_expect(add_number((unsigned)i));
		cr_assert_eq(wake(), EVENT_SEND);
		cr_expect_eq(answer(statuses[i]), EVENT_REST, "%d", statuses[i]);
		cr_expect_eq(event_queue_wake_ms(queue), DEADLINE_NEVER, "%d", statuses[i]);
	}
	cr_expect_eq(dropped(EVENT_DROP_REFUSED), ARRAY_SIZE(statuses));
	cr_expect_eq(sent(), 0);
	cr_expect_eq(event_queue_problem(queue)->code, ERROR_DENIED);
	cr_expect_not_null(strstr(event_queue_problem(queue)->text, "400"), "the first");
	cr_expect(add("o-9", "wrong"));
	(void)wake();
	(void)answer(201);
	cr_expect_eq(event_queue_problem(queue)->code, ERROR_NONE);
}

Test(event_queue, a_server_that_is_away_is_waited_for_and_not_forever)
{
	static const int statuses[] = { 401, 429, 500, 503 };

	cr_expect(add("o-1", "wrong"));
	cr_expect(add("o-2", "wrong"));
	for (unsigned i = 0; i < EVENT_FAILURES_MAX; i++) {
		cr_assert_eq(wake(), EVENT_SEND);
		cr_expect(asks("POST", "/events", "\"o-1\""));
		cr_expect_eq(dropped(EVENT_DROP_UNREACHABLE), 0);
		cr_expect_eq(i < ARRAY_SIZE(statuses) ? answer(statuses[i]) : unreachable(),
			     EVENT_REST);
		cr_expect_gt(event_queue_wake_ms(queue), now.boot_ms);
		now.boot_ms = event_queue_wake_ms(queue);
	}
	cr_expect_eq(dropped(EVENT_DROP_UNREACHABLE), 1);
	cr_assert_eq(wake(), EVENT_SEND);
	cr_expect(asks("POST", "/events", "\"o-2\""));
	cr_expect_eq(answer(201), EVENT_REST);
	cr_expect_eq(sent(), 1);
}

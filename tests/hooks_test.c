/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/hooks.h"

/* Hooks `a` and `b` of a queue whose commands end when the test says so. */
static struct hooks hooks;
static struct hook a, b;
static struct strings command_a = { .items = (char *[]){ "a", NULL }, .count = 1 };
static struct strings command_b = { .items = (char *[]){ "b", NULL }, .count = 1 };
static char log_of_test[256];
static bool refuses;

static void note(const char *text)
{
	size_t used = strlen(log_of_test);

	(void)snprintf(log_of_test + used, sizeof(log_of_test) - used, "%s ", text);
}

static int start(void *context, const struct strings *command, struct error *err)
{
	(void)context;
	note(command->items[0]);
	return refuses ? error_set(err, ERROR_UNAVAILABLE, "nobody there") : 0;
}

static void done(struct hook *hook, uint64_t generation, int status)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%s%u=%s", hook->command->items[0], (unsigned)generation,
		       status == 0 ? "ok" : "bad");
	note(text);
}

static void setup(void)
{
	hooks_init(&hooks, start, NULL);
	a = (struct hook){ .command = &command_a, .done = done };
	b = (struct hook){ .command = &command_b, .done = done };
	log_of_test[0] = '\0';
	refuses = false;
}

TestSuite(hooks, .init = setup);

Test(hooks, run_one_at_a_time_and_each_says_what_for)
{
	hooks_run(&hooks, &a, 1);
	hooks_run(&hooks, &b, 7);
	cr_expect_str_eq(log_of_test, "a ");
	hooks_ended(&hooks, 0);
	hooks_ended(&hooks, 256);
	cr_expect_str_eq(log_of_test, "a a1=ok b b7=bad ");
}

Test(hooks, what_changes_while_one_runs_is_told_by_one_more_run)
{
	hooks_run(&hooks, &a, 1);
	hooks_run(&hooks, &a, 2);
	hooks_run(&hooks, &a, 3);
	cr_expect_str_eq(log_of_test, "a ");
	hooks_ended(&hooks, 0);
	hooks_ended(&hooks, 0);
	cr_expect_str_eq(log_of_test, "a a1=ok a a3=ok ", "the second and third are one");
	hooks_run(&hooks, &a, 4);
	hooks_ended(&hooks, 0);
	cr_expect_str_eq(log_of_test, "a a1=ok a a3=ok a a4=ok ");
}

Test(hooks, a_command_that_cannot_start_holds_nobody_up)
{
	refuses = true;
	hooks_run(&hooks, &a, 1);
	hooks_run(&hooks, &b, 2);
	cr_expect_str_eq(log_of_test, "a a1=bad b b2=bad ");
	refuses = false;
	hooks_run(&hooks, &a, 3);
	hooks_ended(&hooks, 0);
	cr_expect_str_eq(log_of_test, "a a1=bad b b2=bad a a3=ok ");
}

Test(hooks, one_that_is_forgotten_hears_nothing_and_blocks_nothing)
{
	hooks_run(&hooks, &a, 1);
	hooks_run(&hooks, &b, 1);
	hooks_forget(&hooks, &a);
	hooks_run(&hooks, &a, 2);
	hooks_forget(&hooks, &b);
	hooks_ended(&hooks, 0);
	cr_expect_str_eq(log_of_test, "a a ", "the next begins when the forgotten one's has ended");
	hooks_forget(&hooks, &a);
	hooks_ended(&hooks, 0);
	cr_expect_str_eq(log_of_test, "a a ");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Each test ends with loop_free, which aborts when a handle was left behind. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/io/loop.h"

static struct loop *loop;
static struct loop_timer *timers[3];
static struct error err;
static char order[16];

static void note(char what)
{
	size_t len = strlen(order);

	order[len] = what;
	order[len + 1] = '\0';
}

static void first_fired(void *context)
{
	(void)context;
	note('1');
}

static void second_fired(void *context)
{
	(void)context;
	note('2');
	loop_stop(loop);
}

Test(loop, timers_fire_once_in_order_of_deadline_and_never_when_disarmed)
{
	int64_t now = clock_now(clock_system()).boot_ms;

	loop = loop_new(&err);
	cr_assert_not_null(loop);
	timers[0] = loop_timer_new(loop, first_fired, NULL, &err);
	timers[1] = loop_timer_new(loop, second_fired, NULL, &err);
	timers[2] = loop_timer_new(loop, first_fired, NULL, &err);
	loop_timer_set(timers[1], now + 40);
	loop_timer_set(timers[0], now - 100000);
	loop_timer_set(timers[2], now + 1);
	loop_timer_set(timers[2], DEADLINE_NEVER);
	loop_run(loop);
	cr_expect_str_eq(order, "12");
	for (size_t i = 0; i < 3; i++)
		cr_expect_null(loop_timer_free(timers[i]));
	cr_expect_null(loop_free(loop));
}

static void free_both(void *context)
{
	(void)context;
	note('f');
	timers[0] = loop_timer_free(timers[0]);
	timers[1] = loop_timer_free(timers[1]);
}

Test(loop, a_timer_may_free_itself_and_another_that_is_due)
{
	loop = loop_new(&err);
	timers[0] = loop_timer_new(loop, free_both, NULL, &err);
	timers[1] = loop_timer_new(loop, free_both, NULL, &err);
	loop_timer_set(timers[0], 0);
	loop_timer_set(timers[1], 0);
	loop_run(loop); /* ends since nobody is left */
	cr_expect_str_eq(order, "f");
	cr_expect_null(loop_free(loop));
}

static void on_signal(void *context, int number)
{
	cr_expect_eq(context, order);
	cr_expect_eq(number, SIGUSR1);
	note('s');
	loop_stop(loop);
}

Test(loop, signals_arrive_in_the_loop)
{
	struct loop_signal *signal;

	loop = loop_new(&err);
	signal = loop_signal_new(loop, SIGUSR1, on_signal, order, &err);
	cr_assert_not_null(signal);
	(void)raise(SIGUSR1);
	cr_expect_str_eq(order, "");
	loop_run(loop);
	cr_expect_str_eq(order, "s");
	cr_expect_null(loop_signal_new(loop, SIGKILL, on_signal, NULL, &err));
	cr_expect_not_null(strstr(err.text, "signal 9"));
	(void)loop_signal_free(signal);
	(void)loop_free(loop);
}

static int ends[2];
static struct loop_reader *reader;

static void on_readable(void *context)
{
	char byte;
	ssize_t got = read(ends[0], &byte, 1);

	(void)context;
	note(got == 1 ? byte : '0');
	if (got == 1)
		(void)close(ends[1]);
	else
		reader = loop_reader_free(reader);
}

Test(loop, readers_hear_of_bytes_and_of_the_end)
{
	loop = loop_new(&err);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	reader = loop_reader_new(loop, ends[0], on_readable, NULL, &err);
	cr_assert_not_null(reader);
	cr_expect_eq(write(ends[1], "b", 1), 1);
	loop_run(loop);
	cr_expect_str_eq(order, "b0");
	cr_expect_null(loop_reader_new(loop, -1, on_readable, NULL, &err));
	cr_expect_geq(fcntl(ends[0], F_GETFD), 0, "the descriptor stays the caller's");
	(void)close(ends[0]);
	(void)loop_free(loop);
}

static void due_again(void *context)
{
	(void)context;
	loop_timer_set(timers[0], 0);
}

static void stop_reading(void *context)
{
	(void)context;
	note('r');
	reader = loop_reader_free(reader);
	timers[0] = loop_timer_free(timers[0]);
	timers[1] = loop_timer_free(timers[1]);
}

Test(loop, a_timer_that_is_always_due_leaves_others_their_turn, .timeout = 30)
{
	loop = loop_new(&err);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	reader = loop_reader_new(loop, ends[0], stop_reading, NULL, &err);
	timers[0] = loop_timer_new(loop, due_again, NULL, &err);
	timers[1] = loop_timer_new(loop, first_fired, NULL, &err);
	loop_timer_set(timers[0], 0);
	loop_timer_set(timers[1], clock_now(clock_system()).boot_ms);
	cr_expect_eq(write(ends[1], "b", 1), 1);
	loop_run(loop); /* ends when both have had theirs */
	cr_expect_str_eq(order, "1r");
	(void)close(ends[0]);
	(void)close(ends[1]);
	cr_expect_null(loop_free(loop));
}

/* The watched file is DIR/file, reached as kubelet makes it: DIR/file -> ..data/file, ..data ->
 * one/. */
static char directory[64];
static unsigned changes;

static void in_directory(void)
{
	(void)snprintf(directory, sizeof(directory), "/tmp/agent-loop-test-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
	loop = loop_new(&err);
}

static void out_of_directory(void)
{
	static const char *const files[] = { "one/file", "two/file", "file", "..data",
					     "deep/er/file" };
	static const char *const folders[] = { "one", "two", "deep/er", "deep" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		(void)unlink(files[i]);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		(void)rmdir(folders[i]);
	cr_expect_eq(rmdir(directory), 0);
	(void)loop_free(loop);
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	cr_assert_not_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static void on_change(void *context)
{
	(void)context;
	changes++;
	loop_stop(loop);
}

static void give_up(void *context)
{
	(void)context;
	loop_stop(loop);
}

/* Runs until the watch reports, or until the time in which inotify alone (not the poll) must have
 * shown it. */
static unsigned changes_within(int64_t ms)
{
	struct loop_timer *timer = loop_timer_new(loop, give_up, NULL, &err);

	changes = 0;
	loop_timer_set(timer, clock_now(clock_system()).boot_ms + ms);
	loop_run(loop);
	(void)loop_timer_free(timer);
	return changes;
}

enum { AT_ONCE = 5000, QUIET = 300 };

Test(watch, sees_a_swap_of_kubelets_data_link, .init = in_directory, .fini = out_of_directory)
{
	struct loop_watch *watch;

	cr_assert_eq(mkdir("one", 0700) + mkdir("two", 0700), 0);
	put("one/file", "a");
	put("two/file", "a");
	cr_assert_eq(symlink("one", "..data") + symlink("..data/file", "file"), 0);
	watch = loop_watch_new(loop, "file", on_change, NULL, &err);
	cr_assert_not_null(watch);
	cr_expect_eq(changes_within(QUIET), 0);
	cr_assert_eq(symlink("two", "tmp") + rename("tmp", "..data"), 0);
	cr_expect_eq(changes_within(AT_ONCE), 1);
	put("one/file", "no longer ours");
	cr_expect_eq(changes_within(QUIET), 0);
	put("two/file", "b");
	cr_expect_eq(changes_within(AT_ONCE), 1);
	(void)loop_watch_free(watch);
}

Test(watch, sees_a_file_appear_with_its_directories_change_and_go, .init = in_directory,
     .fini = out_of_directory)
{
	char path[128];
	struct loop_watch *watch;

	(void)snprintf(path, sizeof(path), "%s/deep/er/file", directory);
	watch = loop_watch_new(loop, path, on_change, NULL, &err);
	cr_assert_not_null(watch);
	cr_expect_eq(changes_within(QUIET), 0);
	cr_assert_eq(mkdir("deep", 0700), 0);
	cr_expect_eq(changes_within(QUIET), 0, "a directory is not the file");
	cr_assert_eq(mkdir("deep/er", 0700), 0);
	cr_expect_eq(changes_within(QUIET), 0);
	put("deep/er/file", "1");
	cr_expect_eq(changes_within(AT_ONCE), 1);
	put("deep/er/file", "2");
	cr_expect_eq(changes_within(AT_ONCE), 1, "same size, perhaps same time");
	put("deep/er/other", "x");
	cr_expect_eq(changes_within(QUIET), 0, "a neighbour is not the file");
	cr_assert_eq(unlink("deep/er/other"), 0);
	put("deep/er/new", "3");
	cr_assert_eq(rename("deep/er/new", "deep/er/file"), 0);
	cr_expect_eq(changes_within(AT_ONCE), 1);
	cr_assert_eq(unlink("deep/er/file"), 0);
	cr_expect_eq(changes_within(AT_ONCE), 1);
	(void)loop_watch_free(watch);
}

Test(watch, survives_a_link_that_points_to_itself, .init = in_directory, .fini = out_of_directory)
{
	struct loop_watch *watch;

	cr_assert_eq(symlink("file", "file"), 0);
	watch = loop_watch_new(loop, "file", on_change, NULL, &err);
	cr_assert_not_null(watch);
	cr_expect_eq(changes_within(QUIET), 0);
	cr_assert_eq(unlink("file"), 0);
	put("file", "x");
	cr_expect_eq(changes_within(AT_ONCE), 1);
	(void)loop_watch_free(watch);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/secret.h"
#include "agent/hooks.h"
#include "agent/publisher.h"

/* A publisher of one secret, whose commands end when the test says so. */
static struct clock fake_clock;
static int64_t now_ms;
static char directory[80], pid_file[80], root[64];
static struct secret_spec spec = { .name = "db" };
static struct config_entry entry = {
	.path = "db", .secret = "db", .format = FORMAT_FIELD, .mode = 0400, .owner = -1, .group = -1
};
static struct config_files config;
static struct store store;
static struct hooks hooks;
static struct publisher *publisher;
static struct error err;
static unsigned started, signals;

static struct stamp now(const struct clock *clock)
{
	(void)clock;
	return (struct stamp){ now_ms, now_ms };
}

static uint64_t random_number(const struct clock *clock)
{
	(void)clock;
	return 0;
}

static int start(void *context, const struct strings *command, struct error *error)
{
	(void)context;
	(void)command;
	(void)error;
	started++;
	return 0;
}

static void count_signal(int number)
{
	(void)number;
	signals++;
}

/* As a process that begins: what the one before knew, it had in memory. */
static void restart(struct hooks *its_hooks)
{
	publisher = publisher_free(publisher);
	hooks_init(&hooks, start, NULL);
	publisher = publisher_new(&config, &store, &fake_clock, its_hooks, &err);
	cr_assert_not_null(publisher, "%s", err.text);
}

static void put(const char *value)
{
	struct store_entry *stored = &store.entries[0];

	stored->version = secret_version_unref(stored->version);
	stored->version = secret_version_new(&err);
	cr_assert_eq(secret_version_add_bytes(stored->version, "password", FIELD_STRING, value,
					      strlen(value), &err),
		     0);
	stored->state = STATE_FRESH;
	stored->published++;
}

static void publish(void)
{
	now_ms += 1000;
	publisher_wake(publisher);
	(void)publisher_tick(publisher, now(&fake_clock));
}

static void setup(void)
{
	static char *command[] = { "reload", NULL };

	fake_clock = (struct clock){ .now = now, .random = random_number };
	now_ms = 1000000;
	(void)snprintf(root, sizeof(root), "/tmp/publisher-XXXXXX");
	cr_assert_not_null(mkdtemp(root));
	(void)snprintf(directory, sizeof(directory), "%s/out", root);
	(void)snprintf(pid_file, sizeof(pid_file), "%s/pid", root);
	config = (struct config_files){ .directory = directory,
					.mode = 0400,
					.owner = -1,
					.group = -1,
					.entries = &entry,
					.entry_count = 1,
					.on_change.exec = { .items = command, .count = 1 } };
	cr_assert_eq(store_init(&store, &spec, 1, &err), 0);
	started = signals = 0;
	restart(&hooks);
}

static void remove_tree(const char *path)
{
	DIR *listing = opendir(path);
	struct dirent *item;
	char inner[400];

	while (listing != NULL && (item = readdir(listing)) != NULL) {
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
			continue;
		(void)snprintf(inner, sizeof(inner), "%s/%s", path, item->d_name);
		if (unlink(inner) < 0)
			remove_tree(inner);
	}
	if (listing != NULL)
		(void)closedir(listing);
	(void)rmdir(path);
}

static void teardown(void)
{
	publisher = publisher_free(publisher);
	store_deinit(&store);
	remove_tree(root);
}

TestSuite(publisher, .init = setup, .fini = teardown);

Test(publisher, tells_once_of_each_change_and_never_of_none)
{
	put("one");
	publish();
	cr_expect_eq(started, 1);
	hooks_ended(&hooks, 0);
	publish();
	cr_expect_eq(started, 1, "the same content is no news");
	restart(&hooks);
	publish();
	cr_expect_eq(started, 1, "nor is it to the next process");
	put("two");
	publish();
	cr_expect_eq(started, 2);
}

Test(publisher, a_process_killed_before_it_was_told_leaves_it_to_the_next)
{
	put("one");
	publish();
	cr_expect_eq(started, 1);
	/* Killed while the command runs. */
	restart(&hooks);
	publish();
	cr_expect_eq(started, 2);
	publish();
	cr_expect_eq(started, 2, "it is being told");
	hooks_ended(&hooks, 0);
	restart(&hooks);
	publish();
	cr_expect_eq(started, 2);
}

Test(publisher, a_change_while_the_command_runs_is_told_after_it)
{
	put("one");
	publish();
	put("two");
	publish();
	cr_expect_eq(started, 1, "one at a time");
	hooks_ended(&hooks, 0);
	cr_expect_eq(started, 2);
	/* What has ended was about the first. */
	restart(&hooks);
	publish();
	cr_expect_eq(started, 3);
}

Test(publisher, a_command_that_fails_is_run_once_more_by_the_next_process_alone)
{
	put("one");
	publish();
	hooks_ended(&hooks, 256);
	publish();
	cr_expect_eq(started, 1, "a broken command is not run for ever");
	restart(&hooks);
	publish();
	cr_expect_eq(started, 2);
}

Test(publisher, where_nobody_runs_commands_nobody_waits_to_be_told)
{
	restart(NULL);
	put("one");
	publish();
	cr_expect_eq(started, 0);
	restart(&hooks);
	publish();
	cr_expect_eq(started, 0);
}

Test(publisher, stands_while_a_newer_version_or_room_is_waited_for)
{
	cr_expect_not(publisher_stands(publisher));
	publish();
	cr_expect_not(publisher_stands(publisher), "the secret has no version yet");
	put("one");
	cr_expect_not(publisher_stands(publisher), "it is not in the directory yet");
	publish();
	cr_expect(publisher_stands(publisher) && publisher_done(publisher));
	put("two");
	publisher_wake(publisher);
	cr_expect(publisher_stands(publisher));
	cr_expect_not(publisher_done(publisher));

	/* Its place is taken: what it could publish before is no less there. */
	cr_assert_eq(rename(directory, pid_file), 0);
	cr_assert_eq(symlink("/nowhere/at/all", directory), 0);
	publish();
	cr_expect_neq(publisher_error(publisher)->code, ERROR_NONE);
	cr_expect(publisher_stands(publisher));
	cr_expect_not(publisher_done(publisher));
	cr_assert_eq(unlink(directory), 0);
	cr_assert_eq(rename(pid_file, directory), 0);
	now_ms += 60000;
	publish();
	cr_expect(publisher_stands(publisher) && publisher_done(publisher));

	store.entries[0].version = secret_version_unref(store.entries[0].version);
	publish();
	cr_expect_not(publisher_stands(publisher), "on_missing: remove");
}

static void write_pid(int pid)
{
	FILE *file = fopen(pid_file, "w");

	cr_assert_not_null(file);
	(void)fprintf(file, "%d\n", pid);
	(void)fclose(file);
}

Test(publisher, signals_once_the_process_is_there)
{
	const struct sigaction action = { .sa_handler = count_signal };

	(void)sigaction(SIGUSR1, &action, NULL);
	config.on_change = (struct config_on_change){ .signal = SIGUSR1, .pid_file = pid_file };
	restart(&hooks);
	put("one");
	publish();
	cr_expect_eq(signals, 0, "there is no process yet, and that is no error");
	cr_expect_eq(publisher_error(publisher)->code, ERROR_NONE);
	write_pid(getpid());
	restart(&hooks);
	publish();
	cr_expect_eq(signals, 1);
	restart(&hooks);
	publish();
	cr_expect_eq(signals, 1);
	put("two");
	publish();
	cr_expect_eq(signals, 2);
}

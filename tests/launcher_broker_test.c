/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the launcher does with a broker: later environments, commands, its death, its silence.
 */
#include "tests/launcher_harness.h"

/* Sends versions one after the other, each when the child has shown the one before. */
static int changing_broker(int channel, void *context)
{
	static const char *const first[] = { "V", "first", NULL }, *const second[] = { "V",
										       "second",
										       NULL };
	struct script one = { .flags = FRAME_ENV_SUPERVISE, .variables = first };
	struct script two = { .flags = FRAME_ENV_SUPERVISE, .variables = second, .linger = true };
	const int *ready = context;
	char byte;

	if (scripted_broker(channel, &one) != 0 || read(*ready, &byte, 1) != 1)
		return 1;
	return scripted_broker(channel, &two);
}

Test(launcher_broker, watch_restart_ends_the_old_child_before_the_new_one_starts)
{
	struct launch_plan plan = { .watch = WATCH_RESTART };
	char text[256];
	AUTO(outcome_free) struct outcome outcome = { 0 };
	int ready[2];

	cr_assert_eq(pipe(ready), 0);
	(void)snprintf(text, sizeof(text),
		       "trap 'sleep 0.05; echo old ends; exit 1' TERM; echo $V; "
		       "[ $V = second ] && exit 5; echo >/dev/fd/%d; while :; do sleep 0.01; done",
		       ready[1]);
	plan.argv = SHELL(text);
	outcome = launch(&plan, changing_broker, &ready[0]);
	cr_expect_str_eq(buf_string(&outcome.out), "first\nold ends\nsecond\n");
	cr_expect_eq(exit_status(&outcome), 5);
}

Test(launcher_broker, watch_signal_tells_the_child)
{
	struct launch_plan plan = { .watch = WATCH_SIGNAL, .watch_signal = SIGUSR2 };
	char text[256];
	AUTO(outcome_free) struct outcome outcome = { 0 };
	int ready[2];

	cr_assert_eq(pipe(ready), 0);
	(void)snprintf(text, sizeof(text),
		       "trap 'echo told; exit 0' USR2; echo $V; echo >/dev/fd/%d; "
		       "while :; do sleep 0.01; done",
		       ready[1]);
	plan.argv = SHELL(text);
	outcome = launch(&plan, changing_broker, &ready[0]);
	cr_expect_str_eq(buf_string(&outcome.out), "first\ntold\n");
	cr_expect_eq(exit_status(&outcome), 0);
}

/* The first broker dies once the child runs; the second one says so through `context`. */
static int mortal_broker(int channel, void *context)
{
	struct script script = { .flags = FRAME_ENV_SUPERVISE };
	const int *fds = context;
	char byte;

	if (read(fds[0], &byte, 1) == 1) {
		if (scripted_broker(channel, &script) == 0 && read(fds[2], &byte, 1) == 1)
			(void)kill(getpid(), SIGKILL);
		return 1;
	}
	(void)scripted_broker(channel, &script);
	(void)!write(fds[5], "again\n", 6);
	wait_for_end(channel);
	return 0;
}

Test(launcher_broker, child_outlives_the_broker_which_is_started_again)
{
	struct launch_plan plan = { 0 };
	char text[256];
	AUTO(outcome_free) struct outcome outcome = { 0 };
	int fds[6];

	cr_assert_eq(pipe2(&fds[0], O_NONBLOCK) | pipe(&fds[2]) | pipe(&fds[4]), 0);
	cr_assert_eq(write(fds[1], "x", 1), 1);
	(void)snprintf(text, sizeof(text),
		       "echo >/dev/fd/%d; read line </dev/fd/%d; echo $line; exit 4", fds[3],
		       fds[4]);
	plan.argv = SHELL(text);
	outcome = launch(&plan, mortal_broker, fds);
	cr_expect_str_eq(buf_string(&outcome.out), "again\n");
	cr_expect_eq(exit_status(&outcome), 4);
}

/* Has the launcher run a shell's command. Whatever was sent before has been taken then. */
static int run_command(int channel, const char *script)
{
	AUTO(frame_reader_deinit) struct frame_reader reader = FRAME_READER_INIT;
	AUTO(buf_deinit) struct buf buf = FRAME_BUF;
	struct pollfd readable = { .fd = channel, .events = POLLIN };
	struct frame frame;
	struct error err;
	uint32_t status = 0;

	frame_begin(&buf, FRAME_EXEC);
	frame_put_bytes(&buf, "sh", 2);
	frame_put_bytes(&buf, "-c", 2);
	frame_put_bytes(&buf, script, strlen(script));
	if (frame_send(channel, &buf, &err) < 0)
		return -1;
	while (frame_next(&reader, &frame, &err) == 0)
		if (poll(&readable, 1, -1) < 0 || frame_receive(&reader, channel, &err) < 0)
			return -1;
	if (frame.type != FRAME_HOOK_DONE || !frame_take_number(&frame, &status))
		return -1;
	return WIFEXITED((int)status) ? WEXITSTATUS((int)status) : -1;
}

/* First one file, then, when the child has shown it, one more than there is room for. */
static int greedy_broker(int channel, void *context)
{
	const int *fds = context;
	static const char *const first[] = { "/tmp/launcher-test-greedy", "first", NULL };
	static const char *const second[] = { "/tmp/launcher-test-greedy", "second",
					      "/tmp/launcher-test-more", "more", NULL };
	struct script one = { .flags = FRAME_ENV_SUPERVISE, .variables = first };
	struct script two = { .flags = FRAME_ENV_SUPERVISE, .variables = second };
	char byte;

	if (scripted_broker(channel, &one) != 0 || read(fds[0], &byte, 1) != 1 ||
	    scripted_broker(channel, &two) != 0 || run_command(channel, ":") != 0)
		return 1;
	(void)!write(fds[3], "\n", 1);
	wait_for_end(channel);
	return 0;
}

Test(launcher_broker, child_goes_on_with_what_it_has_when_the_new_cannot_be_given)
{
	struct launch_plan plan = { .watch = WATCH_RESTART };
	char text[256];
	AUTO(outcome_free) struct outcome outcome = { 0 };
	int fds[4];

	cr_assert_eq(pipe(&fds[0]) | pipe(&fds[2]), 0);
	(void)snprintf(text, sizeof(text),
		       "trap 'echo ended' TERM; echo >/dev/fd/%d; read line </dev/fd/%d; "
		       "cat /tmp/launcher-test-greedy; exit 4",
		       fds[1], fds[2]);
	plan.argv = SHELL(text);
	outcome = launch(&plan, greedy_broker, fds);
	cr_expect_str_eq(buf_string(&outcome.out), "first");
	cr_expect_eq(exit_status(&outcome), 4);
	cr_expect_not_null(strstr(buf_string(&outcome.err), "cannot be given to the child"));
	cr_expect_eq(access("/tmp/launcher-test-greedy", F_OK), -1);
}

static int hooking_broker(int channel, void *context)
{
	(void)context;
	return 10 + run_command(channel, "echo hook; exit 6");
}
Test(launcher_broker, runs_commands_for_a_broker_without_child)
{
	struct launch_plan plan = { .hooks_only = true };
	AUTO(outcome_free) struct outcome outcome = launch(&plan, hooking_broker, NULL);

	cr_expect_str_eq(buf_string(&outcome.err), "hook\n");
	cr_expect_eq(exit_status(&outcome), 16);
}

static int deaf_broker(int channel, void *context)
{
	const int *ready = context;

	(void)channel;
	(void)!write(*ready, "x", 1);
	while (pause() < 0)
		;
	return 0;
}

Test(launcher_broker, dies_of_a_signal_that_comes_while_it_waits)
{
	struct launch_plan plan = { .argv = SHELL("echo started") };
	int ready[2], status;
	char byte;
	pid_t pid;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = start(&plan, deaf_broker, &ready[1], STDOUT_FILENO, STDERR_FILENO);
	(void)close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	(void)kill(pid, SIGTERM);
	(void)kill(pid, SIGINT);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFSIGNALED(status));
	/* The broker is dead as well: nobody holds the pipe. */
	cr_expect_eq(read(ready[0], &byte, 1), 0);
}

Test(launcher_broker, gives_up_on_a_broker_that_hangs)
{
	struct launch_plan plan = { .argv = SHELL("echo started"), .timeout_ms = 1 };
	int ready[2];
	AUTO(outcome_free) struct outcome outcome = { 0 };

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	outcome = launch(&plan, deaf_broker, &ready[1]);
	cr_expect_eq(exit_status(&outcome), 69);
	cr_expect_str_eq(buf_string(&outcome.out), "");
}

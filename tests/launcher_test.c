/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the launcher does with a child: its environment, its end, its signals, its streams.
 */
#include "tests/launcher_harness.h"

static int dying_broker(int channel, void *context)
{
	(void)channel;
	(void)context;
	(void)kill(getpid(), SIGKILL);
	return 0;
}

/* Directly and under a supervisor alike. */
static const uint32_t ways[] = { 0, FRAME_ENV_SUPERVISE };

Test(launcher, gives_the_secrets_and_ends_as_the_child)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct script script = { .flags = ways[i],
					 .variables = VARIABLES("A", "one", "B", "two words") };
		struct launch_plan plan = {
			.argv = SHELL("printf '%s|%s|%s' \"$A\" \"$B\" \"$HOME\"; exit 7"),
		};
		AUTO(outcome_free) struct outcome outcome = { 0 };

		cr_assert_eq(setenv("HOME", "/h", 1) | setenv("A", "old", 1), 0);
		outcome = launch(&plan, scripted_broker, &script);
		cr_expect_str_eq(buf_string(&outcome.out), "one|two words|/h");
		cr_expect_eq(exit_status(&outcome), 7);
		cr_expect_str_eq(buf_string(&outcome.err), "");
	}
}

Test(launcher, dies_of_the_signal_that_the_child_died_of)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		static const int signals[] = {
			SIGTERM, SIGKILL, SIGSEGV, SIGINT, SIGPIPE, SIGUSR1
		};

		for (size_t j = 0; j < ARRAY_SIZE(signals); j++) {
			struct script script = { .flags = ways[i] };
			char text[32];
			struct launch_plan plan = { .argv = SHELL(text) };
			AUTO(outcome_free) struct outcome outcome = { 0 };

			(void)snprintf(text, sizeof(text), "kill -%d $$", signals[j]);
			outcome = launch(&plan, scripted_broker, &script);
			cr_expect(WIFSIGNALED(outcome.status) &&
					  WTERMSIG(outcome.status) == signals[j],
				  "way %zu signal %d: %x", i, signals[j], (unsigned)outcome.status);
		}
	}
}

Test(launcher, says_126_and_127_when_the_program_cannot_be_run)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct script script = { .flags = ways[i] };
		struct launch_plan absent = { .argv = ARGV("no-such-program-here") };
		struct launch_plan directory = { .argv = ARGV("/tmp") };
		AUTO(outcome_free)
		struct outcome one = launch(&absent, scripted_broker, &script);
		AUTO(outcome_free)
		struct outcome two = launch(&directory, scripted_broker, &script);

		cr_expect_eq(exit_status(&one), 127);
		cr_expect_str_eq(buf_string(&one.err),
				 "agent: no-such-program-here: command not found\n");
		cr_expect_eq(exit_status(&two), 126);
		cr_expect_str_eq(buf_string(&two.err),
				 "agent: cannot run /tmp: Permission denied\n");
	}
}

Test(launcher, ends_with_the_brokers_failure_before_the_child_starts)
{
	struct script script = { .fail_status = 65 };
	struct launch_plan plan = { .argv = SHELL("echo started") };
	AUTO(outcome_free) struct outcome outcome = launch(&plan, scripted_broker, &script);

	cr_expect_eq(exit_status(&outcome), 65);
	cr_expect_str_eq(buf_string(&outcome.err), "agent: no such path\n");
	cr_expect_str_eq(buf_string(&outcome.out), "");
}

Test(launcher, ends_with_69_when_the_broker_dies_first)
{
	struct launch_plan plan = { .argv = SHELL("echo started") };
	AUTO(outcome_free) struct outcome outcome = launch(&plan, dying_broker, NULL);

	cr_expect_eq(exit_status(&outcome), 69);
	cr_expect_str_eq(buf_string(&outcome.out), "");
	cr_expect_neq(outcome.err.len, 0);
}

/* The lines of /proc/self/status that are handed on, the umask among them, and the limits. */
static const char facts[] =
	"grep -E '^(Umask|SigBlk|SigIgn|NoNewPrivs|Seccomp):?' /proc/self/status;"
	"cat /proc/self/limits; ls /proc/self/fd | wc -l; ulimit -c; env | sort | grep -v ^_=";

Test(launcher, leaves_no_trace_in_what_the_child_inherits)
{
	struct rlimit core = { .rlim_cur = 12345, .rlim_max = 1 << 20 };
	AUTO(outcome_free) struct outcome plain = { .out = BUF_INIT(1 << 20) };
	int out[2];
	pid_t pid;

	(void)umask(0027);
	(void)setrlimit(RLIMIT_CORE, &core);
	(void)signal(SIGCHLD, SIG_IGN);
	(void)signal(SIGUSR2, SIG_IGN);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)dup2(out[1], STDOUT_FILENO);
		(void)execl("/bin/sh", "sh", "-c", facts, NULL);
		_exit(1);
	}
	(void)close(out[1]);
	collect(out[0], &plain.out);
	(void)signal(SIGCHLD, SIG_DFL);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct script script = { .flags = ways[i] };
		struct launch_plan plan = { .argv = SHELL((char *)(uintptr_t)facts) };
		AUTO(outcome_free) struct outcome outcome = { 0 };
		int status;

		outcome.out = BUF_INIT(1 << 20);
		cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
		pid = fork();
		if (pid == 0) {
			(void)prctl(PR_SET_DUMPABLE, 0);
			(void)signal(SIGCHLD, SIG_IGN);
			(void)dup2(out[1], STDOUT_FILENO);
			_exit(launcher_run(&plan, scripted_broker, &script));
		}
		(void)close(out[1]);
		collect(out[0], &outcome.out);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_expect_eq(status, 0);
		cr_expect_str_eq(buf_string(&outcome.out), buf_string(&plain.out), "way %zu", i);
	}
}

Test(launcher, keeps_the_pid_when_nothing_needs_a_parent)
{
	struct script script = { .flags = 0 };
	struct launch_plan plan = { .argv = SHELL("echo $$; cat /proc/$$/task/$$/children") };
	AUTO(outcome_free) struct outcome outcome = { .out = BUF_INIT(1 << 20) };
	int out[2], status;
	char wanted[32];
	pid_t pid;

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	pid = start(&plan, scripted_broker, &script, out[1], STDERR_FILENO);
	(void)close(out[1]);
	collect(out[0], &outcome.out);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	(void)snprintf(wanted, sizeof(wanted), "%d\n", (int)pid);
	/* No broker is left as a child that the program does not know; cat is one while it runs. */
	cr_expect_eq(strncmp(buf_string(&outcome.out), wanted, strlen(wanted)), 0);
	cr_expect_null(
		strchr(strchr(buf_string(&outcome.out), '\n') + 1, ' ') != NULL
			? strchr(strchr(strchr(buf_string(&outcome.out), '\n') + 1, ' ') + 1, ' ')
			: NULL,
		"%s", buf_string(&outcome.out));
}

Test(launcher, passes_signals_on)
{
	static const int signals[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct script script = { .flags = FRAME_ENV_SUPERVISE, .linger = true };
		char text[128], line[64] = "";
		struct launch_plan plan = { .argv = SHELL(text) };
		int out[2], status;
		pid_t pid;

		(void)snprintf(
			text, sizeof(text),
			"trap 'echo got; exit 9' %d; echo ready; while :; do sleep 0.01; done",
			signals[i]);
		cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
		pid = start(&plan, scripted_broker, &script, out[1], STDERR_FILENO);
		(void)close(out[1]);
		cr_assert_eq(read(out[0], line, 6), 6);
		(void)kill(pid, signals[i]);
		cr_expect_eq(read(out[0], line, 4), 4);
		cr_expect_eq(memcmp(line, "got\n", 4), 0);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 9, "signal %d", signals[i]);
		(void)close(out[0]);
	}
}

Test(launcher, kills_the_group_at_the_second_term)
{
	struct script script = { .flags = FRAME_ENV_SUPERVISE, .linger = true };
	struct launch_plan plan = {
		.argv = SHELL("trap 'echo deaf' TERM; (trap '' TERM; echo; exec sleep 1000) & "
			      "while :; do sleep 0.01; done"),
	};
	char line[8];
	int out[2], status;
	pid_t pid;

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	pid = start(&plan, scripted_broker, &script, out[1], STDERR_FILENO);
	(void)close(out[1]);
	cr_assert_eq(read(out[0], line, 1), 1);
	(void)kill(pid, SIGTERM);
	cr_assert_eq(read(out[0], line, 5), 5);
	(void)kill(pid, SIGTERM);
	/* The end of the pipe: the grandchild that held it is dead too. */
	while (read(out[0], line, sizeof(line)) > 0)
		;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

Test(launcher, masks_both_outputs_and_keeps_them_apart)
{
	struct script script = { .variables = VARIABLES("TOKEN", "hunter2hunter2") };
	struct launch_plan plan = {
		.argv = SHELL("printf 'a %s b' $TOKEN; printf 'c %s d' $TOKEN >&2; exit 3"),
		.mask = MASK_ALWAYS,
	};
	AUTO(outcome_free) struct outcome outcome = launch(&plan, scripted_broker, &script);

	cr_expect_str_eq(buf_string(&outcome.out), "a *** b");
	cr_expect_str_eq(buf_string(&outcome.err), "c *** d");
	cr_expect_eq(exit_status(&outcome), 3);
}

Test(launcher, keeps_every_byte_of_a_large_masked_output)
{
	struct script script = { .variables = VARIABLES("TOKEN", "hunter2hunter2") };
	struct launch_plan plan = {
		.argv = SHELL("i=0; while [ $i -lt 2000 ]; do "
			      "echo 0123456789012345678901234567890123456789; i=$((i+1)); done"),
		.mask = MASK_ALWAYS,
	};
	AUTO(outcome_free) struct outcome outcome = launch(&plan, scripted_broker, &script);

	cr_expect_eq(outcome.out.len, 2000 * 41);
}

Test(launcher, strict_lets_no_secret_replace_a_variable)
{
	struct script script = { .variables = VARIABLES("FRESH", "1", "TAKEN", "2") };
	struct launch_plan plan = { .argv = SHELL("echo started"), .strict = true };
	AUTO(outcome_free) struct outcome refused = { 0 }, allowed = { 0 };

	cr_assert_eq(setenv("TAKEN", "by the user", 1), 0);
	refused = launch(&plan, scripted_broker, &script);
	cr_expect_eq(exit_status(&refused), 65);
	cr_expect_not_null(strstr(buf_string(&refused.err), "TAKEN"));
	cr_expect_str_eq(buf_string(&refused.out), "");
	/* What --pristine removes is not replaced. */
	plan.pristine = true;
	allowed = launch(&plan, scripted_broker, &script);
	cr_expect_eq(exit_status(&allowed), 0);
}

Test(launcher, pristine_keeps_the_few_and_the_secrets)
{
	struct script script = { .variables = VARIABLES("SECRET", "1") };
	struct launch_plan plan = { .argv = ARGV("/usr/bin/env"), .pristine = true };
	AUTO(outcome_free) struct outcome outcome = { 0 };

	cr_assert_eq(clearenv(), 0);
	cr_assert_eq(setenv("LC_ALL", "C", 1) | setenv("LANGUAGE", "x", 1) |
			     setenv("HOME", "/h", 1) | setenv("OTHER", "x", 1) |
			     setenv("HOMER", "x", 1),
		     0);
	outcome = launch(&plan, scripted_broker, &script);
	cr_expect_str_eq(buf_string(&outcome.out), "LC_ALL=C\nHOME=/h\nSECRET=1\n");
}

Test(launcher, names_the_largest_when_the_whole_is_over_the_kernels_limit)
{
	struct rlimit stack = { .rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY };
	static char large[100 << 10], larger[120 << 10];
	struct script script = { .variables = VARIABLES("A", large, "B", larger, "C", large) };
	struct launch_plan plan = { .argv = SHELL("echo started") };
	AUTO(outcome_free) struct outcome outcome = { 0 };

	memset(large, 'x', sizeof(large) - 1);
	memset(larger, 'x', sizeof(larger) - 1);
	cr_assert_eq(setrlimit(RLIMIT_STACK, &stack), 0);
	outcome = launch(&plan, scripted_broker, &script);
	cr_expect_eq(exit_status(&outcome), 65);
	cr_expect_not_null(strstr(buf_string(&outcome.err), "the largest is B"));
}

Test(launcher, file_stands_while_the_child_runs)
{
	char path[] = "/tmp/launcher-test-file-XXXXXX";
	struct script script = { .variables = VARIABLES(path, "the bytes") };
	struct launch_plan plan = { .argv = ARGV("cat", path) };
	AUTO(outcome_free) struct outcome outcome = { 0 }, taken = { 0 };
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	(void)close(fd);
	taken = launch(&plan, scripted_broker, &script);
	cr_expect_eq(exit_status(&taken), 65);
	cr_expect_eq(unlink(path), 0);
	outcome = launch(&plan, scripted_broker, &script);
	cr_expect_str_eq(buf_string(&outcome.out), "the bytes", "%s", buf_string(&outcome.err));
	cr_expect_eq(access(path, F_OK), -1);
}

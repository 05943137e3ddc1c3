/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an environment to a running child: as ourselves where nothing needs a parent, else beside
 * us.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/launcher_state.h"

enum { GRACE_RESTART_MS = 30000 }; /* for the old child to end, before SIGKILL */

static bool wants_mask(const struct launch_plan *plan)
{
	const char *ci = getenv("CI");

	switch (plan->mask) {
	case MASK_ALWAYS:
		return true;
	case MASK_AUTO:
		return isatty(STDOUT_FILENO) || isatty(STDERR_FILENO) ||
		       (ci != NULL && strcmp(ci, "true") == 0);
	case MASK_NEVER:
	default:
		return false;
	}
}

static bool needs_parent(const struct launcher *l)
{
	if (l->environment.supervise || l->plan->watch != WATCH_NONE || wants_mask(l->plan))
		return true;
	for (size_t i = 0; i < l->environment.count; i++)
		if (l->environment.values[i].file)
			return true;
	return false;
}

static bool has_terminal(void)
{
	AUTO(closep) int fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd >= 0;
}

static int add_pipe(struct launcher *l, int to, int *child_end, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "cannot make a pipe for --mask");
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	stream_init(&l->streams[l->stream_count++], ends[0], to, l->mask);
	*child_end = ends[1];
	return 0;
}

/* A pty when standard output is a terminal, pipes otherwise; the two outputs stay apart. */
static int open_streams(struct launcher *l, struct child_stdio *stdio, struct error *err)
{
	if (!isatty(STDOUT_FILENO)) {
		if (add_pipe(l, STDOUT_FILENO, &stdio->out, err) < 0)
			return -1;
		return add_pipe(l, STDERR_FILENO, &stdio->err, err);
	}
	if (pty_open(&l->pty, STDOUT_FILENO, err) < 0)
		return -1;
	stream_init(&l->streams[l->stream_count++], l->pty.master, STDOUT_FILENO, l->mask);
	stdio->terminal = true;
	/* Whoever stops needs a shell that continues it: we are a job of one. */
	stdio->job_control = getpgrp() != getsid(0);
	stdio->own_group = false;
	stdio->out = l->pty.slave;
	if (isatty(STDERR_FILENO))
		stdio->err = l->pty.slave;
	else if (add_pipe(l, STDERR_FILENO, &stdio->err, err) < 0)
		return -1;
	if (pty_take_input(&l->pty)) {
		stdio->in = l->pty.slave;
		stream_init(&l->streams[l->stream_count++], STDIN_FILENO, l->pty.master, NULL);
	}
	return 0;
}

void launcher_close_streams(struct launcher *l)
{
	for (size_t i = 0; i < l->stream_count; i++) {
		struct stream *stream = &l->streams[i];

		stream_finish(stream);
		if (launcher_owns(l, stream))
			closep(&stream->from);
		stream_deinit(stream);
	}
	l->stream_count = 0;
	pty_close(&l->pty);
}

/* The values of this environment and of the one before: what was given out stays hidden. */
static int make_mask(struct launcher *l, const struct child_environment *before, struct error *err)
{
	const struct child_environment *both[] = { &l->environment, before };
	struct mask *mask = mask_new(err);

	for (size_t i = 0; mask != NULL && i < ARRAY_SIZE(both); i++)
		for (size_t j = 0; mask != NULL && j < both[i]->count; j++)
			if (mask_add(mask, both[i]->values[j].bytes, both[i]->values[j].len, err) <
			    0)
				mask = mask_free(mask);
	if (mask == NULL || mask_prepare(mask, err) < 0) {
		(void)mask_free(mask);
		return -1;
	}
	l->old_mask = l->mask;
	l->mask = mask;
	for (size_t i = 0; i < l->stream_count; i++)
		if (l->streams[i].mask != NULL)
			stream_remask(&l->streams[i], mask);
	l->old_mask = mask_free(l->old_mask);
	return 0;
}

static void start_child(struct launcher *l)
{
	struct child_stdio stdio = { .in = -1, .out = -1, .err = -1, .own_group = !has_terminal() };
	struct child_started started = { 0 };
	struct error err;
	int failed;

	if (l->mask != NULL && open_streams(l, &stdio, &err) < 0) {
		launcher_close_streams(l);
		launcher_fail_error(l, &err);
		return;
	}
	l->shares_group = !stdio.own_group && !stdio.terminal;
	l->terms = 0;
	failed = child_start(l->plan->argv, l->environment.vector, &l->inherited, &stdio, &started);
	if (stdio.out != l->pty.slave)
		closep(&stdio.out);
	if (stdio.err != l->pty.slave)
		closep(&stdio.err);
	pty_close_slave(&l->pty);
	if (failed < 0) {
		launcher_close_streams(l);
		launcher_finish_with(l, started.exit_status);
		return;
	}
	l->child = started.pid;
	l->program = started.program;
	l->give_up_at = DEADLINE_NEVER;
}

/* Nothing needs a parent: the pid that the user knows becomes the program. */
static void become_child(struct launcher *l)
{
	launcher_end_broker(l, GRACE_DIRECT_MS);
	if (l->done)
		return;
	closep(&l->signals);
	launcher_finish_with(l, child_become(l->plan->argv, l->environment.vector, &l->inherited));
}

static void new_versions(struct launcher *l)
{
	if (l->plan->watch == WATCH_SIGNAL) {
		launcher_signal_child(l, l->plan->watch_signal);
	} else if (l->plan->watch == WATCH_RESTART && !l->restart) {
		l->restart = true;
		l->kill_at = launcher_now_ms() + GRACE_RESTART_MS;
		launcher_signal_child(l, SIGTERM);
		launcher_signal_child(l, SIGCONT);
	}
}

static bool same_values(const struct child_environment *one, const struct child_environment *other)
{
	return one->count == other->count && one->strings.len == other->strings.len &&
	       (one->strings.len == 0 ||
		memcmp(one->strings.data, other->strings.data, one->strings.len) == 0);
}

/* Before it is started, the child cannot be; running, it goes on with what it has. */
static void cannot_give(struct launcher *l, const struct error *err)
{
	if (l->child == 0)
		launcher_fail_error(l, err);
	else
		log_warn("the new secrets cannot be given to the child", LOG_ERR(err));
}

/* Makes the environment the next child's, files and mask included; `fresh` is the old one then. */
static int adopt(struct launcher *l, struct child_environment *fresh, struct error *err)
{
	struct child_environment before = l->environment;

	if (launch_files_write(&l->files, fresh->values, fresh->count, err) < 0)
		return -1;
	l->environment = *fresh;
	if (!wants_mask(l->plan) || make_mask(l, &before, err) == 0) {
		*fresh = before;
		return 0;
	}
	l->environment = before;
	return -1;
}

void launcher_take_environment(struct launcher *l, struct frame *frame)
{
	AUTO(child_environment_deinit) struct child_environment fresh = { 0 };
	bool anew = l->broker_anew, same;
	struct error err;

	if (child_environment_read(&fresh, frame, l->inherited.environment, l->plan, &err) < 0) {
		cannot_give(l, &err);
		return;
	}
	l->broker_anew = false;
	same = l->child != 0 && same_values(&fresh, &l->environment);
	if (same && anew)
		return;
	if (adopt(l, &fresh, &err) < 0) {
		cannot_give(l, &err);
		return;
	}
	if (l->child != 0 && anew && l->plan->watch == WATCH_NONE)
		log_warn(
			"the child has values that nobody keeps alive any more: start it again, "
			"or run it with --watch restart");
	if (l->child != 0)
		new_versions(l);
	else if (needs_parent(l))
		start_child(l);
	else
		become_child(l);
}

/* Who leads a stopped program's session is stopped too. */
void launcher_signal_child(const struct launcher *l, int number)
{
	if (l->child == 0)
		return;
	(void)kill(l->program, number);
	if (number == SIGCONT && l->program != l->child)
		(void)kill(l->child, SIGCONT);
}

void launcher_kill_child(struct launcher *l)
{
	if (l->child == 0)
		return;
	launcher_signal_child(l, SIGKILL);
	if (!l->shares_group)
		(void)kill(-l->program, SIGKILL);
	launcher_signal_child(l, SIGCONT);
}

void launcher_kill_group(struct launcher *l)
{
	pid_t group = getpgrp();

	if (l->child == 0)
		return;
	launcher_kill_child(l);
	/* Where the group is ours alone (a job of a shell): step out of it and end the rest. */
	if (l->shares_group && group == getpid() && l->broker > 0 && setpgid(0, l->broker) == 0)
		(void)kill(-group, SIGKILL);
}

void launcher_child_ended(struct launcher *l, int status)
{
	l->child = l->program = 0;
	l->kill_at = DEADLINE_NEVER;
	if (l->restart) {
		l->restart = false;
		launcher_close_streams(l);
		start_child(l);
		return;
	}
	launcher_finish(l, status);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One poll over signals, the channel to the broker and the child's streams.
 *
 *	waiting ── ENV ──▶ becomes the child (execve), when nothing needs a parent
 *	   │        └────▶ supervising ── the child ends ──▶ ending ──▶ its status, or its signal
 *	   └── FAIL, time over, signal ────────────────────▶ ending
 */
#include "agent/launcher.h"

#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launcher_state.h"

enum {
	GRACE_TIMEOUT_MS =
		1000, /* the broker names what is missing; this is for a broker that hangs */
	GRACE_DRAIN_MS = 100, /* output that is still under way when the child has ended */
	DRAIN_MOST_MS = 1000,
	IDLE_MS = 30, /* of output, before a prompt that begins like a value is shown */
};

int64_t launcher_now_ms(void)
{
	return clock_now(clock_system()).boot_ms;
}

void launcher_finish(struct launcher *l, int wait_status)
{
	if (l->done)
		return;
	l->done = true;
	l->status = wait_status;
}

void launcher_finish_with(struct launcher *l, int exit_status)
{
	launcher_finish(l, W_EXITCODE(exit_status & 0xff, 0));
}

void launcher_fail(struct launcher *l, int exit_status, const char *text)
{
	(void)dprintf(STDERR_FILENO, "agent: %s\n", text);
	launcher_finish_with(l, exit_status);
}

void launcher_fail_error(struct launcher *l, const struct error *err)
{
	launcher_fail(l, error_exit_status(err->code), err->text);
}

bool launcher_owns(const struct launcher *l, const struct stream *stream)
{
	return stream->from != STDIN_FILENO && stream->from != l->pty.master;
}

/* What is typed while a shell has the terminal is for the shell. */
static bool may_read(const struct launcher *l, const struct stream *stream)
{
	return stream->from != STDIN_FILENO || l->pty.raw;
}

static bool move_streams(struct launcher *l)
{
	bool moved = false;

	for (size_t i = 0; i < l->stream_count; i++) {
		struct stream *stream = &l->streams[i];

		moved |= stream_write(stream);
		moved |= may_read(l, stream) && stream_read(stream);
		/* Where nobody reads us, nobody reads the child: its next write fails as it would
		 * have. */
		if (stream->ended && launcher_owns(l, stream))
			closep(&stream->from);
	}
	if (moved && l->pty.master >= 0)
		l->idle_at = launcher_now_ms() + IDLE_MS;
	return moved;
}

static int wait_ms(const struct launcher *l)
{
	int64_t at = deadline_earlier(deadline_earlier(l->broker_at, l->kill_at),
				      deadline_earlier(l->give_up_at, l->idle_at));
	int64_t now;

	if (at == DEADLINE_NEVER)
		return -1;
	now = launcher_now_ms();
	if (at <= now)
		return 0;
	return at - now > 3600000 ? 3600000 : (int)(at - now);
}

static void wait_for_something(struct launcher *l, int timeout)
{
	struct pollfd polled[2 + 2 * LAUNCHER_STREAMS] = {
		{ .fd = l->signals, .events = POLLIN },
		{ .fd = l->channel, .events = POLLIN },
	};
	nfds_t count = 2;

	for (size_t i = 0; i < l->stream_count; i++) {
		const struct stream *stream = &l->streams[i];

		if (may_read(l, stream) && stream_wants_read(stream))
			polled[count++] = (struct pollfd){ .fd = stream->from, .events = POLLIN };
		if (stream_wants_write(stream))
			polled[count++] = (struct pollfd){ .fd = stream->to, .events = POLLOUT };
	}
	(void)poll(polled, count, timeout);
}

static void keep_deadlines(struct launcher *l)
{
	int64_t now = launcher_now_ms();

	if (l->give_up_at <= now) {
		l->give_up_at = DEADLINE_NEVER;
		launcher_fail(l, STATUS_UNAVAILABLE, "time is over and the broker does not answer");
	}
	if (l->kill_at <= now) {
		l->kill_at = DEADLINE_NEVER;
		launcher_kill_child(l);
	}
	if (l->broker_at <= now)
		launcher_broker_again(l);
	if (l->idle_at <= now) {
		l->idle_at = DEADLINE_NEVER;
		for (size_t i = 0; i < l->stream_count; i++)
			stream_idle(&l->streams[i]);
	}
}

static void loop(struct launcher *l)
{
	while (!l->done) {
		wait_for_something(l, wait_ms(l));
		launcher_read_signals(l);
		launcher_read_channel(l);
		(void)move_streams(l);
		if (!l->done)
			keep_deadlines(l);
	}
}

/* What the child wrote before its end is still in the pipes; a grandchild may hold them open for
 * ever. */
static void drain(struct launcher *l)
{
	int64_t most = launcher_now_ms() + DRAIN_MOST_MS,
		until = launcher_now_ms() + GRACE_DRAIN_MS, now;
	bool open = l->stream_count > 0;

	while (open && (now = launcher_now_ms()) < until && now < most) {
		struct pollfd polled[LAUNCHER_STREAMS];
		nfds_t count = 0;

		for (size_t i = 0; i < l->stream_count; i++) {
			struct stream *stream = &l->streams[i];

			if (stream->from == STDIN_FILENO)
				stream->ended = true;
			if (stream_wants_write(stream))
				polled[count++] =
					(struct pollfd){ .fd = stream->to, .events = POLLOUT };
			else if (!stream->ended)
				polled[count++] =
					(struct pollfd){ .fd = stream->from, .events = POLLIN };
		}
		open = count > 0;
		if (open && poll(polled, count, (int)(until - now)) > 0 && move_streams(l))
			until = launcher_now_ms() + GRACE_DRAIN_MS;
	}
	launcher_close_streams(l);
}

int launcher_run(const struct launch_plan *plan, broker_main_fn *broker, void *context)
{
	struct launcher l = {
		.plan = plan,
		.broker_main = broker,
		.context = context,
		.signals = -1,
		.channel = -1,
		.reader = FRAME_READER_INIT,
		.broker_at = DEADLINE_NEVER,
		.kill_at = DEADLINE_NEVER,
		.idle_at = DEADLINE_NEVER,
		.give_up_at = plan->timeout_ms > 0 && !plan->hooks_only
				      ? launcher_now_ms() + plan->timeout_ms + GRACE_TIMEOUT_MS
				      : DEADLINE_NEVER,
		.pty = PTY_INIT,
	};
	struct error err;

	if (launcher_take_signals(&l, &err) < 0 || launcher_broker_start(&l, &err) < 0)
		launcher_fail_error(&l, &err);
	loop(&l);
	launcher_tell_broker(&l, FRAME_EXIT, l.status);
	drain(&l);
	launch_files_remove(l.files);
	launcher_end_broker(&l, GRACE_BROKER_MS);
	closep(&l.signals);
	frame_reader_deinit(&l.reader);
	child_environment_deinit(&l.environment);
	l.mask = mask_free(l.mask);
	return launcher_end_as(&l);
}

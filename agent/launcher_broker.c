/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker ends when its end of the channel is closed, and is started again when it dies before
 * that.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/launcher_state.h"

enum {
	BACKOFF_FIRST_MS = 1000,
	BACKOFF_DOUBLINGS = 5,
	BACKOFF_MOST_MS = 30000,
};

/* A broker that is started again begins, as the first did, without anything that the child was
 * given or has written. */
static void forget_child(struct launcher *l)
{
	for (size_t i = 0; i < l->stream_count; i++) {
		if (launcher_owns(l, &l->streams[i]))
			closep(&l->streams[i].from);
		stream_deinit(&l->streams[i]);
	}
	l->stream_count = 0;
	l->mask = mask_free(l->mask);
	frame_reader_deinit(&l->reader);
	child_environment_deinit(&l->environment);
}

static _Noreturn void broker_process(struct launcher *l, int channel)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setpgid(0, 0);
	(void)dup2(nothing, STDIN_FILENO);
	(void)dup2(nothing, STDOUT_FILENO);
	closep(&nothing);
	closep(&l->signals);
	forget_child(l);
	pty_close_slave(&l->pty);
	closep(&l->pty.master);
	inherited_restore(&l->inherited);
	_exit(l->broker_main(channel, l->context));
}

int launcher_broker_start(struct launcher *l, struct error *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "cannot talk to the broker");
	l->broker = fork();
	if (l->broker == 0) {
		(void)close(ends[0]);
		broker_process(l, ends[1]);
	}
	(void)close(ends[1]);
	l->channel = ends[0];
	if (l->broker < 0) {
		l->broker = 0;
		closep(&l->channel);
		return error_errno(err, errno, "cannot start the broker");
	}
	(void)setpgid(l->broker, l->broker);
	l->broker_at = DEADLINE_NEVER;
	l->broker_since = launcher_now_ms();
	return 0;
}

void launcher_tell_broker(struct launcher *l, enum frame_type type, int wait_status)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(64);
	struct error err;

	if (l->channel < 0)
		return;
	frame_begin(&buf, type);
	frame_put_number(&buf, (uint32_t)wait_status);
	if (frame_send(l->channel, &buf, &err) < 0)
		closep(&l->channel);
}

/* Doubles, until one has lived for a while: also what dies right after it has done its work must
 * not sign in every second. */
static int64_t next_wait(struct launcher *l)
{
	int64_t wait = BACKOFF_MOST_MS;

	if (launcher_now_ms() - l->broker_since > BACKOFF_MOST_MS)
		l->broker_failures = 0;
	if (l->broker_failures < BACKOFF_DOUBLINGS)
		wait = (int64_t)BACKOFF_FIRST_MS << l->broker_failures++;
	return wait;
}

void launcher_broker_lost(struct launcher *l)
{
	int status = l->broker_status;
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	int64_t wait;

	frame_reader_deinit(&l->reader);
	if (l->plan->hooks_only) {
		launcher_finish(l, status);
		return;
	}
	if (l->child == 0 && !clean && WIFEXITED(status)) {
		/* It has said itself what is wrong. */
		launcher_finish(l, status);
	} else if (l->child == 0) {
		launcher_fail(l, STATUS_UNAVAILABLE, "the broker ended before it had the secrets");
	} else if (!clean) {
		wait = next_wait(l);
		l->broker_anew = true;
		l->broker_at = launcher_now_ms() + wait;
		log_warn("the broker died; the child keeps the secrets it has",
			 LOG_NUM("wait_status", status), LOG_NUM("again_in_ms", wait));
	}
}

void launcher_broker_again(struct launcher *l)
{
	struct error err;

	if (launcher_broker_start(l, &err) == 0)
		return;
	log_warn("the broker cannot be started again", LOG_ERR(&err));
	l->broker_at = launcher_now_ms() + BACKOFF_MOST_MS;
}

static void run_hook(struct launcher *l, struct frame *frame)
{
	char **argv = calloc(frame->len / sizeof(uint32_t) + 1, sizeof(*argv));
	struct child_stdio stdio = { .in = -1, .out = STDERR_FILENO, .err = -1, .own_group = true };
	AUTO(closep) int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const char *text;
	size_t len, count = 0;
	struct child_started started = { .exit_status = 127 };

	stdio.in = nothing;
	while (argv != NULL && frame_take_bytes(frame, &text, &len)) {
		argv[count] = strndup(text, len);
		count += argv[count] != NULL;
	}
	if (argv != NULL && count > 0 && l->hook == 0 &&
	    child_start(argv, l->inherited.environment, &l->inherited, &stdio, &started) == 0)
		l->hook = started.pid;
	else if (l->hook == 0)
		launcher_tell_broker(l, FRAME_HOOK_DONE, W_EXITCODE(started.exit_status, 0));
	for (size_t i = 0; i < count; i++)
		free(argv[i]);
	free(argv);
}

static void take_failure(struct launcher *l, struct frame *frame)
{
	AUTO(freep) char *text = NULL;
	const char *bytes = "";
	size_t len = 0;
	uint32_t status = STATUS_UNAVAILABLE;

	if (!frame_take_number(frame, &status) || !frame_take_bytes(frame, &bytes, &len))
		len = 0;
	text = strndup(bytes, len);
	if (l->child != 0)
		log_warn("the broker has no secrets; the child keeps those it has",
			 LOG_STR("cause", text != NULL ? text : ""));
	else
		launcher_fail(l, (int)status, text != NULL ? text : "the broker failed");
}

static void take_frame(struct launcher *l, struct frame *frame)
{
	switch (frame->type) {
	case FRAME_ENV:
		if (!l->plan->hooks_only)
			launcher_take_environment(l, frame);
		break;
	case FRAME_FAIL:
		take_failure(l, frame);
		break;
	case FRAME_EXEC:
		run_hook(l, frame);
		break;
	case FRAME_EXIT:
	case FRAME_HOOK_DONE:
	case FRAME_TYPES:
	default:
		break;
	}
}

void launcher_read_channel(struct launcher *l)
{
	struct error err;
	struct frame frame;
	int got = 0, whole;

	while (!l->done && l->channel >= 0 &&
	       (got = frame_receive(&l->reader, l->channel, &err)) > 0)
		while (!l->done && (whole = frame_next(&l->reader, &frame, &err)) != 0) {
			if (whole < 0) {
				closep(&l->channel);
				break;
			}
			take_frame(l, &frame);
		}
	if (got < 0)
		closep(&l->channel);
}

/* Closes the channel and waits; a second SIGTERM or SIGINT, or the end of the grace, kills. */
void launcher_end_broker(struct launcher *l, int64_t grace_ms)
{
	int64_t until = launcher_now_ms() + grace_ms, now;
	struct pollfd polled = { .fd = l->signals, .events = POLLIN };
	struct signalfd_siginfo info;
	int status;

	if (l->channel >= 0)
		(void)shutdown(l->channel, SHUT_WR);
	while (l->broker > 0) {
		if (waitpid(l->broker, &status, WNOHANG) != 0)
			break;
		now = launcher_now_ms();
		if (now >= until) {
			(void)kill(l->broker, SIGKILL);
			(void)waitpid(l->broker, &status, 0);
			break;
		}
		if (poll(&polled, 1, (int)(until - now)) <= 0 ||
		    read(l->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ||
		    info.ssi_signo == SIGHUP || info.ssi_signo == SIGQUIT) {
			launcher_finish(l, (int)info.ssi_signo);
			until = now;
		}
	}
	l->broker = 0;
	closep(&l->channel);
}

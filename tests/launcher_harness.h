#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher in a process of its own, as a shell would start it, with a broker of the tests' own.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/frame.h"
#include "agent/launcher.h"

struct outcome {
	int status; /* as waitpid */
	struct buf out;
	struct buf err;
};

/* What a test's broker sends. */
struct script {
	uint32_t flags;
	const char *const *variables; /* name, value, …, NULL */
	uint32_t fail_status;	      /* not 0: fail instead */
	bool linger;		      /* until the channel is closed */
};

static inline void wait_for_end(int channel)
{
	char byte;

	while (read(channel, &byte, 1) > 0)
		;
}

static inline int scripted_broker(int channel, void *context)
{
	AUTO(buf_deinit) struct buf buf = FRAME_BUF;
	const struct script *script = context;
	struct error err;

	if (script->fail_status != 0) {
		frame_begin(&buf, FRAME_FAIL);
		frame_put_number(&buf, script->fail_status);
		frame_put_bytes(&buf, "no such path", 12);
	} else {
		frame_begin(&buf, FRAME_ENV);
		frame_put_number(&buf, script->flags);
		for (const char *const *text = script->variables; text != NULL && *text != NULL;
		     text += 2) {
			frame_put_number(&buf,
					 text[0][0] == '/' ? FRAME_ITEM_FILE : FRAME_ITEM_VARIABLE);
			frame_put_bytes(&buf, text[0], strlen(text[0]));
			frame_put_bytes(&buf, text[1], strlen(text[1]));
		}
	}
	if (frame_send(channel, &buf, &err) < 0)
		return 1;
	if (script->linger)
		wait_for_end(channel);
	return 0;
}

static inline pid_t start(const struct launch_plan *plan, broker_main_fn *broker, void *context,
			  int out, int err)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)setsid();
		(void)dup2(out, STDOUT_FILENO);
		(void)dup2(err, STDERR_FILENO);
		_exit(launcher_run(plan, broker, context));
	}
	return pid;
}

static inline void collect(int fd, struct buf *to)
{
	char chunk[512];
	ssize_t got;

	while ((got = read(fd, chunk, sizeof(chunk))) > 0)
		buf_put(to, chunk, (size_t)got);
}

static inline struct outcome launch(const struct launch_plan *plan, broker_main_fn *broker,
				    void *context)
{
	struct outcome outcome = { .out = BUF_INIT(1 << 20), .err = BUF_INIT(1 << 20) };
	int out[2], err[2];
	pid_t pid;

	cr_assert_eq(pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
	pid = start(plan, broker, context, out[1], err[1]);
	(void)close(out[1]);
	(void)close(err[1]);
	collect(out[0], &outcome.out);
	collect(err[0], &outcome.err);
	cr_assert_eq(waitpid(pid, &outcome.status, 0), pid);
	(void)close(out[0]);
	(void)close(err[0]);
	return outcome;
}

static inline void outcome_free(struct outcome *outcome)
{
	buf_deinit(&outcome->out);
	buf_deinit(&outcome->err);
}

#define ARGV(...)      ((char *[]){ __VA_ARGS__, NULL })
#define SHELL(script_) ARGV("sh", "-c", script_)
#define VARIABLES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static inline int exit_status(const struct outcome *outcome)
{
	return WIFEXITED(outcome->status) ? WEXITSTATUS(outcome->status) : -1;
}

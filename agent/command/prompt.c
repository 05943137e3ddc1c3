/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals that end or stop programs are held while the terminal is silent, and take their course
 * once it is not: nobody is left with a shell that shows nothing.
 */
#include "agent/command/prompt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

struct prompt {
	const char *question;
	struct termios shown;
	sigset_t held, before;
	int signals;
};

static int silence(const struct prompt *prompt, struct error *err)
{
	struct termios hidden = prompt->shown;

	hidden.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0)
		return error_errno(err, errno, "the terminal");
	/* Only now: whoever sees the question may type. */
	(void)fprintf(stderr, "%s", prompt->question);
	return 0;
}

static void show(const struct prompt *prompt)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &prompt->shown);
	(void)fputc('\n', stderr);
}

/* What the signal does to us may be nothing, or a stop: then the question stands again. */
static int take_signal(const struct prompt *prompt, struct error *err)
{
	struct signalfd_siginfo info;

	if (read(prompt->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	show(prompt);
	(void)raise((int)info.ssi_signo);
	(void)sigprocmask(SIG_SETMASK, &prompt->before, NULL);
	(void)sigprocmask(SIG_BLOCK, &prompt->held, NULL);
	return silence(prompt, err);
}

/* The terminal gives a line at a time, or what was typed before Ctrl-D. */
static int read_line(const struct prompt *prompt, struct buf *value, struct error *err)
{
	struct pollfd polled[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = prompt->signals, .events = POLLIN },
	};
	char byte = '\0';

	for (;;) {
		ssize_t got;

		if (poll(polled, ARRAY_SIZE(polled), -1) < 0 && errno != EINTR)
			return error_errno(err, errno, "the terminal");
		if (polled[1].revents != 0 && take_signal(prompt, err) < 0)
			return -1;
		if (polled[0].revents == 0)
			continue;
		got = read(STDIN_FILENO, &byte, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "the terminal");
		if (got == 0 && value->len == 0)
			return error_set(err, ERROR_INVALID,
					 "no value was typed, so nothing was changed; Enter alone "
					 "gives an empty one");
		if (got == 0 || byte == '\n')
			return buf_check(value, "the value", err);
		buf_putc(value, byte);
	}
}

int prompt_hidden(const char *question, struct buf *value, struct error *err)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	struct prompt prompt = { .question = question };
	int status;

	if (tcgetattr(STDIN_FILENO, &prompt.shown) < 0)
		return error_errno(err, errno, "the terminal");
	sigemptyset(&prompt.held);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		sigaddset(&prompt.held, ending[i]);
	prompt.signals = signalfd(-1, &prompt.held, SFD_CLOEXEC | SFD_NONBLOCK);
	if (prompt.signals < 0)
		return error_errno(err, errno, "the terminal");

	(void)sigprocmask(SIG_BLOCK, &prompt.held, &prompt.before);
	status = silence(&prompt, err);
	if (status == 0) {
		status = read_line(&prompt, value, err);
		show(&prompt);
	}
	(void)close(prompt.signals);
	(void)sigprocmask(SIG_SETMASK, &prompt.before, NULL);
	return status;
}

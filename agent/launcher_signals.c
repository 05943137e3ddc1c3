/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we pass on, and SIGCHLD, is blocked and read from a signalfd: no code ever runs in a signal
 * handler, and no disposition but SIGCHLD's is touched.
 */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launcher_state.h"

static const int passed_on[] = {
	SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP,
};

/* A shell that waits for us sees its job stop and its terminal as it was; its `fg` reaches the
 * child through SIGCONT. */
static void child_stopped(struct launcher *l)
{
	if (l->shares_group) {
		(void)kill(getpid(), SIGSTOP);
	} else if (l->program != l->child) {
		pty_give_back(&l->pty);
		(void)kill(getpid(), SIGSTOP);
		(void)pty_take_input(&l->pty);
		pty_resize(&l->pty);
	}
}

static void reap(struct launcher *l)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (WIFSTOPPED(status)) {
			if (pid == l->child)
				child_stopped(l);
		} else if (pid == l->broker) {
			l->broker = 0;
			l->broker_status = status;
			launcher_read_channel(l);
			closep(&l->channel);
			if (!l->done)
				launcher_broker_lost(l);
		} else if (pid == l->hook) {
			l->hook = 0;
			launcher_tell_broker(l, FRAME_HOOK_DONE, status);
		} else if (pid == l->child) {
			launcher_child_ended(l, status);
		}
	}
}

/* The terminal has sent these to the whole group already, and so to the child. */
static bool child_has_it(const struct launcher *l, const struct signalfd_siginfo *info)
{
	int number = (int)info->ssi_signo;

	return l->shares_group && info->ssi_code == SI_KERNEL &&
	       (number == SIGINT || number == SIGQUIT || number == SIGTSTP || number == SIGWINCH);
}

static void pass_on(struct launcher *l, const struct signalfd_siginfo *info)
{
	int number = (int)info->ssi_signo;

	if (l->child == 0) {
		/* Nothing to pass it on to yet: what it would have done to the program, it does to
		 * us. */
		if (number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT)
			launcher_finish(l, number);
		else if (number == SIGTSTP)
			(void)kill(getpid(), SIGSTOP);
		return;
	}
	/* What the user ends stays ended, also while it is about to be restarted. */
	if (number == SIGTERM || number == SIGINT || number == SIGQUIT)
		l->restart = false;
	if (number == SIGTERM && ++l->terms >= 2) {
		launcher_kill_group(l);
		return;
	}
	if (number == SIGWINCH && l->pty.master >= 0) {
		pty_resize(&l->pty);
		return;
	}
	if (!child_has_it(l, info))
		launcher_signal_child(l, number);
}

void launcher_read_signals(struct launcher *l)
{
	struct signalfd_siginfo info;

	while (l->signals >= 0 && read(l->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(l);
		else if (!l->plan->hooks_only)
			pass_on(l, &info);
		else if (l->broker > 0 && info.ssi_signo != SIGTSTP && info.ssi_signo != SIGCONT)
			(void)kill(l->broker, (int)info.ssi_signo);
	}
}

int launcher_take_signals(struct launcher *l, struct error *err)
{
	struct sigaction default_action = { .sa_handler = SIG_DFL };
	sigset_t set, blocked;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	/* Blocked but not read: a write to nobody and a terminal that is not ours are errors, not
	 * ends. */
	blocked = set;
	sigaddset(&blocked, SIGPIPE);
	sigaddset(&blocked, SIGTTOU);
	sigaddset(&blocked, SIGTTIN);

	l->inherited.environment = environ;
	/* With SIGCHLD ignored, as some parents leave it, the kernel would keep no status for us.
	 */
	if (sigaction(SIGCHLD, &default_action, &l->inherited.child_ended) < 0 ||
	    sigprocmask(SIG_BLOCK, &blocked, &l->inherited.mask) < 0)
		return error_errno(err, errno, "cannot block signals");
	l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->signals < 0)
		return error_errno(err, errno, "cannot receive signals");
	return 0;
}

/* Ends as the child did. As PID 1 a signal of our own does nothing: the shell's number for it is
 * left. */
int launcher_end_as(const struct launcher *l)
{
	struct sigaction default_action = { .sa_handler = SIG_DFL };
	int number = WTERMSIG(l->status);
	sigset_t set;

	if (WIFEXITED(l->status)) {
		inherited_restore(&l->inherited);
		return WEXITSTATUS(l->status);
	}
	sigemptyset(&set);
	sigaddset(&set, number);
	(void)sigaction(number, &default_action, NULL);
	(void)kill(getpid(), number);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + number;
}

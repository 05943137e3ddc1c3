/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between fork and exec. Whatever we changed of what execve hands on is put back here, and nothing
 * else is changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/launcher_parts.h"

/* As every shell says it. */
enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

void inherited_restore(const struct inherited *inherited)
{
	(void)sigaction(SIGCHLD, &inherited->child_ended, NULL);
	(void)sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}

static int say_why(const char *program, int number)
{
	if (number == E2BIG)
		(void)dprintf(
			STDERR_FILENO,
			"agent: %s: arguments and environment are more than the kernel takes\n",
			program);
	else if (number == ENOENT && strchr(program, '/') == NULL)
		(void)dprintf(STDERR_FILENO, "agent: %s: command not found\n", program);
	else
		(void)dprintf(STDERR_FILENO, "agent: cannot run %s: %s\n", program,
			      strerror(number));
	return number == ENOENT || number == ENOTDIR ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}

/* Whether a directory of PATH that we may look into has such a file. */
static bool is_found(const char *name)
{
	const char *path = getenv("PATH"), *end;
	struct stat about;

	for (; path != NULL && *path != '\0'; path = *end != '\0' ? end + 1 : end) {
		AUTO(freep) char *file = NULL;

		end = strchrnul(path, ':');
		if (asprintf(&file, "%.*s/%s", (int)(end - path), path, name) < 0) {
			file = NULL;
			return false;
		}
		if (stat(path[0] == ':' ? name : file, &about) == 0)
			return true;
	}
	return false;
}

/* Searches the PATH that the program will have. */
static void execute(char **argv, char **environment)
{
	char **ours = environ;
	int number;

	environ = environment;
	(void)execvp(argv[0], argv);
	number = errno;
	/* A directory of PATH that is closed to us is what execvp tells of, with no such file there
	 * or anywhere. */
	if (number == EACCES && strchr(argv[0], '/') == NULL && !is_found(argv[0]))
		number = ENOENT;
	environ = ours;
	errno = number;
}

int child_become(char **argv, char **environment, const struct inherited *inherited)
{
	inherited_restore(inherited);
	execute(argv, environment);
	return say_why(argv[0], errno);
}

/* ---- starting ---- */

/* What the new process tells before it is the program. */
struct told {
	enum { TOLD_PROGRAM, TOLD_FAILURE } what;
	int number; /* the program's pid, or errno */
};

struct start {
	char **argv, **environment;
	const struct inherited *inherited;
	const struct child_stdio *stdio;
	int tell;
};

static void tell(const struct start *start, struct told told)
{
	(void)!write(start->tell, &told, sizeof(told));
}

static int terminal_of(const struct child_stdio *stdio)
{
	return stdio->in >= 0 ? STDIN_FILENO : STDOUT_FILENO;
}

static void take_stdio(const struct child_stdio *stdio)
{
	const int given[] = { stdio->in, stdio->out, stdio->err };

	if (stdio->own_group)
		(void)setpgid(0, 0);
	if (stdio->terminal)
		(void)setsid();
	for (int fd = 0; fd < 3; fd++)
		if (given[fd] >= 0)
			(void)dup2(given[fd], fd);
	if (stdio->terminal)
		(void)ioctl(terminal_of(stdio), TIOCSCTTY, 0);
}

/* kill -9 of the pid that the user knows ends the program, as it would have without us. */
static void die_with(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_NOT_EXECUTABLE);
}

static _Noreturn void become_program(const struct start *start)
{
	inherited_restore(start->inherited);
	execute(start->argv, start->environment);
	tell(start, (struct told){ .what = TOLD_FAILURE, .number = errno });
	_exit(STATUS_NOT_EXECUTABLE);
}

static _Noreturn void end_as(int status)
{
	struct sigaction default_action = { .sa_handler = SIG_DFL };
	sigset_t set;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	(void)sigaction(WTERMSIG(status), &default_action, NULL);
	(void)kill(getpid(), WTERMSIG(status));
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(STATUS_NOT_EXECUTABLE);
}

/* Leads the pty's session as a shell would, so that its only job can be stopped: the kernel lets no
 * terminal stop a session's leader. Stops and ends as the program does. */
static _Noreturn void lead(struct start *start)
{
	int terminal = terminal_of(start->stdio), status;
	pid_t leader = getpid(), program = fork();

	if (program == 0) {
		die_with(leader);
		(void)setpgid(0, 0);
		(void)tcsetpgrp(terminal, getpid());
		become_program(start);
	}
	if (program < 0) {
		tell(start, (struct told){ .what = TOLD_FAILURE, .number = errno });
		_exit(STATUS_NOT_EXECUTABLE);
	}
	(void)setpgid(program, program);
	(void)tcsetpgrp(terminal, program);
	tell(start, (struct told){ .what = TOLD_PROGRAM, .number = program });
	/* What is open here is the launcher's and the program's: who waits for its end must not
	 * wait for ours. */
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	while (waitpid(program, &status, WUNTRACED) == program && WIFSTOPPED(status)) {
		(void)kill(leader, SIGSTOP);
		(void)tcsetpgrp(terminal, program);
		(void)kill(-program, SIGCONT);
	}
	end_as(status);
}

/* Until both ends of the program's way are known: it runs, or it cannot. */
static int hear_start(int hear, const char *program, struct child_started *ret)
{
	struct told told;

	while (read(hear, &told, sizeof(told)) == (ssize_t)sizeof(told)) {
		if (told.what == TOLD_FAILURE) {
			ret->exit_status = say_why(program, told.number);
			return -1;
		}
		ret->program = told.number;
	}
	return 0;
}

int child_start(char **argv, char **environment, const struct inherited *inherited,
		const struct child_stdio *stdio, struct child_started *ret)
{
	struct start start = { argv, environment, inherited, stdio, -1 };
	AUTO(closep) int hear = -1;
	int ends[2];
	pid_t launcher = getpid(), pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		ret->exit_status = say_why(argv[0], errno);
		return -1;
	}
	hear = ends[0];
	start.tell = ends[1];
	pid = fork();
	if (pid == 0) {
		closep(&hear);
		take_stdio(stdio);
		die_with(launcher);
		if (stdio->job_control)
			lead(&start);
		become_program(&start);
	}
	closep(&start.tell);
	if (pid < 0) {
		ret->exit_status = say_why(argv[0], errno);
		return -1;
	}
	if (stdio->own_group)
		(void)setpgid(pid, pid);
	ret->pid = ret->program = pid;
	return hear_start(hear, argv[0], ret);
}

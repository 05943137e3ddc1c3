/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between fork and exec. Whatever we changed of what execve hands on is put back here, and nothing
 * else is changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
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

/* Searches the PATH that the program will have. */
static void execute(char **argv, char **environment)
{
	char **ours = environ;
	int number;

	environ = environment;
	(void)execvp(argv[0], argv);
	number = errno;
	environ = ours;
	errno = number;
}

int child_become(char **argv, char **environment, const struct inherited *inherited)
{
	inherited_restore(inherited);
	execute(argv, environment);
	return say_why(argv[0], errno);
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
		(void)ioctl(stdio->in >= 0 ? STDIN_FILENO : STDOUT_FILENO, TIOCSCTTY, 0);
}

pid_t child_start(char **argv, char **environment, const struct inherited *inherited,
		  const struct child_stdio *stdio, int *exit_status)
{
	AUTO(closep) int tell = -1, hear = -1;
	int ends[2], number = 0;
	pid_t launcher = getpid(), pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		*exit_status = say_why(argv[0], errno);
		return -1;
	}
	hear = ends[0];
	tell = ends[1];
	pid = fork();
	if (pid == 0) {
		take_stdio(stdio);
		/* kill -9 of the pid that the user knows ends the program, as it would have without
		 * us. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != launcher)
			_exit(STATUS_NOT_EXECUTABLE);
		inherited_restore(inherited);
		execute(argv, environment);
		number = errno;
		(void)!write(tell, &number, sizeof(number));
		_exit(STATUS_NOT_EXECUTABLE);
	}
	if (pid < 0) {
		*exit_status = say_why(argv[0], errno);
		return -1;
	}
	if (stdio->own_group)
		(void)setpgid(pid, pid);
	closep(&tell);
	if (read(hear, &number, sizeof(number)) == (ssize_t)sizeof(number)) {
		*exit_status = say_why(argv[0], number);
		return -1;
	}
	return pid;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's first steps; what it can do stands in agent/command/commands.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/command/usage.h"
#include "agent/harden.h"

/* A closed standard stream's number would go to the next file that is opened, and the log into that
 * file. What is opened here closes at exec, so that a child finds its streams as they were; and it
 * is open the wrong way round, so that reading a value from nowhere and writing one to nowhere fail
 * as they would without it. */
static void reserve_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null",
				   (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	/* No debugger of our uid from here on; a failure is told where the rest of the hardening
	 * is. */
	(void)harden_early();
	if (wipe_install() < 0) {
		(void)fputs(
			"agent: cannot install the wiping allocator: a library allocated memory "
			"before main (is something preloaded?)\n",
			stderr);
		return EX_SOFTWARE;
	}
	reserve_standard_streams();
	return command_main(argc, argv);
}

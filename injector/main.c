/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's first steps; what it can do stands in injector/command/commands.c.
 */
#include <stdio.h>
#include <sysexits.h>

#include "agent/base/wipe.h"
#include "injector/command/command.h"

int main(int argc, char **argv)
{
	if (wipe_install() < 0) {
		(void)fputs(
			"injector: cannot install the wiping allocator: a library allocated "
			"memory before main (is something preloaded?)\n",
			stderr);
		return EX_SOFTWARE;
	}
	return injector_main(argc, argv);
}

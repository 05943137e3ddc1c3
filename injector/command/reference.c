/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `injector reference` prints what the operator's file and the peers' annotations may say.
 */
#include "injector/reference.h"

#include <stdio.h>
#include <sysexits.h>

#include "injector/command/command.h"

enum { REFERENCE_MAX = 256 << 10 };

static int run(int argc, char **argv);

const struct command command_injector_reference = {
	.name = "reference",
	.arguments = "",
	.summary =
		"Print what the operator's file and the peers' annotations may say, in Markdown.",
	.run = run,
};

static int run(int argc, char **argv)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(REFERENCE_MAX);
	struct error err;
	int status = injector_parse(&command_injector_reference, NULL, argc, argv, NULL);

	if (status != 0)
		return status;
	injector_write_reference(&out);
	if (buf_check(&out, "the reference", &err) < 0)
		return injector_fail(&err);
	return fputs(out.data, stdout) < 0 || fflush(stdout) != 0 ? EX_IOERR : 0;
}

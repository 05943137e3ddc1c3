/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program can do, a row each.
 */
#include "injector/command/command.h"

/* clang-format off */
extern const struct command
	command_injector_serve,
	command_injector_explain,
	command_injector_check,
	command_injector_reference;

const struct command *const injector_commands[] = {
	&command_injector_serve,
	&command_injector_explain,
	&command_injector_check,
	&command_injector_reference,
	NULL,
};
/* clang-format on */

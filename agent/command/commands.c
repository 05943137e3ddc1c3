/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program can do: its commands and its backends, a row each.
 */
#include "agent/base/backend.h"
#include "agent/command/command.h"
#include "backends/sops.h"
#include "backends/vault.h"

/* A row each. */
/* clang-format off */
extern const struct command
	command_run,
	command_serve,
	command_get,
	command_secrets,
	command_status,
	command_ready,
	command_check,
	command_copy,
	command_template,
	command_completion;

const struct command *const commands[] = {
	&command_run,
	&command_serve,
	&command_get,
	&command_secrets,
	&command_status,
	&command_ready,
	&command_check,
	&command_copy,
	&command_template,
	&command_completion,
	NULL,
};
/* clang-format on */

const struct backend_ops *const backend_types[] = {
	&vault_backend,
	&sops_backend,
	NULL,
};

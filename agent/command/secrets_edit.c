/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/secrets_file.h"

int secrets_edit(const char *file, struct error *err)
{
	return error_set(err, ERROR_INVALID, "%s: edit is not supported yet", file);
}

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files encrypted with SOPS and age keys, as a backend: its requests are files.
 */
#include "agent/base/backend.h"

struct sops_options {
	char *file;
	char *age_key_file; /* NULL: $SOPS_AGE_KEY, $SOPS_AGE_KEY_FILE or the standard place */
};

extern const struct backend_ops sops_backend;

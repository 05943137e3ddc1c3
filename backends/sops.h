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

/* What to do where there is no key. */
#define SOPS_KEY_REMEDY "`agent secrets init` makes a key, or set SOPS_AGE_KEY or SOPS_AGE_KEY_FILE"

extern const struct backend_ops sops_backend;

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `agent secrets` does, one function per action. Errors name the file.
 */
#include "agent/base/error.h"
#include "backends/sops_tree.h"

enum { SECRETS_RECIPIENTS_MAX = 64 };

struct secrets_arguments {
	const char *file; /* NULL: the nearest */
	const char *name; /* of a value, or of a file; NULL: none was given */
	const char *recipients[SECRETS_RECIPIENTS_MAX];
	size_t recipient_count;
	enum sops_format format;
	bool format_given, raw, in_place;
};

int secrets_init(const struct secrets_arguments *arguments, struct error *err) MUST_USE;
int secrets_set(const struct secrets_arguments *arguments, struct error *err) MUST_USE;
int secrets_get(const struct secrets_arguments *arguments, struct error *err) MUST_USE;
int secrets_list(const struct secrets_arguments *arguments, struct error *err) MUST_USE;
int secrets_rm(const struct secrets_arguments *arguments, struct error *err) MUST_USE;
int secrets_edit_file(const struct secrets_arguments *arguments, struct error *err) MUST_USE;
int secrets_import(const struct secrets_arguments *arguments, struct error *err) MUST_USE;
int secrets_encrypt(const struct secrets_arguments *arguments, struct error *err) MUST_USE;
int secrets_decrypt(const struct secrets_arguments *arguments, struct error *err) MUST_USE;

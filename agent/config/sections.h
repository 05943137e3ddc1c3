#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections of agent.yaml, in the order in which they are read: later ones refer to earlier
 * ones.
 */
#include "agent/config/reader.h"

void read_backends(struct reader *reader);
void read_secrets(struct reader *reader);
void read_sinks(struct reader *reader);
void read_variables(struct reader *reader);

/* [A-Za-z0-9._-]+ without "..": what a backend or a secret may be called. */
bool config_name_is_valid(const char *name);

/* Tells a problem unless `secrets` of the file declares the name; also one whose own lines are
 * wrong counts. */
void check_secret_exists(struct reader *reader, struct yaml_mark mark, const char *where,
			 const char *name);

/* Splits NAME.FIELD, NAME#FIELD, NAME#/pointer or NAME by the longest of `names` (NULL-terminated);
 * *field is NULL for the last. Both are the caller's. */
int reference_split(const char *text, const char *const *names, char **secret, char **field,
		    struct error *err) MUST_USE;

const struct backend_ops *backend_type_find(config_backend_types types, const char *name);

/* " (did you mean 'x'?)" or "", lives in `hint`. */
const char *backend_type_hint(char hint[WHERE_MAX], config_backend_types types, const char *name);

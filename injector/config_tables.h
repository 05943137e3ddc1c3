#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of the operator's file, a row each; injector/config.c fills the structs they describe.
 */
#include "injector/config.h"

/* What needs a look before it can go into the profile. */
struct profile_extra {
	char *run_as_user;
	struct strings allow;
};

extern const struct option injector_table[], profile_table[], profile_extra_table[];

/* In the order of enum allow_key; ends with NULL. */
extern const char *const allow_key_names[];

/* -1 when there is none. */
int allow_key_find(const char *name);

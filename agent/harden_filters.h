#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two filters that the kernel keeps for us. Both are for good and both survive execve.
 */
#include "agent/harden.h"

/* -1 with errno when the kernel has no landlock; a path that cannot be opened is left out, and so
 * refused later. */
int harden_landlock(const struct harden_rules *rules, struct harden_report *report,
		    struct error *err) MUST_USE;

/* -1 with errno. */
int harden_seccomp(void) MUST_USE;

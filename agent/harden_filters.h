#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules that the kernel keeps for us, for good and across execve; the other filter is
 * agent/io/seccomp.h.
 */
#include "agent/harden.h"

/* -1 with errno when the kernel has no landlock; a path that cannot be opened is left out, and so
 * refused later. */
int harden_landlock(const struct harden_rules *rules, struct harden_report *report,
		    struct error *err) MUST_USE;

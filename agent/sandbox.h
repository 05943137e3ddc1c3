#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a configuration needs of the system, as hardening rules: the files that its backends read,
 * the directories that its sinks write, the ports of its servers. Everything else is given up.
 */
#include <stdbool.h>

#include "agent/broker.h"
#include "agent/config/config.h"
#include "agent/harden.h"
#include "agent/status.h"

enum { SANDBOX_FACTS = 5, SANDBOX_ABI_MAX = 16 };

struct sandbox {
	struct harden_rules rules;
	struct harden_report report;
	char landlock[SANDBOX_ABI_MAX];
	struct status_fact facts[SANDBOX_FACTS]; /* for status; good while the sandbox lives */
};

/* Collects what the configuration and the broker's opened backends need; NULL broker: the
 * configuration alone. */
int sandbox_collect(struct harden_rules *rules, const struct config *config,
		    const struct broker *broker, struct error *err) MUST_USE;

/* Enters it for good. Call after the sinks were opened and before the first byte from outside. */
int sandbox_enter(struct sandbox *sandbox, const struct config *config, const struct broker *broker,
		  bool allow_degraded, struct error *err) MUST_USE;

/* 0 when a new configuration stays inside; else ERROR_INVALID: "restart needed: PATH". */
int sandbox_covers(const struct sandbox *sandbox, const struct config *config,
		   struct error *err) MUST_USE;

/* The same for the ports and files of opened backends. */
struct source;
int sandbox_covers_sources(const struct sandbox *sandbox, const struct source *sources,
			   size_t count, struct error *err) MUST_USE;

void sandbox_deinit(struct sandbox *sandbox);

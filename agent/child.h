#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's part of `agent run`: fetches, hands the environment to the launcher, keeps leases
 * alive.
 */
#include "agent/config/config.h"
#include "agent/run_request.h"

/* A broker_main_fn's body. Returns its exit status; the reason goes to the launcher. */
int child_broker_main(const struct config *config, const struct run_request *request, int channel);

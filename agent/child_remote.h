#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's part of `agent run --socket`: takes the secrets from a running agent, hands the
 * environment to the launcher, and ends; with --watch it stays and hands over new versions. Leases
 * are the running agent's business.
 */
#include "agent/config/config.h"
#include "agent/run_request.h"

/* A broker_main_fn's body, for a request with a socket and a configuration of remote_declare.
 * Returns its exit status; the reason goes to the launcher. */
int child_remote_main(const struct config *config, const struct run_request *request, int channel);

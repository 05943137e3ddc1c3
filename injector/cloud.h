#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cloud's identity of an application, which the cloud's own webhook gave to its containers and
 * to nobody who came later.
 */
#include "agent/base/json_edit.h"
#include "injector/plan.h"

/* Adds to the agent's lists of variables and mounts what the application's containers have. */
void cloud_carry_over(const struct plan *plan, struct json_node *env, struct json_node *mounts);

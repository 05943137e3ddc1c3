#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of the agent in the pod, out of a plan. It holds no secret, and the same plan
 * gives the same text.
 */
#include "agent/base/buf.h"
#include "injector/plan.h"

void agent_yaml_write(const struct plan *plan, struct buf *out);

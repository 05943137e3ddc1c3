#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own containers: restricted by construction, small, and with what the profile says.
 */
#include "agent/base/buf.h"
#include "injector/plan.h"

enum agent_role {
	AGENT_NATIVE,  /* stays, starts before the application, and is waited for */
	AGENT_SIDECAR, /* stays, beside the application */
	AGENT_ONCE,    /* publishes and ends */
	AGENT_COPY,    /* puts the program where wrapped containers find it, and ends */
};

/* Appends text so that a kubelet, which expands $(NAME), leaves it as it is. */
void kube_escape(struct buf *out, const char *text);

/* NULL when the pod was refused, or memory is short. */
struct json_node *agent_container(const struct plan *plan, enum agent_role role);

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cluster's versions are: a conversation with the API server as a step function. Kubelets
 * are asked for as the table that `kubectl get nodes` prints, since a node whole is a hundred times
 * larger.
 */
#include "agent/base/message.h"
#include "injector/versions.h"

#define CLUSTER_PAGE	   200 /* nodes in a reply */
#define CLUSTER_REFRESH_MS 300000

enum cluster_next { CLUSTER_SEND, CLUSTER_DONE, CLUSTER_FAILED };

struct cluster_question {
	struct request request; /* after CLUSTER_SEND */
	struct cluster_versions found;
	bool asked_version;
	bool kubelet_unknown; /* one of them could not be read */
};

#define CLUSTER_QUESTION_INIT ((struct cluster_question){ .request = REQUEST_INIT })

/* NULL first, then each reply. After CLUSTER_DONE `ret` is set. */
enum cluster_next cluster_step(struct cluster_question *question, const struct reply *reply,
			       struct cluster_versions *ret, struct error *err);
void cluster_question_deinit(struct cluster_question *question);

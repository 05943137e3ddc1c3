#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cluster can do, from the versions of its API server and of its oldest kubelet. Unknown
 * means old: an old server drops what it does not know in silence, and the pod then hangs.
 */
#include <stdbool.h>

#include "agent/base/error.h"

struct kube_version {
	unsigned major, minor; /* both 0: unknown */
};

struct cluster_versions {
	struct kube_version server;
	struct kube_version oldest_kubelet;
};

/* "v1.34.2", "1.34", "v1.29.3-gke.100", "1.28+". */
int kube_version_read(const char *text, struct kube_version *ret, struct error *err) MUST_USE;

bool kube_version_is_known(struct kube_version version);
bool kube_version_less(struct kube_version one, struct kube_version other);

/* Both the server and every kubelet. */
bool versions_have_native_sidecars(const struct cluster_versions *versions);
bool versions_have_env_files(const struct cluster_versions *versions);

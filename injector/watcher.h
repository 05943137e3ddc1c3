#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the cluster's versions known: asks at the start, and again every CLUSTER_REFRESH_MS.
 */
#include "injector/cluster.h"
#include "injector/kube.h"

struct watcher;

/* Writes into *versions, which outlives it, what is found; what is not found stays. */
struct watcher *watcher_new(struct loop *loop, const struct clock *clock, struct kube *kube,
			    struct cluster_versions *versions, struct error *err) MUST_USE;

/* After the kube that it uses was freed. Returns NULL. */
struct watcher *watcher_free(struct watcher *watcher);

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to a pod as it came. Nothing here changes it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/json_edit.h"

/* spec.containers or spec.initContainers; an empty walk when it is absent or no list. */
const struct json_node *pod_containers(const struct json_node *pod, bool init);

/* The container or init container of that name; NULL when there is none. */
const struct json_node *pod_container(const struct json_node *pod, const char *name);
/* A name that an API server takes for a ConfigMap, a Secret or a namespace. */
bool object_name_is_valid(const char *name);

const char *container_name(const struct json_node *container); /* "" without one */

bool pod_has_volume(const struct json_node *pod, const char *name);

/* Made by a service mesh, and no application: gets no secrets unless it is named. */
bool container_is_mesh(const struct json_node *container);

/* In front of which init container ours goes: behind the mesh's own native sidecar, through which
 * the network then goes, else first, before the mesh takes the network away. */
size_t pod_agent_position(const struct json_node *pod);

bool container_is_native_sidecar(const struct json_node *container);

/* The mount of the container that equals, contains or lies in the path, /var/run counted as /run;
 * NULL when there is none. */
const char *container_mount_conflict(const struct json_node *container, const char *path);
/* The one that is the same path. */
const char *container_mount_same(const struct json_node *container, const char *path);

/* Does the path hold `inner`, or equal it? */
bool path_covers(const char *path, const char *inner);

/* No mount of the list equals, contains or lies in the path. */
bool mounts_leave_free(const struct json_node *mounts, const char *path);

const struct json_node *container_variable(const struct json_node *container, const char *name);

/* Requests equal limits in every container, so that the kubelet evicts it last. */
bool pod_is_guaranteed(const struct json_node *pod);
/* Whether the pod has been given an amount of this as a whole, which its containers then share. */
bool pod_shares(const struct json_node *pod, const char *resource);

/* Does anything in the pod run as that user? */
bool pod_uses_uid(const struct json_node *pod, int64_t uid);

bool pod_is_windows(const struct json_node *pod);

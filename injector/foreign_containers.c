/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the peers' annotations say about the agent's container.
 */
#include <string.h>

#include "agent/base/text.h"
#include "injector/annotations.h"
#include "injector/foreign_readers.h"
#include "injector/pod.h"
#include "injector/quantity.h"

FOREIGN_TAKE(foreign_read_containers, containers)
FOREIGN_TAKE(foreign_read_copy_mounts, copy_mounts)

int foreign_read_pre_populate(struct wish *wish, const char *member, const char *value)
{
	bool on;

	(void)member;
	if (foreign_take_bool(wish, value, &on) < 0)
		return -1;
	wish->no_init = !on;
	return 0;
}

int foreign_read_only_init(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	(void)value;
	wish->shape = SHAPE_INIT;
	return 0;
}

int foreign_read_tls_secret(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->tls_secret = value;
	return wish_check_label(wish, value, "Secret");
}

int foreign_read_extra_secret(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->extra_secret = value;
	return wish_check_label(wish, value, "Secret");
}

int foreign_read_agent_patch(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->agent_patch = value;
	return 0;
}

int foreign_read_init_patch(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	wish->init_patch = value;
	return 0;
}

static int take_quantity(struct wish *wish, const char *value, const char **ret)
{
	int64_t milli;
	struct error err;

	if (value[0] != '\0' && quantity_read(value, &milli, &err) < 0)
		return foreign_refuse_error(wish, &err);
	*ret = value;
	return 0;
}

#define QUANTITY(function_, member_)                                                               \
	int function_(struct wish *wish, const char *member, const char *value)                    \
	{                                                                                          \
		(void)member;                                                                      \
		return take_quantity(wish, value, &wish->resources.member_);                       \
	}

QUANTITY(foreign_read_limits_cpu, limits_cpu)
QUANTITY(foreign_read_limits_memory, limits_memory)
QUANTITY(foreign_read_limits_storage, limits_storage)
QUANTITY(foreign_read_requests_cpu, requests_cpu)
QUANTITY(foreign_read_requests_memory, requests_memory)
QUANTITY(foreign_read_requests_storage, requests_storage)

static int take_id(struct wish *wish, const char *value, int64_t *ret)
{
	uint64_t id;
	struct error err;

	if (text_read_unsigned(value, INT32_MAX, &id, &err) < 0)
		return foreign_refuse_error(wish, &err);
	if (id == 0)
		foreign_warn(wish, "the agent does not run as root");
	else
		*ret = (int64_t)id;
	return 0;
}

int foreign_read_user(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	return take_id(wish, value, &wish->run_as_user);
}

int foreign_read_group(struct wish *wish, const char *member, const char *value)
{
	(void)member;
	return take_id(wish, value, &wish->run_as_group);
}

int foreign_read_same_user(struct wish *wish, const char *member, const char *value)
{
	const struct json_node *first = pod_containers(wish->pod, false)->first;
	int64_t uid = json_integer(json_get(json_get(first, "securityContext"), "runAsUser"), 0);

	(void)member;
	(void)value;
	if (uid <= 0)
		return wish_refuse(wish, REASON_CONTAINER,
				   "the first container has no runAsUser other than root: give it "
				   "one, or remove the annotation");
	wish->run_as_user = uid;
	return 0;
}

/* The one part of the security context that a cluster may want to choose. */
int foreign_read_security(struct wish *wish, const char *member, const char *value)
{
	bool on;

	(void)member;
	if (foreign_take_bool(wish, value, &on) < 0)
		return -1;
	if (!on) {
		wish->run_as_user = -1;
		wish->run_as_group = -1;
	}
	return 0;
}

int foreign_read_share(struct wish *wish, const char *member, const char *value)
{
	const struct json_node *there =
		json_get(json_get(wish->pod, "spec"), "shareProcessNamespace");

	(void)member;
	(void)value;
	if (there != NULL && !json_bool(there, true))
		return wish_refuse(wish, REASON_CONFLICT,
				   "the pod says shareProcessNamespace: false: remove one of the "
				   "two");
	wish->share_process_namespace = 1;
	return 0;
}

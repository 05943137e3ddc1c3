#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readers of the peers' annotations, for their table.
 */
#include "injector/annotations.h"
#include "injector/wish.h"

/* A row each. */
/* clang-format off */
extern annotation_read_fn
	foreign_read_secret,
	foreign_read_file,
	foreign_read_perms,
	foreign_read_default_template,
	foreign_check_bool,
	foreign_read_volume_path,
	foreign_read_volume_path_of,
	foreign_read_case,
	foreign_read_case_of,
	foreign_read_pre_populate,
	foreign_read_only_init,
	foreign_read_tls_secret,
	foreign_read_extra_secret,
	foreign_read_agent_patch,
	foreign_read_init_patch,
	foreign_read_user,
	foreign_read_group,
	foreign_read_same_user,
	foreign_read_security,
	foreign_read_share,
	foreign_read_containers,
	foreign_read_copy_mounts,
	foreign_read_role,
	foreign_read_server_name,
	foreign_read_ca_cert,
	foreign_read_client_cert,
	foreign_read_client_key,
	foreign_read_limits_cpu,
	foreign_read_limits_memory,
	foreign_read_limits_storage,
	foreign_read_requests_cpu,
	foreign_read_requests_memory,
	foreign_read_requests_storage,
	foreign_read_auth_path,
	foreign_read_namespace,
	foreign_read_service,
	foreign_read_auth_type,
	foreign_read_auth_config,
	foreign_read_interval,
	foreign_read_revoke,
	foreign_read_log_level,
	foreign_read_log_format;
/* clang-format on */

/* The profile says the same. */
bool foreign_is_profiles_service(const struct wish *wish, const char *value);
bool foreign_is_profiles_mount(const struct wish *wish, const char *value);

/* "…: is ignored: why". */
void foreign_warn(struct wish *wish, const char *why);

/* Returns -1. */
int foreign_refuse_error(struct wish *wish, const struct error *err);
int foreign_take_bool(struct wish *wish, const char *value, bool *ret);

/* A reader that takes one line of text over. */
#define FOREIGN_TAKE(function_, member_)                                                           \
	int function_(struct wish *wish, const char *member, const char *value)                    \
	{                                                                                          \
		(void)member;                                                                      \
		wish->member_ = value;                                                             \
		return wish_check_line(wish, value);                                               \
	}

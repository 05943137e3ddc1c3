#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process that holds secrets gives up: dumps, debuggers, new privileges, other files, other
 * ports and most of the kernel. All of it but harden_early survives execve, so only the broker is
 * hardened, never the launcher.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/error.h"

/* The first statement of main: no core, no debugger, no reader of /proc/PID/environ with our uid.
 * The kernel undoes it at execve, so a child inherits nothing. */
int harden_early(void);

/* Landlock binds inodes: the rules name directories, so that swaps, renames and re-created
 * directories stay inside. */
struct harden_rules {
	struct harden_path {
		char *path; /* a directory; of anything else, and of what is not there yet, the
			       parent is allowed */
		bool write;
	} * paths;
	size_t path_count;
	struct harden_path *named; /* directories that were asked for, as they were named */
	size_t named_count;
	uint16_t *ports; /* that may be connected to */
	size_t port_count;
	bool listens; /* a TCP listener (metrics) was configured: binding is not restricted */
	bool network; /* some backend uses the network: resolver files, the public roots and port 53
			 are added */
};

/* Takes a path of the configuration: of a file its directory, and where a link leads elsewhere that
 * directory too. */
int harden_allow_path(struct harden_rules *rules, const char *path, bool write,
		      struct error *err) MUST_USE;
int harden_allow_port(struct harden_rules *rules, uint16_t port, struct error *err) MUST_USE;
/* True when the rules already cover the path; a reload that needs one outside is refused whole. */
bool harden_allows(const struct harden_rules *rules, const char *path, bool write);
void harden_rules_free(struct harden_rules *rules);

struct harden_report {
	bool not_dumpable;
	bool no_core;
	bool no_new_privs;
	bool seccomp;
	int landlock_abi; /* 0: the kernel has none, or it is off */
	bool landlock_ports;
};

/* Hardens this process for good: no core file, umask 0077, no_new_privs, landlock, seccomp. Call
 * after the configuration was read and before the first byte from outside. Without allow_degraded a
 * facility that is missing is an error that names it and the flag. (Ports need landlock ABI 4;
 * their absence alone is only reported.) */
int harden_broker(const struct harden_rules *rules, bool allow_degraded,
		  struct harden_report *report, struct error *err) MUST_USE;

/* What this process has, asked from the kernel where it answers. */
void harden_write_json(struct buf *out, const struct harden_report *report);

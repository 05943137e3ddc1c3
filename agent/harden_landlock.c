/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By raw system calls: the newest interface is used as far as the running kernel has it, whatever
 * headers were there when this was built.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/harden_filters.h"

/* linux/landlock.h up to ABI 7; Debian 12's has only the first two. */
enum {
	ACCESS_EXECUTE = 1 << 0,
	ACCESS_WRITE_FILE = 1 << 1,
	ACCESS_READ_FILE = 1 << 2,
	ACCESS_READ_DIR = 1 << 3,
	ACCESS_REMOVE_DIR = 1 << 4,
	ACCESS_REMOVE_FILE = 1 << 5,
	ACCESS_MAKE_CHAR = 1 << 6,
	ACCESS_MAKE_DIR = 1 << 7,
	ACCESS_MAKE_REG = 1 << 8,
	ACCESS_MAKE_SOCK = 1 << 9,
	ACCESS_MAKE_FIFO = 1 << 10,
	ACCESS_MAKE_BLOCK = 1 << 11,
	ACCESS_MAKE_SYM = 1 << 12,
	ACCESS_REFER = 1 << 13,	    /* ABI 2 */
	ACCESS_TRUNCATE = 1 << 14,  /* ABI 3 */
	ACCESS_IOCTL_DEV = 1 << 15, /* ABI 5 */
	ACCESS_ABI_1 = (1 << 13) - 1,
	NET_BIND_TCP = 1 << 0, /* ABI 4 */
	NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, /* ABI 6 */
	CREATE_RULESET_VERSION = 1 << 0,
	RULE_PATH_BENEATH = 1,
	RULE_NET_PORT = 2,
};

enum {
	READ_ACCESS = ACCESS_READ_FILE | ACCESS_READ_DIR,
	WRITE_ACCESS = READ_ACCESS | ACCESS_WRITE_FILE | ACCESS_REMOVE_DIR | ACCESS_REMOVE_FILE |
		       ACCESS_MAKE_DIR | ACCESS_MAKE_REG | ACCESS_MAKE_SOCK | ACCESS_MAKE_SYM |
		       ACCESS_REFER | ACCESS_TRUNCATE,
};

/* What a rule on anything but a directory may speak of. */
enum { FILE_ACCESS = ACCESS_READ_FILE | ACCESS_WRITE_FILE | ACCESS_TRUNCATE };

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_rule {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t access, port;
};

static struct ruleset handled_by(int abi, bool listens)
{
	struct ruleset set = { .fs = ACCESS_ABI_1 };

	if (abi >= 2)
		set.fs |= ACCESS_REFER;
	if (abi >= 3)
		set.fs |= ACCESS_TRUNCATE;
	if (abi >= 4)
		set.net = listens ? NET_CONNECT_TCP : NET_CONNECT_TCP | NET_BIND_TCP;
	if (abi >= 5)
		set.fs |= ACCESS_IOCTL_DEV;
	if (abi >= 6)
		set.scoped = SCOPE_ABSTRACT_UNIX_SOCKET;
	return set;
}

static int add_path(int ruleset, const struct ruleset *handled, const struct harden_path *path)
{
	AUTO(closep) int fd = open(path->path, O_PATH | O_CLOEXEC);
	struct path_rule rule = {
		.access = (path->write ? WRITE_ACCESS : READ_ACCESS) & handled->fs,
		.fd = fd,
	};
	struct stat about;

	/* What is not there, or not for us, stays refused: the error comes where it is opened. */
	if (fd < 0 || fstat(fd, &about) < 0)
		return 0;
	if (!S_ISDIR(about.st_mode))
		rule.access &= FILE_ACCESS;
	return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
}

static int add_port(int ruleset, uint16_t port)
{
	struct port_rule rule = { .access = NET_CONNECT_TCP, .port = port };

	return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0);
}

int harden_landlock(const struct harden_rules *rules, struct harden_report *report,
		    struct error *err)
{
	AUTO(closep) int ruleset = -1;
	struct ruleset handled;
	size_t size;
	int abi;

	(void)err;
	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
	if (abi <= 0)
		return -1;
	handled = handled_by(abi, rules->listens);
	/* Older kernels know a shorter struct, and refuse what they do not know only if it is not
	 * zero. */
	size = abi >= 6 ? sizeof(handled) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, size, 0);
	if (ruleset < 0)
		return -1;
	for (size_t i = 0; i < rules->path_count; i++)
		if (add_path(ruleset, &handled, &rules->paths[i]) < 0)
			return -1;
	for (size_t i = 0; handled.net != 0 && i < rules->port_count; i++)
		if (add_port(ruleset, rules->ports[i]) < 0)
			return -1;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return -1;
	report->landlock_abi = abi;
	report->landlock_ports = handled.net != 0;
	return 0;
}

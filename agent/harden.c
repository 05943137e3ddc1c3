/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order matters: dumps and core files first, then no_new_privs, which the other two need, then
 * landlock, and seccomp last, since it takes away the calls that set the others up.
 */
#include "agent/harden.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/harden_filters.h"

static bool is_not_dumpable(void)
{
	return prctl(PR_GET_DUMPABLE) == 0;
}

int harden_early(void)
{
	return prctl(PR_SET_DUMPABLE, 0);
}

/* ---- rules ---- */

static int add_path(struct harden_rules *rules, const char *path, bool write, struct error *err)
{
	struct harden_path *grown;
	char *copy;

	for (size_t i = 0; i < rules->path_count; i++) {
		if (strcmp(rules->paths[i].path, path) != 0)
			continue;
		rules->paths[i].write |= write;
		return 0;
	}
	grown = realloc(rules->paths, (rules->path_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return error_no_memory(err);
	rules->paths = grown;
	copy = strdup(path);
	if (copy == NULL)
		return error_no_memory(err);
	rules->paths[rules->path_count++] = (struct harden_path){ .path = copy, .write = write };
	return 0;
}

/* The nearest directory above `path`, or itself, that is there; owned by the caller. */
static char *standing_directory(const char *path)
{
	char *at = strdup(path[0] != '\0' ? path : ".");
	struct stat about;

	while (at != NULL && (stat(at, &about) < 0 || !S_ISDIR(about.st_mode))) {
		char *slash = strrchr(at, '/');

		if (slash == NULL) {
			free(at);
			return strdup(".");
		}
		if (slash == at)
			slash++;
		*slash = '\0';
	}
	return at;
}

static int add_resolved(struct harden_rules *rules, const char *path, bool write, struct error *err)
{
	AUTO(freep) char *standing = standing_directory(path);
	AUTO(freep) char *resolved = standing != NULL ? realpath(standing, NULL) : NULL;

	if (standing == NULL)
		return error_no_memory(err);
	if (resolved == NULL)
		return error_errno(err, errno, "%s", standing);
	return add_path(rules, resolved, write, err);
}

int harden_allow_path(struct harden_rules *rules, const char *path, bool write, struct error *err)
{
	AUTO(freep) char *resolved = realpath(path, NULL);
	AUTO(freep) char *copy = strdup(path);

	if (copy == NULL)
		return error_no_memory(err);
	/* Where the name stands: a file is replaced there, a directory made anew. */
	if (add_resolved(rules, dirname(copy), write, err) < 0)
		return -1;
	/* Where it leads: kubelet's links, /etc/resolv.conf. */
	return resolved != NULL ? add_resolved(rules, resolved, write, err) : 0;
}

int harden_allow_port(struct harden_rules *rules, uint16_t port, struct error *err)
{
	uint16_t *grown;

	for (size_t i = 0; i < rules->port_count; i++)
		if (rules->ports[i] == port)
			return 0;
	grown = realloc(rules->ports, (rules->port_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return error_no_memory(err);
	rules->ports = grown;
	rules->ports[rules->port_count++] = port;
	return 0;
}

bool harden_allows(const struct harden_rules *rules, const char *path, bool write)
{
	AUTO(freep) char *standing = standing_directory(path);
	AUTO(freep) char *resolved = standing != NULL ? realpath(standing, NULL) : NULL;

	for (size_t i = 0; resolved != NULL && i < rules->path_count; i++) {
		const struct harden_path *rule = &rules->paths[i];
		size_t len = strcmp(rule->path, "/") == 0 ? 0 : strlen(rule->path);

		if ((rule->write || !write) && strncmp(rule->path, resolved, len) == 0 &&
		    (resolved[len] == '\0' || resolved[len] == '/'))
			return true;
	}
	return false;
}

void harden_rules_free(struct harden_rules *rules)
{
	for (size_t i = 0; i < rules->path_count; i++)
		free(rules->paths[i].path);
	free(rules->paths);
	free(rules->ports);
	*rules = (struct harden_rules){ 0 };
}

/* What libcurl, its resolver and OpenSSL read. */
static int allow_network(struct harden_rules *rules, struct error *err)
{
	static const char *const files[] = {
		"/etc/resolv.conf",	  "/etc/hosts",
		"/etc/nsswitch.conf",	  "/etc/gai.conf",
		"/etc/host.conf",	  "/etc/services",
		"/etc/ssl/certs/x",	  "/usr/share/ca-certificates/x",
		"/etc/ca-certificates/x", "/etc/pki/tls/certs/x",
	};
	struct stat about;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		AUTO(freep) char *copy = strdup(files[i]);

		if (copy == NULL)
			return error_no_memory(err);
		if (stat(files[i], &about) < 0 && stat(dirname(copy), &about) < 0)
			continue;
		if (harden_allow_path(rules, files[i], false, err) < 0)
			return -1;
	}
	return harden_allow_port(rules, 53, err);
}

/* ---- the process ---- */

static int lacks(bool allow_degraded, const char *facility, int number, struct error *err)
{
	if (allow_degraded)
		return 0;
	return error_set(err, ERROR_INVALID,
			 "the kernel gives no %s here (%s): --allow-degraded goes on without it",
			 facility, strerror(number));
}

static void report_process(struct harden_report *report)
{
	struct rlimit core;

	report->not_dumpable = is_not_dumpable();
	report->no_core = getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0;
	report->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	report->seccomp = prctl(PR_GET_SECCOMP) == 2;
}

int harden_broker(const struct harden_rules *rules, bool allow_degraded,
		  struct harden_report *report, struct error *err)
{
	const struct rlimit no_core = { 0 };
	struct harden_rules all = { 0 };
	int result = 0;

	*report = (struct harden_report){ 0 };
	(void)umask(0077);
	if ((harden_early() < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
	     prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) &&
	    lacks(allow_degraded, "way to give up dumps and privileges", errno, err) < 0)
		return -1;

	for (size_t i = 0; result == 0 && i < rules->path_count; i++)
		result = add_path(&all, rules->paths[i].path, rules->paths[i].write, err);
	for (size_t i = 0; result == 0 && i < rules->port_count; i++)
		result = harden_allow_port(&all, rules->ports[i], err);
	all.listens = rules->listens;
	if (result == 0 && rules->network)
		result = allow_network(&all, err);
	if (result == 0 && harden_landlock(&all, report, err) < 0)
		result = lacks(allow_degraded, "landlock", errno, err);
	harden_rules_free(&all);
	if (result == 0 && harden_seccomp() < 0)
		result = lacks(allow_degraded, "seccomp filter", errno, err);
	report_process(report);
	return result;
}

void harden_write_json(struct buf *out, const struct harden_report *report)
{
	buf_printf(out,
		   "{\"not_dumpable\":%s,\"no_core\":%s,\"no_new_privs\":%s,\"seccomp\":%s,"
		   "\"landlock_abi\":%d,\"landlock_ports\":%s}",
		   report->not_dumpable ? "true" : "false", report->no_core ? "true" : "false",
		   report->no_new_privs ? "true" : "false", report->seccomp ? "true" : "false",
		   report->landlock_abi, report->landlock_ports ? "true" : "false");
}

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
#include "agent/io/seccomp.h"

static bool is_not_dumpable(void)
{
	return prctl(PR_GET_DUMPABLE) == 0;
}

int harden_early(void)
{
	return prctl(PR_SET_DUMPABLE, 0);
}

/* ---- rules ---- */

static int append(struct harden_path **paths, size_t *count, const char *path, bool write,
		  struct error *err)
{
	struct harden_path *grown = reallocarray(*paths, *count + 1, sizeof(*grown));
	char *copy;

	if (grown == NULL)
		return error_no_memory(err);
	*paths = grown;
	copy = strdup(path);
	if (copy == NULL)
		return error_no_memory(err);
	grown[(*count)++] = (struct harden_path){ .path = copy, .write = write };
	return 0;
}

static int add_path(struct harden_rules *rules, const char *path, bool write, struct error *err)
{
	for (size_t i = 0; i < rules->path_count; i++) {
		if (strcmp(rules->paths[i].path, path) != 0)
			continue;
		rules->paths[i].write |= write;
		return 0;
	}
	return append(&rules->paths, &rules->path_count, path, write, err);
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

/* Whether the directory, as it is named, has been added: configurations name few of them often. */
static bool is_named(const struct harden_rules *rules, const char *directory, bool write)
{
	for (size_t i = 0; i < rules->named_count; i++)
		if (strcmp(rules->named[i].path, directory) == 0 &&
		    (rules->named[i].write || !write))
			return true;
	return false;
}

static int add_directory(struct harden_rules *rules, const char *directory, bool write,
			 struct error *err)
{
	if (is_named(rules, directory, write))
		return 0;
	if (append(&rules->named, &rules->named_count, directory, write, err) < 0)
		return -1;
	return add_resolved(rules, directory, write, err);
}

int harden_allow_path(struct harden_rules *rules, const char *path, bool write, struct error *err)
{
	AUTO(freep) char *copy = strdup(path);
	AUTO(freep) char *resolved = NULL;
	struct stat about;

	if (copy == NULL)
		return error_no_memory(err);
	/* Where the name stands: a file is replaced there, a directory made anew. */
	if (add_directory(rules, dirname(copy), write, err) < 0)
		return -1;
	/* Where it leads: kubelet's links, /etc/resolv.conf. */
	if (lstat(path, &about) < 0 || S_ISREG(about.st_mode))
		return 0;
	resolved = realpath(path, NULL);
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

static void free_paths(struct harden_path *paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(paths[i].path);
	free(paths);
}

void harden_rules_free(struct harden_rules *rules)
{
	free_paths(rules->paths, rules->path_count);
	free_paths(rules->named, rules->named_count);
	free(rules->ports);
	*rules = (struct harden_rules){ 0 };
}

/* What libcurl, its resolver and OpenSSL read. */
static int allow_network(struct harden_rules *rules, struct error *err)
{
	static const char *const directories[] = {
		"/etc",
		"/etc/ssl/certs",
		"/usr/share/ca-certificates",
		"/etc/ca-certificates",
		"/etc/pki/tls/certs",
	};
	static const char *const links[] = { "/etc/resolv.conf", "/etc/hosts",
					     "/etc/nsswitch.conf" };
	struct stat about;

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
		if (stat(directories[i], &about) == 0 &&
		    add_directory(rules, directories[i], false, err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (lstat(links[i], &about) == 0 &&
		    harden_allow_path(rules, links[i], false, err) < 0)
			return -1;
	/* Without its directory, where nothing replaces it: c-ares takes the numbers of its
	 * questions from it, and numbers that can be guessed when it cannot. */
	if (add_path(rules, "/dev/urandom", false, err) < 0)
		return -1;
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
	if (result == 0 && seccomp_load_filter() < 0)
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sandbox.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/source.h"

enum { PORT_MAX = 65535, HTTPS_PORT = 443, HTTP_PORT = 80 };

/* ---- what is needed ---- */

/* Every path among a backend's options is a file that it reads. */
static int allow_options(struct harden_rules *rules, const struct option *table, const void *object,
			 struct error *err)
{
	for (const struct option *option = table; option != NULL && option->name != NULL;
	     option++) {
		const char *member = (const char *)object + option->offset;
		const char *path;

		if (option->type == OPTION_TABLE &&
		    allow_options(rules, option->members, member, err) < 0)
			return -1;
		if (option->type != OPTION_PATH)
			continue;
		memcpy(&path, member, sizeof(path));
		if (path != NULL && harden_allow_path(rules, path, false, err) < 0)
			return -1;
	}
	return 0;
}

/* The port of "https://host:8200", "http://[::1]". */
static uint16_t port_of(const char *url)
{
	const char *host = strstr(url, "://");
	const char *end, *colon;
	struct error ignored;
	uint64_t port;

	if (host == NULL)
		return HTTPS_PORT;
	host += strlen("://");
	end = strchr(host, ']');
	colon = strrchr(end != NULL ? end : host, ':');
	if (colon != NULL && text_read_unsigned(colon + 1, PORT_MAX, &port, &ignored) == 0)
		return (uint16_t)port;
	return text_starts_with(url, "http://") ? HTTP_PORT : HTTPS_PORT;
}

static int allow_sources(struct harden_rules *rules, const struct source *sources, size_t count,
			 struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct source *source = &sources[i];
		const struct backend_ops *ops = source->config->ops;
		struct endpoint endpoint;

		for (size_t j = 0;
		     ops->endpoint != NULL && ops->endpoint(source->backend, j, &endpoint); j++) {
			rules->network = true;
			if (harden_allow_port(rules, port_of(endpoint.url), err) < 0)
				return -1;
		}
		for (size_t j = 0; ops->reads != NULL && ops->reads(source->backend, j) != NULL;
		     j++)
			if (harden_allow_path(rules, ops->reads(source->backend, j), false, err) <
			    0)
				return -1;
	}
	return 0;
}

static int allow_sinks(struct harden_rules *rules, const struct config *config, struct error *err)
{
	for (size_t i = 0; i < config->files_count; i++) {
		const struct config_files *files = &config->files[i];
		AUTO(buf_deinit) struct buf inside = BUF_INIT(REQUEST_HEAD_MAX);

		/* The directory may be made anew: its parent is what must stay reachable. */
		if (harden_allow_path(rules, files->directory, true, err) < 0)
			return -1;
		buf_printf(&inside, "%s/..data", files->directory);
		if (harden_allow_path(rules, buf_string(&inside), true, err) < 0)
			return -1;
		if (files->on_change.pid_file != NULL &&
		    harden_allow_path(rules, files->on_change.pid_file, false, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < config->socket_count; i++)
		if (harden_allow_path(rules, config->sockets[i].path, true, err) < 0)
			return -1;
	if (config->hand_over != NULL && harden_allow_path(rules, config->hand_over, true, err) < 0)
		return -1;
	if (config->audit_file != NULL && strcmp(config->audit_file, "stderr") != 0)
		return harden_allow_path(rules, config->audit_file, true, err);
	return 0;
}

int sandbox_collect(struct harden_rules *rules, const struct config *config,
		    const struct broker *broker, struct error *err)
{
	if (config->file != NULL && !config->in_environment &&
	    harden_allow_path(rules, config->file, false, err) < 0)
		return -1;
	for (size_t i = 0; i < config->backend_count; i++)
		if (allow_options(rules, config->backends[i].ops->options,
				  config->backends[i].options, err) < 0)
			return -1;
	if (broker != NULL &&
	    allow_sources(rules, broker_source(broker, 0), broker_source_count(broker), err) < 0)
		return -1;
	rules->listens = config->metrics_listen != NULL;
	return allow_sinks(rules, config, err);
}

/* ---- entering ---- */

static void state_facts(struct sandbox *sandbox)
{
	const struct harden_report *report = &sandbox->report;

	(void)snprintf(sandbox->landlock, sizeof(sandbox->landlock),
		       report->landlock_abi > 0 ? "abi %d" : "off", report->landlock_abi);
	sandbox->facts[0] = (struct status_fact){ "dumpable", report->not_dumpable ? "no" : "yes" };
	sandbox->facts[1] =
		(struct status_fact){ "no_new_privs", report->no_new_privs ? "on" : "off" };
	sandbox->facts[2] = (struct status_fact){ "seccomp", report->seccomp ? "on" : "off" };
	sandbox->facts[3] = (struct status_fact){ "landlock", sandbox->landlock };
	sandbox->facts[4] =
		(struct status_fact){ "landlock_ports", report->landlock_ports ? "on" : "off" };
}

int sandbox_enter(struct sandbox *sandbox, const struct config *config, const struct broker *broker,
		  bool allow_degraded, struct error *err)
{
	if (sandbox_collect(&sandbox->rules, config, broker, err) < 0 ||
	    harden_broker(&sandbox->rules, allow_degraded, &sandbox->report, err) < 0)
		return error_wrap(err, "hardening");
	state_facts(sandbox);
	return 0;
}

static int check_paths(const struct sandbox *sandbox, const struct harden_rules *rules,
		       struct error *err)
{
	for (size_t i = 0; i < rules->path_count; i++)
		if (!harden_allows(&sandbox->rules, rules->paths[i].path, rules->paths[i].write))
			return error_set(
				err, ERROR_INVALID,
				"restart needed: %s is outside of what was allowed at start",
				rules->paths[i].path);
	return 0;
}

static bool has_port(const struct harden_rules *rules, uint16_t port)
{
	for (size_t i = 0; i < rules->port_count; i++)
		if (rules->ports[i] == port)
			return true;
	return false;
}

int sandbox_covers(const struct sandbox *sandbox, const struct config *config, struct error *err)
{
	AUTO(harden_rules_free) struct harden_rules rules = { 0 };

	if (sandbox_collect(&rules, config, NULL, err) < 0)
		return -1;
	if (rules.listens && !sandbox->rules.listens)
		return error_set(
			err, ERROR_INVALID,
			"restart needed: nothing listened at start, metrics.listen is new");
	return check_paths(sandbox, &rules, err);
}

int sandbox_covers_sources(const struct sandbox *sandbox, const struct source *sources,
			   size_t count, struct error *err)
{
	AUTO(harden_rules_free) struct harden_rules rules = { 0 };

	if (allow_sources(&rules, sources, count, err) < 0)
		return -1;
	if (rules.network && !sandbox->rules.network)
		return error_set(err, ERROR_INVALID,
				 "restart needed: no backend used the network at start");
	for (size_t i = 0; sandbox->report.landlock_ports && i < rules.port_count; i++)
		if (!has_port(&sandbox->rules, rules.ports[i]))
			return error_set(
				err, ERROR_INVALID,
				"restart needed: port %u is none of those that were opened "
				"at start",
				rules.ports[i]);
	return check_paths(sandbox, &rules, err);
}

void sandbox_deinit(struct sandbox *sandbox)
{
	harden_rules_free(&sandbox->rules);
}

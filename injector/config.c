/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/config.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/config/problems.h"
#include "agent/config/sections.h"
#include "certs/trust.h"
#include "injector/config_tables.h"
#include "injector/pod.h"
#include "injector/quantity.h"

enum { FILE_MAX = 1 << 20 };

static const char *const sections[] = { "profiles", NULL };

static const char *const system_namespaces[] = { "kube-system", "kube-public", "kube-node-lease" };

static void read_system_namespaces(struct reader *reader, struct injector_config *config)
{
	struct error err;

	if (config->system_namespaces.count > 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(system_namespaces); i++)
		if (strings_add(&config->system_namespaces, system_namespaces[i], &err) < 0)
			reader_problem(reader, reader->root->mark, "%s", err.text);
}

/* ---- what a profile may say ---- */

static struct yaml_mark mark_of(const struct yaml_node *profile, const char *section,
				const char *key)
{
	const struct yaml_node *map = section != NULL ? yaml_get(profile, section) : profile;
	const struct yaml_node *node = yaml_get(map, key);

	if (node != NULL)
		return node->mark;
	return map != NULL ? map->key_mark : profile->key_mark;
}

static void check_address(struct reader *reader, const struct yaml_node *node, const char *where,
			  const struct profile *profile)
{
	for (size_t i = 0; i < profile->address.count; i++) {
		const char *address = profile->address.items[i];
		bool plain = text_starts_with(address, "http://");

		if (!plain && !text_starts_with(address, "https://"))
			reader_problem(reader, mark_of(node, NULL, "address"),
				       "%s.address: '%.120s' is no address: write it as "
				       "https://vault.vault.svc:8200",
				       where, address);
		else if (plain && !profile->insecure_http)
			reader_problem(reader, mark_of(node, NULL, "address"),
				       "%s.address: '%.120s' would send secrets unencrypted: use "
				       "https, or set insecure_http: true in a test",
				       where, address);
	}
}

static void check_trust(struct reader *reader, const struct yaml_node *node, const char *where,
			const struct profile *profile)
{
	struct trust *trust;
	struct error err;

	if (profile->ca_cert != NULL && profile->ca_config_map != NULL)
		reader_problem(reader, mark_of(node, "tls", "ca_config_map"),
			       "%s.tls: ca_cert and ca_config_map exclude each other", where);
	if (profile->ca_cert == NULL)
		return;
	trust = trust_read(profile->ca_cert, strlen(profile->ca_cert), &err);
	if (trust == NULL)
		reader_problem(reader, mark_of(node, "tls", "ca_cert"), "%s.tls.ca_cert: %s", where,
			       err.text);
	(void)trust_unref(trust);
}

static void check_quantity(struct reader *reader, const struct yaml_node *node, const char *where,
			   const char *section, const char *key, const char *text)
{
	const struct yaml_node *resources = yaml_get(node, "resources");
	int64_t milli;
	struct error err;

	if (text != NULL && quantity_read(text, &milli, &err) < 0)
		reader_problem(reader, mark_of(resources, section, key), "%s.resources.%s.%s: %s",
			       where, section, key, err.text);
}

/* An API server refuses every pod with such a container. */
static void check_amounts(struct reader *reader, const struct yaml_node *node, const char *where,
			  const char *key, const char *request, const char *limit)
{
	int64_t asked, most;
	struct error ignored;

	if (request != NULL && limit != NULL && quantity_read(request, &asked, &ignored) == 0 &&
	    quantity_read(limit, &most, &ignored) == 0 && asked > most)
		reader_problem(reader, mark_of(node, NULL, "resources"),
			       "%s.resources: of %s it requests %.20s and is limited to %.20s: "
			       "lower the request or raise the limit",
			       where, key, request, limit);
}

static void check_name(struct reader *reader, const struct yaml_mark mark, const char *where,
		       const char *key, const char *name)
{
	if (name != NULL && !object_name_is_valid(name))
		reader_problem(reader, mark,
			       "%s.%s: '%.80s' is no name of an object: use small letters, digits, "
			       "'-' and '.'",
			       where, key, name);
}

/* What would only be found when a pod is refused, or never. */
static void check_names(struct reader *reader, const struct yaml_node *node, const char *where,
			const struct profile *profile)
{
	for (size_t i = 0; i < profile->namespaces.count; i++)
		check_name(reader, mark_of(node, NULL, "namespaces"), where, "namespaces",
			   profile->namespaces.items[i]);
	for (size_t i = 0; i < profile->pull_secrets.count; i++)
		check_name(reader, mark_of(node, NULL, "pull_secrets"), where, "pull_secrets",
			   profile->pull_secrets.items[i]);
	check_name(reader, mark_of(node, "tls", "ca_config_map"), where, "tls.ca_config_map",
		   profile->ca_config_map);
	if (profile->image != NULL && (profile->image[0] == '\0' ||
				       profile->image[strcspn(profile->image, " \t\r\n")] != '\0'))
		reader_problem(
			reader, mark_of(node, NULL, "image"),
			"%s.image: '%.120s' is no image: write it as registry/agent@sha256:…",
			where, profile->image);
	if (profile->auth_mount != NULL && text_starts_with(profile->auth_mount, "auth/"))
		reader_problem(reader, mark_of(node, "auth", "mount"),
			       "%s.auth.mount: '%.80s': leave auth/ out", where,
			       profile->auth_mount);
}

static void check_resources(struct reader *reader, const struct yaml_node *node, const char *where,
			    const struct profile_resources *resources)
{
	check_quantity(reader, node, where, "requests", "cpu", resources->requests_cpu);
	check_quantity(reader, node, where, "requests", "memory", resources->requests_memory);
	check_quantity(reader, node, where, "limits", "cpu", resources->limits_cpu);
	check_quantity(reader, node, where, "limits", "memory", resources->limits_memory);
	check_amounts(reader, node, where, "cpu", resources->requests_cpu, resources->limits_cpu);
	check_amounts(reader, node, where, "memory", resources->requests_memory,
		      resources->limits_memory);
}

static void read_user(struct reader *reader, const struct yaml_node *node, const char *where,
		      const char *text, struct profile *profile)
{
	uint64_t user;
	struct error err;

	profile->run_as_user = -1;
	if (strcmp(text, "none") == 0)
		return;
	if (text_read_unsigned(text, INT32_MAX, &user, &err) < 0 || user == 0) {
		reader_problem(reader, mark_of(node, NULL, "run_as_user"),
			       "%s.run_as_user: '%.40s' is neither a number from 1 on nor none",
			       where, text);
		return;
	}
	profile->run_as_user = (int64_t)user;
}

static void read_allow(struct reader *reader, const struct yaml_node *node, const char *where,
		       const struct strings *words, struct profile *profile)
{
	char hint[WHERE_MAX];

	for (size_t i = 0; i < words->count; i++) {
		int key = allow_key_find(words->items[i]);

		if (key >= 0) {
			profile->allow[key] = true;
			continue;
		}
		(void)reader_hint_of(hint, text_nearest(words->items[i], allow_key_names));
		reader_problem(reader, mark_of(node, NULL, "allow"),
			       "%s.allow: there is nothing called '%.80s'%s", where,
			       words->items[i], hint);
	}
}

static void read_profile(struct reader *reader, struct injector_config *config,
			 const struct yaml_node *node)
{
	struct profile_extra extra = { 0 };
	struct profile *grown;
	struct reader_part parts[2] = { { profile_extra_table, &extra } };
	char where[WHERE_MAX];

	(void)reader_where(where, "profiles", node->key);
	if (!config_name_is_valid(node->key))
		reader_problem(
			reader, node->key_mark,
			"profiles: '%.80s' is no name: use letters, digits, '.', '_' and '-'",
			node->key);
	grown = reader_grow(reader, config->profiles, &config->profile_count, sizeof(*grown));
	if (grown == NULL)
		return;
	config->profiles = grown;
	grown += config->profile_count - 1;
	grown->name = reader_copy(reader, node->key);
	parts[1] = (struct reader_part){ profile_table, grown };
	if (reader_map(reader, node, where, parts, ARRAY_SIZE(parts), NULL)) {
		check_address(reader, node, where, grown);
		check_trust(reader, node, where, grown);
		check_names(reader, node, where, grown);
		check_resources(reader, node, where, &grown->resources);
		read_user(reader, node, where, extra.run_as_user, grown);
		read_allow(reader, node, where, &extra.allow, grown);
	}
	option_free(profile_extra_table, &extra);
}

static void read_profiles(struct reader *reader, struct injector_config *config)
{
	const struct yaml_node *map =
		reader_expect(reader, yaml_get(reader->root, "profiles"), YAML_IS_MAP, "profiles");

	for (const struct yaml_node *node = map != NULL ? map->first : NULL; node != NULL;
	     node = node->next)
		read_profile(reader, config, node);
	if (config->profile_count == 0 && !reader->failed)
		reader_problem(
			reader, reader->root->mark,
			"there is no profile: write at least profiles.default with an address "
			"and an image");
}

struct injector_config *injector_config_parse(const char *bytes, size_t len, const char *file,
					      struct config_problems *problems)
{
	static char no_directory[] = "";
	AUTO(injector_config_freep) struct injector_config *config = calloc(1, sizeof(*config));
	AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct reader reader = { .file = file, .directory = no_directory, .problems = problems };
	struct yaml_mark where = { 0 };
	struct reader_part part = { injector_table, config };
	struct error err;

	if (config == NULL) {
		(void)error_no_memory(&err);
		reader_problem(&reader, where, "%s", err.text);
		return NULL;
	}
	doc = reader_document(&reader, bytes, len);
	if (doc == NULL)
		return NULL;
	config->file = reader_copy(&reader, file);
	if (reader_expect(&reader, reader.root, YAML_IS_MAP, "the file") != NULL ||
	    !reader.failed) {
		(void)reader_map(&reader, reader.root, "", &part, 1, sections);
		read_system_namespaces(&reader, config);
		read_profiles(&reader, config);
	}
	config_problems_sort(problems);
	return reader.failed ? NULL : STEAL(config);
}

struct injector_config *injector_config_read(const char *file, struct config_problems *problems)
{
	AUTO(buf_deinit) struct buf content = BUF_INIT(FILE_MAX);
	struct error err;

	if (reader_file(file, &content, &err) < 0) {
		config_problems_add(problems, file, 0, 0, strdup(err.text));
		return NULL;
	}
	return injector_config_parse(buf_string(&content), content.len, file, problems);
}

struct injector_config *injector_config_free(struct injector_config *config)
{
	if (config == NULL)
		return NULL;
	for (size_t i = 0; i < config->profile_count; i++) {
		option_free(profile_table, &config->profiles[i]);
		free(config->profiles[i].name);
	}
	free(config->profiles);
	option_free(injector_table, config);
	free(config->file);
	free(config);
	return NULL;
}

const struct profile *injector_profile(const struct injector_config *config, const char *name)
{
	for (size_t i = 0; i < config->profile_count; i++)
		if (strcmp(config->profiles[i].name, name) == 0)
			return &config->profiles[i];
	return NULL;
}

bool profile_serves(const struct profile *profile, const char *namespace)
{
	for (size_t i = 0; i < profile->namespaces.count; i++)
		if (strcmp(profile->namespaces.items[i], namespace) == 0)
			return true;
	return profile->namespaces.count == 0;
}

const char *allow_key_name(enum allow_key key)
{
	return allow_key_names[key];
}

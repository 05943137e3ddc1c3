/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/template/functions.h"

#include <string.h>

#include "agent/base/macros.h"

const struct template_function function_and = { "and", "vv*", NULL };
const struct template_function function_or = { "or", "vv*", NULL };

static const struct template_function *const families[] = {
	functions_builtin, functions_collection, functions_compare, functions_encode,
	functions_json,	   functions_math,	 functions_parse,   functions_pki,
	functions_regex,   functions_secret,	 functions_string,  functions_time,
};

static const char needs_consul[] = "it needs Consul";
static const char needs_nomad[] = "it needs Nomad";
static const char runs_programs[] = "it runs a program";
static const char prints_memory[] = "it prints how Go lays values out";
static const char not_yet[] = "it is not there yet";

/* What consul-template has and this program has not. */
static const struct {
	const char *name, *reason;
} refusals[] = {
	{ "datacenters", needs_consul },
	{ "exportedServices", needs_consul },
	{ "importedServices", needs_consul },
	{ "key", needs_consul },
	{ "keyExists", needs_consul },
	{ "keyOrDefault", needs_consul },
	{ "keys", needs_consul },
	{ "ls", needs_consul },
	{ "safeLs", needs_consul },
	{ "node", needs_consul },
	{ "nodes", needs_consul },
	{ "partitions", needs_consul },
	{ "peerings", needs_consul },
	{ "service", needs_consul },
	{ "services", needs_consul },
	{ "connect", needs_consul },
	{ "tree", needs_consul },
	{ "safeTree", needs_consul },
	{ "caRoots", needs_consul },
	{ "caLeaf", needs_consul },
	{ "byKey", needs_consul },
	{ "byMeta", needs_consul },
	{ "byPort", needs_consul },
	{ "byTag", needs_consul },
	{ "explode", needs_consul },
	{ "nomadServices", needs_nomad },
	{ "nomadService", needs_nomad },
	{ "nomadVarList", needs_nomad },
	{ "nomadVarListSafe", needs_nomad },
	{ "nomadVar", needs_nomad },
	{ "nomadVarExists", needs_nomad },
	{ "plugin", runs_programs },
	{ "sockaddr", "it looks at the network interfaces of the machine" },
	{ "spew_dump", prints_memory },
	{ "spew_printf", prints_memory },
	{ "spew_sdump", prints_memory },
	{ "spew_sprintf", prints_memory },
	{ "mergeMap", not_yet },
	{ "mergeMapWithOverride", not_yet },
	{ "parseYAML", not_yet },
	{ "toTOML", not_yet },
	{ "toYAML", not_yet },
	{ "writeToFile", not_yet },
	{ "call", "no value of a template is a function" },
};

static bool is_named(const char *word, const char *name, size_t len)
{
	return strlen(word) == len && memcmp(word, name, len) == 0;
}

const struct template_function *function_find(const char *name, size_t len)
{
	if (is_named(function_and.name, name, len))
		return &function_and;
	if (is_named(function_or.name, name, len))
		return &function_or;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		for (const struct template_function *at = families[i]; at->name != NULL; at++)
			if (is_named(at->name, name, len))
				return at;
	return NULL;
}

static bool is_in(const struct template_function *family, const struct template_function *function)
{
	for (; family->name != NULL; family++)
		if (family == function)
			return true;
	return false;
}

static bool matches(const char *pattern, const char *name)
{
	const char *star = NULL, *again = NULL;

	while (*name != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			again = name;
		} else if (*pattern == *name) {
			pattern++;
			name++;
		} else if (star != NULL) {
			pattern = star;
			name = ++again;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

bool function_matches(const struct template_function *function, const char *pattern)
{
	if (function == &function_and || function == &function_or ||
	    is_in(functions_builtin, function) || is_in(functions_compare, function))
		return false;
	return matches(pattern, function->name);
}

const char *function_refusal(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (is_named(refusals[i].name, name, len))
			return refusals[i].reason;
	if (len > strlen("sprig_") && memcmp(name, "sprig_", strlen("sprig_")) == 0)
		return not_yet;
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/configuration.md out of the tables that read the file.
 */
#include <string.h>

#include "agent/config/config.h"
#include "agent/config/tables.h"

static const char *const type_names[] = {
	[OPTION_STRING] = "text",
	[OPTION_PATH] = "path",
	[OPTION_STRINGS] = "one or a list",
	[OPTION_BOOL] = "true or false",
	[OPTION_DURATION] = "duration",
	[OPTION_SIZE] = "size",
	[OPTION_MODE] = "quoted octal",
	[OPTION_UNSIGNED] = "number",
	[OPTION_ID] = "number",
	[OPTION_CHOICE] = "",
	[OPTION_JSON] = "map",
	[OPTION_TABLE] = "map",
};

static void put_type(struct buf *out, const struct option *row)
{
	if (row->type != OPTION_CHOICE) {
		buf_puts(out, type_names[row->type]);
		return;
	}
	for (size_t i = 0; row->choices[i] != NULL; i++)
		buf_printf(out, "%s`%s`", i > 0 ? ", " : "", row->choices[i]);
}

static void put_default(struct buf *out, const struct option *row)
{
	if (row->required)
		buf_puts(out, "**required**");
	else if (row->fallback != NULL)
		buf_printf(out, row->type == OPTION_MODE ? "`\"%s\"`" : "`%s`", row->fallback);
	else if (row->type == OPTION_BOOL)
		buf_puts(out, "`false`");
}

static void put_head(struct buf *out)
{
	buf_puts(out, "| key | value | default | meaning |\n|---|---|---|---|\n");
}

static void put_key(struct buf *out, const char *name, const char *value, const char *fallback,
		    const char *help)
{
	buf_printf(out, "| `%s` | %s | %s | %s |\n", name, value, fallback, help);
}

static void put_rows(struct buf *out, const struct option *table, const char *prefix)
{
	for (const struct option *row = table; row->name != NULL; row++) {
		AUTO(buf_deinit) struct buf inner = BUF_INIT(256);

		buf_printf(out, "| `%s%s` | ", prefix, row->name);
		put_type(out, row);
		buf_puts(out, " | ");
		put_default(out, row);
		buf_printf(out, " | %s |\n", row->help);
		if (row->type != OPTION_TABLE)
			continue;
		buf_printf(&inner, "%s%s.", prefix, row->name);
		put_rows(out, row->members, buf_string(&inner));
	}
}

void config_write_table(struct buf *out, const struct option *table)
{
	put_head(out);
	put_rows(out, table, "");
}

static void put_intro(struct buf *out)
{
	buf_puts(out,
		 "<!-- Written by `make docs` from the option tables; edits are lost. -->\n"
		 "# agent.yaml\n\n"
		 "The configuration is the first of: the file of `-c FILE`, the file that "
		 "`$AGENT_CONFIG` names, the text in `$AGENT_CONFIG_YAML` (errors call it by that "
		 "name; a running process never sees another), `./agent.yaml`, "
		 "`/etc/agent/agent.yaml`. It is read strictly: an unknown key, a value of the "
		 "wrong "
		 "kind or a name that is not declared is an error, and `agent check` tells all of "
		 "them at once, as `FILE:LINE:COLUMN: text`.\n\n"
		 "Relative paths start at the file's directory (for the variable's text at the "
		 "working directory); `~/` is the home directory. "
		 "Durations "
		 "are written `250ms`, `10s`, `5m`, `1h30m`; sizes `512`, `64KiB`, `1MiB`; modes "
		 "quoted and octal, `\"0440\"`. Names of backends and secrets are made of letters, "
		 "digits, `.`, `_` and `-`, without `..`.\n\n");
}

static void put_sinks(struct buf *out)
{
	buf_puts(out, "## sinks.files\n\nOne map or a list of maps.\n\n");
	config_write_table(out, files_table);
	put_key(out, "entries", "map of path to entry",
		"every field of every secret, as `SECRET/FIELD`",
		"Which files there are. Paths are relative, without `..`.");
	buf_puts(out, "\n### An entry\n\n");
	config_write_table(out, entry_table);
	buf_puts(out, "\n## sinks.socket\n\nOne map or a list of maps.\n\n");
	config_write_table(out, socket_table);
	put_key(out, "allow", "one or a list", "the agent's own uid, all secrets",
		"Who may see what; the kernel says who the peer is.");
	buf_puts(out, "\n### An entry of allow\n\n");
	config_write_table(out, allow_table);
}

void config_write_reference(struct buf *out, config_backend_types types)
{
	put_intro(out);
	buf_puts(out, "## At the root\n\n");
	config_write_table(out, global_table);
	put_key(out, "audit", "`stderr`, or a map", "",
		"One JSON line per read and per publication.");
	put_rows(out, audit_table, "audit.");
	put_key(out, "backends", "map of name to backend", "", "Where secrets come from.");
	put_key(out, "secrets", "map of name to secret", "", "What is fetched, each under a name.");
	put_key(out, "sinks", "map", "", "Where secrets go: `files` and `socket`.");
	put_key(out, "env", "map of variable to `NAME.FIELD` or `NAME#/pointer`", "",
		"The variables of `agent run`.");
	buf_puts(out, "\n## backends\n\nEvery backend has these keys and those of its type.\n\n");
	config_write_table(out, backend_table);
	for (size_t i = 0; types[i] != NULL; i++) {
		buf_printf(out, "\n### type: %s\n\n", types[i]->type);
		config_write_table(out, types[i]->options);
	}
	buf_puts(out, "\n## secrets\n\n");
	config_write_table(out, secret_table);
	buf_putc(out, '\n');
	put_sinks(out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config/tables.h"

static const char *const on_missing_choices[] = { "keep", "remove", NULL };
static const char *const level_choices[] = { "error", "warn", "info", "debug", "trace", NULL };
static const char *const log_format_choices[] = { "text", "json", NULL };
/* In the order of enum secret_verbatim. */
static const char *const verbatim_choices[] = { "false", "true", "answer", NULL };
/* In the order of enum file_format. */
static const char *const file_format_choices[] = {
	"field", "json", "env", "yaml", "raw", "pem", "kubelet-env", "go-map", "go-json", NULL,
};

#define ROW(name_, type_, struct_, member_, ...)                                                   \
	{                                                                                          \
		.name = (name_), .type = (type_), .offset = offsetof(struct struct_, member_),     \
		__VA_ARGS__                                                                        \
	}

/* Offsets of members are from the start of their own table's struct. */
static const struct option log_table[] = {
	{ .name = "level",
	  .type = OPTION_CHOICE,
	  .choices = level_choices,
	  .fallback = "info",
	  .help = "The least important event that is written." },
	{ .name = "format",
	  .type = OPTION_CHOICE,
	  .offset = offsetof(struct global_options, log.format) -
		    offsetof(struct global_options, log),
	  .choices = log_format_choices,
	  .fallback = "text",
	  .help = "Lines of key=value, or one JSON object per line." },
	{ 0 },
};

static const struct option metrics_table[] = {
	{ .name = "listen",
	  .type = OPTION_STRING,
	  .help = "Address and port of the metrics, as 127.0.0.1:9102, or [::]:9102 for whoever "
		  "reaches the pod; never answers with a secret, but with their names and states, "
		  "to everybody and in the clear." },
	{ 0 },
};

const struct option global_table[] = {
	ROW("max_stale", OPTION_DURATION, global_options, max_stale_ms, .fallback = "24h",
	    .help = "How long the last good version is handed out while its backend cannot be "
		    "asked; 0s: "
		    "for ever."),
	ROW("on_missing", OPTION_CHOICE, global_options, on_missing, .choices = on_missing_choices,
	    .fallback = "keep",
	    .help = "What happens to a secret that its backend denies or no longer has."),
	ROW("revoke_on_exit", OPTION_BOOL, global_options, revoke_on_exit, .fallback = "false",
	    .help = "Revoke our sessions at the end, where no lease in use dies with them."),
	ROW("splay", OPTION_BOOL, global_options, splay, .fallback = "false",
	    .help = "Spread the first requests of many agents over two seconds."),
	ROW("hand_over", OPTION_PATH, global_options, hand_over,
	    .help = "A directory in memory that only an init container (`serve --once`) and the "
		    "sidecar (`serve`) mount: the one leaves its sessions and leases there, the "
		    "other takes them up instead of signing in and leasing a second time."),
	ROW("log", OPTION_TABLE, global_options, log, .members = log_table,
	    .help = "The log on standard error."),
	ROW("metrics", OPTION_TABLE, global_options, metrics, .members = metrics_table,
	    .help = "Metrics in the Prometheus format; off by default."),
	{ 0 },
};

const struct option audit_table[] = {
	ROW("file", OPTION_STRING, audit_options, file, .required = true,
	    .help = "The file that is appended to, or `stderr`."),
	{ 0 },
};

const struct option backend_table[] = {
	ROW("type", OPTION_STRING, backend_options, type,
	    .help = "What kind of backend this is; the backend's own name by default."),
	{ 0 },
};

const struct option secret_table[] = {
	ROW("backend", OPTION_STRING, secret_options, backend, .required = true,
	    .help = "The name of the backend that it comes from."),
	ROW("path", OPTION_STRING, secret_options, path,
	    .help = "Where the backend keeps it, in the backend's own spelling."),
	ROW("write", OPTION_JSON, secret_options, write,
	    .help = "Parameters to send: for paths that answer a write, as `pki/issue/…`."),
	ROW("verbatim", OPTION_CHOICE, secret_options, verbatim, .choices = verbatim_choices,
	    .fallback = "false",
	    .help = "For vault. `true`: `path` is what the server is asked for, as "
		    "`secret/data/db`, "
		    "and the fields are the members of the answer's `data`: of KV v2 they are "
		    "`data` and `metadata`. `answer`: those fields, of a path that is found as "
		    "always."),
	ROW("refresh", OPTION_DURATION, secret_options, refresh_ms, .fallback = "5m", .least = 1000,
	    .help = "How often a secret without a lease is fetched again; at least 1s."),
	ROW("required", OPTION_BOOL, secret_options, required, .fallback = "true",
	    .help = "Whether `agent ready` waits for it."),
	{ 0 },
};

static const struct option on_change_table[] = {
	{ .name = "signal",
	  .type = OPTION_STRING,
	  .help = "The signal to send, as HUP, to the process that pid_file names; one of another "
		  "user takes CAP_KILL." },
	{ .name = "pid_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct files_options, on_change.pid_file) -
		    offsetof(struct files_options, on_change),
	  .help = "A file with the number of the process to signal." },
	{ .name = "exec",
	  .type = OPTION_STRINGS,
	  .offset = offsetof(struct files_options, on_change.exec) -
		    offsetof(struct files_options, on_change),
	  .help = "A program and its arguments to run instead; no shell reads it. Run by `agent "
		  "serve`, one at a time; not with --once." },
	{ 0 },
};

const struct option files_table[] = {
	ROW("directory", OPTION_PATH, files_options, directory, .required = true,
	    .help = "The directory that shows the files; best on a tmpfs."),
	ROW("mode", OPTION_MODE, files_options, mode, .fallback = "0440",
	    .help = "Permissions of the files, quoted octal."),
	ROW("owner", OPTION_ID, files_options, owner,
	    .help = "Numeric owner of the files; the agent's own by default."),
	ROW("group", OPTION_ID, files_options, group,
	    .help = "Numeric group of the files; the agent's own by default."),
	ROW("on_change", OPTION_TABLE, files_options, on_change, .members = on_change_table,
	    .help = "What is done after a change has been published."),
	{ 0 },
};

const struct option entry_table[] = {
	ROW("secret", OPTION_STRING, entry_options, secret, .required = true,
	    .help = "The name of the secret."),
	ROW("field", OPTION_STRING, entry_options, field,
	    .help = "The one field that the file holds, or what a JSON pointer names inside of "
		    "one, "
		    "as `/data/password`; without it and without a format the path "
		    "is a "
		    "directory with a file for every field."),
	ROW("format", OPTION_CHOICE, entry_options, format, .choices = file_format_choices,
	    .fallback = "field",
	    .help = "How the whole secret is written into one file: `env` is NAME='value' lines, "
		    "`raw` the only field's bytes, `pem` certificate, chain and key. `kubelet-env` "
		    "is one value as NAME='value', for a pod's `fileKeyRef`: one that is empty, of "
		    "60 KiB or more, or holds a single quote, NUL or carriage return is left out, "
		    "and `agent ready` fails; every other file is written. `go-map` and `go-json` "
		    "are what the default templates of an injected Vault Agent write, for a secret "
		    "that is `verbatim`."),
	ROW("variable", OPTION_STRING, entry_options, variable,
	    .help = "With `format: kubelet-env`: the NAME, which is the `key` of the "
		    "`fileKeyRef`."),
	ROW("mode", OPTION_MODE, entry_options, mode, .help = "As the sink's, for this file."),
	ROW("owner", OPTION_ID, entry_options, owner, .help = "As the sink's, for this file."),
	ROW("group", OPTION_ID, entry_options, group, .help = "As the sink's, for this file."),
	{ 0 },
};

const struct option socket_table[] = {
	ROW("path", OPTION_PATH, socket_options, path, .required = true,
	    .help = "The socket's path, at most 107 bytes."),
	ROW("mode", OPTION_MODE, socket_options, mode,
	    .help = "Permissions of the socket, quoted octal; \"0600\", or \"0666\" when `allow` "
		    "names other "
		    "uids."),
	ROW("max_connections", OPTION_UNSIGNED, socket_options, max_connections, .fallback = "1024",
	    .least = 1, .most = 1000000, .help = "Connections at one time."),
	ROW("max_connections_per_uid", OPTION_UNSIGNED, socket_options, max_connections_per_uid,
	    .fallback = "64", .least = 1, .most = 1000000,
	    .help = "Connections at one time of one uid."),
	ROW("idle_timeout", OPTION_DURATION, socket_options, idle_timeout_ms, .fallback = "60s",
	    .least = 1000, .most = 86400000,
	    .help = "When a connection without a request is closed."),
	{ 0 },
};

const struct option allow_table[] = {
	ROW("uid", OPTION_STRING, allow_options, uid, .required = true,
	    .help = "The numeric uid of the peer, or `any` where the directory is the boundary."),
	ROW("secrets", OPTION_STRINGS, allow_options, secrets,
	    .help = "The secrets that it may see; all by default."),
	{ 0 },
};

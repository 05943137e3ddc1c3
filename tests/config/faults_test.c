/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bad files and what is said about them, to the letter.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/wipe.h"
#include "tests/config/fake_backends.h"

#define BACKENDS "backends: { remote: { address: a }, store: { file: s.yaml } }\n"
#define DECLARED BACKENDS "secrets: { db: { backend: remote, path: p }, app: { backend: store } }\n"

struct row {
	const char *text;
	const char *faults;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *faults = config_faults(rows[i].text);

		cr_expect_str_eq(faults, rows[i].faults, "of\n%s\nsays\n%s\nnot\n%s", rows[i].text,
				 faults, rows[i].faults);
		wipe_free(faults);
	}
}

static const struct row yaml_rows[] = {
	{ "backends: [\n",
	  "agent.yaml:2:1: did not find expected node content while parsing a flow node\n" },
	{ "log: { level: info }\n"
	  "log: { level: warn }\n",
	  "agent.yaml:2:1: the key 'log' is there twice\n" },
	{ "secrets: { a: { backend: b, path: p, refersh: 1s } }\n"
	  "backends: { b: { type: nowhere } }\n"
	  "secrets: { a: { backend: b }, c: { backend: b, colour: red } }\n"
	  "env: { X: c.y, X: nobody.z }\n"
	  "max_stale: soon\n",
	  "agent.yaml:1:38: unknown key 'refersh' in secrets.a (did you mean 'refresh'?)\n"
	  "agent.yaml:2:24: backends.b.type: unknown backend type 'nowhere'\n"
	  "agent.yaml:3:1: the key 'secrets' is there twice\n"
	  "agent.yaml:3:48: unknown key 'colour' in secrets.c\n"
	  "agent.yaml:4:16: the key 'X' is there twice\n"
	  "agent.yaml:5:12: max_stale: 'soon' is not a duration: write it like 250ms, 10s, 5m or "
	  "1h30m\n" },
	{ "a: &x 1\n"
	  "b: *x\n",
	  "agent.yaml:1:4: anchors (&name) are not supported: write the value again\n" },
	{ "log:\n"
	  "	level: info\n",
	  "agent.yaml:2:1: a tab where YAML allows none: indent with spaces\n" },
	{ "max_stale: 1h\n"
	  "---\n"
	  "max_stale: 2h\n",
	  "agent.yaml:2:1: more than one document: only one is read\n" },
	{ "just words\n", "agent.yaml:1:1: the file must be a map, not a single value\n" },
	{ "- a\n"
	  "- b\n",
	  "agent.yaml:1:1: the file must be a map, not a list\n" },
};

static const struct row root_rows[] = {
	{ "max_stael: 1h\n",
	  "agent.yaml:1:1: unknown key 'max_stael' (did you mean 'max_stale'?)\n" },
	{ "secret: {}\n", "agent.yaml:1:1: unknown key 'secret' (did you mean 'secrets'?)\n" },
	{ "colour: blue\n", "agent.yaml:1:1: unknown key 'colour'\n" },
	{ "max_stale: yesterday\n",
	  "agent.yaml:1:12: max_stale: 'yesterday' is not a duration: write it like 250ms, 10s, 5m "
	  "or 1h30m\n" },
	{ "max_stale: -1h\n",
	  "agent.yaml:1:12: max_stale: '-1h' is not a duration: write it like 250ms, 10s, 5m or "
	  "1h30m\n" },
	{ "max_stale:\n", "agent.yaml:1:11: max_stale has no value\n" },
	{ "max_stale: [ 1h ]\n",
	  "agent.yaml:1:12: max_stale must be a single value, not a list\n" },
	{ "on_missing: kep\n",
	  "agent.yaml:1:13: on_missing: 'kep' is not one of keep, remove; did you mean 'keep'?\n" },
	{ "on_missing: { keep: true }\n",
	  "agent.yaml:1:13: on_missing must be a single value, not a map\n" },
	{ "revoke_on_exit: maybe\n",
	  "agent.yaml:1:17: revoke_on_exit: 'maybe' is neither true nor false\n" },
	{ "splay: \"yes\"\n", "agent.yaml:1:8: splay: 'yes' is neither true nor false\n" },
	{ "log: loud\n", "agent.yaml:1:6: log must be a map, not a single value\n" },
	{ "log: { level: inof }\n",
	  "agent.yaml:1:15: log.level: 'inof' is not one of error, warn, info, debug, trace; did "
	  "you mean 'info'?\n" },
	{ "log: { levle: info, format: xml }\n",
	  "agent.yaml:1:8: unknown key 'levle' in log (did you mean 'level'?)\n"
	  "agent.yaml:1:29: log.format: 'xml' is not one of text, json\n" },
	{ "metrics: { listen: 9102 }\n",
	  "agent.yaml:1:20: metrics.listen: '9102' is no literal address with a port: write it as "
	  "127.0.0.1:9102, or [::]:9102 for whoever reaches the pod\n" },
	{ "metrics: { listen: \"127.0.0.1:0\" }\n",
	  "agent.yaml:1:20: metrics.listen: '127.0.0.1:0' is no literal address with a port: write "
	  "it as "
	  "127.0.0.1:9102, or [::]:9102 for whoever reaches the pod\n" },
	{ "metrics: { listen: \"127.0.0.1:70000\" }\n",
	  "agent.yaml:1:20: metrics.listen: '127.0.0.1:70000' is no literal address with a port: "
	  "write it as "
	  "127.0.0.1:9102, or [::]:9102 for whoever reaches the pod\n" },
	{ "metrics: { listen: \"example.com:9102\" }\n",
	  "agent.yaml:1:20: metrics.listen: 'example.com:9102' is no literal address with a port: "
	  "write it as "
	  "127.0.0.1:9102, or [::]:9102 for whoever reaches the pod\n" },
	{ "metrics: { listen: \":9102\" }\n",
	  "agent.yaml:1:20: metrics.listen: ':9102' is no literal address with a port: write it as "
	  "127.0.0.1:9102, or [::]:9102 for whoever reaches the pod\n" },
	{ "metrics: { listen: \"::1:9102\" }\n",
	  "agent.yaml:1:20: metrics.listen: '::1:9102' is no literal address with a port: write it "
	  "as "
	  "127.0.0.1:9102, or [::]:9102 for whoever reaches the pod\n" },
	{ "metrics: { port: 9102 }\n", "agent.yaml:1:12: unknown key 'port' in metrics\n" },
	{ "audit: yes\n", "agent.yaml:1:8: audit must be a map with 'file', or stderr\n" },
	{ "audit: {}\n",
	  "agent.yaml:1:1: audit needs 'file': The file that is appended to, or `stderr`.\n" },
	{ "audit: { path: /x }\n",
	  "agent.yaml:1:1: audit needs 'file': The file that is appended to, or `stderr`.\n"
	  "agent.yaml:1:10: unknown key 'path' in audit\n" },
};

static const struct row backends_rows[] = {
	{ "backends: remote\n", "agent.yaml:1:11: backends must be a map, not a single value\n" },
	{ "backends:\n"
	  "  remot: { address: a }\n",
	  "agent.yaml:2:3: backends.remot: 'remot' is no backend type (did you mean 'remote'?): "
	  "name one with 'type'\n" },
	{ "backends:\n"
	  "  prod: { address: a }\n",
	  "agent.yaml:2:3: backends.prod: 'prod' is no backend type: name one with 'type'\n" },
	{ "backends:\n"
	  "  prod: { type: remmote, address: a }\n",
	  "agent.yaml:2:17: backends.prod.type: unknown backend type 'remmote' (did you mean "
	  "'remote'?)\n" },
	{ "backends:\n"
	  "  prod: { type: [ remote ] }\n",
	  "agent.yaml:2:17: backends.prod.type must be a single value, not a list\n" },
	{ "backends:\n"
	  "  \"a/b\": { type: remote, address: a }\n",
	  "agent.yaml:2:3: backends: 'a/b' is no name: use letters, digits, '.', '_' and '-', "
	  "without '..'\n" },
	{ "backends:\n"
	  "  remote:\n",
	  "agent.yaml:2:3: backends.remote needs 'address': Where it listens.\n" },
	{ "backends:\n"
	  "  remote: [ a ]\n",
	  "agent.yaml:2:11: backends.remote must be a map, not a list\n" },
	{ "backends:\n"
	  "  remote:\n"
	  "    adress: a\n",
	  "agent.yaml:3:5: unknown key 'adress' in backends.remote (did you mean 'address'?)\n" },
	{ "backends:\n"
	  "  remote: { address: a, namespace: }\n",
	  "agent.yaml:2:36: backends.remote.namespace has no value\n" },
	{ "backends:\n"
	  "  remote: { address: [] }\n",
	  "agent.yaml:2:22: backends.remote.address is an empty list\n" },
	{ "backends:\n"
	  "  remote: { address: [ a, { b: c } ] }\n",
	  "agent.yaml:2:27: backends.remote.address must be a single value, not a map\n" },
	{ "backends:\n"
	  "  remote: { address: { a: b } }\n",
	  "agent.yaml:2:22: backends.remote.address must be a single value, not a map\n" },
	{ "backends:\n"
	  "  remote: { address: a, timeout: 500ms }\n",
	  "agent.yaml:2:34: backends.remote.timeout: '500ms' is too small: at least 1s\n" },
	{ "backends:\n"
	  "  remote: { address: a, timeout: 2m }\n",
	  "agent.yaml:2:34: backends.remote.timeout: '2m' is too large: at most 1m\n" },
	{ "backends:\n"
	  "  remote: { address: a, timeout: 10 }\n",
	  "agent.yaml:2:34: backends.remote.timeout: '10' is not a duration: write it like 250ms, "
	  "10s, 5m or 1h30m\n" },
	{ "backends:\n"
	  "  remote: { address: a, reply_max: 1 megabyte }\n",
	  "agent.yaml:2:36: backends.remote.reply_max: '1 megabyte' is not a size: write it like "
	  "512, 64KiB, 1MiB or 10kB\n" },
	{ "backends:\n"
	  "  remote: { address: a, insecure_http: 1 }\n",
	  "agent.yaml:2:40: backends.remote.insecure_http: '1' is neither true nor false\n" },
	{ "backends:\n"
	  "  remote: { address: a, auth: kubernetes }\n",
	  "agent.yaml:2:31: backends.remote.auth must be a map, not a single value\n" },
	{ "backends:\n"
	  "  remote:\n"
	  "    address: a\n"
	  "    auth: { method: kubernets }\n",
	  "agent.yaml:4:21: backends.remote.auth.method: 'kubernets' is not one of none, "
	  "token_file, kubernetes; did you mean 'kubernetes'?\n" },
	{ "backends:\n"
	  "  remote:\n"
	  "    address: a\n"
	  "    auth: { rol: web }\n",
	  "agent.yaml:4:13: unknown key 'rol' in backends.remote.auth (did you mean 'role'?)\n" },
	{ "backends:\n"
	  "  remote:\n"
	  "    address: a\n"
	  "    auth: { method: kubernetes }\n",
	  "agent.yaml:4:5: backends.remote.auth.role: missing\n" },
	{ "backends:\n"
	  "  remote:\n"
	  "    address: a\n"
	  "    auth:\n"
	  "      token_file: /t\n",
	  "agent.yaml:5:19: backends.remote.auth.token_file: method none takes none\n" },
	{ "backends:\n"
	  "  remote:\n"
	  "    address: http://far:1\n",
	  "agent.yaml:3:14: backends.remote.address: plain http\n" },
	{ "backends:\n"
	  "  remote: { address: a, file: b }\n",
	  "agent.yaml:2:25: unknown key 'file' in backends.remote\n" },
	{ "backends:\n"
	  "  store: { key_file: k }\n",
	  "agent.yaml:2:3: backends.store needs 'file': The file.\n" },
	{ "backends:\n"
	  "  store: { file: \"\" }\n",
	  "agent.yaml:2:18: backends.store.file: an empty path\n" },
	{ "backends:\n"
	  "  store: { file: \"a\\0b\" }\n",
	  "agent.yaml:2:18: backends.store.file holds a NUL character\n" },
};

static const struct row secrets_rows[] = {
	{ BACKENDS "secrets: [ db ]\n", "agent.yaml:2:10: secrets must be a map, not a list\n" },
	{ BACKENDS "secrets:\n"
		   "  db: remote\n",
	  "agent.yaml:3:7: secrets.db must be a map, not a single value\n" },
	{ BACKENDS "secrets:\n"
		   "  db:\n",
	  "agent.yaml:3:3: secrets.db needs 'backend': The name of the backend that it comes "
	  "from.\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { path: p }\n",
	  "agent.yaml:3:3: secrets.db needs 'backend': The name of the backend that it comes "
	  "from.\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remot, path: p }\n",
	  "agent.yaml:3:18: secrets.db.backend: there is no backend 'remot' (did you mean "
	  "'remote'?)\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: aws, path: p }\n",
	  "agent.yaml:3:18: secrets.db.backend: there is no backend 'aws'\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remote }\n",
	  "agent.yaml:3:3: secrets.db needs 'path': backend 'remote' has no default\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remote, path: \"\" }\n",
	  "agent.yaml:3:32: secrets.db.path is empty\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remote, path: p, refresh: 500ms }\n",
	  "agent.yaml:3:44: secrets.db.refresh: '500ms' is too small: at least 1s\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remote, path: p, refresh: often }\n",
	  "agent.yaml:3:44: secrets.db.refresh: 'often' is not a duration: write it like 250ms, "
	  "10s, 5m or 1h30m\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remote, path: p, refesh: 5m }\n",
	  "agent.yaml:3:35: unknown key 'refesh' in secrets.db (did you mean 'refresh'?)\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remote, path: p, required: no }\n",
	  "agent.yaml:3:45: secrets.db.required: 'no' is neither true nor false\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remote, path: p, write: now }\n",
	  "agent.yaml:3:42: secrets.db.write must be a map, not a single value\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remote, path: p, write: { ttl: 0x10 } }\n",
	  "agent.yaml:3:49: secrets.db.write: JSON has no number '0x10': write it in decimal, or "
	  "in quotes\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: store, write: { a: b } }\n",
	  "agent.yaml:3:25: secrets.db.write: backend 'store' is a file and answers no write\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: store, verbatim: true }\n",
	  "agent.yaml:3:35: secrets.db.verbatim: backend 'store' is of type store, which has one "
	  "way to read a path: leave it out\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: remote, path: p, verbatim: yes }\n",
	  "agent.yaml:3:45: secrets.db.verbatim: 'yes' is not one of false, true, answer\n" },
	{ BACKENDS "secrets:\n"
		   "  a/b: { backend: store }\n",
	  "agent.yaml:3:3: secrets: 'a/b' is no name: use letters, digits, '.', '_' and '-', "
	  "without '..'\n" },
	{ BACKENDS "secrets:\n"
		   "  ..: { backend: store }\n",
	  "agent.yaml:3:3: secrets: '..' is no name: use letters, digits, '.', '_' and '-', "
	  "without '..'\n" },
	{ BACKENDS "secrets:\n"
		   "  a..b: { backend: store }\n",
	  "agent.yaml:3:3: secrets: 'a..b' is no name: use letters, digits, '.', '_' and '-', "
	  "without '..'\n" },
	{ BACKENDS "secrets:\n"
		   "  .: { backend: store }\n",
	  "agent.yaml:3:3: secrets: '.' is no name: use letters, digits, '.', '_' and '-', without "
	  "'..'\n" },
	{ BACKENDS "secrets:\n"
		   "  \"\": { backend: store }\n",
	  "agent.yaml:3:3: secrets: '' is no name: use letters, digits, '.', '_' and '-', without "
	  "'..'\n" },
	{ BACKENDS "secrets:\n"
		   "  db: { backend: store }\n"
		   "  db: { backend: store }\n",
	  "agent.yaml:4:3: the key 'db' is there twice\n" },
	{ "secrets:\n"
	  "  db: { backend: remote, path: p }\n",
	  "agent.yaml:2:18: secrets.db.backend: there is no backend 'remote'\n" },
};

static const struct row files_rows[] = {
	{ DECLARED "sinks:\n"
		   "  file: { directory: /d }\n",
	  "agent.yaml:4:3: unknown key 'file' in sinks (did you mean 'files'?)\n" },
	{ DECLARED "sinks: files\n", "agent.yaml:3:8: sinks must be a map, not a single value\n" },
	{ DECLARED "sinks:\n"
		   "  files: /run/secrets\n",
	  "agent.yaml:4:10: sinks.files must be a map, not a single value\n" },
	{ DECLARED "sinks:\n"
		   "  files: []\n",
	  "agent.yaml:4:10: sinks.files is an empty list\n" },
	{ DECLARED "sinks:\n"
		   "  files: \n",
	  "agent.yaml:4:3: sinks.files needs 'directory': The directory that shows the files; best "
	  "on a tmpfs.\n" },
	{ DECLARED "sinks:\n"
		   "  files: { mode: \"0440\" }\n",
	  "agent.yaml:4:3: sinks.files needs 'directory': The directory that shows the files; best "
	  "on a tmpfs.\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, mode: 0440 }\n",
	  "agent.yaml:4:33: sinks.files.mode: YAML reads a plain 0440 as a number: write the mode "
	  "in quotes, as in \"0440\"\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, mode: \"440x\" }\n",
	  "agent.yaml:4:33: sinks.files.mode: '440x' is not a file mode: write three or four octal "
	  "digits, like \"0440\"\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, mode: \"9999\" }\n",
	  "agent.yaml:4:33: sinks.files.mode: '9999' is not a file mode: write three or four octal "
	  "digits, like \"0440\"\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, owner: root }\n",
	  "agent.yaml:4:34: sinks.files.owner: 'root' is not a whole number\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, group: -1 }\n",
	  "agent.yaml:4:34: sinks.files.group: '-1' is not a whole number\n" },
	{ DECLARED "sinks:\n"
		   "  files: [ { directory: /d }, { directory: /d/ } ]\n",
	  "agent.yaml:4:44: sinks.files[1].directory: another sink has '/d/' already\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entires: {} }\n",
	  "agent.yaml:4:27: unknown key 'entires' in sinks.files (did you mean 'entries'?)\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: {} }\n",
	  "agent.yaml:4:27: sinks.files.entries is empty: leave it out for every field of every "
	  "secret\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: [ db ] }\n",
	  "agent.yaml:4:36: sinks.files.entries must be a map, not a list\n" },
};

static const struct row entries_rows[] = {
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a: db } }\n",
	  "agent.yaml:4:41: sinks.files.entries.a must be a map, not a single value\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a: { field: password } } }\n",
	  "agent.yaml:4:38: sinks.files.entries.a needs 'secret': The name of the secret.\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a: { secret: bd } } }\n",
	  "agent.yaml:4:51: sinks.files.entries.a: there is no secret 'bd' (did you mean "
	  "'db'?)\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a: { secret: db, feild: x } } }\n",
	  "agent.yaml:4:55: unknown key 'feild' in sinks.files.entries.a (did you mean "
	  "'field'?)\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a: { secret: db, field: \"\" } } }\n",
	  "agent.yaml:4:62: sinks.files.entries.a.field is empty\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a: { secret: db, format: xml } } }\n",
	  "agent.yaml:4:63: sinks.files.entries.a.format: 'xml' is not one of field, json, env, "
	  "yaml, raw, pem, kubelet-env, go-map, go-json\n" },
	{ DECLARED
	  "sinks:\n"
	  "  files: { directory: /d, entries: { a: { secret: db, field: x, format: json } } }\n",
	  "agent.yaml:4:73: sinks.files.entries.a.format is of a whole secret: leave out "
	  "'field'\n" },
	{ DECLARED
	  "sinks:\n"
	  "  files: { directory: /d, entries: { a: { secret: db, format: kubelet-env } } }\n",
	  "agent.yaml:4:63: sinks.files.entries.a: format: kubelet-env needs 'variable'\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a: { secret: db, variable: A } } }\n",
	  "agent.yaml:4:55: sinks.files.entries.a.variable is for format: kubelet-env\n" },
	{ DECLARED
	  "sinks:\n"
	  "  files: { directory: /d, entries: { a: { secret: db, field: p, format: kubelet-env, "
	  "variable: A-B } } }\n",
	  "agent.yaml:4:96: sinks.files.entries.a.variable: 'A-B' is no name of a variable: use "
	  "letters, digits and '_', no digit first, at most 128\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a: { secret: db, mode: 644 } } }\n",
	  "agent.yaml:4:61: sinks.files.entries.a.mode: YAML reads a plain 644 as a number: write "
	  "the mode in quotes, as in \"0440\"\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { /a: { secret: db } } }\n",
	  "agent.yaml:4:38: sinks.files.entries: '/a' must be relative: it starts in the sink's "
	  "directory\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { ../a: { secret: db } } }\n",
	  "agent.yaml:4:38: sinks.files.entries: '../a' must not contain '..'\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a/../b: { secret: db } } }\n",
	  "agent.yaml:4:38: sinks.files.entries: 'a/../b' must not contain '..'\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { ./a: { secret: db } } }\n",
	  "agent.yaml:4:38: sinks.files.entries: './a' must not contain '.' as a component\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { ..data: { secret: db } } }\n",
	  "agent.yaml:4:38: sinks.files.entries: '..data' must not start with '..': such names are "
	  "the agent's own\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a//b: { secret: db } } }\n",
	  "agent.yaml:4:38: sinks.files.entries: 'a//b' has an empty component: write single "
	  "slashes, none at the end\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { a/: { secret: db } } }\n",
	  "agent.yaml:4:38: sinks.files.entries: 'a/' has an empty component: write single "
	  "slashes, none at the end\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { \"\": { secret: db } } }\n",
	  "agent.yaml:4:38: sinks.files.entries: '' is empty\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, entries: { \"a\\nb\": { secret: db } } }\n",
	  "agent.yaml:4:38: sinks.files.entries: 'a?b' has a control character\n" },
	{ DECLARED
	  "sinks:\n"
	  "  files: { directory: /d, entries: { db: { secret: db }, db/x: { secret: app } } }\n",
	  "agent.yaml:4:58: sinks.files.entries: 'db/x' needs a directory where 'db' (line 4) "
	  "stands\n" },
	{ DECLARED
	  "sinks:\n"
	  "  files: { directory: /d, entries: { db/x/y: { secret: db }, db: { secret: app } } }\n",
	  "agent.yaml:4:62: sinks.files.entries: 'db' is a directory of 'db/x/y' (line 4)\n" },
	{ DECLARED
	  "sinks:\n"
	  "  files: { directory: /d, entries: { a: { secret: db }, a: { secret: app } } }\n",
	  "agent.yaml:4:57: the key 'a' is there twice\n" },
};

static const struct row on_change_rows[] = {
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, on_change: HUP }\n",
	  "agent.yaml:4:38: sinks.files.on_change must be a map, not a single value\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, on_change: {} }\n",
	  "agent.yaml:4:27: sinks.files.on_change needs 'signal' and 'pid_file', or 'exec'\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, on_change: { signal: HUP } }\n",
	  "agent.yaml:4:40: sinks.files.on_change: signal needs 'pid_file', which says whom to "
	  "signal\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, on_change: { pid_file: /p } }\n",
	  "agent.yaml:4:40: sinks.files.on_change: pid_file needs 'signal', as HUP\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, on_change: { signal: HUPP, pid_file: /p } }\n",
	  "agent.yaml:4:48: sinks.files.on_change.signal: there is no signal 'HUPP' (did you mean "
	  "'HUP'?)\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, on_change: { signal: 1, pid_file: /p } }\n",
	  "agent.yaml:4:48: sinks.files.on_change.signal: there is no signal '1'\n" },
	{ DECLARED
	  "sinks:\n"
	  "  files: { directory: /d, on_change: { signal: HUP, pid_file: /p, exec: [ a ] } }\n",
	  "agent.yaml:4:67: sinks.files.on_change: signal and exec exclude each other\n" },
	{ DECLARED
	  "sinks:\n"
	  "  files: { directory: /d, on_change: { exec: [ a ], signal: HUP, pid_file: /p } }\n",
	  "agent.yaml:4:53: sinks.files.on_change: signal and exec exclude each other\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, on_change: { exec: [] } }\n",
	  "agent.yaml:4:46: sinks.files.on_change.exec is an empty list\n" },
	{ DECLARED "sinks:\n"
		   "  files: { directory: /d, on_change: { exec: [ a ], pid_file: /p } }\n",
	  "agent.yaml:4:53: sinks.files.on_change: pid_file needs 'signal', as HUP\n" },
};

static const struct row socket_rows[] = {
	{ DECLARED "sinks:\n"
		   "  socket: /run/agent.sock\n",
	  "agent.yaml:4:11: sinks.socket must be a map, not a single value\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { mode: \"0600\" }\n",
	  "agent.yaml:4:3: sinks.socket needs 'path': The socket's path, at most 107 bytes.\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, mode: 0600 }\n",
	  "agent.yaml:4:29: sinks.socket.mode: YAML reads a plain 0600 as a number: write the mode "
	  "in quotes, as in \"0440\"\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: "
		   "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx }\n",
	  "agent.yaml:4:19: sinks.socket.path: 108 bytes are more than the kernel's 107 for a "
	  "socket: choose a shorter directory\n" },
	{ DECLARED "sinks:\n"
		   "  socket: [ { path: /s }, { path: //s } ]\n",
	  "agent.yaml:4:35: sinks.socket[1].path: another sink has '//s' already\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, max_connections: 0 }\n",
	  "agent.yaml:4:40: sinks.socket.max_connections: '0' is too small: at least 1\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, max_connections: many }\n",
	  "agent.yaml:4:40: sinks.socket.max_connections: 'many' is not a whole number\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, idle_timeout: 0s }\n",
	  "agent.yaml:4:37: sinks.socket.idle_timeout: '0s' is too small: at least 1s\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, allow: [] }\n",
	  "agent.yaml:4:23: sinks.socket.allow is empty: leave it out for the agent's own uid\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, allow: 1000 }\n",
	  "agent.yaml:4:30: sinks.socket.allow must be a list, not a single value\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, allow: [ { secrets: [ db ] } ] }\n",
	  "agent.yaml:4:32: sinks.socket.allow[0] needs 'uid': The numeric uid of the peer, or "
	  "`any` where the directory is the boundary.\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, allow: [ { uid: root } ] }\n",
	  "agent.yaml:4:39: sinks.socket.allow[0].uid: 'root' is neither a number nor 'any'\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, allow: [ { uid: 4294967295 } ] }\n",
	  "agent.yaml:4:39: sinks.socket.allow[0].uid: '4294967295' is neither a number nor "
	  "'any'\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, allow: [ { uid: 1, secrets: [ db, dbb ] } ] }\n",
	  "agent.yaml:4:57: sinks.socket.allow[0]: there is no secret 'dbb' (did you mean "
	  "'db'?)\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, allow: [ { uid: 1, secrets: [] } ] }\n",
	  "agent.yaml:4:51: sinks.socket.allow[0].secrets is an empty list\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, allow: [ { uid: 1 }, { uid: any }, { uid: 1 } ] }\n",
	  "agent.yaml:4:65: sinks.socket.allow[2].uid: 1 has an entry already: list its secrets "
	  "there\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /s, alow: [] }\n",
	  "agent.yaml:4:23: unknown key 'alow' in sinks.socket (did you mean 'allow'?)\n" },
	{ DECLARED "sinks:\n"
		   "  socket: { path: /d/s }\n"
		   "  files: { directory: /d/./s }\n",
	  "agent.yaml:4:19: sinks.socket.path: '/d/s' is the directory of a files sink\n" },
};

static const struct row env_rows[] = {
	{ DECLARED "env: [ A ]\n", "agent.yaml:3:6: env must be a map, not a list\n" },
	{ DECLARED "env: { A: }\n", "agent.yaml:3:11: env.A has no value\n" },
	{ DECLARED "env: { 1A: db.x }\n",
	  "agent.yaml:3:8: env: '1A' is no name of a variable: use letters, digits and '_', and no "
	  "digit first\n" },
	{ DECLARED "env: { A-B: db.x }\n",
	  "agent.yaml:3:8: env: 'A-B' is no name of a variable: use letters, digits and '_', and "
	  "no digit first\n" },
	{ DECLARED "env: { A: bd.x }\n",
	  "agent.yaml:3:11: env.A: there is no secret 'bd' (did you mean 'db'?)\n" },
	{ DECLARED "env: { A: db }\n",
	  "agent.yaml:3:11: env.A: 'db' is a whole secret: name one field, as db.FIELD\n" },
	{ DECLARED "env: { A: db. }\n",
	  "agent.yaml:3:11: env.A: 'db.' names no field after '.'\n" },
	{ DECLARED "env: { A: \"db#\" }\n",
	  "agent.yaml:3:11: env.A: 'db#' names no field after '#'\n" },
	{ DECLARED "env: { A: \"bd#x\" }\n",
	  "agent.yaml:3:11: env.A: there is no secret 'bd' (did you mean 'db'?)\n" },
	{ DECLARED "env: { A: \"db#a%2\" }\n",
	  "agent.yaml:3:11: env.A: after '#': a % without two hexadecimal digits: write it as "
	  "%25\n" },
	{ DECLARED "env: { A: [ db.x ] }\n",
	  "agent.yaml:3:11: env.A must be a single value, not a list\n" },
	{ DECLARED "env: { A: db.x, A: db.y }\n", "agent.yaml:3:17: the key 'A' is there twice\n" },
};

static const struct row several_rows[] = {
	{ "max_stael: 1h\n"
	  "backends:\n"
	  "  remote:\n"
	  "    adress: a\n"
	  "    timeout: 1\n"
	  "secrets:\n"
	  "  a/b: { backend: x }\n"
	  "env: { 1: q.r }\n",
	  "agent.yaml:1:1: unknown key 'max_stael' (did you mean 'max_stale'?)\n"
	  "agent.yaml:4:5: unknown key 'adress' in backends.remote (did you mean 'address'?)\n"
	  "agent.yaml:5:14: backends.remote.timeout: '1' is not a duration: write it like 250ms, "
	  "10s, 5m or 1h30m\n"
	  "agent.yaml:7:3: secrets: 'a/b' is no name: use letters, digits, '.', '_' and '-', "
	  "without '..'\n"
	  "agent.yaml:7:19: secrets.a/b.backend: there is no backend 'x'\n"
	  "agent.yaml:8:8: env: '1' is no name of a variable: use letters, digits and '_', and no "
	  "digit first\n"
	  "agent.yaml:8:11: env.1: there is no secret 'q'\n" },
	{ DECLARED "env: { A: x.y }\n"
		   "sinks:\n"
		   "  socket: { path: /s, allow: { uid: q } }\n"
		   "  files: { mode: 1 }\n"
		   "log: { level: x }\n",
	  "agent.yaml:3:11: env.A: there is no secret 'x'\n"
	  "agent.yaml:5:37: sinks.socket.allow.uid: 'q' is neither a number nor 'any'\n"
	  "agent.yaml:6:3: sinks.files needs 'directory': The directory that shows the files; best "
	  "on a tmpfs.\n"
	  "agent.yaml:6:18: sinks.files.mode: YAML reads a plain 1 as a number: write the mode in "
	  "quotes, as in \"0440\"\n"
	  "agent.yaml:7:15: log.level: 'x' is not one of error, warn, info, debug, trace\n" },
};

Test(config_faults, of_the_yaml_itself_are_told_at_their_place)
{
	check_rows(yaml_rows, ARRAY_SIZE(yaml_rows));
}

Test(config_faults, of_the_root)
{
	check_rows(root_rows, ARRAY_SIZE(root_rows));
}

Test(config_faults, of_backends_come_from_their_own_tables)
{
	check_rows(backends_rows, ARRAY_SIZE(backends_rows));
}

Test(config_faults, of_secrets)
{
	check_rows(secrets_rows, ARRAY_SIZE(secrets_rows));
}

Test(config_faults, of_files)
{
	check_rows(files_rows, ARRAY_SIZE(files_rows));
}

Test(config_faults, of_entries_that_would_leave_the_directory_or_collide)
{
	check_rows(entries_rows, ARRAY_SIZE(entries_rows));
}

Test(config_faults, of_on_change)
{
	check_rows(on_change_rows, ARRAY_SIZE(on_change_rows));
}

Test(config_faults, of_sockets)
{
	check_rows(socket_rows, ARRAY_SIZE(socket_rows));
}

Test(config_faults, of_variables)
{
	check_rows(env_rows, ARRAY_SIZE(env_rows));
}

Test(config_faults, are_told_all_at_once_in_the_order_of_the_file)
{
	check_rows(several_rows, ARRAY_SIZE(several_rows));
}

Test(config_faults, end_somewhere_in_a_file_of_nothing_else)
{
	struct buf text = BUF_INIT(1 << 20);
	size_t lines = 0;
	char *faults;

	for (unsigned i = 0; i < 1000; i++)
		buf_printf(&text, "wrong%u: %u\n", i, i);
	faults = config_faults(buf_string(&text));
	for (const char *at = faults; *at != '\0'; at++)
		lines += *at == '\n';
	cr_expect_eq(lines, 200);
	wipe_free(faults);
	buf_deinit(&text);
}

Test(config_faults, of_a_file_that_cannot_be_read_name_it)
{
	struct config_problems problems = { 0 };
	struct buf lines = BUF_INIT(1 << 16);

	cr_expect_null(config_read("/nonexistent/agent.yaml", fake_types, &problems));
	config_problems_print(&problems, &lines);
	cr_expect_str_eq(buf_string(&lines),
			 "/nonexistent/agent.yaml: cannot open it: No such file or directory\n");
	config_problems_free(&problems);
	buf_deinit(&lines);
}

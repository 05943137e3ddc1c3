/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least policy that lets the declared paths be read, as the server wants it written.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "backends/vault_common.h"

static void put_stanza(struct buf *policy, const char *path, const char *capability)
{
	buf_puts(policy, "path \"");
	for (; *path != '\0'; path++) {
		if (*path == '"' || *path == '\\')
			buf_putc(policy, '\\');
		buf_putc(policy, *path);
	}
	buf_printf(policy, "\" {\n  capabilities = [\"%s\"]\n}\n", capability);
}

/* Not known yet whether KV v2: as written, and with data/ after the first segment. */
static void put_both(struct buf *policy, const char *path)
{
	AUTO(buf_deinit) struct buf versioned = BUF_INIT(VAULT_PATH_MAX + sizeof("/data"));
	const char *rest = strchr(path, '/');

	put_stanza(policy, path, "read");
	if (rest == NULL || text_starts_with(rest, "/data/"))
		return;
	buf_put(&versioned, path, (size_t)(rest - path));
	buf_puts(&versioned, "/data");
	buf_puts(&versioned, rest);
	put_stanza(policy, buf_string(&versioned), "read");
}

void vault_policy(struct backend *backend, const struct secret_spec *spec, struct buf *policy)
{
	AUTO(buf_deinit) struct buf api_path = BUF_INIT(VAULT_PATH_MAX + sizeof("/data"));
	bool literal = spec->verbatim == VERBATIM_YES;
	AUTO(freep) char *asked = strndup(spec->path, strcspn(spec->path, literal ? "?" : ""));
	AUTO(freep) char *path = NULL;
	const struct vault_mount *mount;
	struct error ignored;

	/* A path that cannot be read is reported by the fetch. */
	if (asked == NULL || vault_path_read(asked, &path, &ignored) < 0)
		return;
	if (spec->write != NULL || literal) {
		put_stanza(policy, path, spec->write != NULL ? "update" : "read");
		return;
	}
	mount = vault_mounts_find(&vault_of(backend)->mounts, path);
	if (mount == NULL) {
		put_both(policy, path);
		return;
	}
	vault_mount_api_path(&api_path, mount, path);
	put_stanza(policy, buf_string(&api_path), "read");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/sops_metadata.h"

#include <sodium.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"

enum { AGE_FILE_MAX = 64 << 10, AGE_RECIPIENT_MAX = 128, RECIPIENT_LEN = 62 };

/* Other ways to wrap the document's key; each a list in the metadata. */
static const char *const other_keys[] = {
	"kms", "gcp_kms", "azure_kv", "hc_vault", "pgp", "hckms"
};

struct sops_node *sops_metadata(const struct sops_tree *tree, struct error *err)
{
	struct sops_node *metadata = sops_get(tree->root, SOPS_METADATA);

	if (metadata == NULL || metadata->kind != SOPS_MAP) {
		(void)error_set(err, ERROR_INVALID,
				"it is not encrypted: it has no sops metadata; `agent secrets "
				"encrypt -i` adds it");
		return NULL;
	}
	return metadata;
}

#define ADD_AGE "add an age recipient with `sops rotate --add-age`"

static int no_age_keys(const struct sops_node *metadata, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(other_keys); i++) {
		const struct sops_node *keys = sops_get(metadata, other_keys[i]);

		if (keys != NULL && keys->first != NULL)
			return error_set(err, ERROR_INVALID,
					 "line %u: it is encrypted for %s keys, which are not "
					 "supported yet; " ADD_AGE,
					 keys->line, other_keys[i]);
	}
	return error_set(err, ERROR_INVALID, "its sops metadata names no keys");
}

/* Other kinds have longer names, or none that begins so: ssh-ed25519, age1pq1…, plugins' */
static bool is_x25519(const struct sops_node *recipient)
{
	return recipient->len == RECIPIENT_LEN && text_starts_with(recipient->text, "age1");
}

/* Recipients are public: naming both sides shows at once which key is missing. */
static int no_usable_key(const struct sops_node *age, const struct age_identities *keys,
			 struct error *err)
{
	AUTO(buf_deinit) struct buf mine = BUF_INIT(AGE_RECIPIENT_MAX);
	const struct sops_node *first = sops_get(age->first, "recipient");
	size_t count = 0, known = 0;

	for (const struct sops_node *entry = age->first; entry != NULL; entry = entry->next) {
		const struct sops_node *recipient = sops_get(entry, "recipient");

		count++;
		known += recipient == NULL || is_x25519(recipient);
	}
	if (known == 0)
		return error_set(err, ERROR_INVALID,
				 "line %u: it is for '%.12s…', a kind of recipient that is not "
				 "supported yet; " ADD_AGE,
				 first->line, first->text);
	if (keys->count > 0)
		age_recipient_write(&mine, keys->items[0].recipient);
	return error_set(err, ERROR_INVALID,
			 "no usable age key: it is for %.64s%s, at hand is %s%s: set "
			 "SOPS_AGE_KEY_FILE, or have the latter added",
			 first != NULL ? first->text : "somebody unnamed",
			 count > 1 ? " and others" : "", buf_string(&mine),
			 keys->count > 1 ? " and others" : "");
}

int sops_metadata_key(const struct sops_node *metadata, const struct age_identities *keys,
		      uint8_t ret[SOPS_KEY_LEN], struct error *err)
{
	const struct sops_node *groups = sops_get(metadata, "key_groups");
	const struct sops_node *age = sops_get(metadata, "age");
	AUTO(buf_deinit) struct buf plain = BUF_INIT(SOPS_KEY_LEN);
	struct error damage = ERROR_INIT;

	if (groups != NULL && groups->first != NULL)
		return error_set(
			err, ERROR_INVALID,
			"line %u: key groups are not supported yet: encrypt it for one group "
			"of age recipients",
			groups->line);
	if (age == NULL || age->kind != SOPS_LIST || age->first == NULL)
		return no_age_keys(metadata, err);
	for (const struct sops_node *entry = age->first; entry != NULL; entry = entry->next) {
		const struct sops_node *sealed = sops_get(entry, "enc");

		buf_reset(&plain);
		if (sealed == NULL || sealed->kind != SOPS_STRING)
			continue;
		if (age_decrypt(sealed->text, sealed->len, keys, &plain, err) < 0) {
			/* Another entry may open it; if none does, damage is the better reason. */
			if (err->code != ERROR_INVALID)
				damage = *err;
			continue;
		}
		if (plain.len != SOPS_KEY_LEN)
			return error_set(err, ERROR_BAD_DATA, "its data key has %zu bytes, not %d",
					 plain.len, SOPS_KEY_LEN);
		memcpy(ret, plain.data, SOPS_KEY_LEN);
		return 0;
	}
	if (damage.code == ERROR_NONE)
		return no_usable_key(age, keys, err);
	*err = damage;
	return error_wrap(err, "its data key cannot be decrypted");
}

/* --- writing --- */

struct recipient {
	struct buf name, sealed;
};

static int seal_key(const uint8_t key[SOPS_KEY_LEN], const uint8_t recipient[AGE_KEY_LEN],
		    struct buf *name, struct buf *sealed, struct error *err)
{
	uint8_t one[1][AGE_KEY_LEN];

	memcpy(one[0], recipient, AGE_KEY_LEN);
	age_recipient_write(name, recipient);
	return age_encrypt((const uint8_t(*)[AGE_KEY_LEN])one, 1, key, SOPS_KEY_LEN, sealed, err);
}

static void put_indent(struct buf *out, size_t indent)
{
	for (size_t i = 0; i < indent; i++)
		buf_putc(out, ' ');
}

static void put_yaml_block(struct buf *out, const char *text, size_t indent)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		put_indent(out, indent);
		buf_put(out, text, len);
		buf_putc(out, '\n');
		text += len + (text[len] == '\n');
	}
}

static void put_recipient(struct buf *out, enum sops_format format, size_t indent, size_t i,
			  const struct buf *name, const struct buf *sealed)
{
	const char *text = buf_string(sealed);

	if (format == SOPS_YAML) {
		put_indent(out, indent + 8);
		buf_printf(out, "- recipient: %s\n", buf_string(name));
		put_indent(out, indent + 10);
		buf_puts(out, "enc: |\n");
		put_yaml_block(out, text, indent + 12);
	} else if (format == SOPS_JSON) {
		buf_printf(out, "%s\n\t\t\t{\n\t\t\t\t\"recipient\": \"%s\",\n\t\t\t\t\"enc\": ",
			   i > 0 ? "," : "", buf_string(name));
		text_write_json(out, text, sealed->len);
		buf_puts(out, "\n\t\t\t}");
	} else {
		buf_printf(out, "sops_age__list_%zu__map_enc=", i);
		for (; *text != '\0'; text++) {
			if (*text == '\n')
				buf_puts(out, "\\n");
			else
				buf_putc(out, *text);
		}
		buf_printf(out, "\nsops_age__list_%zu__map_recipient=%s\n", i, buf_string(name));
	}
}

#define EPOCH "1970-01-01T00:00:00Z"

static int put_metadata(struct buf *out, enum sops_format format, size_t indent,
			const uint8_t key[SOPS_KEY_LEN], const uint8_t (*recipients)[AGE_KEY_LEN],
			size_t count, struct error *err)
{
	if (format == SOPS_YAML) {
		put_indent(out, indent);
		buf_puts(out, "sops:\n");
		put_indent(out, indent + 4);
		buf_puts(out, "age:\n");
	} else if (format == SOPS_JSON) {
		buf_puts(out, "\"sops\": {\n\t\t\"age\": [");
	}
	for (size_t i = 0; i < count; i++) {
		AUTO(buf_deinit) struct buf name = BUF_INIT(128), sealed = BUF_INIT(AGE_FILE_MAX);

		if (seal_key(key, recipients[i], &name, &sealed, err) < 0)
			return -1;
		put_recipient(out, format, indent, i, &name, &sealed);
	}
	if (format == SOPS_YAML) {
		static const char *const lines[] = { "lastmodified: \"" EPOCH "\"", "mac: \"\"",
						     "unencrypted_suffix: " SOPS_DEFAULT_SUFFIX,
						     "version: " SOPS_VERSION };

		for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
			put_indent(out, indent + 4);
			buf_printf(out, "%s\n", lines[i]);
		}
	} else if (format == SOPS_JSON) {
		buf_puts(out, "\n\t\t],\n\t\t\"lastmodified\": \"" EPOCH
			      "\",\n\t\t\"mac\": \"\",\n\t\t"
			      "\"unencrypted_suffix\": \"" SOPS_DEFAULT_SUFFIX
			      "\",\n\t\t"
			      "\"version\": \"" SOPS_VERSION "\"\n\t}");
	} else {
		buf_puts(out, "sops_lastmodified=" EPOCH
			      "\nsops_mac=\n"
			      "sops_unencrypted_suffix=" SOPS_DEFAULT_SUFFIX
			      "\nsops_version=" SOPS_VERSION "\n");
	}
	return 0;
}

/* Where metadata goes: after everything, or, in braces, before the one that closes. */
static void put_joined(const struct sops_tree *tree, const char *text, size_t len,
		       const struct buf *metadata, struct buf *out)
{
	const struct sops_node *root = tree->root;
	bool json = tree->format == SOPS_JSON;
	size_t at = len;

	if (!root->flow) {
		buf_put(out, text, len);
		if (len > 0 && text[len - 1] != '\n')
			buf_putc(out, '\n');
		buf_put(out, metadata->data, metadata->len);
		return;
	}
	at = root->span.end - 1;
	if (root->first != NULL) {
		for (const struct sops_node *child = root->first; child != NULL;
		     child = child->next)
			if (child->kind != SOPS_COMMENT)
				at = child->span.end;
	}
	buf_put(out, text, at);
	buf_puts(out, root->first != NULL ? "," : "");
	buf_puts(out, json ? "\n\t" : " ");
	buf_put(out, metadata->data, metadata->len);
	if (json && memchr(text + at, '\n', root->span.end - at) == NULL)
		buf_putc(out, '\n');
	buf_put(out, text + at, len - at);
}

static size_t root_indent(const struct sops_tree *tree)
{
	for (const struct sops_node *child = tree->root->first; child != NULL; child = child->next)
		if (child->kind != SOPS_COMMENT && tree->format == SOPS_YAML && child->column > 0)
			return child->column - 1;
	return 0;
}

int sops_metadata_append(const struct sops_tree *tree, const char *text, size_t len,
			 const uint8_t key[SOPS_KEY_LEN], const uint8_t (*recipients)[AGE_KEY_LEN],
			 size_t count, struct buf *out, struct error *err)
{
	AUTO(buf_deinit) struct buf metadata = BUF_INIT(SOPS_DOCUMENT_MAX);
	/* A flow map of YAML takes what JSON takes. */
	enum sops_format format = tree->root->flow ? SOPS_JSON : tree->format;

	if (put_metadata(&metadata, format, root_indent(tree), key, recipients, count, err) < 0 ||
	    buf_check(&metadata, "the metadata", err) < 0)
		return -1;
	put_joined(tree, text, len, &metadata, out);
	return buf_check(out, "the encrypted document", err);
}

static void copy_lines(const char *text, struct buf *metadata)
{
	while (*text != '\0') {
		size_t size = strcspn(text, "\n");

		if (strncmp(text, "sops_", 5) == 0) {
			buf_put(metadata, text, size);
			buf_putc(metadata, '\n');
		}
		text += size + (text[size] == '\n');
	}
}

int sops_metadata_copy(const struct sops_tree *tree, const char *text, size_t len,
		       const struct sops_tree *from, const char *from_text, struct buf *out,
		       struct error *err)
{
	AUTO(buf_deinit) struct buf metadata = BUF_INIT(SOPS_DOCUMENT_MAX);
	const struct sops_node *node = sops_metadata(from, err);

	if (node == NULL)
		return -1;
	if (tree->root->flow != from->root->flow && tree->root->first != NULL)
		return error_set(err, ERROR_BAD_DATA,
				 "the document changed between indented lines and braces; keep its "
				 "outer style");
	if (from->format == SOPS_DOTENV) {
		copy_lines(from_text, &metadata);
	} else {
		size_t start = node->key_span.start;

		while (!from->root->flow && start > 0 && from_text[start - 1] != '\n')
			start--;
		buf_put(&metadata, from_text + start, node->span.end - start);
		if (!from->root->flow && metadata.len > 0 &&
		    metadata.data[metadata.len - 1] != '\n')
			buf_putc(&metadata, '\n');
	}
	if (buf_check(&metadata, "the metadata", err) < 0)
		return -1;
	put_joined(tree, text, len, &metadata, out);
	return buf_check(out, "the encrypted document", err);
}

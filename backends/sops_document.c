/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MAC covers the plaintext of the values in document order; it is itself sealed with the time
 * of the last change as its place. Decryption changes the tree only: the source stays what was
 * read.
 */
#include "backends/sops_document.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "backends/sops_internal.h"
#include "backends/sops_metadata.h"
#include "backends/sops_scalar.h"

#define MAC_BYTES ((size_t)64)
#define MAC_HEX	  (2 * MAC_BYTES)

/* SHA-256 of "sops": a MAC over encrypted values only never equals one over all. */
static const uint8_t only_encrypted_seed[] = {
	0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34,
	0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f,
	0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
};

struct decryption {
	struct sops_walk walk;
	const struct sops_document *document;
	crypto_hash_sha512_state hash;
};

static const struct {
	const char *name;
	enum sops_kind kind;
} types[] = {
	{ "str", SOPS_STRING },	 { "int", SOPS_INT },	      { "int64", SOPS_INT },
	{ "float", SOPS_FLOAT }, { "bool", SOPS_BOOL },	      { "bytes", SOPS_STRING },
	{ "time", SOPS_TIME },	 { "comment", SOPS_COMMENT },
};

const char *sops_type_name(enum sops_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].kind == kind)
			return types[i].name;
	return "str";
}

static int kind_of_type(const struct sops_sealed *sealed, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strlen(types[i].name) == sealed->type_len &&
		    memcmp(types[i].name, sealed->type, sealed->type_len) == 0)
			return (int)types[i].kind;
	return error_set(err, ERROR_BAD_DATA, "its type '%.*s' is not supported yet",
			 (int)(sealed->type_len < 40 ? sealed->type_len : 40), sealed->type);
}

/* What sops hashes is the value, not its spelling. */
static int set_typed(struct sops_node *node, enum sops_kind kind, const struct buf *plain,
		     struct error *err)
{
	AUTO(buf_deinit) struct buf canonical = BUF_INIT(1024);
	const char *text = buf_string(plain);
	bool understood = true;

	if (kind == SOPS_FLOAT) {
		understood = sops_write_float(&canonical, text);
	} else if (kind == SOPS_INT) {
		understood = sops_resolve(text, plain->len, &canonical) == SOPS_INT;
	} else if (kind == SOPS_BOOL) {
		static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
		static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

		understood = false;
		for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
			if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
				buf_puts(&canonical, strcmp(text, yes[i]) == 0 ? "True" : "False");
				understood = true;
				break;
			}
		}
	} else {
		return sops_node_set(node, kind, text, plain->len, err);
	}
	if (!understood)
		return error_set(err, ERROR_BAD_DATA, "its value is not of its type");
	return sops_node_set(node, kind, buf_string(&canonical), canonical.len, err);
}

static int value_error(const struct sops_node *node, struct error *err)
{
	AUTO(buf_deinit) struct buf path = BUF_INIT(200);

	sops_write_path(&path, node);
	return error_wrap(err, "line %u: the value of '%s' cannot be decrypted", node->line,
			  buf_string(&path));
}

static int decrypt_value(struct decryption *d, struct sops_node *node, const char *place,
			 struct error *err)
{
	AUTO(buf_deinit) struct buf plain = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct sops_sealed sealed;
	int kind;

	if (node->kind == SOPS_STRING && node->len == 0)
		return 0;
	if (node->kind != SOPS_STRING || !sops_sealed_read(node->text, node->len, &sealed))
		return error_set(
			err, ERROR_BAD_DATA,
			"it is not encrypted although the rules of the file say so: take the "
			"file from version control and set the value with `agent secrets "
			"set`");
	kind = kind_of_type(&sealed, err);
	if (kind < 0 || sops_unseal(d->document->key, &sealed, place, &plain, err) < 0)
		return -1;
	return set_typed(node, (enum sops_kind)kind, &plain, err);
}

/* Tries the places of the collections around as well: whose a comment is, readers of YAML see
 * differently. */
int sops_unseal_comment(const struct sops_document *document, const struct sops_sealed *sealed,
			const struct sops_walk *walk, struct buf *plain, struct error *err)
{
	size_t len = walk->place.len;

	for (;;) {
		AUTO(buf_deinit) struct buf place = BUF_INIT(len + 1);

		buf_put(&place, walk->place.data, len);
		if (sops_unseal(document->key, sealed, len > 0 ? buf_string(&place) : ":", plain,
				err) == 0)
			return 0;
		if (len == 0)
			return -1;
		for (len--; len > 0 && walk->place.data[len - 1] != ':';)
			len--;
	}
}

/* One that cannot be opened stays as it is: nothing depends on it. */
static int decrypt_comment(struct decryption *d, struct sops_node *node, struct error *err)
{
	AUTO(buf_deinit) struct buf plain = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct sops_sealed sealed;
	struct error ignored;

	if (!sops_sealed_read(node->text, node->len, &sealed) ||
	    sops_unseal_comment(d->document, &sealed, &d->walk, &plain, &ignored) < 0)
		return 0;
	return sops_node_set(node, SOPS_COMMENT, buf_string(&plain), plain.len, err);
}

static int decrypt_leaf(struct sops_walk *walk, struct sops_node *node, bool encrypted,
			struct error *err)
{
	struct decryption *d = CONTAINER_OF(walk, struct decryption, walk);

	if (node->kind == SOPS_COMMENT)
		return encrypted ? decrypt_comment(d, node, err) : 0;
	if (encrypted && decrypt_value(d, node, sops_place(walk, node), err) < 0)
		return value_error(node, err);
	if (node->kind != SOPS_COMMENT && (encrypted || !walk->rules->mac_only_encrypted))
		(void)crypto_hash_sha512_update(&d->hash, (const uint8_t *)node->text, node->len);
	return 0;
}

/* "" at the top is ":" to sops. */
const char *sops_place(const struct sops_walk *walk, const struct sops_node *node)
{
	(void)node;
	return walk->place.len > 0 ? buf_string(&walk->place) : ":";
}

/* Decrypts the tree and yields what its MAC must be, in upper-case hex. */
static int decrypt_tree(struct sops_document *document, char mac[MAC_HEX + 1], struct error *err)
{
	struct decryption d = {
		.walk = { .rules = &document->rules, .leaf = decrypt_leaf },
		.document = document,
	};
	uint8_t digest[MAC_BYTES];
	int status;

	(void)crypto_hash_sha512_init(&d.hash);
	if (document->rules.mac_only_encrypted)
		(void)crypto_hash_sha512_update(&d.hash, only_encrypted_seed,
						sizeof(only_encrypted_seed));
	status = sops_walk(&d.walk, document->tree.root, err);
	(void)crypto_hash_sha512_final(&d.hash, digest);
	wipe(&d.hash, sizeof(d.hash));
	for (size_t i = 0; i < MAC_BYTES && status == 0; i++) {
		mac[2 * i] = "0123456789ABCDEF"[digest[i] >> 4];
		mac[2 * i + 1] = "0123456789ABCDEF"[digest[i] & 15];
	}
	mac[MAC_HEX] = '\0';
	return status;
}

static int check_mac(const struct sops_document *document, const struct sops_node *metadata,
		     const char right[MAC_HEX + 1], struct error *err)
{
	const struct sops_node *mac = sops_get(metadata, "mac"),
			       *time = sops_get(metadata, "lastmodified");
	AUTO(buf_deinit) struct buf plain = BUF_INIT(4 * MAC_BYTES);
	struct sops_sealed sealed;

	if (mac != NULL && time != NULL && sops_sealed_read(mac->text, mac->len, &sealed) &&
	    sops_unseal(document->key, &sealed, time->text, &plain, err) == 0 &&
	    plain.len == MAC_HEX && sodium_memcmp(plain.data, right, MAC_HEX) == 0)
		return 0;
	return error_set(err, ERROR_BAD_DATA,
			 "line %u: the MAC is wrong: a value was changed, moved or removed without "
			 "sops; take the "
			 "file from version control, or correct it with `sops --ignore-mac`",
			 mac != NULL ? mac->line : 1);
}

static int open_tree(struct sops_document *document, const struct age_identities *keys,
		     struct error *err)
{
	struct sops_node *metadata = sops_metadata(&document->tree, err);
	char mac[MAC_HEX + 1];

	if (metadata == NULL || sops_rules_read(&document->rules, metadata, err) < 0 ||
	    sops_metadata_key(metadata, keys, document->key, err) < 0 ||
	    decrypt_tree(document, mac, err) < 0)
		return -1;
	return check_mac(document, metadata, mac, err);
}

int sops_document_init(struct sops_document *document, enum sops_format format, const char *text,
		       size_t len, const char *file, struct error *err)
{
	size_t mark = sops_byte_order_mark(text, len);

	*document = (struct sops_document){ .source = BUF_INIT(2 * SOPS_DOCUMENT_MAX) };
	document->file = strdup(file);
	buf_put(&document->source, text + mark, len - mark);
	if (document->file == NULL || document->source.failed)
		return error_no_memory(err);
	return sops_tree_read(&document->tree, format, buf_string(&document->source), len - mark,
			      file, err);
}

int sops_document_open(struct sops_document *document, enum sops_format format, const char *text,
		       size_t len, const char *file, const struct age_identities *keys,
		       struct error *err)
{
	int status = sops_document_init(document, format, text, len, file, err);

	if (status == 0 && open_tree(document, keys, err) < 0)
		status = error_wrap(err, "%s", file);
	if (status < 0)
		sops_document_free(document);
	return status;
}

void sops_document_free(struct sops_document *document)
{
	free(document->file);
	document->file = NULL;
	buf_deinit(&document->source);
	sops_tree_free(&document->tree);
	sops_rules_free(&document->rules);
	wipe(document->key, sizeof(document->key));
}

int sops_document_replace(struct sops_document *document, struct buf *text, struct error *err)
{
	enum sops_format format = document->tree.format;
	struct sops_tree tree;

	if (buf_check(text, "the document", err) < 0 ||
	    sops_tree_read(&tree, format, buf_string(text), text->len, document->file, err) < 0)
		return -1;
	sops_tree_free(&document->tree);
	document->tree = tree;
	buf_reset(&document->source);
	buf_put(&document->source, text->data, text->len);
	return buf_check(&document->source, "the document", err);
}

static int edit_scalar(const struct sops_document *document, struct sops_edits *edits,
		       const struct sops_node *node, const char *text, struct error *err)
{
	AUTO(buf_deinit) struct buf spelled = BUF_INIT(1024);

	if (document->tree.format == SOPS_DOTENV ||
	    (document->tree.format == SOPS_YAML && strncmp(text, "ENC[", 4) == 0 &&
	     !node->parent->flow))
		buf_puts(&spelled, text);
	else
		text_write_json(&spelled, text, strlen(text));
	return sops_edits_add(edits, node->span, &spelled, err);
}

int sops_document_seal(struct sops_document *document, int64_t real_ms, struct error *err)
{
	AUTO(buf_deinit) struct buf time = BUF_INIT(64), sealed = BUF_INIT(1024);
	AUTO(buf_deinit)
	struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX), source = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	AUTO(sops_edits_free) struct sops_edits edits = { .count = 0 };
	const struct sops_node *metadata, *mac_node, *time_node;
	char mac[MAC_HEX + 1];

	buf_put(&source, document->source.data, document->source.len);
	if (sops_document_replace(document, &source, err) < 0)
		return -1;
	metadata = sops_metadata(&document->tree, err);
	mac_node = sops_get(metadata, "mac");
	time_node = sops_get(metadata, "lastmodified");
	if (mac_node == NULL || time_node == NULL)
		return error_set(err, ERROR_BAD_DATA,
				 "%s: its sops metadata lacks mac or lastmodified", document->file);
	text_write_time(&time, real_ms);
	if (decrypt_tree(document, mac, err) < 0 ||
	    sops_seal(document->key, mac, strlen(mac), "str", buf_string(&time), &sealed, err) <
		    0 ||
	    edit_scalar(document, &edits, mac_node, buf_string(&sealed), err) < 0 ||
	    edit_scalar(document, &edits, time_node, buf_string(&time), err) < 0)
		return error_wrap(err, "%s", document->file);
	sops_edits_apply(&edits, document->source.data, document->source.len, &out);
	if (sops_document_replace(document, &out, err) < 0)
		return -1;
	if (decrypt_tree(document, mac, err) < 0 ||
	    check_mac(document, sops_get(document->tree.root, SOPS_METADATA), mac, err) < 0)
		return error_wrap(err, "%s: what was written does not open again", document->file);
	return 0;
}

enum { SUGGESTED_FROM = 500 };

struct names {
	char *items[SUGGESTED_FROM + 1];
	size_t count;
};

static void collect_names(const struct sops_node *node, struct names *names)
{
	for (const struct sops_node *child = node->first; child != NULL; child = child->next) {
		AUTO(buf_deinit) struct buf path = BUF_INIT(1024);

		if (child->kind == SOPS_COMMENT || names->count == SUGGESTED_FROM ||
		    (node->parent == NULL && child->key != NULL &&
		     strcmp(child->key, SOPS_METADATA) == 0))
			continue;
		sops_write_path(&path, child);
		if (!path.failed && (names->items[names->count] = strdup(path.data)) != NULL)
			names->count++;
		collect_names(child, names);
	}
}

static void not_found(const struct sops_document *document, const char *path, struct error *err)
{
	struct names names = { .count = 0 };
	const char *nearest;

	collect_names(document->tree.root, &names);
	nearest = text_nearest(path, (const char *const *)names.items);
	if (nearest != NULL)
		(void)error_set(err, ERROR_NOT_FOUND,
				"%s: there is no '%.80s' (did you mean '%.80s'?)", document->file,
				path, nearest);
	else
		(void)error_set(
			err, ERROR_NOT_FOUND,
			"%s: there is no '%.100s'; `agent secrets list` shows what there is",
			document->file, path);
	for (size_t i = 0; i < names.count; i++)
		free(names.items[i]);
}

struct sops_node *sops_document_find(const struct sops_document *document, const char *path,
				     struct error *err)
{
	struct sops_node *found = sops_find(document->tree.root, path);

	if (found != NULL) {
		const struct sops_node *top = found;

		while (top->parent != NULL && top->parent->parent != NULL)
			top = top->parent;
		if (top->parent == NULL || strcmp(top->key, SOPS_METADATA) != 0)
			return found;
	}
	not_found(document, path, err);
	return NULL;
}

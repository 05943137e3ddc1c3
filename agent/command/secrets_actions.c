/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command/secrets_actions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/dotenv.h"
#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "agent/command/secrets_file.h"
#include "agent/io/file.h"
#include "backends/sops_scalar.h"

/* --- output --- */

/* Not by stdio, whose buffer would keep a copy. */
static int write_out(const char *bytes, size_t len, struct error *err)
{
	while (len > 0) {
		ssize_t put = write(STDOUT_FILENO, bytes, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_errno(err, errno, "standard output");
		bytes += put;
		len -= (size_t)put;
	}
	return 0;
}

static enum sops_format format_of(const struct secrets_arguments *arguments, const char *file)
{
	return arguments->format_given ? arguments->format : sops_format_of(file);
}

/* --- actions --- */

struct recipients {
	uint8_t (*keys)[AGE_KEY_LEN];
	size_t count;
};

static void recipients_free(struct recipients *recipients)
{
	free(recipients->keys);
}

/* Those that were named, else those of the keys at hand; `make` makes a key where there is none. */
static int collect_recipients(const struct secrets_arguments *arguments, bool make,
			      struct recipients *ret, struct error *err)
{
	AUTO(age_identities_free) struct age_identities keys = { .count = 0 };
	bool named = arguments->recipient_count > 0, made = false;

	if (!named && secrets_keys_read(&keys, make, &made, err) < 0)
		return -1;
	if (made) {
		AUTO(freep) char *place = secrets_keys_place();

		(void)fprintf(stderr, "agent: made a key in %s: keep a copy in a safe place\n",
			      place != NULL ? place : "the key file");
	}
	ret->count = named ? arguments->recipient_count : keys.count;
	ret->keys = calloc(ret->count, sizeof(*ret->keys));
	if (ret->keys == NULL)
		return error_no_memory(err);
	for (size_t i = 0; i < ret->count; i++) {
		if (!named)
			memcpy(ret->keys[i], keys.items[i].recipient, AGE_KEY_LEN);
		else if (age_recipient_read(arguments->recipients[i], ret->keys[i], err) < 0)
			return -1;
	}
	return 0;
}

static int encrypt_text(const struct secrets_arguments *arguments, bool make, const char *file,
			enum sops_format format, const char *text, size_t len,
			struct sops_document *document, struct error *err)
{
	AUTO(recipients_free) struct recipients recipients = { .count = 0 };
	int64_t now = (int64_t)time(NULL) * 1000;

	if (collect_recipients(arguments, make, &recipients, err) < 0 ||
	    sops_document_encrypt(document, format, text, len, file,
				  (const uint8_t(*)[AGE_KEY_LEN])recipients.keys, recipients.count,
				  NULL, err) < 0)
		return -1;
	return sops_document_seal(document, now, err);
}

int secrets_init(const struct secrets_arguments *arguments, struct error *err)
{
	const char *file = arguments->file != NULL ? arguments->file : SECRETS_FILE;
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	enum sops_format format = sops_format_of(file);
	const char *empty = format == SOPS_JSON ? "{}\n" : "";

	if (access(file, F_OK) == 0)
		return error_set(err, ERROR_INVALID, "%s is there already; it stays as it is",
				 file);
	if (encrypt_text(arguments, true, file, format, empty, strlen(empty), &document, err) < 0)
		return -1;
	return file_replace(file, document.source.data, document.source.len, 0644, err);
}

/* Nobody should type a value that cannot be kept. */
static int check_before_asking(const char *file, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };

	return isatty(STDIN_FILENO) ? secrets_file_read(file, &document, err) : 0;
}

int secrets_set(const struct secrets_arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf value = BUF_INIT(SOPS_DOCUMENT_MAX);
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);
	AUTO(closep) int lock = -1;

	if (file == NULL || check_before_asking(file, err) < 0 ||
	    secrets_value_read(arguments->name, arguments->raw, &value, err) < 0 ||
	    secrets_file_open(file, &document, &lock, err) < 0 ||
	    sops_document_set(&document, arguments->name, SOPS_STRING, buf_string(&value),
			      value.len, err) < 0)
		return -1;
	return secrets_file_save(&document, err);
}

int secrets_rm(const struct secrets_arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);
	AUTO(closep) int lock = -1;

	if (file == NULL || secrets_file_open(file, &document, &lock, err) < 0 ||
	    sops_document_remove(&document, arguments->name, err) < 0)
		return -1;
	return secrets_file_save(&document, err);
}

int secrets_get(const struct secrets_arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);
	const struct sops_node *node;

	if (file == NULL || secrets_file_read(file, &document, err) < 0)
		return -1;
	node = sops_document_find(&document, arguments->name, err);
	if (node == NULL)
		return -1;
	if (node->kind == SOPS_STRING || node->kind == SOPS_TIME)
		buf_put(&out, node->text, node->len);
	else
		sops_write_json(&out, node);
	if (isatty(STDOUT_FILENO))
		buf_putc(&out, '\n');
	if (buf_check(&out, "the value", err) < 0)
		return -1;
	return write_out(buf_string(&out), out.len, err);
}

static void put_names(struct buf *out, const struct sops_node *node)
{
	for (const struct sops_node *child = node->first; child != NULL; child = child->next) {
		if (child->kind == SOPS_COMMENT ||
		    (node->parent == NULL && child->key != NULL && strcmp(child->key, "sops") == 0))
			continue;
		if (child->first != NULL) {
			put_names(out, child);
			continue;
		}
		sops_write_path(out, child);
		buf_putc(out, '\n');
	}
}

int secrets_list(const struct secrets_arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);

	if (file == NULL || secrets_file_read(file, &document, err) < 0)
		return -1;
	put_names(&out, document.tree.root);
	if (buf_check(&out, "the list of names", err) < 0)
		return -1;
	return write_out(buf_string(&out), out.len, err);
}

int secrets_edit_file(const struct secrets_arguments *arguments, struct error *err)
{
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);

	return file != NULL ? secrets_edit(file, err) : -1;
}

/* As shells and dotenv libraries read it; the sops format of .env, where quotes are data, is that
 * of encrypt and decrypt. */
static int read_dotenv(struct sops_tree *tree, const struct buf *text, struct error *err)
{
	AUTO(buf_deinit)
	struct buf name = BUF_INIT(SOPS_DOCUMENT_MAX), value = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct dotenv_reader reader = dotenv_reader(buf_string(text), text->len);
	int status;

	if (!text_is_utf8(buf_string(text), text->len) ||
	    memchr(buf_string(text), '\0', text->len) != NULL)
		return error_set(err, ERROR_BAD_DATA, "not UTF-8 text");
	tree->root = sops_node_add(tree, NULL, SOPS_MAP, NULL, "", 0, err);
	if (tree->root == NULL)
		return -1;
	while ((status = dotenv_next(&reader, &name, &value, err)) > 0) {
		const char *key = buf_string(&name);

		if (sops_get(tree->root, key) != NULL)
			return error_set(err, ERROR_BAD_DATA, "line %u: '%.100s' is there twice",
					 reader.line, key);
		if (!reader.quoted && strstr(buf_string(&value), "\\n") != NULL)
			return error_set(
				err, ERROR_BAD_DATA,
				"line %u: \\n outside of quotes can mean a line break or "
				"two characters: put the value of %.100s into double quotes "
				"for the one, into single quotes for the other",
				reader.line, key);
		if (sops_node_add(tree, tree->root, SOPS_STRING, key, buf_string(&value), value.len,
				  err) == NULL)
			return -1;
	}
	return status;
}

static int read_plain(struct sops_tree *tree, const struct secrets_arguments *arguments,
		      const struct buf *text, struct error *err)
{
	enum sops_format format = format_of(arguments, arguments->name);
	const char *file = strcmp(arguments->name, "-") == 0 ? "standard input" : arguments->name;
	int status;

	if (format != SOPS_DOTENV)
		status = sops_tree_read(tree, format, buf_string(text), text->len, file, err);
	else
		status = read_dotenv(tree, text, err) < 0 ? error_wrap(err, "%s", file) : 0;
	if (status < 0 && format == SOPS_YAML && !arguments->format_given) {
		struct error told = *err;

		return error_set(err, told.code, "%s (read as YAML; --format says otherwise)",
				 told.text);
	}
	return status;
}

int secrets_import(const struct secrets_arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(sops_tree_free) struct sops_tree tree = { .count = 0 };
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	AUTO(freep) char *file = secrets_file_find(arguments->file, err);
	AUTO(closep) int lock = -1;

	if (file == NULL || secrets_text_read(arguments->name, &text, err) < 0 ||
	    read_plain(&tree, arguments, &text, err) < 0 ||
	    secrets_file_open(file, &document, &lock, err) < 0 ||
	    sops_document_merge(&document, tree.root, err) < 0)
		return -1;
	return secrets_file_save(&document, err);
}

int secrets_encrypt(const struct secrets_arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf text = BUF_INIT(SOPS_DOCUMENT_MAX);
	enum sops_format format = format_of(arguments, arguments->name);

	if (secrets_text_read(arguments->name, &text, err) < 0 ||
	    encrypt_text(arguments, false, arguments->name, format, buf_string(&text), text.len,
			 &document, err) < 0)
		return -1;
	if (!arguments->in_place)
		return write_out(document.source.data, document.source.len, err);
	return file_replace(arguments->name, document.source.data, document.source.len, 0, err);
}

int secrets_decrypt(const struct secrets_arguments *arguments, struct error *err)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(buf_deinit) struct buf out = BUF_INIT(2 * SOPS_DOCUMENT_MAX);
	AUTO(freep)
	char *file =
		secrets_file_find(arguments->name != NULL ? arguments->name : arguments->file, err);
	enum sops_format format = format_of(arguments, file != NULL ? file : "");

	if (file == NULL || secrets_file_read(file, &document, err) < 0 ||
	    sops_document_write(&document, format, &out, err) < 0)
		return -1;
	return write_out(buf_string(&out), out.len, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain document by anybody is encrypted, opened, edited and written: whatever it is, it is
 * refused or comes back. The first byte chooses the format; 'x' opens the rest as an encrypted
 * document.
 */
#include <stdint.h>
#include <string.h>

#include "agent/base/dotenv.h"
#include "backends/sops_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key[] =
	"AGE-SECRET-KEY-1JMU2253A962UTRAQ3E0YLRP6MGEAW2K72TR9M5499L9XJNUAFRQSQ4MY3S";

static void expect(bool held)
{
	if (!held)
		__builtin_trap();
}

static void open_foreign(const struct age_identities *keys, enum sops_format format,
			 const char *text, size_t size)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	struct error err;

	if (sops_document_open(&document, format, text, size, "f", keys, &err) == 0)
		expect(document.tree.root != NULL);
}

static void edit(struct sops_document *document)
{
	struct error err;

	if (sops_document_set(document, "new.name", SOPS_STRING, "value", 5, &err) == 0 ||
	    sops_document_set(document, "other", SOPS_STRING, "v\nw", 3, &err) == 0) {
		expect(sops_document_seal(document, 0, &err) == 0);
		if (sops_document_remove(document, "new", &err) == 0 ||
		    sops_document_remove(document, "other", &err) == 0)
			expect(sops_document_seal(document, 0, &err) == 0);
	}
}

/* Values of YAML may hold NUL; our documents in JSON may not. */
static void read_again(enum sops_format format, const struct buf *text)
{
	AUTO(sops_tree_free) struct sops_tree again = { .count = 0 };
	struct error err;

	expect(sops_tree_read(&again, format, buf_string(text), text->len, "again", &err) == 0 ||
	       (format == SOPS_JSON && strstr(buf_string(text), "\\u0000") != NULL));
}

/* A document of another format is written as dotenv libraries read it. */
static void read_dotenv(const struct buf *text)
{
	AUTO(buf_deinit)
	struct buf name = BUF_INIT(SOPS_DOCUMENT_MAX), value = BUF_INIT(SOPS_DOCUMENT_MAX);
	struct dotenv_reader reader = dotenv_reader(buf_string(text), text->len);
	struct error err;
	int status;

	while ((status = dotenv_next(&reader, &name, &value, &err)) > 0)
		continue;
	expect(status == 0);
}

static void merge(struct sops_document *document, const char *text, size_t size)
{
	AUTO(sops_tree_free) struct sops_tree added = { .count = 0 };
	struct error err;

	if (sops_tree_read(&added, SOPS_YAML, text, size, "added", &err) == 0 &&
	    sops_document_merge(document, added.root, &err) == 0)
		expect(sops_document_seal(document, 0, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(sops_document_free) struct sops_document document = { .file = NULL };
	AUTO(age_identities_free) struct age_identities keys = { .count = 0 };
	uint8_t recipients[1][AGE_KEY_LEN];
	enum sops_format format;
	struct error err;

	if (size == 0 || size > 4096)
		return 0;
	expect(age_identities_read(&keys, key, sizeof(key) - 1, "k", &err) == 0);
	memcpy(recipients[0], keys.items[0].recipient, AGE_KEY_LEN);
	format = (enum sops_format)(data[0] % 3);
	if (data[0] == 'x') {
		open_foreign(&keys, SOPS_YAML, (const char *)data + 1, size - 1);
		return 0;
	}
	if (sops_document_encrypt(&document, format, (const char *)data + 1, size - 1, "f",
				  (const uint8_t(*)[AGE_KEY_LEN])recipients, 1, NULL, &err) < 0 ||
	    sops_document_seal(&document, 0, &err) < 0)
		return 0;
	for (enum sops_format to = SOPS_YAML; to <= SOPS_DOTENV; to++) {
		AUTO(buf_deinit) struct buf out = BUF_INIT(SOPS_DOCUMENT_MAX);

		if (sops_document_write(&document, to, &out, &err) < 0)
			expect(to == SOPS_DOTENV);
		else if (to == SOPS_DOTENV && format != SOPS_DOTENV)
			read_dotenv(&out);
		else
			read_again(to, &out);
	}
	edit(&document);
	merge(&document, (const char *)data + 1, size - 1);
	return 0;
}

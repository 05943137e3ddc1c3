/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/pem.h"

#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "agent/base/text.h"

/* What libcrypto hands out of one block. */
struct block {
	char *name, *header;
	unsigned char *bytes;
	long len;
};

static void block_deinit(struct block *block)
{
	OPENSSL_free(block->name);
	OPENSSL_free(block->header);
	OPENSSL_clear_free(block->bytes, block->len > 0 ? (size_t)block->len : 0);
}

static void bio_freep(BIO **bio)
{
	(void)BIO_free(*bio);
}

/* 1 for an authority's, 0 for another, -1 when it is no certificate. */
static int is_authority(const struct block *block)
{
	const unsigned char *at = block->bytes;
	X509 *certificate = d2i_X509(NULL, &at, block->len);
	BASIC_CONSTRAINTS *constraints;
	int authority;

	if (certificate == NULL)
		return -1;
	constraints = X509_get_ext_d2i(certificate, NID_basic_constraints, NULL, NULL);
	authority = constraints != NULL && constraints->ca != 0;
	BASIC_CONSTRAINTS_free(constraints);
	X509_free(certificate);
	return authority;
}

static int classify(const struct block *block, enum pem_kind *kind, struct error *err)
{
	int authority;

	if (text_ends_with(block->name, "PRIVATE KEY")) {
		*kind = PEM_PRIVATE_KEY;
		return 0;
	}
	authority = is_authority(block);
	if (authority < 0)
		return error_set(err, ERROR_BAD_DATA, "a PEM block is no certificate");
	*kind = authority > 0 ? PEM_CA_CERTIFICATE : PEM_CERTIFICATE;
	return 0;
}

static int write_block(const struct block *block, struct buf *text, struct error *err)
{
	AUTO(bio_freep) BIO *out = BIO_new(BIO_s_mem());
	char *bytes;
	long len;

	if (out == NULL ||
	    PEM_write_bio(out, block->name, block->header, block->bytes, block->len) <= 0)
		return error_no_memory(err);
	len = BIO_get_mem_data(out, &bytes);
	buf_reset(text);
	buf_put(text, bytes, (size_t)len);
	OPENSSL_cleanse(bytes, (size_t)len);
	return buf_check(text, "a PEM block", err);
}

/* The block alone, with a newline behind it, which libcrypto wants. */
static int isolate(const char **at, const char *end, struct buf *block)
{
	static const char begins[] = "-----BEGIN", ends[] = "-----END", dashes[] = "-----";
	const char *start = memmem(*at, (size_t)(end - *at), begins, strlen(begins));
	const char *stop;

	if (start == NULL)
		return 0;
	stop = memmem(start, (size_t)(end - start), ends, strlen(ends));
	if (stop != NULL)
		stop = memmem(stop + strlen(ends), (size_t)(end - stop) - strlen(ends), dashes,
			      strlen(dashes));
	if (stop == NULL)
		return -1;
	stop += strlen(dashes);
	buf_put(block, start, (size_t)(stop - start));
	buf_putc(block, '\n');
	*at = stop;
	return 1;
}

int pem_next(const char **at, const char *end, enum pem_kind *kind, struct buf *text,
	     struct error *err)
{
	AUTO(buf_deinit) struct buf source = BUF_INIT((size_t)(end - *at) + 1);
	AUTO(block_deinit) struct block block = { 0 };
	AUTO(bio_freep) BIO *in = NULL;
	int there = isolate(at, end, &source);

	if (there == 0)
		return 0;
	if (there < 0 || source.failed || source.len > INT_MAX)
		return error_set(err, ERROR_BAD_DATA, "a PEM block has no end");
	in = BIO_new_mem_buf(source.data, (int)source.len);
	if (in == NULL)
		return error_no_memory(err);
	if (PEM_read_bio(in, &block.name, &block.header, &block.bytes, &block.len) <= 0)
		return error_set(err, ERROR_BAD_DATA, "a PEM block cannot be read");
	if (classify(&block, kind, err) < 0 || write_block(&block, text, err) < 0)
		return -1;
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/roots.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "agent/base/buf.h"

/* RFC 5280 §4.1, from the serial number on: nothing that we believe has less. */
enum { SUBJECT_FIELD = 4 };
static const int fields[] = {
	V_ASN1_INTEGER,	 /* serialNumber */
	V_ASN1_SEQUENCE, /* signature */
	V_ASN1_SEQUENCE, /* issuer */
	V_ASN1_SEQUENCE, /* validity */
	V_ASN1_SEQUENCE, /* subject */
	V_ASN1_SEQUENCE, /* subjectPublicKeyInfo */
};

enum { ROOTS_GROW = 32 };

struct root {
	unsigned long subject_hash;
	size_t offset, len; /* in `der` */
	bool taken;
};

struct roots {
	struct buf der;
	struct root *items;
	size_t count, room;
};

DEFINE_FREEP(roots_freep, struct roots, roots_free)

static void bio_freep(BIO **bio)
{
	(void)BIO_free(*bio);
}

static void name_freep(X509_NAME **name)
{
	X509_NAME_free(*name);
}

static void openssl_freep(unsigned char **memory)
{
	OPENSSL_free(*memory);
}

/* ---- the outline of a certificate ---- */

struct der {
	const unsigned char *at;
	long left;
};

/* Takes the element that stands next, when it has this tag and a length of its own, and gives its
 * content. */
static bool der_take(struct der *from, int tag, int class, struct der *content)
{
	const unsigned char *at = from->at;
	long len;
	int found_tag, found_class, flags;

	if (from->left <= 0)
		return false;
	flags = ASN1_get_object(&at, &len, &found_tag, &found_class, from->left);
	/* 0x80: malformed or longer than what is left; 1: a length that only its end tells */
	if ((flags & 0x81) != 0 || found_tag != tag || found_class != class)
		return false;
	*content = (struct der){ at, len };
	from->left -= at + len - from->at;
	from->at = at + len;
	return true;
}

static bool der_sequence(struct der *from, struct der *content)
{
	return der_take(from, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, content);
}

/* Finds the subject, with its own tag and length, in what is a certificate from its first byte to
 * its last. */
static bool find_subject(struct der text, struct der *subject)
{
	struct der certificate, body, ignored;
	struct der field;

	if (!der_sequence(&text, &certificate) || text.left != 0 ||
	    !der_sequence(&certificate, &body) || !der_sequence(&certificate, &ignored) ||
	    !der_take(&certificate, V_ASN1_BIT_STRING, V_ASN1_UNIVERSAL, &ignored) ||
	    certificate.left != 0)
		return false;
	(void)der_take(&body, 0, V_ASN1_CONTEXT_SPECIFIC,
		       &ignored); /* version; none is version 1 */
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		field = body;
		if (!der_take(&body, fields[i], V_ASN1_UNIVERSAL, &ignored))
			return false;
		if (i == SUBJECT_FIELD)
			*subject = (struct der){ field.at, field.left - body.left };
	}
	return true;
}

/* OpenSSL's own, so that names that it holds to be equal (case, white space, encoding) are. */
static bool subject_hash(struct der subject, unsigned long *hash)
{
	AUTO(name_freep) X509_NAME *name = d2i_X509_NAME(NULL, &subject.at, subject.left);
	int good = 0;

	if (name != NULL)
		*hash = X509_NAME_hash_ex(name, NULL, NULL, &good);
	return good == 1;
}

/* ---- reading ---- */

static int add(struct roots *roots, const unsigned char *der, long len, struct error *err)
{
	struct root root = { .offset = roots->der.len, .len = (size_t)len };
	struct der subject;

	if (!find_subject((struct der){ der, len }, &subject) ||
	    !subject_hash(subject, &root.subject_hash)) {
		ERR_clear_error();
		return error_set(err, ERROR_INVALID, "certificate %zu of the bundle cannot be read",
				 roots->count + 1);
	}
	if (roots->count == roots->room) {
		size_t room = roots->room + ROOTS_GROW;
		struct root *items = reallocarray(roots->items, room, sizeof(*items));

		if (items == NULL)
			return error_no_memory(err);
		roots->items = items;
		roots->room = room;
	}
	buf_put(&roots->der, der, (size_t)len);
	roots->items[roots->count++] = root;
	return 0;
}

/* A certificate is public: one that asks for a pass phrase gets none, and never a prompt on the
 * terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)context;
	return -1;
}

static int read_all(struct roots *roots, BIO *pem, struct error *err)
{
	for (;;) {
		AUTO(openssl_freep) unsigned char *der = NULL;
		unsigned long last;
		long len;

		if (PEM_bytes_read_bio(&der, &len, NULL, PEM_STRING_X509, pem, no_passphrase,
				       NULL) == 1) {
			if (add(roots, der, len, err) < 0)
				return -1;
			continue;
		}
		last = ERR_peek_last_error();
		ERR_clear_error();
		if (ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE)
			return buf_check(&roots->der, "the bundle", err);
		return error_set(err, ERROR_INVALID, "certificate %zu of the bundle cannot be read",
				 roots->count + 1);
	}
}

struct roots *roots_read(const void *pem, size_t len, struct error *err)
{
	AUTO(roots_freep) struct roots *roots = calloc(1, sizeof(*roots));
	AUTO(bio_freep) BIO *bio = BIO_new_mem_buf(pem, (int)len);

	if (roots == NULL || bio == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	/* Four characters of PEM are three bytes, so this one piece holds them all; what is not
	 * written to takes no memory. */
	roots->der = BUF_INIT(len);
	if (buf_reserve(&roots->der, len / 4 * 3) == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	return read_all(roots, bio, err) == 0 ? STEAL(roots) : NULL;
}

struct roots *roots_free(struct roots *roots)
{
	if (roots == NULL)
		return NULL;
	buf_deinit(&roots->der);
	free(roots->items);
	free(roots);
	return NULL;
}

size_t roots_count(const struct roots *roots)
{
	return roots->count;
}

X509 *roots_take(struct roots *roots, const X509_NAME *subject, size_t *at)
{
	int good = 0;
	unsigned long hash = X509_NAME_hash_ex(subject, NULL, NULL, &good);

	while (good == 1 && *at < roots->count) {
		struct root *root = &roots->items[(*at)++];
		const unsigned char *der = (unsigned char *)roots->der.data + root->offset;
		X509 *certificate;

		if (root->taken || root->subject_hash != hash)
			continue;
		root->taken = true;
		certificate = d2i_X509(NULL, &der, (long)root->len);
		if (certificate != NULL)
			return certificate;
		ERR_clear_error();
	}
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL asks a store for issuers by their subject. What the store does not hold yet, our way of
 * looking up takes from the bundle and adds, and from then on the store has it: a server costs the
 * few certificates that its own chain ends at.
 */
#include "certs/trust.h"

#include <openssl/x509_vfy.h>

#include "certs/roots.h"

struct trust {
	size_t refs;
	size_t count;
	X509_STORE *store; /* its look-up owns the roots */
};

DEFINE_FREEP(roots_freep, struct roots, roots_free)

/* Adds all that have the subject, because OpenSSL chooses among those that the store holds: by key
 * identifier, and by what is valid today. 1: `found` is one of them. */
static int look_up(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *subject,
		   X509_OBJECT *found)
{
	X509_STORE *store = X509_LOOKUP_get_store(lookup);
	struct roots *roots = X509_LOOKUP_get_method_data(lookup);
	X509 *certificate, *first = NULL;
	size_t at = 0;

	if (type != X509_LU_X509)
		return 0;
	while ((certificate = roots_take(roots, subject, &at)) != NULL) {
		/* The store's own reference keeps it. */
		if (X509_STORE_add_cert(store, certificate) == 1 && first == NULL &&
		    X509_NAME_cmp(X509_get_subject_name(certificate), subject) == 0)
			first = certificate;
		X509_free(certificate);
	}
	if (first == NULL || X509_OBJECT_set1_X509(found, first) != 1)
		return 0;
	/* Whoever called OpenSSL counts `found` anew: X509_LOOKUP_meth_new(3). */
	X509_free(first);
	return 1;
}

static void free_roots(X509_LOOKUP *lookup)
{
	(void)roots_free(X509_LOOKUP_get_method_data(lookup));
}

/* A table of functions that OpenSSL lets nobody write down; made once, the same for every store. */
static X509_LOOKUP_METHOD *look_up_method(void)
{
	static X509_LOOKUP_METHOD *method;

	if (method == NULL)
		method = X509_LOOKUP_meth_new("roots");
	if (method == NULL || X509_LOOKUP_meth_set_get_by_subject(method, look_up) != 1 ||
	    X509_LOOKUP_meth_set_free(method, free_roots) != 1)
		return NULL;
	return method;
}

static X509_STORE *store_new(struct roots *roots)
{
	X509_LOOKUP_METHOD *method = look_up_method();
	X509_STORE *store = X509_STORE_new();
	X509_LOOKUP *lookup;

	lookup = store != NULL && method != NULL ? X509_STORE_add_lookup(store, method) : NULL;
	if (lookup == NULL || X509_LOOKUP_set_method_data(lookup, roots) != 1) {
		X509_STORE_free(store);
		return NULL;
	}
	/* A bundle may end at an intermediate: what the user put there is what he trusts. */
	(void)X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	return store;
}

struct trust *trust_read(const void *pem, size_t len, struct error *err)
{
	AUTO(trust_unrefp) struct trust *trust = NULL;
	AUTO(roots_freep) struct roots *roots = NULL;

	if (len > TRUST_BUNDLE_MAX) {
		(void)error_set(err, ERROR_INVALID, "the bundle is larger than %zu bytes",
				TRUST_BUNDLE_MAX);
		return NULL;
	}
	roots = roots_read(pem, len, err);
	if (roots == NULL)
		return NULL;
	if (roots_count(roots) == 0) {
		(void)error_set(
			err, ERROR_INVALID,
			"there is no certificate in PEM (-----BEGIN CERTIFICATE-----) in it");
		return NULL;
	}
	trust = calloc(1, sizeof(*trust));
	if (trust == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	trust->refs = 1;
	trust->count = roots_count(roots);
	trust->store = store_new(roots);
	if (trust->store == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	(void)STEAL(roots);
	return STEAL(trust);
}

struct trust *trust_ref(struct trust *trust)
{
	trust->refs++;
	return trust;
}

struct trust *trust_unref(struct trust *trust)
{
	if (trust == NULL || --trust->refs > 0)
		return NULL;
	X509_STORE_free(trust->store);
	free(trust);
	return NULL;
}

struct x509_store_st *trust_store(const struct trust *trust)
{
	return trust->store;
}

size_t trust_count(const struct trust *trust)
{
	return trust->count;
}

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values that everything else exchanges: what is asked for, what came, and how long it lives.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/clock.h"
#include "agent/base/error.h"
#include "agent/base/secret.h"

/* The longest value that files and the socket hand out, and the most fields that one secret may
 * have. */
#define FIELD_VALUE_MAX ((size_t)64 << 10)
#define FIELD_COUNT_MAX 10000

/* Of a version's id, with its NUL. */
#define VERSION_ID_MAX 24

enum lease_kind {
	LEASE_NONE,  /* static: fetched again every `refresh` */
	LEASE_TIMED, /* ends with `duration_ms`; may be renewable; `id` names it at the server */
	LEASE_CERTIFICATE, /* ends with the certificate's validity */
	LEASE_ROTATION,	   /* the server replaces it by itself in `duration_ms` */
};

struct lease {
	enum lease_kind kind;
	char *id; /* owned; NULL: the server cannot be asked to renew or revoke it */
	bool renewable;
	int64_t duration_ms; /* from `issued`; 0: for ever */
	struct stamp issued; /* when the request that brought it was sent */
};

enum field_type {
	FIELD_STRING, /* the bytes are the value */
	FIELD_JSON,   /* the bytes are the JSON text of a number, bool, null, list or map */
};

struct field {
	char *name;
	enum field_type type;
	struct secret *value;
};

/* The named fields of one secret at one moment. Immutable once it is in the store; counted. */
struct secret_version {
	size_t refs;
	char id[VERSION_ID_MAX]; /* KV v2's number, else 16 hex digits that tell nothing: BLAKE2b
			keyed anew at each start */
	struct lease lease;
	struct stamp fetched; /* when its reply came */
	size_t count;
	size_t capacity;
	struct field *fields; /* in the order that the backend gave */
	uint32_t *by_name;    /* their places, ordered by name */
};

struct secret_version *secret_version_new(struct error *err) MUST_USE;
struct secret_version *secret_version_ref(struct secret_version *version);
struct secret_version *secret_version_unref(struct secret_version *version); /* returns NULL */

/* Adds a field while the version is being built; takes over the reference to `value`, also on
 * failure. ERROR_BAD_DATA for a second field of that name. */
int secret_version_add(struct secret_version *version, const char *name, enum field_type type,
		       struct secret *value, struct error *err) MUST_USE;

/* As secret_version_add, copying the bytes into the arena. */
int secret_version_add_bytes(struct secret_version *version, const char *name, enum field_type type,
			     const void *bytes, size_t len, struct error *err) MUST_USE;

/* Sets `id` from the fields' names, types and values when the backend gave none. */
void secret_version_identify(struct secret_version *version);

/* The same for equal contents while this process lives, whatever the backend calls the version. */
void secret_version_fingerprint(const struct secret_version *version, char ret[VERSION_ID_MAX]);

/* NULL when there is no such field. */
const struct field *secret_version_field(const struct secret_version *version, const char *name);

/* The same fields with the same values, whatever ids and leases say. */
bool secret_version_equal(const struct secret_version *one, const struct secret_version *other);

/* When the lease ends, in boot time: the earlier of the boot and the real view; DEADLINE_NEVER for
 * none. */
int64_t lease_expires_boot_ms(const struct lease *lease, struct stamp now);

/* The same moment for people, in real time; 0 for none. */
int64_t lease_expires_real_ms(const struct lease *lease);

static inline void secret_version_unrefp(struct secret_version **version)
{
	*version = secret_version_unref(*version);
}

/* How literally a path is asked and its answer taken, in the order of the choices of `verbatim`. */
enum secret_verbatim {
	VERBATIM_NO,	 /* the backend finds the way and hands out the secret's own fields */
	VERBATIM_YES,	 /* the path as it is written, the fields as the server nests them */
	VERBATIM_ANSWER, /* only the fields */
};

/* What the configuration asks for, by name. Owned by the configuration. */
struct secret_spec {
	char *name;
	char *backend; /* name of the backend */
	char *path;    /* the backend's own spelling; NULL where it may be absent (sops: whole
			  document) */
	char *write; /* JSON object to send: a read that is a write (pki/issue); NULL: plain read */
	enum secret_verbatim verbatim;
	int64_t refresh_ms; /* of static secrets */
	bool optional;	    /* `required: false` */
};

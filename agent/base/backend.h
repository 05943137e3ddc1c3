#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a backend is: a static table of functions that start conversations, and conversations that
 * are stepped with replies. No socket, clock or file in sight: bytes in, bytes out.
 */
#include "agent/base/error.h"
#include "agent/base/message.h"
#include "agent/base/model.h"
#include "agent/base/option.h"

enum exchange_next {
	EXCHANGE_SEND,	 /* `request` is filled: send it, step again with the reply */
	EXCHANGE_NEED,	 /* `need` names a fact that the backend must learn first, once for all who
			  * ask:   ops->need(key) is run, then step again with reply == NULL */
	EXCHANGE_DONE,	 /* `result` is filled if the conversation yields one */
	EXCHANGE_FAILED, /* *err says why */
};

struct exchange;

struct exchange_ops {
	/* First with reply == NULL, then with each reply. A reply is good for this call only. */
	enum exchange_next (*step)(struct exchange *x, const struct reply *reply,
				   struct error *err);
	void (*free)(struct exchange *x);
};

/* Embedded as the first member of a backend's own struct. */
struct exchange {
	const struct exchange_ops *ops;
	struct request request;
	char need[256];
	struct secret_version *result; /* taken with STEAL by whoever runs the exchange */
};

struct backend;

/* A secret that came by the environment (BAO_TOKEN, SOPS_AGE_KEY): read at start, moved to the
 * arena, overwritten. */
typedef struct secret *environment_lookup_fn(void *environment, const char *name);

struct backend_config {
	const char *name;    /* the user's */
	const void *options; /* the struct that ops->options describes; outlives the backend */
	/* A new reference, or NULL when the variable was not set. */
	environment_lookup_fn *lookup;
	void *environment;
};

/* What one address of a backend needs to be talked to; io makes a pool of connections from it. */
struct endpoint {
	const char *url;       /* "https://host:8200", no trailing slash, no path */
	const char *ca_file;   /* NULL: the public roots */
	const char *cert_file; /* NULL: no client certificate */
	const char *key_file;
	const char *server_name; /* NULL: the host's name */
	bool insecure_http;	 /* a plain http:// address that is not loopback was asked for */
};

struct backend_ops {
	const char *type;	      /* "vault", "sops" */
	const struct option *options; /* one table: parsing, defaults, --help and docs */
	size_t options_size;
	bool verbatim; /* secret_spec.verbatim means something to it */
	/* Checks what one option alone cannot say; NULL when there is nothing. Reports to *err with
	 * the option's name first. */
	int (*check)(const void *options, struct error *err);
	struct backend *(*open)(const struct backend_config *config, struct error *err);
	void (*close)(struct backend *backend);
	/* The i-th address, false past the last; NULL: the backend uses no network. */
	bool (*endpoint)(const struct backend *backend, size_t i, struct endpoint *ret);
	/* The file whose change means new versions; NULL when there is none. */
	const char *(*watched_file)(const struct backend *backend);
	/* The i-th file that is read and that no option names (a default, an environment
	 * variable's); NULL past the last, or the function NULL: none. The sandbox lets the backend
	 * read it. */
	const char *(*reads)(const struct backend *backend, size_t i);
	/* The i-th file that a login reads: when it changes, a login that was refused is worth
	 * another try. NULL past the last, or the function NULL: none. */
	const char *(*credential)(const struct backend *backend, size_t i);
	/* Yields the session: a version whose lease is the session's. NULL: no session, fetch gets
	 * NULL. */
	struct exchange *(*login)(struct backend *backend, struct error *err);
	struct exchange *(*fetch)(struct backend *backend, const struct secret_version *session,
				  const struct secret_spec *spec, struct error *err);
	/* Yields a version without fields whose lease is the new one; for a session and for a
	 * secret alike. */
	struct exchange *(*renew)(struct backend *backend, const struct secret_version *session,
				  const struct secret_version *version, struct error *err);
	/* Ends the session itself. */
	struct exchange *(*revoke)(struct backend *backend, const struct secret_version *session,
				   struct error *err);
	/* Is the session alive? DONE: yes. FAILED with UNAUTHENTICATED: no. Settles what a 403
	 * meant. */
	struct exchange *(*probe)(struct backend *backend, const struct secret_version *session,
				  struct error *err);
	/* Learns the fact that an exchange named in `need`; DONE means the backend knows now. */
	struct exchange *(*need)(struct backend *backend, const struct secret_version *session,
				 const char *key, struct error *err);
	/* For `check --online`: DONE with one field per capability. NULL: cannot be asked. */
	struct exchange *(*capabilities)(struct backend *backend,
					 const struct secret_version *session,
					 const struct secret_spec *spec, struct error *err);
	/* For `check --policy`: appends the least policy for the spec. NULL: the backend has none.
	 */
	void (*policy)(struct backend *backend, const struct secret_spec *spec, struct buf *policy);
};

/* The exchanges' end; NULL is allowed. Returns NULL. */
static inline struct exchange *exchange_free(struct exchange *x)
{
	if (x == NULL)
		return NULL;
	request_deinit(&x->request);
	(void)secret_version_unref(x->result);
	x->result = NULL;
	x->ops->free(x);
	return NULL;
}

static inline void exchange_freep(struct exchange **x)
{
	*x = exchange_free(*x);
}

/* A session's facts, as fields of its version. */
#define SESSION_TOKEN "token"
/* Present when the token must not be revoked by us: the user gave it. */
#define SESSION_BORROWED "borrowed"

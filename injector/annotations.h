#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every annotation that is understood: our own, and those of vault-k8s and openbao-k8s, a row each.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/json.h"
#include "injector/config.h"

#define OWN_PREFIX     "secrets-agent/"
#define VAULT_PREFIX   "vault.hashicorp.com/"
#define OPENBAO_PREFIX "openbao.org/"

/* What happens to an annotation. */
enum annotation_class {
	ANNOTATION_HONOUR, /* does what it says */
	ANNOTATION_WARN,   /* ignored, with a warning that says why */
	ANNOTATION_GATE,   /* honoured where the profile's `allow:` names it */
	ANNOTATION_REFUSE, /* what it asks for cannot be given: better no pod than a wrong one */
};

struct wish;

/* Takes a value over into the wish; `member` is a family's member, else "". -1 when it refused the
 * pod. */
typedef int annotation_read_fn(struct wish *wish, const char *member, const char *value);

struct annotation {
	const char *name; /* behind the prefix; NULL ends a table */
	enum annotation_class class;
	bool family; /* the name is followed by the name of a secret, variable or container */
	enum allow_key gate; /* ANNOTATION_GATE */
	const char *why;     /* of WARN and REFUSE: the reason, and what to do instead */
	bool off_is_nothing; /* a bool of which false asks for nothing */
	bool empty_counts;   /* elsewhere the peers take an empty value for none */
	/* ANNOTATION_GATE: the profile says the same, so that nothing is widened; NULL: never. */
	bool (*is_given)(const struct wish *wish, const char *value);
	annotation_read_fn *read; /* NULL: nothing to take over */
};

extern const struct annotation own_annotations[], vault_annotations[];

/* The row that the name (without its prefix) belongs to; *member is a family's member, else "".
 * NULL when there is none. */
const struct annotation *annotation_find(const struct annotation *table, const char *name,
					 const char **member);

/* The row's name nearest to a misspelled one, or NULL. */
const char *annotation_nearest(const struct annotation *table, const char *name);

/* The pod's annotations; NULL when it has none. */
const struct json_node *pod_annotations(const struct json_node *pod);

/* Go's strconv.ParseBool, where the empty string is false. */
int annotation_read_bool(const char *value, bool *ret, struct error *err) MUST_USE;

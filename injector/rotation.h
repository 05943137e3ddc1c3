#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who signs the webhook's certificate, and what API servers believe: a conversation with the API
 * server as a step function, no socket in sight.
 *
 * The authority lives in one Secret that any replica may replace (the resourceVersion settles who
 * was first); each replica signs its own leaf in memory. Every caBundle of the webhook's
 * configuration is kept to what the Secret says, and a leaf of a new authority is shown only
 * `propagation_ms` after all of them were read back with it: nobody can see when an API server has
 * loaded a bundle. For the same reason those before stay in it for two lives of a leaf.
 */
#include "agent/base/clock.h"
#include "agent/base/message.h"
#include "certs/authority.h"

#define ROTATION_CA_LIFE_MS	((int64_t)365 * 86400000)
#define ROTATION_LEAF_LIFE_MS	((int64_t)7 * 86400000)
#define ROTATION_PROPAGATION_MS 60000
#define ROTATION_CHECK_MS	10000
#define ROTATION_CONFLICTS_MAX	5 /* in a row; then it rests before it tries again */

struct rotation_setup {
	const char *namespace;
	const char *secret;		  /* its name; the Secret is there and may be empty */
	const char *webhook;		  /* the MutatingWebhookConfiguration's name */
	const char *const *names;	  /* of the certificate; ends with NULL */
	int64_t ca_life_ms, leaf_life_ms; /* renewed after 40 to 60 % of it */
	int64_t propagation_ms;
	int64_t check_ms; /* between looks at Secret and configuration, ± 20 % */
};

enum rotation_next {
	ROTATION_SEND, /* `request`, and step again with its reply */
	ROTATION_SHOW, /* `leaf`, and step again with NULL */
	ROTATION_REST, /* until `wake_ms`, and step again with NULL */
};

struct rotation;

/* Everything that `setup` points to outlives it. It starts with a leaf of an authority that nobody
 * believes, so that the port can be opened: the first step shows it. */
struct rotation *rotation_new(const struct rotation_setup *setup, const struct clock *clock,
			      struct error *err) MUST_USE;
struct rotation *rotation_free(struct rotation *rotation); /* returns NULL */

/* `reply` is NULL where there was none: with `failed` after a request that got none. */
enum rotation_next rotation_step(struct rotation *rotation, const struct reply *reply,
				 const struct error *failed);

/* After ROTATION_SEND: what to ask. */
const struct request *rotation_request(const struct rotation *rotation);
/* After ROTATION_SHOW. */
const struct authority_leaf *rotation_leaf(const struct rotation *rotation);
/* After ROTATION_REST: boot time. */
int64_t rotation_wake_ms(const struct rotation *rotation);

/* NULL when API servers can be expected to believe what is shown, and for more than a tenth of its
 * life still; else why not. */
const char *rotation_unready(const struct rotation *rotation);

/* What kept the last round from its end; code ERROR_NONE when nothing did. */
const struct error *rotation_problem(const struct rotation *rotation);

struct rotation_counts {
	uint64_t authorities; /* made by this replica */
	uint64_t switches;    /* to an authority that somebody made */
	uint64_t leaves;
	uint64_t bundles; /* patched */
	uint64_t conflicts;
};
const struct rotation_counts *rotation_counts(const struct rotation *rotation);

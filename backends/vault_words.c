/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/vault_words.h"

#include <string.h>

#include "backends/vault_common.h"

enum { TOLD_MAX = 3 };

/* `says` is looked for in the server's words, whatever their case; `told` is what we say instead,
 * NULL: the same. What stands in another row's words comes after it. */
static const struct words {
	const char *says;
	const char *told;
} known[] = {
	/* any call */
	{ "permission denied", NULL },
	{ "is sealed", "sealed" },
	{ "no handler for route", "no mount answers there" },
	{ "unsupported path", NULL },
	{ "unsupported operation", NULL },
	{ "namespace not found", NULL },
	{ "quota exceeded", "a quota of the server is exceeded" },
	{ "context deadline exceeded", "what the server asks of another system took too long" },
	{ "active cluster node not found", "the cluster has no active node" },
	{ "upgrading from non-versioned", "the mount is being upgraded to versions" },
	{ "missing client token", NULL },
	{ "invalid token", NULL },
	{ "bad token", NULL },
	{ "token not found", NULL },
	{ "wrapping token is not valid", NULL },
	{ "lease not found", NULL },
	{ "lease is not renewable", NULL },
	{ "lease expired", NULL },
	/* sign-in */
	{ "invalid role or secret id", NULL },
	{ "invalid role_id", "the role id is wrong" },
	{ "invalid secret id", "the secret id is wrong, used up or expired" },
	{ "source address", "our address is not in the role's CIDR blocks" },
	{ "invalid role name", "there is no such role" },
	{ "role not found", "there is no such role" },
	{ "could not find role", "there is no such role" },
	{ "could not be found", "there is no such role" },
	{ "unknown role", "there is no such role" },
	{ "missing role", "the role is missing" },
	{ "not valid yet", "the token is not valid yet: compare the clocks" },
	{ "issued in the future", "the token was issued in the future: compare the clocks" },
	{ "token is expired", NULL },
	{ "token expired", "token is expired" },
	{ "invalid audience", "the token's audience is not among the role's bound_audiences" },
	{ "audience claim does not match",
	  "the token's audience is not among the role's bound_audiences" },
	{ "does not match any associated bound claim",
	  "a claim of the token is not among the role's bound_claims" },
	{ "invalid subject", "the token's subject is not the role's bound_subject" },
	{ "invalid issuer", "the token's issuer is not the mount's" },
	{ "no known key successfully validated",
	  "the token is signed by a key that the mount does "
	  "not know" },
	{ "service account name not authorized",
	  "the service account is not among the role's bound_service_account_names" },
	{ "namespace not authorized",
	  "the namespace is not among the role's bound_service_account_namespaces" },
	{ "service account unauthorized", "the cluster does not know the service account" },
	{ "lookup failed", "the cluster was asked about the token and said no" },
	{ "error validating token", "the token is not valid" },
	{ "no client certificate", "no client certificate was accepted" },
	{ "client certificate must be supplied", "no client certificate was accepted" },
	{ "no chain matching all constraints", "the certificate does not match the role" },
	{ "failed to match all constraints", "the certificate does not match the role" },
	/* writes */
	{ "not allowed by this role", "a name is not allowed by the role" },
	{ "cannot satisfy request", "the role cannot satisfy the request" },
};

static void put_known(const char *text, struct buf *words, unsigned *told)
{
	for (size_t i = 0; i < ARRAY_SIZE(known) && *told < TOLD_MAX; i++) {
		const char *ours = known[i].told != NULL ? known[i].told : known[i].says;

		if (strcasestr(text, known[i].says) == NULL ||
		    strcasestr(buf_string(words), ours) != NULL)
			continue;
		buf_printf(words, "%s%s", words->len > 0 ? "; " : "", ours);
		(*told)++;
	}
}

bool vault_words(const struct reply *reply, struct buf *words)
{
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	struct json_limits limits = JSON_REPLY_LIMITS;
	const struct json_node *errors;
	struct error ignored;
	bool others = false;
	unsigned told = 0;

	if (reply->len == 0)
		return false;
	doc = json_doc_read(reply->body, reply->len, &limits, &ignored);
	if (doc == NULL)
		return true;
	errors = json_get(json_doc_root(doc), "errors");
	if (errors == NULL || errors->type != JSON_IS_LIST)
		return false;
	for (const struct json_node *item = errors->first; item != NULL; item = item->next) {
		unsigned before = told;

		if (json_string(item) != NULL)
			put_known(json_string(item), words, &told);
		others |= told == before;
	}
	return others;
}

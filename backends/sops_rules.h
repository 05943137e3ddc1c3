#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which values of a document are encrypted, and the walk in document order that says so for each,
 * with the place that it is bound to: its keys, each followed by a colon; lists do not count.
 */
#include "backends/sops_tree.h"

enum sops_rule {
	SOPS_UNENCRYPTED_SUFFIX,
	SOPS_ENCRYPTED_SUFFIX,
	SOPS_UNENCRYPTED_REGEX,
	SOPS_ENCRYPTED_REGEX,
	SOPS_UNENCRYPTED_COMMENT_REGEX,
	SOPS_ENCRYPTED_COMMENT_REGEX,
	SOPS_RULES,
};

#define SOPS_DEFAULT_SUFFIX "_unencrypted"

struct regex;
struct sops_rules {
	enum sops_rule rule;
	char *pattern;
	struct regex *regex;	 /* of the four that are one */
	bool mac_only_encrypted; /* the MAC covers encrypted values only */
};

/* Takes the rules from the metadata. ERROR_BAD_DATA for two rules or a pattern that is no regular
 * expression. */
int sops_rules_read(struct sops_rules *rules, const struct sops_node *metadata,
		    struct error *err) MUST_USE;
void sops_rules_free(struct sops_rules *rules);

/* The rule's name in the metadata. */
const char *sops_rule_name(enum sops_rule rule);

struct sops_walk {
	const struct sops_rules *rules;
	/* Called for each scalar that is not null, and each comment. */
	int (*leaf)(struct sops_walk *walk, struct sops_node *node, bool encrypted,
		    struct error *err);
	struct buf place; /* "app:db:" */
};

/* Walks everything but the metadata. */
int sops_walk(struct sops_walk *walk, struct sops_node *root, struct error *err) MUST_USE;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A match anywhere on the way to a value counts: a key of its path, or, for the rules about
 * comments, a comment right before it or before what it is in. The comment that matches is itself
 * never encrypted.
 */
#include "backends/sops_rules.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/regex.h"
#include "agent/base/text.h"

enum { PLACE_MAX = 64 << 10 };

static const struct {
	const char *name;
	bool encrypts; /* what matches is encrypted; else what does not */
	bool regex;
	bool comment;
} rules_table[SOPS_RULES] = {
	[SOPS_UNENCRYPTED_SUFFIX] = { "unencrypted_suffix", false, false, false },
	[SOPS_ENCRYPTED_SUFFIX] = { "encrypted_suffix", true, false, false },
	[SOPS_UNENCRYPTED_REGEX] = { "unencrypted_regex", false, true, false },
	[SOPS_ENCRYPTED_REGEX] = { "encrypted_regex", true, true, false },
	[SOPS_UNENCRYPTED_COMMENT_REGEX] = { "unencrypted_comment_regex", false, true, true },
	[SOPS_ENCRYPTED_COMMENT_REGEX] = { "encrypted_comment_regex", true, true, true },
};

const char *sops_rule_name(enum sops_rule rule)
{
	return rules_table[rule].name;
}

int sops_rules_read(struct sops_rules *rules, const struct sops_node *metadata, struct error *err)
{
	const struct sops_node *only = sops_get(metadata, "mac_only_encrypted");
	const char *pattern = SOPS_DEFAULT_SUFFIX;
	unsigned found = 0;

	*rules = (struct sops_rules){ .rule = SOPS_UNENCRYPTED_SUFFIX };
	for (enum sops_rule rule = 0; rule < SOPS_RULES; rule++) {
		const struct sops_node *node = sops_get(metadata, rules_table[rule].name);

		if (node == NULL || !sops_is_scalar(node) || node->len == 0)
			continue;
		rules->rule = rule;
		pattern = node->text;
		found++;
	}
	if (found > 1)
		return error_set(
			err, ERROR_BAD_DATA,
			"the metadata has more than one of the rules *_suffix and *_regex");
	rules->mac_only_encrypted = only != NULL && (strcmp(only->text, "True") == 0 ||
						     strcmp(only->text, "true") == 0);
	rules->pattern = strdup(pattern);
	if (rules->pattern == NULL)
		return error_no_memory(err);
	if (!rules_table[rules->rule].regex)
		return 0;
	rules->regex = regex_new(pattern, err);
	return rules->regex != NULL ? 0 : error_wrap(err, "%s", rules_table[rules->rule].name);
}

void sops_rules_free(struct sops_rules *rules)
{
	free(rules->pattern);
	rules->pattern = NULL;
	rules->regex = regex_free(rules->regex);
}

static bool matches(const struct sops_rules *rules, const char *text, size_t len)
{
	if (rules->regex != NULL)
		return regex_match(rules->regex, text, len);
	return text_ends_with(text, rules->pattern);
}

static int walk_node(struct sops_walk *walk, struct sops_node *node, bool matched,
		     struct error *err);

/* A comment is encrypted like a value; for a rule about comments, its own match spares it. */
static bool comment_encrypted(const struct sops_rules *rules, bool before, bool itself)
{
	if (!rules_table[rules->rule].comment)
		return before == rules_table[rules->rule].encrypts;
	return rules_table[rules->rule].encrypts ? before : !(before || itself);
}

static int walk_children(struct sops_walk *walk, struct sops_node *node, bool matched,
			 struct error *err)
{
	bool by_comment = rules_table[walk->rules->rule].comment;
	bool commented = matched;
	size_t before = walk->place.len;

	for (struct sops_node *child = node->first, *next; child != NULL; child = next) {
		bool below = commented;

		next = child->next;
		if (node->parent == NULL && child->key != NULL && strcmp(child->key, "sops") == 0)
			continue;
		if (child->kind == SOPS_COMMENT) {
			bool itself = by_comment && matches(walk->rules, child->text, child->len);

			if (walk->leaf(walk, child,
				       comment_encrypted(walk->rules, commented, itself), err) < 0)
				return -1;
			commented |= itself;
			continue;
		}
		if (child->key != NULL) {
			below |=
				!by_comment && matches(walk->rules, child->key, strlen(child->key));
			buf_printf(&walk->place, "%s:", child->key);
		}
		if (buf_check(&walk->place, "a path", err) < 0 ||
		    walk_node(walk, child, below, err) < 0)
			return -1;
		buf_truncate(&walk->place, before);
		commented = matched;
	}
	return 0;
}

static int walk_node(struct sops_walk *walk, struct sops_node *node, bool matched,
		     struct error *err)
{
	if (node->kind == SOPS_MAP || node->kind == SOPS_LIST)
		return walk_children(walk, node, matched, err);
	if (node->kind == SOPS_NULL)
		return 0;
	return walk->leaf(walk, node, matched == rules_table[walk->rules->rule].encrypts, err);
}

int sops_walk(struct sops_walk *walk, struct sops_node *root, struct error *err)
{
	int status;

	walk->place = BUF_INIT(PLACE_MAX);
	status = walk_children(walk, root, false, err);
	buf_deinit(&walk->place);
	return status;
}

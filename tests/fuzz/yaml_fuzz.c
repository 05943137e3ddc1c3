/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every node has its place, its text and its count; every error has a place inside the text.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void visit(const struct yaml_node *node)
{
	size_t count = 0;

	if (node->mark.line == 0 || node->mark.column == 0 || node->key_mark.line == 0)
		abort();
	if ((node->type == YAML_IS_SCALAR) != (node->text != NULL))
		abort();
	if (node->text != NULL && node->text[node->text_len] != '\0')
		abort();
	for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
		count++;
		if ((node->type == YAML_IS_MAP) != (child->key != NULL))
			abort();
		if (child->key != NULL && yaml_get(node, child->key) != child)
			abort();
		visit(child);
	}
	if (count != node->count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct yaml_limits limits = YAML_CONFIG_LIMITS;
	struct yaml_mark where = { 0 };
	struct error err;

	limits.collect_repeated = len > 0 && bytes[0] == 'a';
	doc = yaml_doc_read(bytes, len, &limits, &where, &err);
	if (doc != NULL)
		visit(yaml_doc_root(doc));
	else if (where.line == 0 || where.line > len + 2)
		abort();
	for (const struct yaml_node *node = doc != NULL ? yaml_doc_repeated(doc) : NULL;
	     node != NULL; node = node->next_repeated)
		if (!limits.collect_repeated || node->key == NULL)
			abort();
	return 0;
}

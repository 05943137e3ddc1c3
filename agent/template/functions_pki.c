/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkiCert: the PEM blocks of an issued certificate, sorted by what they are.
 */
#include <string.h>

#include "agent/base/pem.h"
#include "agent/template/functions.h"
#include "agent/template/needs.h"

enum { FIELD_CERT, FIELD_KEY, FIELD_CA, FIELD_CA_CHAIN, FIELDS };

static const char *const names[FIELDS] = { "Cert", "Key", "CA", "CAChain" };
static const struct object_type pem_type = {
	.name = "dependency.PemEncoded", .count = FIELDS, .fields = names, .by_value = true
};

static bool holds(const struct value *list, const struct value *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (value_compare_keys(&list->items[i], text) == 0)
			return true;
	return false;
}

static int append(struct render *render, struct value *list, const struct value *text)
{
	struct value *items = region_array(&render->values, list->count + 1, sizeof(*items));

	if (items == NULL)
		return render_no_memory(render);
	if (list->count > 0)
		memcpy(items, list->items, list->count * sizeof(*items));
	items[list->count++] = *text;
	list->items = items;
	return 0;
}

/* The first authority is the CA; the chain has each once. */
static int keep(struct render *render, struct value *fields, enum pem_kind kind,
		const struct buf *block)
{
	struct value text;

	if (render_string(render, block, &text) < 0)
		return -1;
	if (kind == PEM_PRIVATE_KEY) {
		fields[FIELD_KEY] = text;
		return 0;
	}
	if (kind == PEM_CERTIFICATE) {
		fields[FIELD_CERT] = text;
		return 0;
	}
	if (fields[FIELD_CA].len == 0)
		fields[FIELD_CA] = text;
	return holds(&fields[FIELD_CA_CHAIN], &text)
		       ? 0
		       : append(render, &fields[FIELD_CA_CHAIN], &text);
}

static int read_blocks(struct render *render, struct value *fields, const struct json_node *node)
{
	AUTO(buf_deinit) struct buf block = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	const char *at, *end;
	enum pem_kind kind;
	int there;

	if (node == NULL || node->type != JSON_IS_STRING)
		return 0;
	at = node->text;
	end = at + node->text_len;
	while ((there = pem_next(&at, end, &kind, &block, render->err)) > 0)
		if (keep(render, fields, kind, &block) < 0)
			return -1;
	return there;
}

/* consul-template takes the fields of the answer in any order; here the issuer comes first. */
static int read_answer(struct render *render, struct value *fields, const struct json_node *reply)
{
	const struct json_node *data = json_get(reply, "data");
	const struct json_node *issuer = json_get(data, "issuing_ca");
	const struct json_node *chain = json_get(data, "ca_chain");

	if (read_blocks(render, fields, issuer) < 0)
		return -1;
	if (chain != NULL && chain->type == JSON_IS_LIST)
		for (chain = chain->first; chain != NULL; chain = chain->next)
			if (read_blocks(render, fields, chain) < 0)
				return -1;
	if (data == NULL || data->type != JSON_IS_MAP)
		return 0;
	for (const struct json_node *node = data->first; node != NULL; node = node->next)
		if (node != issuer && read_blocks(render, fields, node) < 0)
			return -1;
	return 0;
}

static int call_pki_cert(struct render *render, const struct value *arguments, size_t count,
			 struct value *ret)
{
	struct template_need need = { .kind = TEMPLATE_PKI };
	struct template_answer answer = { 0 };
	struct value *fields;
	int there;

	*ret = (struct value){ .type = VALUE_NIL };
	if (count == 0)
		return 0;
	if (needs_pairs(render, arguments + 1, count - 1, &need) < 0 ||
	    needs_path(render, &arguments[0], &need.path) < 0)
		return -1;
	there = needs_ask(render, &need, &answer);
	if (there <= 0)
		return there;
	if (needs_object(render, &pem_type, ret) < 0)
		return -1;
	fields = ret->object->fields;
	for (int i = 0; i < FIELD_CA_CHAIN; i++)
		fields[i] = value_text("", 0);
	fields[FIELD_CA_CHAIN] = (struct value){ .type = VALUE_STRINGS };
	return read_answer(render, fields, answer.reply);
}

/* ---- methods ---- */

static int pem_data(struct render *render, const struct value *arguments, size_t count,
		    struct value *ret)
{
	(void)render;
	(void)count;
	*ret = arguments[0];
	return 0;
}

static int pem_contains(struct render *render, const struct value *arguments, size_t count,
			struct value *ret)
{
	(void)render;
	(void)count;
	*ret = value_bool(holds(&arguments[0].object->fields[FIELD_CA_CHAIN], &arguments[1]));
	return 0;
}

const struct template_function methods_pem[] = {
	{ "CaChainContains", "vs", pem_contains },
	{ "Data", "v", pem_data },
	{ 0 },
};

bool functions_is_pem(const struct value *value)
{
	return value->type == VALUE_OBJECT && value->object != NULL &&
	       value->object->type == &pem_type;
}

const struct template_function functions_pki[] = {
	{ "pkiCert", "s*", call_pki_cert },
	{ 0 },
};

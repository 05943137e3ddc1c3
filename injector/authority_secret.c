/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/authority_secret.h"

#include "agent/base/json_edit.h"
#include "agent/base/text.h"

#define KEY_CERT    "ca.crt"
#define KEY_KEY	    "ca.key"
#define KEY_EARLIER "ca-earlier.crt"

static int take_text(const struct json_node *data, const char *key, struct buf *out,
		     struct error *err)
{
	const struct json_node *value = json_get(data, key);

	if (value == NULL || value->type != JSON_IS_STRING)
		return 0;
	return text_read_base64(out, value->text, value->text_len, err);
}

struct authority *authority_secret_read(const struct json_node *secret)
{
	const struct json_node *data = json_get(secret, "data");
	struct authority_pem pem = AUTHORITY_PEM_INIT;
	struct authority *read = NULL;
	struct error err;

	if (take_text(data, KEY_CERT, &pem.cert, &err) == 0 &&
	    take_text(data, KEY_KEY, &pem.key, &err) == 0 &&
	    take_text(data, KEY_EARLIER, &pem.earlier, &err) == 0)
		read = authority_read(&pem, &err);
	authority_pem_deinit(&pem);
	return read;
}

static void put_text(struct json_edit *edit, struct json_node *data, const char *key,
		     const struct buf *pem)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(2 * AUTHORITY_PEM_MAX);

	text_write_base64(&text, pem->data, pem->len);
	json_put_string(edit, data, key, buf_string(&text));
}

int authority_secret_write(const struct authority *authority, const struct json_node *before,
			   struct buf *out, struct error *err)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	struct authority_pem pem = AUTHORITY_PEM_INIT;
	struct json_node *secret = json_copy(&edit, before), *data;
	int written = authority_write(authority, &pem, err);

	json_open(&edit, secret);
	data = json_new(&edit, JSON_IS_MAP);
	put_text(&edit, data, KEY_CERT, &pem.cert);
	put_text(&edit, data, KEY_KEY, &pem.key);
	put_text(&edit, data, KEY_EARLIER, &pem.earlier);
	json_put(&edit, secret, "data", data);
	authority_pem_deinit(&pem);
	if (written < 0 || json_edit_check(&edit, err) < 0)
		return -1;
	json_write(out, secret);
	return buf_check(out, "the Secret", err);
}

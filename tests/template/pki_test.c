/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/pem.h"
#include "agent/base/text.h"
#include "agent/template/template.h"

/* Made for this test; the key opens nothing. */
static const char authority[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBcjCCARegAwIBAgIUPfsuEQRd3qhl23h8qKt5uWwuDo4wCgYIKoZIzj0EAwIw\n"
	"DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI1MDQ0NTAwWhgPMjEyNjExMDEwNDQ1MDBa\n"
	"MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE5jOeODlf\n"
	"MLrvLQCFVaJuzwQtVLkl7V5hD4GwiKGO1X66LxceCY47q6gGKSYIGCaXx/qDqjXv\n"
	"8IKDIN+rvA5LwaNTMFEwHQYDVR0OBBYEFKE4cB/su9lSm/UhVMJWqLB+gbBrMB8G\n"
	"A1UdIwQYMBaAFKE4cB/su9lSm/UhVMJWqLB+gbBrMA8GA1UdEwEB/wQFMAMBAf8w\n"
	"CgYIKoZIzj0EAwIDSQAwRgIhALZC7UEtd4Z12j9yJUxydDwN/LRmF9+e1SqXZRbT\n"
	"IGRSAiEAiPB9ytYSvOBMFJUAXNdKq36iE2fUuO5gw0y07cpDcSA=\n"
	"-----END CERTIFICATE-----\n";
static const char leaf[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBGDCBvwIUcub1YhC4CaosdNtAu/d+I1kwKlQwCgYIKoZIzj0EAwIwDTELMAkG\n"
	"A1UEAwwCY2EwIBcNMjYxMTI1MDQ0NTAxWhgPMjEyNjExMDEwNDQ1MDFaMA8xDTAL\n"
	"BgNVBAMMBGxlYWYwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR0tBicppf6Gtmo\n"
	"mOLZKRWOzxQshcYvRcUxyr9ephKQif3HGrJxszjgi9zTP7n7TBo0y7Z1OAfF2ZW0\n"
	"FRtqNFSuMAoGCCqGSM49BAMCA0gAMEUCIQDLOqduVt/nKRDFcoUyXOAXXPrZPFsD\n"
	"Os2xQFZaVqK4HAIgXctweRo9/39Bc7pt52V4o0NxdbvXEi+HwSBBnEPJpZI=\n"
	"-----END CERTIFICATE-----\n";
static const char key[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXTTnH/FSo0XmyIIL\n"
	"t2ViNsINSxn7UzcqiP0O0NfoO1uhRANCAAR0tBicppf6GtmomOLZKRWOzxQshcYv\n"
	"RcUxyr9ephKQif3HGrJxszjgi9zTP7n7TBo0y7Z1OAfF2ZW0FRtqNFSu\n"
	"-----END PRIVATE KEY-----\n";

Test(pem, blocks_are_told_apart_and_written_anew)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(1 << 16);
	AUTO(buf_deinit) struct buf block = BUF_INIT(1 << 16);
	static const enum pem_kind kinds[] = { PEM_CERTIFICATE, PEM_CA_CERTIFICATE,
					       PEM_PRIVATE_KEY };
	static const char *const blocks[] = { leaf, authority, key };
	const char *at, *end;
	enum pem_kind kind;
	struct error err;

	/* Line ends of the other kind, and text between. */
	for (const char *byte = leaf; *byte != '\0'; byte++)
		buf_printf(&text, *byte == '\n' ? "\r\n" : "%c", *byte);
	buf_printf(&text, "words\n%s%s", authority, key);
	at = buf_string(&text);
	end = at + text.len;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		cr_assert_eq(pem_next(&at, end, &kind, &block, &err), 1, "%zu", i);
		cr_expect_eq(kind, kinds[i]);
		cr_expect_str_eq(buf_string(&block), blocks[i]);
	}
	cr_expect_eq(pem_next(&at, end, &kind, &block, &err), 0);
}

Test(pem, what_is_no_certificate_is_refused)
{
	static const char *const texts[] = {
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n",
	};
	AUTO(buf_deinit) struct buf block = BUF_INIT(1 << 16);
	enum pem_kind kind;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *at = texts[i];

		cr_expect_eq(pem_next(&at, at + strlen(at), &kind, &block, &err), -1);
		cr_expect_eq(err.code, ERROR_BAD_DATA);
	}
}

/* ---- pkiCert ---- */

struct issued {
	struct template_source source;
	const struct json_node *answer;
};

static int lookup(struct template_source *source, const struct template_need *need,
		  struct template_answer *ret, struct error *err)
{
	struct issued *issued = CONTAINER_OF(source, struct issued, source);

	(void)err;
	cr_expect_eq(need->kind, TEMPLATE_PKI);
	cr_expect_str_eq(need->path, "pki/issue/web");
	cr_expect_eq(need->pair_count, 1);
	*ret = (struct template_answer){ .reply = issued->answer };
	return 1;
}

Test(pki_cert, sorts_what_was_issued)
{
	static const char text[] =
		"{{ with pkiCert \"pki/issue/web\" \"common_name=x\" }}{{ .Key }}{{ .Data.Cert "
		"}}{{ .CA "
		"}}{{ len .CAChain }}{{ .CaChainContains .CA }}{{ end }}";
	const struct template_options options = { .name = "t" };
	AUTO(buf_deinit) struct buf answer = BUF_INIT(1 << 16);
	AUTO(buf_deinit) struct buf expected = BUF_INIT(1 << 16);
	struct issued issued = { .source = { .lookup = lookup } };
	AUTO(secret_unrefp) struct secret *output = NULL;
	struct error err;

	buf_puts(&answer, "{\"data\": {\"certificate\": ");
	text_write_json(&answer, leaf, strlen(leaf));
	buf_puts(&answer, ", \"private_key\": ");
	text_write_json(&answer, key, strlen(key));
	buf_puts(&answer, ", \"serial_number\": \"1\", \"ca_chain\": [");
	text_write_json(&answer, authority, strlen(authority));
	buf_puts(&answer, "], \"issuing_ca\": ");
	text_write_json(&answer, authority, strlen(authority));
	buf_puts(&answer, "}}");

	AUTO(json_doc_freep)
	struct json_doc *doc =
		json_doc_read(buf_string(&answer), answer.len, &JSON_REPLY_LIMITS, &err);
	cr_assert_not_null(doc, "%s", err.text);
	issued.answer = json_doc_root(doc);
	AUTO(template_freep)
	struct template *template = template_new(text, strlen(text), &options, &err);
	cr_assert_not_null(template, "%s", err.text);
	cr_assert_eq(template_render(template, &issued.source, &output, &err), 0, "%s", err.text);
	buf_printf(&expected, "%s%s%s1true", key, leaf, authority);
	cr_assert_eq(secret_len(output), expected.len);
	cr_expect_eq(memcmp(secret_bytes(output), buf_string(&expected), expected.len), 0);
}

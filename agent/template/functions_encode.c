/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodings and digests.
 */
#include <string.h>

#include "agent/base/digest.h"
#include "agent/base/text.h"
#include "agent/template/functions.h"

/* ---- base64 ---- */

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_urls[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int encode(struct render *render, const struct value *text, const char *alphabet,
		  struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX * 2);

	text_write_base64(&out, text->len > 0 ? text->bytes : "", text->len);
	for (size_t i = 0; alphabet == for_urls && i < out.len; i++) {
		if (out.data[i] == '+')
			out.data[i] = '-';
		else if (out.data[i] == '/')
			out.data[i] = '_';
	}
	return render_string(render, &out, ret);
}

/* The six bits of a character, a table look-up whose time says nothing of it; -1: none. */
static int sextet(const char *alphabet, char byte)
{
	int found = -1;

	for (int i = 0; i < 64; i++)
		found = alphabet[i] == byte ? i : found;
	return found;
}

/* Go skips line ends, wants the padding, and lets the last bits be anything. */
static int decode(struct render *render, const struct value *text, const char *alphabet,
		  struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	size_t digits = 0, padding = 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < text->len; i++) {
		char byte = text->bytes[i];
		int six = sextet(alphabet, byte);

		if (byte == '\r' || byte == '\n')
			continue;
		if (byte == '=' ? digits % 4 < 2 && padding == 0 : six < 0 || padding > 0)
			return render_error(render, "the text is no base64");
		padding += byte == '=' ? 1 : 0;
		bits = bits << 6 | (uint32_t)(byte == '=' ? 0 : six);
		if (++digits % 4 > 0)
			continue;
		if (padding > 2)
			return render_error(render, "the text is no base64");
		for (size_t j = 0; j < 3 - padding; j++)
			buf_putc(&out, (char)(bits >> (16 - 8 * j) & 0xff));
	}
	if (digits % 4 > 0)
		return render_error(render, "the text is no base64: it ends too soon");
	return render_string(render, &out, ret);
}

static int call_encode(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	(void)count;
	return encode(render, &arguments[0], standard, ret);
}

static int call_url_encode(struct render *render, const struct value *arguments, size_t count,
			   struct value *ret)
{
	(void)count;
	return encode(render, &arguments[0], for_urls, ret);
}

static int call_decode(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	(void)count;
	return decode(render, &arguments[0], standard, ret);
}

static int call_url_decode(struct render *render, const struct value *arguments, size_t count,
			   struct value *ret)
{
	(void)count;
	return decode(render, &arguments[0], for_urls, ret);
}

/* ---- digests ---- */

static int in_hex(struct render *render, const struct digest *digest, struct value *ret)
{
	AUTO(buf_deinit) struct buf out = BUF_INIT(DIGEST_MAX * 2);

	text_write_hex(&out, digest->bytes, digest->len);
	return render_string(render, &out, ret);
}

static int make(struct render *render, const char *name, const struct value *text,
		struct value *ret)
{
	struct digest digest;

	if (digest_make(name, text->len > 0 ? text->bytes : "", text->len, &digest, render->err) <
	    0)
		return -1;
	return in_hex(render, &digest, ret);
}

static int call_sha256(struct render *render, const struct value *arguments, size_t count,
		       struct value *ret)
{
	(void)count;
	return make(render, "SHA256", &arguments[0], ret);
}

static int call_md5(struct render *render, const struct value *arguments, size_t count,
		    struct value *ret)
{
	(void)count;
	return make(render, "MD5", &arguments[0], ret);
}

/* The message comes first, the key second. */
static int call_hmac(struct render *render, const struct value *arguments, size_t count,
		     struct value *ret)
{
	struct digest digest;

	(void)count;
	if (digest_hmac("SHA256", arguments[1].bytes, arguments[1].len, arguments[0].bytes,
			arguments[0].len, &digest, render->err) < 0)
		return -1;
	return in_hex(render, &digest, ret);
}

const struct template_function functions_encode[] = {
	{ "base64Decode", "s", call_decode },	     { "base64Encode", "s", call_encode },
	{ "base64URLDecode", "s", call_url_decode }, { "base64URLEncode", "s", call_url_encode },
	{ "hmacSHA256Hex", "ss", call_hmac },	     { "md5sum", "s", call_md5 },
	{ "sha256Hex", "s", call_sha256 },	     { 0 },
};

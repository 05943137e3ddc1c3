/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/buf.h"
#include "agent/base/digest.h"
#include "agent/base/text.h"

static void expect_hex(const struct digest *digest, const char *hex)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(2 * DIGEST_MAX);

	text_write_hex(&text, digest->bytes, digest->len);
	cr_expect_str_eq(buf_string(&text), hex);
}

/* RFC 6234's "abc", and the second test of RFC 4231. */
Test(digest, known_answers)
{
	static const char message[] = "what do ya want for nothing?";
	struct digest digest;
	struct error err;

	cr_assert_eq(digest_make("SHA256", "abc", 3, &digest, &err), 0);
	expect_hex(&digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	cr_assert_eq(digest_hmac("SHA256", "Jefe", 4, message, strlen(message), &digest, &err), 0);
	expect_hex(&digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

Test(digest, an_unknown_one_is_named)
{
	struct digest digest;
	struct error err;

	cr_assert_eq(digest_make("NOPE", "", 0, &digest, &err), -1);
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(err.text, "NOPE"));
}

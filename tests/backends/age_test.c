/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "backends/age.h"

/* Made by age-keygen and age 1.1.1. */
#define KEY	  "AGE-SECRET-KEY-1JMU2253A962UTRAQ3E0YLRP6MGEAW2K72TR9M5499L9XJNUAFRQSQ4MY3S"
#define RECIPIENT "age1dncxayftlm3l9uutaydh84uu24pl8nyhzhnjg576dy2sml2xrecqjwlppk"
static const char sealed[] =
	"-----BEGIN AGE ENCRYPTED FILE-----\n"
	"YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBaZjdZRFhaSGVmUnhHMVpx\n"
	"T1oyYVdIc0k2S3FxVlRmSnFsTDRKNGErSkdvCjBaNjJlR1VGVjN0MVZySGRFeC9p\n"
	"N1VtVkI0aGE5c1FzL2FTT2dyY2hCZm8KLS0tIENDRjlSS3F1MFFtandPNklFeFJT\n"
	"ZmpIYWlMVjU0UlZuTFlaOEk5TkQ4OVEKSdjT12ivDELi6syr0eqvNMqccSlVgb6b\n"
	"/H7ycSZrojuXXNNmGB1/rPU=\n"
	"-----END AGE ENCRYPTED FILE-----\n";

static void read_key(struct age_identities *keys)
{
	struct error err = ERROR_INIT;
	static const char file[] = "# created: today\n\n" KEY "\n";

	cr_assert_eq(age_identities_read(keys, file, strlen(file), "keys.txt", &err), 0, "%s",
		     err.text);
	cr_assert_eq(keys->count, 1);
}

Test(age, reads_a_key_file_and_derives_its_recipient)
{
	AUTO(age_identities_free) struct age_identities keys = { .count = 0 };
	AUTO(buf_deinit) struct buf key = BUF_INIT(200), recipient = BUF_INIT(200);

	read_key(&keys);
	age_identity_write(&key, &keys.items[0]);
	age_recipient_write(&recipient, keys.items[0].recipient);
	cr_expect_str_eq(buf_string(&key), KEY);
	cr_expect_str_eq(buf_string(&recipient), RECIPIENT);
}

Test(age, opens_what_the_real_program_sealed)
{
	AUTO(age_identities_free) struct age_identities keys = { .count = 0 };
	AUTO(buf_deinit) struct buf plain = BUF_INIT(100);
	struct error err = ERROR_INIT;

	read_key(&keys);
	cr_expect_eq(age_decrypt(sealed, strlen(sealed), &keys, &plain, &err), 0, "%s", err.text);
	cr_expect_str_eq(buf_string(&plain), "age works");
}

Test(age, refuses_a_file_with_any_byte_changed)
{
	AUTO(age_identities_free) struct age_identities keys = { .count = 0 };
	size_t head = strlen("-----BEGIN AGE ENCRYPTED FILE-----\n");

	read_key(&keys);
	for (size_t i = head; i + head < strlen(sealed); i++) {
		AUTO(buf_deinit) struct buf plain = BUF_INIT(100);
		struct error err = ERROR_INIT;
		char changed[sizeof(sealed)];

		memcpy(changed, sealed, sizeof(sealed));
		changed[i] = changed[i] == 'A' ? 'B' : 'A';
		cr_expect_lt(age_decrypt(changed, strlen(changed), &keys, &plain, &err), 0,
			     "byte %zu", i);
	}
}

Test(age, each_of_several_recipients_reads_and_nobody_else)
{
	AUTO(buf_deinit) struct buf file = BUF_INIT(1 << 20);
	struct age_identity made[3];
	uint8_t recipients[2][AGE_KEY_LEN];
	static char large[200000];
	struct error err = ERROR_INIT;

	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < 3; i++)
		age_identity_make(&made[i]);
	for (size_t i = 0; i < 2; i++)
		memcpy(recipients[i], made[i].recipient, AGE_KEY_LEN);
	cr_assert_eq(age_encrypt((const uint8_t(*)[AGE_KEY_LEN])recipients, 2, large, sizeof(large),
				 &file, &err),
		     0);
	for (size_t i = 0; i < 3; i++) {
		struct age_identities keys = { .items = &made[i], .count = 1 };
		AUTO(buf_deinit) struct buf plain = BUF_INIT(1 << 20);
		int status = age_decrypt(file.data, file.len, &keys, &plain, &err);

		cr_expect_eq(status, i < 2 ? 0 : -1);
		cr_expect(i == 2 || (plain.len == sizeof(large) &&
				     memcmp(plain.data, large, plain.len) == 0));
	}
	cr_expect_eq(err.code, ERROR_INVALID);
}

Test(age, payload_sizes_around_a_chunk_come_back)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 131072 };
	static char content[131072];
	struct age_identity key;
	struct age_identities keys = { .items = &key, .count = 1 };

	age_identity_make(&key);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		AUTO(buf_deinit) struct buf file = BUF_INIT(1 << 20), plain = BUF_INIT(1 << 20);
		uint8_t recipients[1][AGE_KEY_LEN];
		struct error err = ERROR_INIT;

		memcpy(recipients[0], key.recipient, AGE_KEY_LEN);
		cr_assert_eq(age_encrypt((const uint8_t(*)[AGE_KEY_LEN])recipients, 1, content,
					 sizes[i], &file, &err),
			     0);
		cr_expect_eq(age_decrypt(file.data, file.len, &keys, &plain, &err), 0, "%zu: %s",
			     sizes[i], err.text);
		cr_expect_eq(plain.len, sizes[i]);
	}
}

Test(age, names_the_line_of_a_key_that_is_none)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "# only a comment\n", "holds no age key" },
		{ "#\nAGE-SECRET-KEY-1QQQ\n", "k:2: not an age key" },
		{ "AGE-PLUGIN-YUBIKEY-1XYZ\n", "k:1: plugin keys are not supported yet" },
		{ "-----BEGIN OPENSSH PRIVATE KEY-----\n", "not supported yet" },
		{ "AGE-SECRET-KEY-PQ-1ABC\n", "post-quantum keys are not supported yet" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO(age_identities_free) struct age_identities keys = { .count = 0 };
		struct error err = ERROR_INIT;

		cr_expect_lt(
			age_identities_read(&keys, cases[i].text, strlen(cases[i].text), "k", &err),
			0);
		cr_expect_eq(err.code, ERROR_INVALID);
		cr_expect_not_null(strstr(err.text, cases[i].says), "%s", err.text);
	}
}

Test(age, refuses_recipients_of_other_kinds)
{
	static const char *const others[] = {
		"ssh-ed25519 AAAA", "age1pq1qqqq", "age1yubikey1qqq", "", "age1", RECIPIENT "q"
	};
	uint8_t key[AGE_KEY_LEN];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_lt(age_recipient_read(others[i], key, &err), 0, "%s", others[i]);
	cr_expect_eq(age_recipient_read(RECIPIENT, key, &err), 0);
}

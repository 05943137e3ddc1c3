/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hand_over_record.h"

#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/wipe.h"

static const struct json_limits limits = { .depth = 8, .nodes = 1000, .bytes = 1 << 20 };

static struct secret_version *make_version(enum lease_kind kind)
{
	struct error err = ERROR_INIT;
	struct secret_version *version = secret_version_new(&err);

	version->fetched = (struct stamp){ 123456789012, 1800000000000 };
	version->lease = (struct lease){
		.kind = kind,
		.id = kind == LEASE_TIMED ? wipe_strdup("database/creds/web/\"1\"") : NULL,
		.renewable = kind == LEASE_TIMED,
		.duration_ms = kind == LEASE_NONE ? 0 : (int64_t)100 * 365 * 24 * 3600 * 1000,
		.issued = { 123456789000, 1799999999990 },
	};
	cr_assert_eq(
		secret_version_add_bytes(version, "binary \"name\"", FIELD_STRING, "\0\xff'", 3,
					 &err) |
			secret_version_add_bytes(version, "port", FIELD_JSON, "1E+5", 4, &err) |
			secret_version_add_bytes(version, "empty", FIELD_STRING, "", 0, &err),
		0);
	secret_version_identify(version);
	return version;
}

static int read_text(const char *text, size_t len, struct secret_version **ret, struct error *err)
{
	AUTO(json_doc_freep) struct json_doc *doc = json_doc_read(text, len, &limits, err);

	return doc != NULL ? hand_over_read_version(json_doc_root(doc), ret, err) : -1;
}

Test(hand_over_record, gives_back_what_was_written)
{
	for (enum lease_kind kind = LEASE_NONE; kind <= LEASE_ROTATION; kind++) {
		AUTO(secret_version_unrefp) struct secret_version *version = make_version(kind);
		AUTO(secret_version_unrefp) struct secret_version *back = NULL;
		AUTO(buf_deinit) struct buf text = BUF_INIT(1 << 16);
		struct error err = ERROR_INIT;

		hand_over_put_version(&text, version);
		cr_assert_eq(read_text(text.data, text.len, &back, &err), 0, "%s", err.text);
		cr_expect(secret_version_equal(version, back));
		cr_expect_str_eq(back->id, version->id);
		cr_expect_eq(memcmp(&back->fetched, &version->fetched, sizeof(back->fetched)), 0);
		cr_expect_eq(
			memcmp(&back->lease.issued, &version->lease.issued, sizeof(struct stamp)),
			0);
		cr_expect_eq(back->lease.kind, version->lease.kind);
		cr_expect_eq(back->lease.renewable, version->lease.renewable);
		cr_expect_eq(back->lease.duration_ms, version->lease.duration_ms);
		if (kind == LEASE_TIMED)
			cr_expect_str_eq(back->lease.id, version->lease.id);
		else
			cr_expect_null(back->lease.id);
	}
}

Test(hand_over_record, refuses_what_it_did_not_write)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"fields\":[]}",
		"{\"fetched\":[1,2],\"fields\":[]}",
		"{\"fetched\":[1],\"lease\":{\"kind\":0,\"duration_ms\":0,\"issued\":[1,2]},"
		"\"fields\":[]}",
		"{\"fetched\":[1,-2],\"lease\":{\"kind\":0,\"duration_ms\":0,\"issued\":[1,2]},"
		"\"fields\":[]}",
		"{\"fetched\":[1,2],\"lease\":{\"kind\":4,\"duration_ms\":0,\"issued\":[1,2]},"
		"\"fields\":[]}",
		"{\"fetched\":[1,2],\"lease\":{\"kind\":1,\"duration_ms\":-1,\"issued\":[1,2]},"
		"\"fields\":[]}",
		"{\"fetched\":[1,2],\"lease\":{\"kind\":1,\"duration_ms\":1},\"fields\":[]}",
		"{\"fetched\":[1,2],\"lease\":{\"kind\":1,\"duration_ms\":1,\"issued\":[1,2]},"
		"\"fields\":{}}",
		"{\"fetched\":[1,2],\"lease\":{\"kind\":1,\"duration_ms\":1,\"issued\":[1,2]},"
		"\"fields\":[{}]}",
		"{\"fetched\":[1,2],\"lease\":{\"kind\":1,\"duration_ms\":1,\"issued\":[1,2]},"
		"\"fields\":[{\"name\":\"a\",\"value\":\"canary!\"}]}",
		"{\"fetched\":[1,2],\"lease\":{\"kind\":1,\"duration_ms\":1,\"issued\":[1,2]},"
		"\"fields\":[{\"name\":\"a\",\"value\":\"\"},{\"name\":\"a\",\"value\":\"\"}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct secret_version *version = NULL;
		struct error err = ERROR_INIT;

		cr_expect_eq(read_text(bad[i], strlen(bad[i]), &version, &err), -1, "%s", bad[i]);
		cr_expect_null(version);
		cr_expect_neq(err.code, ERROR_NONE);
		cr_expect_null(strstr(err.text, "canary"), "%s", err.text);
	}
}

/* A file that was cut anywhere is refused, and whatever was made of it is freed. */
Test(hand_over_record, refuses_every_beginning_of_one)
{
	AUTO(secret_version_unrefp) struct secret_version *version = make_version(LEASE_TIMED);
	AUTO(buf_deinit) struct buf text = BUF_INIT(1 << 16);

	hand_over_put_version(&text, version);
	for (size_t len = 0; len < text.len; len++) {
		struct secret_version *back = NULL;
		struct error err = ERROR_INIT;

		cr_assert_eq(read_text(text.data, len, &back, &err), -1, "%zu", len);
		cr_assert_null(back);
	}
}

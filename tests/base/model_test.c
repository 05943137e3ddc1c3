/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/model.h"

static struct secret_version *make_version(const char *first, const char *second)
{
	struct error err;
	struct secret_version *version = secret_version_new(&err);

	cr_assert_not_null(version);
	cr_assert_eq(secret_version_add_bytes(version, first, FIELD_STRING, "one", 3, &err), 0);
	cr_assert_eq(secret_version_add_bytes(version, second, FIELD_JSON, "[1]", 3, &err), 0);
	return version;
}

Test(model, fields_keep_their_order_and_bytes)
{
	AUTO(secret_version_unrefp) struct secret_version *version = make_version("b", "a");
	const struct field *field;

	cr_assert_eq(version->count, 2);
	cr_assert_str_eq(version->fields[0].name, "b");
	field = secret_version_field(version, "a");
	cr_assert_not_null(field);
	cr_assert_eq(field->type, FIELD_JSON);
	cr_assert_eq(secret_len(field->value), 3);
	cr_assert_eq(memcmp(secret_bytes(field->value), "[1]", 3), 0);
	cr_assert_null(secret_version_field(version, "c"));
}

Test(model, a_second_field_of_a_name_is_refused_and_its_value_released)
{
	AUTO(secret_version_unrefp) struct secret_version *version = make_version("a", "b");
	struct secret *value;
	struct error err;

	value = secret_new("x", 1, &err);
	cr_assert_not_null(value);
	(void)secret_ref(value);
	cr_assert_eq(secret_version_add(version, "a", FIELD_STRING, value, &err), -1);
	cr_assert_eq(err.code, ERROR_BAD_DATA);
	cr_assert_not_null(strstr(err.text, "'a'"));
	cr_assert_eq(version->count, 2);
	(void)secret_unref(value);
	cr_assert_eq(memcmp(secret_bytes(secret_version_field(version, "a")->value), "one", 3), 0);
}

Test(model, many_fields_fit)
{
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	struct error err;
	char name[16];

	version = secret_version_new(&err);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "field%d", i);
		cr_assert_eq(secret_version_add_bytes(version, name, FIELD_STRING, name,
						      strlen(name), &err),
			     0);
	}
	cr_assert_eq(version->count, 100);
	cr_assert_str_eq(version->fields[99].name, "field99");
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "field%d", i);
		cr_expect_eq(secret_version_field(version, name), &version->fields[i], "%s", name);
		cr_expect_eq(secret_version_add_bytes(version, name, FIELD_STRING, "", 0, &err), -1,
			     "%s is there", name);
	}
	cr_expect_null(secret_version_field(version, "field"));
	cr_expect_null(secret_version_field(version, "field100"));
	cr_expect_null(secret_version_field(version, ""));
}

Test(model, equal_means_fields_not_order_id_or_lease)
{
	AUTO(secret_version_unrefp) struct secret_version *one = NULL;
	AUTO(secret_version_unrefp) struct secret_version *same = NULL;
	AUTO(secret_version_unrefp) struct secret_version *more = NULL;
	struct error err;

	one = secret_version_new(&err);
	cr_assert_eq(secret_version_add_bytes(one, "a", FIELD_STRING, "1", 1, &err), 0);
	cr_assert_eq(secret_version_add_bytes(one, "b", FIELD_STRING, "2", 1, &err), 0);
	same = secret_version_new(&err);
	cr_assert_eq(secret_version_add_bytes(same, "b", FIELD_STRING, "2", 1, &err), 0);
	cr_assert_eq(secret_version_add_bytes(same, "a", FIELD_STRING, "1", 1, &err), 0);
	same->lease = (struct lease){ .kind = LEASE_TIMED, .duration_ms = 5 };
	cr_assert(secret_version_equal(one, same));
	more = secret_version_new(&err);
	cr_assert_eq(secret_version_add_bytes(more, "a", FIELD_STRING, "1", 1, &err), 0);
	cr_assert_not(secret_version_equal(one, more));
	cr_assert_eq(secret_version_add_bytes(more, "b", FIELD_JSON, "2", 1, &err), 0);
	cr_assert_not(secret_version_equal(one, more));
}

Test(model, ids_follow_names_types_and_values_without_telling_them)
{
	AUTO(secret_version_unrefp) struct secret_version *one = make_version("a", "b");
	AUTO(secret_version_unrefp) struct secret_version *same = make_version("a", "b");
	AUTO(secret_version_unrefp) struct secret_version *other = make_version("a", "c");
	AUTO(secret_version_unrefp) struct secret_version *shifted = make_version("ab", "");

	secret_version_identify(one);
	secret_version_identify(same);
	secret_version_identify(other);
	secret_version_identify(shifted);
	cr_assert_str_eq(one->id, same->id);
	cr_assert_str_neq(one->id, other->id);
	cr_assert_str_neq(one->id, shifted->id);
	cr_assert_eq(strlen(one->id), 16);
	cr_assert_eq(strspn(one->id, "0123456789abcdef"), 16);
}

Test(model, a_version_lives_while_somebody_holds_it)
{
	struct secret_version *version = make_version("a", "b");

	cr_assert_eq(secret_version_ref(version), version);
	cr_assert_null(secret_version_unref(version));
	cr_assert_eq(version->count, 2);
	cr_assert_null(secret_version_unref(version));
	cr_assert_null(secret_version_unref(NULL));
}

Test(model, a_lease_ends_at_the_earlier_of_both_clocks)
{
	struct lease lease = { .kind = LEASE_TIMED,
			       .duration_ms = 60000,
			       .issued = { 5000, 1000000 } };
	struct lease none = { .kind = LEASE_NONE, .duration_ms = 60000 };
	struct lease for_ever = { .kind = LEASE_TIMED };

	cr_assert_eq(lease_expires_boot_ms(&lease, (struct stamp){ 15000, 1010000 }), 65000);
	/* The wall clock ran 20 s ahead: it ends sooner. */
	cr_assert_eq(lease_expires_boot_ms(&lease, (struct stamp){ 15000, 1030000 }), 45000);
	/* It was set back an hour: no later. */
	cr_assert_eq(lease_expires_boot_ms(&lease, (struct stamp){ 15000, 1010000 - 3600000 }),
		     65000);
	cr_assert_eq(lease_expires_boot_ms(&none, (struct stamp){ 0, 0 }), DEADLINE_NEVER);
	cr_assert_eq(lease_expires_boot_ms(&for_ever, (struct stamp){ 0, 0 }), DEADLINE_NEVER);
	cr_assert_eq(lease_expires_real_ms(&lease), 1060000);
	cr_assert_eq(lease_expires_real_ms(&none), 0);
	cr_assert_eq(lease_expires_real_ms(&for_ever), 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "agent/store.h"

static char names[][8] = { "web", "db", "api", "db2", "d" };

static void init(struct store *store, struct secret_spec *specs, size_t count)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < count; i++)
		specs[i] = (struct secret_spec){ .name = names[i] };
	cr_assert_eq(store_init(store, specs, count, &err), 0);
}

Test(store, finds_each_name_in_whatever_order_and_nothing_else)
{
	static const char *const strange[] = { "", "a", "dc", "db22", "webs", "WEB", "zz" };
	struct secret_spec specs[ARRAY_SIZE(names)];
	struct store store;

	init(&store, specs, ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_expect_eq(store_find(&store, names[i]), &store.entries[i], "%s", names[i]);
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++)
		cr_expect_null(store_find(&store, strange[i]), "%s", strange[i]);
	store_deinit(&store);
}

Test(store, without_secrets_is_ready_and_finds_nothing)
{
	struct store store;

	init(&store, NULL, 0);
	cr_expect_null(store_find(&store, "db"));
	cr_expect(store_ready(&store));
	store_deinit(&store);
}

Test(store, is_ready_when_all_but_optional_secrets_have_a_version)
{
	struct error err = ERROR_INIT;
	struct secret_spec specs[2];
	struct store store;

	init(&store, specs, 2);
	specs[1].optional = true;
	cr_expect_not(store_ready(&store));
	store.entries[0].version = secret_version_new(&err);
	cr_expect(store_ready(&store));
	store_deinit(&store);
}

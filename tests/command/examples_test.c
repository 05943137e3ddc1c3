/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is given to users as an example is good, read with the backends that the program has.
 */
#include <criterion/criterion.h>
#include <unistd.h>

#include "agent/command/command.h"
#include "agent/config/config.h"

Test(examples, of_every_part_of_a_configuration_is_good)
{
	static const char file[] = "examples/agent.yaml";
	struct config_problems problems = { 0 };
	struct buf lines = BUF_INIT(1 << 16);
	struct config *config;

	if (access(file, R_OK) != 0)
		cr_skip_test("run from the root of the tree");
	config = config_read(file, backend_types, &problems);
	config_problems_print(&problems, &lines);
	cr_expect_str_eq(buf_string(&lines), "");
	cr_assert_not_null(config);
	cr_expect_eq(config->secret_count, 4);
	cr_expect_str_eq(config_secret_find(config, "cert")->write,
			 "{\"common_name\":\"web.example\"}");
	(void)config_free(config);
	config_problems_free(&problems);
	buf_deinit(&lines);
}

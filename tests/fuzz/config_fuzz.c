/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as agent.yaml: read and freed, or refused with at least one problem.
 */
#include <stdint.h>
#include <stdlib.h>

#include "agent/command/command.h"
#include "agent/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	AUTO(config_problems_free) struct config_problems problems = { 0 };
	AUTO(buf_deinit) struct buf lines = BUF_INIT(1 << 20);
	struct config *config =
		config_parse((const char *)bytes, len, "agent.yaml", backend_types, &problems);

	if ((config == NULL) != (problems.count > 0))
		abort();
	config_problems_print(&problems, &lines);
	(void)config_free(config);
	return 0;
}

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sidecar: keeps every declared secret fresh and in its sinks until it is told to end.
 */
#include <stdbool.h>

#include "agent/config/config.h"

struct serve_request {
	struct config
		*config; /* taken over; its file is read again at SIGHUP and when it changes */
	bool allow_degraded;
	const char *status_socket; /* besides those of the configuration; NULL: none */
};

/* `channel`: to the launcher that runs on_change.exec; -1: none. Returns the exit status. */
int serve_main(struct serve_request *request, int channel);

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The webhook's life: listen, keep certificate and configuration fresh, drain at SIGTERM.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/error.h"
#include "injector/config.h"
#include "injector/kube.h"
#include "injector/rotation.h"
#include "injector/versions.h"

/* Endpoints take a moment to spread: how long to go on serving after SIGTERM. */
#define SERVE_DRAIN_MS 10000

struct serve_request {
	const char *listen;		  /* "[::]:8443" */
	const char *cert_file, *key_file; /* NULL: the replicas' own authority, `rotation` */
	struct rotation_setup rotation;
	struct kube_access kube; /* url NULL: no API server is asked for anything */
	/* What the operator says they are; while both are unknown the API server is asked. */
	struct cluster_versions versions;
	const char *client_ca_file; /* NULL: callers show no certificate */
	int64_t drain_ms;
	bool allow_degraded; /* go on where the kernel has no filters of system calls */
};

/* Takes the configuration over. Returns the exit status after SIGTERM or SIGINT, or -1. */
int serve_run(const struct serve_request *request, struct injector_config *config,
	      struct error *err) MUST_USE;

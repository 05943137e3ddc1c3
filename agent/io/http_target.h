#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the requests of a pool go, and as whom: an endpoint, read and checked once. For
 * agent/io/http_client alone.
 */
#include <curl/curl.h>

#include "agent/base/backend.h"
#include "agent/io/tls.h"

struct http_target {
	bool https;
	bool named;		       /* the host must be looked up */
	char *origin;		       /* as the user wrote it, for texts */
	char *base;		       /* what request paths are appended to */
	struct curl_slist *connect_to; /* where server_name really lives; NULL: there */
	char *host_header;	       /* with connect_to: "Host: …" */
	X509_STORE *store;
	struct tls_identity *identity;
};

/* Takes a reference to `trust`. The target is to be deinitialised after a failure too. */
int http_target_init(struct http_target *target, const struct endpoint *endpoint, X509_STORE *trust,
		     struct error *err) MUST_USE;
void http_target_deinit(struct http_target *target);

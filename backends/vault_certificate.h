#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an issued certificate lives.
 */
#include <stdbool.h>

#include "agent/base/model.h"

/* Fills a LEASE_CERTIFICATE from the first certificate (PEM, or DER in base64) in the text: issued
 * at its notBefore, on both clocks, for as long as it is valid. False when it cannot be read;
 * *lease is then untouched. */
bool vault_certificate_lease(const char *text, size_t len, struct stamp now, struct lease *lease);

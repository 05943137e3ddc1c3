#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the certificate that is shown comes from: two files that somebody else replaces, or an
 * authority that the replicas keep together in a Secret.
 */
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/io/tls_identity.h"
#include "injector/kube.h"
#include "injector/rotation.h"

struct certificate_source {
	const char *cert_file, *key_file; /* NULL: `rotation` */
	const struct rotation_setup *rotation;
	struct kube *kube; /* with `rotation`; borrowed */
};

/* A certificate is there from the start; `changed` is called for each that follows, in the loop. */
struct certificate;
typedef void certificate_changed_fn(void *context, const struct tls_identity *identity);
struct certificate *certificate_new(struct loop *loop, const struct clock *clock,
				    const struct certificate_source *source,
				    certificate_changed_fn *changed, void *context,
				    struct error *err) MUST_USE;

/* After the kube that it uses was freed. Returns NULL. */
struct certificate *certificate_free(struct certificate *certificate);

const struct tls_identity *certificate_identity(const struct certificate *certificate);

/* Why nobody should be sent to us with it; NULL: all is well. */
const char *certificate_unready(const struct certificate *certificate);

/* Its end, and the rotation's counters. */
void certificate_write_metrics(const struct certificate *certificate, struct buf *out);

#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the API server of the cluster, as the service account that the pod runs as.
 */
#include "agent/base/clock.h"
#include "agent/base/message.h"
#include "agent/io/http_client.h"

/* Where a pod finds its service account. */
#define KUBE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

struct kube_access {
	const char *url; /* "https://10.0.0.1:443" */
	const char *ca_file;
	const char *token_file; /* read anew for each request: the kubelet replaces it */
};

/* The access that the environment and the mounted service account give; `url` gets the address.
 * ERROR_INVALID outside of a pod. */
#define KUBE_URL_MAX 300
int kube_access_of_pod(char url[KUBE_URL_MAX], struct kube_access *ret, struct error *err) MUST_USE;

/* Borrows the access for its life. */
struct kube;
struct kube *kube_new(struct loop *loop, const struct clock *clock,
		      const struct kube_access *access, struct error *err) MUST_USE;
/* Requests in flight are told that they are canceled. Returns NULL. */
struct kube *kube_free(struct kube *kube);

/* Embedded by the caller, who owns it until `done`. */
struct kube_call {
	/* Exactly once, never from within kube_send; `reply` is NULL when *err is set. */
	void (*done)(struct kube_call *call, const struct reply *reply, const struct error *err);
	struct http_transfer transfer; /* kube's own */
};

/* Starts the request, with the account's token; its bytes are copied. -1: never calls back. */
int kube_send(struct kube *kube, const struct request *request, struct kube_call *call,
	      struct error *err) MUST_USE;

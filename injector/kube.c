/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/kube.h"

#include <stdio.h>
#include <string.h>

#include "agent/io/file.h"
#include "agent/io/http_client.h"
#include "certs/trust.h"

enum { TOKEN_MAX = 16 << 10 };

struct kube {
	const struct kube_access *access;
	struct http_client *client;
	struct http_pool *pool;
	struct buf ca; /* what the pool believes */
};

int kube_access_of_pod(char url[KUBE_URL_MAX], struct kube_access *ret, struct error *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	bool v6 = host != NULL && strchr(host, ':') != NULL;

	if (host == NULL || port == NULL)
		return error_set(
			err, ERROR_INVALID,
			"this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set): "
			"name the API server with --kube");
	(void)snprintf(url, KUBE_URL_MAX, v6 ? "https://[%.200s]:%.10s" : "https://%.200s:%.10s",
		       host, port);
	*ret = (struct kube_access){ url, KUBE_ACCOUNT "/ca.crt", KUBE_ACCOUNT "/token" };
	return 0;
}

struct kube *kube_new(struct loop *loop, const struct clock *clock,
		      const struct kube_access *access, struct error *err)
{
	struct kube *kube = calloc(1, sizeof(*kube));

	if (kube == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	kube->access = access;
	kube->ca = BUF_INIT(TRUST_BUNDLE_MAX);
	kube->client = http_client_new(loop, clock, err);
	return kube->client != NULL ? kube : kube_free(kube);
}

struct kube *kube_free(struct kube *kube)
{
	if (kube == NULL)
		return NULL;
	kube->pool = http_pool_free(kube->pool);
	kube->client = http_client_free(kube->client);
	buf_deinit(&kube->ca);
	free(kube);
	return NULL;
}

/* The CA's file is read each time, and another pool made only when it says something else. */
static int keep_pool(struct kube *kube, struct error *err)
{
	const struct endpoint endpoint = { .url = kube->access->url };
	AUTO(buf_deinit) struct buf ca = BUF_INIT(TRUST_BUNDLE_MAX);
	AUTO(trust_unrefp) struct trust *trust = NULL;
	struct http_pool *pool;

	if (file_read(kube->access->ca_file, TRUST_BUNDLE_MAX, false, &ca, err) < 0)
		return kube->pool != NULL ? 0 : -1;
	if (kube->pool != NULL && ca.len == kube->ca.len &&
	    memcmp(ca.data, kube->ca.data, ca.len) == 0)
		return 0;
	trust = trust_read(ca.data, ca.len, err);
	if (trust == NULL)
		return error_wrap(err, "%s", kube->access->ca_file);
	pool = http_pool_new(kube->client, &endpoint, trust_store(trust), err);
	if (pool == NULL)
		return -1;
	kube->pool = http_pool_free(kube->pool);
	kube->pool = pool;
	buf_reset(&kube->ca);
	buf_put(&kube->ca, ca.data, ca.len);
	return 0;
}

static int put_token(const struct kube *kube, struct buf *headers, struct error *err)
{
	AUTO(buf_deinit) struct buf token = BUF_INIT(TOKEN_MAX);
	size_t len;

	if (file_read(kube->access->token_file, TOKEN_MAX, true, &token, err) < 0)
		return -1;
	len = strcspn(buf_string(&token), "\r\n");
	if (len == 0)
		return error_set(err, ERROR_INVALID, "the token in %s is empty",
				 kube->access->token_file);
	buf_puts(headers, "Authorization: Bearer ");
	buf_put(headers, token.data, len);
	buf_putc(headers, '\n');
	return 0;
}

static void on_done(struct http_transfer *transfer, const struct reply *reply,
		    const struct error *err)
{
	struct kube_call *call = CONTAINER_OF(transfer, struct kube_call, transfer);

	call->done(call, reply, err);
}

int kube_send(struct kube *kube, const struct request *request, struct kube_call *call,
	      struct error *err)
{
	AUTO(buf_deinit) struct buf headers = BUF_INIT(REQUEST_HEAD_MAX);
	struct request sent = *request; /* its buffers stay the caller's */

	if (buf_check(&request->path, "the request's path", err) < 0 ||
	    buf_check(&request->body, "the request's body", err) < 0)
		return -1;
	if (keep_pool(kube, err) < 0 || put_token(kube, &headers, err) < 0)
		return error_wrap(err, "the API server");
	buf_puts(&headers, buf_string(&request->headers));
	if (buf_check(&headers, "the request's head", err) < 0)
		return -1;
	sent.headers = headers;
	call->transfer = (struct http_transfer){ .done = on_done };
	return http_send(kube->pool, &sent, 0, &call->transfer, err);
}

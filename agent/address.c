/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/address.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/io/file.h"

static void address_unrefp(struct address **address)
{
	*address = address_unref(*address);
}

int origin_read(const char *url, char origin[ORIGIN_MAX], const char **rest)
{
	static const struct {
		const char *prefix;
		const char *port;
	} schemes[] = { { "https://", "443" }, { "http://", "80" } };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t prefix = strlen(schemes[i].prefix);
		const char *host = url + prefix;
		size_t len, host_len;
		const char *port;
		int written;

		if (strncasecmp(url, schemes[i].prefix, prefix) != 0)
			continue;
		len = strcspn(host, "/?#");
		host_len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
		if (len == 0 || host_len == 0 || host_len > len || memchr(host, '@', len) != NULL ||
		    memchr(host, '\\', len) != NULL || (host_len < len && host[host_len] != ':'))
			return -1;
		port = host_len + 1 < len ? host + host_len + 1 : NULL;
		written = snprintf(
			origin, ORIGIN_MAX, "%s%.*s:%.*s", schemes[i].prefix, (int)host_len, host,
			port != NULL ? (int)(host + len - port) : (int)strlen(schemes[i].port),
			port != NULL ? port : schemes[i].port);
		if (written < 0 || written >= ORIGIN_MAX)
			return -1;
		for (char *at = origin; *at != '\0'; at++)
			*at = (char)tolower((unsigned char)*at);
		*rest = host + len;
		return 0;
	}
	return -1;
}

static bool same_file(const char *one, const char *other)
{
	return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static struct trust *read_trust(const char *ca_file, struct error *err)
{
	const char *file = ca_file != NULL ? ca_file : TRUST_PUBLIC_ROOTS;
	AUTO(buf_deinit) struct buf pem = BUF_INIT(TRUST_BUNDLE_MAX);
	struct trust *trust;

	if (file_read(file, TRUST_BUNDLE_MAX, false, &pem, err) < 0) {
		(void)error_wrap(err, ca_file != NULL ? "tls.ca_file"
						      : "the public roots (or set tls.ca_file)");
		err->code = ERROR_INVALID;
		return NULL;
	}
	trust = trust_read(pem.data, pem.len, err);
	if (trust == NULL)
		(void)error_wrap(err, "%s", file);
	return trust;
}

static struct address *open_with(struct http_client *client, const struct endpoint *endpoint,
				 struct trust *trust, struct error *err)
{
	AUTO(address_unrefp) struct address *address = calloc(1, sizeof(*address));
	const char *rest;

	if (address == NULL) {
		(void)trust_unref(trust);
		(void)error_no_memory(err);
		return NULL;
	}
	address->refs = 1;
	address->trust = trust;
	address->endpoint = *endpoint;
	if (origin_read(endpoint->url, address->origin, &rest) < 0) {
		(void)error_set(
			err, ERROR_INVALID,
			"an address is not a URL such as https://host:8200 (without a user name)");
		return NULL;
	}
	address->pool =
		http_pool_new(client, endpoint, trust != NULL ? trust_store(trust) : NULL, err);
	return address->pool != NULL ? STEAL(address) : NULL;
}

struct address *address_open(struct http_client *client, const struct endpoint *endpoint,
			     struct address *const *others, size_t count, struct error *err)
{
	struct trust *trust = NULL;

	if (strncasecmp(endpoint->url, "https:", 6) != 0)
		return open_with(client, endpoint, NULL, err);
	for (size_t i = 0; i < count && trust == NULL; i++)
		if (others[i]->trust != NULL &&
		    same_file(others[i]->endpoint.ca_file, endpoint->ca_file))
			trust = trust_ref(others[i]->trust);
	if (trust == NULL)
		trust = read_trust(endpoint->ca_file, err);
	if (trust == NULL)
		return NULL;
	return open_with(client, endpoint, trust, err);
}

struct address *address_like(struct http_client *client, const struct address *model,
			     const char *origin, struct error *err)
{
	struct endpoint endpoint = model->endpoint;
	struct address *address;

	endpoint.url = origin;
	address = open_with(client, &endpoint, trust_ref(model->trust), err);
	if (address != NULL)
		address->endpoint.url = address->origin;
	return address;
}

struct address *address_ref(struct address *address)
{
	address->refs++;
	return address;
}

struct address *address_unref(struct address *address)
{
	if (address == NULL || --address->refs > 0)
		return NULL;
	(void)http_pool_free(address->pool);
	(void)trust_unref(address->trust);
	free(address);
	return NULL;
}

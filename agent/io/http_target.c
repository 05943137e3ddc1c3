/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/http_target.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The parts of an endpoint's URL; libcurl's own reader, so that it cannot see another host than we
 * do. */
struct url {
	CURLU *handle;
	char *scheme, *host, *port;
};

static void url_deinit(struct url *url)
{
	curl_free(url->scheme);
	curl_free(url->host);
	curl_free(url->port);
	curl_url_cleanup(url->handle);
}

static int url_read(struct url *url, const char *text, struct error *err)
{
	url->handle = curl_url();
	if (url->handle == NULL)
		return error_no_memory(err);
	if (strchr(text, '@') != NULL)
		return error_set(
			err, ERROR_INVALID,
			"an address with a user name or password in it is not used: take them out");
	if (curl_url_set(url->handle, CURLUPART_URL, text, 0) != CURLUE_OK ||
	    curl_url_get(url->handle, CURLUPART_SCHEME, &url->scheme, 0) != CURLUE_OK ||
	    curl_url_get(url->handle, CURLUPART_HOST, &url->host, 0) != CURLUE_OK ||
	    curl_url_get(url->handle, CURLUPART_PORT, &url->port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		return error_set(err, ERROR_INVALID,
				 "'%.200s' is not an address such as https://host:8200", text);
	return 0;
}

static bool is_literal(const char *host)
{
	struct in_addr four;

	return host[0] == '[' || inet_pton(AF_INET, host, &four) == 1;
}

static bool is_loopback(const char *host)
{
	struct in_addr four;

	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &four) == 1 && (ntohl(four.s_addr) >> 24) == 127);
}

static int check_scheme(const struct http_target *target, const struct url *url,
			const struct endpoint *endpoint, struct error *err)
{
	if (strcmp(url->scheme, "http") != 0 && strcmp(url->scheme, "https") != 0)
		return error_set(err, ERROR_INVALID, "'%.200s' is neither https:// nor http://",
				 endpoint->url);
	if (target->https && target->store == NULL)
		return error_set(err, ERROR_INVALID, "no CA to believe for %.200s", endpoint->url);
	if (!target->https && !endpoint->insecure_http && !is_loopback(url->host))
		return error_set(err, ERROR_INVALID,
				 "%.200s would send secrets in the clear: use https://, or set "
				 "insecure_http: true",
				 endpoint->url);
	return 0;
}

static int set_text(char **text, struct error *err, const char *format, ...) PRINTF_LIKE(3, 4);

static int set_text(char **text, struct error *err, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(text, format, args);
	va_end(args);
	if (len >= 0)
		return 0;
	*text = NULL;
	return error_no_memory(err);
}

/* With server_name the URL bears that name, so that SNI and the check of the certificate use it,
 * and the connection is made to where the address says. The Host header stays the address's, as
 * with everybody else's option. */
static int set_base(struct http_target *target, const struct url *url,
		    const struct endpoint *endpoint, struct error *err)
{
	AUTO(freep) char *connect = NULL;

	if (endpoint->server_name == NULL)
		return set_text(&target->base, err, "%s://%s:%s", url->scheme, url->host,
				url->port);
	if (set_text(&target->base, err, "%s://%s:%s", url->scheme, endpoint->server_name,
		     url->port) < 0 ||
	    set_text(&target->host_header, err, "Host: %s:%s", url->host, url->port) < 0 ||
	    set_text(&connect, err, "::%s:%s", url->host, url->port) < 0)
		return -1;
	target->connect_to = curl_slist_append(NULL, connect);
	return target->connect_to != NULL ? 0 : error_no_memory(err);
}

int http_target_init(struct http_target *target, const struct endpoint *endpoint, X509_STORE *trust,
		     struct error *err)
{
	AUTO(url_deinit) struct url url = { 0 };

	if (url_read(&url, endpoint->url, err) < 0)
		return -1;
	target->https = strcmp(url.scheme, "https") == 0;
	target->named = !is_literal(url.host) && !is_loopback(url.host);
	if (target->https && trust != NULL && X509_STORE_up_ref(trust) == 1)
		target->store = trust;
	if (check_scheme(target, &url, endpoint, err) < 0)
		return -1;
	if (set_text(&target->origin, err, "%s", endpoint->url) < 0)
		return -1;
	if (set_base(target, &url, endpoint, err) < 0)
		return -1;
	if (endpoint->cert_file == NULL)
		return 0;
	target->identity = tls_identity_read(
		endpoint->cert_file,
		endpoint->key_file != NULL ? endpoint->key_file : endpoint->cert_file, err);
	return target->identity != NULL ? 0 : -1;
}

void http_target_deinit(struct http_target *target)
{
	curl_slist_free_all(STEAL(target->connect_to));
	freep(&target->origin);
	freep(&target->base);
	freep(&target->host_header);
	X509_STORE_free(STEAL(target->store));
	target->identity = tls_identity_free(target->identity);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/io/http_flight.h"

#include <ctype.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "agent/base/schedule.h"
#include "agent/base/wipe.h"

enum { RECEIVE_BYTES = 4096, SEND_BYTES = 16384 /* the least that libcurl takes */ };

/* Seconds, or a date; what is neither, is none. */
static int64_t read_retry_after(const char *value, const struct clock *clock)
{
	int64_t ms;

	if (isdigit((unsigned char)value[0])) {
		char *end;
		unsigned long long seconds = strtoull(value, &end, 10);

		if (*end != '\0')
			return -1;
		ms = seconds > SCHEDULE_RETRY_AFTER_MOST_MS ? SCHEDULE_RETRY_AFTER_MOST_MS
							    : (int64_t)seconds * 1000;
	} else if (isalpha((unsigned char)value[0])) {
		time_t when = curl_getdate(value, NULL);

		if (when < 0)
			return -1;
		ms = (int64_t)when * 1000 - clock_now(clock).real_ms;
	} else {
		return -1;
	}
	if (ms < SCHEDULE_RETRY_AFTER_LEAST_MS)
		return SCHEDULE_RETRY_AFTER_LEAST_MS;
	return deadline_earlier(ms, SCHEDULE_RETRY_AFTER_MOST_MS);
}

/* The value of a header line when it has that name; without white space around. */
static bool header_value(const char *line, size_t len, const char *name, char *value, size_t size)
{
	size_t name_len = strlen(name);

	if (len <= name_len || strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
		return false;
	line += name_len + 1;
	len -= name_len + 1;
	while (len > 0 && isspace((unsigned char)line[0])) {
		line++;
		len--;
	}
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	if (len >= size || memchr(line, '\0', len) != NULL)
		return false;
	memcpy(value, line, len);
	value[len] = '\0';
	return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
	struct http_flight *flight = context;
	size_t len = size * count;
	char value[2048];

	flight->transfer->reply_began = true;
	flight->head_size += len;
	if (flight->head_size > HTTP_HEAD_MAX)
		flight->too_large = true;
	if (len > 5 && strncmp(line, "HTTP/", 5) == 0) {
		/* A new head: what an interim reply (1xx) said does not count. */
		flight->header_count = 0;
		flight->head_complete = false;
		flight->reply.retry_after_ms = -1;
		buf_reset(&flight->location);
	} else if (len <= 2) {
		flight->head_complete = true;
	} else if (++flight->header_count > HTTP_HEADERS_MAX) {
		flight->too_large = true;
	}
	if (header_value(line, len, "Retry-After", value, sizeof(value)))
		flight->reply.retry_after_ms = read_retry_after(value, flight->clock);
	else if (header_value(line, len, "Location", value, sizeof(value)) &&
		 flight->location.len == 0)
		buf_puts(&flight->location, value);
	return flight->too_large ? 0 : len;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct http_flight *flight = context;

	buf_put(&flight->reply_body, bytes, size * count);
	return flight->reply_body.failed ? 0 : size * count;
}

static int failure_too_large(const struct http_flight *flight, struct error *err)
{
	if (flight->too_large)
		return error_set(
			err, ERROR_EXHAUSTED,
			"%.150s: the reply has more than %d headers or a head over %zu bytes",
			flight->target->origin, HTTP_HEADERS_MAX, HTTP_HEAD_MAX);
	return error_set(err, ERROR_EXHAUSTED, "%.150s: the reply is larger than %zu bytes",
			 flight->target->origin, flight->reply_body.max);
}

static int describe_failure(struct http_flight *flight, CURLcode result, struct error *err)
{
	const char *origin = flight->target->origin;
	const char *detail =
		flight->detail[0] != '\0' ? flight->detail : curl_easy_strerror(result);
	long verify_result = X509_V_ERR_UNSPECIFIED;

	switch ((int)result) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		(void)curl_easy_getinfo(flight->easy, CURLINFO_SSL_VERIFYRESULT, &verify_result);
		return tls_not_trusted(err, origin, verify_result, detail);
	case CURLE_WRITE_ERROR:
	case CURLE_FILESIZE_EXCEEDED:
		return failure_too_large(flight, err);
	case CURLE_OUT_OF_MEMORY:
		return error_no_memory(err);
	default:
		return error_set(err, ERROR_UNAVAILABLE, "no answer from %.150s: %.200s", origin,
				 detail);
	}
}

static int on_socket_made(void *context, curl_socket_t fd, curlsocktype purpose)
{
	unsigned user_timeout_ms = HTTP_TCP_USER_MS;

	(void)context;
	(void)purpose;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms,
			 sizeof(user_timeout_ms));
	return CURL_SOCKOPT_OK;
}

static CURLcode on_tls(CURL *easy, void *context, void *target_)
{
	const struct http_target *target = target_;

	(void)easy;
	return tls_setup_client(context, target->store, target->identity) < 0
		       ? CURLE_SSL_CERTPROBLEM
		       : CURLE_OK;
}

/* libcurl has 16 KiB to receive in and, over TLS, 64 KiB to send from, for each transfer; most
 * replies are smaller than one of these, and TLS has a buffer of its own besides. */
static void set_buffers(CURL *easy)
{
	(void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	(void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BYTES);
}

static void set_limits(CURL *easy, const struct http_flight *flight)
{
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	(void)curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)HTTP_ADDRESS_S);
	(void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)flight->timeout_ms);
	/* A server that makes something may be silent meanwhile; cutting it off would leave an
	 * orphan each time. And libcurl repeats by itself what goes unanswered on a connection that
	 * was used before: who must know of each attempt takes a new one. */
	if (flight->once) {
		(void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	} else {
		(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)HTTP_LOW_SPEED_BYTES);
		(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)HTTP_LOW_SPEED_S);
	}
	(void)curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)flight->reply_body.max);
	(void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
}

/* No proxy, no netrc, no redirects, no decoding, no other protocol, whatever the environment says.
 */
static void set_manners(CURL *easy, const struct http_target *target)
{
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, target->https ? "https" : "http");
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	(void)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	(void)curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, 3600L);
	(void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "agent/" AGENT_VERSION);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECT_TO, target->connect_to);
}

/* CAINFO and CAPATH must be NULL: with either the system's certificates would be believed too. */
static void set_trust(CURL *easy, const struct http_target *target)
{
	(void)curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	(void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	(void)curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	(void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, target);
}

static void set_request(CURL *easy, struct http_flight *flight)
{
	(void)curl_easy_setopt(easy, CURLOPT_URL, flight->url.data);
	if (flight->body.len > 0 || strcmp(flight->method, "GET") != 0) {
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buf_string(&flight->body));
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				       (curl_off_t)flight->body.len);
	}
	(void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, flight->method);
	(void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, flight->headers);
	(void)curl_easy_setopt(easy, CURLOPT_PRIVATE, flight);
	(void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, flight->detail);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, flight);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, flight);
}

static int add_header(struct http_flight *flight, const char *line, struct error *err)
{
	struct curl_slist *longer = curl_slist_append(flight->headers, line);

	if (longer == NULL)
		return error_no_memory(err);
	flight->headers = longer;
	return 0;
}

/* "Name: value" lines; curl wants "Name;" for one without a value, and would drop it as it stands.
 */
static int add_headers(struct http_flight *flight, const struct buf *lines, struct error *err)
{
	AUTO(buf_deinit) struct buf line = BUF_INIT(REQUEST_HEAD_MAX);
	bool typed = false;

	for (const char *at = buf_string(lines), *end; *at != '\0'; at = end + (*end == '\n')) {
		const char *colon = strchr(at, ':');

		end = strchrnul(at, '\n');
		if (end == at)
			continue;
		if (colon == NULL || colon > end || memchr(at, '\r', (size_t)(end - at)) != NULL)
			return error_set(err, ERROR_INVALID, "a header of a request is malformed");
		buf_reset(&line);
		buf_put(&line, at, (size_t)(end - at));
		if (strspn(colon + 1, " ") == (size_t)(end - colon - 1)) {
			buf_truncate(&line, (size_t)(colon - at));
			buf_putc(&line, ';');
		}
		typed = typed || strncasecmp(at, "Content-Type:", 13) == 0;
		if (buf_check(&line, "a header", err) < 0 ||
		    add_header(flight, buf_string(&line), err) < 0)
			return -1;
	}
	if (!typed && add_header(flight, "Content-Type:", err) < 0)
		return -1;
	return add_header(flight, "Expect:", err);
}

static int fill(struct http_flight *flight, const struct request *request, struct error *err)
{
	const struct http_target *target = flight->target;

	if (buf_check(&request->path, "a request's path", err) < 0 ||
	    buf_check(&request->headers, "a request's head", err) < 0 ||
	    buf_check(&request->body, "a request's body", err) < 0)
		return -1;
	if (buf_string(&request->path)[0] != '/')
		return error_set(err, ERROR_INVALID, "a request's path does not start with /");
	flight->url = BUF_INIT(REQUEST_HEAD_MAX + strlen(target->base));
	buf_puts(&flight->url, target->base);
	buf_put(&flight->url, request->path.data, request->path.len);
	flight->body = BUF_INIT(REQUEST_BODY_MAX);
	buf_put(&flight->body, request->body.data, request->body.len);
	if (buf_check(&flight->url, "a request's URL", err) < 0 ||
	    buf_check(&flight->body, "a request's body", err) < 0)
		return -1;
	if (target->host_header != NULL && add_header(flight, target->host_header, err) < 0)
		return -1;
	return add_headers(flight, &request->headers, err);
}

static void flight_freep(struct http_flight **flight)
{
	if (*flight != NULL)
		http_flight_free(*flight);
}

struct http_flight *http_flight_new(const struct http_target *target, const struct clock *clock,
				    const struct request *request, int64_t timeout_ms,
				    struct http_transfer *transfer, struct error *err)
{
	AUTO(flight_freep) struct http_flight *flight = wipe_calloc(1, sizeof(*flight));

	if (flight == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	flight->target = target;
	flight->clock = clock;
	flight->transfer = transfer;
	flight->method = request->method != NULL ? request->method : "GET";
	flight->timeout_ms = timeout_ms > 0 ? timeout_ms : HTTP_TOTAL_MS;
	flight->once = request->once;
	flight->reply.retry_after_ms = -1;
	flight->reply_body = BUF_INIT(request->reply_max);
	flight->location = BUF_INIT(REQUEST_HEAD_MAX);
	return fill(flight, request, err) == 0 ? STEAL(flight) : NULL;
}

void http_flight_free(struct http_flight *flight)
{
	curl_slist_free_all(flight->headers);
	buf_deinit(&flight->url);
	buf_deinit(&flight->body);
	buf_deinit(&flight->reply_body);
	buf_deinit(&flight->location);
	wipe_free(flight);
}

void http_flight_prepare(struct http_flight *flight)
{
	set_buffers(flight->easy);
	set_limits(flight->easy, flight);
	set_manners(flight->easy, flight->target);
	if (flight->target->https)
		set_trust(flight->easy, flight->target);
	set_request(flight->easy, flight);
	flight->reply.sent = clock_now(flight->clock);
}

void http_flight_note_sent(struct http_flight *flight)
{
	long sent = 0;

	(void)curl_easy_getinfo(flight->easy, CURLINFO_REQUEST_SIZE, &sent);
	flight->transfer->request_sent = sent > 0;
}

int http_flight_conclude(struct http_flight *flight, CURLcode result)
{
	long status = 0;

	http_flight_note_sent(flight);
	if (result == CURLE_OK && !flight->head_complete)
		result = CURLE_PARTIAL_FILE;
	if (result != CURLE_OK)
		return describe_failure(flight, result, &flight->error);
	(void)curl_easy_getinfo(flight->easy, CURLINFO_RESPONSE_CODE, &status);
	flight->reply.kind = REQUEST_HTTP;
	flight->reply.status = (int)status;
	flight->reply.body = buf_string(&flight->reply_body);
	flight->reply.len = flight->reply_body.len;
	flight->reply.location = flight->location.len > 0 ? flight->location.data : NULL;
	flight->reply.received = clock_now(flight->clock);
	return 0;
}

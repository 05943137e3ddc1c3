/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flight is one request with its reply: it waits in line, flies in one of the pool's two lanes,
 * and lands. The first lane has one connection that is kept for a while, the second has the others,
 * which go soon: bursts are fast and an idle pool costs nothing. What ends otherwise than by curl's
 * word (canceled, could not start) lands through a timer, so that `done` is never called from
 * within http_send or http_cancel.
 */
#include "agent/io/http_client.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "agent/base/schedule.h"
#include "agent/base/wipe.h"
#include "agent/io/http_lane.h"
#include "agent/io/tls.h"

enum { LANES = 2 };

/* The lanes of a pool, in the order in which they are filled. */
static const struct {
	unsigned connections;
	unsigned linger_ms;
} lane_kinds[LANES] = {
	{ 1, HTTP_IDLE_FIRST_MS },
	{ HTTP_CONNECTIONS_MAX - 1, HTTP_IDLE_OTHERS_MS },
};

TAILQ_HEAD(flights, http_flight);

struct http_client {
	struct loop *loop;
	const struct clock *clock;
	bool curl_started;
	bool threads_resolve; /* this libcurl looks names up in threads */
	size_t pools;
};

struct http_pool {
	uv_timer_t land; /* first: freed when closed */
	struct http_client *client;
	struct http_lane *lanes[LANES];
	struct flights waiting, flying, landing;
	bool closing;
	bool https;
	bool named;		       /* the host must be looked up */
	char *origin;		       /* as the user wrote it, for texts */
	char *base;		       /* what request paths are appended to */
	struct curl_slist *connect_to; /* where server_name really lives; NULL: there */
	char *host_header;	       /* with connect_to: "Host: …" */
	X509_STORE *store;
	struct tls_identity *identity;
};

struct http_flight {
	TAILQ_ENTRY(http_flight) entry;
	struct http_pool *pool;
	struct flights *list;
	struct http_lane *lane; /* while flying */
	struct http_transfer *transfer;
	CURL *easy;
	const char *method;
	struct curl_slist *headers;
	struct buf url, body, reply_body, location;
	struct reply reply;
	struct error error;
	int64_t timeout_ms;
	bool once;
	bool too_large;
	bool head_complete; /* libcurl takes a head that is cut for a reply without a body */
	unsigned header_count;
	size_t head_size;
	char detail[CURL_ERROR_SIZE];
};

/* -- Client
 * ------------------------------------------------------------------------------------------------
 */

struct http_client *http_client_new(struct loop *loop, const struct clock *clock, struct error *err)
{
	struct http_client *client = calloc(1, sizeof(*client));

	if (client == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	client->loop = loop;
	client->clock = clock;
	return client;
}

struct http_client *http_client_free(struct http_client *client)
{
	if (client == NULL)
		return NULL;
	assert(client->pools == 0);
	if (client->curl_started)
		curl_global_cleanup();
	free(client);
	return NULL;
}

static int start_curl(struct http_client *client, struct error *err)
{
	const curl_version_info_data *version;

	if (client->curl_started)
		return 0;
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, wipe_malloc, wipe_free, wipe_realloc,
				 wipe_strdup, wipe_calloc) != CURLE_OK)
		return error_set(err, ERROR_EXHAUSTED, "cannot start libcurl");
	client->curl_started = true;
	version = curl_version_info(CURLVERSION_NOW);
	client->threads_resolve =
		(version->features & CURL_VERSION_ASYNCHDNS) != 0 && version->ares == NULL;
	return 0;
}

/* -- Pool
 * --------------------------------------------------------------------------------------------------
 */

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

static int check_scheme(const struct http_pool *pool, const struct url *url,
			const struct endpoint *endpoint, struct error *err)
{
	if (strcmp(url->scheme, "http") != 0 && strcmp(url->scheme, "https") != 0)
		return error_set(err, ERROR_INVALID, "'%.200s' is neither https:// nor http://",
				 endpoint->url);
	if (pool->https && pool->store == NULL)
		return error_set(err, ERROR_INVALID, "no CA to believe for %.200s", endpoint->url);
	if (!pool->https && !endpoint->insecure_http && !is_loopback(url->host))
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
static int set_target(struct http_pool *pool, const struct url *url,
		      const struct endpoint *endpoint, struct error *err)
{
	AUTO(freep) char *connect = NULL;

	if (endpoint->server_name == NULL)
		return set_text(&pool->base, err, "%s://%s:%s", url->scheme, url->host, url->port);
	if (set_text(&pool->base, err, "%s://%s:%s", url->scheme, endpoint->server_name,
		     url->port) < 0 ||
	    set_text(&pool->host_header, err, "Host: %s:%s", url->host, url->port) < 0 ||
	    set_text(&connect, err, "::%s:%s", url->host, url->port) < 0)
		return -1;
	pool->connect_to = curl_slist_append(NULL, connect);
	return pool->connect_to != NULL ? 0 : error_no_memory(err);
}

static int pool_setup(struct http_pool *pool, const struct endpoint *endpoint, X509_STORE *trust,
		      struct error *err)
{
	AUTO(url_deinit) struct url url = { 0 };

	if (url_read(&url, endpoint->url, err) < 0)
		return -1;
	pool->https = strcmp(url.scheme, "https") == 0;
	pool->named = !is_literal(url.host) && !is_loopback(url.host);
	if (pool->https && trust != NULL && X509_STORE_up_ref(trust) == 1)
		pool->store = trust;
	if (check_scheme(pool, &url, endpoint, err) < 0)
		return -1;
	if (set_text(&pool->origin, err, "%s", endpoint->url) < 0)
		return -1;
	return set_target(pool, &url, endpoint, err);
}

static void on_lane_completed(void *context, CURL *easy, CURLcode result);

static void pool_release(struct http_pool *pool)
{
	for (size_t i = 0; i < LANES; i++)
		pool->lanes[i] = http_lane_free(pool->lanes[i]);
	curl_slist_free_all(STEAL(pool->connect_to));
	freep(&pool->origin);
	freep(&pool->base);
	freep(&pool->host_header);
	X509_STORE_free(STEAL(pool->store));
	pool->identity = tls_identity_free(pool->identity);
	pool->client->pools--;
	loop_close_and_free((uv_handle_t *)&pool->land);
}

struct http_pool *http_pool_new(struct http_client *client, const struct endpoint *endpoint,
				struct x509_store_st *trust, struct error *err)
{
	struct http_pool *pool;

	if (start_curl(client, err) < 0)
		return NULL;
	pool = wipe_calloc(1, sizeof(*pool));
	if (pool == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	pool->client = client;
	client->pools++;
	TAILQ_INIT(&pool->waiting);
	TAILQ_INIT(&pool->flying);
	TAILQ_INIT(&pool->landing);
	(void)uv_timer_init(loop_uv(client->loop), &pool->land);

	if (pool_setup(pool, endpoint, trust, err) < 0)
		return http_pool_free(pool);
	if (endpoint->cert_file != NULL) {
		pool->identity = tls_identity_read(
			endpoint->cert_file,
			endpoint->key_file != NULL ? endpoint->key_file : endpoint->cert_file, err);
		if (pool->identity == NULL)
			return http_pool_free(pool);
	}
	for (size_t i = 0; i < LANES; i++) {
		pool->lanes[i] =
			http_lane_new(client->loop, lane_kinds[i].connections,
				      lane_kinds[i].linger_ms, on_lane_completed, pool, err);
		if (pool->lanes[i] == NULL)
			return http_pool_free(pool);
	}
	return pool;
}

/* -- Flights
 * -----------------------------------------------------------------------------------------------
 */

static void flight_free(struct http_flight *flight)
{
	if (flight->easy != NULL)
		curl_easy_cleanup(flight->easy);
	curl_slist_free_all(flight->headers);
	buf_deinit(&flight->url);
	buf_deinit(&flight->body);
	buf_deinit(&flight->reply_body);
	buf_deinit(&flight->location);
	wipe_free(flight);
}

static void flight_freep(struct http_flight **flight)
{
	if (*flight != NULL)
		flight_free(*flight);
}

static void move_to(struct http_flight *flight, struct flights *list)
{
	if (flight->list != NULL)
		TAILQ_REMOVE(flight->list, flight, entry);
	flight->list = list;
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, flight, entry);
}

static void note_sent(struct http_flight *flight)
{
	long sent = 0;

	(void)curl_easy_getinfo(flight->easy, CURLINFO_REQUEST_SIZE, &sent);
	flight->transfer->request_sent = sent > 0;
}

static void leave_lane(struct http_flight *flight)
{
	if (flight->lane == NULL)
		return;
	note_sent(flight);
	http_lane_remove(flight->lane, flight->easy);
	flight->lane = NULL;
}

/* The last thing that a flight sees; the pool may be gone after. */
static void touch_down(struct http_flight *flight, bool good)
{
	struct http_transfer *transfer = flight->transfer;

	move_to(flight, NULL);
	transfer->flight = NULL;
	transfer->done(transfer, good ? &flight->reply : NULL, good ? NULL : &flight->error);
	flight_free(flight);
}

static void pump(struct http_pool *pool);

static void on_land(uv_timer_t *timer)
{
	struct http_pool *pool = CONTAINER_OF(timer, struct http_pool, land);
	struct http_flight *flight;

	pump(pool);
	while ((flight = TAILQ_FIRST(&pool->landing)) != NULL)
		touch_down(flight, false);
}

static void land_later(struct http_flight *flight)
{
	struct http_pool *pool = flight->pool;

	move_to(flight, &pool->landing);
	(void)uv_timer_start(&pool->land, on_land, 0, 0);
}

struct http_pool *http_pool_free(struct http_pool *pool)
{
	struct http_flight *flight;

	if (pool == NULL)
		return NULL;
	pool->closing = true;
	TAILQ_CONCAT(&pool->landing, &pool->flying, entry);
	TAILQ_CONCAT(&pool->landing, &pool->waiting, entry);
	TAILQ_FOREACH(flight, &pool->landing, entry)
	{
		flight->list = &pool->landing;
		leave_lane(flight);
		(void)error_set(&flight->error, ERROR_CANCELED, "the request was canceled");
	}
	while ((flight = TAILQ_FIRST(&pool->landing)) != NULL)
		touch_down(flight, false);
	pool_release(pool);
	return NULL;
}

/* -- Replies
 * -----------------------------------------------------------------------------------------------
 */

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
		flight->reply.retry_after_ms = read_retry_after(value, flight->pool->client->clock);
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
			flight->pool->origin, HTTP_HEADERS_MAX, HTTP_HEAD_MAX);
	return error_set(err, ERROR_EXHAUSTED, "%.150s: the reply is larger than %zu bytes",
			 flight->pool->origin, flight->reply_body.max);
}

static int describe_failure(struct http_flight *flight, CURLcode result, struct error *err)
{
	const char *origin = flight->pool->origin;
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

static void on_lane_completed(void *context, CURL *easy, CURLcode result)
{
	struct http_pool *pool = context;
	struct http_flight *flight = NULL;
	long status = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &flight);
	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	flight->lane = NULL;
	note_sent(flight);
	if (result == CURLE_OK && !flight->head_complete)
		result = CURLE_PARTIAL_FILE;
	if (result != CURLE_OK) {
		(void)describe_failure(flight, result, &flight->error);
	} else {
		flight->reply.kind = REQUEST_HTTP;
		flight->reply.status = (int)status;
		flight->reply.body = buf_string(&flight->reply_body);
		flight->reply.len = flight->reply_body.len;
		flight->reply.location = flight->location.len > 0 ? flight->location.data : NULL;
		flight->reply.received = clock_now(pool->client->clock);
	}
	pump(pool);
	touch_down(flight, result == CURLE_OK);
}

/* -- Requests
 * ---------------------------------------------------------------------------------------------- */

static int on_socket_made(void *context, curl_socket_t fd, curlsocktype purpose)
{
	unsigned user_timeout_ms = HTTP_TCP_USER_MS;

	(void)context;
	(void)purpose;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms,
			 sizeof(user_timeout_ms));
	return CURL_SOCKOPT_OK;
}

static CURLcode on_tls(CURL *easy, void *context, void *pool_)
{
	const struct http_pool *pool = pool_;

	(void)easy;
	return tls_setup_client(context, pool->store, pool->identity) < 0 ? CURLE_SSL_CERTPROBLEM
									  : CURLE_OK;
}

static void set_limits(CURL *easy, const struct http_flight *flight)
{
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	(void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)flight->timeout_ms);
	/* A server that makes something may be silent meanwhile; cutting it off would leave an
	 * orphan each time. */
	if (!flight->once) {
		(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)HTTP_LOW_SPEED_BYTES);
		(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)HTTP_LOW_SPEED_S);
	}
	(void)curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)flight->reply_body.max);
	(void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
}

/* No proxy, no netrc, no redirects, no decoding, no other protocol, whatever the environment says.
 */
static void set_manners(CURL *easy, const struct http_pool *pool)
{
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, pool->https ? "https" : "http");
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
	(void)curl_easy_setopt(easy, CURLOPT_CONNECT_TO, pool->connect_to);
}

/* CAINFO and CAPATH must be NULL: with either the system's certificates would be believed too. */
static void set_trust(CURL *easy, struct http_pool *pool)
{
	(void)curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	(void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	(void)curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	(void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	(void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, pool);
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

/* Look-ups that hang linger in threads of libcurl's after their transfer has ended; they are our
 * only threads, and a directory's link count tells how many there are without listing it. */
static bool too_many_resolvers(const struct http_pool *pool)
{
	struct stat st;

	if (!pool->named || !pool->client->threads_resolve || stat("/proc/self/task", &st) < 0)
		return false;
	return st.st_nlink > 2 + 1 + HTTP_RESOLVERS_MAX;
}

static int take_off(struct http_flight *flight, struct http_lane *lane)
{
	struct http_pool *pool = flight->pool;
	struct error *err = &flight->error;

	if (too_many_resolvers(pool))
		return error_set(
			err, ERROR_UNAVAILABLE,
			"%.150s cannot be looked up: %d look-ups wait for the name server in "
			"/etc/resolv.conf",
			pool->origin, HTTP_RESOLVERS_MAX);
	flight->easy = curl_easy_init();
	if (flight->easy == NULL)
		return error_no_memory(err);
	set_limits(flight->easy, flight);
	set_manners(flight->easy, pool);
	if (pool->https)
		set_trust(flight->easy, pool);
	set_request(flight->easy, flight);
	flight->reply.sent = clock_now(pool->client->clock);
	if (http_lane_add(lane, flight->easy, err) < 0)
		return -1;
	flight->lane = lane;
	move_to(flight, &pool->flying);
	return 0;
}

static void pump(struct http_pool *pool)
{
	struct http_flight *flight;

	while (!pool->closing && (flight = TAILQ_FIRST(&pool->waiting)) != NULL) {
		size_t i = 0;

		while (i < LANES && http_lane_full(pool->lanes[i]))
			i++;
		if (i == LANES)
			return;
		if (take_off(flight, pool->lanes[i]) < 0)
			land_later(flight);
	}
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
	struct http_pool *pool = flight->pool;

	if (buf_check(&request->path, "a request's path", err) < 0 ||
	    buf_check(&request->headers, "a request's head", err) < 0 ||
	    buf_check(&request->body, "a request's body", err) < 0)
		return -1;
	if (buf_string(&request->path)[0] != '/')
		return error_set(err, ERROR_INVALID, "a request's path does not start with /");
	flight->url = BUF_INIT(REQUEST_HEAD_MAX + strlen(pool->base));
	buf_puts(&flight->url, pool->base);
	buf_put(&flight->url, request->path.data, request->path.len);
	flight->body = BUF_INIT(REQUEST_BODY_MAX);
	buf_put(&flight->body, request->body.data, request->body.len);
	if (buf_check(&flight->url, "a request's URL", err) < 0 ||
	    buf_check(&flight->body, "a request's body", err) < 0)
		return -1;
	if (pool->host_header != NULL && add_header(flight, pool->host_header, err) < 0)
		return -1;
	return add_headers(flight, &request->headers, err);
}

int http_send(struct http_pool *pool, const struct request *request, int64_t timeout_ms,
	      struct http_transfer *transfer, struct error *err)
{
	AUTO(flight_freep) struct http_flight *flight = NULL;

	if (pool->closing)
		return error_set(err, ERROR_CANCELED, "the request was canceled");
	flight = wipe_calloc(1, sizeof(*flight));
	if (flight == NULL)
		return error_no_memory(err);
	flight->pool = pool;
	flight->transfer = transfer;
	flight->method = request->method != NULL ? request->method : "GET";
	flight->timeout_ms = timeout_ms > 0 ? timeout_ms : HTTP_TOTAL_MS;
	flight->once = request->once;
	flight->reply.retry_after_ms = -1;
	flight->reply_body = BUF_INIT(request->reply_max);
	flight->location = BUF_INIT(REQUEST_HEAD_MAX);
	if (fill(flight, request, err) < 0)
		return -1;
	transfer->request_sent = false;
	transfer->reply_began = false;
	transfer->flight = flight;
	move_to(STEAL(flight), &pool->waiting);
	pump(pool);
	return 0;
}

void http_cancel(struct http_transfer *transfer)
{
	struct http_flight *flight = transfer->flight;

	if (flight == NULL)
		return;
	leave_lane(flight);
	(void)error_set(&flight->error, ERROR_CANCELED, "the request was canceled");
	land_later(flight);
}

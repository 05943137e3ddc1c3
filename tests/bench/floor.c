/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that answering takes: libuv and llhttp, one fixed answer of the size of the agent's,
 * no check of anything. `floor SOCKET`
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include <llhttp.h>

enum { READ_MAX = 65536 };

struct peer {
	uv_pipe_t pipe;
	llhttp_t parser;
};

static char answer[] =
	"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 32\r\n"
	"ETag: \"1\"\r\nCache-Control: no-store\r\n\r\n0123456789abcdef0123456789abcdef";
static char buffer[READ_MAX];
static llhttp_settings_t settings;

static void peer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int answer_request(llhttp_t *parser)
{
	struct peer *peer = parser->data;
	uv_buf_t bytes = uv_buf_init(answer, sizeof(answer) - 1);

	return uv_try_write((uv_stream_t *)&peer->pipe, &bytes, 1) < 0 ? HPE_USER : HPE_OK;
}

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes)
{
	(void)handle;
	(void)suggested;
	*bytes = uv_buf_init(buffer, sizeof(buffer));
}

static void peer_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct peer *peer = stream->data;

	if (n < 0 || llhttp_execute(&peer->parser, bytes->base, (size_t)n) != HPE_OK)
		uv_close((uv_handle_t *)stream, peer_closed);
}

static void peer_came(uv_stream_t *server, int status)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (status < 0 || peer == NULL || uv_pipe_init(server->loop, &peer->pipe, 0) < 0 ||
	    uv_accept(server, (uv_stream_t *)&peer->pipe) < 0)
		errx(1, "accept");
	llhttp_init(&peer->parser, HTTP_REQUEST, &settings);
	peer->parser.data = peer;
	peer->pipe.data = peer;
	if (uv_read_start((uv_stream_t *)&peer->pipe, lend, peer_read) < 0)
		errx(1, "read");
}

int main(int argc, char **argv)
{
	uv_pipe_t server;

	if (argc != 2)
		errx(64, "usage: floor SOCKET");
	llhttp_settings_init(&settings);
	settings.on_message_complete = answer_request;
	if (uv_pipe_init(uv_default_loop(), &server, 0) < 0 || uv_pipe_bind(&server, argv[1]) < 0 ||
	    uv_listen((uv_stream_t *)&server, 1024, peer_came) < 0)
		errx(1, "listen on %s", argv[1]);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

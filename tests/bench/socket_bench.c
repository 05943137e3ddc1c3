/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cached read over the socket costs: CPU of the serving process per read at 1 and at 64
 * connections, the slowest of a hundred, and the memory of idle connections. `socket_bench [READS
 * [IDLE]]` prints one JSON line.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/wipe.h"
#include "agent/sink/socket.h"

enum { CONNECTIONS = 64, SECRETS = 50, REPLY = 512 };

static const char request[] =
	"GET /v1/secrets/secret-25/password HTTP/1.1\r\nHost: localhost\r\n\r\n";
static char path[] = "/tmp/agent-bench-XXXXXX.sock";

static double seconds(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool is_ready(void *context)
{
	(void)context;
	return true;
}

static void fail(const char *what)
{
	(void)fprintf(stderr, "socket_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void serve(int ready, uint64_t limit)
{
	static struct secret_spec specs[SECRETS];
	static char names[SECRETS][16];
	struct config config = { 0 };
	struct config_socket socket = { .path = path,
					.mode = 0600,
					.max_connections = limit,
					.max_connections_per_uid = limit };
	struct socket_views views = { .ready = is_ready };
	struct error err = ERROR_INIT;
	struct store store;
	struct loop *loop;

	for (size_t i = 0; i < SECRETS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "secret-%zu", i);
		specs[i].name = names[i];
	}
	if (wipe_install() < 0 || store_init(&store, specs, SECRETS, &err) < 0)
		fail("start");
	for (size_t i = 0; i < SECRETS; i++) {
		struct secret_version *version = secret_version_new(&err);

		if (version == NULL ||
		    secret_version_add_bytes(version, "username", FIELD_STRING, "web", 3, &err) <
			    0 ||
		    secret_version_add_bytes(version, "password", FIELD_STRING,
					     "correct horse battery staple", 28, &err) < 0)
			fail("secret");
		secret_version_identify(version);
		store.entries[i].version = version;
		store.entries[i].state = STATE_FRESH;
	}
	loop = loop_new(&err);
	if (loop == NULL || socket_sink_new(loop, clock_system(), &config, &socket, &store, &views,
					    NULL, &err) == NULL)
		fail(err.text);
	if (write(ready, "", 1) != 1)
		fail("ready");
	loop_run(loop);
}

static int client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("connect");
	return fd;
}

static double server_cpu(pid_t server)
{
	clockid_t clock;

	return clock_getcpuclockid(server, &clock) == 0 ? seconds(clock) : 0;
}

static long memory_kib(pid_t server, const char *key)
{
	char name[64], line[128];
	long kib = 0;
	FILE *file;

	(void)snprintf(name, sizeof(name), "/proc/%d/status", (int)server);
	file = fopen(name, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtol(line + strlen(key), NULL, 10);
	if (file != NULL)
		(void)fclose(file);
	return kib;
}

static int compare(const void *one, const void *other)
{
	double difference = *(const double *)one - *(const double *)other;

	return difference < 0 ? -1 : difference > 0;
}

/* Every connection has one request under way at all times. */
static void measure(pid_t server, size_t connections, size_t reads, const char *end)
{
	struct pollfd fds[CONNECTIONS];
	double sent[CONNECTIONS], cpu, wall, *took = calloc(reads, sizeof(*took));
	char reply[REPLY];
	size_t asked = 0, answered = 0;

	for (size_t i = 0; i < connections; i++)
		fds[i] = (struct pollfd){ .fd = client(), .events = POLLIN };
	cpu = server_cpu(server);
	wall = seconds(CLOCK_MONOTONIC);
	for (; asked < connections; asked++) {
		sent[asked] = seconds(CLOCK_MONOTONIC);
		(void)send(fds[asked].fd, request, sizeof(request) - 1, 0);
	}
	while (answered < reads) {
		if (poll(fds, connections, 10000) <= 0)
			fail("no answer");
		for (size_t i = 0; i < connections && answered < reads; i++) {
			if (fds[i].revents == 0)
				continue;
			if (recv(fds[i].fd, reply, sizeof(reply), 0) < 100)
				fail("short answer");
			took[answered++] = seconds(CLOCK_MONOTONIC) - sent[i];
			sent[i] = seconds(CLOCK_MONOTONIC);
			(void)send(fds[i].fd, request, sizeof(request) - 1, 0);
		}
	}
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = server_cpu(server) - cpu;
	qsort(took, reads, sizeof(*took), compare);
	(void)printf("\"reads_%zu\":{\"cpu_us\":%.2f,\"per_second\":%.0f,\"p99_ms\":%.3f}%s",
		     connections, cpu / (double)reads * 1e6, (double)reads / wall,
		     took[reads * 99 / 100] * 1e3, end);
	for (size_t i = 0; i < connections; i++)
		(void)close(fds[i].fd);
	free(took);
}

int main(int argc, char **argv)
{
	size_t reads = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
	size_t idle = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
	struct rlimit files = { idle + 256, idle + 256 };
	int ready[2], made = mkstemps(path, 5);
	long before;
	pid_t server;
	char byte;

	(void)close(made);
	(void)unlink(path);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || pipe(ready) < 0)
		fail("limits");
	server = fork();
	if (server == 0)
		serve(ready[1], idle + CONNECTIONS + 1);
	if (server < 0 || read(ready[0], &byte, 1) != 1)
		fail("server");
	(void)printf("{");
	measure(server, 1, reads / 10, ",");
	measure(server, CONNECTIONS, reads, ",");
	before = memory_kib(server, "VmRSS:");
	for (size_t i = 0; i < idle; i++)
		(void)client();
	measure(server, 1, 1000, ",");
	(void)printf("\"idle\":{\"connections\":%zu,\"rss_kib\":%ld,\"grown_kib\":%ld}}\n", idle,
		     memory_kib(server, "VmRSS:"), memory_kib(server, "VmRSS:") - before);
	(void)kill(server, SIGTERM);
	(void)waitpid(server, NULL, 0);
	(void)unlink(path);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file whole: its YAML, then section after section. Problems of every section are told, in the
 * file's order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/config/problems.h"
#include "agent/config/sections.h"
#include "agent/config/tables.h"

enum { FILE_MAX = 4 << 20, PORT_MAX = 65535 };

static const char *const sections[] = { "backends", "secrets", "sinks", "env", "audit", NULL };

/* A literal address: a name would be looked up once and mean something else later. */
static bool listen_is_valid(const char *listen)
{
	const char *colon = strrchr(listen, ':');
	char host[INET6_ADDRSTRLEN + 2];
	struct in6_addr six;
	struct in_addr four;
	struct error err;
	uint64_t port;
	size_t len;

	if (colon == NULL || text_read_unsigned(colon + 1, PORT_MAX, &port, &err) < 0 || port == 0)
		return false;
	len = (size_t)(colon - listen);
	if (len == 0 || len >= sizeof(host))
		return false;
	memcpy(host, listen, len);
	host[len] = '\0';
	if (strcmp(host, "localhost") == 0)
		return true;
	if (host[0] != '[')
		return inet_pton(AF_INET, host, &four) == 1;
	if (host[len - 1] != ']')
		return false;
	host[len - 1] = '\0';
	return inet_pton(AF_INET6, host + 1, &six) == 1;
}

static void read_metrics(struct reader *reader, const struct global_options *options)
{
	const struct yaml_node *node = yaml_get(yaml_get(reader->root, "metrics"), "listen");

	if (options->metrics.listen == NULL)
		return;
	if (!listen_is_valid(options->metrics.listen))
		reader_problem(
			reader, node->mark,
			"metrics.listen: '%.80s' is no literal address with a port: write it as "
			"127.0.0.1:9102, or [::]:9102 for whoever reaches the pod",
			options->metrics.listen);
	reader->config->metrics_listen = reader_copy(reader, options->metrics.listen);
}

static void read_global(struct reader *reader)
{
	struct global_options options = { 0 };
	const struct reader_part part = { global_table, &options };

	(void)reader_map(reader, reader->root, "", &part, 1, sections);
	config_apply_global(reader->config, &options);
	reader->config->hand_over = STEAL(options.hand_over);
	read_metrics(reader, &options);
	option_free(global_table, &options);
}

/* `audit: stderr`, or a map with `file`. */
static void read_audit(struct reader *reader)
{
	const struct yaml_node *node = yaml_get(reader->root, "audit");
	struct audit_options options = { 0 };
	const struct reader_part part = { audit_table, &options };

	if (node == NULL)
		return;
	if (node->type == YAML_IS_SCALAR && strcmp(node->text, "stderr") == 0)
		options.file = reader_copy(reader, node->text);
	else if (node->type == YAML_IS_SCALAR && node->text_len > 0)
		reader_problem(reader, node->mark, "audit must be a map with 'file', or stderr");
	else
		(void)reader_map(reader, node, "audit", &part, 1, NULL);
	if (options.file != NULL && strcmp(options.file, "stderr") != 0)
		options.file = reader_resolve(reader, options.file);
	reader->config->audit_file = STEAL(options.file);
}

/* "" for a name without a folder. */
static char *directory_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		return strdup("");
	return strndup(file, slash == file ? 1 : (size_t)(slash - file));
}

static void read_root(struct reader *reader)
{
	if (reader_expect(reader, reader->root, YAML_IS_MAP, "the file") == NULL && reader->failed)
		return;
	read_global(reader);
	read_backends(reader);
	read_secrets(reader);
	read_sinks(reader);
	read_variables(reader);
	read_audit(reader);
}

struct config *config_parse(const char *bytes, size_t len, const char *file,
			    config_backend_types types, struct config_problems *problems)
{
	AUTO(yaml_doc_freep) struct yaml_doc *doc = NULL;
	AUTO(freep) char *directory = directory_of(file);
	struct reader reader = {
		.file = file, .directory = directory, .types = types, .problems = problems
	};
	struct yaml_mark where = { 0 };
	struct error err;

	reader.config = calloc(1, sizeof(*reader.config));
	if (reader.config == NULL || directory == NULL) {
		(void)error_no_memory(&err);
		reader_problem(&reader, where, "%s", err.text);
		return config_free(reader.config);
	}
	doc = reader_document(&reader, bytes, len);
	if (doc == NULL)
		return config_free(reader.config);
	reader.config->file = reader_copy(&reader, file);
	read_root(&reader);
	config_problems_sort(problems);
	return reader.failed ? config_free(reader.config) : reader.config;
}

int reader_file(const char *file, struct buf *out, struct error *err)
{
	AUTO(closep) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t got = 1;
	char *room;

	if (fd < 0)
		return error_errno(err, errno, "cannot open it");
	while (got > 0) {
		room = buf_reserve(out, BUFSIZ);
		if (room == NULL)
			return buf_check(out, "the configuration", err);
		got = read(fd, room, BUFSIZ);
		if (got < 0)
			return error_errno(err, errno, "cannot read it");
		buf_commit(out, (size_t)got);
	}
	return 0;
}

struct config *config_read(const char *file, config_backend_types types,
			   struct config_problems *problems)
{
	AUTO(buf_deinit) struct buf content = BUF_INIT(FILE_MAX);
	struct error err;

	if (reader_file(file, &content, &err) < 0) {
		config_problems_add(problems, file, 0, 0, strdup(err.text));
		return NULL;
	}
	return config_parse(buf_string(&content), content.len, file, types, problems);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fetch needs the document read and decrypted: that is learned once for all who ask together, so
 * that a hundred secrets of one file cost one reading and come from one moment. It then turns what
 * its path names into fields. The document is let go of with the last fetch; what stays is the key
 * of the environment, which lies in the arena.
 */
#include "backends/sops.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/wipe.h"
#include "backends/sops_document.h"
#include "backends/sops_scalar.h"

enum { KEY_FILE_MAX = 256 << 10, PATH_MAX_BYTES = 4096 };

#define STANDARD_KEYS "sops/age/keys.txt"

static const struct option options[] = {
	{ .name = "file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct sops_options, file),
	  .help = "The encrypted document: YAML, .json or .env.",
	  .required = true },
	{ .name = "age_key_file",
	  .type = OPTION_PATH,
	  .offset = offsetof(struct sops_options, age_key_file),
	  .help = "The file with the age keys; by default $SOPS_AGE_KEY, $SOPS_AGE_KEY_FILE or "
		  "~/.config/sops/age/keys.txt." },
	{ 0 },
};

struct backend {
	const struct sops_options *options;
	char *key_file;	    /* NULL: `key` */
	struct secret *key; /* the text of SOPS_AGE_KEY */

	struct sops_document *document; /* decrypted; NULL when nobody fetches */
	struct stamp received;		/* the document */
	uint64_t readings;		/* that succeeded so far */
	unsigned fetches;		/* under way */
};

struct fetch {
	struct exchange exchange;
	struct backend *backend;
	char *path;    /* NULL: the whole document */
	uint64_t seen; /* readings before it began: a later one is good for it */
};

/* Learns the document. */
struct reading {
	struct exchange exchange;
	struct backend *backend;
	struct age_identities keys;
	enum { ASK_KEYS, READ_KEYS, READ_DOCUMENT } state;
};

/* --- opening --- */

static char *copy_secret(struct secret *secret)
{
	return strndup((const char *)secret_bytes(secret), secret_len(secret));
}

static char *in_folder(const char *folder, const char *between)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s%s", folder, between, STANDARD_KEYS) < 0)
		return NULL;
	return path;
}

static struct secret *look_up(const struct backend_config *config, const char *name)
{
	return config->lookup != NULL ? config->lookup(config->environment, name) : NULL;
}

/* The key file that is meant when nothing else says so. */
static char *standard_key_file(void)
{
	const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (folder != NULL && folder[0] == '/')
		return in_folder(folder, "");
	return in_folder(home != NULL ? home : "/root", ".config/");
}

static int choose_key(struct backend *backend, const struct backend_config *config,
		      struct error *err)
{
	AUTO(secret_unrefp) struct secret *file = NULL;

	backend->key = look_up(config, "SOPS_AGE_KEY");
	if (backend->key != NULL && secret_len(backend->key) > 0)
		return 0;
	backend->key = secret_unref(backend->key);
	file = look_up(config, "SOPS_AGE_KEY_FILE");
	if (file != NULL && secret_len(file) > 0)
		backend->key_file = copy_secret(file);
	else if (backend->options->age_key_file != NULL)
		backend->key_file = strdup(backend->options->age_key_file);
	else
		backend->key_file = standard_key_file();
	return backend->key_file != NULL ? 0 : error_no_memory(err);
}

static struct sops_document *document_free(struct sops_document *document)
{
	if (document != NULL)
		sops_document_free(document);
	wipe_free(document);
	return NULL;
}

static void sops_close(struct backend *backend)
{
	if (backend == NULL)
		return;
	backend->document = document_free(backend->document);
	free(backend->key_file);
	(void)secret_unref(backend->key);
	free(backend);
}

static struct backend *sops_open(const struct backend_config *config, struct error *err)
{
	struct backend *backend = calloc(1, sizeof(*backend));

	if (backend == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	backend->options = config->options;
	if (choose_key(backend, config, err) < 0) {
		sops_close(backend);
		return NULL;
	}
	return backend;
}

static const char *sops_watched_file(const struct backend *backend)
{
	return backend->options->file;
}

/* The key file, unless an option names it, which the sandbox sees by itself. */
static const char *sops_reads(const struct backend *backend, size_t i)
{
	const char *named = backend->options->age_key_file;

	if (i > 0 || backend->key_file == NULL ||
	    (named != NULL && strcmp(named, backend->key_file) == 0))
		return NULL;
	return backend->key_file;
}

/* --- reading the document --- */

static enum exchange_next ask_file(struct reading *reading, const char *path, size_t max,
				   bool secret)
{
	struct request *request = &reading->exchange.request;

	request_reset(request);
	request->kind = REQUEST_FILE;
	request->reply_max = max;
	request->file_secret = secret;
	buf_puts(&request->path, path);
	return EXCHANGE_SEND;
}

static enum exchange_next ask_keys(struct reading *reading)
{
	reading->state = READ_KEYS;
	(void)ask_file(reading, reading->backend->key_file, KEY_FILE_MAX, true);
	reading->exchange.request.file_remedy = SOPS_KEY_REMEDY;
	return EXCHANGE_SEND;
}

static enum exchange_next ask_document(struct reading *reading)
{
	reading->state = READ_DOCUMENT;
	return ask_file(reading, reading->backend->options->file, SOPS_DOCUMENT_MAX, false);
}

/* The document in hand stays where the new one cannot be opened. */
static int read_document(struct reading *reading, const struct reply *reply, struct error *err)
{
	struct backend *backend = reading->backend;
	const char *file = backend->options->file;
	struct sops_document *document = wipe_calloc(1, sizeof(*document));

	if (document == NULL)
		return error_no_memory(err);
	if (sops_document_open(document, sops_format_of(file), reply->body, reply->len, file,
			       &reading->keys, err) < 0) {
		document = document_free(document);
		return -1;
	}
	(void)document_free(backend->document);
	backend->document = document;
	backend->received = reply->received;
	backend->readings++;
	if (backend->fetches == 0)
		backend->document = document_free(backend->document);
	return 0;
}

static enum exchange_next reading_step(struct exchange *x, const struct reply *reply,
				       struct error *err)
{
	struct reading *reading = CONTAINER_OF(x, struct reading, exchange);
	const struct secret *key = reading->backend->key;
	int status;

	switch (reading->state) {
	case ASK_KEYS:
		if (key == NULL)
			return ask_keys(reading);
		status = age_identities_read(&reading->keys, (const char *)secret_bytes(key),
					     secret_len(key), "$SOPS_AGE_KEY", err);
		return status < 0 ? EXCHANGE_FAILED : ask_document(reading);
	case READ_KEYS:
		status = age_identities_read(&reading->keys, reply->body, reply->len,
					     reading->backend->key_file, err);
		return status < 0 ? EXCHANGE_FAILED : ask_document(reading);
	case READ_DOCUMENT:
	default:
		return read_document(reading, reply, err) < 0 ? EXCHANGE_FAILED : EXCHANGE_DONE;
	}
}

static void reading_free(struct exchange *x)
{
	struct reading *reading = CONTAINER_OF(x, struct reading, exchange);

	age_identities_free(&reading->keys);
	free(reading);
}

static const struct exchange_ops reading_ops = { .step = reading_step, .free = reading_free };

/* There is one fact: the document. */
static struct exchange *sops_need(struct backend *backend, const struct secret_version *session,
				  const char *key, struct error *err)
{
	struct reading *reading = calloc(1, sizeof(*reading));

	(void)session;
	(void)key;
	if (reading == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	reading->exchange = (struct exchange){ .ops = &reading_ops, .request = REQUEST_INIT };
	reading->backend = backend;
	return &reading->exchange;
}

/* --- fetching --- */

static int add_fields(struct secret_version *version, const struct sops_node *node,
		      struct buf *name, struct error *err);

static int add_field(struct secret_version *version, const struct sops_node *node, const char *name,
		     struct error *err)
{
	AUTO(buf_deinit) struct buf json = BUF_INIT(2 * SOPS_DOCUMENT_MAX);

	if (node->kind == SOPS_STRING || node->kind == SOPS_TIME)
		return secret_version_add_bytes(version, name, FIELD_STRING, node->text, node->len,
						err);
	sops_write_json_scalar(&json, node);
	if (buf_string(&json)[0] == '"') /* not a finite number */
		return secret_version_add_bytes(version, name, FIELD_STRING, node->text, node->len,
						err);
	return secret_version_add_bytes(version, name, FIELD_JSON, json.data, json.len, err);
}

/* Each scalar below `node`, named by its way from there; an empty list or map is nothing. */
static int add_fields(struct secret_version *version, const struct sops_node *node,
		      struct buf *name, struct error *err)
{
	size_t index = 0, before = name->len;

	for (const struct sops_node *child = node->first; child != NULL; child = child->next) {
		int status;

		if (child->kind == SOPS_COMMENT ||
		    (node->parent == NULL && child->key != NULL && strcmp(child->key, "sops") == 0))
			continue;
		if (before > 0)
			buf_putc(name, '.');
		if (child->key != NULL)
			buf_puts(name, child->key);
		else
			buf_printf(name, "%zu", index++);
		if (buf_check(name, "a field's name", err) < 0)
			return -1;
		status = sops_is_scalar(child) ? add_field(version, child, buf_string(name), err)
					       : add_fields(version, child, name, err);
		if (status < 0)
			return -1;
		buf_truncate(name, before);
	}
	return 0;
}

static const char *last_component(const struct sops_node *node, const char *path)
{
	const char *dot = strrchr(path, path[0] == '/' ? '/' : '.');

	return node->key != NULL ? node->key : dot != NULL ? dot + 1 : path;
}

static int read_fields(struct fetch *fetch, struct error *err)
{
	const struct backend *backend = fetch->backend;
	AUTO(secret_version_unrefp) struct secret_version *version = NULL;
	AUTO(buf_deinit) struct buf name = BUF_INIT(PATH_MAX_BYTES);
	const struct sops_node *node = sops_document_find(backend->document, fetch->path, err);
	int status;

	version = node != NULL ? secret_version_new(err) : NULL;
	if (version == NULL)
		return -1;
	version->fetched = backend->received;
	status = sops_is_scalar(node)
			 ? add_field(version, node, last_component(node, fetch->path), err)
			 : add_fields(version, node, &name, err);
	if (status < 0)
		return error_wrap(err, "%s", backend->options->file);
	secret_version_identify(version);
	fetch->exchange.result = STEAL(version);
	return 0;
}

static enum exchange_next fetch_step(struct exchange *x, const struct reply *reply,
				     struct error *err)
{
	struct fetch *fetch = CONTAINER_OF(x, struct fetch, exchange);

	(void)reply;
	if (fetch->backend->readings == fetch->seen) {
		(void)snprintf(x->need, sizeof(x->need), "document");
		return EXCHANGE_NEED;
	}
	return read_fields(fetch, err) < 0 ? EXCHANGE_FAILED : EXCHANGE_DONE;
}

static void fetch_free(struct exchange *x)
{
	struct fetch *fetch = CONTAINER_OF(x, struct fetch, exchange);
	struct backend *backend = fetch->backend;

	if (--backend->fetches == 0)
		backend->document = document_free(backend->document);
	free(fetch->path);
	free(fetch);
}

static const struct exchange_ops fetch_ops = { .step = fetch_step, .free = fetch_free };

static struct exchange *sops_fetch(struct backend *backend, const struct secret_version *session,
				   const struct secret_spec *spec, struct error *err)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));

	(void)session;
	if (fetch == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	fetch->exchange = (struct exchange){ .ops = &fetch_ops, .request = REQUEST_INIT };
	fetch->backend = backend;
	fetch->seen = backend->readings;
	backend->fetches++;
	if (spec->path != NULL && (fetch->path = strdup(spec->path)) == NULL) {
		(void)error_no_memory(err);
		(void)exchange_free(&fetch->exchange);
		return NULL;
	}
	return &fetch->exchange;
}

const struct backend_ops sops_backend = {
	.type = "sops",
	.options = options,
	.options_size = sizeof(struct sops_options),
	.open = sops_open,
	.close = sops_close,
	.watched_file = sops_watched_file,
	.reads = sops_reads,
	.fetch = sops_fetch,
	.need = sops_need,
};

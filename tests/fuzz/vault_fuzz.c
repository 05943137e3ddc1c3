/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps one conversation with Vault through arbitrary replies. The first byte chooses the
 * conversation, then each reply is one byte for the status, two for the length, and the body.
 * Whatever comes, the conversation ends; a failure has a code and a text, and a result is within
 * the limits.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/vault.h"
#include "backends/vault_common.h"

enum { STEPS_MAX = 4096 };

static const int statuses[] = { 200, 204, 307, 400, 403, 404, 405, 412,
				429, 472, 473, 500, 501, 503, 0,   999 };

struct input {
	const uint8_t *bytes;
	size_t len;
};

static unsigned take(struct input *input)
{
	if (input->len == 0)
		return 0;
	input->len--;
	return *input->bytes++;
}

static struct secret *lookup(void *environment, const char *name)
{
	struct error err;

	(void)environment;
	return strcmp(name, "BAO_TOKEN") == 0 ? secret_new("s.token", 7, &err) : NULL;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_result(const struct exchange *x)
{
	if (x->result == NULL)
		return;
	must(x->result->lease.duration_ms >= 0);
	must(x->result->lease.duration_ms / 1000 <= VAULT_LEASE_MAX_S ||
	     x->result->lease.kind == LEASE_CERTIFICATE);
	for (size_t i = 0; i < x->result->count; i++)
		must(secret_len(x->result->fields[i].value) <= SECRET_MAX);
}

static enum exchange_next feed(struct exchange *x, struct input *input, struct error *err)
{
	struct reply reply = {
		.kind = x->request.kind,
		.status = statuses[take(input) % ARRAY_SIZE(statuses)],
		.retry_after_ms = -1,
		.sent = { .boot_ms = 1000000, .real_ms = 1800000000000 },
		.received = { .boot_ms = 1000010, .real_ms = 1800000000010 },
	};
	size_t len = take(input) << 8;

	len |= take(input);
	if (len > input->len)
		len = input->len;
	if (x->request.kind == REQUEST_FILE)
		reply.status = 200;
	reply.body = (const char *)input->bytes;
	reply.len = len;
	input->bytes += len;
	input->len -= len;
	return x->ops->step(x, &reply, err);
}

static void run(struct backend *backend, const struct secret_version *session, struct exchange *x,
		struct input *input)
{
	struct error err = ERROR_INIT;
	enum exchange_next next = EXCHANGE_FAILED;

	if (x == NULL)
		return;
	next = x->ops->step(x, NULL, &err);
	for (size_t i = 0; next == EXCHANGE_SEND || next == EXCHANGE_NEED; i++) {
		must(i < STEPS_MAX);
		if (next == EXCHANGE_NEED) {
			run(backend, session, vault_backend.need(backend, session, x->need, &err),
			    input);
			if (input->len == 0)
				break;
			next = x->ops->step(x, NULL, &err);
		} else {
			next = feed(x, input, &err);
		}
	}
	if (next == EXCHANGE_FAILED)
		must(err.code != ERROR_NONE && err.text[0] != '\0' && x->result == NULL);
	check_result(x);
	(void)exchange_free(x);
}

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static struct exchange *choose(struct backend *backend, struct secret_version *session,
			       unsigned choice, struct error *err)
{
	const struct secret_spec read = { .path = text("team/kv/db") };
	const struct secret_spec literal = { .path = text("team/kv/data/db?version=2"),
					     .verbatim = VERBATIM_YES };
	const struct secret_spec write = { .path = text("pki/issue/web"), .write = text("{}") };

	switch (choice) {
	case 0:
		return vault_backend.fetch(backend, session, &read, err);
	case 1:
		return vault_backend.fetch(backend, session, &write, err);
	case 2:
		return vault_backend.capabilities(backend, session, &read, err);
	case 3:
		return vault_backend.renew(backend, session, session, err);
	case 4:
		return vault_backend.probe(backend, session, err);
	case 5:
		return vault_backend.revoke(backend, session, err);
	case 6:
		return vault_backend.fetch(backend, session, &literal, err);
	default:
		return vault_backend.login(backend, err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static char address[] = "https://vault:8200";
	char *addresses[] = { address };
	struct input input = { .bytes = bytes, .len = len };
	unsigned choice = take(&input);
	struct vault_options options = {
		.address = { .items = addresses, .count = 1 },
		.auth = { .method = VAULT_TOKEN },
	};
	struct backend_config config = { .name = "fuzz", .options = &options, .lookup = lookup };
	struct error err = ERROR_INIT;
	AUTO(secret_version_unrefp) struct secret_version *session = secret_version_new(&err);
	struct backend *backend;

	if (choice & 0x10)
		options.auth = (struct vault_auth){ .method = VAULT_JWT, .token_file = text("/t") };
	else if (choice & 0x20)
		options.auth = (struct vault_auth){ .method = VAULT_APPROLE,
						    .role_id_file = text("/r"),
						    .secret_id_file = text("/s"),
						    .secret_id_wrapped = (choice & 0x40) != 0 };
	must(session != NULL &&
	     secret_version_add_bytes(session, SESSION_TOKEN, FIELD_STRING, "s.x", 3, &err) == 0);
	backend = vault_backend.open(&config, &err);
	must(backend != NULL);
	run(backend, session, choose(backend, session, choice & 7, &err), &input);
	/* Once more with what the first conversation taught. */
	run(backend, session, choose(backend, session, choice & 7, &err), &input);
	vault_backend.close(backend);
	return 0;
}

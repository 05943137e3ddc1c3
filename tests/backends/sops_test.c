/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "backends/sops.h"

#define KEY "AGE-SECRET-KEY-1JMU2253A962UTRAQ3E0YLRP6MGEAW2K72TR9M5499L9XJNUAFRQSQ4MY3S"
/* Made by sops 3.11.0. */
static const char document[] =
	"#ENC[AES256_GCM,data:74Vf+Q==,iv:hUbr6HcujH9qjcQufGaYu8nuOJEuQrgKo7Cp5g7YnrU=,tag:xh/"
	"K+n+oaJI/IyBvMWDyvQ==,type:comment]\n"
	"app:\n"
	"    db: "
	"ENC[AES256_GCM,data:X5eq7nE=,iv:Nm+Gy7nB8pDWira3QDzdgP3eDk+VBXrSsTtaIC2ct7U=,tag:"
	"EAdS1jJG0OBqFykW2vMeWg==,type:str]\n"
	"    port: "
	"ENC[AES256_GCM,data:jQytvQ==,iv:KkWGJ2TvSVdnM6Z0WAbh4T7fwaATeueXWv0bGGOQ6Yo=,tag:"
	"paiK0F3sp1SAq74ORhwVEQ==,type:int]\n"
	"    ratio: "
	"ENC[AES256_GCM,data:FUYN,iv:4pGYJnwJqWS304ZBImYZ56K34g/Lri6PHFfDsOBwYf8=,tag:0RcljpK/"
	"lRHzl+fchH8mbQ==,type:float]\n"
	"    \"on\": "
	"ENC[AES256_GCM,data:wZw3Lg==,iv:LHJbP3BV2ywbT4np6zrxr3EcyOpcwpecLpBMcSLdhJU=,tag:"
	"bWxPMgUIjQRjdyeNSRB2zQ==,type:bool]\n"
	"    none: null\n"
	"    list:\n"
	"        - "
	"ENC[AES256_GCM,data:vA==,iv:rKPPTtngX5pGn1fO5QJztqmGptTCJQbNdMDDYpn2OHY=,tag:U0u+"
	"RYo6Iu6kjzy5ZpUKmA==,type:str]\n"
	"        - b: "
	"ENC[AES256_GCM,data:JQ==,iv:I5Ab1EL7P4qQaIWHt/"
	"0KxHQo+ZppNS014X3zFhFhOK8=,tag:aj0BxCutKFAgW4CRNiwVmg==,type:str]\n"
	"    plain_unencrypted: visible\n"
	"other: "
	"ENC[AES256_GCM,data:Ig==,iv:0QwdMUUFDJHLkE6FBj6SHRWV9CQHjYJgO3bdiDyr1HY=,tag:/"
	"RtqT9y7AOesoJnLlUzTQg==,type:str]\n"
	"sops:\n"
	"    age:\n"
	"        - recipient: age1dncxayftlm3l9uutaydh84uu24pl8nyhzhnjg576dy2sml2xrecqjwlppk\n"
	"          enc: |\n"
	"            -----BEGIN AGE ENCRYPTED FILE-----\n"
	"            YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBBZEIxL1crM3kzQ1p1Kzgz\n"
	"            cllzbW1GM0RYalpYd1lYL3VlRld0OXhia20wCi8rVHZoNHErVFh5bWs4QUFZK3VV\n"
	"            RFk0MTM3bjhxemZUQ2ZzYk9MMjJDdjgKLS0tIFBhM3RpWjJnMTJRZllKZTZSaXB0\n"
	"            Y2VFcHJMWEkrL2hUT2Y1RGJ6STR6YVUK/+Htk51w+W2DhAf3fyKKp3ylJbRE5B/B\n"
	"            A6TOtnVxg+pCvlUsya4H0ySuia84h+L8J4Eg5f5byJ8T7vszCk/qEA==\n"
	"            -----END AGE ENCRYPTED FILE-----\n"
	"    lastmodified: \"2026-11-24T15:46:13Z\"\n"
	"    mac: "
	"ENC[AES256_GCM,data:+qEhVU4eXiwazwwATNMbEsS26o9ZAnfBZ2I9XQURYIey34kOXD92fJmc828fu8K/"
	"7VzYYEcSlSDVyKEwxUCq8NaKfvfFTBxRH9cPHXGCUDs8srq1gH5yCINmxUIfTCj+"
	"szfx3YnYB7kad98simddOWGPD0ZuzrURdlQBdgacbTE=,iv:CpUvgI78DHXL0D9o/"
	"HimGG4IZzfQpN9yjfNfEoaApkY=,tag:B+eUtrs/9N29cHd8YcvqNA==,type:str]\n"
	"    unencrypted_suffix: _unencrypted\n"
	"    version: 3.11.0\n";

static struct secret *no_environment(void *environment, const char *name)
{
	(void)environment;
	(void)name;
	return NULL;
}

static struct secret *key_in_environment(void *environment, const char *name)
{
	struct error err;

	(void)environment;
	return strcmp(name, "SOPS_AGE_KEY") == 0 ? secret_new(KEY, strlen(KEY), &err) : NULL;
}

static char file_name[] = "secrets.enc.yaml", key_name[] = "/keys.txt";
static struct sops_options options = { .file = file_name, .age_key_file = key_name };

static unsigned documents_read;

/* Plays the conversation in which the backend learns the document. */
static enum exchange_next learn(struct backend *backend, const char *key, const char *text,
				struct error *err)
{
	struct exchange *x = sops_backend.need(backend, NULL, key, err);
	enum exchange_next next = x->ops->step(x, NULL, err);

	while (next == EXCHANGE_SEND) {
		bool keys = strcmp(buf_string(&x->request.path), key_name) == 0;
		const char *body = keys ? KEY "\n" : text;
		struct reply reply = {
			.kind = REQUEST_FILE, .status = 200, .body = body, .len = strlen(body)
		};

		cr_expect_eq(x->request.kind, REQUEST_FILE);
		cr_expect_eq(x->request.file_secret, keys);
		documents_read += !keys;
		next = x->ops->step(x, &reply, err);
	}
	(void)exchange_free(x);
	return next;
}

static struct exchange *begin(struct backend *backend, const char *path, struct error *err)
{
	struct secret_spec spec = { .path = path != NULL ? strdup(path) : NULL };
	struct exchange *x = sops_backend.fetch(backend, NULL, &spec, err);

	free(spec.path);
	return x;
}

/* Goes on until there is a version, or NULL with the error. */
static struct secret_version *end(struct backend *backend, struct exchange *x, const char *text,
				  struct error *err)
{
	enum exchange_next next = x->ops->step(x, NULL, err);
	struct secret_version *version = NULL;

	while (next == EXCHANGE_NEED)
		next = learn(backend, x->need, text, err) == EXCHANGE_DONE
			       ? x->ops->step(x, NULL, err)
			       : EXCHANGE_FAILED;
	if (next == EXCHANGE_DONE)
		version = STEAL(x->result);
	(void)exchange_free(x);
	return version;
}

static struct backend *open_backend(environment_lookup_fn *lookup, struct error *err)
{
	struct backend_config config = { .name = "local", .options = &options, .lookup = lookup };

	return sops_backend.open(&config, err);
}

static struct secret_version *fetch(environment_lookup_fn *lookup, const char *path,
				    const char *text, struct error *err)
{
	struct backend *backend = open_backend(lookup, err);
	struct secret_version *version = end(backend, begin(backend, path, err), text, err);

	sops_backend.close(backend);
	return version;
}

static void expect_field(const struct secret_version *version, const char *name,
			 enum field_type type, const char *value)
{
	const struct field *field = secret_version_field(version, name);

	cr_assert_not_null(field, "%s", name);
	cr_expect_eq(field->type, type, "%s", name);
	cr_expect_eq(secret_len(field->value), strlen(value), "%s", name);
	cr_expect_eq(memcmp(secret_bytes(field->value), value, strlen(value)), 0, "%s", name);
}

Test(sops, a_map_gives_its_scalars_as_fields_and_deeper_ones_by_their_way)
{
	struct error err = ERROR_INIT;
	AUTO(secret_version_unrefp)
	struct secret_version *version = fetch(no_environment, "app", document, &err);

	cr_assert_not_null(version, "%s", err.text);
	cr_expect_eq(version->count, 8);
	expect_field(version, "db", FIELD_STRING, "hello");
	expect_field(version, "port", FIELD_JSON, "5432");
	expect_field(version, "ratio", FIELD_JSON, "0.5");
	expect_field(version, "on", FIELD_JSON, "true");
	expect_field(version, "none", FIELD_JSON, "null");
	expect_field(version, "list.0", FIELD_STRING, "a");
	expect_field(version, "list.1.b", FIELD_STRING, "c");
	expect_field(version, "plain_unencrypted", FIELD_STRING, "visible");
}

/* `other` of the first is asked for while `app.db` is: both are of one reading, though the file has
 * changed since. */
Test(sops, what_is_asked_for_together_is_read_once_and_what_comes_later_anew)
{
	struct error err = ERROR_INIT;
	struct backend *backend = open_backend(no_environment, &err);
	struct exchange *first = begin(backend, "app.db", &err);
	struct exchange *second = begin(backend, "other", &err);
	struct secret_version *version;

	documents_read = 0;
	version = end(backend, first, document, &err);
	cr_assert_not_null(version, "%s", err.text);
	version = secret_version_unref(version);
	version = end(backend, second, "no longer a document", &err);
	cr_assert_not_null(version, "%s", err.text);
	expect_field(version, "other", FIELD_STRING, "x");
	version = secret_version_unref(version);
	cr_expect_eq(documents_read, 1);

	cr_expect_null(end(backend, begin(backend, "other", &err), "no longer a document", &err));
	cr_expect_eq(documents_read, 2);
	sops_backend.close(backend);
}

Test(sops, whoever_asks_after_the_reading_gets_one_of_its_own)
{
	struct error err = ERROR_INIT;
	struct backend *backend = open_backend(no_environment, &err);
	struct exchange *early = begin(backend, "app.db", &err), *late;
	struct secret_version *version;

	documents_read = 0;
	cr_expect_eq(early->ops->step(early, NULL, &err), EXCHANGE_NEED);
	cr_expect_eq(learn(backend, early->need, document, &err), EXCHANGE_DONE);
	late = begin(backend, "other", &err);
	cr_expect_eq(late->ops->step(late, NULL, &err), EXCHANGE_NEED);
	/* A file that is broken by now takes nothing from those who have theirs. */
	cr_expect_eq(learn(backend, late->need, "sops: broken", &err), EXCHANGE_FAILED);
	(void)exchange_free(late);
	version = end(backend, early, document, &err);
	cr_expect_not_null(version, "%s", err.text);
	version = secret_version_unref(version);
	cr_expect_eq(documents_read, 2);
	sops_backend.close(backend);
}

Test(sops, a_path_that_names_a_scalar_gives_one_field)
{
	static const char *const paths[] = { "app.list.1.b", "/app/list/1/b" };

	for (size_t i = 0; i < 2; i++) {
		struct error err = ERROR_INIT;
		AUTO(secret_version_unrefp)
		struct secret_version *version =
			fetch(key_in_environment, paths[i], document, &err);

		cr_assert_not_null(version, "%s", err.text);
		cr_expect_eq(version->count, 1);
		expect_field(version, "b", FIELD_STRING, "c");
	}
}

Test(sops, without_a_path_the_document_is_given_without_its_metadata)
{
	struct error err = ERROR_INIT;
	AUTO(secret_version_unrefp)
	struct secret_version *version = fetch(no_environment, NULL, document, &err);

	cr_assert_not_null(version, "%s", err.text);
	cr_expect_eq(version->count, 9);
	expect_field(version, "app.db", FIELD_STRING, "hello");
	expect_field(version, "other", FIELD_STRING, "x");
}

Test(sops, a_path_that_is_not_there_is_not_found_and_neither_are_the_metadata)
{
	static const char *const paths[] = { "nothing", "app.db.deeper", "app.list.2",
					     "sops",	"sops.mac",	 "/",
					     "." };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct error err = ERROR_INIT;

		cr_expect_null(fetch(no_environment, paths[i], document, &err), "%s", paths[i]);
		cr_expect_eq(err.code, ERROR_NOT_FOUND, "%s: %s", paths[i], err.text);
	}
}

/* The document with the first `from` changed into `to`. */
static void expect_refusal(const char *from, const char *to, enum error_code code, const char *says)
{
	AUTO(buf_deinit) struct buf text = BUF_INIT(64 << 10);
	const char *at = strstr(document, from);
	struct error err = ERROR_INIT;

	cr_assert_not_null(at, "%s", from);
	buf_put(&text, document, (size_t)(at - document));
	buf_puts(&text, to);
	buf_puts(&text, at + strlen(from));
	cr_expect_null(fetch(no_environment, "app", buf_string(&text), &err), "%s", to);
	cr_expect_eq(err.code, code, "%s: %s", from, err.text);
	cr_expect_not_null(strstr(err.text, file_name), "%s", err.text);
	cr_expect_not_null(strstr(err.text, says), "%s", err.text);
}

Test(sops, whatever_was_changed_is_refused_with_file_and_line)
{
	expect_refusal("visible", "changed", ERROR_BAD_DATA, "the MAC is wrong");
	expect_refusal("    plain_unencrypted: visible\n", "", ERROR_BAD_DATA, "the MAC is wrong");
	expect_refusal("type:bool]", "type:int]", ERROR_BAD_DATA, "line 6: the value of 'app.on'");
	expect_refusal("    db: ENC", "    other: ENC", ERROR_BAD_DATA,
		       "line 3: the value of 'app.other'");
	expect_refusal("    port: ENC", "    db: ENC", ERROR_BAD_DATA,
		       "line 4: the key 'db' is there twice");
	expect_refusal("db: ENC[AES256_GCM,data:", "db: ENC[AES256_GCM,data:AAAA", ERROR_BAD_DATA,
		       "");
	expect_refusal("\nother: ", "\nother: plain # ", ERROR_BAD_DATA, "not encrypted although");
	expect_refusal("sops:\n", "soaps:\n", ERROR_INVALID, "no sops metadata");
	expect_refusal("    age:\n", "    pgp:\n", ERROR_INVALID,
		       "pgp keys, which are not supported yet");
	expect_refusal("    age:\n", "    key_groups:\n    - a: b\n    age:\n", ERROR_INVALID,
		       "key groups");
}

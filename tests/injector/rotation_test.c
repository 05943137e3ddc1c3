/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replicas against an API server of two objects in memory. What API servers believe lags behind
 * what is stored, by up to the time of propagation: at every moment every leaf that is shown must
 * be believed.
 */
#include "injector/rotation.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/json_edit.h"
#include "agent/base/text.h"
#include "injector/patch.h"
#include "tests/certs/believe.h"

#define PROPAGATION 60000
#define LEAF_LIFE   ((int64_t)7 * 86400000)
#define CA_LIFE	    ((int64_t)365 * 86400000)
#define REPLICAS    3
#define BUNDLE_MAX  (1 << 20)

static const char *const names[] = { "injector.secrets.svc", NULL };
static const struct rotation_setup setup = {
	.namespace = "secrets",
	.secret = "injector-ca",
	.webhook = "injector",
	.names = names,
	.ca_life_ms = CA_LIFE,
	.leaf_life_ms = LEAF_LIFE,
	.propagation_ms = PROPAGATION,
	.check_ms = ROTATION_CHECK_MS,
};

static struct stamp now;
static uint64_t dice;

static struct stamp clock_says(const struct clock *clock)
{
	(void)clock;
	return now;
}

static uint64_t roll(const struct clock *clock)
{
	(void)clock;
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return dice >> 33;
}

static const struct clock test_clock = { .now = clock_says, .random = roll };

/* ---- the API server ---- */

static struct {
	struct buf secret_data; /* the member's value */
	struct buf webhooks;
	unsigned secret_version, webhook_version;
	unsigned refuse;   /* every request, with this status */
	struct buf loaded; /* the bundle that it believes */
	struct buf stored; /* the bundle of its first webhook */
	int64_t stored_since;
} api;

static void set(struct buf *buf, const char *text)
{
	buf_reset(buf);
	buf_puts(buf, text);
}

static void empty_secret(void)
{
	set(&api.secret_data, "{}");
	api.secret_version++;
}

static void write_object(struct buf *out, const char *name, unsigned version, const char *member,
			 const struct buf *value)
{
	buf_printf(out,
		   "{\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"%u\",\"labels\":{\"kept\":"
		   "\"yes\"}},\"%s\":%s}",
		   name, version, member, value->data);
}

/* What API servers would load, as soon as it is stored; the first webhook's. */
static void note_stored(const struct json_node *hooks)
{
	const struct json_node *first = hooks->first;
	const struct json_node *bundle = json_get(json_get(first, "clientConfig"), "caBundle");
	struct error err;

	buf_reset(&api.stored);
	if (bundle != NULL)
		cr_assert_eq(text_read_base64(&api.stored, bundle->text, bundle->text_len, &err),
			     0);
	api.stored_since = now.boot_ms;
	for (const struct json_node *hook = first; hook != NULL; hook = hook->next)
		cr_expect(json_equal(json_get(json_get(hook, "clientConfig"), "caBundle"), bundle),
			  "every webhook's bundle is the same");
}

static int put_secret(const struct buf *body)
{
	const struct json_limits limits = JSON_REPLY_LIMITS;
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	const struct json_node *root, *meta;
	char version[16];
	struct error err;

	doc = json_doc_read(body->data, body->len, &limits, &err);
	cr_assert_not_null(doc, "%s", err.text);
	root = json_doc_root(doc);
	meta = json_get(root, "metadata");
	cr_expect_str_eq(json_string(json_get(json_get(meta, "labels"), "kept")), "yes");
	(void)snprintf(version, sizeof(version), "%u", api.secret_version);
	if (strcmp(json_string(json_get(meta, "resourceVersion")), version) != 0)
		return 409;
	buf_reset(&api.secret_data);
	json_write(&api.secret_data, json_get(root, "data"));
	api.secret_version++;
	return 200;
}

static int patch_webhook(const struct buf *body)
{
	const struct json_limits limits = JSON_REPLY_LIMITS;
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(json_doc_freep) struct json_doc *doc = NULL, *patch = NULL;
	AUTO(buf_deinit) struct buf text = BUF_INIT(BUNDLE_MAX);
	const struct json_node *patched;
	struct error err;

	write_object(&text, "injector", api.webhook_version, "webhooks", &api.webhooks);
	doc = json_doc_read(text.data, text.len, &limits, &err);
	patch = json_doc_read(body->data, body->len, &limits, &err);
	cr_assert_not_null(patch, "%s", err.text);
	patched = patch_apply(&edit, json_doc_root(doc), json_doc_root(patch), &err);
	if (patched == NULL)
		return 422;
	buf_reset(&api.webhooks);
	json_write(&api.webhooks, json_get(patched, "webhooks"));
	api.webhook_version++;
	note_stored(json_get(patched, "webhooks"));
	return 200;
}

/* Answers a request as an API server does. */
static int perform(const struct request *request, struct buf *out)
{
	bool secret = strcmp(buf_string(&request->path),
			     "/api/v1/namespaces/secrets/secrets/injector-ca") == 0;
	int status = 200;

	if (api.refuse != 0)
		return (int)api.refuse;
	if (!secret)
		cr_expect_str_eq(buf_string(&request->path),
				 "/apis/admissionregistration.k8s.io/v1/"
				 "mutatingwebhookconfigurations/injector");
	if (strcmp(request->method, "PUT") == 0)
		status = put_secret(&request->body);
	else if (strcmp(request->method, "PATCH") == 0)
		status = patch_webhook(&request->body);
	if (secret)
		write_object(out, "injector-ca", api.secret_version, "data", &api.secret_data);
	else
		write_object(out, "injector", api.webhook_version, "webhooks", &api.webhooks);
	return status;
}

/* ---- replicas ---- */

struct replica {
	struct rotation *rotation;
	enum rotation_next next;
	struct buf shown;
};

static struct replica replicas[REPLICAS];

static void show(struct replica *replica)
{
	const struct buf *cert = &rotation_leaf(replica->rotation)->cert;

	buf_reset(&replica->shown);
	buf_put(&replica->shown, cert->data, cert->len);
}

static void replica_start(struct replica *replica)
{
	struct error err = ERROR_INIT;

	replica->rotation = rotation_new(&setup, &test_clock, &err);
	cr_assert_not_null(replica->rotation, "%s", err.text);
	replica->shown = BUF_INIT(AUTHORITY_PEM_MAX);
	show(replica);
	replica->next = rotation_step(replica->rotation, NULL, NULL);
}

static void replica_stop(struct replica *replica)
{
	replica->rotation = rotation_free(replica->rotation);
	buf_deinit(&replica->shown);
}

/* One step: an answer, a leaf shown, or, when it is time, a new round. */
static void replica_step(struct replica *replica)
{
	AUTO(buf_deinit) struct buf body = BUF_INIT(BUNDLE_MAX);
	struct reply reply = { 0 };

	switch (replica->next) {
	case ROTATION_SEND:
		reply.status = perform(rotation_request(replica->rotation), &body);
		reply.body = buf_string(&body);
		reply.len = body.len;
		replica->next = rotation_step(replica->rotation, &reply, NULL);
		break;
	case ROTATION_SHOW:
		show(replica);
		replica->next = rotation_step(replica->rotation, NULL, NULL);
		break;
	case ROTATION_REST:
		if (now.boot_ms >= rotation_wake_ms(replica->rotation))
			replica->next = rotation_step(replica->rotation, NULL, NULL);
		break;
	}
}

static void settle(struct replica *replica)
{
	for (int i = 0; i < 100 && (i == 0 || replica->next != ROTATION_REST); i++)
		replica_step(replica);
	cr_expect_eq(replica->next, ROTATION_REST);
}

static void pass(int64_t ms)
{
	now.boot_ms += ms;
	now.real_ms += ms;
}

static bool is_believed(const struct replica *replica, const struct buf *bundle)
{
	return bundle->len > 0 &&
	       verdict_on(bundle, &replica->shown, names[0], now.real_ms) == X509_V_OK;
}

static void begin(void)
{
	now = (struct stamp){ .boot_ms = 5000, .real_ms = 1700000000000 };
	dice = 7;
	api.secret_data = api.webhooks = api.loaded = api.stored = BUF_INIT(BUNDLE_MAX);
	set(&api.secret_data, "null");
	set(&api.webhooks,
	    "[{\"name\":\"a\",\"clientConfig\":{\"service\":{}}},"
	    "{\"name\":\"b\",\"clientConfig\":{\"caBundle\":\"\"}}]");
	api.secret_version = api.webhook_version = 10;
	api.refuse = 0;
}

static void end(void)
{
	buf_deinit(&api.secret_data);
	buf_deinit(&api.webhooks);
	buf_deinit(&api.loaded);
	buf_deinit(&api.stored);
}

TestSuite(rotation, .init = begin, .fini = end, .timeout = 120);

Test(rotation, the_first_replica_makes_an_authority_and_is_ready_at_once)
{
	struct replica *one = &replicas[0];

	replica_start(one);
	cr_expect_not_null(rotation_unready(one->rotation), "nobody believes it yet");
	settle(one);
	cr_expect_null(rotation_unready(one->rotation), "%s", rotation_unready(one->rotation));
	cr_expect(is_believed(one, &api.stored));
	cr_expect_eq(rotation_counts(one->rotation)->authorities, 1);
	cr_expect_eq(rotation_problem(one->rotation)->code, ERROR_NONE);
	replica_stop(one);
}

Test(rotation, a_second_replica_signs_with_the_same_authority)
{
	replica_start(&replicas[0]);
	settle(&replicas[0]);
	replica_start(&replicas[1]);
	settle(&replicas[1]);
	cr_expect_null(rotation_unready(replicas[1].rotation));
	cr_expect(is_believed(&replicas[1], &api.stored));
	cr_expect_eq(rotation_counts(replicas[1].rotation)->authorities, 0);
	cr_expect_eq(rotation_counts(replicas[1].rotation)->bundles, 0);
	replica_stop(&replicas[0]);
	replica_stop(&replicas[1]);
}

Test(rotation, a_replica_that_comes_late_need_not_wait)
{
	replica_start(&replicas[0]);
	settle(&replicas[0]);
	/* A second authority, known for long. */
	empty_secret();
	pass(2 * ROTATION_CHECK_MS);
	settle(&replicas[0]);
	pass(3 * PROPAGATION);
	settle(&replicas[0]);
	replica_start(&replicas[1]);
	settle(&replicas[1]);
	cr_expect_null(rotation_unready(replicas[1].rotation));
	cr_expect(is_believed(&replicas[1], &api.stored));
	replica_stop(&replicas[0]);
	replica_stop(&replicas[1]);
}

Test(rotation, a_new_authority_signs_only_after_its_time_of_propagation)
{
	struct replica *one = &replicas[0];
	struct buf old = BUF_INIT(BUNDLE_MAX);
	int64_t known;

	replica_start(one);
	settle(one);
	buf_put(&old, api.stored.data, api.stored.len);
	empty_secret();
	pass(2 * ROTATION_CHECK_MS);
	settle(one);
	known = now.boot_ms;
	cr_expect_eq(rotation_counts(one->rotation)->authorities, 2);
	for (; now.boot_ms < known + PROPAGATION - 1000; pass(1000)) {
		settle(one);
		cr_assert(is_believed(one, &old), "an API server may still have the old bundle");
		cr_assert(is_believed(one, &api.stored));
	}
	pass(1000);
	settle(one);
	cr_expect_not(is_believed(one, &old), "now the new authority signs");
	cr_expect(is_believed(one, &api.stored));
	replica_stop(one);
	buf_deinit(&old);
}

Test(rotation, leaves_are_renewed_at_about_half_of_their_life)
{
	struct replica *one = &replicas[0];
	int64_t began;
	uint64_t leaves;

	replica_start(one);
	settle(one);
	leaves = rotation_counts(one->rotation)->leaves;
	began = now.boot_ms;
	while (rotation_counts(one->rotation)->leaves == leaves) {
		pass(3600000);
		settle(one);
		cr_assert_lt(now.boot_ms - began, LEAF_LIFE);
	}
	cr_expect_geq(now.boot_ms - began, LEAF_LIFE * 2 / 5);
	cr_expect_leq(now.boot_ms - began, LEAF_LIFE * 3 / 5 + 3600000);
	cr_expect_eq(rotation_counts(one->rotation)->authorities, 1);
	replica_stop(one);
}

/* A machine that slept, or a container that was paused, notices on waking. */
Test(rotation, a_jump_of_the_clock_renews_what_has_become_old)
{
	struct replica *one = &replicas[0];

	replica_start(one);
	settle(one);
	now.real_ms += LEAF_LIFE - 1000;
	cr_expect_not_null(rotation_unready(one->rotation), "less than a tenth is left");
	now.boot_ms = rotation_wake_ms(one->rotation);
	settle(one);
	cr_expect_null(rotation_unready(one->rotation));
	cr_expect(is_believed(one, &api.stored));
	replica_stop(one);
}

Test(rotation, a_bundle_that_somebody_changed_is_mended)
{
	struct replica *one = &replicas[0];

	replica_start(one);
	settle(one);
	set(&api.webhooks,
	    "[{\"name\":\"a\",\"clientConfig\":{}},{\"name\":\"b\",\"clientConfig\":{}},"
	    "{\"name\":\"new\",\"clientConfig\":{}}]");
	api.webhook_version++;
	pass(2 * ROTATION_CHECK_MS);
	settle(one);
	cr_expect(is_believed(one, &api.stored));
	cr_expect_eq(rotation_counts(one->rotation)->bundles, 2);
	replica_stop(one);
}

Test(rotation, an_api_server_that_refuses_is_named_and_the_leaf_stays)
{
	static const struct {
		unsigned status;
		const char *text;
	} rows[] = { { 403, "role" }, { 404, "is it installed under this name" }, { 500, "500" } };
	struct replica *one = &replicas[0];

	replica_start(one);
	settle(one);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		api.refuse = rows[i].status;
		pass(2 * ROTATION_CHECK_MS);
		settle(one);
		cr_expect_not_null(strstr(rotation_problem(one->rotation)->text, rows[i].text),
				   "%s", rotation_problem(one->rotation)->text);
		cr_expect_null(rotation_unready(one->rotation));
		cr_expect(is_believed(one, &api.stored));
	}
	api.refuse = 0;
	pass(2 * ROTATION_CHECK_MS);
	settle(one);
	cr_expect_eq(rotation_problem(one->rotation)->code, ERROR_NONE);
	replica_stop(one);
}

/* While the API server is away the leaf is renewed all the same: its authority is in memory. */
Test(rotation, leaves_are_renewed_without_the_api_server)
{
	const struct error away = { .code = ERROR_UNAVAILABLE, .text = "no answer" };
	struct replica *one = &replicas[0];

	replica_start(one);
	settle(one);
	for (int i = 0; i < 40; i++) {
		pass(LEAF_LIFE / 10);
		one->next = rotation_step(one->rotation, NULL, NULL);
		while (one->next != ROTATION_REST) {
			if (one->next == ROTATION_SHOW)
				show(one);
			one->next = rotation_step(one->rotation, NULL,
						  one->next == ROTATION_SEND ? &away : NULL);
		}
		cr_assert(is_believed(one, &api.stored), "day %d", i);
	}
	cr_expect_gt(rotation_counts(one->rotation)->leaves, 6);
	replica_stop(one);
}

Test(rotation, a_secret_with_nonsense_is_replaced)
{
	struct replica *one = &replicas[0];

	set(&api.secret_data, "{\"ca.crt\":\"bm8gUEVN\",\"ca.key\":\"!\"}");
	replica_start(one);
	settle(one);
	cr_expect_null(rotation_unready(one->rotation));
	cr_expect(is_believed(one, &api.stored));
	replica_stop(one);
}

/* API servers load what is stored a random while later, at the latest when its propagation is over.
 */
static bool api_loads_perhaps(void)
{
	bool late = now.boot_ms - api.stored_since >= PROPAGATION;

	if ((!late && roll(NULL) % 20 != 0) ||
	    (api.loaded.len == api.stored.len &&
	     (api.stored.len == 0 ||
	      memcmp(api.loaded.data, api.stored.data, api.stored.len) == 0)))
		return false;
	buf_reset(&api.loaded);
	buf_put(&api.loaded, api.stored.data, api.stored.len);
	return true;
}

/* Every replica that says it is ready is believed by whoever has loaded, or will load, a bundle. */
static uint64_t everybody_is_believed(int rotation)
{
	uint64_t checks = 0;

	for (size_t i = 0; i < REPLICAS; i++) {
		if (rotation_unready(replicas[i].rotation) != NULL)
			continue;
		checks++;
		cr_assert(is_believed(&replicas[i], &api.loaded), "rotation %d, replica %zu",
			  rotation, i);
		cr_assert(is_believed(&replicas[i], &api.stored), "rotation %d, replica %zu",
			  rotation, i);
	}
	return checks;
}

/* Three replicas step in random order, each now and then paused; the Secret is emptied 50 times.
 */
Test(rotation, in_50_rotations_with_three_replicas_no_leaf_is_ever_unknown)
{
	uint64_t switches = 0, checks = 0;
	int paused[REPLICAS] = { 0 };

	for (size_t i = 0; i < REPLICAS; i++) {
		replica_start(&replicas[i]);
		settle(&replicas[i]);
	}
	pass(PROPAGATION);
	(void)api_loads_perhaps();
	for (int rotation = 0; rotation < 50; rotation++) {
		empty_secret();
		for (int turn = 0; turn < 150; turn++) {
			size_t who = roll(NULL) % REPLICAS;
			bool showing = replicas[who].next == ROTATION_SHOW;

			if (paused[who] > 0)
				paused[who]--;
			else
				replica_step(&replicas[who]);
			if (roll(NULL) % 250 == 0)
				paused[who] = 30;
			pass((int64_t)(roll(NULL) % 4000));
			if (api_loads_perhaps() || showing)
				checks += everybody_is_believed(rotation);
		}
	}
	for (size_t i = 0; i < REPLICAS; i++) {
		switches += rotation_counts(replicas[i].rotation)->switches;
		replica_stop(&replicas[i]);
	}
	cr_expect_gt(checks, 200);
	cr_expect_gt(switches, 100);
}

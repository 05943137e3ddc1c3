/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round: look at the webhook's configuration, then at the Secret; make an authority where there
 * is none or it is old; write the bundle that follows from the Secret into the configuration,
 * provided that this is still the one that was looked at (a replica that was paused in between
 * would put an old bundle back); decide what to show; rest.
 */
#include "injector/rotation.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/text.h"
#include "injector/authority_secret.h"

#define AUTHORITY_NAME "secrets-agent injector CA"
#define JSON	       "Content-Type: application/json\n"
#define JSON_PATCH     "Content-Type: application/json-patch+json\n"

enum {
	BUNDLE_MAX = 1 << 20,
	VERSION_MAX = 64,
	FIRST_RETRY_MS = 500,
	NOT_FOUND = 404,
	CONFLICT = 409,
	UNPROCESSABLE = 422, /* what a failed `test` of a patch is answered with */
};

enum state { LOOKING, READING, WRITING, PATCHING, DECIDING };

struct rotation {
	const struct rotation_setup *setup;
	const struct clock *clock;
	struct request request;
	enum state state;

	struct authority *current; /* the Secret's; NULL: not known yet */
	struct authority *old;	   /* what still signs while the current one is made known */
	bool provisional;	   /* `old` was never known to anybody */
	int64_t renew_ca_ms;	   /* real time */
	bool known;		   /* all bundles have `current` */
	int64_t known_since_ms;	   /* boot time */

	struct authority_leaf leaf;
	int64_t leaf_life_ms;
	int64_t renew_leaf_ms; /* real time */
	bool leaf_is_of_current;

	char secret_version[VERSION_MAX]; /* of what `current` was read from */
	struct json_doc *webhook;	  /* as looked at in this round */
	struct json_doc *secret;
	struct authority *made; /* being written */

	int64_t wake_ms;
	unsigned failures, conflicts;
	struct error problem;
	struct rotation_counts counts;
};

static int64_t real_ms(const struct rotation *rotation)
{
	return clock_now(rotation->clock).real_ms;
}

/* 40 to 60 % of it, another each time, so that replicas do not move together. */
static int64_t part_of(const struct rotation *rotation, int64_t life_ms)
{
	int64_t span = life_ms / 5;

	return 2 * span +
	       (span > 0 ? (int64_t)(rotation->clock->random(rotation->clock) % (uint64_t)span)
			 : 0);
}

/* ---- requests ---- */

static enum rotation_next send(struct rotation *rotation, enum state state, const char *method,
			       const char *headers)
{
	rotation->state = state;
	rotation->request.method = method;
	buf_puts(&rotation->request.headers, headers);
	return ROTATION_SEND;
}

static void address_webhook(struct rotation *rotation)
{
	request_reset(&rotation->request);
	buf_printf(&rotation->request.path,
		   "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/%s",
		   rotation->setup->webhook);
}

static void address_secret(struct rotation *rotation)
{
	request_reset(&rotation->request);
	buf_printf(&rotation->request.path, "/api/v1/namespaces/%s/secrets/%s",
		   rotation->setup->namespace, rotation->setup->secret);
}

static enum rotation_next look(struct rotation *rotation)
{
	rotation->webhook = json_doc_free(rotation->webhook);
	rotation->secret = json_doc_free(rotation->secret);
	address_webhook(rotation);
	return send(rotation, LOOKING, "GET", "");
}

/* ---- rest ---- */

static enum rotation_next rest(struct rotation *rotation)
{
	const struct rotation_setup *setup = rotation->setup;
	struct stamp now = clock_now(rotation->clock);
	int64_t wait = 2 * part_of(rotation, setup->check_ms);

	rotation->webhook = json_doc_free(rotation->webhook);
	rotation->secret = json_doc_free(rotation->secret);
	rotation->made = authority_free(rotation->made);
	rotation->state = LOOKING;
	rotation->conflicts = 0;
	if (rotation->failures > 0 && rotation->failures < 8)
		wait = deadline_earlier(wait, FIRST_RETRY_MS << rotation->failures);
	if (rotation->old != NULL && rotation->known &&
	    rotation->known_since_ms + setup->propagation_ms > now.boot_ms)
		wait = deadline_earlier(wait, rotation->known_since_ms + setup->propagation_ms -
						      now.boot_ms);
	if (rotation->renew_leaf_ms > now.real_ms)
		wait = deadline_earlier(wait, rotation->renew_leaf_ms - now.real_ms);
	rotation->wake_ms = now.boot_ms + (wait > 1 ? wait : 1);
	return ROTATION_REST;
}

static enum rotation_next decide(struct rotation *rotation);

static enum rotation_next end_well(struct rotation *rotation)
{
	rotation->problem = ERROR_INIT;
	rotation->failures = 0;
	return decide(rotation);
}

/* The API server's silence or refusal ends the round, and the leaf is looked after all the same. */
static enum rotation_next give_up(struct rotation *rotation, const struct error *why)
{
	rotation->problem = *why;
	rotation->failures++;
	return decide(rotation);
}

static enum rotation_next refused(struct rotation *rotation, const struct reply *reply)
{
	static const char *const doing[] = {
		[LOOKING] = "read the MutatingWebhookConfiguration",
		[READING] = "read the Secret",
		[WRITING] = "write the Secret",
		[PATCHING] = "patch the MutatingWebhookConfiguration",
	};
	const struct rotation_setup *setup = rotation->setup;
	bool secret = rotation->state == READING || rotation->state == WRITING;
	struct error err;

	(void)error_set(&err, reply->status == NOT_FOUND ? ERROR_NOT_FOUND : ERROR_DENIED,
			"cannot %s %s%s%s: the API server answered %d (%s)", doing[rotation->state],
			secret ? setup->namespace : "", secret ? "/" : "",
			secret ? setup->secret : setup->webhook, reply->status,
			reply->status == NOT_FOUND
				? "the chart makes it; is it installed under this name?"
				: "does the service account have the chart's role?");
	return give_up(rotation, &err);
}

static enum rotation_next again(struct rotation *rotation)
{
	struct error err;

	rotation->counts.conflicts++;
	rotation->made = authority_free(rotation->made);
	if (++rotation->conflicts < ROTATION_CONFLICTS_MAX)
		return look(rotation);
	(void)error_set(
		&err, ERROR_UNAVAILABLE,
		"others change the Secret or the MutatingWebhookConfiguration all the time");
	return give_up(rotation, &err);
}

/* ---- the Secret ---- */

static const char *version_of(const struct json_node *object)
{
	const char *version =
		json_string(json_get(json_get(object, "metadata"), "resourceVersion"));

	return version != NULL ? version : "";
}

/* Another one signs from now on, once everybody knows it. */
static void adopt(struct rotation *rotation, struct authority *authority)
{
	int64_t made = authority_made_ms(authority);

	if (authority_same(rotation->current, authority)) {
		authority = authority_free(authority);
		return;
	}
	if (rotation->old == NULL)
		rotation->old = STEAL(rotation->current);
	rotation->current = authority_free(rotation->current);
	rotation->current = authority;
	rotation->renew_ca_ms = made + part_of(rotation, authority_ends_ms(authority) - made);
	rotation->known = false;
}

static const struct json_node *bundle_of(const struct json_node *hook)
{
	return json_get(json_get(hook, "clientConfig"), "caBundle");
}

/* What API servers believe now: where the Secret was emptied, others may still show it. */
static void take_believed(const struct rotation *rotation, struct buf *pem)
{
	const struct json_node *hooks = json_get(json_doc_root(rotation->webhook), "webhooks");
	const struct json_node *bundle = bundle_of(hooks != NULL ? hooks->first : NULL);
	struct error ignored;

	if (bundle == NULL || bundle->type != JSON_IS_STRING ||
	    text_read_base64(pem, bundle->text, bundle->text_len, &ignored) < 0)
		buf_reset(pem);
}

static enum rotation_next replace_authority(struct rotation *rotation)
{
	AUTO(buf_deinit) struct buf believed = BUF_INIT(BUNDLE_MAX);
	const struct rotation_setup *setup = rotation->setup;
	struct error err;

	rotation->made = authority_free(rotation->made);
	take_believed(rotation, &believed);
	rotation->made = authority_new(AUTHORITY_NAME, real_ms(rotation), setup->ca_life_ms,
				       rotation->current, &believed, &err);
	address_secret(rotation);
	if (rotation->made == NULL ||
	    authority_secret_write(rotation->made, json_doc_root(rotation->secret),
				   &rotation->request.body, &err) < 0)
		return give_up(rotation, &err);
	return send(rotation, WRITING, "PUT", JSON);
}

/* ---- the bundles ---- */

static int write_bundle(const struct rotation *rotation, struct buf *base64, struct error *err)
{
	AUTO(buf_deinit) struct buf pem = BUF_INIT(BUNDLE_MAX);
	int64_t until = authority_made_ms(rotation->current) + 2 * rotation->setup->leaf_life_ms;

	if (authority_write_bundle(rotation->current, real_ms(rotation), until, &pem, err) < 0)
		return -1;
	text_write_base64(base64, pem.data, pem.len);
	return buf_check(base64, "the bundle", err);
}

/* One operation for each webhook whose bundle is another; returns how many. */
static size_t write_patch(const struct json_node *hooks, const char *bundle, struct buf *out)
{
	const struct json_node *hook = hooks != NULL ? hooks->first : NULL;
	size_t changed = 0;

	for (size_t i = 0; hook != NULL; hook = hook->next, i++) {
		const char *present = json_string(bundle_of(hook));

		if (present != NULL && strcmp(present, bundle) == 0)
			continue;
		changed++;
		buf_printf(out, ",{\"op\":\"add\",\"path\":\"/webhooks/%zu/clientConfig/caBundle\"",
			   i);
		buf_printf(out, ",\"value\":\"%s\"}", bundle);
	}
	return changed;
}

/* All bundles have it: from now on, unless there is nothing to wait for, because nothing was
 * believed before it, or because others made it known long ago. */
static void everybody_knows(struct rotation *rotation, bool unchanged)
{
	int64_t propagation = rotation->setup->propagation_ms;
	struct stamp now = clock_now(rotation->clock);
	int64_t age = now.real_ms - authority_made_ms(rotation->current);

	if (rotation->known)
		return;
	rotation->known = true;
	rotation->known_since_ms = now.boot_ms;
	if (authority_is_first(rotation->current) || (unchanged && age > 2 * propagation))
		rotation->known_since_ms -= propagation;
}

static enum rotation_next mend_bundles(struct rotation *rotation)
{
	const struct json_node *root = json_doc_root(rotation->webhook);
	const struct json_node *hooks = json_get(root, "webhooks");
	const char *version = version_of(root);
	AUTO(buf_deinit) struct buf bundle = BUF_INIT(BUNDLE_MAX);
	struct buf *body = &rotation->request.body;
	struct error err;

	if (write_bundle(rotation, &bundle, &err) < 0)
		return give_up(rotation, &err);
	address_webhook(rotation);
	buf_puts(body, "[{\"op\":\"test\",\"path\":\"/metadata/resourceVersion\",\"value\":");
	text_write_json(body, version, strlen(version));
	buf_putc(body, '}');
	if (write_patch(hooks, bundle.data, body) == 0) {
		everybody_knows(rotation, true);
		return end_well(rotation);
	}
	rotation->known = false;
	buf_putc(body, ']');
	if (buf_check(body, "the patch", &err) < 0)
		return give_up(rotation, &err);
	return send(rotation, PATCHING, "PATCH", JSON_PATCH);
}

/* ---- what is shown ---- */

/* Boot time counts through a suspended machine; a bundle spreads meanwhile as well. */
static bool may_switch(const struct rotation *rotation)
{
	return rotation->known &&
	       clock_now(rotation->clock).boot_ms >=
		       rotation->known_since_ms + rotation->setup->propagation_ms;
}

static int sign(struct rotation *rotation, const struct authority *authority, struct error *err)
{
	struct authority_leaf leaf = AUTHORITY_LEAF_INIT;
	int64_t now = real_ms(rotation);

	if (authority_sign(authority, rotation->setup->names, now, rotation->setup->leaf_life_ms,
			   &leaf, err) < 0) {
		authority_leaf_deinit(&leaf);
		return -1;
	}
	authority_leaf_deinit(&rotation->leaf);
	rotation->leaf = leaf;
	rotation->leaf_life_ms = leaf.ends_ms - now;
	rotation->renew_leaf_ms = now + part_of(rotation, rotation->leaf_life_ms);
	rotation->leaf_is_of_current = authority == rotation->current;
	rotation->counts.leaves++;
	return 0;
}

static enum rotation_next decide(struct rotation *rotation)
{
	const struct authority *authority;
	bool due = real_ms(rotation) >= rotation->renew_leaf_ms;
	struct error err;

	rotation->state = DECIDING;
	if (rotation->old != NULL && may_switch(rotation)) {
		rotation->old = authority_free(rotation->old);
		rotation->provisional = false;
		rotation->leaf_is_of_current = false;
		rotation->counts.switches++;
	}
	authority = rotation->old != NULL ? rotation->old : rotation->current;
	if (!due && (rotation->leaf_is_of_current || rotation->old != NULL))
		return rest(rotation);
	if (sign(rotation, authority, &err) == 0)
		return ROTATION_SHOW;
	rotation->problem = err;
	rotation->failures++;
	return rest(rotation);
}

/* ---- steps ---- */

static struct json_doc *read_reply(const struct reply *reply, struct error *err)
{
	const struct json_limits limits = JSON_REPLY_LIMITS;
	struct json_doc *doc = json_doc_read(reply->body, reply->len, &limits, err);

	if (doc == NULL)
		(void)error_wrap(err, "the API server's answer");
	return doc;
}

static enum rotation_next looked(struct rotation *rotation, const struct reply *reply)
{
	struct error err;

	rotation->webhook = read_reply(reply, &err);
	if (rotation->webhook == NULL)
		return give_up(rotation, &err);
	address_secret(rotation);
	return send(rotation, READING, "GET", "");
}

/* Reading a key takes a while, and most looks find what was there before. */
static bool adopt_from_secret(struct rotation *rotation)
{
	const struct json_node *secret = json_doc_root(rotation->secret);
	const char *version = version_of(secret);
	struct authority *authority;

	if (rotation->current != NULL && strcmp(version, rotation->secret_version) == 0)
		return true;
	authority = authority_secret_read(secret);
	if (authority == NULL)
		return false;
	adopt(rotation, authority);
	(void)snprintf(rotation->secret_version, sizeof(rotation->secret_version), "%s", version);
	return true;
}

static enum rotation_next have_read(struct rotation *rotation, const struct reply *reply)
{
	struct error err;

	rotation->secret = read_reply(reply, &err);
	if (rotation->secret == NULL)
		return give_up(rotation, &err);
	if (!adopt_from_secret(rotation) || real_ms(rotation) >= rotation->renew_ca_ms)
		return replace_authority(rotation);
	return mend_bundles(rotation);
}

static enum rotation_next have_written(struct rotation *rotation)
{
	rotation->counts.authorities++;
	adopt(rotation, STEAL(rotation->made));
	return mend_bundles(rotation);
}

/* The answer holds what is now in place: that is the reading back. */
static enum rotation_next patched(struct rotation *rotation, const struct reply *reply)
{
	AUTO(buf_deinit) struct buf bundle = BUF_INIT(BUNDLE_MAX);
	AUTO(buf_deinit) struct buf difference = BUF_INIT(BUNDLE_MAX);
	struct error err;

	rotation->counts.bundles++;
	rotation->webhook = json_doc_free(rotation->webhook);
	rotation->webhook = read_reply(reply, &err);
	if (rotation->webhook == NULL || write_bundle(rotation, &bundle, &err) < 0)
		return give_up(rotation, &err);
	if (write_patch(json_get(json_doc_root(rotation->webhook), "webhooks"), bundle.data,
			&difference) > 0)
		return again(rotation);
	everybody_knows(rotation, false);
	return end_well(rotation);
}

static enum rotation_next replied(struct rotation *rotation, const struct reply *reply)
{
	if (reply->status == CONFLICT ||
	    (rotation->state == PATCHING && reply->status == UNPROCESSABLE))
		return again(rotation);
	if (reply->status < 200 || reply->status > 299)
		return refused(rotation, reply);
	switch (rotation->state) {
	case LOOKING:
		return looked(rotation, reply);
	case READING:
		return have_read(rotation, reply);
	case WRITING:
		return have_written(rotation);
	case PATCHING:
		return patched(rotation, reply);
	case DECIDING:
		break;
	}
	return rest(rotation);
}

enum rotation_next rotation_step(struct rotation *rotation, const struct reply *reply,
				 const struct error *failed)
{
	if (reply != NULL)
		return replied(rotation, reply);
	if (failed != NULL)
		return give_up(rotation, failed);
	/* What was decided has been shown. */
	return rotation->state == DECIDING ? rest(rotation) : look(rotation);
}

/* ---- life ---- */

static int begin(struct rotation *rotation, struct error *err)
{
	int64_t now = real_ms(rotation);

	rotation->old = authority_new(AUTHORITY_NAME, now, rotation->setup->leaf_life_ms, NULL,
				      &(struct buf){ 0 }, err);
	rotation->provisional = true;
	return rotation->old != NULL ? sign(rotation, rotation->old, err) : -1;
}

struct rotation *rotation_new(const struct rotation_setup *setup, const struct clock *clock,
			      struct error *err)
{
	struct rotation *rotation = calloc(1, sizeof(*rotation));

	if (rotation == NULL) {
		(void)error_no_memory(err);
		return NULL;
	}
	rotation->setup = setup;
	rotation->clock = clock;
	rotation->request = REQUEST_INIT;
	rotation->leaf = AUTHORITY_LEAF_INIT;
	if (begin(rotation, err) < 0)
		return rotation_free(rotation);
	return rotation;
}

struct rotation *rotation_free(struct rotation *rotation)
{
	if (rotation == NULL)
		return NULL;
	rotation->current = authority_free(rotation->current);
	rotation->old = authority_free(rotation->old);
	rotation->made = authority_free(rotation->made);
	rotation->webhook = json_doc_free(rotation->webhook);
	rotation->secret = json_doc_free(rotation->secret);
	authority_leaf_deinit(&rotation->leaf);
	request_deinit(&rotation->request);
	free(rotation);
	return NULL;
}

/* ---- looks from outside ---- */

const struct request *rotation_request(const struct rotation *rotation)
{
	return &rotation->request;
}

const struct authority_leaf *rotation_leaf(const struct rotation *rotation)
{
	return &rotation->leaf;
}

int64_t rotation_wake_ms(const struct rotation *rotation)
{
	return rotation->wake_ms;
}

const char *rotation_unready(const struct rotation *rotation)
{
	if (rotation->provisional)
		return "API servers do not believe the certificate yet";
	if (rotation->leaf.ends_ms - real_ms(rotation) < rotation->leaf_life_ms / 10)
		return "less than a tenth of the certificate's life is left";
	return NULL;
}

const struct error *rotation_problem(const struct rotation *rotation)
{
	return &rotation->problem;
}

const struct rotation_counts *rotation_counts(const struct rotation *rotation)
{
	return &rotation->counts;
}

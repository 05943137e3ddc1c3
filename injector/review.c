/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope around `mutate`. A patch is sent only after it was applied here and gave the pod
 * that was meant: an API server refuses a pod whose patch does not apply, even where it would have
 * ignored that we are away.
 */
#include "injector/review.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "injector/patch.h"

enum { PATCH_MAX = 8 << 20, PATCH_NODES_MAX = 200000, BAD_REQUEST = 400 };

#define REVIEW_VERSION "admission.k8s.io/v1"
#define REVIEW_KIND    "AdmissionReview"

/* A whole question, its parts pointing into the document. */
struct question {
	const char *uid;
	const struct json_node *request;
	const struct json_node *pod;
};

static int read_question(const struct json_node *root, struct question *ret, struct error *err)
{
	const char *version = json_string(json_get(root, "apiVersion"));
	const char *kind = json_string(json_get(root, "kind"));
	const struct json_node *request = json_get(root, "request");
	const char *uid = json_string(json_get(request, "uid"));

	if (version == NULL || strcmp(version, REVIEW_VERSION) != 0 || kind == NULL ||
	    strcmp(kind, REVIEW_KIND) != 0)
		return error_set(err, ERROR_INVALID,
				 "the body is no " REVIEW_KIND " of " REVIEW_VERSION
				 ": set admissionReviewVersions to [v1]");
	if (uid == NULL || uid[0] == '\0')
		return error_set(err, ERROR_INVALID, "the " REVIEW_KIND " has no request.uid");
	*ret = (struct question){ .uid = uid,
				  .request = request,
				  .pod = json_get(request, "object") };
	return 0;
}

static void copy_text(char *to, size_t size, const struct json_node *from)
{
	const char *text = json_string(from);

	(void)snprintf(to, size, "%s", text != NULL ? text : "");
}

static void read_owner(const struct json_node *metadata, struct review_owner *owner)
{
	const struct json_node *owners = json_get(metadata, "ownerReferences");

	for (size_t i = 0; owners != NULL && i < owners->count; i++) {
		const struct json_node *item = json_item(owners, i);

		if (!json_bool(json_get(item, "controller"), false))
			continue;
		copy_text(owner->api_version, sizeof(owner->api_version),
			  json_get(item, "apiVersion"));
		copy_text(owner->kind, sizeof(owner->kind), json_get(item, "kind"));
		copy_text(owner->name, sizeof(owner->name), json_get(item, "name"));
		copy_text(owner->uid, sizeof(owner->uid), json_get(item, "uid"));
		return;
	}
}

static void read_outcome(const struct question *question, struct review_outcome *outcome)
{
	const struct json_node *metadata = json_get(question->pod, "metadata");
	const struct json_node *name = json_get(metadata, "name");

	*outcome = (struct review_outcome){
		.dry_run = json_bool(json_get(question->request, "dryRun"), false),
	};
	copy_text(outcome->namespace, sizeof(outcome->namespace),
		  json_get(question->request, "namespace"));
	copy_text(outcome->pod, sizeof(outcome->pod),
		  name != NULL ? name : json_get(metadata, "generateName"));
	read_owner(metadata, &outcome->owner);
}

static bool is_text(const struct json_node *node, const char *text)
{
	const char *value = json_string(node);

	return value != NULL && strcmp(value, text) == 0;
}

/* What kind of request it is decides before what is in it. */
static enum mutate_reason unfit(const struct question *question)
{
	const struct json_node *request = question->request;
	const struct json_node *kind = json_get(request, "kind");
	const struct json_node *sub = json_get(request, "subResource");

	if (is_text(sub, "ephemeralcontainers"))
		return REASON_EPHEMERAL_CONTAINERS;
	if (!is_text(json_get(kind, "kind"), "Pod") || !is_text(json_get(kind, "version"), "v1") ||
	    !is_text(json_get(kind, "group"), "") || (sub != NULL && !is_text(sub, "")))
		return REASON_NOT_A_POD;
	if (!is_text(json_get(request, "operation"), "CREATE"))
		return REASON_NOT_CREATE;
	return question->pod != NULL && question->pod->type == JSON_IS_MAP ? REASON_NONE
									   : REASON_NOT_A_POD;
}

/* The patch, proved: reading it back and applying it gives the pod that was meant. */
static int write_patch(const struct json_node *before, const struct json_node *after,
		       struct buf *patch, struct error *err)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(json_doc_freep) struct json_doc *read = NULL;
	struct json_limits limits = REVIEW_LIMITS;
	const struct json_node *applied;

	patch_write(before, after, patch);
	if (buf_check(patch, "the patch", err) < 0)
		return -1;
	limits.bytes = PATCH_MAX;
	limits.nodes = PATCH_NODES_MAX;
	read = json_doc_read(patch->data, patch->len, &limits, err);
	if (read == NULL)
		return -1;
	applied = patch_apply(&edit, before, json_doc_root(read), err);
	if (applied == NULL)
		return -1;
	if (!json_equal(applied, after))
		return error_set(err, ERROR_INVALID,
				 "the patch does not give the pod that was meant");
	return 0;
}

/* On doubt the pod stays as it is, or is refused where the operator is strict. */
static void doubt(const struct injector_config *config, struct mutation *mutation,
		  const struct error *why)
{
	mutation->verdict = config->strict ? MUTATE_REFUSE : MUTATE_SKIP;
	mutation->reason = config->strict ? REASON_STRICT : REASON_DOUBT;
	(void)snprintf(mutation->text, sizeof(mutation->text),
		       "secrets-agent: the pod cannot be changed safely: %s", why->text);
	if (!config->strict)
		mutation_warn(mutation, "%s", mutation->text);
}

/* Of many warnings, the first: whoever was given an answer has seen them all. */
static void read_text(const struct mutation *mutation, struct review_outcome *outcome)
{
	const struct strings *warnings = &mutation->warnings;
	size_t len = 0;

	(void)snprintf(outcome->text, sizeof(outcome->text), "%s", mutation->text);
	for (size_t i = 0; mutation->verdict != MUTATE_REFUSE && i < warnings->count; i++) {
		size_t left = sizeof(outcome->text) - len;
		int wrote = snprintf(outcome->text + len, left, "%s%s", i > 0 ? "; " : "",
				     warnings->items[i]);

		if (wrote < 0 || (size_t)wrote >= left)
			break;
		len += (size_t)wrote;
	}
}

static void write_warnings(struct buf *answer, const struct strings *warnings)
{
	if (warnings->count == 0)
		return;
	buf_puts(answer, ",\"warnings\":[");
	for (size_t i = 0; i < warnings->count; i++) {
		if (i > 0)
			buf_putc(answer, ',');
		text_write_json(answer, warnings->items[i], strlen(warnings->items[i]));
	}
	buf_putc(answer, ']');
}

static void write_answer(struct buf *answer, const char *uid, const struct mutation *mutation,
			 const struct buf *patch)
{
	buf_puts(answer, "{\"apiVersion\":\"" REVIEW_VERSION "\",\"kind\":\"" REVIEW_KIND
			 "\",\"response\":{\"uid\":");
	text_write_json(answer, uid, strlen(uid));
	buf_printf(answer, ",\"allowed\":%s",
		   mutation->verdict == MUTATE_REFUSE ? "false" : "true");
	if (mutation->verdict == MUTATE_REFUSE) {
		buf_printf(answer,
			   ",\"status\":{\"code\":%d,\"reason\":\"BadRequest\",\"message\":",
			   BAD_REQUEST);
		text_write_json(answer, mutation->text, strlen(mutation->text));
		buf_putc(answer, '}');
	}
	if (mutation->verdict == MUTATE_INJECT) {
		buf_puts(answer, ",\"patchType\":\"JSONPatch\",\"patch\":\"");
		text_write_base64_public(answer, patch->data, patch->len);
		buf_putc(answer, '"');
	}
	write_warnings(answer, &mutation->warnings);
	buf_puts(answer, "}}");
}

static int decide(const struct injector_config *config, const struct cluster_versions *versions,
		  const struct question *question, struct json_edit *edit,
		  struct mutation *mutation, struct error *err)
{
	const char *namespace = json_string(json_get(question->request, "namespace"));
	const struct mutate_request request = {
		.config = config,
		.versions = versions,
		.namespace = namespace != NULL ? namespace : "",
		.pod = question->pod,
	};
	enum mutate_reason reason = unfit(question);

	if (reason != REASON_NONE) {
		mutation->verdict = MUTATE_SKIP;
		mutation->reason = reason;
		return 0;
	}
	return mutate(&request, edit, mutation, err);
}

int review_answer(const struct injector_config *config, const struct cluster_versions *versions,
		  const void *body, size_t len, struct buf *answer, struct review_outcome *outcome,
		  struct error *err)
{
	AUTO(json_edit_deinit) struct json_edit edit = JSON_EDIT_INIT;
	AUTO(mutation_deinit) struct mutation mutation = { 0 };
	AUTO(json_doc_freep) struct json_doc *doc = NULL;
	AUTO(buf_deinit) struct buf patch = BUF_INIT(PATCH_MAX);
	const struct json_limits limits = REVIEW_LIMITS;
	struct question question = { 0 };
	struct error why;

	doc = json_doc_read(body, len, &limits, err);
	if (doc == NULL || read_question(json_doc_root(doc), &question, err) < 0)
		return -1;
	if (decide(config, versions, &question, &edit, &mutation, err) < 0)
		return -1;
	if (mutation.verdict == MUTATE_INJECT &&
	    write_patch(question.pod, mutation.pod, &patch, &why) < 0) {
		/* Want of memory says nothing about the pod. */
		if (why.code == ERROR_EXHAUSTED) {
			*err = why;
			return -1;
		}
		doubt(config, &mutation, &why);
	}
	write_answer(answer, question.uid, &mutation, &patch);
	if (buf_check(answer, "the answer", err) < 0)
		return -1;
	read_outcome(&question, outcome);
	outcome->verdict = mutation.verdict;
	outcome->reason = mutation.reason;
	(void)snprintf(outcome->profile, sizeof(outcome->profile), "%s",
		       mutation.profile != NULL ? mutation.profile : "");
	read_text(&mutation, outcome);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/cluster.h"

#include <string.h>

#include "agent/base/json.h"

#define AS_TABLE "Accept: application/json;as=Table;v=v1;g=meta.k8s.io\n"

enum { OK = 200 };

static enum cluster_next ask_version(struct cluster_question *question)
{
	request_reset(&question->request);
	buf_puts(&question->request.path, "/version");
	question->asked_version = true;
	return CLUSTER_SEND;
}

static enum cluster_next ask_nodes(struct cluster_question *question, const char *next)
{
	request_reset(&question->request);
	question->request.reply_max = REPLY_LIST_MAX;
	buf_puts(&question->request.headers, AS_TABLE);
	buf_printf(&question->request.path, "/api/v1/nodes?includeObject=None&limit=%d",
		   CLUSTER_PAGE);
	if (next != NULL && next[0] != '\0')
		buf_printf(&question->request.path, "&continue=%s", next);
	return question->request.path.failed ? CLUSTER_FAILED : CLUSTER_SEND;
}

static void read_kubelet(struct cluster_question *question, const char *text)
{
	struct kube_version version, *oldest = &question->found.oldest_kubelet;
	struct error ignored;

	if (text == NULL || kube_version_read(text, &version, &ignored) < 0)
		question->kubelet_unknown = true;
	else if (!kube_version_is_known(*oldest) || kube_version_less(version, *oldest))
		*oldest = version;
}

/* -1: there is no such column. */
static ssize_t column_of(const struct json_node *table, const char *name)
{
	const struct json_node *columns = json_get(table, "columnDefinitions");
	const struct json_node *column = columns != NULL ? columns->first : NULL;

	for (ssize_t i = 0; column != NULL; column = column->next, i++) {
		const char *text = json_string(json_get(column, "name"));

		if (text != NULL && strcmp(text, name) == 0)
			return i;
	}
	return -1;
}

static const struct json_node *cell_of(const struct json_node *row, ssize_t index)
{
	const struct json_node *cells = json_get(row, "cells");
	const struct json_node *cell = cells != NULL ? cells->first : NULL;

	for (; cell != NULL && index > 0; index--)
		cell = cell->next;
	return cell;
}

static void read_nodes(struct cluster_question *question, const struct json_node *table)
{
	const struct json_node *rows = json_get(table, "rows");
	const struct json_node *row = rows != NULL ? rows->first : NULL;
	ssize_t version = column_of(table, "Version");

	if (version < 0)
		question->kubelet_unknown = true;
	for (; version >= 0 && row != NULL; row = row->next)
		read_kubelet(question, json_string(cell_of(row, version)));
}

/* A kubelet of which nothing is known may be an old one. */
static enum cluster_next done(const struct cluster_question *question, struct cluster_versions *ret)
{
	*ret = question->found;
	if (question->kubelet_unknown)
		ret->oldest_kubelet = (struct kube_version){ 0, 0 };
	return CLUSTER_DONE;
}

static enum cluster_next read_body(struct cluster_question *question, const struct json_node *root,
				   struct cluster_versions *ret, struct error *err)
{
	const char *server = json_string(json_get(root, "gitVersion"));
	const char *next = json_string(json_get(json_get(root, "metadata"), "continue"));

	if (kube_version_is_known(question->found.server)) {
		read_nodes(question, root);
		return next != NULL && next[0] != '\0' ? ask_nodes(question, next)
						       : done(question, ret);
	}
	if (kube_version_read(server != NULL ? server : "", &question->found.server, err) < 0)
		return CLUSTER_FAILED;
	return ask_nodes(question, NULL);
}

enum cluster_next cluster_step(struct cluster_question *question, const struct reply *reply,
			       struct cluster_versions *ret, struct error *err)
{
	struct json_limits limits = JSON_REPLY_LIMITS;
	AUTO(json_doc_freep) struct json_doc *doc = NULL;

	if (!question->asked_version)
		return ask_version(question);
	if (reply->status != OK) {
		(void)error_set(err, ERROR_DENIED,
				"%s: the API server answered %d (does the service account have the "
				"chart's role?)",
				buf_string(&question->request.path), reply->status);
		return CLUSTER_FAILED;
	}
	doc = json_doc_read(reply->body, reply->len, &limits, err);
	if (doc == NULL)
		return CLUSTER_FAILED;
	return read_body(question, json_doc_root(doc), ret, err);
}

void cluster_question_deinit(struct cluster_question *question)
{
	request_deinit(&question->request);
}

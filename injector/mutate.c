/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First whether the pod asks and may be changed at all, then what it asks for, then the pod.
 */
#include "injector/mutate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "injector/annotations.h"

const char *mutate_reason_name(enum mutate_reason reason)
{
	static const char *const names[MUTATE_REASONS] = {
		[REASON_NONE] = "",
		[REASON_NOT_ANNOTATED] = "not_annotated",
		[REASON_DISABLED] = "disabled",
		[REASON_ALREADY_INJECTED] = "already_injected",
		[REASON_AGENT_ABSENT] = "agent_absent",
		[REASON_SYSTEM_NAMESPACE] = "system_namespace",
		[REASON_OWN_NAMESPACE] = "own_namespace",
		[REASON_MIRROR_POD] = "mirror_pod",
		[REASON_EPHEMERAL_CONTAINERS] = "ephemeral_containers",
		[REASON_WINDOWS] = "windows",
		[REASON_HOST_NETWORK] = "host_network",
		[REASON_NOT_PENDING] = "not_pending",
		[REASON_NOT_A_POD] = "not_a_pod",
		[REASON_NOT_CREATE] = "not_create",
		[REASON_DOUBT] = "doubt",
		[REASON_ANNOTATION] = "annotation",
		[REASON_PROFILE] = "profile",
		[REASON_NOT_ALLOWED] = "not_allowed",
		[REASON_CONFLICT] = "conflict",
		[REASON_CONTAINER] = "container",
		[REASON_NO_COMMAND] = "no_command",
		[REASON_CLUSTER_TOO_OLD] = "cluster_too_old",
		[REASON_UNSUPPORTED] = "unsupported",
		[REASON_STRICT] = "strict",
	};

	return names[reason];
}

const char *mutate_verdict_name(enum mutate_verdict verdict)
{
	static const char *const names[MUTATE_VERDICTS] = {
		[MUTATE_SKIP] = "skipped",
		[MUTATE_INJECT] = "injected",
		[MUTATE_REFUSE] = "refused",
	};

	return names[verdict];
}

int mutate(const struct mutate_request *request, struct json_edit *edit, struct mutation *ret,
	   struct error *err)
{
	const struct json_node *annotations = pod_annotations(request->pod);
	const char *inject = json_string(json_get(annotations, OWN_PREFIX "inject"));
	struct error why;
	bool wanted;

	*ret = (struct mutation){ .reason = REASON_NOT_ANNOTATED };
	if (inject == NULL)
		return json_edit_check(edit, err);
	if (annotation_read_bool(inject, &wanted, &why) < 0) {
		ret->verdict = MUTATE_REFUSE;
		ret->reason = REASON_ANNOTATION;
		(void)snprintf(ret->text, sizeof(ret->text), OWN_PREFIX "inject: %s", why.text);
		return 0;
	}
	ret->reason = REASON_DISABLED;
	if (!wanted)
		return 0;
	ret->verdict = MUTATE_REFUSE;
	ret->reason = REASON_UNSUPPORTED;
	(void)snprintf(ret->text, sizeof(ret->text), "this build cannot inject yet");
	return 0;
}

void mutation_warn(struct mutation *mutation, const char *format, ...)
{
	char text[MUTATE_WARNING_MAX + 1];
	struct error ignored;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (mutation->warnings.count < MUTATE_WARNINGS_MAX &&
	    strings_add(&mutation->warnings, text, &ignored) < 0)
		return;
}

void mutation_deinit(struct mutation *mutation)
{
	strings_free(&mutation->warnings);
}

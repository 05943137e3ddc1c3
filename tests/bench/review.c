/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU of one review without network and TLS: bytes of an AdmissionReview in, bytes of the answer
 * out. Prints one line per kind of pod: microseconds, bytes in, bytes of the patch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/base/text.h"
#include "agent/base/wipe.h"
#include "injector/review.h"

enum { BODY_MAX = 1 << 20, ROUNDS = 2000, SERIES = 15, SECRETS = 20 };

static const char operator_file[] =
	"profiles:\n"
	"  default:\n"
	"    address: https://vault.vault.svc:8200\n"
	"    image: registry.example/agent@sha256:"
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
	"    auth: { role: web, audience: vault }\n";

/* What an API server sends besides what the user wrote. */
static const char pod_head[] =
	"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{"
	"\"uid\":\"705ab4f5-6393-11e8-b7cc-42010a800002\",\"kind\":{\"group\":\"\",\"version\":"
	"\"v1\",\"kind\":\"Pod\"},\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":"
	"\"pods\"},\"requestKind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},"
	"\"requestResource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"pods\"},"
	"\"namespace\":\"default\",\"operation\":\"CREATE\",\"userInfo\":{\"username\":"
	"\"system:serviceaccount:kube-system:replicaset-controller\",\"uid\":\"5f1a\",\"groups\":"
	"[\"system:serviceaccounts\",\"system:serviceaccounts:kube-system\","
	"\"system:authenticated\"]},\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
	"\"metadata\":{\"generateName\":\"web-5d8c7b8f9c-\",\"creationTimestamp\":null,\"labels\":"
	"{\"app\":\"web\",\"pod-template-hash\":\"5d8c7b8f9c\"},\"annotations\":{";
static const char pod_tail[] =
	"},\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":"
	"\"web-5d8c7b8f9c\",\"uid\":\"0a1b\",\"controller\":true,\"blockOwnerDeletion\":true}]},"
	"\"spec\":{\"volumes\":[{\"name\":\"kube-api-access-x2x7n\",\"projected\":{\"sources\":[{"
	"\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":\"token\"}},{\"configMap\":{"
	"\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},{"
	"\"downwardAPI\":{\"items\":[{\"path\":\"namespace\",\"fieldRef\":{\"apiVersion\":\"v1\","
	"\"fieldPath\":\"metadata.namespace\"}}]}}],\"defaultMode\":420}}],\"containers\":[{"
	"\"name\":\"web\",\"image\":\"web:1\",\"command\":[\"/web\"],\"resources\":{},"
	"\"volumeMounts\":[{\"name\":\"kube-api-access-x2x7n\",\"readOnly\":true,\"mountPath\":"
	"\"/var/run/secrets/kubernetes.io/serviceaccount\"}],\"terminationMessagePath\":"
	"\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":"
	"\"IfNotPresent\"}],\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,"
	"\"dnsPolicy\":\"ClusterFirst\",\"serviceAccountName\":\"web\",\"serviceAccount\":\"web\","
	"\"securityContext\":{},\"schedulerName\":\"default-scheduler\",\"tolerations\":[{\"key\":"
	"\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
	"\"tolerationSeconds\":300},{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":"
	"\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}],\"priority\":0,"
	"\"enableServiceLinks\":true,\"preemptionPolicy\":\"PreemptLowerPriority\"},\"status\":{}},"
	"\"oldObject\":null,\"dryRun\":false,\"options\":{\"kind\":\"CreateOptions\","
	"\"apiVersion\":\"meta.k8s.io/v1\"}}}";

static void write_body(struct buf *body, unsigned secrets)
{
	buf_puts(body, pod_head);
	buf_puts(body, secrets > 0 ? "\"secrets-agent/inject\":\"true\"" : "\"team\":\"blue\"");
	for (unsigned i = 0; i < secrets; i++)
		buf_printf(body, ",\"secrets-agent/secret.s%u\":\"secret/team/s%u\"", i, i);
	buf_puts(body, pod_tail);
}

static double now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *one, const void *other)
{
	double left = *(const double *)one, right = *(const double *)other;

	return left < right ? -1 : left > right ? 1 : 0;
}

static size_t patch_bytes(const struct buf *answer)
{
	static const char mark[] = "\"patch\":\"";
	const char *patch = strstr(buf_string(answer), mark);

	return patch != NULL ? strcspn(patch + strlen(mark), "\"") * 3 / 4 : 0;
}

static int measure(const struct injector_config *config, const char *what, unsigned secrets,
		   unsigned rounds)
{
	const struct cluster_versions versions = { { 1, 36 }, { 1, 36 } };
	AUTO(buf_deinit) struct buf body = BUF_INIT(BODY_MAX);
	AUTO(buf_deinit) struct buf answer = BUF_INIT(BODY_MAX);
	double series[SERIES];
	struct review_outcome outcome;
	struct error err;

	write_body(&body, secrets);
	for (unsigned i = 0; i < SERIES; i++) {
		double start = now_us();

		for (unsigned j = 0; j < rounds; j++) {
			buf_reset(&answer);
			if (review_answer(config, &versions, body.data, body.len, &answer, &outcome,
					  &err) < 0) {
				(void)fprintf(stderr, "%s: %s\n", what, err.text);
				return 1;
			}
		}
		series[i] = (now_us() - start) / rounds;
	}
	qsort(series, SERIES, sizeof(series[0]), compare);
	(void)printf("%-24s %6.1f us  %6zu bytes in  %6zu bytes of patch  (%s)\n", what,
		     series[SERIES / 2], body.len, patch_bytes(&answer),
		     mutate_verdict_name(outcome.verdict));
	return 0;
}

int main(int argc, char **argv)
{
	struct config_problems problems = { 0 };
	AUTO(injector_config_freep) struct injector_config *config = NULL;
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : ROUNDS;

	if (wipe_install() < 0)
		return 1;
	config = injector_config_parse(operator_file, strlen(operator_file), "bench", &problems);
	if (config == NULL)
		return 1;
	return measure(config, "not annotated", 0, rounds) |
	       measure(config, "1 secret", 1, rounds) |
	       measure(config, "20 secrets", SECRETS, rounds);
}

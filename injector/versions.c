/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/versions.h"

#include <string.h>

#include "agent/base/text.h"

enum { NUMBER_MAX = 9999, DIGITS_MAX = 8 };

/* Native sidecars: the server keeps the field from 1.29 on; a kubelet is trusted with it once it
 * cannot be switched off. Variables from files: on by default from 1.35 on. */
static const struct kube_version sidecar_server = { 1, 29 }, sidecar_kubelet = { 1, 33 };
static const struct kube_version env_files_both = { 1, 35 };

static const char *read_number(const char *at, unsigned *ret)
{
	size_t len = strspn(at, "0123456789");
	char digits[DIGITS_MAX];
	uint64_t number;
	struct error ignored;

	if (len == 0 || len >= sizeof(digits))
		return NULL;
	memcpy(digits, at, len);
	digits[len] = '\0';
	if (text_read_unsigned(digits, NUMBER_MAX, &number, &ignored) < 0)
		return NULL;
	*ret = (unsigned)number;
	return at + len;
}

int kube_version_read(const char *text, struct kube_version *ret, struct error *err)
{
	struct kube_version version;
	const char *at = read_number(text[0] == 'v' ? text + 1 : text, &version.major);

	if (at != NULL && *at == '.')
		at = read_number(at + 1, &version.minor);
	else
		at = NULL;
	if (at == NULL || (*at != '\0' && strchr(".-+", *at) == NULL))
		return error_set(err, ERROR_INVALID, "'%.40s' is no version: write it as v1.34.2",
				 text);
	*ret = version;
	return 0;
}

bool kube_version_is_known(struct kube_version version)
{
	return version.major != 0 || version.minor != 0;
}

bool kube_version_less(struct kube_version one, struct kube_version other)
{
	return one.major != other.major ? one.major < other.major : one.minor < other.minor;
}

bool versions_have_native_sidecars(const struct cluster_versions *versions)
{
	return !kube_version_less(versions->server, sidecar_server) &&
	       !kube_version_less(versions->oldest_kubelet, sidecar_kubelet);
}

bool versions_have_env_files(const struct cluster_versions *versions)
{
	return !kube_version_less(versions->server, env_files_both) &&
	       !kube_version_less(versions->oldest_kubelet, env_files_both);
}

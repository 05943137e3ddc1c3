/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/environment.h"

static bool secret_is(struct secret *secret, const char *text)
{
	AUTO(secret_unrefp) struct secret *held = secret;

	return held != NULL && secret_len(held) == strlen(text) &&
	       memcmp(secret_bytes(held), text, strlen(text)) == 0;
}

Test(environment, moves_declared_secrets_and_overwrites_their_strings)
{
	AUTO(environment_freep) struct environment *environment = NULL;
	static char token[] = "BAO_TOKEN=s.canary", key[] = "MY_KEY=canary2", home[] = "HOME=/root";
	static char *variables[] = { token, key, home, NULL };
	const char *const names[] = { "MY_KEY", NULL };
	struct error err = ERROR_INIT;

	environ = variables;
	environment = environment_take(names, &err);
	cr_assert_not_null(environment);
	cr_expect(secret_is(environment_lookup(environment, "BAO_TOKEN"), "s.canary"));
	cr_expect(secret_is(environment_lookup(environment, "MY_KEY"), "canary2"));
	cr_expect(secret_is(environment_lookup(environment, "HOME"), "/root"));
	cr_expect_null(environment_lookup(environment, "VAULT_TOKEN"));
	cr_expect_null(getenv("BAO_TOKEN"));
	cr_expect_null(getenv("MY_KEY"));
	cr_expect_str_eq(getenv("HOME"), "/root");
	cr_expect_null(memmem(token, sizeof(token), "canary", 6));
	cr_expect_null(memmem(key, sizeof(key), "canary", 6));
}

Test(environment, removes_what_libraries_react_to_and_what_nobody_declared)
{
	AUTO(environment_freep) struct environment *environment = NULL;
	static const char *const given[] = {
		"SSLKEYLOGFILE=/tmp/keys",
		"https_proxy=http://evil",
		"HTTPS_PROXY=http://evil",
		"ALL_PROXY=socks5://evil",
		"NO_PROXY=*",
		"OPENSSL_CONF=/tmp/o.cnf",
		"OPENSSL_MODULES=/tmp",
		"SSL_CERT_FILE=/tmp/c.pem",
		"SSL_CERT_DIR=/tmp",
		"LD_PRELOAD=/tmp/x.so",
		"LD_LIBRARY_PATH=/tmp",
		"MALLOC_TRACE=/tmp/m",
		"RES_OPTIONS=debug",
		"HOSTALIASES=/tmp/h",
		"LOCALDOMAIN=evil",
		"CURL_HOME=/tmp",
		"CURL_CA_BUNDLE=/tmp/c",
		"GLIBC_TUNABLES=x=y",
		"GCONV_PATH=/tmp",
		"LOCPATH=/tmp",
		"UV_THREADPOOL_SIZE=1024",
		"UV_USE_IO_URING=1",
		"NETRC=/tmp/n",
		"APP_PASSWORD=canary",
		"CARES_HOSTS=/tmp/h",
		"HOMEX=/tmp",
		"TMPDIR=/tmp",
	};
	static char copies[ARRAY_SIZE(given)][64];
	static char *variables[ARRAY_SIZE(given) + 1];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		(void)snprintf(copies[i], sizeof(copies[i]), "%s", given[i]);
		variables[i] = copies[i];
	}
	variables[ARRAY_SIZE(given)] = NULL;
	environ = variables;
	environment = environment_take(NULL, &err);
	cr_assert_not_null(environment);
	cr_expect_str_eq(environ[0], "TZ=UTC0");
	cr_expect_null(environ[1]);
	cr_expect_null(environment_lookup(environment, "APP_PASSWORD"));
}

Test(environment, is_gone_from_proc_too)
{
	AUTO(environment_freep) struct environment *environment = NULL;
	struct error err = ERROR_INIT;
	static char shown[1 << 16];
	FILE *file;
	size_t len;

	environment = environment_take(NULL, &err);
	cr_assert_not_null(environment);
	file = fopen("/proc/self/environ", "re");
	cr_assert_not_null(file);
	len = fread(shown, 1, sizeof(shown), file);
	(void)fclose(file);
	cr_expect_null(memmem(shown, len, "PATH=", 5));
}

Test(environment, says_when_a_variable_is_there_without_value)
{
	AUTO(environment_freep) struct environment *environment = NULL;
	static char empty[] = "VAULT_TOKEN=", odd[] = "no-equals-sign";
	static char *variables[] = { odd, empty, NULL };
	struct error err = ERROR_INIT;

	environ = variables;
	environment = environment_take(NULL, &err);
	cr_assert_not_null(environment);
	cr_expect(secret_is(environment_lookup(environment, "VAULT_TOKEN"), ""));
	cr_expect_str_eq(environ[0], "TZ=UTC0");
	cr_expect_null(environ[1]);
}

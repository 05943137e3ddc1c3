/* SPDX-License-Identifier: Apache-2.0 */
#include "injector/config.h"

#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/buf.h"

static struct injector_config *parse(const char *text, struct buf *problems)
{
	struct config_problems found = { 0 };
	struct injector_config *config =
		injector_config_parse(text, strlen(text), "injector.yaml", &found);

	*problems = BUF_INIT(1 << 16);
	config_problems_print(&found, problems);
	config_problems_free(&found);
	return config;
}

Test(injector_config, defaults_are_those_of_the_documentation)
{
	struct buf problems;
	struct injector_config *config =
		parse("profiles:\n  default: { address: https://v, image: a }\n", &problems);
	const struct profile *profile;

	cr_assert_not_null(config, "%s", buf_string(&problems));
	cr_expect(config->vault_prefix && config->openbao_prefix && !config->strict);
	cr_expect_eq(config->native_sidecar, SWITCH_AUTO);
	cr_expect_eq(config->env_files, SWITCH_AUTO);
	cr_expect_eq(config->system_namespaces.count, 3);
	profile = injector_profile(config, "default");
	cr_assert_not_null(profile);
	cr_expect_eq(profile->run_as_user, 65510);
	cr_expect_eq(profile->token_life_ms, 3600000);
	cr_expect_eq(profile->volume_size, 8 << 20);
	cr_expect_str_eq(profile->resources.requests_cpu, "5m");
	cr_expect_str_eq(profile->resources.requests_memory, "16Mi");
	cr_expect_null(profile->resources.limits_cpu);
	cr_expect_str_eq(profile->resources.limits_memory, "64Mi");
	cr_expect(!profile->host_network && profile->cloud_identity);
	for (int key = 0; key < ALLOW_KEYS; key++)
		cr_expect_not(profile->allow[key], "%s", allow_key_name((enum allow_key)key));
	cr_expect(profile_serves(profile, "anything"));
	cr_expect_null(injector_profile(config, "other"));
	(void)injector_config_free(config);
	buf_deinit(&problems);
}

Test(injector_config, mistakes_are_told_with_their_place)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{ "", "injector.yaml:1:1: there is no profile" },
		{ "profiles: {}", "there is no profile" },
		{ "[]", "injector.yaml:1:1: the file must be a map" },
		{ "profils: {}",
		  "injector.yaml:1:1: unknown key 'profils' (did you mean "
		  "'profiles'?)" },
		{ "profiles:\n  a: { image: x }", "injector.yaml:2:3: profiles.a needs 'address'" },
		{ "profiles:\n  a: { address: https://v }", "profiles.a needs 'image'" },
		{ "profiles:\n  a/b: { address: https://v, image: x }",
		  "injector.yaml:2:3: profiles: 'a/b' is no name" },
		{ "profiles:\n  a: { address: v:8200, image: x }",
		  "injector.yaml:2:17: profiles.a.address: 'v:8200' is no address" },
		{ "profiles:\n  a: { address: 'http://v', image: x }",
		  "would send secrets unencrypted" },
		{ "profiles:\n  a: { address: https://v, image: x, adress: y }",
		  "did you mean 'address'" },
		{ "profiles:\n  a: { address: https://v, image: x, run_as_user: 0 }",
		  "injector.yaml:2:51: profiles.a.run_as_user: '0' is neither a number from 1 on "
		  "nor none" },
		{ "profiles:\n  a: { address: https://v, image: x, resources: { limits: { memory: "
		  "8Mi } } "
		  "}",
		  "of memory it requests 16Mi and is limited to 8Mi" },
		{ "profiles:\n  a: { address: https://v, image: x, namespaces: [ a, B ] }",
		  "profiles.a.namespaces: 'B' is no name of an object" },
		{ "profiles:\n  a: { address: https://v, image: x, pull_secrets: 'a b' }",
		  "profiles.a.pull_secrets: 'a b' is no name" },
		{ "profiles:\n  a: { address: https://v, image: x, tls: { ca_config_map: a/b } }",
		  "profiles.a.tls.ca_config_map: 'a/b' is no name" },
		{ "profiles:\n  a: { address: https://v, image: 'x y' }", "'x y' is no image" },
		{ "profiles:\n  a: { address: https://v, image: x, auth: { mount: auth/k } }",
		  "profiles.a.auth.mount: 'auth/k': leave auth/ out" },
		{ "profiles:\n  a: { address: https://v, image: x, run_as_user: root }",
		  "'root' is neither" },
		{ "profiles:\n  a: { address: https://v, image: x, allow: [ config, serivce ] }",
		  "profiles.a.allow: there is nothing called 'serivce' (did you mean 'service'?)" },
		{ "profiles:\n  a: { address: https://v, image: x, auth: { token_life: 9m } }",
		  "at least 10m" },
		{ "profiles:\n  a: { address: https://v, image: x, auth: { method: aws } }",
		  "'aws' is not one of kubernetes, jwt" },
		{ "profiles:\n  a: { address: https://v, image: x, volume_size: 1KiB }",
		  "too small" },
		{ "profiles:\n  a:\n    address: https://v\n    image: x\n    resources:\n"
		  "      limits: { memory: lots }",
		  "injector.yaml:6:25: profiles.a.resources.limits.memory: 'lots' is no quantity" },
		{ "profiles:\n  a: { address: https://v, image: x, tls: { ca_cert: nothing } }",
		  "profiles.a.tls.ca_cert" },
		{ "profiles:\n  a: { address: https://v, image: x, tls: { ca_cert: x, "
		  "ca_config_map: y } }",
		  "exclude each other" },
		{ "strict: maybe\nprofiles: { a: { address: https://v, image: x } }",
		  "injector.yaml:1:9: strict: 'maybe' is neither true nor false" },
		{ "native_sidecar: never\nprofiles: { a: { address: https://v, image: x } }",
		  "'never' is not one of auto, on, off" },
		{ "prefixes: { hashicorp: true }\nprofiles: { a: { address: https://v, image: x } "
		  "}",
		  "unknown key 'hashicorp' in prefixes" },
		{ "profiles: &a { x: 1 }", "anchors" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf problems;
		struct injector_config *config = parse(cases[i].text, &problems);

		cr_expect_null(config, "%s", cases[i].text);
		cr_expect_not_null(strstr(buf_string(&problems), cases[i].problem), "%s: %s",
				   cases[i].text, buf_string(&problems));
		(void)injector_config_free(config);
		buf_deinit(&problems);
	}
}

Test(injector_config, every_mistake_is_told_at_once)
{
	struct buf problems;
	struct injector_config *config =
		parse("strict: 1\nprofiles:\n  a: { address: x, image: y, allow: zz }\n  b: {}\n",
		      &problems);

	cr_expect_null(config);
	cr_expect_not_null(strstr(buf_string(&problems), ":1:9: strict"), "%s",
			   buf_string(&problems));
	cr_expect_not_null(strstr(buf_string(&problems), "profiles.a.address"));
	cr_expect_not_null(strstr(buf_string(&problems), "profiles.a.allow"));
	cr_expect_not_null(strstr(buf_string(&problems), "profiles.b needs 'address'"));
	cr_expect_not_null(strstr(buf_string(&problems), "profiles.b needs 'image'"));
	buf_deinit(&problems);
}

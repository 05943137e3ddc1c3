/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/authority.h"

#include <string.h>

#include "tests/certs/believe.h"

#define HOUR ((int64_t)3600000)
#define NOW  (1700000000 * (int64_t)1000)

static const char *const names[] = { "injector.secrets.svc", "127.0.0.1", "::1", NULL };

static struct authority *make(int64_t now_ms, const struct authority *before)
{
	const struct buf none = { 0 };
	struct error err = ERROR_INIT;
	struct authority *made =
		authority_new("webhook CA", now_ms, 24 * HOUR, before, &none, &err);

	cr_assert_not_null(made, "%s", err.text);
	return made;
}

static int verdict(const struct buf *bundle, const struct buf *leaf, int64_t at_ms)
{
	return verdict_on(bundle, leaf, names[0], at_ms);
}

static void sign(const struct authority *authority, int64_t now_ms, struct authority_leaf *leaf)
{
	struct error err = ERROR_INIT;

	*leaf = AUTHORITY_LEAF_INIT;
	cr_assert_eq(authority_sign(authority, names, now_ms, HOUR, leaf, &err), 0, "%s", err.text);
}

static struct buf bundle_of(const struct authority *authority, int64_t now_ms, int64_t until_ms)
{
	struct buf bundle = BUF_INIT(AUTHORITY_PEM_MAX);
	struct error err = ERROR_INIT;

	cr_assert_eq(authority_write_bundle(authority, now_ms, until_ms, &bundle, &err), 0, "%s",
		     err.text);
	return bundle;
}

TestSuite(authority);

Test(authority, a_leaf_is_believed_for_its_names_and_its_life)
{
	struct authority *authority = make(NOW, NULL);
	struct buf bundle = bundle_of(authority, NOW, 0);
	struct authority_leaf leaf;
	X509 *certificate;

	sign(authority, NOW, &leaf);
	cr_expect_eq(verdict(&bundle, &leaf.cert, NOW), X509_V_OK);
	cr_expect_eq(verdict(&bundle, &leaf.cert, NOW - AUTHORITY_BACKDATE_MS), X509_V_OK,
		     "a client's clock may be behind");
	cr_expect_eq(verdict(&bundle, &leaf.cert, NOW - AUTHORITY_BACKDATE_MS - 1000),
		     X509_V_ERR_CERT_NOT_YET_VALID);
	cr_expect_eq(verdict(&bundle, &leaf.cert, NOW + HOUR - 1000), X509_V_OK);
	cr_expect_eq(verdict(&bundle, &leaf.cert, NOW + HOUR + 1000), X509_V_ERR_CERT_HAS_EXPIRED);
	cr_expect_eq(leaf.ends_ms, NOW + HOUR);
	certificate = certificate_of(&leaf.cert);
	cr_expect_eq(X509_check_ip_asc(certificate, "127.0.0.1", 0), 1);
	cr_expect_eq(X509_check_ip_asc(certificate, "::1", 0), 1);
	cr_expect_eq(X509_check_host(certificate, "other.secrets.svc", 0, 0, NULL), 0);
	cr_expect_eq(X509_check_ca(certificate), 0, "it can sign nothing");
	X509_free(certificate);
	authority_leaf_deinit(&leaf);
	buf_deinit(&bundle);
	authority = authority_free(authority);
}

Test(authority, is_written_and_read_and_signs_as_before)
{
	struct authority *first = make(NOW - HOUR, NULL), *second = make(NOW, first), *read;
	struct authority_pem pem = AUTHORITY_PEM_INIT;
	struct buf bundle = bundle_of(second, NOW, NOW + HOUR);
	struct error err = ERROR_INIT;
	struct authority_leaf leaf;

	cr_assert_eq(authority_write(second, &pem, &err), 0, "%s", err.text);
	read = authority_read(&pem, &err);
	cr_assert_not_null(read, "%s", err.text);
	cr_expect(authority_same(read, second));
	cr_expect_not(authority_same(read, first));
	cr_expect_eq(authority_made_ms(read), NOW);
	cr_expect_eq(authority_ends_ms(read), NOW + 24 * HOUR);
	sign(read, NOW, &leaf);
	cr_expect_eq(verdict(&bundle, &leaf.cert, NOW), X509_V_OK);
	authority_leaf_deinit(&leaf);
	authority_pem_deinit(&pem);
	buf_deinit(&bundle);
	first = authority_free(first);
	second = authority_free(second);
	read = authority_free(read);
}

Test(authority, those_before_are_believed_for_a_while_and_then_no_more)
{
	struct authority *first = make(NOW - HOUR, NULL), *second = make(NOW, first);
	struct buf during = bundle_of(second, NOW, NOW + 1), after = bundle_of(second, NOW, NOW);
	struct authority_leaf old;

	sign(first, NOW, &old);
	cr_expect_eq(verdict(&during, &old.cert, NOW), X509_V_OK);
	cr_expect_neq(verdict(&after, &old.cert, NOW), X509_V_OK);
	cr_expect(authority_is_in(first, during.data, during.len));
	cr_expect(authority_is_in(second, during.data, during.len));
	cr_expect_not(authority_is_in(first, after.data, after.len));
	cr_expect_not(authority_is_in(first, "", 0));
	cr_expect_not(authority_is_in(first, "no PEM", 6));
	authority_leaf_deinit(&old);
	buf_deinit(&during);
	buf_deinit(&after);
	first = authority_free(first);
	second = authority_free(second);
}

Test(authority, carries_what_was_believed_once_and_each_but_once)
{
	struct authority *first = make(NOW - HOUR, NULL), *second = make(NOW, first), *third;
	struct buf believed = bundle_of(second, NOW, NOW + HOUR), bundle;
	struct authority_pem pem = AUTHORITY_PEM_INIT;
	struct error err = ERROR_INIT;

	cr_expect(authority_is_first(first));
	cr_expect_not(authority_is_first(second));
	third = authority_new("x", NOW, HOUR, second, &believed, &err);
	cr_assert_eq(authority_write(third, &pem, &err), 0);
	bundle = bundle_of(third, NOW, NOW + HOUR);
	cr_expect(authority_is_in(first, bundle.data, bundle.len));
	cr_expect(authority_is_in(second, bundle.data, bundle.len));
	cr_expect_eq(pem.earlier.len, believed.len);
	authority_pem_deinit(&pem);
	buf_deinit(&believed);
	buf_deinit(&bundle);
	first = authority_free(first);
	second = authority_free(second);
	third = authority_free(third);
}

Test(authority, one_that_has_ended_leaves_the_bundle)
{
	struct authority *first = make(NOW - 25 * HOUR, NULL), *second = make(NOW, first);
	struct buf bundle = bundle_of(second, NOW, NOW + HOUR);

	cr_expect_not(authority_is_in(first, bundle.data, bundle.len));
	buf_deinit(&bundle);
	first = authority_free(first);
	second = authority_free(second);
}

Test(authority, carries_no_more_than_its_limit_and_drops_the_oldest)
{
	struct authority *line[AUTHORITY_EARLIER_MAX + 2];
	struct authority *last;
	struct buf bundle;

	for (size_t i = 0; i < ARRAY_SIZE(line); i++)
		line[i] = make(NOW + (int64_t)i * 1000, i > 0 ? line[i - 1] : NULL);
	last = line[ARRAY_SIZE(line) - 1];
	bundle = bundle_of(last, NOW, NOW + HOUR);
	cr_expect_not(authority_is_in(line[0], bundle.data, bundle.len));
	cr_expect(authority_is_in(line[1], bundle.data, bundle.len));
	for (size_t i = 0; i < ARRAY_SIZE(line); i++)
		line[i] = authority_free(line[i]);
	buf_deinit(&bundle);
}

Test(authority, a_leaf_ends_with_its_authority_at_the_latest)
{
	struct authority *authority = make(NOW, NULL);
	struct authority_leaf leaf;

	sign(authority, NOW + 24 * HOUR - 1000, &leaf);
	cr_expect_eq(leaf.ends_ms, NOW + 24 * HOUR);
	authority_leaf_deinit(&leaf);
	authority = authority_free(authority);
}

Test(authority, what_is_no_authority_is_refused_with_the_reason)
{
	struct authority *one = make(NOW, NULL), *other = make(NOW, NULL);
	struct authority_pem ours = AUTHORITY_PEM_INIT, theirs = AUTHORITY_PEM_INIT;
	struct authority_leaf leaf;
	struct error err = ERROR_INIT;

	cr_assert_eq(authority_write(one, &ours, &err), 0);
	cr_assert_eq(authority_write(other, &theirs, &err), 0);
	sign(one, NOW, &leaf);

	cr_expect_null(authority_read(&(struct authority_pem){ ours.cert, theirs.key, {} }, &err));
	cr_expect_eq(err.code, ERROR_INVALID);
	cr_expect_not_null(strstr(err.text, "not the one of its certificate"), "%s", err.text);
	cr_expect_null(authority_read(&(struct authority_pem){ leaf.cert, leaf.key, {} }, &err));
	cr_expect_not_null(strstr(err.text, "not one of a CA"), "%s", err.text);
	cr_expect_null(authority_read(&(struct authority_pem){ ours.key, ours.key, {} }, &err));
	cr_expect_null(authority_read(&(struct authority_pem){ ours.cert, ours.cert, {} }, &err));
	cr_expect_null(authority_read(&(struct authority_pem){ { 0 }, { 0 }, {} }, &err));
	authority_pem_deinit(&ours);
	authority_pem_deinit(&theirs);
	authority_leaf_deinit(&leaf);
	one = authority_free(one);
	other = authority_free(other);
}

Test(authority, a_name_that_would_be_read_as_more_is_refused)
{
	static const char *const bad[] = { "a.svc,DNS:evil.svc", "a b",	     "email:a@b", "",
					   "@section",		 "a.svc\nb", NULL };
	struct authority *authority = make(NOW, NULL);
	struct authority_leaf leaf = AUTHORITY_LEAF_INIT;
	struct error err = ERROR_INIT;

	for (size_t i = 0; bad[i] != NULL; i++) {
		const char *const one[] = { bad[i], NULL };

		cr_expect_eq(authority_sign(authority, one, NOW, HOUR, &leaf, &err), -1, "%s",
			     bad[i]);
		cr_expect_eq(err.code, ERROR_INVALID);
	}
	cr_expect_eq(
		authority_sign(authority, (const char *const[]){ NULL }, NOW, HOUR, &leaf, &err),
		-1);
	authority_leaf_deinit(&leaf);
	authority = authority_free(authority);
}

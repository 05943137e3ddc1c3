/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/base/macros.h"
#include "agent/base/metrics.h"

Test(metrics, a_family_has_help_type_and_samples)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(4096);

	metrics_family(&buf, "agent_reads_total", METRIC_COUNTER, "Reads,\nby secret \\ result.");
	metrics_number(&buf, "agent_reads_total",
		       METRIC_LABELS({ "secret", "db" }, { "result", "ok" }), 3);
	metrics_number(&buf, "agent_reads_total", NULL, -4);
	cr_assert_str_eq(buf_string(&buf),
			 "# HELP agent_reads_total Reads,\\nby secret \\\\ result.\n"
			 "# TYPE agent_reads_total counter\n"
			 "agent_reads_total{secret=\"db\",result=\"ok\"} 3\n"
			 "agent_reads_total -4\n");
}

Test(metrics, label_values_cannot_break_the_page)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(4096);

	metrics_number(&buf, "m", METRIC_LABELS({ "a", "x\"} 1\nn \\ \xc3\xa4 \xff" }), 1);
	cr_assert_str_eq(buf_string(&buf), "m{a=\"x\\\"} 1\\nn \\\\ \xc3\xa4 \xef\xbf\xbd\"} 1\n");
}

Test(metrics, seconds_have_milliseconds)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(4096);

	metrics_seconds(&buf, "age_seconds", NULL, 61005);
	metrics_seconds(&buf, "age_seconds", NULL, -1500);
	metrics_seconds(&buf, "age_seconds", NULL, 0);
	cr_assert_str_eq(buf_string(&buf),
			 "age_seconds 61.005\nage_seconds -1.500\nage_seconds 0.000\n");
}

Test(metrics, histograms_count_upwards_and_bounds_are_inside)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(4096);
	struct histogram histogram = { 0 };

	histogram_add(&histogram, 5);
	histogram_add(&histogram, 6);
	histogram_add(&histogram, -7);
	histogram_add(&histogram, 15001);
	metrics_histogram(&buf, "request_seconds", METRIC_LABELS({ "backend", "vault" }),
			  &histogram);
	cr_assert_not_null(strstr(buf.data,
				  "le=\"0.0025\"} 1\n"
				  "request_seconds_bucket{backend=\"vault\",le=\"0.005\"} 2\n"
				  "request_seconds_bucket{backend=\"vault\",le=\"0.01\"} 3\n"),
			   "%s", buf.data);
	cr_assert_not_null(strstr(buf.data,
				  "le=\"15.0\"} 3\n"
				  "request_seconds_bucket{backend=\"vault\",le=\"+Inf\"} 4\n"
				  "request_seconds_sum{backend=\"vault\"} 15.012\n"
				  "request_seconds_count{backend=\"vault\"} 4\n"),
			   "%s", buf.data);
	buf_reset(&buf);
	metrics_histogram(&buf, "x", NULL, &histogram);
	cr_assert_not_null(strstr(buf.data, "x_bucket{le=\"+Inf\"} 4\nx_sum 15.012\nx_count 4\n"));
}

Test(metrics, microseconds_have_their_buckets)
{
	AUTO(buf_deinit) struct buf buf = BUF_INIT(4096);
	struct histogram histogram = { 0 };

	histogram_add_us(&histogram, 50);
	histogram_add_us(&histogram, 51);
	metrics_histogram(&buf, "x", NULL, &histogram);
	cr_assert_eq(
		strncmp(buf.data, "x_bucket{le=\"0.00005\"} 1\nx_bucket{le=\"0.0001\"} 2\n", 46), 0,
		"%s", buf.data);
	cr_assert_not_null(strstr(buf.data, "x_sum 0.000101\n"));
}

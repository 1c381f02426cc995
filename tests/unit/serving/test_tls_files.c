/* SPDX-License-Identifier: Apache-2.0 */
/* SSLConfig in text, and which flags go together. */
#include <string.h>
#include "base/mem.h"
#include "serving/tls_files.h"
#include "serving/tls_keys.h"
#include "unit/test.h"

TEST(a_config_gives_its_four_fields)
{
	struct tls_texts t;
	struct err err = ERR_INIT;

	assert_int_equal(tls_texts_parse(STR("server_key: \"k\\n\" 'ey'  # comment\n"
					     "server_cert: 'cert' custom_ca: 'ca' client_verify: true"),
					 &t, &err),
			 0);
	assert_string_equal(buf_str(&t.key), "k\ney");
	assert_string_equal(buf_str(&t.cert), "cert");
	assert_string_equal(buf_str(&t.client_ca), "ca");
	assert_true(t.client_verify);
	tls_texts_done(&t);
	assert_null(t.key.data);
}

TEST(authorities_without_client_verify_demand_nothing)
{
	struct tls_texts t;
	struct err err = ERR_INIT;

	assert_int_equal(tls_texts_parse(STR("server_key: 'a' server_cert: 'b' custom_ca: 'c'"), &t, &err),
			 0);
	assert_false(t.client_verify);
	tls_texts_done(&t);
}

TEST(malformed_configs_are_refused_with_the_reason)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
	    {"", "'server_key' is missing"},
	    {"server_cert: 'a'", "'server_key' is missing"},
	    {"server_key: 'a'", "'server_cert' is missing"},
	    {"server_key: '' server_cert: 'a'", "'server_key' is missing"},
	    {"server_key: 'a' server_cert: 'b' client_verify: true", "needs 'custom_ca'"},
	    {"server_key: 'a' server_cert: 'b' client_verify: maybe", "client_verify"},
	    {"server_key: 'a' server_cert: 5", "must be a string"},
	    {"server_key: 'a' server_cert: b", "must be a string"},
	    {"server_key { }", "'server_key' is unknown"},
	    {"\n\nkey: 'a'", "line 3: field 'key' is unknown"},
	    {"server_key: 'a", "line 1"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct tls_texts t;
		struct err err = ERR_INIT;
		assert_true(tls_texts_parse(str_from(rows[i].text), &t, &err) < 0);
		if (!strstr(err.msg, rows[i].why))
			fail_msg("'%s' says '%s'", rows[i].text, err.msg);
		assert_null(t.key.data);
		assert_null(t.cert.data);
	}
}

TEST(flags_of_tls_go_together_or_not)
{
	static const struct {
		struct serving_options o;
		int r;
		bool wanted;
	} rows[] = {
	    {{0}, 0, false},
	    {{.ssl_config_file = "f"}, 0, true},
	    {{.tls_cert = "c", .tls_key = "k"}, 0, true},
	    {{.tls_cert = "c", .tls_key = "k", .tls_client_ca = "a"}, 0, true},
	    {{.tls_cert = "c"}, -ERR_INVALID, true},
	    {{.tls_key = "k"}, -ERR_INVALID, true},
	    {{.tls_client_ca = "a"}, -ERR_INVALID, true},
	    {{.ssl_config_file = "f", .tls_key = "k"}, -ERR_INVALID, true},
	    {{.plain_rest = true}, -ERR_INVALID, false},
	    {{.plain_rest = true, .rest_port = 1}, -ERR_INVALID, false},
	    {{.plain_rest = true, .ssl_config_file = "f"}, -ERR_INVALID, true},
	    {{.plain_rest = true, .ssl_config_file = "f", .rest_port = 1}, 0, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		assert_int_equal(tls_options_check(&rows[i].o, &err), rows[i].r);
		assert_int_equal(tls_wanted(&rows[i].o), rows[i].wanted);
	}
}

TEST(texts_that_are_no_key_and_certificate_are_refused)
{
	struct tls_texts t;
	struct tls_credentials *c = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(tls_texts_parse(STR("server_key: 'a' server_cert: 'b'"), &t, &err), 0);
	assert_int_equal(tls_credentials_new(&t, &c, &err), -ERR_INVALID);
	assert_null(c);
	tls_texts_done(&t);
}

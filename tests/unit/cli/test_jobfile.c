/* SPDX-License-Identifier: Apache-2.0 */
/* YAML, pyproject.toml and requirements.txt, good and bad. */
#include "base/json.h"
#include "cli/jobfile.h"
#include "unit/test.h"

static void expect_yaml(const char *yaml, const char *json)
{
	CLEANUP(json) json_t *got = NULL, *want = json_loads(json, JSON_DECODE_ANY, NULL);
	struct err err = ERR_INIT;
	EXPECT_OK(jobfile_parse_yaml(yaml, strlen(yaml), &got, &err), &err);
	if (!json_equal(got, want))
		fail_msg("'%s' became %s", yaml, json_dumps(got, JSON_ENCODE_ANY));
}

TEST(yaml_becomes_json)
{
	expect_yaml("name: a\ncommand: [python, train.py]\ncpu: 2\nmemory: 4G\n",
		    "{\"name\":\"a\",\"command\":[\"python\",\"train.py\"],\"cpu\":2,\"memory\":\"4G\"}");
	expect_yaml("env:\n  A: '1'\n  B: no\n", "{\"env\":{\"A\":\"1\",\"B\":\"no\"}}");
	expect_yaml("a: 1.5\nb: true\nc: ~\nd: -3\ne: 0x10\nf: 1.2.3\n",
		    "{\"a\":1.5,\"b\":true,\"c\":null,\"d\":-3,\"e\":\"0x10\",\"f\":\"1.2.3\"}");
	expect_yaml("{\"name\": \"json is yaml\", \"args\": [\"--x\", \"1\"]}",
		    "{\"name\":\"json is yaml\",\"args\":[\"--x\",\"1\"]}");
}

TEST(bad_yaml_is_refused_with_its_line)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
	    {"a: 1\na: 2\n", "line 2: the key 'a' is there twice"},
	    {"a: &x 1\nb: *x\n", "anchors"},
	    {"a: !!python/object 1\n", "tags"},
	    {"a: [1\n", "line"},
	    {"", "empty"},
	    {"a: 1\n---\nb: 2\n", "more than one document"},
	    {"? [a]\n: 1\n", "key must be text"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *got = NULL;
		struct err err = ERR_INIT;
		EXPECT_ERR(jobfile_parse_yaml(rows[i].text, strlen(rows[i].text), &got, &err), ERR_INVALID,
			   &err, rows[i].part);
	}
}

TEST(deep_yaml_is_refused)
{
	char text[201];
	memset(text, '[', 200);
	text[200] = '\0';
	json_t *got = NULL;
	struct err err = ERR_INIT;
	EXPECT_ERR(jobfile_parse_yaml(text, 200, &got, &err), ERR_INVALID, &err, "nested too deeply");
}

TEST(pyproject_gives_name_and_dependencies)
{
	static const char text[] =
	    "# a package\n[build-system]\nrequires = [\"setuptools>=64\"]\n"
	    "[project]\nname = \"digits\"\nversion = '0.1'\ndescription = \"\"\"several\nlines\"\"\"\n"
	    "authors = [{name = \"A\", email = \"a@b\"}]\n"
	    "dependencies = [\n  \"numpy>=1.26\", # why\n  'six',\n]\n"
	    "[project.optional-dependencies]\ntest = [\"pytest\"]\n[tool.x]\nname = \"other\"\n";
	CLEANUP(json) json_t *got = NULL;
	struct err err = ERR_INIT;
	EXPECT_OK(pyproject_parse(text, strlen(text), &got, &err), &err);
	EXPECT_STR("name", json_string_value(json_object_get(got, "name")), "digits");
	const json_t *d = json_object_get(got, "dependencies");
	assert_int_equal(json_array_size(d), 2);
	EXPECT_STR("first", json_string_value(json_array_get(d, 0)), "numpy>=1.26");
	EXPECT_STR("second", json_string_value(json_array_get(d, 1)), "six");
}

TEST(broken_pyproject_is_refused_with_its_line)
{
	static const char *const rows[] = {"[project]\nname\n", "[project]\nname = \"a\n",
					   "[project]\ndependencies = [1]\n",
					   "[project]\ndependencies = [\"a\"\n"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *got = NULL;
		struct err err = ERR_INIT;
		EXPECT_ERR(pyproject_parse(rows[i], strlen(rows[i]), &got, &err), ERR_INVALID, &err, "line");
	}
}

TEST(requirements_lose_comments_and_keep_markers)
{
	static const char text[] = "# top\nnumpy==1.2  # pin\n\nsix ; python_version < "
				   "'4'\nuvicorn[standard] \\\n  >=0.1\npkg#notacomment\n";
	CLEANUP(json) json_t *got = json_array();
	CLEANUP(json)
	json_t *want = json_pack("[s,s,s,s]", "numpy==1.2", "six ; python_version < '4'",
				 "uvicorn[standard]    >=0.1", "pkg#notacomment");
	struct err err = ERR_INIT;
	EXPECT_OK(requirements_parse(text, strlen(text), got, &err), &err);
	assert_true(json_equal(got, want));
	EXPECT_ERR(requirements_parse("-r other.txt\n", 13, got, &err), ERR_INVALID, &err, "not supported");
}

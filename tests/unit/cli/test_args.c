/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of options and the soundness of the command table. */
#include "cli/cli_int.h"
#include "core/core.h"
#include "unit/test.h"

static const struct cli_command *command(const char *group, const char *name)
{
	for (size_t i = 0; i < cli_command_count; i++)
		if (!strcmp(cli_commands[i].group, group) && !strcmp(cli_commands[i].name, name))
			return &cli_commands[i];
	fail_msg("no command %s %s", group, name);
	return NULL;
}

TEST(options_and_arguments_may_be_mixed)
{
	char *argv[] = {"folder", "--name=a", "-F", "tensorflow", "--env", "A=1",
			"-eB=2",  "-d",	      "--", "--epochs",	  "5",	   NULL};
	struct cli_args a;
	struct err err = ERR_INIT;
	EXPECT_OK(cli_parse_args(command("jobs", "submit"), 11, argv, &a, &err), &err);
	assert_int_equal(a.count, 1);
	EXPECT_STR("positional", a.positional[0], "folder");
	EXPECT_STR("name", cli_opt(&a, "name"), "a");
	EXPECT_STR("framework", cli_opt(&a, "framework"), "tensorflow");
	EXPECT_STR("first env", cli_opt_n(&a, "env", 0), "A=1");
	EXPECT_STR("second env", cli_opt_n(&a, "env", 1), "B=2");
	assert_null(cli_opt_n(&a, "env", 2));
	assert_non_null(cli_opt(&a, "detach"));
	EXPECT_STR("rest", a.rest[0], "--epochs");
}

TEST(wrong_use_is_explained)
{
	static const struct {
		const char *arg, *part;
	} rows[] = {{"--nonsense", "unknown option '--nonsense'"},
		    {"--detach=1", "takes no value"},
		    {"--name", "needs a value"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *argv[] = {(char *)rows[i].arg, NULL};
		struct cli_args a;
		struct err err = ERR_INIT;
		EXPECT_ERR(cli_parse_args(command("", "run"), 1, argv, &a, &err), ERR_INVALID, &err,
			   rows[i].part);
	}
	struct cli_args a;
	struct err err = ERR_INIT;
	EXPECT_ERR(cli_parse_args(command("jobs", "logs"), 0, NULL, &a, &err), ERR_INVALID, &err,
		   "usage: cloudml jobs logs JOB");
}

TEST(no_command_has_two_options_of_one_name_or_letter)
{
	for (size_t i = 0; i < cli_command_count; i++) {
		const char *names[64] = {0};
		char letters[64] = {0};
		int count = 0;
		const struct cli_option *const *lists = cli_commands[i].options;
		for (size_t k = 0; lists && lists[k]; k++) {
			for (const struct cli_option *o = lists[k]; o->name; o++) {
				for (int j = 0; j < count; j++) {
					assert_string_not_equal(names[j], o->name);
					assert_true(!o->letter || letters[j] != o->letter);
				}
				names[count] = o->name;
				letters[count++] = o->letter;
			}
		}
	}
}

TEST(any_text_becomes_a_name_that_the_api_takes)
{
	static const struct {
		const char *text, *label;
	} rows[] = {
	    {"train", "train"},
	    {"My_Package.Core", "my-package-core"},
	    {"_a__b_", "a-b"},
	    {"caf\xc3\xa9", "caf"},
	    {"", "job"},
	    {"...", "job"},
	    {"0123456789012345678901234567890123456789x", "0123456789012345678901234567890123456789"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char label[CLI_LABEL_MAX + 1];
		struct err err = ERR_INIT;
		cli_label(rows[i].text, strlen(rows[i].text), "job", label);
		EXPECT_STR(rows[i].text, label, rows[i].label);
		EXPECT_OK(core_name_check("name", label, &err), &err);
	}
}

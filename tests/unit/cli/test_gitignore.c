/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns against a table, and against git itself when it is there. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "cli/gitignore.h"
#include "unit/test.h"

TEST(patterns_match_as_gitignore_says)
{
	static const struct {
		const char *patterns, *path;
		int is_folder, ignored;
	} rows[] = {
	    {"*.o", "a/b/c.o", 0, 1},
	    {"/a.o", "b/a.o", 0, 0},
	    {"/a.o", "a.o", 0, 1},
	    {"build/", "build", 0, 0},
	    {"build/", "x/build", 1, 1},
	    {"a/b", "a/b", 0, 1},
	    {"a/b", "x/a/b", 0, 0},
	    {"**/b", "x/a/b", 0, 1},
	    {"**/b", "ab", 0, 0},
	    {"?**/b", "ax/y/b", 0, 0},
	    {"?**/b", "ax/b", 0, 1},
	    {"a**/b", "ab", 0, 1},
	    {"a/**", "a/x/y", 0, 1},
	    {"a/**", "a", 1, 0},
	    {"a/**/z", "a/xz", 0, 0},
	    {"a/**/z", "a/z", 0, 1},
	    {"a/**/z", "a/x/y/z", 0, 1},
	    {"*.log\n!keep.log", "keep.log", 0, 0},
	    {"# c\n\\#x", "#x", 0, 1},
	    {"x   ", "x", 0, 1},
	    {"[a-c].txt", "b.txt", 0, 1},
	    {"[!a-c].txt", "b.txt", 0, 0},
	    {"a?c", "abc", 0, 1},
	    {"a?c", "a/c", 0, 0},
	    {"a*c", "a/c", 0, 0},
	    {"*", "anything", 0, 1},
	    {"", "x", 0, 0},
	    {"[a", "[a", 0, 1},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct gitignore *g = gitignore_new();
		gitignore_add(g, "", rows[i].patterns, strlen(rows[i].patterns));
		EXPECT_INT(rows[i].patterns, gitignore_match(g, rows[i].path, rows[i].is_folder),
			   rows[i].ignored);
		gitignore_free(g);
	}
}

TEST(a_file_in_a_folder_speaks_only_for_what_is_below)
{
	struct gitignore *g = gitignore_new();
	gitignore_add(g, "sub", "/x\n*.tmp\n", 9);
	assert_true(gitignore_match(g, "sub/x", false));
	assert_true(gitignore_match(g, "sub/deep/y.tmp", false));
	assert_false(gitignore_match(g, "x", false));
	assert_false(gitignore_match(g, "y.tmp", false));
	gitignore_free(g);
}

static void random_word(char *ret, const char *alphabet, size_t max)
{
	size_t n = 1 + rng_below(&test_rng, max);
	for (size_t i = 0; i < n; i++)
		ret[i] = alphabet[rng_below(&test_rng, strlen(alphabet))];
	ret[n] = '\0';
}

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	int status = system(buf_str(&b));
	return status < 0 ? -1 : WEXITSTATUS(status);
}

/* git check-ignore is the oracle: one random pattern file, many random paths at once. */
TEST(random_patterns_agree_with_git)
{
	if (run("git --version >/dev/null 2>&1"))
		SKIP("git is not installed");
	const char *scratch = test_dir();
	CLEANUP(free) char *dir = mem_printf("%s/repo", scratch);
	assert_int_equal(run("git init -q %s", dir), 0);
	for (int round = 0; round < 40; round++) {
		struct gitignore *g = gitignore_new();
		CLEANUP(buf) struct buf patterns = BUF_INIT, paths = BUF_INIT;
		char word[32];
		for (int i = 0; i < 3; i++) {
			random_word(word, "ab*/?!", 7);
			buf_printf(&patterns, "%s\n", word);
		}
		CLEANUP(free)
		char *file = mem_printf("%s/.gitignore", dir), *list = mem_printf("%s/paths", scratch);
		CLEANUP(free) char *answer = mem_printf("%s/answer", scratch);
		FILE *f = fopen(file, "w");
		fputs(buf_str(&patterns), f);
		fclose(f);
		gitignore_add(g, "", buf_str(&patterns), patterns.len);
		f = fopen(list, "w");
		char names[30][32];
		for (int i = 0; i < 30; i++) {
			do
				random_word(names[i], "ab", 3);
			while (!strcmp(names[i], ".."));
			fprintf(f, "%s\n", names[i]);
		}
		fclose(f);
		run("cd %s && git check-ignore --no-index --non-matching --verbose --stdin < %s > %s", dir,
		    list, answer);
		f = fopen(answer, "r");
		char line[256];
		for (int i = 0; i < 30 && fgets(line, sizeof(line), f); i++) {
			char *tab = strchr(line, '\t');
			*tab = '\0';
			/* "file:line:pattern", or "::" when none matched; the last match with '!' means kept
			 */
			char *colon = strchr(line, ':'), *pattern = strchr(colon + 1, ':') + 1;
			bool ignored = colon != line && *pattern != '!';
			if (gitignore_match(g, names[i], false) != ignored)
				fail_msg("patterns\n%spath %s: git says %d", buf_str(&patterns), names[i],
					 ignored);
		}
		fclose(f);
		gitignore_free(g);
	}
}

TEST(a_pattern_made_to_be_slow_ends)
{
	char text[201];
	memset(text, 'a', 200);
	text[200] = '\0';
	assert_false(gitignore_glob("*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

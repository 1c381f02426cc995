/* SPDX-License-Identifier: Apache-2.0 */
/* What imports and files of a folder tell. */
#include <fcntl.h>
#include "base/fd.h"
#include "base/json.h"
#include "cli/detect.h"
#include "unit/test.h"

TEST(imports_are_seen_only_where_they_are_imports)
{
	static const struct {
		const char *text;
		int found;
	} rows[] = {
	    {"import tensorflow as tf\n", 1},
	    {"from tensorflow import keras\n", 1},
	    {"    import os, tensorflow\n", 1},
	    {"import tensorflow.keras\n", 1},
	    {"import tensorflow_io\n", 0},
	    {"# import tensorflow\n", 0},
	    {"x = 'import tensorflow'\n", 0},
	    {"from os import tensorflow\n", 0},
	    {"import os", 0},
	    {"", 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		EXPECT_INT(rows[i].text, detect_imports(rows[i].text, "tensorflow"), rows[i].found);
}

static void put(const char *dir, const char *name, const char *text)
{
	CLEANUP(free) char *path = mem_printf("%s/%s", dir, name);
	struct err err = ERR_INIT;
	EXPECT_OK(fd_write_file_fast(AT_FDCWD, path, text, strlen(text), 0644, &err), &err);
}

TEST(a_folder_tells_framework_and_requirements)
{
	CLEANUP(json)
	json_t *catalogue = json_pack("[{s:s,s:[s,s]},{s:s,s:[s]}]", "name", "tensorflow", "imports",
				      "tensorflow", "keras", "name", "scikit-learn", "imports", "sklearn");
	const char *dir = test_dir();
	struct detected d;
	struct err err = ERR_INIT;
	put(dir, "train.py", "import sklearn\nimport keras\n");
	put(dir, "requirements.txt", "six==1.16.0\n");
	put(dir, "pyproject.toml", "[project]\nname = \"x\"\ndependencies = [\"numpy\"]\n");
	EXPECT_OK(detect_folder(dir, catalogue, &d, &err), &err);
	EXPECT_STR("framework", d.framework, "tensorflow");
	EXPECT_STR("file", d.requirements_file, "requirements.txt");
	assert_int_equal(json_array_size(d.requirements), 1);
	assert_true(d.is_python_package);
	detected_done(&d);
}

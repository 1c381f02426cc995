/* SPDX-License-Identifier: Apache-2.0 */
/* Which token goes to which server. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/mem.h"
#include "client/client.h"

static void write_text(const char *folder, const char *name, const char *text)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_printf("%s/%s", folder, name);
	EXPECT_OK(fd_write_file(AT_FDCWD, path, text, strlen(text), 0600, &err), &err);
}

static const char *make_folder(void)
{
	const char *folder = test_dir();
	CLEANUP(free) char *run = mem_printf("%s/run", folder);
	CLEANUP(free) char *user = mem_printf("%s/cloudml", folder);
	assert_int_equal(mkdir(run, 0700), 0);
	assert_int_equal(mkdir(user, 0700), 0);
	write_text(folder, "root-token", "cml_root\n");
	write_text(folder, "run/server.json", "{\"endpoint\": \"http://127.0.0.1:8080\"}");
	write_text(folder, "cloudml/config.json",
		   "{\"endpoint\": \"https://far.example\", \"token\": \"cml_far\"}");
	setenv("XDG_CONFIG_HOME", folder, 1);
	unsetenv("CLOUDML_DATA");
	unsetenv("CLOUDML_TOKEN");
	return folder;
}

static void expect(const char *endpoint, const char *flag, const char *token)
{
	struct client_config c;
	if (endpoint)
		setenv("CLOUDML_ENDPOINT", endpoint, 1);
	else
		unsetenv("CLOUDML_ENDPOINT");
	client_config_load(flag, &c);
	EXPECT_STR(endpoint ? endpoint : "no endpoint", c.token ? c.token : "none", token);
	client_config_done(&c);
}

TEST(a_token_goes_to_no_other_server)
{
	const char *folder = make_folder();
	expect(NULL, folder, "cml_root");
	expect("http://127.0.0.1:8080", folder, "cml_root");
	expect("http://localhost:8080/", folder, "cml_root");
	expect("http://127.0.0.1:8081", folder, "none");
	expect("http://127.0.0.1:8080.evil.example", folder, "none");
	expect("http://evil.example:8080", folder, "none");
	setenv("CLOUDML_TOKEN", "cml_given", 1);
	expect("http://evil.example:8080", folder, "cml_given");
	unsetenv("CLOUDML_TOKEN");
	setenv("XDG_DATA_HOME", folder, 1);
	expect("https://far.example", NULL, "cml_far");
	expect("https://evil.example", NULL, "none");
}

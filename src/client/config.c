/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the server and the credential. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "client/client.h"

static char *absolute(const char *path)
{
	char cwd[PATH_MAX];
	if (path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return mem_strdup(path);
	return mem_printf("%s/%s", cwd, path);
}

char *client_data_folder(const char *flag)
{
	const char *env = getenv("CLOUDML_DATA"), *home = getenv("HOME"), *xdg = getenv("XDG_DATA_HOME");
	if (flag && *flag)
		return absolute(flag);
	if (env && *env)
		return absolute(env);
	if (geteuid() == 0)
		return mem_strdup("/var/lib/cloudml");
	if (xdg && xdg[0] == '/')
		return mem_printf("%s/cloudml", xdg);
	return mem_printf("%s/.local/share/cloudml", home && *home ? home : "/tmp");
}

static void take_string(const json_t *j, const char *key, char **ret)
{
	const char *s = json_string_value(json_object_get(j, key));
	if (s && *s && !*ret)
		*ret = mem_strdup(s);
}

/* A token goes to the server that it was made for, to no other that CLOUDML_ENDPOINT may name. */
static bool is_same_server(const char *endpoint, const char *other)
{
	static const char local[] = "http://localhost:";
	CLEANUP(free)
	char *named = str_starts(endpoint, local)
			  ? mem_printf("http://127.0.0.1:%s", endpoint + strlen(local))
			  : mem_strdup(endpoint);
	size_t len = strlen(named);
	while (len && named[len - 1] == '/')
		named[--len] = 0;
	return strcmp(named, other) == 0;
}

/* False when the file is about another server than the one that is known already. */
static bool load_file(const char *path, struct client_config *ret)
{
	CLEANUP(json) json_t *j = NULL;
	if (json_read_file(AT_FDCWD, path, 65536, &j, NULL) < 0)
		return !ret->endpoint;
	const char *endpoint = json_string_value(json_object_get(j, "endpoint"));
	if (ret->endpoint && (!endpoint || !is_same_server(ret->endpoint, endpoint)))
		return false;
	take_string(j, "endpoint", &ret->endpoint);
	take_string(j, "token", &ret->token);
	return true;
}

/* Folder of this user's file; owned, NULL without a home. */
static char *user_folder(void)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	if (xdg && xdg[0] == '/')
		return mem_printf("%s/cloudml", xdg);
	return home && *home ? mem_printf("%s/.config/cloudml", home) : NULL;
}

static void load_user_file(struct client_config *ret)
{
	CLEANUP(free) char *folder = user_folder();
	CLEANUP(free) char *path = folder ? mem_printf("%s/config.json", folder) : NULL;
	if (path)
		load_file(path, ret);
}

int client_config_save(const char *endpoint, const char *token, struct err *err)
{
	CLEANUP(free) char *folder = user_folder();
	if (!folder)
		return err_set(err, ERR_INVALID,
			       "HOME is not set, so there is no place for the configuration");
	CLEANUP(free) char *path = mem_printf("%s/config.json", folder);
	if (!endpoint)
		return unlink(path) < 0 && errno != ENOENT ? err_sys(err, errno, "cannot remove '%s'", path)
							   : 0;
	CLEANUP(json) json_t *j = json_pack("{s:s, s:s}", "endpoint", endpoint, "token", token);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write_pretty(j, &text);
	int r = path_make_absolute_dirs(folder, 0700, err);
	if (r >= 0)
		r = fd_write_file(AT_FDCWD, path, text.data, text.len, 0600, err);
	return r < 0 ? err_wrap(err, "writing '%s'", path) : 0;
}

static void load_root_token(struct client_config *ret)
{
	CLEANUP(free) char *path = mem_printf("%s/root-token", ret->data_folder);
	CLEANUP(buf) struct buf b = BUF_INIT;
	if (fd_read_file(AT_FDCWD, path, 4096, &b, NULL) < 0)
		return;
	size_t n = strcspn(buf_str(&b), " \r\n");
	if (n)
		ret->token = mem_strndup(b.data, n);
}

void client_config_load(const char *data_folder, struct client_config *ret)
{
	const char *endpoint = getenv("CLOUDML_ENDPOINT"), *token = getenv("CLOUDML_TOKEN");
	*ret = (struct client_config){.data_folder = client_data_folder(data_folder)};
	if (endpoint && *endpoint)
		ret->endpoint = mem_strdup(endpoint);
	if (token && *token)
		ret->token = mem_strdup(token);
	if (!data_folder && !getenv("CLOUDML_DATA"))
		load_user_file(ret);
	CLEANUP(free) char *server = mem_printf("%s/run/server.json", ret->data_folder);
	bool ours = load_file(server, ret);
	if (!ret->token && ours)
		load_root_token(ret);
}

void client_config_done(struct client_config *c)
{
	free(c->endpoint);
	free(c->token);
	free(c->data_folder);
	*c = (struct client_config){0};
}

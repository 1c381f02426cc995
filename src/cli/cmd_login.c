/* SPDX-License-Identifier: Apache-2.0 */
/* login and logout: the server and the token of this user, in a file that only they can read. */
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "base/fd.h"
#include "cli/cli_int.h"

/* One line of standard input; a terminal does not show it. */
static int read_token(const struct cli *c, char **ret, struct err *err)
{
	char line[256] = "";
	struct termios before, silent;
	bool hide = isatty(0) && tcgetattr(0, &before) == 0;
	if (hide) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		fputs("token: ", stderr);
		tcsetattr(0, TCSAFLUSH, &silent);
	}
	char *got = fgets(line, sizeof(line), stdin);
	if (hide) {
		tcsetattr(0, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	size_t len = got ? strcspn(line, " \r\n") : 0;
	if (!len)
		return err_set(
		    err, ERR_INVALID,
		    "no token on standard input; ask an administrator for one ('cloudml key create')");
	*ret = mem_strndup(line, len);
	explicit_bzero(line, sizeof(line));
	return 0;
}

int cmd_login(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(free) char *token = NULL;
	CLEANUP(json) json_t *who = NULL;
	const char *endpoint = a->count ? a->positional[0] : c->config.endpoint;
	if (!endpoint)
		return err_set(err, ERR_INVALID, "say which server: cloudml login http://HOST:PORT");
	int r = read_token(c, &token, err);
	if (r >= 0)
		r = client_new(endpoint, token, &c->client, err);
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/session", NULL, NULL, &who, err);
	if (r >= 0)
		r = client_config_save(client_endpoint(c->client), token, err);
	if (r < 0)
		return r;
	if (c->json)
		cli_print_json(who);
	else
		cli_note(c, "logged in at %s as %s of %s (%s)", client_endpoint(c->client),
			 cli_str(who, "user"), cli_str(who, "org"), cli_str(who, "role"));
	return 0;
}

int cmd_logout(struct cli *c, const struct cli_args *a, struct err *err)
{
	int r = client_config_save(NULL, NULL, err);
	if (r >= 0)
		cli_note(c, "this user's token is forgotten here; 'cloudml key revoke' ends it everywhere");
	return r;
}

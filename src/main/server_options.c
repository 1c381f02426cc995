/* SPDX-License-Identifier: Apache-2.0 */
/* Options of `cloudml server`. */
#include "main/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "client/client.h"

static const char help[] =
    "usage: cloudml server [--data FOLDER] [--listen ADDRESS:PORT] [--allow-host NAME] [--log LEVEL]\n"
    "                      [--ready-fd N]\n\n"
    "Runs the control plane in the foreground. 'cloudml up' starts it for you.\n\n"
    "  --data FOLDER          where everything is kept; default $CLOUDML_DATA, else /var/lib/cloudml for "
    "root,\n"
    "                         else ~/.local/share/cloudml\n"
    "  --listen ADDRESS:PORT  default 127.0.0.1:8080; port 0 takes a free one\n"
    "  --allow-host NAME      a host name in requests beside 'localhost' and IP addresses; may be repeated\n"
    "  --log LEVEL            debug, info, warn or error\n"
    "  --ready-fd N           descriptor that gets a line when the server answers, instead of standard "
    "output\n";

static int parse_number(const char *text, int max, int *ret)
{
	char *end = NULL;
	long n = strtol(text, &end, 10);
	if (!*text || *end || n < 0 || n > max)
		return -1;
	*ret = (int)n;
	return 0;
}

/* "127.0.0.1:8080", "[::1]:8080", ":8080", "8080". */
static int parse_listen(const char *text, struct server_options *ret, struct err *err)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (parse_number(port, 65535, &ret->port) < 0 || len >= sizeof(ret->address))
		return err_set(err, ERR_INVALID, "'%s' is not ADDRESS:PORT", text);
	if (len) {
		memcpy(ret->address, text, len);
		ret->address[len] = 0;
	}
	return 0;
}

static int take_option(const char *name, const char *value, struct server_options *ret, struct err *err)
{
	if (!strcmp(name, "--data")) {
		free(ret->data_folder);
		ret->data_folder = mem_strdup(value);
	} else if (!strcmp(name, "--listen")) {
		return parse_listen(value, ret, err);
	} else if (!strcmp(name, "--allow-host")) {
		if (ret->host_count == SERVER_HOSTS_MAX)
			return err_set(err, ERR_INVALID, "more than %d host names", SERVER_HOSTS_MAX);
		ret->host_names[ret->host_count++] = value;
	} else if (!strcmp(name, "--log")) {
		int level = log_level_parse(value);
		if (level < 0)
			return err_set(err, ERR_INVALID,
				       "'%s' is no log level; use debug, info, warn or error", value);
		log_set_level(level);
	} else if (!strcmp(name, "--ready-fd")) {
		if (parse_number(value, 1023, &ret->ready_fd) < 0)
			return err_set(err, ERR_INVALID, "'%s' is not a descriptor", value);
	} else {
		return err_set(err, ERR_INVALID, "unknown option '%s'; see 'cloudml server --help'", name);
	}
	return 0;
}

int server_options_parse(int argc, char **argv, struct server_options *ret, struct err *err)
{
	*ret = (struct server_options){.address = "127.0.0.1", .port = 8080, .ready_fd = -1};
	for (int i = 1; i < argc; i++) {
		char *equals = strchr(argv[i], '=');
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(help, stdout);
			return 1;
		}
		CLEANUP(free)
		char *name = equals ? mem_strndup(argv[i], (size_t)(equals - argv[i])) : mem_strdup(argv[i]);
		const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
		if (!value)
			return err_set(err, ERR_INVALID,
				       "option '%s' needs a value; see 'cloudml server --help'", name);
		int r = take_option(name, value, ret, err);
		if (r < 0)
			return r;
	}
	char *folder =
	    client_data_folder(ret->data_folder); /* one rule for the server and the command line */
	free(ret->data_folder);
	ret->data_folder = folder;
	return 0;
}

void server_options_done(struct server_options *o)
{
	free(o->data_folder);
	o->data_folder = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Options of `cloudml server`. */
#include "main/server.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/fd.h"
#include "api/api.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/unit.h"
#include "client/client.h"
#include "core/job.h"
#include "core/lifecycle.h"
#include "main/server_lifecycle.h"

#define PASSWORD_MAX 4096

static const char help[] =
    "usage: cloudml server [--data FOLDER] [--listen ADDRESS:PORT] [--allow-host NAME] [--label KEY=VALUE]\n"
    "                      [--log LEVEL] [--user-rate N] [--org-rate N] [--abort-uploads TIME]\n"
    "                      [--database URL] [--database-password-file FILE] [--s3-listen ADDRESS:PORT|off]\n"
    "                      [--s3-domain NAME] [--s3-tls-cert FILE --s3-tls-key FILE] [--ready-fd N]\n\n"
    "Runs the control plane in the foreground. 'cloudml up' starts it for you.\n\n"
    "  --data FOLDER          where everything is kept; default $CLOUDML_DATA, else /var/lib/cloudml for "
    "root,\n"
    "                         else ~/.local/share/cloudml\n"
    "  --listen ADDRESS:PORT  default 127.0.0.1:8080; port 0 takes a free one\n"
    "  --allow-host NAME      a host name in requests beside 'localhost' and IP addresses; may be repeated\n"
    "  --label KEY=VALUE      a label of this machine, which jobs ask for with node_labels; may be repeated\n"
    "  --user-rate N          what one user may ask, in units a second; a submission costs 1, accounting "
    "100;\n"
    "                         default 50000, 0 for no limit\n"
    "  --org-rate N           the same of one organisation; default 100000\n"
    "  --abort-uploads TIME   an upload in parts that got none for so long is forgotten; default 7d, 0 for "
    "never;\n"
    "                         the life-cycle rules of a bucket go first\n"
    "  --s3-listen ADDRESS:PORT\n"
    "                         the S3 gateway; default 127.0.0.1:8333, or a free port when that is taken; "
    "'off' for\n"
    "                         none\n"
    "  --s3-domain NAME       buckets are also BUCKET.NAME (virtual-host style)\n"
    "  --s3-tls-cert FILE, --s3-tls-key FILE\n"
    "                         PEM; the gateway speaks https then\n"
    "  --log LEVEL            debug, info, warn or error\n"
    "  --database URL         postgresql://USER@HOST:PORT/NAME keeps the metadata there instead of in the "
    "data\n"
    "                         folder; default $CLOUDML_DATABASE. The password: $PGPASSWORD, the file of the "
    "next\n"
    "                         option, $PGPASSFILE or ~/.pgpass\n"
    "                         More servers may be started on one database: one works, the others wait and "
    "pass\n"
    "                         requests on to it.\n"
    "  --database-password-file FILE\n"
    "                         its first line is the password; default $CLOUDML_DATABASE_PASSWORD_FILE\n"
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
static int parse_listen(const char *text, char address[64], int *ret_port, struct err *err)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (parse_number(port, 65535, ret_port) < 0 || len >= 64)
		return err_set(err, ERR_INVALID, "'%s' is not ADDRESS:PORT", text);
	if (len) {
		memcpy(address, text, len);
		address[len] = 0;
	}
	return 0;
}

static void replace(char **value, const char *by)
{
	if (*value)
		explicit_bzero(*value, strlen(*value));
	free(*value);
	*value = mem_strdup(by);
}

static int read_password(const char *path, struct server_options *ret, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	int r = fd_read_file(AT_FDCWD, path, PASSWORD_MAX, &text, err);
	if (r < 0)
		return err_wrap(err, "reading the password of the database");
	if (text.len)
		text.data[strcspn(text.data, "\r\n")] = 0;
	replace(&ret->database_password, buf_str(&text));
	if (text.data)
		explicit_bzero(text.data, text.len);
	return 0;
}

/* Everybody on the machine can read a command line. */
static bool has_password(const char *url)
{
	const char *host = strstr(url, "://");
	const char *at = host ? strchr(host, '@') : NULL;
	return strstr(url, "password=") || (at && memchr(host + 3, ':', (size_t)(at - host) - 3));
}

static int take_database(const char *url, bool is_public, struct server_options *ret, struct err *err)
{
	if (!str_starts(url, "postgresql://") && !str_starts(url, "postgres://"))
		return err_set(err, ERR_INVALID,
			       "the address of the database must begin with postgresql://; without one the "
			       "metadata is kept in the data folder");
	if (is_public && has_password(url))
		return err_set(err, ERR_INVALID,
			       "a password on the command line can be read by everybody on this machine; use "
			       "CLOUDML_DATABASE, PGPASSWORD or --database-password-file");
	replace(&ret->database, url);
	return 0;
}

/* Secrets leave the environment: what this process starts must not inherit them. */
static int take_environment(struct server_options *ret, struct err *err)
{
	const char *url = getenv("CLOUDML_DATABASE"), *password = getenv("PGPASSWORD");
	const char *file = getenv("CLOUDML_DATABASE_PASSWORD_FILE");
	int r = url && *url ? take_database(url, false, ret, err) : 0;
	if (r == 0 && password)
		replace(&ret->database_password, password);
	if (r == 0 && file && *file)
		r = read_password(file, ret, err);
	unsetenv("CLOUDML_DATABASE");
	unsetenv("PGPASSWORD");
	return r;
}

static int take_label(char *value, struct server_options *ret, struct err *err)
{
	int r = job_label_check("--label", value, err);
	if (r == 0 && ret->label_count == SERVER_LABELS_MAX)
		r = err_set(err, ERR_INVALID, "more than %d labels", SERVER_LABELS_MAX);
	if (r == 0)
		ret->labels[ret->label_count++] = value;
	return r;
}

static int take_abandoned(const char *value, struct server_options *ret, struct err *err)
{
	int64_t ms = 0;
	int r = unit_parse_duration_ms(value, &ms, err);
	if (r < 0)
		return err_wrap(err, "--abort-uploads");
	if (ms && (ms < LIFECYCLE_EXPIRE_MIN_MS || ms > LIFECYCLE_EXPIRE_MAX_MS))
		return err_set(
		    err, ERR_INVALID,
		    "--abort-uploads '%s' is not between a minute and a hundred years; 0 is for never",
		    value);
	ret->abandoned_ms = ms;
	return 0;
}

static int take_option(const char *name, char *value, struct server_options *ret, struct err *err)
{
	if (!strcmp(name, "--data")) {
		free(ret->data_folder);
		ret->data_folder = mem_strdup(value);
	} else if (!strcmp(name, "--listen")) {
		return parse_listen(value, ret->address, &ret->port, err);
	} else if (!strcmp(name, "--allow-host")) {
		if (ret->host_count == SERVER_HOSTS_MAX)
			return err_set(err, ERR_INVALID, "more than %d host names", SERVER_HOSTS_MAX);
		ret->host_names[ret->host_count++] = value;
	} else if (!strcmp(name, "--label")) {
		return take_label(value, ret, err);
	} else if (!strcmp(name, "--log")) {
		int level = log_level_parse(value);
		if (level < 0)
			return err_set(err, ERR_INVALID,
				       "'%s' is no log level; use debug, info, warn or error", value);
		log_set_level(level);
	} else if (!strcmp(name, "--database")) {
		return take_database(value, true, ret, err);
	} else if (!strcmp(name, "--database-password-file")) {
		return read_password(value, ret, err);
	} else if (!strcmp(name, "--user-rate") || !strcmp(name, "--org-rate")) {
		if (parse_number(value, 1000000,
				 strcmp(name, "--org-rate") ? &ret->user_rate : &ret->org_rate) < 0)
			return err_set(err, ERR_INVALID,
				       "'%s' is no rate; use units a second, 0 for no limit", value);
	} else if (!strcmp(name, "--abort-uploads")) {
		return take_abandoned(value, ret, err);
	} else if (!strcmp(name, "--s3-listen")) {
		ret->s3_given = true;
		ret->s3_off = !strcmp(value, "off");
		return ret->s3_off ? 0 : parse_listen(value, ret->s3_address, &ret->s3_port, err);
	} else if (!strcmp(name, "--s3-domain")) {
		ret->s3_domain = value;
	} else if (!strcmp(name, "--s3-tls-cert")) {
		ret->s3_certificate = value;
	} else if (!strcmp(name, "--s3-tls-key")) {
		ret->s3_key = value;
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
	*ret = (struct server_options){.address = "127.0.0.1",
				       .port = 8080,
				       .ready_fd = -1,
				       .s3_address = "127.0.0.1",
				       .s3_port = 8333,
				       .user_rate = API_USER_RATE,
				       .org_rate = API_ORG_RATE,
				       .abandoned_ms = LIFECYCLE_ABANDONED_MS};
	int r = take_environment(ret, err);
	if (r < 0)
		return r;
	for (int i = 1; i < argc; i++) {
		char *equals = strchr(argv[i], '=');
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(help, stdout);
			return 1;
		}
		CLEANUP(free)
		char *name = equals ? mem_strndup(argv[i], (size_t)(equals - argv[i])) : mem_strdup(argv[i]);
		char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
		if (!value)
			return err_set(err, ERR_INVALID,
				       "option '%s' needs a value; see 'cloudml server --help'", name);
		r = take_option(name, value, ret, err);
		if (r < 0)
			return r;
	}
	if (!ret->s3_certificate != !ret->s3_key)
		return err_set(err, ERR_INVALID, "--s3-tls-cert and --s3-tls-key go together");
	/* A server on any port is one of several: so is its gateway. */
	if (!ret->s3_given && ret->port == 0)
		ret->s3_port = 0;
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
	replace(&o->database, NULL);
	replace(&o->database_password, NULL);
}

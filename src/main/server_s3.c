/* SPDX-License-Identifier: Apache-2.0 */
/* The S3 gateway of a server and its credentials. */
#include "main/server_s3.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/store_layout.h"
#include "local/store_relay.h"
#include "local/task_socket.h"

#define SECRET_FILE "store-secret"
#define PEM_MAX (1024 * 1024)

static int read_secret(struct server_s3 *s, const char *data_folder, struct err *err)
{
	CLEANUP(free) char *path = mem_printf("%s/" SECRET_FILE, data_folder);
	CLEANUP(buf) struct buf b = BUF_INIT;
	int r = fd_read_file(AT_FDCWD, path, 64, &b, err);
	if (r == -ERR_NOT_FOUND) {
		*err = ERR_INIT;
		rng_system.fill(&rng_system, s->secret, sizeof(s->secret));
		return fd_write_file(AT_FDCWD, path, s->secret, sizeof(s->secret), 0600, err);
	}
	if (r < 0)
		return r;
	if (b.len != sizeof(s->secret))
		return err_set(
		    err, ERR_CORRUPT,
		    "'%s' is not 32 bytes; remove it for a new one: all S3 credentials change then", path);
	memcpy(s->secret, b.data, sizeof(s->secret));
	explicit_bzero(b.data, b.len);
	return 0;
}

static void derive(const struct server_s3 *s, const char *key_id, char ret[S3_SECRET_MAX + 1])
{
	char text[64], hex[DIGEST_HEX_LEN + 1];
	snprintf(text, sizeof(text), "s3 %s", key_id);
	digest_hmac(s->secret, sizeof(s->secret), text, strlen(text), hex);
	snprintf(ret, S3_SECRET_MAX + 1, "%.40s", hex); /* 160 bits, the length of Amazon's */
}

/* A TensorBoard reads the one place that it shows. */
static int find_tensorboard_key(struct server_s3 *s, const char *access_key, const char *id, int64_t attempt,
				struct s3_key *ret, struct err *err)
{
	const struct service *service;
	int r = ctl_replica_find(s->ctl, id, attempt, &service, err);
	if (r < 0)
		return r;
	derive(s, access_key, ret->secret);
	snprintf(ret->org, sizeof(ret->org), "%s", service->org);
	snprintf(ret->user, sizeof(ret->user), "%s", service->user);
	ret->reads = mem_alloc(2 * sizeof(*ret->reads));
	ret->reads[0] = mem_strdup(service->spec.uri);
	ret->reads[1] = NULL;
	return 0;
}

/* The program of a job: it reads what its user reads, and writes its own places and those that its
 * specification names. */
static int find_job_key(struct server_s3 *s, const char *access_key, struct s3_key *ret, struct err *err)
{
	char id[16];
	int64_t attempt;
	enum role role;
	const struct job *job;
	if (!store_job_key_parse(access_key, id, &attempt))
		return err_set(err, ERR_UNAUTHENTICATED, "'%.40s' is not the key of an attempt", access_key);
	if (id[0] == service_kind_letter(SERVICE_TENSORBOARD))
		return find_tensorboard_key(s, access_key, id, attempt, ret, err);
	int r = ctl_attempt_find(s->ctl, id, attempt, &job, &role, err);
	if (r < 0)
		return r;
	derive(s, access_key, ret->secret);
	snprintf(ret->org, sizeof(ret->org), "%s", job->org);
	snprintf(ret->user, sizeof(ret->user), "%s", job->user);
	ret->may_write = role >= ROLE_MEMBER;
	ret->writes = store_job_writes(job);
	return 0;
}

static int find_key(void *arg, const char *access_key, struct s3_key *ret, struct err *err)
{
	struct server_s3 *s = arg;
	struct principal who;
	if (strncmp(access_key, "job.", 4) == 0)
		return find_job_key(s, access_key, ret, err);
	int r = ctl_principal(s->ctl, access_key, &who, err);
	if (r < 0)
		return r;
	derive(s, who.key_id, ret->secret);
	snprintf(ret->org, sizeof(ret->org), "%s", who.org);
	snprintf(ret->user, sizeof(ret->user), "%s", who.user);
	ret->may_write = who.role >= ROLE_MEMBER;
	return 0;
}

int server_s3_credentials(void *arg, const struct principal *who, struct api_store_credentials *ret,
			  struct err *err)
{
	struct server_s3 *s = arg;
	if (!s->gateway)
		return err_set(err, ERR_UNAVAILABLE,
			       "this server was started without its S3 gateway (--s3-listen off)");
	snprintf(ret->access_key, sizeof(ret->access_key), "%s", who->key_id);
	derive(s, who->key_id, ret->secret);
	snprintf(ret->endpoint, sizeof(ret->endpoint), "%s", s->endpoint);
	return 0;
}

static int read_pem(const char *path, char **ret, struct err *err)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	int r = fd_read_file(AT_FDCWD, path, PEM_MAX, &b, err);
	if (r < 0)
		return err_wrap(err, "reading '%s'", path);
	*ret = buf_steal(&b);
	return 0;
}

static void note_endpoint(struct server_s3 *s, const char *address)
{
	bool is_any = !strcmp(address, "0.0.0.0");
	snprintf(s->endpoint, sizeof(s->endpoint),
		 strchr(address, ':') ? "http%s://[%s]:%d" : "http%s://%s:%d", s->key ? "s" : "",
		 is_any			  ? "127.0.0.1"
		 : !strcmp(address, "::") ? "::1"
					  : address,
		 s3_port(s->gateway));
}

int server_s3_begin(struct server_s3 *s, const struct server_options *o, struct err *err)
{
	*s = (struct server_s3){.is_off = o->s3_off};
	return s->is_off ? 0 : read_secret(s, o->data_folder, err);
}

void server_s3_task_secret(void *arg, const char *access_key, char ret[LOCAL_SECRET_MAX + 1])
{
	const struct server_s3 *s = arg;
	ret[0] = '\0';
	if (!s->is_off)
		derive(s, access_key, ret);
}

/* The door for the programs of jobs, whose shims carry their connections to it (local/store_relay.h). */
static int own_socket(const struct server_options *o, struct err *err)
{
	CLEANUP(free) char *path = mem_printf("%s/" STORE_RELAY_FOLDER, o->data_folder);
	CLEANUP(fd) int folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return err_sys(err, errno, "cannot open '%s'", path);
	return task_socket_listen(folder_fd, STORE_RELAY_SOCKET, err);
}

int server_s3_open(struct server_s3 *s, const struct server_options *o, struct loop *loop,
		   struct blob_store *blobs, struct ctl *ctl, struct err *err)
{
	int r = 0;
	s->ctl = ctl;
	if (s->is_off)
		return 0;
	if (o->s3_certificate)
		r = read_pem(o->s3_certificate, &s->certificate, err);
	if (r == 0 && o->s3_certificate)
		r = read_pem(o->s3_key, &s->key, err);
	if (r < 0)
		return r;
	struct s3_config config = {.loop = loop,
				   .blobs = blobs,
				   .address = o->s3_address,
				   .port = o->s3_port,
				   .domain = o->s3_domain,
				   .tls_certificate = s->certificate,
				   .tls_key = s->key,
				   .find_key = find_key,
				   .find_key_arg = s};
	r = config.own_fd = own_socket(o, err);
	if (r < 0)
		return r;
	r = s3_new(&config, &s->gateway, err);
	/* The usual port is a habit, not a promise: a second server on this machine takes another. */
	if (r == -ERR_CONFLICT && !o->s3_given) {
		*err = ERR_INIT;
		config.port = 0;
		r = s3_new(&config, &s->gateway, err);
	}
	if (r < 0)
		return r;
	note_endpoint(s, o->s3_address);
	log_info("server.s3 endpoint=%s", s->endpoint);
	return 0;
}

void server_s3_close(struct server_s3 *s, int grace_ms)
{
	s3_free(s->gateway, grace_ms);
	free(s->certificate);
	free(s->key);
	explicit_bzero(s, sizeof(*s));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the database, made in small parts between the commits. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "store/store_int.h"

void store_backup(struct store *s, const char *path, store_done_fn *done, void *arg)
{
	struct err err = ERR_INIT;
	pthread_mutex_lock(&s->lock);
	if (!s->tx.ops->backup_step)
		err_set(
		    &err, ERR_UNSUPPORTED,
		    "the metadata is in PostgreSQL, which has its own backups; use pg_dump or pg_basebackup");
	else if (s->failed)
		err = s->why;
	else if (s->backup.path)
		err_set(&err, ERR_BUSY, "another backup is being made; try again when it is done");
	else
		s->backup = (struct store_backup){.path = path, .done = done, .arg = arg};
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (err.code)
		done(arg, -err.code, &err);
}

bool backup_is_due(const struct store *s)
{
	return s->backup.path && !s->backup.is_finished;
}

static void finish(struct store *s, const struct err *err)
{
	pthread_mutex_lock(&s->lock);
	s->backup.is_finished = true;
	s->backup.err = *err;
	txn_post_delivery(s);
	pthread_mutex_unlock(&s->lock);
}

void backup_advance(struct store *s)
{
	struct err err = ERR_INIT;
	pthread_mutex_lock(&s->lock);
	bool is_due = backup_is_due(s), is_over = s->stopping || s->failed;
	pthread_mutex_unlock(&s->lock);
	if (!is_due)
		return;
	if (is_over) {
		s->tx.ops->backup_step(s, &s->backup.state, NULL, &err);
		err_set(&err, ERR_CANCELLED, "the store was closed before the backup was whole");
		finish(s, &err);
	} else if (s->tx.ops->backup_step(s, &s->backup.state, s->backup.path, &err) <= 0) {
		finish(s, &err);
	}
}

void backup_deliver(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	struct store_backup b = s->backup;
	if (b.is_finished)
		s->backup = (struct store_backup){0};
	pthread_mutex_unlock(&s->lock);
	if (b.is_finished)
		b.done(b.arg, -b.err.code, &b.err);
}

static int look_at(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_backup_info *info = arg;
	int r = store_check(tx, err);
	if (r >= 0)
		r = sql_int(tx, &info->jobs, err, "SELECT coalesce(sum(count), 0) FROM job_counts", "");
	info->schema = schema_version();
	return r < 0 ? r : 0;
}

int store_backup_check(const char *path, struct store_backup_info *ret, struct err *err)
{
	struct store *copy = NULL;
	struct stat st;
	*ret = (struct store_backup_info){0};
	int r = store_open(&(struct store_config){.path = path}, &copy, err);
	if (r >= 0)
		r = store_run(copy, look_at, ret, err);
	store_close(copy); /* and with it its log, which is copied into it */
	CLEANUP(fd) int fd = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (r >= 0 && (fd < 0 || fstat(fd, &st) < 0))
		r = err_sys(err, errno, "cannot read '%s'", path);
	if (r >= 0)
		r = fd_sync(fd, err);
	if (r < 0)
		return err_wrap(err, "checking the copy of the metadata");
	ret->bytes = st.st_size;
	return 0;
}

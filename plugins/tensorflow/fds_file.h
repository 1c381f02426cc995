/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files. A reader fetches ranges, ahead of whoever reads in order. A writer gathers parts; what it has
 * taken becomes visible when it is flushed, synced or closed, as a whole object each time, never as half of
 * one.
 */
#ifndef FDS_FILE_H
#define FDS_FILE_H

#include "fds_store.h"

struct fds_reader;
/* ERR_NOT_FOUND. Keeps the store. */
int fds_reader_open(struct fds_store *s, const struct fds_path *at, struct fds_reader **ret, struct err *err);
/* n bytes, or fewer at the end. The end that was learnt with the bytes before it is told once; who reads
 * there again asks the store, so that a file that grows can be followed. ERR_CONFLICT when it was replaced.
 * Thread-safe. */
ssize_t fds_reader_read(struct fds_reader *r, int64_t offset, char *data, size_t len, struct err *err);
void fds_reader_free(struct fds_reader *r); /* NULL is fine */

struct fds_writer;
/* A new file, or with append the end of the one that is there, if there is one. Keeps the store. */
int fds_writer_open(struct fds_store *s, const struct fds_path *at, bool append, struct fds_writer **ret,
		    struct err *err);
int fds_writer_append(struct fds_writer *w, const char *data, size_t len, struct err *err);
int64_t fds_writer_tell(const struct fds_writer *w);
/* All that was appended is visible and durable. Does nothing when it is already. */
int fds_writer_publish(struct fds_writer *w, struct err *err);
/* Publishes unless an append or publish has failed; then what was published before stays. */
void fds_writer_free(struct fds_writer *w);

#endif

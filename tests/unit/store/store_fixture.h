/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the store share: opening, jobs, requests in one line.
 *
 * A program whose environment has TEST_STORE=postgresql runs on a PostgreSQL of its own, which the first
 * fixture_config starts; paths are schemas in it. Tests that are about SQLite's files are in programs that
 * are not run so.
 */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include "store/store.h"
#include "unit/test.h"

/* A path of its own in the test's folder, view until the next call. */
const char *fixture_path(const char *name);
bool fixture_is_postgres(void);
const char *fixture_schema(const char *path); /* its name; view until the next call */
/* To open what 'path' stands for; ":memory:" is a new empty store. View until the next call. */
const struct store_config *fixture_config(const char *path, struct loop *loop);
struct store *fixture_open(const char *path);		   /* manual, with organisation "default" */
struct job *fixture_job(const char *id, const char *name); /* returns owned */
/* Requests that block. */
int fixture_insert(struct store *s, const char *id, struct err *err);
int fixture_has(struct store *s, const char *id); /* 1 or 0 */
/* store_check, and on SQLite the plans of all statements that were used: none may read a whole table. */
int fixture_check(struct store *s, struct err *err);
int fixture_insert_fn(struct store_tx *tx, void *id, struct err *err); /* as a request's function */

#endif

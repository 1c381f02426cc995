/* SPDX-License-Identifier: Apache-2.0 */
/* A PostgreSQL server of the test's own: in its folder, on a unix socket there, gone with it. */
#ifndef TESTS_UNIT_STORE_POSTGRES_FIXTURE_H
#define TESTS_UNIT_STORE_POSTGRES_FIXTURE_H

#include <stddef.h>
#include <sys/types.h>

/* Makes the schema when it is not there, and its address. Starts the server at the first call; skips the test
 * when PostgreSQL is not installed. */
void postgres_schema(const char *schema, char *ret_url, size_t cap);
void postgres_sql(const char *sql); /* fails the test when it fails */
/* Ends all sessions but the caller's, as a network that breaks would. */
void postgres_break_connections(void);

#endif

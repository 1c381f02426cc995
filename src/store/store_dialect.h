/* SPDX-License-Identifier: Apache-2.0 */
/* Our SQL, which is written in SQLite's words, in PostgreSQL's. */
#ifndef STORE_STORE_DIALECT_H
#define STORE_STORE_DIALECT_H

/* Placeholders, types, table options and the column "user"; what stands in quotes is left alone. Returns
 * owned. */
char *dialect_postgres(const char *sql);

/* PostgreSQL takes valid UTF-8 only. Returns owned: a copy in which bytes that are none are '?'. NULL stays
 * NULL. */
char *dialect_text(const char *text);

#endif

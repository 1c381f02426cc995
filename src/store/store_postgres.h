/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files about PostgreSQL share: the connection (store_postgres.c) and the lease (store_lease.c).
 */
#ifndef STORE_STORE_POSTGRES_H
#define STORE_STORE_POSTGRES_H

#include "store/store_int.h"
#include "store/store_pq.h"

struct postgres_db {
	const struct pq *pq;
	PGconn *conn;
	char *url, *password;	    /* owned */
	char label[200];	    /* host and database, for people */
	unsigned prepared;	    /* names of statements */
	char *address;		    /* owned; where other servers find this one */
	int64_t epoch;		    /* of our lease; 0 = none yet */
	bool release_due, save_due; /* not sent yet: they travel with the next statement */
	bool is_lost;		    /* the next transaction connects again */
};

/* The first column of the first row as a number. 1 = found, 0 = no row. Without the cache of statements. */
int postgres_number(struct store_tx *tx, const char *sql, int64_t *ret, struct err *err);

/* For a session that has just been connected: takes the database. ERR_CONFLICT: another server has it. For
 * one that had it before: ERR_STATE when another one had it meanwhile, ERR_UNAVAILABLE while our last session
 * still ends. */
int lease_take(struct store_tx *tx, struct err *err);
/* After the migration: says who we are, and begins an epoch. */
int lease_begin(struct store *s, struct err *err);
int lease_renew(struct store_tx *tx, struct err *err);

#endif

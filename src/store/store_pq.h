/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libpq, opened when a server is told to use PostgreSQL: nobody else pays for it and the libraries that it
 * brings (each command would start later), and a machine without it runs on SQLite.
 */
#ifndef STORE_STORE_PQ_H
#define STORE_STORE_PQ_H

#include <libpq-fe.h>
#include "base/err.h"

#define PQ_TABLE(X)                                                                                          \
	X(PQclear)                                                                                           \
	X(PQcmdStatus)                                                                                       \
	X(PQcmdTuples)                                                                                       \
	X(PQconnectdbParams)                                                                                 \
	X(PQconninfoFree)                                                                                    \
	X(PQconninfoParse)                                                                                   \
	X(PQenterPipelineMode)                                                                               \
	X(PQerrorMessage)                                                                                    \
	X(PQexec)                                                                                            \
	X(PQexecParams)                                                                                      \
	X(PQexecPrepared)                                                                                    \
	X(PQexitPipelineMode)                                                                                \
	X(PQfinish)                                                                                          \
	X(PQgetResult)                                                                                       \
	X(PQgetisnull)                                                                                       \
	X(PQgetlength)                                                                                       \
	X(PQgetvalue)                                                                                        \
	X(PQntuples)                                                                                         \
	X(PQpipelineSync)                                                                                    \
	X(PQprepare)                                                                                         \
	X(PQresultErrorField)                                                                                \
	X(PQresultStatus)                                                                                    \
	X(PQsendQueryPrepared)                                                                               \
	X(PQsendQueryParams)                                                                                 \
	X(PQserverVersion)                                                                                   \
	X(PQsetNoticeProcessor)                                                                              \
	X(PQstatus)                                                                                          \
	X(PQtransactionStatus)

struct pq {
#define PQ_MEMBER(name) __typeof__(name) *name;
	PQ_TABLE(PQ_MEMBER)
#undef PQ_MEMBER
};

/* Once for the process; ERR_UNSUPPORTED when there is no libpq. View for ever. */
int pq_load(const struct pq **ret, struct err *err);

#endif

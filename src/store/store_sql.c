/* SPDX-License-Identifier: Apache-2.0 */
/* Prepared statements, kept by their text and bound by a format. */
#include <stdarg.h>
#include <string.h>
#include "store/store_int.h"

static int prepare(struct store_tx *tx, const char *sql, const char *fmt, struct sql_stmt **ret,
		   struct err *err)
{
	*ret = map_get(tx->statements, sql);
	if (*ret)
		return 0;
	int r = tx->ops->prepare(tx, sql, fmt, ret, err);
	if (r >= 0)
		map_set(tx->statements, sql, *ret);
	return r;
}

static int bind_one(struct sql_stmt *st, int index, char kind, va_list *ap, struct err *err)
{
	if (kind == 's')
		return st->ops->bind_text(st, index, va_arg(*ap, const char *), err);
	return st->ops->bind_int(st, index, kind == 'i' ? va_arg(*ap, int64_t) : va_arg(*ap, int), err);
}

static int query(struct store_tx *tx, struct sql_stmt **ret, struct err *err, const char *sql,
		 const char *fmt, va_list *ap)
{
	int r = prepare(tx, sql, fmt, ret, err);
	if (r < 0)
		return r;
	(*ret)->ops->reset(*ret);
	int index = 1;
	for (const char *f = fmt; *f && r >= 0; f++)
		r = bind_one(*ret, index++, *f, ap, err);
	return r;
}

int sql_query(struct store_tx *tx, struct sql_stmt **ret, struct err *err, const char *sql, const char *fmt,
	      ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = query(tx, ret, err, sql, fmt, &ap);
	va_end(ap);
	return r;
}

int sql_step(struct store_tx *tx, struct sql_stmt *st, struct err *err)
{
	int r = st->ops->step(st, err);
	if (r <= 0)
		st->ops->reset(st);
	return r;
}

void sql_reset(struct sql_stmt *st)
{
	st->ops->reset(st);
}

int sql_exec(struct store_tx *tx, struct err *err, const char *sql, const char *fmt, ...)
{
	struct sql_stmt *st;
	va_list ap;
	va_start(ap, fmt);
	int r = query(tx, &st, err, sql, fmt, &ap);
	va_end(ap);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0)
		;
	return r < 0 ? r : st->ops->changed(st);
}

int sql_int(struct store_tx *tx, int64_t *ret, struct err *err, const char *sql, const char *fmt, ...)
{
	struct sql_stmt *st;
	va_list ap;
	va_start(ap, fmt);
	int r = query(tx, &st, err, sql, fmt, &ap);
	va_end(ap);
	if (r < 0 || (r = sql_step(tx, st, err)) <= 0)
		return r;
	*ret = sql_column_int(st, 0);
	sql_reset(st);
	return 1;
}

int64_t sql_column_int(struct sql_stmt *st, int column)
{
	return st->ops->column_int(st, column);
}

const char *sql_column_text(struct sql_stmt *st, int column)
{
	size_t len;
	return st->ops->column_text(st, column, &len);
}

size_t sql_column_bytes(struct sql_stmt *st, int column)
{
	size_t len;
	st->ops->column_text(st, column, &len);
	return len;
}

void sql_text(struct sql_stmt *st, int column, char *ret, size_t cap)
{
	size_t len;
	const char *text = st->ops->column_text(st, column, &len);
	len = len < cap ? len : cap - 1;
	memcpy(ret, text, len);
	ret[len] = 0;
}

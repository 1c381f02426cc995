/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of JSON text from strangers: size, depth, duplicate keys and NUL are checked. */
#include "base/json.h"

#include <errno.h>
#include "base/fd.h"
#include "base/mem.h"

/* jansson allows 2,048 levels and recurses; ours is checked before it starts. Only brackets outside strings
 * count. */
static bool is_too_deep(const char *text, size_t len)
{
	size_t depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return true;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return false;
}

int json_parse(const char *text, size_t len, size_t max_bytes, json_t **ret, struct err *err)
{
	if (len > max_bytes)
		return err_set(err, ERR_TOO_LARGE, "JSON of %zu bytes; at most %zu are allowed", len,
			       max_bytes);
	if (is_too_deep(text, len))
		return err_set(err, ERR_INVALID, "JSON nests deeper than %d levels", JSON_DEPTH_MAX);
	json_error_t where;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
	if (!j)
		return err_set(err, ERR_INVALID, "not valid JSON: line %d, column %d: %s", where.line,
			       where.column, where.text);
	*ret = j;
	return 0;
}

int json_read_file(int dir_fd, const char *path, size_t max_bytes, json_t **ret, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	int r = fd_read_file(dir_fd, path, max_bytes, &text, err);
	if (r < 0)
		return r;
	r = json_parse(buf_str(&text), text.len, max_bytes, ret, err);
	return r < 0 ? err_wrap(err, "reading '%s'", path) : 0;
}

/* Here and not in mem.c: who links base without JSON needs no jansson then. */
void cleanup_json(void *pp)
{
	int saved = errno;
	json_decref(*(json_t **)pp);
	errno = saved;
}

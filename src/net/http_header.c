/* SPDX-License-Identifier: Apache-2.0 */
/* Small parsers of request header values; every one meets strangers' bytes. */
#include "net/http_header.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* Digits only, at most 18 of them, so that the value always fits. */
static bool take_number(const char **s, int64_t *ret)
{
	size_t n = strspn(*s, "0123456789");
	if (n == 0 || n > 18)
		return false;
	int64_t value = 0;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + ((*s)[i] - '0');
	*s += n;
	*ret = value;
	return true;
}

enum http_range http_range_parse(const char *value, int64_t size, int64_t *ret_first, int64_t *ret_length)
{
	if (!value || strncasecmp(value, "bytes=", 6))
		return HTTP_RANGE_WHOLE;
	const char *s = value + 6;
	int64_t first = -1, last = -1;
	bool has_first = take_number(&s, &first);
	if (*s++ != '-')
		return HTTP_RANGE_WHOLE;
	bool has_last = take_number(&s, &last);
	if (*s || (!has_first && !has_last))
		return HTTP_RANGE_WHOLE;
	if (!has_first) { /* the last N bytes */
		if (last == 0 || size == 0)
			return HTTP_RANGE_UNSATISFIED;
		first = last >= size ? 0 : size - last;
		last = size - 1;
	} else {
		if (has_last && last < first)
			return HTTP_RANGE_WHOLE;
		if (first >= size)
			return HTTP_RANGE_UNSATISFIED;
		if (!has_last || last >= size)
			last = size - 1;
	}
	*ret_first = first;
	*ret_length = last - first + 1;
	return HTTP_RANGE_PART;
}

bool http_cookie_get(const char *header, const char *name, char *ret, size_t cap)
{
	size_t name_len = strlen(name);
	while (header && *header) {
		header += strspn(header, " \t;");
		size_t len = strcspn(header, ";");
		if (len > name_len && !strncmp(header, name, name_len) && header[name_len] == '=') {
			const char *value = header + name_len + 1;
			size_t value_len = len - name_len - 1;
			while (value_len && (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
				value_len--;
			if (value_len >= 2 && value[0] == '"' && value[value_len - 1] == '"') {
				value++;
				value_len -= 2;
			}
			if (value_len >= cap)
				return false;
			memcpy(ret, value, value_len);
			ret[value_len] = 0;
			return true;
		}
		header += len;
	}
	return false;
}

bool http_etag_matches(const char *header, const char *etag)
{
	size_t etag_len = strlen(etag);
	while (header && *header) {
		header += strspn(header, " \t,");
		if (*header == '*')
			return true;
		if (!strncmp(header, "W/", 2))
			header += 2;
		if (*header != '"')
			return false;
		const char *end = strchr(++header, '"');
		if (!end)
			return false;
		if ((size_t)(end - header) == etag_len && !memcmp(header, etag, etag_len))
			return true;
		header = end + 1;
	}
	return false;
}

/* Splits "name", "name:80", "[::1]:80"; false when malformed. */
static bool split_host(const char *host, char *name, size_t cap)
{
	const char *end;
	if (*host == '[') {
		end = strchr(++host, ']');
		if (!end)
			return false;
	} else {
		end = host + strcspn(host, ":");
	}
	size_t len = (size_t)(end - host);
	if (len == 0 || len >= cap)
		return false;
	memcpy(name, host, len);
	name[len] = 0;
	if (*end == ']')
		end++;
	if (!*end)
		return true;
	return *end == ':' && strlen(end + 1) <= 5 && end[1 + strspn(end + 1, "0123456789")] == 0;
}

bool http_host_is_allowed(const char *host, const char *const *names)
{
	char name[256];
	unsigned char address[16];
	if (!host || !split_host(host, name, sizeof(name)))
		return false;
	if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
		return true;
	if (!strcasecmp(name, "localhost"))
		return true;
	for (size_t i = 0; names && names[i]; i++)
		if (!strcasecmp(name, names[i]))
			return true;
	return false;
}

bool http_origin_is_host(const char *origin, const char *host)
{
	if (!strncmp(origin, "http://", 7))
		return !strcasecmp(origin + 7, host);
	if (!strncmp(origin, "https://", 8))
		return !strcasecmp(origin + 8, host);
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for single values of a specification. */
#include "core/spec_check.h"

#include <string.h>
#include "base/buf.h"
#include "core/uri.h"

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

int spec_check_name(const char *key, const char *value, struct err *err)
{
	return core_name_check(key, value, err);
}

int spec_check_module(const char *key, const char *value, struct err *err)
{
	bool start = true;
	for (const char *p = value; *p; p++) {
		if (start ? !(is_alpha(*p) || *p == '_')
			  : !(is_alpha(*p) || is_digit(*p) || *p == '_' || *p == '.'))
			goto bad;
		start = *p == '.';
	}
	if (!start)
		return 0;
bad:
	return err_set(err, ERR_INVALID, "%s '%.80s' is not a dotted Python name such as 'trainer.task'", key,
		       value);
}

int spec_check_uri(const char *key, const char *value, struct err *err)
{
	struct uri u;
	int r = uri_parse(value, &u, err);
	return r < 0 ? err_wrap(err, "%s", key) : 0;
}

int spec_check_object(const char *key, const char *value, struct err *err)
{
	struct uri u;
	int r = uri_parse(value, &u, err);
	if (r < 0)
		return err_wrap(err, "%s", key);
	if (!u.key[0] || u.key[strlen(u.key) - 1] == '/')
		return err_set(err, ERR_INVALID, "%s '%.120s' names a folder; name one object", key, value);
	return 0;
}

/* The line ends up in a file that an installer reads, where a leading or inner '-' is an option (an index, an
 * editable path, a file to include) and a final backslash joins the next line. */
int spec_check_requirement(const char *key, const char *value, struct err *err)
{
	size_t len = strlen(value);
	if (!is_alpha(value[0]) && !is_digit(value[0]))
		return err_set(err, ERR_INVALID, "%s: '%.80s' does not start with a package name", key,
			       value);
	if (has_control(value))
		return err_set(err, ERR_INVALID, "%s: '%.20s…' contains a control character", key, value);
	if (strstr(value, " -") || value[len - 1] == '\\')
		return err_set(err, ERR_INVALID, "%s: '%.80s' contains an option; only packages are allowed",
			       key, value);
	if (strcasestr(value, "file:"))
		return err_set(
		    err, ERR_INVALID,
		    "%s: '%.80s' is a path of the machine; put the package into your code or name a version",
		    key, value);
	return 0;
}

int spec_check_env(const char *key, const char *value, struct err *err)
{
	size_t len = strcspn(value, "=");
	bool ok = len > 0 && len <= 255 && value[len] == '=' && !is_digit(value[0]);
	for (size_t i = 0; ok && i < len; i++)
		ok = is_alpha(value[i]) || is_digit(value[i]) || value[i] == '_';
	if (!ok)
		return err_set(
		    err, ERR_INVALID,
		    "%s: '%.*s' is not a variable's name; use letters, digits and '_', not first a digit",
		    key, (int)(len > 80 ? 80 : len), value);
	if (str_starts(value, "LD_") || str_starts(value, "CLOUDML_"))
		return err_set(err, ERR_INVALID,
			       "%s: '%.*s' is reserved; names with LD_ and CLOUDML_ cannot be set", key,
			       (int)(len > 80 ? 80 : len), value);
	return 0;
}

int spec_check_label(const char *key, const char *value, struct err *err)
{
	size_t name = strcspn(value, "="), len = strlen(value);
	bool ok = name > 0 && value[name] == '=' && name + 1 < len && len <= SPEC_LABEL_MAX;
	for (size_t i = 0; ok && i < len; i++)
		ok = i == name || is_alpha(value[i]) || is_digit(value[i]) || strchr("._-/", value[i]);
	return ok ? 0
		  : err_set(err, ERR_INVALID,
			    "%s: '%.80s' is not a label; write 'key=value' with letters, digits and '._-/'",
			    key, value);
}

int spec_check_version(const char *key, const char *value, struct err *err)
{
	for (const char *p = value; *p; p++)
		if (!is_alpha(*p) && !is_digit(*p) && !strchr(".+-_", *p))
			return err_set(err, ERR_INVALID, "%s '%.40s' is not a version such as '2.21.0'", key,
				       value);
	return 0;
}

int spec_check_job_id(const char *key, const char *value, struct err *err)
{
	bool ok = value[0] == 'j' && strlen(value) == 10;
	for (const char *p = value; ok && *p; p++)
		ok = (*p >= 'a' && *p <= 'z') || is_digit(*p);
	return ok ? 0
		  : err_set(err, ERR_INVALID,
			    "%s '%.40s' is not a job's id ('j' and nine characters); see 'cloudml jobs list'",
			    key, value);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The monitoring configuration file. */
#include "serving/monitoring.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/mem.h"
#include "serving/text_proto.h"

#define CONFIG_BYTES_MAX 65536
#define PATH_BYTES_MAX 512

struct config {
	bool enable;
	const char *path;
};

static int read_prometheus(struct text_proto *t, struct config *c, struct err *err)
{
	struct text_proto_field f;
	int event;

	while ((event = text_proto_next(t, &f, err)) > 0 && event != TEXT_PROTO_CLOSE) {
		int r = 0;
		if (event == TEXT_PROTO_VALUE && str_eq(f.name, "enable"))
			r = text_proto_bool(t, &f, &c->enable, err);
		else if (event == TEXT_PROTO_VALUE && str_eq(f.name, "path"))
			r = text_proto_string(t, &f, PATH_BYTES_MAX, &c->path, err);
		else
			return text_proto_fail(t, &f, "is unknown; 'enable' and 'path' are understood", err);
		if (r < 0)
			return r;
	}
	return event;
}

static int read_config(struct text_proto *t, struct config *c, struct err *err)
{
	struct text_proto_field f;
	int event;

	while ((event = text_proto_next(t, &f, err)) > 0) {
		if (event != TEXT_PROTO_OPEN || !str_eq(f.name, "prometheus_config"))
			return text_proto_fail(t, &f, "is unknown; 'prometheus_config' is understood", err);
		event = read_prometheus(t, c, err);
		if (event < 0)
			return event;
	}
	if (event >= 0 && c->path[0] && c->path[0] != '/')
		return err_set(err, ERR_INVALID, "path '%s' does not begin with '/'", c->path);
	return event;
}

int monitoring_parse(struct str text, char **ret_path, struct err *err)
{
	struct arena arena = ARENA_INIT(CONFIG_BYTES_MAX);
	struct config c = {.path = ""};
	struct text_proto t;
	int r = text_proto_init(&t, text, &arena, err);

	if (r >= 0)
		r = read_config(&t, &c, err);
	if (r >= 0)
		*ret_path = c.enable ? mem_strdup(c.path[0] ? c.path : MONITORING_PATH) : NULL;
	arena_done(&arena);
	return r < 0 ? r : 0;
}

int monitoring_read(const char *config_file, char **ret_path, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	int r;

	if (!config_file || !config_file[0]) {
		*ret_path = mem_strdup(MONITORING_PATH);
		return 0;
	}
	r = fd_read_file(AT_FDCWD, config_file, CONFIG_BYTES_MAX, &text, err);
	if (r >= 0)
		r = monitoring_parse((struct str){buf_str(&text), text.len}, ret_path, err);
	return r < 0 ? err_wrap(err, "--monitoring_config_file '%s'", config_file) : 0;
}

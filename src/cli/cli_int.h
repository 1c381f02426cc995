/* SPDX-License-Identifier: Apache-2.0 */
/* What only the command line's files share: the table's types, parsed arguments, output. */
#ifndef CLI_CLI_INT_H
#define CLI_CLI_INT_H

#include <stdbool.h>
#include <stdio.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "client/client.h"

struct cli_option {
	const char *name; /* without dashes; NULL ends the list */
	char letter;	  /* 0 = none */
	const char *arg;  /* NULL = a flag; else the word in help */
	const char *help;
};
struct cli;
struct cli_args;
typedef int cli_run_fn(struct cli *c, const struct cli_args *a,
		       struct err *err); /* 0, negative error, or exit status > 0 */
struct cli_command {
	const char *group; /* "" for top level */
	const char *name;
	const char *usage; /* positional arguments: "JOB", "[PATH]", "-- COMMAND…" */
	const char *summary;
	const char *detail;			 /* more for --help and the man page; NULL = none */
	const struct cli_option *const *options; /* NULL-terminated list of option lists; NULL = none */
	int min_args, max_args; /* positional; max -1 = any; what follows '--' is not counted */
	cli_run_fn *run;
};
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
extern const struct cli_option cli_global_options[];

/* Parsed arguments; all views into argv. */
#define CLI_OPTIONS_MAX 300
struct cli_args {
	const struct cli_command *command;
	struct {
		const char *name, *value;
	} options[CLI_OPTIONS_MAX];
	int option_count;
	char **positional; /* count entries */
	int count;
	char **rest; /* after '--', NULL-terminated; NULL when there was no '--' */
};
const char *cli_opt(const struct cli_args *a,
		    const char *name); /* the last value; "" for a flag; NULL absent */
const char *cli_opt_n(const struct cli_args *a, const char *name,
		      int n); /* the n-th value, NULL past the end */
int cli_parse_args(const struct cli_command *command, int argc, char **argv, struct cli_args *ret,
		   struct err *err);

struct cli {
	const struct cli_hooks *hooks;
	bool json, yes, quiet;
	bool tty_out, tty_err, color;
	const char *data_flag;
	struct client_config config;
	struct client *client; /* made by cli_connect */
	json_t *changed;       /* see cli_changed; NULL unless the command changes things */
};
/* Makes c->client. ERR_UNAVAILABLE "there is no server…; run 'cloudml up'". */
int cli_connect(struct cli *c, struct err *err);
/* From here on the server of the data folder is meant, whatever environment and configuration say. */
void cli_mean_own_server(struct cli *c);
void cli_new_key(char ret[33]); /* fresh idempotency key */

/* Output (output.c). */
void cli_print_json(const json_t *j);
struct cli_column {
	const char *title;
	bool right; /* aligned */
};
/* rows: array of arrays of strings. */
void cli_print_table(const struct cli *c, const struct cli_column *columns, size_t count, const json_t *rows);
const char *cli_color(const struct cli *c, const char *word); /* escape of a state word, "" without colour */
const char *cli_color_end(const struct cli *c);
void cli_print_safe(FILE *f, const char *text); /* control characters of foreign text are made visible */
void cli_note(const struct cli *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3))); /* stderr, unless --quiet */
/* One thing that the command has changed: a note for people; with --json 'item' (taken; strings, or the API's
 * noun) becomes an element of {"data": […]}, which is printed at the end, also when a later one failed. The
 * command begins with c->changed = json_array(). */
void cli_changed(struct cli *c, json_t *item, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void cli_hint(const struct cli *c, const char *command, const char *what); /* "  cloudml …   what" */
/* Times for people; JSON and lines for programs have Unix milliseconds or RFC 3339. */
void cli_format_span(int64_t ms, char ret[32]);	       /* "1h 5m", "42s"; "350ms" below one second */
void cli_format_age(int64_t since_ms, char ret[32]);   /* span until now, at least "1s"; "-" for 0 */
void cli_format_time(int64_t wall_ms, char ret[32]);   /* "2026-01-31 10:00:00", local time */
const char *cli_str(const json_t *j, const char *key); /* "" when absent */
int64_t cli_int(const json_t *j, const char *key);
int64_t cli_now_ms(void);

#define CLI_LABEL_MAX 40
/* A name that the API takes (RFC 1123 label) from any text; 'fallback' when nothing is left of it. */
void cli_label(const char *text, size_t len, const char *fallback, char ret[CLI_LABEL_MAX + 1]);
/* "NAME[:VERSION]" into the fields framework and framework_version. */
void cli_put_framework(json_t *spec, const char *value);

/* Looks up JOB: "-" or "last" = the newest job. *ret owned. */
int cli_get_job(struct cli *c, const char *id, json_t **ret, struct err *err);
/* Shows a job live until it ends or Ctrl-C (attach.c). Returns the exit status that follows the job. */
int cli_attach_job(struct cli *c, const json_t *job, struct err *err);
/* Waits until a model is ready, with progress; ERR_STATE when it failed. *ret owned. */
int cli_wait_model(struct cli *c, const char *name, json_t **ret, struct err *err);

/* What job the flags, the job file and the command after '--' describe; connects. *ret owned. submit.c */
int cli_spec_of_args(struct cli *c, const struct cli_args *a, json_t **ret, struct err *err);
int cli_submit_batch(struct cli *c, const struct cli_args *a, struct err *err); /* submit_batch.c */

cli_run_fn cmd_backup, cmd_restore;
cli_run_fn cmd_up, cmd_down, cmd_status, cmd_doctor, cmd_console, cmd_version;
cli_run_fn cmd_run, cmd_jobs_submit, cmd_jobs_list, cmd_jobs_describe, cmd_jobs_logs, cmd_jobs_events,
    cmd_jobs_metrics, cmd_jobs_attach, cmd_jobs_cancel, cmd_jobs_delete;
cli_run_fn cmd_serve, cmd_models_create, cmd_models_list, cmd_models_describe, cmd_models_delete,
    cmd_tensorboard_create, cmd_tensorboard_list, cmd_tensorboard_describe, cmd_tensorboard_open,
    cmd_tensorboard_logs, cmd_tensorboard_delete, cmd_models_predict, cmd_models_logs, cmd_models_events,
    cmd_models_update, cmd_models_metrics;
cli_run_fn cmd_cron_create, cmd_cron_list, cmd_cron_describe, cmd_cron_pause, cmd_cron_resume,
    cmd_cron_delete;
cli_run_fn cmd_store_ls, cmd_store_cp, cmd_store_cat, cmd_store_rm, cmd_store_mb, cmd_store_credentials,
    cmd_store_stat, cmd_store_versioning, cmd_store_du, cmd_store_fsck, cmd_store_mount, cmd_store_unmount,
    cmd_store_presign, cmd_store_mv, cmd_store_sync, cmd_store_lifecycle;
cli_run_fn cmd_org_create, cmd_org_list, cmd_org_describe, cmd_org_update, cmd_org_delete;
cli_run_fn cmd_user_create, cmd_user_list, cmd_user_update, cmd_user_delete;
cli_run_fn cmd_key_create, cmd_key_list, cmd_key_revoke, cmd_key_rotate;
cli_run_fn cmd_explain;
cli_run_fn cmd_quota_get, cmd_quota_set, cmd_quota_list, cmd_usage, cmd_events, cmd_login, cmd_logout;
cli_run_fn cmd_frameworks, cmd_completion, cmd_help, cmd_man;

#endif

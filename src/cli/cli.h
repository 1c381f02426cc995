/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front door of the command line: one file per group of commands, one table (cli_table.c) from which
 * dispatch, help, completion and the man page are made.
 *
 * To add a command: write a cli_run_fn in cmd_GROUP.c, declare it in cli_int.h, add its row to cli_table.c.
 * Every command: errors to stderr with what to do next, --json prints the API's own JSON, exit status from
 * err_exit().
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include "base/err.h"

/* What the program's main offers that the room may not reach itself. */
struct cli_hooks {
	/* Array of {"check", "ok", "detail", "hint"}; returns owned. */
	int (*doctor)(const char *data_folder, json_t **ret, struct err *err);
};
int cli_main(int argc, char **argv, const struct cli_hooks *hooks); /* returns the exit status */

#endif

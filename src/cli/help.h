/* SPDX-License-Identifier: Apache-2.0 */
/* Help, completion and the man page, all made of the command table. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>
#include "cli/cli_int.h"

void help_overview(FILE *f);
void help_group(FILE *f, const char *group);
void help_command(FILE *f, const struct cli_command *command);
int help_unknown(const char *group, const char *word,
		 struct err *err); /* ERR_INVALID with the nearest command */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The program `cloudml`: three commands that other parts of it start, and the command line. */
#include <string.h>
#include "cli/cli.h"
#include "local/local.h"
#include "main/server.h"

int main(int argc, char **argv)
{
	static const struct cli_hooks hooks = {.doctor = local_doctor};
	const char *command = argc > 1 ? argv[1] : "";
	if (!strcmp(command, "server"))
		return server_main(argc - 1, argv + 1);
	if (!strcmp(command, "shim"))
		return local_shim_main(argc - 1, argv + 1);
	if (!strcmp(command, "unpack"))
		return local_unpack_main(argc - 1, argv + 1);
	return cli_main(argc, argv, &hooks);
}

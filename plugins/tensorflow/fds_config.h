/* SPDX-License-Identifier: Apache-2.0 */
/* Where the store is and who we are: from the environment, never printed. */
#ifndef FDS_CONFIG_H
#define FDS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

struct fds_config {
	char host[256]; /* without brackets */
	char port[8];
	char authority[272];				/* as in the Host header */
	char access_key[129], secret[129], token[4097]; /* token "" = none */
	char region[64];
	size_t part_bytes;	 /* of a multipart upload; at least 5 MiB */
	size_t read_ahead_bytes; /* at most that much is fetched before it is asked for */
	int timeout_ms;		 /* without a byte */
	int attempts;		 /* of one call */
	int pause_ms;		 /* before the second attempt; doubles */
};

/* 'get' is getenv. With is_fds, Xiaomi's names are taken where Amazon's are not set. ERR_INVALID,
 * ERR_UNAUTHENTICATED; an https endpoint is ERR_UNSUPPORTED. */
int fds_config_read(bool is_fds, char *(*get)(const char *name), struct fds_config *ret, struct err *err);

#endif

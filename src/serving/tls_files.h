/* SPDX-License-Identifier: Apache-2.0 */
/* Key, certificate and authorities for TLS, as the flags name them: one SSLConfig in text that holds them
 * (--ssl_config_file), or files of their own (--tls_cert, --tls_key, --tls_client_ca). */
#ifndef SERVING_TLS_FILES_H
#define SERVING_TLS_FILES_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "serving/serving.h"

#define TLS_FILE_BYTES_MAX ((size_t)1 << 20) /* of each file */

struct tls_texts {
	struct buf key, cert, client_ca; /* PEM */
	bool client_verify;		 /* clients must show a certificate of client_ca */
};

bool tls_wanted(const struct serving_options *o);
/* ERR_INVALID when flags are missing or do not go together. */
int tls_options_check(const struct serving_options *o, struct err *err);
/* The texts of the files that the options name. On failure *ret is empty. */
int tls_texts_read(const struct serving_options *o, struct tls_texts *ret, struct err *err);
/* The same from the text of an SSLConfig. */
int tls_texts_parse(struct str config, struct tls_texts *ret, struct err *err);
void tls_texts_done(struct tls_texts *t); /* wipes the key */

/* What changes when one of the files is written or replaced; the same for the same files. */
struct tls_stamp {
	struct {
		uint64_t device, inode, size;
		int64_t seconds, nanoseconds;
	} files[3];
};
void tls_stamp_take(const struct serving_options *o, struct tls_stamp *ret);

#endif

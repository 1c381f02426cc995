/* SPDX-License-Identifier: Apache-2.0 */
/* The credentials of the TLS side: read at the start, read anew when their files change. Connections keep
 * those that they began with. */
#ifndef SERVING_TLS_KEYS_H
#define SERVING_TLS_KEYS_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include "serving/serving.h"
#include "serving/tls_files.h"

/* Counted; used on the loop's thread only. */
struct tls_credentials {
	unsigned refs;
	gnutls_certificate_credentials_t certificate;
	bool client_verify;
};
void tls_credentials_unref(struct tls_credentials *c); /* NULL is fine */
/* From texts. ERR_INVALID when they are no key and certificate that belong together. */
int tls_credentials_new(const struct tls_texts *t, struct tls_credentials **ret, struct err *err);

struct tls_keys;

/* Keeps 'o'. Reads the files; whatever is wrong with them is an error. */
int tls_keys_new(const struct serving_options *o, struct tls_keys **ret, struct err *err);
void tls_keys_free(struct tls_keys *k); /* NULL is fine */
/* A reference to what the files hold now; when they changed and are of no use, to what they held before, and
 * the log says why. */
struct tls_credentials *tls_keys_current(struct tls_keys *k);
/* A server's session on the non-blocking 'fd', which it borrows: versions, ciphers, ALPN, client's
 * certificate. Borrows 'c' until gnutls_deinit. */
int tls_session_new(struct tls_keys *k, struct tls_credentials *c, int fd, gnutls_session_t *ret,
		    struct err *err);

#endif

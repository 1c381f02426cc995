/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials and sessions on GnuTLS, see tls_keys.h. */
#include "serving/tls_keys.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"

/* TLS 1.2 and 1.3 with forward secrecy and authenticated encryption: none of what RFC 9113 (appendix A)
 * forbids for HTTP/2. */
#define PRIORITY                                                                                             \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"                        \
	"-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:%SERVER_PRECEDENCE"
#define HANDSHAKE_BYTES_MAX 65536 /* of one message: a client's chain of certificates */

struct tls_keys {
	const struct serving_options *options;
	gnutls_priority_t priority;
	struct tls_stamp stamp; /* of the files as they were last read, or tried */
	struct tls_credentials *now;
};

void tls_credentials_unref(struct tls_credentials *c)
{
	if (!c || --c->refs > 0)
		return;
	gnutls_certificate_free_credentials(c->certificate);
	free(c);
}

static gnutls_datum_t datum(const struct buf *b)
{
	return (gnutls_datum_t){(unsigned char *)b->data, (unsigned)b->len};
}

static int fill(gnutls_certificate_credentials_t to, const struct tls_texts *t, struct err *err)
{
	gnutls_datum_t cert = datum(&t->cert), key = datum(&t->key), ca = datum(&t->client_ca);
	int r = gnutls_certificate_set_x509_key_mem2(to, &cert, &key, GNUTLS_X509_FMT_PEM, NULL, 0);

	if (r < 0)
		return err_set(err, ERR_INVALID, "certificate and key cannot be used: %s",
			       gnutls_strerror(r));
	if (!t->client_verify)
		return 0;
	r = gnutls_certificate_set_x509_trust_mem(to, &ca, GNUTLS_X509_FMT_PEM);
	if (r <= 0)
		return err_set(err, ERR_INVALID, "there is no certificate for checking clients: %s",
			       r < 0 ? gnutls_strerror(r) : "the text holds none");
	return 0;
}

int tls_credentials_new(const struct tls_texts *t, struct tls_credentials **ret, struct err *err)
{
	struct tls_credentials *c = MEM_NEW(struct tls_credentials);
	int r;

	c->refs = 1;
	c->client_verify = t->client_verify;
	if (gnutls_certificate_allocate_credentials(&c->certificate) < 0) {
		free(c);
		return err_set(err, ERR_NO_MEMORY, "no memory for TLS");
	}
	r = fill(c->certificate, t, err);
	if (r < 0)
		tls_credentials_unref(c);
	else
		*ret = c;
	return r;
}

/* The stamp comes first: what is written in between is read again next time. */
static int read_files(struct tls_keys *k, struct err *err)
{
	struct tls_texts texts;
	struct tls_credentials *c;
	int r;

	tls_stamp_take(k->options, &k->stamp);
	r = tls_texts_read(k->options, &texts, err);
	if (r < 0)
		return r;
	r = tls_credentials_new(&texts, &c, err);
	tls_texts_done(&texts);
	if (r < 0)
		return err_wrap(err, "'%s'",
				k->options->ssl_config_file ? k->options->ssl_config_file
							    : k->options->tls_cert);
	tls_credentials_unref(k->now);
	k->now = c;
	return 0;
}

int tls_keys_new(const struct serving_options *o, struct tls_keys **ret, struct err *err)
{
	struct tls_keys *k = MEM_NEW(struct tls_keys);
	int r = 0;

	k->options = o;
	if (gnutls_priority_init(&k->priority, PRIORITY, NULL) < 0)
		r = err_set(err, ERR_INTERNAL, "the TLS library does not know our ciphers");
	if (r >= 0)
		r = read_files(k, err);
	if (r < 0)
		tls_keys_free(k);
	else
		*ret = k;
	return r;
}

void tls_keys_free(struct tls_keys *k)
{
	if (!k)
		return;
	if (k->priority)
		gnutls_priority_deinit(k->priority);
	tls_credentials_unref(k->now);
	free(k);
}

struct tls_credentials *tls_keys_current(struct tls_keys *k)
{
	struct tls_stamp stamp;
	struct err err = ERR_INIT;

	tls_stamp_take(k->options, &stamp);
	if (memcmp(&stamp, &k->stamp, sizeof(stamp)) != 0) {
		if (read_files(k, &err) < 0)
			log_warn("tls.kept error=%s", err.msg);
		else
			log_info("tls.reloaded");
	}
	k->now->refs++;
	return k->now;
}

/* Clients that speak both get HTTP/1.1: gRPC clients offer h2 only, all others come for REST. */
static int offer_protocols(gnutls_session_t session)
{
	const gnutls_datum_t protocols[] = {{(unsigned char *)"http/1.1", 8}, {(unsigned char *)"h2", 2}};

	return gnutls_alpn_set_protocols(session, protocols, ARRAY_LEN(protocols),
					 GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE);
}

int tls_session_new(struct tls_keys *k, struct tls_credentials *c, int fd, gnutls_session_t *ret,
		    struct err *err)
{
	gnutls_session_t session;

	if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS) < 0)
		return err_set(err, ERR_NO_MEMORY, "no memory for a TLS connection");
	if (gnutls_priority_set(session, k->priority) < 0 ||
	    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, c->certificate) < 0 ||
	    offer_protocols(session) < 0) {
		gnutls_deinit(session);
		return err_set(err, ERR_INTERNAL, "cannot set up a TLS connection");
	}
	gnutls_handshake_set_max_packet_length(session, HANDSHAKE_BYTES_MAX);
	gnutls_handshake_set_timeout(session, 0); /* the caller has a timer */
	gnutls_transport_set_int(session, fd);
	if (c->client_verify) {
		static gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
							.data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
		gnutls_session_set_verify_cert2(session, &purpose, 1, 0);
	}
	*ret = session;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: bearer tokens against the keys held in memory; who may change something. */
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "ctl/ctl_int.h"

static void key_keep(void *arg, const struct store_key *key)
{
	struct ctl *c = arg;
	struct store_key *copy = MEM_NEW(struct store_key);
	*copy = *key;
	map_set(c->keys, key->id, copy);
}

int auth_load(struct store_tx *tx, struct ctl *c, struct err *err)
{
	return store_key_each(tx, key_keep, c, err);
}

static int not_valid(struct err *err)
{
	return err_set(err, ERR_UNAUTHENTICATED, "the token is not valid; run 'cloudml login'");
}

static bool has_expired(struct ctl *c, const struct store_key *key)
{
	return key->expires_ms && key->expires_ms <= ctl_wall(c);
}

static void take_principal(const struct store_key *key, struct principal *ret)
{
	*ret = (struct principal){.role = key->role};
	memcpy(ret->org, key->org, sizeof(ret->org));
	memcpy(ret->user, key->user, sizeof(ret->user));
	memcpy(ret->key_id, key->id, sizeof(key->id));
}

int ctl_authenticate(struct ctl *c, const char *token, struct principal *ret, struct err *err)
{
	/* An unknown key is compared too, so that the answer takes as long. */
	static const struct store_key nobody = {.secret_sha256 = "-"};
	char id[STORE_KEY_ID_MAX + 1], sha256[DIGEST_HEX_LEN + 1];
	int r = store_token_parse(token, id, sha256, err);
	if (r < 0)
		return r;
	const struct store_key *known = map_get(c->keys, id);
	const struct store_key *key = known ? known : &nobody;
	bool is_same = digest_equal(key->secret_sha256, sha256, DIGEST_HEX_LEN);
	if (!known || !is_same || has_expired(c, key))
		return not_valid(err);
	take_principal(key, ret);
	return 0;
}

int ctl_principal(struct ctl *c, const char *key_id, struct principal *ret, struct err *err)
{
	const struct store_key *key = map_get(c->keys, key_id);
	if (!key || has_expired(c, key))
		return not_valid(err);
	take_principal(key, ret);
	return 0;
}

int auth_may_change(const struct principal *who, struct err *err)
{
	if (who->role == ROLE_VIEWER)
		return err_set(
		    err, ERR_DENIED,
		    "user '%s' may only look in organisation '%s'; ask an administrator for the role member",
		    who->user, who->org);
	return 0;
}

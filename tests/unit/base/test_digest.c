/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256; the vectors are from FIPS 180-2, appendix B. */
#include "unit/test.h"

#include "base/digest.h"

TEST(the_published_vectors_come_out)
{
	char hex[DIGEST_HEX_LEN + 1];
	digest_of("abc", 3, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_of("", 0, hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	struct digest d;
	digest_init(&d);
	for (int i = 0; i < 1000; i++) {
		char block[1000];
		memset(block, 'a', sizeof(block));
		digest_update(&d, block, sizeof(block));
	}
	digest_hex(&d, hex);
	assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(equal_compares_all_bytes)
{
	assert_true(digest_equal("same", "same", 4));
	assert_false(digest_equal("same", "sama", 4));
	assert_true(digest_equal("same", "sama", 3));
	assert_true(digest_equal("", "", 0));
}

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

/* RFC 4231, test cases 1 and 6. */
TEST(the_published_vectors_of_hmac_come_out)
{
	char hex[DIGEST_HEX_LEN + 1], key[131];
	memset(key, 0x0b, 20);
	digest_hmac(key, 20, "Hi There", 8, hex);
	EXPECT_STR("1", hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	memset(key, 0xaa, sizeof(key));
	const char long_text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	digest_hmac(key, sizeof(key), long_text, sizeof(long_text) - 1, hex);
	EXPECT_STR("6", hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(equal_compares_all_bytes)
{
	assert_true(digest_equal("same", "same", 4));
	assert_false(digest_equal("same", "sama", 4));
	assert_true(digest_equal("same", "sama", 3));
	assert_true(digest_equal("", "", 0));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of "Amazon S3 API Reference, Signature Calculations for the Authorization Header". */
#include "fds_sign.h"
#include "base/mem.h"
#include "unit/test.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define FILE_HASH "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define HOST                                                                                                 \
	{                                                                                                    \
		"host", "examplebucket.s3.amazonaws.com"                                                     \
	}
#define DATE                                                                                                 \
	{                                                                                                    \
		"x-amz-date", "20130524T000000Z"                                                             \
	}

static const struct {
	const char *name, *method, *path, *query, *hash;
	struct fds_header headers[6];
	const char *signature;
} vectors[] = {
    {"get object",
     "GET",
     "/test.txt",
     "",
     EMPTY,
     {HOST, {"range", "bytes=0-9"}, {"x-amz-content-sha256", EMPTY}, DATE},
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"put object",
     "PUT",
     "/test%24file.text",
     "",
     FILE_HASH,
     {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
      HOST,
      {"x-amz-content-sha256", FILE_HASH},
      DATE,
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"get lifecycle",
     "GET",
     "/",
     "lifecycle=",
     EMPTY,
     {HOST, {"x-amz-content-sha256", EMPTY}, DATE},
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"list objects",
     "GET",
     "/",
     "max-keys=2&prefix=J",
     EMPTY,
     {HOST, {"x-amz-content-sha256", EMPTY}, DATE},
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

TEST(requests_are_signed_as_amazon_shows_it)
{
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct fds_signing s = {.method = vectors[i].method,
					.path = vectors[i].path,
					.query = vectors[i].query,
					.headers = vectors[i].headers,
					.payload_hash = vectors[i].hash,
					.date = "20130524T000000Z",
					.access_key = "AKIAIOSFODNN7EXAMPLE",
					.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
					.region = "us-east-1"};
		while (s.header_count < 6 && s.headers[s.header_count].name)
			s.header_count++;
		CLEANUP(buf) struct buf b = BUF_INIT;
		fds_sign(&s, &b);
		const char *signature = strstr(buf_str(&b), ",Signature=");
		assert_non_null(signature);
		EXPECT_STR(vectors[i].name, signature + strlen(",Signature="), vectors[i].signature);
		assert_true(str_starts(
		    b.data, "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
			    "aws4_request,SignedHeaders="));
		assert_null(strstr(b.data, "wJalr"));
	}
}

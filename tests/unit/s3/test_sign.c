/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier with the examples of the Amazon S3 API Reference, and each of them with something wrong. */
#include "unit/test.h"

#include <stdlib.h>
#include "base/mem.h"
#include "s3/s3_int.h"

#define KEY "AKIAIOSFODNN7EXAMPLE"
#define SCOPE "20130524/us-east-1/s3/aws4_request"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define AUTH(headers, signature)                                                                             \
	"AWS4-HMAC-SHA256 Credential=" KEY "/" SCOPE ",SignedHeaders=" headers ",Signature=" signature
#define EXAMPLE_MS INT64_C(1369353600000) /* 2013-05-24T00:00:00Z */
#define HEADERS_MAX 12

static int64_t example_ms = EXAMPLE_MS;

static int64_t example_time(struct clock *c)
{
	return example_ms;
}

static int find_key(void *arg, const char *access_key, struct s3_key *ret, struct err *err)
{
	if (strcmp(access_key, KEY) != 0)
		return err_set(err, ERR_UNAUTHENTICATED, "no such key");
	*ret = (struct s3_key){.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", .org = "o"};
	return 0;
}

struct example {
	const char *name, *method, *target;
	const char *headers[HEADERS_MAX][2];
	const char *bucket, *key; /* as they are understood */
};

static const struct example examples[] = {
    {"GET an object",
     "GET",
     "/test.txt",
     {{"Host", "examplebucket.s3.amazonaws.com"},
      {"Range", "bytes=0-9"},
      {"x-amz-content-sha256", EMPTY},
      {"x-amz-date", "20130524T000000Z"},
      {"Authorization", AUTH("host;range;x-amz-content-sha256;x-amz-date",
			     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")}},
     "examplebucket",
     "test.txt"},
    {"PUT an object",
     "PUT",
     "/test%24file.text",
     {{"Host", "examplebucket.s3.amazonaws.com"},
      {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
      {"x-amz-date", "20130524T000000Z"},
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
      {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"},
      {"Authorization", AUTH("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
			     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")}},
     "examplebucket",
     "test$file.text"},
    {"GET a bucket's lifecycle",
     "GET",
     "/?lifecycle",
     {{"Host", "examplebucket.s3.amazonaws.com"},
      {"x-amz-date", "20130524T000000Z"},
      {"x-amz-content-sha256", EMPTY},
      {"Authorization", AUTH("host;x-amz-content-sha256;x-amz-date",
			     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")}},
     "examplebucket",
     ""},
    {"list objects",
     "GET",
     "/?max-keys=2&prefix=J",
     {{"Host", "examplebucket.s3.amazonaws.com"},
      {"x-amz-date", "20130524T000000Z"},
      {"x-amz-content-sha256", EMPTY},
      {"Authorization", AUTH("host;x-amz-content-sha256;x-amz-date",
			     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")}},
     "examplebucket",
     ""},
    {"a presigned address",
     "GET",
     "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" KEY
     "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
     "X-Amz-SignedHeaders=host&"
     "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
     {{"Host", "examplebucket.s3.amazonaws.com"}},
     "examplebucket",
     "test.txt"},
    {"an upload in signed chunks",
     "PUT",
     "/examplebucket/chunkObject.txt",
     {{"Host", "s3.amazonaws.com"},
      {"x-amz-date", "20130524T000000Z"},
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
      {"x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
      {"Content-Encoding", "aws-chunked"},
      {"x-amz-decoded-content-length", "66560"},
      {"Content-Length", "66824"},
      {"Authorization", AUTH("content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-"
			     "decoded-content-length;x-amz-storage-class",
			     "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")}},
     "examplebucket",
     "chunkObject.txt"},
    {"an upload in signed chunks with a trailer",
     "PUT",
     "/examplebucket/chunkObject.txt",
     {{"Host", "s3.amazonaws.com"},
      {"x-amz-date", "20130524T000000Z"},
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
      {"x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"},
      {"Content-Encoding", "aws-chunked"},
      {"x-amz-decoded-content-length", "66560"},
      {"x-amz-trailer", "x-amz-checksum-crc32c"},
      {"Content-Length", "66824"},
      {"Authorization",
       AUTH("content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
	    "x-amz-storage-class;x-amz-trailer",
	    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e")}},
     "examplebucket",
     "chunkObject.txt"},
};

struct sent { /* a request without a socket */
	struct clock clock;
	struct s3 s3;
	struct http_exchange x;
	struct s3_request r;
};

/* 'skip' leaves a header out, -1 = none. */
static enum s3_error verify(struct sent *s, const struct example *e, const char *target, int skip)
{
	s->clock = (struct clock){.wall_ms = example_time, .monotonic_ms = example_time};
	s->s3 =
	    (struct s3){.config = {.find_key = find_key, .domain = "s3.amazonaws.com", .clock = &s->clock}};
	s->x = (struct http_exchange){.method = e->method, .target = target, .arena = ARENA_INIT(1 << 20)};
	s->r = (struct s3_request){.s3 = &s->s3, .x = &s->x};
	for (int i = 0; i < HEADERS_MAX && e->headers[i][0]; i++)
		if (i != skip)
			request_add_header(&s->r, e->headers[i][0], e->headers[i][1]);
	enum s3_error r = request_parse(&s->r, target);
	return r ? r : sign_verify(&s->r);
}

static void sent_done(struct sent *s)
{
	arena_done(&s->x.arena);
}

TEST(the_published_examples_are_accepted)
{
	for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
		const struct example *e = &examples[i];
		struct sent s;
		EXPECT_STR(e->name, error_word(verify(&s, e, e->target, -1)), "");
		EXPECT_STR(e->name, s.r.bucket, e->bucket);
		EXPECT_STR(e->name, s.r.key, e->key);
		EXPECT_STR(e->name, s.r.who.org, "o");
		sent_done(&s);
	}
}

/* What is signed and left out; Date counts only when it is signed. */
TEST(an_example_without_one_of_its_headers_is_refused)
{
	for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
		const struct example *e = &examples[i];
		for (int skip = 0; skip < HEADERS_MAX && e->headers[skip][0]; skip++) {
			/* Content-Length is not among the signed headers of the last one. */
			if (i == 6 && strcmp(e->headers[skip][0], "Content-Length") == 0)
				continue;
			struct sent s;
			assert_int_not_equal(verify(&s, e, e->target, skip), S3_OK);
			sent_done(&s);
		}
	}
}

/* Every bit of every byte of what is signed: 0 accepted but for the same meaning in other letters. */
TEST(an_example_with_a_bit_changed_in_its_target_is_refused)
{
	int tried = 0;
	for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
		const struct example *e = &examples[i];
		for (size_t at = 1; e->target[at]; at++)
			for (int bit = 0; bit < 8; bit++) {
				CLEANUP(free) char *target = mem_strdup(e->target);
				target[at] ^= (char)(1 << bit);
				bool is_hex_case =
				    e->target[at - 1] == '%' || (at > 1 && e->target[at - 2] == '%');
				bool ends = target[at] == '\0' || target[at] == '#';
				if ((is_hex_case && bit == 5) || ends)
					continue;
				struct sent s;
				enum s3_error r = verify(&s, e, target, -1);
				if (r == S3_OK)
					fail_msg("%s: '%s' was accepted", e->name, target);
				sent_done(&s);
				tried++;
			}
	}
	print_message("%d changed targets, 0 accepted\n", tried);
}

TEST(an_example_at_another_time_is_refused)
{
	static const struct {
		int64_t minutes;
		bool ok_header, ok_query;
	} rows[] = {{14, true, true},	 {-14, true, true},	 {16, false, true},
		    {-16, false, false}, {24 * 60, false, true}, {24 * 60 + 1, false, false}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sent s;
		example_ms = EXAMPLE_MS + rows[i].minutes * 60000;
		assert_int_equal(verify(&s, &examples[0], examples[0].target, -1) == S3_OK,
				 rows[i].ok_header);
		sent_done(&s);
		assert_int_equal(verify(&s, &examples[4], examples[4].target, -1) == S3_OK, rows[i].ok_query);
		sent_done(&s);
	}
	example_ms = EXAMPLE_MS;
}

/* ---- chunks ---- */

static int add_data(void *arg, const char *data, size_t len, struct err *err)
{
	*(size_t *)arg += len;
	return 0;
}

static void ignore_trailer(void *arg, const char *name, const char *value)
{
}

static const struct s3_chunk_ops ops = {add_data, ignore_trailer};

static enum s3_error decode(const struct example *e, struct buf *body, size_t *ret_bytes)
{
	struct sent s;
	struct s3_chunks c;
	struct err err = ERR_INIT;
	assert_int_equal(verify(&s, e, e->target, -1), S3_OK);
	chunks_init(&c, s.r.payload, &s.r.signing, &ops, ret_bytes);
	int r = chunks_take(&c, body->data, body->len, &err);
	enum s3_error failed = r < 0 ? c.failed : chunks_end(&c);
	chunks_done(&c);
	sent_done(&s);
	return failed;
}

static void add_chunk(struct buf *b, size_t len, const char *signature)
{
	buf_printf(b, "%zx;chunk-signature=%s\r\n", len, signature);
	for (size_t i = 0; i < len; i++)
		buf_addc(b, 'a');
	if (len)
		buf_adds(b, "\r\n");
}

static const struct {
	size_t example;
	const char *signatures[3], *trailer;
} streams[] = {
    {5,
     {"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
      "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
      "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
     ""},
    {6,
     {"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
      "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
      "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"},
     "x-amz-checksum-crc32c:sOO8/Q==\r\n"
     "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"}};

static void add_stream(struct buf *b, size_t i)
{
	add_chunk(b, 65536, streams[i].signatures[0]);
	add_chunk(b, 1024, streams[i].signatures[1]);
	add_chunk(b, 0, streams[i].signatures[2]);
	buf_printf(b, "%s\r\n", streams[i].trailer);
}

TEST(the_published_chunks_are_accepted)
{
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		CLEANUP(buf) struct buf b = BUF_INIT;
		size_t bytes = 0;
		add_stream(&b, i);
		EXPECT_STR("stream", error_word(decode(&examples[streams[i].example], &b, &bytes)), "");
		assert_int_equal(bytes, 66560);
	}
}

TEST(a_changed_byte_of_chunks_or_trailer_is_refused)
{
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		CLEANUP(buf) struct buf b = BUF_INIT;
		add_stream(&b, i);
		for (size_t at = 0; at < b.len - 2; at += (at > 200 && at < 65000) ? 4099 : 7) {
			size_t bytes = 0;
			b.data[at] ^= 1;
			assert_int_not_equal(decode(&examples[streams[i].example], &b, &bytes), S3_OK);
			b.data[at] ^= 1;
		}
	}
}

TEST(chunks_that_are_dropped_swapped_or_of_another_form_are_refused)
{
	const char *const *sig = streams[0].signatures;
	size_t bytes = 0;
	CLEANUP(buf) struct buf dropped = BUF_INIT;
	add_chunk(&dropped, 65536, sig[0]);
	add_chunk(&dropped, 0, sig[2]);
	buf_adds(&dropped, "\r\n");
	assert_int_equal(decode(&examples[5], &dropped, &bytes), S3_SIGNATURE);
	CLEANUP(buf) struct buf swapped = BUF_INIT;
	add_chunk(&swapped, 1024, sig[1]);
	add_chunk(&swapped, 65536, sig[0]);
	add_chunk(&swapped, 0, sig[2]);
	buf_adds(&swapped, "\r\n");
	assert_int_equal(decode(&examples[5], &swapped, &bytes), S3_SIGNATURE);
	CLEANUP(buf) struct buf other = BUF_INIT;
	add_stream(&other, 0); /* no trailer where one was promised */
	assert_int_equal(decode(&examples[6], &other, &bytes), S3_SIGNATURE);
	CLEANUP(buf) struct buf cut = BUF_INIT;
	add_chunk(&cut, 65536, sig[0]);
	assert_int_equal(decode(&examples[5], &cut, &bytes), S3_INCOMPLETE_BODY);
}

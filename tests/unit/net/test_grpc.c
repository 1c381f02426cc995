/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC message framing, time limits and status texts. */
#include "net/grpc.h"
#include "unit/test.h"

TEST(a_message_is_put_together_from_any_pieces)
{
	static const char stream[] = "\0\0\0\0\x0bhello world";

	for (size_t piece = 1; piece < sizeof(stream); piece++) {
		struct grpc_reader r = {0};
		struct err err = ERR_INIT;
		size_t at = 0, used;
		while (at < sizeof(stream) - 1) {
			size_t n = sizeof(stream) - 1 - at < piece ? sizeof(stream) - 1 - at : piece;
			assert_false(grpc_reader_complete(&r));
			EXPECT_OK(grpc_reader_feed(&r, stream + at, n, 100, &used, &err), &err);
			EXPECT_INT("used", (int64_t)used, (int64_t)n);
			at += n;
		}
		assert_true(grpc_reader_complete(&r));
		EXPECT_INT("length", (int64_t)r.message_len, 11);
		assert_memory_equal(r.message, "hello world", 11);
		assert_true((uintptr_t)r.message % GRPC_MESSAGE_ALIGN == 0);
		grpc_reader_done(&r);
	}
}

TEST(a_second_message_is_left_unread)
{
	struct grpc_reader r = {0};
	struct err err = ERR_INIT;
	size_t used;

	EXPECT_OK(grpc_reader_feed(&r, "\0\0\0\0\1a\0\0\0\0\1b", 12, 100, &used, &err), &err);
	EXPECT_INT("used", (int64_t)used, 6);
	assert_true(grpc_reader_complete(&r));
	grpc_reader_done(&r);
}

TEST(a_message_over_the_limit_is_refused_before_memory_is_taken)
{
	struct grpc_reader r = {0};
	struct err err = ERR_INIT;
	size_t used;

	EXPECT_ERR(grpc_reader_feed(&r, "\0\xff\xff\xff\xff", 5, 1000, &used, &err), ERR_TOO_LARGE, &err,
		   "larger than max");
	assert_null(r.message);
	grpc_reader_done(&r);
	EXPECT_ERR(grpc_reader_feed(&r, "\2\0\0\0\1", 5, 1000, &used, &err), ERR_INVALID, &err,
		   "compression flag");
	grpc_reader_done(&r);
}

TEST(memory_grows_with_what_arrives_not_with_what_is_declared)
{
	struct grpc_reader r = {0};
	struct err err = ERR_INIT;
	size_t used;

	EXPECT_OK(grpc_reader_feed(&r, "\0\x10\0\0\0abc", 8, (size_t)1 << 30, &used, &err), &err);
	assert_true(r.cap <= (size_t)1 << 20);
	grpc_reader_done(&r);
}

TEST(timeouts_read_as_their_units_say)
{
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {{"1n", 1},
		    {"20u", 20000},
		    {"100m", 100000000},
		    {"3S", 3000000000},
		    {"2M", 120000000000},
		    {"1H", 3600000000000},
		    {"99999999H", INT64_MAX},
		    {"00000001S", 1000000000}};
	static const char *const bad[] = {"", "S", "1", "1x", "-1S", "123456789S", "1 S", "1.5S"};
	struct err err = ERR_INIT;
	int64_t ns;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EXPECT_OK(grpc_timeout_parse(str_from(rows[i].text), &ns, &err), &err);
		EXPECT_INT(rows[i].text, ns, rows[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_ERR(grpc_timeout_parse(str_from(bad[i]), &ns, &err), ERR_INVALID, &err,
			   "grpc-timeout");
}

TEST(a_status_text_survives_the_wire)
{
	struct buf encoded = BUF_INIT, decoded = BUF_INIT;

	grpc_message_encode(&encoded, "50% of \"m\xc3\xb6glich\"\n");
	EXPECT_STR("encoded", buf_str(&encoded), "50%25 of \"m%C3%B6glich\"%0A");
	grpc_message_decode(&decoded, (struct str){encoded.data, encoded.len});
	EXPECT_STR("decoded", buf_str(&decoded), "50% of \"m\xc3\xb6glich\"\n");
	buf_clear(&decoded);
	grpc_message_decode(&decoded, STR("100% %4"));
	EXPECT_STR("malformed stays", buf_str(&decoded), "100% %4");
	EXPECT_STR("name", grpc_status_name(GRPC_NOT_FOUND), "NOT_FOUND");
	EXPECT_STR("unknown", grpc_status_name(99), "UNKNOWN");
	EXPECT_INT("err", grpc_status_err(GRPC_NOT_FOUND), ERR_NOT_FOUND);
	buf_done(&encoded);
	buf_done(&decoded);
}

static size_t third_byte(const void *head, size_t len)
{
	return len > 3 ? 3 : 0;
}

TEST(a_payload_within_the_message_can_be_aligned_instead)
{
	struct grpc_reader r = {.payload_offset = third_byte};
	struct err err = ERR_INIT;
	static char bytes[100000];
	size_t used;

	EXPECT_OK(grpc_reader_feed(&r, "\0\0\1\x86\xa0", 5, 1 << 20, &used, &err), &err);
	for (size_t at = 0; at < sizeof(bytes); at += 10000)
		EXPECT_OK(grpc_reader_feed(&r, bytes + at, 10000, 1 << 20, &used, &err), &err);
	assert_true(grpc_reader_complete(&r));
	assert_true(((uintptr_t)r.message + 3) % GRPC_MESSAGE_ALIGN == 0);
	grpc_reader_done(&r);
}

TEST(an_empty_message_is_a_message)
{
	struct grpc_reader r = {0};
	struct err err = ERR_INIT;
	size_t used;

	EXPECT_OK(grpc_reader_feed(&r, "\0\0\0\0\0", 5, 100, &used, &err), &err);
	assert_true(grpc_reader_complete(&r));
	EXPECT_INT("length", (int64_t)r.message_len, 0);
	grpc_reader_done(&r);
}

TEST(a_message_that_is_no_text_is_told_as_text)
{
	struct buf b = BUF_INIT;

	grpc_message_encode(&b, "50% \xc3\xa4\xff\xc3");
	EXPECT_STR("encoded", buf_str(&b), "50%25 %C3%A4%EF%BF%BD%EF%BF%BD");
	buf_done(&b);
}

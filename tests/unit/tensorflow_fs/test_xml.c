/* SPDX-License-Identifier: Apache-2.0 */
#include "fds_xml.h"
#include "base/buf.h"
#include "base/mem.h"
#include "unit/test.h"

TEST(a_list_is_read)
{
	static const char text[] =
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<ListBucketResult "
	    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>a/</Prefix>"
	    "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
	    "<NextContinuationToken>t&amp;1</NextContinuationToken>"
	    "<Contents><Key>a/b%20c%26</Key><LastModified>2013-05-24T00:00:00.250Z</"
	    "LastModified><ETag>&quot;x&quot;</ETag>"
	    "<Size>42</Size></Contents><CommonPrefixes><Prefix>a/d/</Prefix></CommonPrefixes></"
	    "ListBucketResult>";
	struct err err = ERR_INIT;
	CLEANUP(fds_list) struct fds_list l = {0};
	EXPECT_OK(fds_xml_list(text, sizeof(text) - 1, &l, &err), &err);
	EXPECT_INT("count", (int64_t)l.count, 2);
	assert_string_equal(l.entries[0].key, "a/b c&");
	EXPECT_INT("size", l.entries[0].size, 42);
	assert_true(l.entries[0].modified_ns == 1369353600250000000);
	assert_string_equal(l.entries[1].key, "a/d/");
	assert_true(l.entries[1].is_prefix);
	assert_string_equal(l.token, "t&1");
}

TEST(lists_that_are_none_are_refused)
{
	static const char *const rows[] = {
	    "",
	    "no xml",
	    "<ListBucketResult>",
	    "<Other/>",
	    "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
	    "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
	    "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%4</Key></Contents></"
	    "ListBucketResult>",
	    "<!DOCTYPE x [<!ENTITY e \"y\">]><ListBucketResult/>",
	    "<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>",
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		CLEANUP(fds_list) struct fds_list l = {0};
		EXPECT_INT(rows[i], fds_xml_list(rows[i], strlen(rows[i]), &l, &err), -ERR_BACKEND);
		EXPECT_INT(rows[i], (int64_t)l.count, 0);
	}
}

TEST(a_text_without_end_is_refused)
{
	struct err err = ERR_INIT;
	CLEANUP(buf) struct buf b = BUF_INIT;
	CLEANUP(fds_list) struct fds_list l = {0};
	buf_adds(&b, "<ListBucketResult><Contents><Key>");
	while (b.len < 10000)
		buf_adds(&b, "0123456789");
	buf_adds(&b, "</Key></Contents></ListBucketResult>");
	EXPECT_ERR(fds_xml_list(b.data, b.len, &l, &err), ERR_BACKEND, &err, "XML");
}

TEST(a_late_error_is_an_error)
{
	static const char text[] = "<Error><Code>InternalError</Code><Message>try\nagain</Message></Error>";
	struct err err = ERR_INIT;
	char value[32], code[64], message[256];
	EXPECT_ERR(fds_xml_value(text, sizeof(text) - 1, "CopyObjectResult/ETag", value, sizeof(value), &err),
		   ERR_UNAVAILABLE, &err, "InternalError: try?again");
	fds_xml_error(text, sizeof(text) - 1, code, message);
	assert_string_equal(code, "InternalError");
	fds_xml_error("<html>", 6, code, message);
	assert_string_equal(code, "");
}

TEST(values_are_found_by_their_path)
{
	static const char text[] = "<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>abc</UploadId>"
				   "</InitiateMultipartUploadResult>";
	struct err err = ERR_INIT;
	char value[4], small[3];
	const char *path = "InitiateMultipartUploadResult/UploadId";
	EXPECT_OK(fds_xml_value(text, sizeof(text) - 1, path, value, sizeof(value), &err), &err);
	assert_string_equal(value, "abc");
	EXPECT_ERR(fds_xml_value(text, sizeof(text) - 1, path, small, sizeof(small), &err), ERR_BACKEND, &err,
		   "longer");
}

TEST(what_was_not_deleted_is_counted)
{
	static const char text[] = "<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error>"
				   "<Error><Key>b</Key><Code>Other</Code></Error></DeleteResult>";
	struct err err = ERR_INIT;
	size_t failed;
	char code[64];
	EXPECT_OK(fds_xml_deleted(text, sizeof(text) - 1, &failed, code, &err), &err);
	EXPECT_INT("failed", (int64_t)failed, 2);
	assert_string_equal(code, "AccessDenied");
	EXPECT_OK(fds_xml_deleted("<DeleteResult/>", 15, &failed, code, &err), &err);
	EXPECT_INT("failed", (int64_t)failed, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of Server-Sent Events. */
#include "net/sse.h"
#include "unit/test.h"

TEST(every_line_of_data_gets_its_own_field)
{
	static const struct {
		const char *data, *text;
	} rows[] = {
	    {"{}", "event: job\ndata: {}\n\n"},
	    {"a\nb", "event: job\ndata: a\ndata: b\n\n"},
	    {"a\r\nb\rc", "event: job\ndata: a\ndata: b\ndata: c\n\n"},
	    {"", "event: job\ndata: \n\n"},
	    {"a\n", "event: job\ndata: a\ndata: \n\n"},
	    {NULL, "event: job\n\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buf b = BUF_INIT;
		sse_event(&b, "job", rows[i].data);
		EXPECT_STR(rows[i].data, buf_str(&b), rows[i].text);
		buf_done(&b);
	}
}

TEST(a_comment_is_one_line)
{
	struct buf b = BUF_INIT;
	sse_comment(&b, "alive");
	EXPECT_STR("comment", buf_str(&b), ": alive\n\n");
	buf_done(&b);
}

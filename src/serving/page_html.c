/* SPDX-License-Identifier: Apache-2.0 */
/* The models as HTML. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "net/grpc.h"
#include "serving/metrics.h"
#include "serving/page.h"

void html_add(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		switch (text.data[i]) {
		case '<':
			buf_adds(b, "&lt;");
			break;
		case '>':
			buf_adds(b, "&gt;");
			break;
		case '&':
			buf_adds(b, "&amp;");
			break;
		case '"':
			buf_adds(b, "&quot;");
			break;
		case '\'':
			buf_adds(b, "&#39;");
			break;
		default:
			buf_addc(b, text.data[i]);
		}
	}
}

void html_adds(struct buf *b, const char *text)
{
	html_add(b, str_from(text));
}

void page_begin(struct buf *b, const char *title)
{
	buf_adds(b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
	html_adds(b, title);
	buf_adds(b, "</title>\n<link rel=\"icon\" href=\"data:,\">\n"
		    "<link rel=\"stylesheet\" href=\"/page/style.css\">\n</head>\n<body>\n");
}

void page_end(struct buf *b)
{
	buf_adds(b, "<footer>cloudml-serving " CLOUDML_VERSION ", <a href=\"/metrics\">metrics</a></footer>\n"
		    "</body>\n</html>\n");
}

/* Opens a table of columns; the names are our own. */
static void begin_table(struct buf *b, const char *const *columns)
{
	buf_adds(b, "<div class=\"wide\"><table>\n<tr>");
	for (; *columns; columns++)
		buf_printf(b, "<th>%s</th>", *columns);
	buf_adds(b, "</tr>\n");
}

static void end_table(struct buf *b)
{
	buf_adds(b, "</table></div>\n");
}

static void write_versions(const struct model *m, struct buf *b)
{
	static const char *const columns[] = {"Version", "State", "Why", NULL};

	begin_table(b, columns);
	for (size_t i = 0; i < m->version_count; i++) {
		const struct model_version *v = m->versions[i];
		const char *state = version_state_word(v->state);
		buf_printf(b, "<tr><td>%lld</td><td><span class=\"state %s\">%s</span></td><td>",
			   (long long)v->number, state, state);
		html_adds(b, v->err.code ? v->err.msg : "");
		buf_adds(b, "</td></tr>\n");
	}
	end_table(b);
}

static void add_time(struct buf *b, double us)
{
	if (us < 1000)
		buf_printf(b, "<td>%.0f&nbsp;µs</td>", us);
	else if (us < 1e6)
		buf_printf(b, "<td>%.1f&nbsp;ms</td>", us / 1e3);
	else
		buf_printf(b, "<td>%.1f&nbsp;s</td>", us / 1e6);
}

static void add_quantiles(struct buf *b, const char *name, const struct histogram *h)
{
	static const double parts[] = {0.5, 0.95, 0.99};

	if (h->count == 0)
		return;
	buf_printf(b, "<tr><td>%s</td><td>%llu</td>", name, (unsigned long long)h->count);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		add_time(b, histogram_quantile(h, metrics_latency_bounds(), METRIC_LATENCY_BOUNDS, parts[i]));
	buf_adds(b, "</tr>\n");
}

static void write_failures(const struct model_metrics *of, struct buf *b)
{
	bool first = true;

	for (int status = 1; status < METRIC_STATUS_COUNT; status++) {
		if (of->status[status] == 0)
			continue;
		buf_printf(b, "%s%llu %s", first ? "<p>Failed: " : ", ",
			   (unsigned long long)of->status[status], grpc_status_name(status));
		first = false;
	}
	buf_adds(b, first ? "" : "</p>\n");
}

static void write_requests(const struct model_metrics *of, struct buf *b)
{
	static const char *const columns[] = {"Requests", "Count", "Median", "95 %", "99 %", NULL};
	static const char *const api_names[] = {
#define API_NAME(name, grpc, rest) grpc,
	    METRIC_API_TABLE(API_NAME)
#undef API_NAME
	};
	char name[64];

	if (!of) {
		buf_adds(b, "<p>No requests yet.</p>\n");
		return;
	}
	begin_table(b, columns);
	for (int api = 0; api < METRIC_API_COUNT; api++) {
		for (int entry = 0; entry < METRIC_ENTRY_COUNT; entry++) {
			snprintf(name, sizeof(name), "%s, %s", api_names[api],
				 entry == METRIC_GRPC ? "gRPC" : "REST");
			add_quantiles(b, name, &of->latency_us[api][entry]);
		}
		snprintf(name, sizeof(name), "%s, in the model", api_names[api]);
		add_quantiles(b, name, &of->run_us[api]);
	}
	end_table(b);
	write_failures(of, b);
}

static void write_tensors(const char *what, const struct signature_tensor *items, size_t count, struct buf *b)
{
	char shape[512];

	for (size_t i = 0; i < count; i++) {
		buf_printf(b, "<tr><td>%s</td><td><code>", what);
		html_adds(b, items[i].alias);
		tensor_format_shape(items[i].rank, items[i].dims, shape, sizeof(shape));
		buf_printf(b, "</code></td><td>%s</td><td>%s</td></tr>\n", dtype_word(items[i].dtype),
			   items[i].unknown_rank ? "any shape" : shape);
	}
}

static void write_hidden(const char *name, const char *value, struct buf *b)
{
	buf_printf(b, "<input type=\"hidden\" name=\"%s\" value=\"", name);
	html_adds(b, value);
	buf_adds(b, "\">\n");
}

static void write_form(const struct model_version *v, const struct signature *s, struct buf *b)
{
	CLEANUP(buf) struct buf sample = BUF_INIT;

	page_sample(s, &sample);
	buf_adds(b, "<form method=\"post\" action=\"/page/try\">\n");
	write_hidden("model", v->model_name, b);
	buf_printf(b, "<input type=\"hidden\" name=\"version\" value=\"%lld\">\n", (long long)v->number);
	write_hidden("verb", page_verb(s), b);
	buf_adds(b, "<label>JSON as in REST<textarea name=\"body\" rows=\"8\" spellcheck=\"false\">\n");
	html_adds(b, buf_str(&sample));
	buf_printf(b, "</textarea></label>\n<button>Try to %s</button>\n</form>\n", page_verb(s));
}

static void write_signature(const struct model_version *v, const struct signature *s, struct buf *b)
{
	static const char *const columns[] = {"", "Name", "Type", "Shape", NULL};

	buf_adds(b, "<details><summary><code>");
	html_adds(b, s->name);
	buf_printf(b, "</code> %s</summary>\n", page_verb(s));
	begin_table(b, columns);
	write_tensors("input", s->inputs, s->input_count, b);
	write_tensors("output", s->outputs, s->output_count, b);
	end_table(b);
	write_form(v, s, b);
	buf_adds(b, "</details>\n");
}

static void write_model(const struct server *s, const struct model *m, struct buf *b)
{
	const struct model_version *newest = NULL;
	const struct signature_set *set;

	buf_adds(b, "<section>\n<h2>");
	html_adds(b, m->name);
	buf_adds(b, "</h2>\n");
	write_versions(m, b);
	write_requests(metrics_of(s->metrics, m->name), b);
	for (size_t i = 0; i < m->version_count && !newest; i++)
		if (m->versions[i]->state == VERSION_AVAILABLE)
			newest = m->versions[i];
	if (newest) {
		set = model_version_signatures(newest);
		buf_printf(b, "<h3>Signatures of version %lld</h3>\n", (long long)newest->number);
		for (size_t i = 0; i < set->count; i++)
			write_signature(newest, &set->items[i], b);
	}
	buf_adds(b, "</section>\n");
}

void page_write_models(const struct server *s, struct buf *b)
{
	const char *name;
	void *model;

	page_begin(b, "Models");
	buf_printf(b, "<h1>Models</h1>\n<p>%s %d connections, %d requests in flight.</p>\n",
		   s->draining			     ? "The server shuts down."
		   : registry_is_ready(&s->registry) ? "Ready."
						     : "Not ready yet.",
		   server_clients(s), s->calls);
	for (size_t i = 0; map_next(s->registry.models, &i, &name, &model);)
		write_model(s, model, b);
	page_end(b);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Infer requests in JSON, with or without binary tensors behind the JSON. */
#include <stdio.h>
#include <string.h>
#include "serving/json_tensor_int.h"
#include "serving/oip.h"

/* One input or requested output as it stands in the text; values are read when all its members are known. */
struct item {
	struct str name, datatype, data;
	size_t scalars; /* in 'data' */
	int rank;	/* -1: no shape */
	int64_t dims[TENSOR_RANK_MAX];
	bool has_data, has_size;
	uint64_t binary_size;
	int binary; /* -1: does not say */
};
struct reader {
	struct json_text text;
	struct arena *arena;
	struct oip_request *request;
	struct item *inputs, *outputs;
	size_t input_cap, output_cap;
};

static int no_memory(struct err *err)
{
	return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
}

static int read_whole(struct reader *r, uint64_t *ret, struct err *err)
{
	struct json_number n;
	const char *start = r->text.pos;
	int rc;

	json_text_peek(&r->text);
	rc = json_text_number(&r->text, &n, err);
	if (rc < 0)
		return rc;
	if (!n.integral || n.negative || n.whole > INT64_MAX) {
		r->text.pos = start;
		return json_text_fail(&r->text, err, "A whole number that is not negative is expected");
	}
	*ret = n.whole;
	return 0;
}

static int read_string(struct reader *r, struct str *ret, struct err *err)
{
	return json_text_string(&r->text, r->arena, ret, err);
}

static int read_shape(struct reader *r, struct item *item, struct err *err)
{
	bool first = true;
	uint64_t v;
	int rc;

	item->rank = 0;
	while ((rc = json_text_element(&r->text, &first, err)) > 0) {
		if (item->rank == TENSOR_RANK_MAX)
			return err_set(err, ERR_INVALID, "shape of more than %d dimensions", TENSOR_RANK_MAX);
		rc = read_whole(r, &v, err);
		if (rc < 0)
			return err_wrap(err, "shape");
		item->dims[item->rank++] = (int64_t)v;
	}
	return rc;
}

/* "parameters" of an input or output. Those that would change the meaning of the data and are not offered are
 * refused, others pass. */
static int read_item_parameters(struct reader *r, struct item *item, struct err *err)
{
	bool first = true, value;
	uint64_t n;
	struct str key;
	int rc;

	while ((rc = json_text_member(&r->text, &first, r->arena, &key, err)) > 0) {
		if (str_eq(key, "binary_data_size")) {
			rc = read_whole(r, &item->binary_size, err);
			item->has_size = true;
		} else if (str_eq(key, "binary_data")) {
			rc = json_text_bool(&r->text, &value, err);
			item->binary = value;
		} else if (str_eq(key, "classification")) {
			rc = read_whole(r, &n, err);
			if (rc >= 0 && n > 0)
				return err_set(err, ERR_UNSUPPORTED,
					       "parameter 'classification' is not offered");
		} else if (str_eq(key, "shared_memory_region")) {
			return err_set(err, ERR_UNSUPPORTED,
				       "shared memory is not offered; send the data in the request");
		} else {
			rc = json_text_skip(&r->text, NULL, err);
		}
		if (rc < 0)
			return err_wrap(err, "parameters");
	}
	return rc;
}

static int read_data(struct reader *r, struct item *item, struct err *err)
{
	const char *start;
	int rc;

	json_text_peek(&r->text);
	start = r->text.pos;
	item->scalars = 0;
	rc =
	    json_text_skip_list(&r->text, &item->scalars) ? 0 : json_text_skip(&r->text, &item->scalars, err);
	item->data = (struct str){start, (size_t)(r->text.pos - start)};
	item->has_data = true;
	return rc;
}

static int read_item(struct reader *r, struct item *item, struct err *err)
{
	bool first = true;
	struct str key;
	int rc;

	*item = (struct item){.rank = -1, .binary = -1};
	while ((rc = json_text_member(&r->text, &first, r->arena, &key, err)) > 0) {
		if (str_eq(key, "name"))
			rc = read_string(r, &item->name, err);
		else if (str_eq(key, "datatype"))
			rc = read_string(r, &item->datatype, err);
		else if (str_eq(key, "shape"))
			rc = read_shape(r, item, err);
		else if (str_eq(key, "data"))
			rc = read_data(r, item, err);
		else if (str_eq(key, "parameters"))
			rc = read_item_parameters(r, item, err);
		else
			rc = json_text_skip(&r->text, NULL, err);
		if (rc < 0)
			return rc;
	}
	if (rc >= 0 && item->name.len == 0)
		return err_set(err, ERR_INVALID, "an input or output has no name");
	return rc;
}

static int grow(struct reader *r, struct item **items, size_t count, size_t *cap, struct err *err)
{
	size_t more = *cap ? *cap * 4 : 4;
	struct item *grown;

	if (count < *cap)
		return 0;
	if (count >= OIP_TENSORS_MAX)
		return err_set(err, ERR_INVALID, "more than %d inputs or outputs", OIP_TENSORS_MAX);
	grown = arena_try_alloc(r->arena, more, sizeof(**items));
	if (!grown)
		return no_memory(err);
	if (count > 0)
		memcpy(grown, *items, count * sizeof(**items));
	*items = grown;
	*cap = more;
	return 0;
}

static int read_items(struct reader *r, struct item **items, size_t *count, size_t *cap, struct err *err)
{
	bool first = true;
	int rc;

	*count = 0; /* a repeated member: the last one counts */
	while ((rc = json_text_element(&r->text, &first, err)) > 0) {
		rc = grow(r, items, *count, cap, err);
		if (rc >= 0)
			rc = read_item(r, &(*items)[*count], err);
		if (rc < 0)
			return rc;
		(*count)++;
	}
	return rc;
}

static int read_parameters(struct reader *r, struct err *err)
{
	bool first = true;
	struct str key;
	int rc;

	while ((rc = json_text_member(&r->text, &first, r->arena, &key, err)) > 0) {
		if (str_eq(key, "binary_data_output"))
			rc = json_text_bool(&r->text, &r->request->binary_default, err);
		else if (str_eq(key, "signature_name"))
			rc = read_string(r, &r->request->signature, err);
		else
			rc = json_text_skip(&r->text, NULL, err);
		if (rc < 0)
			return err_wrap(err, "parameters");
	}
	return rc;
}

static int read_request(struct reader *r, struct err *err)
{
	struct oip_request *q = r->request;
	bool first = true;
	struct str key;
	int rc;

	while ((rc = json_text_member(&r->text, &first, r->arena, &key, err)) > 0) {
		if (str_eq(key, "id"))
			rc = read_string(r, &q->id, err);
		else if (str_eq(key, "inputs"))
			rc = read_items(r, &r->inputs, &q->input_count, &r->input_cap, err);
		else if (str_eq(key, "outputs"))
			rc = read_items(r, &r->outputs, &q->output_count, &r->output_cap, err);
		else if (str_eq(key, "parameters"))
			rc = read_parameters(r, err);
		else
			rc = json_text_skip(&r->text, NULL, err);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : json_text_end(&r->text, err);
}

static int recheck(const struct reader *r, const struct item *item, struct err *err)
{
	struct str all = {r->text.start, (size_t)(r->text.end - r->text.start)};

	return json_text_recheck(all, item->data, err);
}

/* Elements from JSON, nested or flat: their number must be that of the shape. */
static int values_from_json(struct reader *r, const struct item *item, struct named_tensor *to,
			    struct err *err)
{
	struct tensor *t = &to->tensor;
	struct json_builder b;
	struct json_text j;
	char alias[64];
	int rc;

	snprintf(alias, sizeof(alias), "%.*s", (int)(item->name.len > 60 ? 60 : item->name.len),
		 item->name.data);
	rc = json_builder_init(&b, t->dtype, alias, item->scalars, r->arena, err);
	if (rc < 0)
		return rc;
	json_text_init(&j, item->data);
	rc = json_builder_value(&b, &j, err);
	if (rc < 0)
		return recheck(r, item, err);
	if (b.count != t->count)
		return err_set(err, ERR_INVALID, "input '%s' has %zu values, its shape needs %zu", alias,
			       b.count, t->count);
	t->data = b.data;
	return 0;
}

static int values_from_blob(struct reader *r, const struct item *item, struct str *blobs,
			    struct named_tensor *to, struct err *err)
{
	struct str mine = {blobs->data, (size_t)item->binary_size};

	if (item->has_data)
		return err_set(err, ERR_INVALID, "has both 'data' and 'binary_data_size'");
	if (item->binary_size > blobs->len)
		return err_set(err, ERR_INVALID, "binary_data_size is %llu, %zu bytes are left in the body",
			       (unsigned long long)item->binary_size, blobs->len);
	*blobs = (struct str){blobs->data + mine.len, blobs->len - mine.len};
	r->request->raw = true;
	return oip_binary_read(mine, NULL, r->arena, &to->tensor, err);
}

static int read_input(struct reader *r, const struct item *item, struct str *blobs, struct named_tensor *to,
		      struct err *err)
{
	int rc;

	*to = (struct named_tensor){.name = item->name};
	if (item->rank < 0)
		return err_set(err, ERR_INVALID, "has no shape");
	rc = oip_tensor_shape(&to->tensor, item->datatype, item->rank, item->dims, err);
	if (rc < 0)
		return rc;
	if (item->has_size)
		return values_from_blob(r, item, blobs, to, err);
	if (!item->has_data)
		return err_set(err, ERR_INVALID, "has neither 'data' nor 'binary_data_size'");
	return values_from_json(r, item, to, err);
}

static int make_inputs(struct reader *r, struct str blobs, struct err *err)
{
	struct oip_request *q = r->request;
	int rc;

	q->inputs = arena_try_alloc(r->arena, q->input_count + 1, sizeof(*q->inputs));
	if (!q->inputs)
		return no_memory(err);
	for (size_t i = 0; i < q->input_count; i++) {
		const struct item *item = &r->inputs[i];
		rc = read_input(r, item, &blobs, &q->inputs[i], err);
		if (rc < 0)
			return err_wrap(err, "input '%.*s'", (int)(item->name.len > 60 ? 60 : item->name.len),
					item->name.data);
	}
	if (blobs.len > 0)
		return err_set(err, ERR_INVALID, "%zu bytes are left behind the binary data of all inputs",
			       blobs.len);
	return 0;
}

static int make_outputs(struct reader *r, struct err *err)
{
	struct oip_request *q = r->request;

	q->outputs = arena_try_alloc(r->arena, q->output_count + 1, sizeof(*q->outputs));
	q->output_binary = arena_try_alloc(r->arena, q->output_count + 1, sizeof(*q->output_binary));
	if (!q->outputs || !q->output_binary)
		return no_memory(err);
	for (size_t i = 0; i < q->output_count; i++) {
		if (r->outputs[i].has_data && recheck(r, &r->outputs[i], err) < 0)
			return -err->code;
		q->outputs[i] = r->outputs[i].name;
		q->output_binary[i] =
		    r->outputs[i].binary < 0 ? q->binary_default : r->outputs[i].binary == 1;
	}
	return 0;
}

int oip_json_decode(struct str json, struct str blobs, struct arena *arena, struct oip_request *ret,
		    struct err *err)
{
	struct reader r = {.arena = arena, .request = ret};
	int rc;

	*ret = (struct oip_request){0};
	json_text_init(&r.text, json);
	rc = read_request(&r, err);
	if (rc >= 0)
		rc = make_inputs(&r, blobs, err);
	if (rc >= 0)
		rc = make_outputs(&r, err);
	return rc;
}

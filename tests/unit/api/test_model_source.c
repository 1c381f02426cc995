/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of a job's output, or below an address, are the model. */
#include <stdlib.h>
#include "api/api_int.h"
#include "base/path.h"
#include "blobs/blobs.h"
#include "unit/test.h"

#define OUT "jobs/j123456789/output/"
#define URI "fds://org/" OUT

static struct blob_store *new_store(const char *const *keys)
{
	static int count;
	char folder[512];
	struct err err = ERR_INIT;
	struct blob_store *s = NULL;
	snprintf(folder, sizeof(folder), "%s/%d", test_dir(), ++count);
	EXPECT_OK(path_make_absolute_dirs(folder, 0700, &err), &err);
	EXPECT_OK(blobs_open(folder, &s, &err), &err);
	EXPECT_OK(s->ops->bucket_create(s, "org", "org", &err), &err);
	for (; *keys; keys++) {
		struct blob_put_options o = {.expected_size = 1};
		EXPECT_OK(blob_put(s, "org", "org", *keys, &o, "x", 1, NULL, &err), &err);
	}
	return s;
}

static int resolve(const char *const *keys, const char *uri, struct service_spec *spec, struct err *err)
{
	struct blob_store *s = new_store(keys);
	service_spec_init(spec);
	if (uri)
		spec->uri = mem_strdup(uri);
	else
		spec->job = mem_strdup("j123456789");
	*err = ERR_INIT;
	int r = api_model_resolve(s, "org", spec, err);
	s->ops->close(s);
	return r;
}

TEST(the_one_model_of_an_output_is_found)
{
	static const struct {
		const char *keys[5], *uri, *found, *framework;
	} rows[] = {
	    {{OUT "model/saved_model.pb"}, NULL, URI "model/", "tensorflow"},
	    {{OUT "model/1/saved_model.pb"}, NULL, URI "model/", "tensorflow"},
	    {{OUT "model/1/saved_model.pb", OUT "model/2/saved_model.pb"}, NULL, URI "model/", "tensorflow"},
	    {{OUT "model/net.onnx"}, NULL, URI "model/net.onnx", "onnx"},
	    {{OUT "other/saved_model.pb", OUT "model/saved_model.pb"}, NULL, URI "model/", "tensorflow"},
	    {{OUT "export/saved_model.pb", OUT "log.txt"}, NULL, URI "export/", "tensorflow"},
	    {{OUT "saved_model.pb"}, NULL, URI, "tensorflow"},
	    {{OUT "3/saved_model.pb"}, NULL, URI, "tensorflow"},
	    {{OUT "a/b.onnx", OUT "a/b.txt"}, NULL, URI "a/b.onnx", "onnx"},
	    {{OUT "a.onnx", OUT "b/saved_model.pb"}, NULL, URI "b/", "tensorflow"},
	    {{"m/1/saved_model.pb", "m/2/saved_model.pb"}, "fds://org/m", "fds://org/m/", "tensorflow"},
	    {{"m/1/saved_model.pb", "m/2/saved_model.pb"}, "fds://org/m/2/", "fds://org/m/2/", "tensorflow"},
	    {{"saved_model.pb", "variables/x"}, "fds://org/", "fds://org/", "tensorflow"},
	    {{"1/saved_model.pb", "2/saved_model.pb"}, "fds://org/", "fds://org/", "tensorflow"},
	    {{"predict.py"}, "fds://org/", "fds://org/", "scikit-learn"},
	    {{"1/saved_model.pb"}, "fds://org/1/", "fds://org/1/", "tensorflow"},
	    {{"m/x.onnx"}, "fds://org/m/", "fds://org/m/x.onnx", "onnx"},
	    {{"m/x.onnx", "m/y.onnx"}, "fds://org/m/y.onnx", "fds://org/m/y.onnx", "onnx"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct service_spec spec;
		struct err err;
		EXPECT_OK(resolve(rows[i].keys, rows[i].uri, &spec, &err), &err);
		EXPECT_STR(rows[i].keys[0], spec.uri, rows[i].found);
		EXPECT_STR(rows[i].keys[0], spec.framework, rows[i].framework);
		service_spec_done(&spec);
	}
}

TEST(what_is_not_one_model_is_refused_with_what_is_there)
{
	static const struct {
		const char *keys[5], *uri, *part;
	} rows[] = {
	    {{NULL}, NULL, "left no model"},
	    {{OUT "weights.h5"}, NULL, "weights.h5"},
	    {{OUT "a/saved_model.pb", OUT "b/saved_model.pb"}, NULL, "left 2 models"},
	    {{OUT "a.onnx", OUT "b.onnx"}, NULL, "left 2 models"},
	    {{"jobs/jother/output/model/saved_model.pb"}, NULL, "left no model"},
	    {{NULL}, "fds://org/none/", "nothing at"},
	    {{NULL}, "fds://org/none.onnx", "nothing at"},
	    {{NULL}, "fds://foreign/m/", "nothing at"},
	    {{"m/readme"}, "fds://org/m/", "not one model"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct service_spec spec;
		struct err err;
		EXPECT_ERR(resolve(rows[i].keys, rows[i].uri, &spec, &err), ERR_INVALID, &err, rows[i].part);
		service_spec_done(&spec);
	}
}

TEST(versions_with_a_weight_must_be_there)
{
	static const char *const keys[] = {"m/1/saved_model.pb", "m/2/saved_model.pb", NULL};
	static const struct {
		const char *weights, *part; /* part "" = good */
	} rows[] = {{"1=500,2=500", ""},
		    {"2=1000", ""},
		    {"1=0,3=1000", "no version 3"},
		    {"11=1000", "no version 11"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct blob_store *s = new_store(keys);
		struct service_spec spec;
		struct err err = ERR_INIT;
		service_spec_init(&spec);
		spec.uri = mem_strdup("fds://org/m/");
		free(spec.weights);
		spec.weights = mem_strdup(rows[i].weights);
		int r = api_model_resolve(s, "org", &spec, &err);
		if (*rows[i].part)
			EXPECT_ERR(r, ERR_INVALID, &err, rows[i].part);
		else
			EXPECT_OK(r, &err);
		service_spec_done(&spec);
		s->ops->close(s);
	}
}

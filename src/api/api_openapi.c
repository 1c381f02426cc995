/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAPI 3.1, made from the route tables and the nouns' own field tables. */
#include "api/api_int.h"

#include <ctype.h>
#include <string.h>

/* Answers that have no field table: name, JSON Schema. */
static const struct {
	const char *name, *schema;
} plain_schemas[] = {
    {"Object", "{\"type\":\"object\"}"},
    {"Error",
     "{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"object\","
     "\"required\":[\"code\",\"message\"],\"properties\":{\"code\":{\"type\":\"string\"},\"message\":{"
     "\"type\":\"string\"}}}}}"},
    {"Health",
     "{\"type\":\"object\",\"required\":[\"status\"],\"properties\":{\"status\":{\"const\":\"ok\"}}}"},
    {"Version", "{\"type\":\"object\",\"properties\":{\"version\":{\"type\":\"string\"},\"api\":{\"type\":"
		"\"string\"}}}"},
    {"Snapshot",
     "{\"type\":\"object\",\"properties\":{\"data_folder\":{\"type\":\"string\"},\"file\":{\"type\":"
     "\"string\"},"
     "\"bytes\":{\"type\":\"integer\"},\"schema\":{\"type\":\"integer\"},\"jobs\":{\"type\":\"integer\"},"
     "\"time_ms\":{\"type\":\"integer\"}}}"},
    {"Login", "{\"type\":\"object\",\"required\":[\"token\"],\"additionalProperties\":false,\"properties\":{"
	      "\"token\":{\"type\":\"string\"}}}"},
    {"Session",
     "{\"type\":\"object\",\"required\":[\"org\",\"user\",\"role\"],\"properties\":{\"org\":{\"type\":"
     "\"string\"},\"user\":{\"type\":\"string\"},\"role\":{\"enum\":[\"viewer\",\"member\",\"admin\"]},"
     "\"platform\":{\"type\":\"boolean\"},\"csrf\":{\"type\":\"string\"}}}"},
    {"Resources", "{\"type\":\"object\",\"properties\":{\"cpu\":{\"type\":\"number\"},\"memory\":{\"type\":"
		  "\"integer\"},\"gpu\":{\"type\":\"integer\"}}}"},
    {"Status",
     "{\"type\":\"object\",\"properties\":{\"version\":{\"type\":\"string\"},\"uptime_ms\":{\"type\":"
     "\"integer\"},\"pid\":{\"type\":\"integer\"},\"data_folder\":{\"type\":\"string\"},\"backend\":{"
     "\"type\":\"object\"},\"capacity\":{\"$ref\":\"#/components/schemas/Resources\"},\"used\":{\"$ref\":"
     "\"#/components/schemas/Resources\"},\"jobs\":{\"type\":\"object\"},\"models\":{\"type\":\"object\"}"
     "}}"},
    {"Progress", "{\"type\":[\"object\",\"null\"],\"properties\":{\"phase\":{\"type\":\"string\"},\"text\":{"
		 "\"type\":\"string\"}}}"},
    {"Job",
     "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"state\",\"spec\"],\"properties\":{\"id\":{"
     "\"type\":\"string\"},\"name\":{\"type\":\"string\"},\"org\":{\"type\":\"string\"},\"user\":{\"type\":"
     "\"string\"},\"state\":{\"type\":\"string\"},\"reason\":{\"type\":\"string\"},\"message\":{\"type\":"
     "\"string\"},\"seq\":{\"type\":\"integer\"},\"attempt\":{\"type\":\"integer\"},\"charged\":{\"type\":"
     "\"integer\"},"
     "\"retry_at_ms\":{\"type\":\"integer\"},\"progress\":{\"$ref\":"
     "\"#/components/schemas/Progress\"},\"output_uri\":{\"type\":\"string\"},\"array_id\":{"
     "\"type\":\"string\"},\"array_index\":{\"type\":\"integer\"},\"elements\":{\"type\":\"object\"},"
     "\"spec\":{\"$ref\":\"#/components/schemas/JobSpec\"}}}"},
    {"Explanation",
     "{\"type\":\"object\",\"required\":[\"job\",\"state\",\"reason\",\"message\",\"position\",\"changes\"],"
     "\"properties\":{\"job\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},\"state\":{\"type\":"
     "\"string\"},\"reason\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"},\"position\":{\"type\":["
     "\"integer\",\"null\"]},\"position_is_least\":{\"type\":\"boolean\"},\"ahead_own\":{\"type\":"
     "\"integer\"},"
     "\"short\":{\"type\":[\"object\",\"null\"],\"properties\":{\"resource\":{\"type\":\"string\"},\"of\":{"
     "\"type\":\"string\"},\"wanted\":{\"type\":\"number\"},\"available\":{\"type\":\"number\"},\"limit\":{"
     "\"type\":\"number\"}}},\"held_by\":{\"type\":\"object\"},\"held_for_good\":{\"type\":\"boolean\"},"
     "\"freed_by\":{\"type\":[\"object\",\"null\"]},\"expected_start_ms\":{\"type\":[\"integer\",\"null\"]},"
     "\"expected_end_ms\":{\"type\":[\"integer\",\"null\"]},\"basis\":{\"enum\":[\"unknown\",\"history\","
     "\"limit\"]},\"is_latest\":{\"type\":\"boolean\"},\"borrows\":{\"type\":\"boolean\"},\"changes\":{"
     "\"type\":"
     "\"array\",\"items\":{\"type\":\"object\",\"required\":[\"field\",\"value\",\"text\"],\"properties\":{"
     "\"field\":{\"type\":\"string\"},\"value\":{\"type\":\"number\"},\"text\":{\"type\":\"string\"}}}}}}"},
    {"JobBatch",
     "{\"type\":\"object\",\"required\":[\"jobs\"],\"additionalProperties\":false,\"properties\":{\"jobs\":{"
     "\"type\":\"array\",\"minItems\":1,\"maxItems\":1000,\"items\":{\"$ref\":"
     "\"#/components/schemas/JobSpec\"}}}}"},
    {"JobBatchResult",
     "{\"type\":\"object\",\"required\":[\"created\",\"refused\",\"data\"],\"properties\":{\"created\":{"
     "\"type\":\"integer\"},\"refused\":{\"type\":\"integer\"},\"data\":{\"type\":\"array\",\"items\":{"
     "\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},"
     "\"state\":{\"type\":\"string\"},\"error\":{\"type\":\"object\"}}}"
     "}}}"},
    {"Cron", "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"schedule\",\"state\",\"job\"],"
	     "\"properties\":{\"id\":{"
	     "\"type\":\"string\"},\"name\":{\"type\":\"string\"},\"schedule\":{\"type\":\"string\"},"
	     "\"state\":{\"enum\":["
	     "\"active\",\"paused\"]},\"next_ms\":{\"type\":\"integer\"},\"last_ms\":{\"type\":\"integer\"},"
	     "\"last_job\":{"
	     "\"type\":[\"string\",\"null\"]},\"job\":{\"$ref\":\"#/components/schemas/JobSpec\"}}}"},
    {"Model",
     "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"state\",\"spec\"],\"properties\":{\"id\":{"
     "\"type\":\"string\"},\"name\":{\"type\":\"string\"},\"org\":{\"type\":\"string\"},\"user\":{\"type\":"
     "\"string\"},\"state\":{\"type\":\"string\"},\"reason\":{\"type\":\"string\"},\"message\":{\"type\":"
     "\"string\"},\"address\":{\"type\":\"string\"},\"http_url\":{\"type\":[\"string\",\"null\"]},"
     "\"grpc_address\":{\"type\":[\"string\",\"null\"]},\"progress\":{\"$ref\":"
     "\"#/components/schemas/Progress\"},\"revision\":{\"type\":\"integer\"},\"release\":{\"type\":"
     "\"integer\"},\"replicas_ready\":{\"type\":\"integer\"},\"replicas\":{\"type\":\"array\",\"items\":{"
     "\"type\":\"object\"}},\"update\":{\"type\":\"object\"},\"spec\":{\"$ref\":"
     "\"#/components/schemas/ModelSpec\"}}}"},
    {"Tensorboard",
     "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"state\",\"path\",\"uri\"],\"properties\":{"
     "\"id\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},"
     "\"reason\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"},\"path\":{\"type\":\"string\"},"
     "\"uri\":{\"type\":\"string\"},\"cpu\":{\"type\":\"number\"},\"memory\":{\"type\":\"integer\"},"
     "\"progress\":{\"$ref\":\"#/components/schemas/Progress\"}}}"},
    {"TensorboardSpec",
     "{\"type\":\"object\",\"required\":[\"name\"],\"additionalProperties\":false,\"properties\":{\"name\":{"
     "\"type\":\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$\"},\"uri\":{\"type\":\"string\"},"
     "\"job\":{\"type\":\"string\"},\"cpu\":{\"type\":[\"string\",\"number\"]},\"memory\":{\"type\":["
     "\"string\",\"integer\"]}}}"},
    {"ModelMetrics",
     "{\"type\":\"object\",\"properties\":{\"time_ms\":{\"type\":\"integer\"},\"requests\":{\"type\":"
     "\"integer\"},\"errors\":{\"type\":\"integer\"},\"in_flight\":{\"type\":\"integer\"},\"p50_ms\":{"
     "\"type\":[\"number\",\"null\"]},\"p99_ms\":{\"type\":[\"number\",\"null\"]},\"replicas\":{"
     "\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}"},
    {"Event",
     "{\"type\":\"object\",\"properties\":{\"seq\":{\"type\":\"integer\"},\"subject\":{\"type\":"
     "\"string\"},\"time_ms\":{\"type\":\"integer\"},\"type\":{\"type\":\"string\"},\"reason\":{\"type\":"
     "\"string\"},\"message\":{\"type\":\"string\"},\"actor\":{\"type\":\"string\"}}}"},
    {"Framework", "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"version\":{\"type\":"
		  "\"string\"},\"default\":{\"type\":\"boolean\"},\"title\":{\"type\":\"string\"}}}"},
    {"Bucket", "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}}}"},
    {"LifecycleRule",
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"prefix\":{\"type\":\"string\"},"
     "\"expire\":{"
     "\"type\":[\"string\",\"integer\"]},\"noncurrent\":{\"type\":[\"string\",\"integer\"]},\"abort_"
     "uploads\":{"
     "\"type\":[\"string\",\"integer\"]},\"keep_last\":{\"type\":\"integer\",\"minimum\":1}}}"},
    {"BucketState",
     "{\"type\":\"object\",\"required\":[\"name\",\"versioning\",\"objects\",\"bytes\"],\"properties\":{"
     "\"name\":{\"type\":\"string\"},\"created_ms\":{\"type\":\"integer\"},\"versioning\":{\"enum\":[\"off\","
     "\"on\",\"suspended\"]},\"objects\":{\"type\":\"integer\"},\"bytes\":{\"type\":\"integer\"},"
     "\"lifecycle\":{"
     "\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/LifecycleRule\"}}}}"},
    {"BucketChange",
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"versioning\":{\"enum\":[\"on\","
     "\"suspended\"]},\"lifecycle\":{\"type\":\"array\",\"maxItems\":100,\"items\":{\"$ref\":"
     "\"#/components/schemas/LifecycleRule\"}}}}"},
    {"ObjectState",
     "{\"type\":\"object\",\"required\":[\"key\",\"size\",\"etag\",\"modified_ms\"],\"properties\":{\"key\":{"
     "\"type\":\"string\"},\"size\":{\"type\":\"integer\"},\"etag\":{\"type\":\"string\"},\"modified_ms\":{"
     "\"type\":\"integer\"},\"sha256\":{\"type\":[\"string\",\"null\"]},\"content_type\":{\"type\":"
     "\"string\"},"
     "\"version\":{\"type\":\"string\"},\"is_latest\":{\"type\":\"boolean\"},\"part_sizes\":{\"type\":"
     "\"array\",\"items\":{\"type\":\"integer\"}},\"parts\":{\"type\":\"integer\"}"
     "}}"},
    {"Upload",
     "{\"type\":\"object\",\"required\":[\"key\",\"upload\"],\"properties\":{\"key\":{\"type\":\"string\"},"
     "\"upload\":{\"type\":\"string\"},\"begun_ms\":{\"type\":\"integer\"},\"bytes\":{\"type\":\"integer\"}}"
     "}"},
    {"UploadParts", "{\"type\":\"object\",\"required\":[\"data\"],\"properties\":{\"resumable\":{\"type\":"
		    "\"boolean\"},\"data\":{"
		    "\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"number\":{\"type\":"
		    "\"integer\"},\"size\":{"
		    "\"type\":\"integer\"},\"etag\":{\"type\":\"string\"}}}}}}"},
    {"UploadEnd",
     "{\"type\":\"object\",\"required\":[\"parts\"],\"additionalProperties\":false,\"properties\":{\"parts\":"
     "{"
     "\"type\":\"array\",\"minItems\":1,\"maxItems\":10000,\"items\":{\"type\":\"object\",\"required\":["
     "\"number\",\"etag\"],\"properties\":{\"number\":{\"type\":\"integer\"},\"etag\":{\"type\":\"string\"}}}"
     "}}}"},
    {"CopySource",
     "{\"type\":\"object\",\"required\":[\"bucket\",\"key\"],\"additionalProperties\":false,\"properties\":{"
     "\"bucket\":{\"type\":\"string\"},\"key\":{\"type\":\"string\"},\"version\":{\"type\":\"string\"},"
     "\"move\":{\"type\":\"boolean\"}}}"},
    {"Removals",
     "{\"type\":\"object\",\"required\":[\"objects\"],\"additionalProperties\":false,\"properties\":{"
     "\"objects\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1000,\"items\":{\"type\":\"object\","
     "\"required\":[\"key\"],\"properties\":{\"key\":{\"type\":\"string\"},\"version\":{\"type\":\"string\"}}"
     "}}}}"},
    {"RemovalsResult",
     "{\"type\":\"object\",\"required\":[\"removed\",\"data\"],\"properties\":{\"removed\":{\"type\":"
     "\"integer\"},\"data\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"key\":{"
     "\"type\":\"string\"},\"version\":{\"type\":\"string\"},\"error\":{\"type\":\"object\"}}}}}}"},
    {"StoreHold",
     "{\"type\":\"object\",\"required\":[\"id\",\"hold_ms\",\"segment\",\"end\"],\"properties\":{\"id\":{"
     "\"type\":\"string\"},\"hold_ms\":{\"type\":\"integer\"},\"segment\":{\"type\":\"integer\"},\"end\":{"
     "\"type\":\"integer\"}}}"},
    {"StoreCheck",
     "{\"type\":\"object\",\"required\":[\"state\",\"damaged\",\"faults\"],\"properties\":{\"state\":{"
     "\"enum\":[\"none\",\"running\",\"done\",\"stopped\",\"failed\"]},\"started_ms\":{\"type\":\"integer\"},"
     "\"ended_ms\":{\"type\":\"integer\"},\"objects\":{\"type\":\"integer\"},\"bytes\":{\"type\":\"integer\"}"
     ","
     "\"objects_total\":{\"type\":\"integer\"},\"bytes_total\":{\"type\":\"integer\"},\"damaged\":{\"type\":"
     "\"integer\"},\"faults\":{\"type\":\"integer\"},\"found\":{\"type\":\"array\",\"items\":{\"type\":"
     "\"string\"}},\"error\":{\"type\":\"string\"}}}"},
    {"StoreCredentials",
     "{\"type\":\"object\",\"properties\":{\"access_key_id\":{\"type\":\"string\"},\"secret_access_key\":{"
     "\"type\":\"string\"},\"endpoint\":{\"type\":\"string\"},\"region\":{\"type\":\"string\"}}}"},
    {"StoredObject",
     "{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\"},\"prefix\":{\"type\":"
     "\"string\"},\"size\":{\"type\":\"integer\"},\"etag\":{\"type\":\"string\"},\"modified_ms\":{"
     "\"type\":\"integer\"},\"version\":{\"type\":\"string\"}}}"},
    {"Org",
     "{\"type\":\"object\",\"required\":[\"name\",\"state\"],\"properties\":{\"name\":{\"type\":\"string\"},"
     "\"description\":{\"type\":\"string\"},\"state\":{\"enum\":[\"active\",\"deleting\"]},\"created_ms\":{"
     "\"type\":\"integer\"}}}"},
    {"NewOrg", "{\"type\":\"object\",\"required\":[\"name\"],\"additionalProperties\":false,\"properties\":{"
	       "\"name\":{\"type\":\"string\"},\"description\":{\"type\":\"string\",\"maxLength\":200}}}"},
    {"OrgChange", "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"description\":{"
		  "\"type\":\"string\",\"maxLength\":200}}}"},
    {"User",
     "{\"type\":\"object\",\"required\":[\"name\",\"org\",\"role\"],\"properties\":{\"name\":{\"type\":"
     "\"string\"},\"org\":{\"type\":\"string\"},\"role\":{\"enum\":[\"viewer\",\"member\",\"admin\"]},"
     "\"platform\":{\"type\":\"boolean\"},\"created_ms\":{\"type\":\"integer\"}}}"},
    {"NewUser",
     "{\"type\":\"object\",\"required\":[\"name\"],\"additionalProperties\":false,\"properties\":{"
     "\"name\":{\"type\":\"string\"},\"role\":{\"enum\":[\"viewer\",\"member\",\"admin\"]},\"platform\":{"
     "\"type\":\"boolean\"}}}"},
    {"UserChange", "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"role\":{\"enum\":["
		   "\"viewer\",\"member\",\"admin\"]},\"platform\":{\"type\":\"boolean\"}}}"},
    {"Key",
     "{\"type\":\"object\",\"required\":[\"id\",\"user\",\"role\"],\"properties\":{\"id\":{\"type\":"
     "\"string\"},\"org\":{\"type\":\"string\"},\"user\":{\"type\":\"string\"},\"role\":{\"enum\":["
     "\"viewer\",\"member\",\"admin\"]},\"note\":{\"type\":\"string\"},\"created_ms\":{\"type\":\"integer\"},"
     "\"expires_ms\":{\"type\":\"integer\"}}}"},
    {"CreatedKey", "{\"allOf\":[{\"$ref\":\"#/components/schemas/Key\"},{\"type\":\"object\",\"properties\":{"
		   "\"token\":{\"type\":\"string\"}}}]}"},
    {"NewKey",
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"user\":{\"type\":\"string\"},"
     "\"role\":{\"enum\":[\"viewer\",\"member\",\"admin\"]},\"note\":{\"type\":\"string\",\"maxLength\":200},"
     "\"expires_in\":{\"type\":[\"string\",\"integer\"]},\"expires_ms\":{\"type\":\"integer\"}}}"},
    {"QuotaState",
     "{\"type\":\"object\",\"required\":[\"org\",\"quota\",\"used\"],\"properties\":{\"org\":{\"type\":"
     "\"string\"},\"quota\":{\"$ref\":\"#/components/schemas/Quota\"},\"used\":{\"type\":\"object\"},"
     "\"warning\":{\"type\":\"string\"}}}"},
    {"Usage",
     "{\"type\":\"object\",\"required\":[\"org\",\"cpu_hours\"],\"properties\":{\"org\":{\"type\":\"string\"}"
     ","
     "\"day\":{\"type\":\"string\"},\"user\":{\"type\":\"string\"},\"id\":{\"type\":\"string\"},\"kind\":{"
     "\"enum\":[\"job\",\"model\"]},\"name\":{\"type\":\"string\"},\"cpu_hours\":{\"type\":\"number\"},"
     "\"memory_gib_hours\":{\"type\":\"number\"},\"gpu_hours\":{\"type\":\"number\"},\"attempts\":{\"type\":"
     "\"integer\"},\"running\":{\"type\":\"integer\"}}}"},
    {"Metrics",
     "{\"type\":\"object\",\"properties\":{\"data\":{\"type\":\"object\",\"additionalProperties\":{"
     "\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"number\"}}}}}}"},
};
/* Lists: {"data": [noun…]}. */
static const char *const lists[][2] = {{"JobList", "Job"},	    {"CronList", "Cron"},
				       {"ModelList", "Model"},	    {"TensorboardList", "Tensorboard"},
				       {"EventList", "Event"},	    {"FrameworkList", "Framework"},
				       {"BucketList", "Bucket"},    {"ObjectList", "StoredObject"},
				       {"UploadList", "Upload"},    {"OrgList", "Org"},
				       {"UserList", "User"},	    {"KeyList", "Key"},
				       {"QuotaList", "QuotaState"}, {"UsageList", "Usage"}};

static json_t *reference(const char *name)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", name));
}

static json_t *make_schemas(void)
{
	json_t *all = json_object();
	json_object_set_new(all, "JobSpec", job_spec_schema());
	json_object_set_new(all, "CronSpec", cron_spec_schema());
	json_object_set_new(all, "ModelSpec", service_spec_schema());
	json_object_set_new(all, "Quota", quota_schema());
	json_t *changes = service_spec_schema();
	json_object_del(changes, "required");
	json_object_set_new(changes, "title", json_string("ModelChanges"));
	json_object_set_new(all, "ModelChanges", changes);
	for (size_t i = 0; i < ARRAY_LEN(plain_schemas); i++)
		json_object_set_new(all, plain_schemas[i].name, json_loads(plain_schemas[i].schema, 0, NULL));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		json_object_set_new(all, lists[i][0],
				    json_pack("{s:s, s:{s:{s:s, s:o}}}", "type", "object", "properties",
					      "data", "type", "array", "items", reference(lists[i][1])));
	return all;
}

/* The media type of a schema name; the three that are not JSON. */
static json_t *content(const char *name)
{
	if (!strcmp(name, "bytes"))
		return json_pack("{s:{}}", "application/octet-stream");
	if (!strcmp(name, "text"))
		return json_pack("{s:{s:{s:s}}}", "text/plain", "schema", "type", "string");
	if (!strcmp(name, "events"))
		return json_pack("{s:{s:{s:s}}}", "text/event-stream", "schema", "type", "string");
	return json_pack("{s:{s:o}}", "application/json", "schema", reference(name));
}

static void add_path_parameters(json_t *list, const char *path)
{
	for (const char *open = path; (open = strchr(open, '{'));) {
		size_t len = strcspn(++open, ".}");
		json_array_append_new(list, json_pack("{s:s%, s:s, s:b, s:{s:s}}", "name", open, len, "in",
						      "path", "required", 1, "schema", "type", "string"));
	}
}

static json_t *make_parameters(const struct http_route *r)
{
	json_t *list = json_array();
	add_path_parameters(list, r->path);
	for (const struct http_param *p = r->query; p && p->name; p++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:{s:s}}", "name", p->name, "in", "query",
						"description", p->text, "schema", "type", p->type));
	bool is_change =
	    !strcmp(r->method, "POST") || !strcmp(r->method, "PATCH") || !strcmp(r->method, "DELETE");
	/* Bytes of the store and sessions are the same after one request as after two. */
	bool is_question = r->body == HTTP_BODY_BYTES; /* a prediction changes nothing */
	if (is_change && !is_question && strcmp(r->tag, "store") && strcmp(r->tag, "session"))
		json_array_append_new(list, json_pack("{s:s, s:s, s:{s:s, s:i, s:i}}", "name",
						      "Idempotency-Key", "in", "header", "schema", "type",
						      "string", "minLength", 1, "maxLength", 128));
	return list;
}

static json_t *make_responses(const struct http_route *r)
{
	char status[8];
	snprintf(status, sizeof(status), "%d", r->status);
	json_t *success = json_pack("{s:s}", "description", r->summary);
	if (r->response)
		json_object_set_new(success, "content", content(r->response));
	return json_pack("{s:o, s:{s:s, s:o}}", status, success, "default", "description",
			 "What went wrong and what to do", "content", content("Error"));
}

/* "getJobsJobLogs" of GET /api/v1/jobs/{job}/logs. */
static json_t *operation_id(const struct http_route *r)
{
	char id[128];
	size_t n = 0;
	bool upper = false;
	for (const char *s = r->method; *s; s++)
		id[n++] = (char)tolower(*s);
	for (const char *s = r->path; *s && n < sizeof(id) - 1; s++) {
		if (isalnum((unsigned char)*s))
			id[n++] = upper ? (char)toupper(*s) : *s;
		upper = !isalnum((unsigned char)*s);
	}
	return json_stringn(id, n);
}

static json_t *make_operation(const struct http_route *r)
{
	static const char *const roles[] = {[HTTP_OPEN] = "open",
					    [HTTP_VIEWER] = "viewer",
					    [HTTP_MEMBER] = "member",
					    [HTTP_ADMIN] = "admin",
					    [HTTP_PLATFORM] = "platform"};
	json_t *op = json_pack("{s:o, s:[s], s:s, s:s, s:s, s:i, s:o, s:o}", "operationId", operation_id(r),
			       "tags", r->tag, "summary", r->summary, "x-role", roles[r->auth & HTTP_ROLE],
			       "x-scope", r->auth & HTTP_OF_ORG ? "org" : "own", "x-cost", r->cost,
			       "parameters", make_parameters(r), "responses", make_responses(r));
	if (r->request)
		json_object_set_new(op, "requestBody",
				    json_pack("{s:b, s:o}", "required", 1, "content", content(r->request)));
	if ((r->auth & HTTP_ROLE) == HTTP_OPEN)
		json_object_set_new(op, "security", json_array());
	return op;
}

static json_t *make_paths(void)
{
	json_t *paths = json_object();
	for (const struct http_route *const *table = api_routes; *table; table++)
		for (const struct http_route *r = *table; r->method; r++) {
			char path[128], method[16] = "";
			size_t n = 0;
			for (const char *s = r->path; *s && n < sizeof(path) - 1; s++)
				if (*s != '.' || s[1] == 'j') /* "{key...}", but "openapi.json" */
					path[n++] = *s;
			path[n] = 0;
			for (n = 0; r->method[n] && n < sizeof(method) - 1; n++)
				method[n] = (char)tolower(r->method[n]);
			if (!json_object_get(paths, path))
				json_object_set_new(paths, path, json_object());
			json_object_set_new(json_object_get(paths, path), method, make_operation(r));
		}
	return paths;
}

json_t *api_openapi(void)
{
	return json_pack("{s:s, s:{s:s, s:s, s:{s:s, s:s}}, s:[{s:[]}, {s:[]}], s:o, s:{s:o, s:{s:{s:s, "
			 "s:s}, s:{s:s, s:s, s:s}}}}",
			 "openapi", "3.1.0", "info", "title", "Cloud-ML", "version", CLOUDML_VERSION,
			 "license", "name", "Apache-2.0", "identifier", "Apache-2.0", "security", "bearer",
			 "session", "paths", make_paths(), "components", "schemas", make_schemas(),
			 "securitySchemes", "bearer", "type", "http", "scheme", "bearer", "session", "type",
			 "apiKey", "in", "cookie", "name", "cloudml_session");
}

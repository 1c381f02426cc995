/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for single values of a specification, in the shape of a field's check. Private to this room. */
#ifndef CORE_SPEC_CHECK_H
#define CORE_SPEC_CHECK_H

#include "core/core.h"

/* All: ERR_INVALID with what is wrong with 'value' of field 'key'. */
int spec_check_name(const char *key, const char *value, struct err *err);
int spec_check_module(const char *key, const char *value, struct err *err); /* dotted Python name */
int spec_check_uri(const char *key, const char *value, struct err *err);    /* object or prefix */
int spec_check_object(const char *key, const char *value, struct err *err); /* one object */
int spec_check_requirement(const char *key, const char *value,
			   struct err *err);				 /* one PEP 508 line, no options */
int spec_check_env(const char *key, const char *value, struct err *err); /* "KEY=value" */
int spec_check_version(const char *key, const char *value, struct err *err); /* "2.21.0" */
int spec_check_after(const char *key, const char *value, struct err *err);   /* job_after.c */
#define SPEC_LABEL_MAX 128
int spec_check_label(const char *key, const char *value, struct err *err); /* "key=value" of a node */
int spec_check_job_id(const char *key, const char *value, struct err *err);

#endif

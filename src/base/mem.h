/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation and scope cleanup. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* For sizes that we choose: never return NULL, abort when memory is gone. */
void *mem_alloc(size_t size);		 /* zeroed */
void *mem_realloc(void *p, size_t size); /* new bytes are not zeroed */
char *mem_strdup(const char *s);	 /* NULL stays NULL */
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* For sizes that an outsider chooses: NULL when memory is gone or the product overflows. */
void *mem_try_alloc(size_t count, size_t size); /* zeroed */

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Scope cleanup: CLEANUP(buf) struct buf b = BUF_INIT;  A room declares a cleanup with
 * static inline void cleanup_NAME(TYPE *p). Cleanups accept NULL / -1 and preserve errno. */
#define CLEANUP(name) __attribute__((cleanup(cleanup_##name)))
#define STEAL(p)                                                                                             \
	({                                                                                                   \
		__typeof__(p) steal_ = (p);                                                                  \
		(p) = NULL;                                                                                  \
		steal_;                                                                                      \
	})
void cleanup_free(void *pp); /* CLEANUP(free) char *s = NULL; */
void cleanup_fd(int *fd);    /* CLEANUP(fd) int fd = -1; */
void cleanup_dir(void *pp);  /* CLEANUP(dir) DIR *d = NULL; */
void cleanup_file(void *pp); /* CLEANUP(file) FILE *f = NULL; */
void cleanup_json(void *pp); /* CLEANUP(json) json_t *j = NULL; json_decref */

#endif

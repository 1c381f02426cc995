/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map from a C string (copied) to a pointer. Keyed hash, so that outsiders cannot make it slow. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct map;

struct map *map_new(void (*free_value)(void *)); /* free_value may be NULL */
void map_free(struct map *m);			 /* calls free_value on what is left; NULL is fine */
void *map_get(const struct map *m, const char *key);
void map_set(struct map *m, const char *key, void *value); /* takes value; frees the one it replaces */
void *map_take(struct map *m, const char *key);		   /* removes; returns owned, NULL when absent */
bool map_delete(struct map *m, const char *key);
size_t map_count(const struct map *m);
/* Iteration in insertion order; the entry just handed out may be deleted, others may not.
 * for (size_t i = 0; map_next(m, &i, &key, &value);) */
bool map_next(const struct map *m, size_t *pos, const char **ret_key, void **ret_value);
void cleanup_map(struct map **m);

#endif

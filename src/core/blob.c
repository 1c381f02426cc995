/* SPDX-License-Identifier: Apache-2.0 */
/* What is common to every object store. */
#include "core/blob.h"

#include <stdlib.h>

void blob_list_done(struct blob_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->entries[i].key);
	free(l->entries);
	*l = (struct blob_list){0};
}

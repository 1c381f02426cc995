/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the store that block, on the pool. */
#include "s3/s3_int.h"

static void work_run(void *arg)
{
	struct s3_work *w = arg;
	w->run(w);
}

static void work_done(void *arg)
{
	struct s3_work *w = arg;
	w->r->s3->works--;
	w->done(w);
}

void work_start(struct s3_work *w)
{
	w->r->s3->works++;
	loop_work(w->r->s3->config.loop, work_run, work_done, w);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The page for people at "/": what is served, how it goes, and a form to try a prediction. Rendered here, no
 * script; what it shows is escaped by html_add, and a strict policy keeps out what slips through. */
#ifndef SERVING_PAGE_H
#define SERVING_PAGE_H

#include "serving/server.h"
#include "serving/signature.h"

extern const unsigned char page_style[]; /* page.css */
extern const unsigned page_style_len;

/* Text into HTML, also inside quotes. */
void html_add(struct buf *b, struct str text);
void html_adds(struct buf *b, const char *text);

void page_begin(struct buf *b, const char *title);
void page_end(struct buf *b);
void page_write_models(const struct server *s, struct buf *b);

/* A JSON body that a signature takes: zeros of the right shapes, unknown sizes as 1. */
void page_sample(const struct signature *s, struct buf *b);
/* "predict", "classify" or "regress" */
const char *page_verb(const struct signature *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a TensorBoard's container runs: tensorboard.py, as text for python -c. */
#ifndef LOCAL_TENSORBOARD_H
#define LOCAL_TENSORBOARD_H

extern const unsigned char tensorboard_source[];
extern const unsigned tensorboard_source_len;

#endif

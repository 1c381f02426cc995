/* SPDX-License-Identifier: Apache-2.0 */
/* Where metrics are offered. */
#ifndef SERVING_MONITORING_H
#define SERVING_MONITORING_H

#include "base/buf.h"
#include "base/err.h"

#define MONITORING_PATH "/monitoring/prometheus/metrics"

/* Reads a MonitoringConfig, prometheus_config { enable: true path: "/…" }, from a file of text; NULL means
 * that there is none: enabled at MONITORING_PATH. *ret_path is owned; NULL when metrics are off. ERR_INVALID,
 * ERR_NOT_FOUND. */
int monitoring_read(const char *config_file, char **ret_path, struct err *err);
int monitoring_parse(struct str text, char **ret_path, struct err *err);

#endif

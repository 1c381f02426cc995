/* SPDX-License-Identifier: Apache-2.0 */
/* One line per event on stderr: time level event key=value. Ranks 0 to 3 log at debug only. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level); /* default LOG_INFO; CLOUDML_LOG=debug|info|warn|error overrides */
int log_level_parse(const char *s);	  /* -1 when unknown */
/* fmt starts with the event: log_info("job.start job=%s node=%s", …). Control characters are escaped. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

#endif

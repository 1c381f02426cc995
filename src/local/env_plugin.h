/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorFlow's file system (plugins/tensorflow) in environments: no program needs an import for fds://.
 *
 * An environment holds one line, ENV_PLUGIN_FILE in its site-packages, which never changes with the plugin;
 * the plugin itself is mounted into each task from where this version of the platform is installed. So
 * environments of any age get it, and an upgrade needs no rebuild.
 */
#ifndef LOCAL_ENV_PLUGIN_H
#define LOCAL_ENV_PLUGIN_H

#include "base/err.h"

#define ENV_PLUGIN_FILE "cloudml.pth"
/* Where the Python package lies in a task's container. */
#define ENV_PLUGIN_TARGET "/.cloudml/python/cloudml_fds"

/* Puts the line into the environment at 'path' (owned by an untrusted builder: no link of its is followed);
 * python is its interpreter's name, as env_python says. Nothing happens when the line is there. ERR_IO,
 * ERR_NOT_FOUND (no site-packages). */
int env_plugin_hook(const char *path, const char *python, struct err *err);
/* The package's folder: $CLOUDML_LIBEXEC/python/cloudml_fds, the same below ../libexec/cloudml, or in the
 * build folder. Returns owned; NULL = it is not installed. */
char *env_plugin_find(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What runs inside a job's container to install a Python package and to look for its module. */
#ifndef LOCAL_PACKAGE_SCRIPT_H
#define LOCAL_PACKAGE_SCRIPT_H

/* sh: $1 is a wheel or the folder of an unpacked source; fills /work/.packages. */
extern const char package_install_script[];
/* python -c: argument 1 is the module; exits 1 with one line that begins "cloudml: " when it is not there.
 * Does not import the package. */
extern const char package_check_script[];

#endif

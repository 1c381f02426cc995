/* SPDX-License-Identifier: Apache-2.0 */
/* What runs inside a job's container to install a Python package and to look for its module. */
#include "local/package_script.h"

/* clang-format off */

/* A source is built with the setuptools of the environment or else of this machine, without the network; when it wants
 * another build tool, that is fetched. A folder without build files is used as it is. */
const char package_install_script[] =
	"set -e\n"
	"export UV_CACHE_DIR=/tmp/.uv-cache UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never NO_COLOR=1 HOME=/tmp\n"
	"unset PYTHONPATH\n"
	"host=\n"
	"[ -d \"$(echo /env/lib/python3*/site-packages)/setuptools\" ] || host=/usr/lib/python3/dist-packages\n"
	"install() {\n"
	"\t/.cloudml/uv pip install --quiet --python /env/bin/python --target /work/.packages --no-deps \"$@\"\n"
	"}\n"
	"fail() {\n"
	"\tsed 's/^/  /' /tmp/.install.log >&2\n"
	"\techo \"cloudml: the package cannot be installed: $(grep -v '^ *$' /tmp/.install.log | tail -n 1)\" >&2\n"
	"\texit 1\n"
	"}\n"
	"has_build() { [ -e \"$1/pyproject.toml\" ] || [ -e \"$1/setup.py\" ]; }\n"
	"case \"$1\" in\n"
	"*.whl) install --offline -- \"$1\" >/tmp/.install.log 2>&1 || fail ;;\n"
	"*)\n"
	"\tsource=$1\n"
	"\tif ! has_build \"$source\"; then\n"
	"\t\tset -- \"$source\"/*\n"
	"\t\tif [ $# = 1 ] && [ -d \"$1\" ] && has_build \"$1\"; then source=$1; fi\n"
	"\tfi\n"
	"\tif ! has_build \"$source\"; then\n"
	"\t\tln -s \"$source\" /work/.packages\n"
	"\telif PYTHONPATH=$host install --offline --no-build-isolation -- \"$source\" >/tmp/.install.log 2>&1; then\n"
	"\t\t:\n"
	"\telse\n"
	"\t\tinstall -- \"$source\" >/tmp/.install.log 2>&1 || fail\n"
	"\tfi ;;\n"
	"esac\n"
	"rm -rf /tmp/.uv-cache /tmp/.install.log\n";

/* Walks down the dotted name by the finders, so that nothing of the package runs. The module may also come from a
 * requirement. */
const char package_check_script[] =
	"import sys, pkgutil\n"
	"from importlib.machinery import PathFinder\n"
	"name, path, found = sys.argv[1], None, None\n"
	"for part in name.split('.'):\n"
	"    found = PathFinder.find_spec(part, path)\n"
	"    if found is None: break\n"
	"    path = list(found.submodule_search_locations or [])\n"
	"if found is None and name in sys.builtin_module_names: sys.exit(0)\n"
	"if found is None:\n"
	"    places = ['/work', '/work/.packages']\n"
	"    here = sorted({m.name for m in pkgutil.iter_modules(places)})[:20]\n"
	"    inner = []\n"
	"    for m in here:\n"
	"        s = PathFinder.find_spec(m, places)\n"
	"        for n in pkgutil.iter_modules(list(s.submodule_search_locations or []) if s else []):\n"
	"            inner.append(m + '.' + n.name)\n"
	"    listing = ', '.join((here + inner)[:24]) or 'no module at all'\n"
	"    print(f\"cloudml: the package has no module '{name}'; it has: {listing}\", file=sys.stderr)\n"
	"    sys.exit(1)\n";

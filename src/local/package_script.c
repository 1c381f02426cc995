/* SPDX-License-Identifier: Apache-2.0 */
/* What runs inside a job's container to install a Python package and to look for its module. */
#include "local/package_script.h"

/* A source is built with the setuptools of this machine, without the network; when it wants another build
 * tool, that is fetched. A folder without build files is used as it is. */
const char package_install_script[] =
    "set -e\n"
    "export UV_CACHE_DIR=/tmp/.uv-cache UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never NO_COLOR=1 HOME=/tmp\n"
    "unset PYTHONPATH\n"
    "host=/usr/lib/python3/dist-packages\n"
    "install() {\n"
    "	/.cloudml/uv pip install --quiet --python /env/bin/python --target /work/.packages --no-deps \"$@\"\n"
    "}\n"
    "fail() {\n"
    "	sed 's/^/  /' /tmp/.install.log >&2\n"
    "	echo \"cloudml: the package cannot be installed: $(grep -v '^ *$' /tmp/.install.log | tail -n 1)\" "
    ">&2\n"
    "	exit 1\n"
    "}\n"
    "has_build() { [ -e \"$1/pyproject.toml\" ] || [ -e \"$1/setup.py\" ]; }\n"
    "case \"$1\" in\n"
    "*.whl) install --offline -- \"$1\" >/tmp/.install.log 2>&1 || fail ;;\n"
    "*)\n"
    "	source=$1\n"
    "	if ! has_build \"$source\"; then\n"
    "		set -- \"$source\"/*\n"
    "		if [ $# = 1 ] && [ -d \"$1\" ]; then source=$1; fi\n"
    "	fi\n"
    "	if ! has_build \"$source\"; then\n"
    "		ln -s \"$source\" /work/.packages\n"
    "	elif [ -d $host/setuptools ] && PYTHONPATH=$host install --offline --no-build-isolation -- "
    "\"$source\" \\\n"
    "			>/tmp/.install.log 2>&1; then\n"
    "		:\n"
    "	else\n"
    "		install -- \"$source\" >/tmp/.install.log 2>&1 || fail\n"
    "	fi ;;\n"
    "esac\n"
    "rm -rf /tmp/.uv-cache /tmp/.install.log\n";

/* Looks in the folders of the package only at first, then everywhere: the module may also come from a
 * requirement. */
const char package_check_script[] =
    "import sys, pkgutil\n"
    "from importlib.machinery import PathFinder\n"
    "name, path, found = sys.argv[1], None, None\n"
    "for part in name.split('.'):\n"
    "    found = PathFinder.find_spec(part, path)\n"
    "    if found is None: break\n"
    "    path = list(found.submodule_search_locations or [])\n"
    "if found is None and '.' not in name and name in sys.builtin_module_names: sys.exit(0)\n"
    "if found is None:\n"
    "    here = sorted({m.name for m in pkgutil.iter_modules(['/work', '/work/.packages'])})[:20]\n"
    "    inner = []\n"
    "    for m in here:\n"
    "        s = PathFinder.find_spec(m, ['/work', '/work/.packages'])\n"
    "        for n in pkgutil.iter_modules(list(s.submodule_search_locations or []) if s else []):\n"
    "            inner.append(m + '.' + n.name)\n"
    "    listing = ', '.join((here + inner)[:24]) or 'no module at all'\n"
    "    print(f\"cloudml: the package has no module '{name}'; it has: {listing}\", file=sys.stderr)\n"
    "    sys.exit(1)\n";

# SPDX-License-Identifier: Apache-2.0
"""fds:// and s3:// addresses for TensorFlow: `import cloudml_fds`, before or after TensorFlow, is all.

TensorFlow is not imported here: the file system is registered at the end of its import. cloudml_fds.pth does this in
every Python process of an environment, without a change in anybody's code."""

import importlib.util
import os
import sys

LIBRARY = os.environ.get("CLOUDML_FDS_LIBRARY") or os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                                "libcloudml_fds.so")
_registered = False


def register():
    """Registers the file system with the TensorFlow that is imported; a second call does nothing."""
    global _registered
    if not _registered:
        _registered = True
        sys.modules["tensorflow"].experimental.register_filesystem_plugin(LIBRARY)


class _Finder:
    """Finds TensorFlow as the others do, once, and registers after it has been executed."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                register()

            spec.loader.exec_module = exec_module
        return spec


if hasattr(sys.modules.get("tensorflow"), "experimental"):
    register()
else:
    sys.meta_path.insert(0, _Finder)

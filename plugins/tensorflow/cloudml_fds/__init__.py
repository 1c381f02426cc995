# SPDX-License-Identifier: Apache-2.0
"""fds:// and s3:// addresses for TensorFlow: `import cloudml_fds`, before or after TensorFlow, is all.

TensorFlow is not imported here: the file system is registered at the end of its import. The platform's environments
import this module when TensorFlow is first asked for, so that other programs do not pay for it."""

import os
import sys

LIBRARY = os.environ.get("CLOUDML_FDS_LIBRARY") or os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                                "libcloudml_fds.so")
_registered = False


def register():
    """Registers the file system with the TensorFlow that is imported; a second call does nothing."""
    global _registered
    if not _registered:
        sys.modules["tensorflow"].experimental.register_filesystem_plugin(LIBRARY)
        _registered = True


class _Finder:
    """Finds TensorFlow as the others do, once, and registers after it has been executed."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "tensorflow":
            return None
        import importlib.util
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                try:
                    register()
                except Exception as e:  # whoever imports TensorFlow may not want the store at all
                    print(f"cloudml_fds: TensorFlow goes on without fds:// and s3://: {e}", file=sys.stderr)

            spec.loader.exec_module = exec_module
        return spec


def find_late(name):
    """For a finder that imports this module when it is asked for TensorFlow, as the platform's environments do."""
    return _Finder.find_spec(name) if _Finder in sys.meta_path else None


if hasattr(sys.modules.get("tensorflow"), "experimental"):
    register()
else:
    sys.meta_path.insert(0, _Finder)

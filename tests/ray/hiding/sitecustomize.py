"""On PYTHONPATH: every Python process hides from our code, and not from Ray, what our code uses of Ray's inside.

Ray itself needs these names, so they cannot be deleted. A module of this class answers all but one file.
"""

import importlib.abc
import importlib.machinery
import sys
import types

HIDDEN = {
    "ray._private.ray_constants": {"ENABLE_RAY_CLUSTER"},
    "ray._private.services": {"find_bootstrap_address"},
    "ray._private.authentication.authentication_token_setup": {"maybe_enable_token_auth_if_token_available"},
    "ray._private.authentication.http_token_authentication": {"get_auth_headers_if_auth_enabled"},
    "ray._private.accelerators": {"get_accelerator_manager_for_resource"},
    "ray._private.utils": {"set_sigterm_handler"},
    "ray._private.worker": {"global_worker"},
    "ray.train.v2._internal.callbacks.backend_setup": {"BackendSetupCallback"},
    "ray.train.v2._internal.execution.controller": {"TrainController"},
}


class Hiding(types.ModuleType):
    def __getattribute__(self, name):
        # This runs for every attribute of these modules: the cheap question first.
        if name[:1] != "_" and name in HIDDEN[types.ModuleType.__getattribute__(self, "__name__")]:
            try:
                asking = sys._getframe(1).f_code.co_filename
            except ValueError:  # Ray's own code in C asks, which has no frame
                asking = ""
            if asking.endswith("ray_internals.py"):
                raise AttributeError(name)
        return types.ModuleType.__getattribute__(self, name)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in HIDDEN:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.__class__ = Hiding

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())

"""Gives the context a name among the start methods, as CPython's suite sets its own as the default.

Imported in the host; the context's processes have the name from there. Nobody else should: a process that is started
by `spawn` knows no such name.
"""

import multiprocessing.context

import subactors.actors

multiprocessing.context._concrete_contexts["zygote"] = subactors.actors.get_context()

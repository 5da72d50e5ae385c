"""A student's server: what is the instructor's is off, and what lies idle lets go of memory."""

import os

c = get_config()  # noqa: F821
c.ServerApp.jpserver_extensions = {
    "nbgrader.server_extensions.formgrader": False,
    "nbgrader.server_extensions.course_list": False,
}
seconds = 60 * int(os.environ.get("COURSE_KERNEL_MINUTES", "30"))
c.MappingKernelManager.cull_idle_timeout = seconds
c.MappingKernelManager.cull_interval = 60
c.MappingKernelManager.cull_connected = True  # a forgotten tab holds as much as a used one
c.TerminalManager.cull_inactive_timeout = seconds
# Nobody's server, as one is whose hub died while it started, goes by itself.
c.ServerApp.shutdown_no_activity_timeout = 4 * seconds
c.ContentsManager.allow_hidden = False

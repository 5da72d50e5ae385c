"""Starts the kernel that runs a student's code where it can do no harm.

On Linux through bubblewrap: no network, a read-only system, a private home that vanishes, one
process, and limits on memory and file size. Only the Python environment, `course_lib` and the
files that the student handed in can be read there: no solutions, no tests, no gradebook, nobody
else's work. The kernel talks to the grader over ipc sockets in a folder of its own.

Inside a container that does not allow bubblewrap (Gradescope's is one), `user` starts the kernel
as an unprivileged user instead; the container is the wall then, and file modes keep the course
from being read.
"""

import functools
import importlib.util
import os
import platform
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
from jupyter_client.manager import AsyncKernelManager
from traitlets import Dict, Enum, Integer, List, Unicode

HOME = "/home/student"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/fonts",
          "/etc/ld.so.cache", "/etc/localtime")
NOBODY = 65534
KINDS = ("bubblewrap", "user", "none")


class ConfinementError(RuntimeError):
    """Student code would have run where it can do harm."""


class ConfinedKernelManager(AsyncKernelManager):
    """A Jupyter kernel behind a wall. Close with `shutdown_kernel(now=True)`, then `tidy`."""

    kind = Enum(KINDS, "bubblewrap", help="the wall")
    folder = Unicode(help="connection file and sockets; the kernel may write here")
    shared = List(Unicode(), help="further folders that the kernel may write to")
    files = Dict(help="name in the kernel's home -> a file that it may read")
    variables = Dict(help="environment variables, beyond the usual ones")
    memory_mb = Integer(4096, help="private memory that the kernel may use")
    disk_mb = Integer(256, help="the size of its home, and of any one file")

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        require_wall(self.kind)
        self.folder = tempfile.mkdtemp(prefix="grading-")
        self.transport = "ipc"
        self.connection_file = f"{self.folder}/kernel.json"

    async def _async_pre_start_kernel(self, **kwargs):
        self.kernel_spec.interrupt_mode = "message"  # a signal would reach the wall instead
        command, kwargs = await super()._async_pre_start_kernel(**kwargs)
        limits = [
            "prlimit", f"--data={self.memory_mb << 20}", f"--as={(self.memory_mb + 4096) << 20}",
            f"--fsize={self.disk_mb << 20}", "--core=0", "--nofile=1024",
        ]
        if self.kind == "bubblewrap":
            filter_file = os.open(self._write(b"".join(one_process_filter())), os.O_RDONLY)
            kwargs["pass_fds"] = [filter_file]
            command = [*limits, *self._bubblewrap(filter_file), *command]
        else:
            home = self._private_home()
            kwargs |= {"cwd": home, "env": self._environment(home)}
        if self.kind == "user":
            command = [*limits, "--nproc=64", "setpriv", "--no-new-privs", *command]
            kwargs |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return command, kwargs | nowhere

    def _bubblewrap(self, filter_file: int) -> list[str]:
        readable = [path for path in SYSTEM if os.path.exists(path)] + environment_folders()
        private = ["--size", str(self.disk_mb << 20), "--tmpfs"]
        return [
            "bwrap", "--unshare-all", "--uid", "1000", "--gid", "1000", "--hostname", "grading",
            "--cap-drop", "ALL", "--die-with-parent", "--clearenv",
            "--proc", "/proc", "--dev", "/dev",
            *[word for path in ("/dev/shm", "/tmp", HOME) for word in (*private, path)],
            # After these, as the environment may itself lie in /tmp.
            *[word for path in readable for word in ("--ro-bind", path, path)],
            *[word for path in (self.folder, *self.shared) for word in ("--bind", path, path)],
            *[word for name, path in self._home_files().items()
              for word in ("--ro-bind", str(path), f"{HOME}/{name}")],
            "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", HOME,
            *[word for pair in self._environment(HOME).items() for word in ("--setenv", *pair)],
            "--seccomp", str(filter_file), "--",
        ]

    def _private_home(self) -> str:
        home = Path(self.folder, "home")
        home.mkdir()
        for name, path in self._home_files().items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, home / name)
        if self.kind == "user":
            for place in (self.folder, *Path(self.folder).rglob("*")):
                os.chown(place, NOBODY, NOBODY)
        return str(home)

    def _home_files(self) -> dict[str, Path]:
        """What is handed in, and matplotlib's list of fonts, which costs seconds to make."""
        fonts = Path(matplotlib.get_cachedir()).glob("fontlist-*.json")
        return {f".matplotlib/{path.name}": path for path in fonts} | dict(self.files)

    def _environment(self, home: str) -> dict[str, str]:
        threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return dict.fromkeys(threads, "1") | {
            "PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "HOME": home, "USER": "student",
            "LANG": "C.UTF-8", "MPLCONFIGDIR": f"{home}/.matplotlib", "COURSE_DEVICE": "cpu",
            # Named so that tracebacks shown to students skip it as they skip other libraries.
            "PYTHONDONTWRITEBYTECODE": "1",
            # The library of this course, even where an editable install names another copy.
            "PYTHONPATH": f"{self.folder}/site-packages:{library_folder().parent}",
        } | dict(self.variables)

    def _write(self, data: bytes) -> str:
        path = Path(self.folder, "filter")
        path.write_bytes(data)
        return str(path)

    def tidy(self) -> None:
        """Remove the folder of sockets, and whatever the student's code left in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def environment_folders() -> list[str]:
    """The folders that Python, its packages and `course_lib` are read from."""
    return list(dict.fromkeys([sys.base_prefix, sys.prefix, str(library_folder())]))


def library_folder() -> Path:
    """Where the `course_lib` that grades lies."""
    return Path(importlib.util.find_spec("course_lib").origin).parent


def require_wall(kind: str) -> None:
    """Refuse, in one sentence, if the wall `kind` cannot be had here."""
    if kind == "bubblewrap" and (reason := why_no_bubblewrap()):
        raise ConfinementError(
            f"Students' code is not run here, because {reason}, so nothing would keep it from your "
            "files: on Linux install bubblewrap (apt install bubblewrap), elsewhere grade in a "
            "container (see assignments/README.md)."
        )
    if kind == "user" and (os.name != "posix" or os.geteuid() != 0):
        raise ConfinementError(
            "Only root can start the kernel as another user: use this wall inside a container."
        )


@functools.cache
def why_no_bubblewrap() -> str:
    """Why bubblewrap does not work here, or an empty string."""
    if sys.platform != "linux" or platform.machine() not in SYSTEM_CALLS:
        return f"bubblewrap's walls are not known on {sys.platform} {platform.machine()}"
    missing = [tool for tool in ("bwrap", "prlimit") if shutil.which(tool) is None]
    if missing:
        return f"the program {missing[0]} is missing"
    walls = ["--unshare-all", "--ro-bind", "/", "/", "--size", "4096", "--tmpfs", "/tmp"]
    outcome = subprocess.run(["bwrap", *walls, "true"], capture_output=True, text=True)
    if outcome.returncode:
        return f"bubblewrap cannot make its walls ({outcome.stderr.strip().splitlines()[-1]})"
    return ""


def require_hidden(kind: str, *secrets: Path) -> None:
    """Refuse if the kernel could read what it must not."""
    for secret in secrets if kind == "user" else []:
        if secret.stat().st_mode & 0o077 or secret.stat().st_uid == NOBODY:
            raise ConfinementError(
                f"{secret} can be read by other users, so solutions would lie open: chmod 700 it."
            )
    if kind != "bubblewrap":
        return
    for folder in map(Path, environment_folders() + list(SYSTEM)):
        for secret in secrets:
            if secret.resolve().is_relative_to(folder.resolve()):
                raise ConfinementError(
                    f"{secret} lies inside {folder}, which the student's kernel reads, so "
                    "solutions would lie open: move the course elsewhere."
                )


# Per architecture: the audit number, and the numbers of the calls that are refused.
SYSTEM_CALLS = {
    "x86_64": (0xC000003E, {"fork": 57, "vfork": 58, "memfd_create": 319}, 56),
    "aarch64": (0xC00000B7, {"memfd_create": 279}, 220),
}
CLONE3, CLONE_THREAD = 435, 0x00010000
ALLOW, KILL, REFUSE, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026  # EPERM, ENOSYS


def one_process_filter() -> list[bytes]:
    """A seccomp program (classic BPF) that allows threads, but no second process.

    With one process, a limit on a process's memory is a limit on everything, and a fork bomb ends
    at its first fork. `clone3` hides its flags from the filter, so it is said not to exist, and
    libc falls back on `clone`.
    """
    architecture, refused, clone = SYSTEM_CALLS[platform.machine()]
    load, equal, at_least, has_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06

    def line(code, value, yes=0, no=0):
        return struct.pack("=HBBI", code, yes, no, value)

    program = [
        line(load, 4), line(equal, architecture, 1, 0), line(give, KILL), line(load, 0),
        line(at_least, 0x40000000, 0, 1), line(give, REFUSE),  # the 32-bit way into the same calls
        line(equal, CLONE3, 0, 1), line(give, UNKNOWN),
    ]
    for number in refused.values():
        program += [line(equal, number, 0, 1), line(give, REFUSE)]
    return [
        *program, line(equal, clone, 0, 3), line(load, 16), line(has_bit, CLONE_THREAD, 1, 0),
        line(give, REFUSE), line(give, ALLOW),
    ]


def is_plain_file(path: Path) -> bool:
    """Neither a link nor a device nor a pipe: these would lead the grader elsewhere."""
    return stat.S_ISREG(path.lstat().st_mode)

"""A hub for a class on one machine: `jupyterhub -f deploy/jupyterhub_config.py`.

Environment variables say what differs from place to place; deploy/README.md lists them. What goes
further, such as your university's login, goes into a file that `COURSE_HUB_SITE` names.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploy.logins import RosterAuthenticator
from deploy.places import COURSE, EXCHANGE, FIRST, HOME, NAMES, PROJECT, Places
from deploy.spawning import choose

c = get_config()  # noqa: F821
ask = os.environ.get
places = Places.from_environment()
places.make()
instructors = set(ask("COURSE_HUB_INSTRUCTORS", "").split())
minutes = int(ask("COURSE_HUB_IDLE_MINUTES", "60"))
threads = ask("COURSE_HUB_CORES", "2")

# Who may come in: whom the class list names, with the password that it gave them.
c.JupyterHub.authenticator_class = RosterAuthenticator
c.RosterAuthenticator.roster = f"{places.root}/hub/roster.json"
c.Authenticator.admin_users = instructors
c.Authenticator.allow_all = True  # who has a login
c.Authenticator.username_pattern = NAMES

# Where it listens: on this machine alone, unless there is a certificate.
certificate, key = ask("COURSE_HUB_CERTIFICATE", ""), ask("COURSE_HUB_KEY", "")
c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = certificate, key
c.JupyterHub.bind_url = ask(
    "COURSE_HUB_URL", "https://:443" if certificate else "http://127.0.0.1:8000"
)
c.JupyterHub.db_url = f"sqlite:///{places.root}/hub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{places.root}/hub/cookie_secret"
c.ConfigurableHTTPProxy.pid_file = f"{places.root}/hub/proxy.pid"
c.ConfigurableHTTPProxy.command = ["configurable-http-proxy"]

# Students' servers outlive the hub: it may stop, crash or be updated while they work.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False
c.JupyterHub.concurrent_spawn_limit = 2 * (os.cpu_count() or 1)
c.JupyterHub.shutdown_on_logout = False

# What lies idle goes: first kernels, which hold most memory, then servers. Files stay.
c.JupyterHub.load_roles = [{
    "name": "culler", "services": ["culler"],
    "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
}]
c.JupyterHub.services = [{"name": "culler", "command": [
    sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={minutes * 60}",
    "--cull-every=300", "--concurrency=5",
]}]

# What a student's server is.
c.Spawner.mem_limit = f"{ask('COURSE_HUB_MEMORY_MB', '2048')}M"
c.Spawner.cpu_limit = float(threads)
c.Spawner.default_url = FIRST
c.Spawner.start_timeout = c.Spawner.http_timeout = 180
c.Spawner.environment = {
    "OMP_NUM_THREADS": threads, "MALLOC_ARENA_MAX": "1", "PYTHONDONTWRITEBYTECODE": "1",
    "COURSE_KERNEL_MINUTES": str(minutes // 2),
}
if ask("COURSE_DEVICE"):
    c.Spawner.environment["COURSE_DEVICE"] = ask("COURSE_DEVICE")


def of_student(library: Path, settings: Path) -> dict[str, str]:
    """The variables of a student's server, by where it sees the library and our settings."""
    return {
        "PYTHONPATH": str(library), "COURSE_LESSONS": str(library / "notebooks"),
        "COURSE_EXCHANGE": EXCHANGE, "JUPYTER_CONFIG_PATH": str(settings / "student"),
    }


def serve_project(spawner) -> None:
    """An instructor's server: the project, without a limit, and the exchange as it is."""
    spawner.notebook_dir, spawner.mem_limit = str(PROJECT), None
    spawner.default_url = "/lab"  # a project has no one first page
    spawner.environment = spawner.environment | {
        "PYTHONPATH": str(PROJECT), "COURSE_LESSONS": str(PROJECT / "notebooks"),
        "COURSE_EXCHANGE": str(places.exchange), "COURSE_HUB": str(places.root),
        "JUPYTER_CONFIG_PATH": str(PROJECT / "deploy" / "jupyter" / "instructor"),
    }


def walled() -> None:
    """Servers are processes behind bubblewrap."""
    from deploy.walls import WalledSpawner

    python = ask("COURSE_HUB_PYTHON", sys.executable)
    settings = PROJECT / "deploy" / "jupyter"
    c.JupyterHub.spawner_class = WalledSpawner
    c.JupyterHub.hub_ip = c.Spawner.ip = "127.0.0.1"  # only the proxy is for others to reach
    c.WalledSpawner.places = places
    c.WalledSpawner.inside = [python, str(PROJECT / "deploy" / "start.py")]
    c.WalledSpawner.readable = ask("COURSE_HUB_READABLE", "").split()

    def prepare(spawner) -> None:
        name = spawner.user.name
        places.make(name)
        spawner.walled = name not in instructors
        if spawner.walled:
            spawner.notebook_dir = HOME
            spawner.environment = spawner.environment | of_student(places.edition, settings)
        else:
            serve_project(spawner)
            spawner.args = ["--allow-root"] if os.geteuid() == 0 else []

    c.Spawner.pre_spawn_hook = prepare


def docker() -> None:
    """Servers are containers of the image that deploy/Dockerfile makes."""
    owner = os.getuid() or 1000
    c.JupyterHub.spawner_class = "docker"
    c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"  # containers ask it there: see README.md
    c.JupyterHub.hub_connect_ip = ask("COURSE_HUB_BRIDGE", "172.17.0.1")
    c.DockerSpawner.image = ask("COURSE_HUB_IMAGE", "safety-wheels:cpu")
    c.DockerSpawner.remove = True  # what is kept lies in the volumes
    c.DockerSpawner.use_internal_ip = True
    c.DockerSpawner.extra_create_kwargs = {"user": f"{owner}:{owner}"}
    c.DockerSpawner.extra_host_config = {
        "read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"],
        "pids_limit": 512,
        # nbgrader wants the exchange's root to be writable, and writes nothing there.
        "tmpfs": {"/tmp": "size=512m", EXCHANGE: f"size=1m,uid={owner}"},
    }
    if ask("COURSE_HUB_IMAGE", "").endswith(":gpu"):
        c.DockerSpawner.extra_host_config["device_requests"] = [
            {"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]

    def prepare(spawner) -> None:
        name = spawner.user.name
        places.make(name, owner=owner)
        shared = {str(places.exchange / COURSE / "outbound"): f"{EXCHANGE}/{COURSE}/outbound"}
        shared |= {path: path for path in ask("COURSE_HUB_READABLE", "").split()}
        spawner.volumes = {str(places.home(name)): HOME}
        if name in instructors:
            spawner.volumes |= {str(path): str(path) for path in (PROJECT, places.exchange)}
            serve_project(spawner)
        else:
            spawner.volumes[str(places.inbound(name))] = f"{EXCHANGE}/{COURSE}/inbound"
            spawner.read_only_volumes = shared
            spawner.notebook_dir = HOME
            spawner.environment = spawner.environment | of_student(
                Path("/opt/course"), Path("/opt/course/deploy/jupyter"))

    c.Spawner.pre_spawn_hook = prepare


kind, warning = choose(ask("COURSE_HUB_SPAWNER", ""))
if warning:
    print(warning, file=sys.stderr)
{"docker": docker, "wall": walled}[kind]()

if ask("COURSE_HUB_SITE"):
    load_subconfig(ask("COURSE_HUB_SITE"))  # noqa: F821

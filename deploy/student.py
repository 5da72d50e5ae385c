"""A student without a browser: what JupyterLab asks of the hub, asked over the same wires."""

import json
import time
import uuid
from urllib.parse import urlparse

import nbformat
import requests
import websocket


class StudentError(RuntimeError):
    """Something that a student would have seen fail."""


class Student:
    """One user of a hub, logged in with a session of their own.

    Args:
        address: the hub's, such as "http://127.0.0.1:8000".
        name: the user's.
    """

    def __init__(self, address: str, name: str) -> None:
        self.address, self.name = address, name
        self.base = f"{address}/user/{name}"
        self.web = requests.Session()

    def log_in(self, password: str) -> None:
        """Come in by the login page, as the form does."""
        self.web.get(f"{self.address}/hub/login", timeout=60)
        answer = self.web.post(
            f"{self.address}/hub/login", timeout=60, allow_redirects=False,
            params={"_xsrf": self._xsrf("/hub/")},
            data={"username": self.name, "password": password, "_xsrf": self._xsrf("/hub/")})
        if answer.status_code != 302:
            raise StudentError(f"{self.name} could not log in: {answer.status_code}")

    def start_server(self, seconds: float = 180) -> float:
        """Have the own server started, and return after how many seconds it could be used."""
        begin = asked = time.monotonic()
        self.web.get(f"{self.address}/hub/spawn", timeout=seconds, allow_redirects=False)
        while time.monotonic() < begin + seconds:
            if time.monotonic() - asked > 20:  # where the hub died meanwhile, its page says "start"
                asked = time.monotonic()
                self.web.get(f"{self.address}/hub/spawn", timeout=seconds, allow_redirects=False)
            answer = self.web.get(f"{self.base}/lab", timeout=60)
            if answer.ok and answer.url.startswith(f"{self.base}/lab"):
                return time.monotonic() - begin
            time.sleep(0.5)
        raise StudentError(f"{self.name}'s server was not up after {seconds} s: {answer.url}")

    def stop_server(self) -> None:
        """Stop the own server, as the hub's control panel does."""
        self.web.get(f"{self.address}/hub/home", timeout=60)
        url = f"{self.address}/hub/api/users/{self.name}/server"
        token = {"X-XSRFToken": self._xsrf("/hub/"), "Referer": f"{self.address}/hub/home"}
        answer = self.web.delete(url, headers=token, timeout=60)
        for _ in range(120):
            if answer.status_code in (204, 404):
                return
            time.sleep(0.5)
            answer = self.web.delete(url, headers=token, timeout=60)
        raise StudentError(f"{self.name}'s server did not stop: {answer.status_code}")

    def ask(self, method: str, path: str, **words) -> requests.Response:
        """Ask the own server; raises what a browser's console would show."""
        answer = self.web.request(
            method, f"{self.base}/{path}", timeout=120,
            headers={"X-XSRFToken": self._xsrf(f"/user/{self.name}/")}, **words)
        if not answer.ok:
            raise StudentError(f"{self.name}: {method} {path}: {answer.status_code} "
                               f"{answer.reason}")
        return answer

    def read(self, path: str) -> nbformat.NotebookNode:
        """Open a notebook of the own home."""
        found = self.ask("GET", f"api/contents/{path}?content=1").json()
        return nbformat.from_dict(found["content"])

    def save(self, path: str, notebook: nbformat.NotebookNode) -> None:
        """Save a notebook in the own home."""
        self.ask("PUT", f"api/contents/{path}", json={"type": "notebook", "content": notebook})

    def start_kernel(self) -> str:
        """Start a kernel of the shared environment; its number."""
        return self.ask("POST", "api/kernels", json={"name": "python3"}).json()["id"]

    def stop_kernel(self, kernel: str) -> None:
        """End a kernel."""
        self.ask("DELETE", f"api/kernels/{kernel}")

    def run(self, kernel: str, code: str, seconds: float = 240) -> str:
        """Run code in a kernel, and return what it printed.

        Raises:
            StudentError: it raised, or the kernel died, or was not done in time.
        """
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.web.cookies
                            if f"/user/{self.name}/".startswith(c.path))
        wire = websocket.create_connection(
            f"ws://{urlparse(self.address).netloc}/user/{self.name}/api/kernels/{kernel}/channels"
            f"?session_id={uuid.uuid4().hex}",
            header={"X-XSRFToken": self._xsrf(f"/user/{self.name}/")}, cookie=cookies,
            origin=self.address, timeout=seconds)
        try:
            return self._converse(wire, code, time.monotonic() + seconds)
        except websocket.WebSocketException as error:
            raise StudentError(f"{self.name}'s kernel did not answer: {error}") from error
        finally:
            wire.close()

    def run_when_up(self, kernel: str, code: str, tries: int = 30) -> str:
        """`run`, in a kernel that is just being started again."""
        for _ in range(tries - 1):
            try:
                return self.run(kernel, code, seconds=60)
            except StudentError:
                time.sleep(1)
        return self.run(kernel, code, seconds=60)

    def _converse(self, wire: websocket.WebSocket, code: str, end: float) -> str:
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "username": self.name,
                  "session": number, "version": "5.3", "date": ""}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {},
                   "allow_stdin": False, "stop_on_error": True}
        wire.send(json.dumps({"header": header, "parent_header": {}, "metadata": {},
                              "content": content, "channel": "shell", "buffers": []}))
        said, replied, idle = [], False, False
        while not (replied and idle):
            if time.monotonic() > end:
                raise StudentError(f"{self.name}'s kernel was not done in time")
            message = json.loads(wire.recv())
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] in ("restarting", "dead"):
                raise StudentError(f"{self.name}'s kernel died")
            if message["parent_header"].get("msg_id") != number:
                continue
            said += [content["text"]] if kind == "stream" else []
            replied = replied or kind == "execute_reply"
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
            if kind == "execute_reply" and content["status"] != "ok":
                raise StudentError(f"{content['ename']}: {content['evalue']}")
        return "".join(said)

    def _xsrf(self, path: str) -> str:
        found = [c.value for c in self.web.cookies if c.name == "_xsrf" and c.path == path]
        return found[0] if found else ""

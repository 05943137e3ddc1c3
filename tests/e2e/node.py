# SPDX-License-Identifier: Apache-2.0
"""A whole node beside the API server: containerd, runc and a real kubelet, in a mount and process namespace of its own
that leaves nothing behind. Needs root. Pods use the host's network, so that they reach servers on loopback."""
import contextlib
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile

import yaml

from conftest import free_port, wait_until
from kube import ADMIN, PROGRAMS, end

PAUSE = "local.test/pause:1"
BUSYBOX = "local.test/busybox:1"
TRAP = ["/bin/busybox", "sh", "-c", "trap 'exit 0' TERM INT; while :; do /bin/busybox sleep 3600 & wait; done"]


def archive(path, name, files, entrypoint=None):
    """An image that holds these files ({path: (bytes, mode)}) as `docker load` and `ctr images import` read it."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in sorted({os.path.dirname(file) for file in files} | {"tmp", "run", "proc", "dev", "sys", "etc"}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for file, (content, mode) in files.items():
            entry = tarfile.TarInfo(file)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    layer = layer.getvalue()
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": entrypoint or []},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        for member, content in (("config.json", json.dumps(config).encode()), ("layer.tar", layer),
                                ("manifest.json", json.dumps(manifest).encode())):  # fmt: skip
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


class Node:
    def __init__(self, kube, folder, images=()):
        self.kube, self.folder = kube, str(folder)
        self.name = "node-1"
        self.images = list(images)
        self.process = None
        self.socket = self._path("containerd.sock")
        self.logs = self._path("logs")
        self.log = self._path("node.log")

    def _path(self, *names):
        return os.path.join(self.folder, *names)

    def _write(self, name, content):
        with open(self._path(name), "w") as file:
            file.write(content)
        return self._path(name)

    def _configure(self):
        os.makedirs(self._path("bin"), exist_ok=True)
        self._write("containerd.toml", f"""
version = 2
root = "{self._path('root')}"
state = "{self._path('state')}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{os.path.join(PROGRAMS, 'cni')}"
    conf_dir = "{self._path('cni')}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
""")  # fmt: skip
        os.makedirs(self._path("cni"), exist_ok=True)
        self._write("cni/10-loopback.conflist", json.dumps(
            {"cniVersion": "1.0.0", "name": "lo", "plugins": [{"type": "loopback"}]}))  # fmt: skip
        self._write("kubelet.yaml", yaml.safe_dump({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "failCgroupV1": False, "cgroupDriver": "cgroupfs", "cgroupsPerQOS": False, "enforceNodeAllocatable": [],
            "makeIPTablesUtilChains": False, "localStorageCapacityIsolation": False, "resolvConf": "",
            "podLogsDir": self.logs, "port": free_port(), "readOnlyPort": 0, "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "syncFrequency": "2s", "fileCheckFrequency": "2s", "nodeStatusUpdateFrequency": "2s",
            "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        }))  # fmt: skip
        self._write("kubeconfig", yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.kube.address,
                                                   "certificate-authority": self.kube.authority.file}}],
            "users": [{"name": "u", "user": {"token": ADMIN}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }))  # fmt: skip
        self._write("run.sh", f"""
set -u
mount --make-rprivate /
mkdir -p {self._path('kubelet')}
mount -t tmpfs tmpfs /run/containerd 2>/dev/null || {{ mkdir -p /run/containerd && mount -t tmpfs tmpfs /run/containerd; }}
export PATH={PROGRAMS}:$PATH
containerd --config {self._path('containerd.toml')} --log-level warn &
for i in $(seq 200); do ctr --address {self.socket} version >/dev/null 2>&1 && break; sleep 0.05; done
for image in {' '.join(self.images)}; do ctr --address {self.socket} -n k8s.io images import --snapshotter native $image || exit 1; done
for name in $(ctr --address {self.socket} -n k8s.io images list -q | grep -v /); do
	ctr --address {self.socket} -n k8s.io images tag $name docker.io/library/$name || exit 1
done
exec kubelet --config {self._path('kubelet.yaml')} --kubeconfig {self._path('kubeconfig')} --root-dir {self._path('kubelet')} \\
	--cert-dir {self._path('pki')} --hostname-override {self.name} --v 2
""")  # fmt: skip

    def start(self):
        busybox = open(os.path.join(PROGRAMS, "busybox"), "rb").read()
        files = {"bin/busybox": (busybox, 0o755)}
        self.images.append(archive(self._path("pause.tar"), PAUSE, files, TRAP))
        self.images.append(archive(self._path("busybox.tar"), BUSYBOX, files))
        self._configure()
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/bash", self._path("run.sh")],
            stdout=open(self.log, "ab"), stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        wait_until(self.ready, 60, "the node to be ready")
        return self

    def ready(self):
        assert self.process.poll() is None, open(self.log, errors="replace").read()[-3000:]
        with contextlib.suppress(Exception):
            for condition in self.kube.call("GET", f"/api/v1/nodes/{self.name}")["status"]["conditions"]:
                if condition["type"] == "Ready":
                    return condition["status"] == "True"
        return False

    def stop(self):
        end(self.process)
        with contextlib.suppress(Exception):
            self.kube.call("DELETE", f"/api/v1/nodes/{self.name}")

    def output(self, pod, container):
        """What the container has printed so far."""
        meta = pod["metadata"]
        folder = os.path.join(self.logs, f"{meta['namespace']}_{meta['name']}_{meta['uid']}", container)
        if not os.path.isdir(folder):
            return ""
        lines = []
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), errors="replace") as file:
                lines += [line.split(" ", 3)[3] for line in file if line.count(" ") >= 3]
        return "".join(lines)

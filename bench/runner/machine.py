"""What the figures were measured on."""
import os
import pathlib
import platform
import subprocess


def _field(path, name):
    for line in pathlib.Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def describe(folder):
    memory_kib = int(_field("/proc/meminfo", "MemTotal").split()[0])
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    mount = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True)
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kib / 1024 / 1024, 1),
        "kernel": platform.release(),
        "system": system,
        "file_system": mount.stdout.strip(),
        # Somebody else's work on the machine shows here.
        "load_before": round(os.getloadavg()[0], 2),
    }


def commit(root):
    run = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], capture_output=True,
                         text=True)
    return run.stdout.strip() or "unknown"

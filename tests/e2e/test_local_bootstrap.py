"""`deploy/bootstrap` says in one line what a machine lacks."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.paths import PROJECT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the bootstrap needs of a clone, without a virtualenv."""
    return copy_of_project(tmp_path / "clone")


def copy_of_project(folder: Path) -> Path:
    (folder / "deploy").mkdir(parents=True)
    shutil.copy2(PROJECT / "deploy" / "bootstrap", folder / "deploy")
    shutil.copytree(PROJECT / "requirements", folder / "requirements")
    shutil.copy2(PROJECT / "pyproject.toml", folder)
    return folder


def fake(folder: Path, name: str, script: str) -> Path:
    """A program of that name, for the front of PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def bootstrap(clone: Path, first: Path | None = None, **settings: str) -> "subprocess.CompletedProcess[str]":
    path = f"{first}:{os.environ['PATH']}" if first else os.environ["PATH"]
    return subprocess.run(
        [clone / "deploy" / "bootstrap", "local"],
        env={"PATH": path, "HOME": str(clone), **settings},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def refusal(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_python_out_of_range_is_named(clone: Path, tmp_path: Path) -> None:
    old = fake(tmp_path / "bin", "python-old", '[ "$1" = -V ] && echo Python 3.9.2; exit 1')
    assert "is Python 3.9.2: SMSFleet needs Python 3.11, 3.12 or 3.13" in refusal(bootstrap(clone, PYTHON=str(old)))
    assert "there is no python-nowhere" in refusal(bootstrap(clone, PYTHON="python-nowhere"))


def test_no_fitting_python_is_told(clone: Path, tmp_path: Path) -> None:
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        fake(tmp_path / "bin", name, '[ "$1" = -V ] && echo Python 3.9.2; exit 1')
    assert "no Python 3.11, 3.12 or 3.13 found (Python 3.9.2)" in refusal(bootstrap(clone, tmp_path / "bin"))


def test_a_python_without_its_venv_module_is_told(clone: Path, tmp_path: Path) -> None:
    bare = fake(
        tmp_path / "bin", "python-bare", f'case "$*" in *ensurepip*) exit 1 ;; esac; exec {sys.executable} "$@"'
    )
    assert "apt install python3-venv" in refusal(bootstrap(clone, PYTHON=str(bare)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has several C libraries")
def test_another_c_library_is_told(clone: Path, tmp_path: Path) -> None:
    fake(tmp_path / "bin", "getconf", "exit 1")
    assert "not glibc (musl" in refusal(bootstrap(clone, tmp_path / "bin"))


def test_no_network_is_told(clone: Path) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    done = bootstrap(clone, PYTHON=sys.executable, PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL=nowhere)
    assert "cannot download packages" in refusal(done)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 4 MB."""
    with tempfile.TemporaryDirectory() as name:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", name], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip(f"cannot mount a small disk here: {mounted.stderr.decode().strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_told(small_disk: Path) -> None:
    clone = copy_of_project(small_disk / "clone")
    assert "the disk is full" in refusal(bootstrap(clone, PYTHON=sys.executable))

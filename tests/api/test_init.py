"""`sinas init`: fresh keys in a private file, and never over an existing one."""

import base64
import os
import stat
import subprocess

SINAS = os.environ.get("SINAS", "build/plain/sinas")


def run_init(folder, *arguments):
    return subprocess.run([os.path.abspath(SINAS), "init", *arguments], cwd=folder, capture_output=True,
                          text=True, timeout=10)


def settings_of(path):
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_writes_fresh_keys_for_the_owner_only(tmp_path):
    done = run_init(tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / ".env"
    settings = settings_of(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(settings) == {"SECRET_KEY", "ENCRYPTION_KEY", "DATABASE_PASSWORD"}
    assert len(base64.urlsafe_b64decode(settings["ENCRYPTION_KEY"])) == 32
    for value in settings.values():
        assert value not in done.stdout + done.stderr
    assert run_init(tmp_path, "other.env").returncode == 0
    assert not set(settings.values()) & set(settings_of(tmp_path / "other.env").values())


def test_refuses_to_overwrite(tmp_path):
    path = tmp_path / "kept.env"
    path.write_text("SECRET_KEY=kept\n")
    done = run_init(tmp_path, "kept.env")
    assert done.returncode == 1
    assert "kept.env" in done.stderr
    assert path.read_text() == "SECRET_KEY=kept\n"


def test_leaves_nothing_where_it_cannot_write(tmp_path):
    assert run_init(tmp_path, "no/such/folder.env").returncode == 1
    assert os.listdir(tmp_path) == []

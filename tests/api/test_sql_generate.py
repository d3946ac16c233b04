"""sql/generate: what it makes of statement files, and that its complaints name file and line."""

import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "sql/generate"


@pytest.fixture
def generate(tmp_path):
    """generate(text) runs a copy over one file a.sql; the process, and what it wrote."""
    (tmp_path / "sql/schema").mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "sql/generate")

    def run(text, migrations=()):
        (tmp_path / "sql/a.sql").write_text(text)
        for name, sql in migrations:
            (tmp_path / "sql/schema" / name).write_text(sql)
        done = subprocess.run(["sql/generate", "out"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        files = {path.name: path.read_text() for path in (tmp_path / "out").glob("sql.*")}
        return done, files

    return run


def lane(files, name):
    return files["sql.c"].split(f'.name = "{name}"')[1].split(".lane = ")[1].split(",")[0]


def test_wrapper(generate):
    done, files = generate("-- name: a\n-- params: namespace text, int int, on bool, n int?\n"
                           "select $1, $2, $3, $4 -- why\n;\n")
    assert done.returncode == 0, done.stderr
    assert ("int sql_a_await(struct req *r, struct rows *rows, struct str namespace, int64_t int_, bool on, "
            "struct str n)") in files["sql.h"]
    assert 'select $1, $2, $3, $4"' in files["sql.c"]
    assert "types_a[] = {25, 23, 16, 23}" in files["sql.c"]


def test_many_parameters_are_a_struct(generate):
    done, files = generate("-- name: a\n-- params: a text, b text, c text,\n-- params: d text, e bigint\n"
                           "insert into t values ($1, $2, $3, $4, $5)\n")
    assert done.returncode == 0, done.stderr
    assert "struct sql_a_params {" in files["sql.h"]
    assert "const struct sql_a_params *params)" in files["sql.h"]


@pytest.mark.parametrize("text, expected", [
    ("select 1", "SQL_READ"),
    ("with x as (select 1) select * from x", "SQL_READ"),
    ("select 'insert' as \"update\", updated_at, $$delete$$ -- delete\n from t", "SQL_READ"),
    ("with x as (insert into t values (1) returning *) select * from x", "SQL_WRITE"),
    ("select 1 from t for update", "SQL_WRITE"),
    ("select 1 from t for key share", "SQL_WRITE"),
    ("update t set a = 1", "SQL_WRITE"),
    ("create table t (a int)", "SQL_WRITE"),
])
def test_lane(generate, text, expected):
    done, files = generate(f"-- name: a\n{text};\n-- name: b\n-- lane: read\nupdate t set a = 1;\n")
    assert done.returncode == 0, done.stderr
    assert lane(files, "a") == expected
    assert lane(files, "b") == "SQL_READ"


@pytest.mark.parametrize("text, line", [
    ("select 1;\n", 1),
    ("-- name: Bad\nselect 1;\n", 1),
    ("-- name: exec\nselect 1;\n", 1),
    ("-- name: a\nselect 1;\n\n-- name: a\nselect 2;\n", 4),
    ("-- name: a\n", 1),
    ("\n-- name: a\n-- params: x nonsense\nselect $1;\n", 3),
    ("-- name: a\n-- params: x text, x int\nselect $1, $2;\n", 2),
    ("-- name: a\n-- params: x text\nselect 1;\n", 1),
    ("-- name: a\nselect $1;\n", 1),
    ("-- name: a\nselect 1; select 2;\n", 1),
    ("-- name: a\nselect 1\n-- lane: read\n;\n", 3),
    ("-- name: a\n-- lane: fast\nselect 1;\n", 2),
])
def test_complaints(generate, text, line):
    done, _ = generate(text)
    assert done.returncode != 0
    assert done.stderr.startswith(f"sql/a.sql:{line}: "), done.stderr


def test_migrations(generate):
    done, files = generate("-- name: a\nselect 1;\n", [("0001_a.sql", 'select "x\\y";\n'), ("0002_b.sql", "select 'ü?'\n")])
    assert done.returncode == 0, done.stderr
    assert '{1, "0001_a", "' in files["sql.c"]
    assert '"select \\"x\\\\y\\";\\n"' in files["sql.c"]
    assert "\"select '\\303\\274\\?'\\n\"" in files["sql.c"]
    done, _ = generate("-- name: a\nselect 1;\n", [("0004_gap.sql", "select 1;")])
    assert done.stderr.startswith("sql/schema/0004_gap.sql:1: "), done.stderr

import os
import subprocess
import sys

NOISE = "E0000 00:00:1795656436.612253 14113 cuda.cc:1] failed call to cuInit\\n"
WORDS = "F0000 00:00:1795656436.612253 14113 x.cc:1] a fatal error\\n"

CODE = f"""
import os, sys
from inatdet.programs import native_logs
native_logs.hide()
print("first", file=sys.stderr)
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called\\n{NOISE}")
os.write(2, b"{WORDS}")
os.write(2, b"the rest")
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_what_is_for_developers_is_left_out():
    ended = run(CODE)
    assert ended.stderr == f"first\n{WORDS}the rest".replace("\\n", "\n")
    assert ended.returncode == 0


def test_the_last_words_of_a_crash_are_kept():
    ended = run(CODE + "os.abort()\n")
    assert ended.stderr.endswith("a fatal error\nthe rest")
    assert ended.returncode < 0


def test_a_traceback_is_kept():
    ended = run(CODE + "raise ValueError('a bug')\n")
    assert "ValueError: a bug" in ended.stderr
    assert ended.returncode == 1


def test_without_an_error_stream_nothing_happens():
    ended = run("import os\nos.close(2)\n" + CODE.partition("print(")[0] + "print('done')\n")
    assert ended.stdout == "done\n"
    assert ended.returncode == os.EX_OK

"""Damaged keys and results of listening tests are refused by one clear error."""

import json

import pytest

from josiecodec.errors import CodecError
from josiecodec.evaluation.listening_results import read_results

KEY = {"kind": "mushra", "test": "t", "trials": [{"sounds": {"a": "x", "b": "y"}}]}
RESULT = {"test": "t", "listener": "me", "answers": [{"trial": 0, "scores": {"a": 50, "b": 60}}]}


@pytest.mark.parametrize(
    ("key", "result"),
    [
        (KEY | {"kind": "other"}, RESULT),
        (KEY | {"kind": []}, RESULT),
        (KEY | {"trials": 3}, RESULT),
        (KEY | {"trials": [{"sounds": ["a", "b"]}]}, RESULT),
        (KEY | {"trials": [{"sounds": {"a": [], "b": {}}}]}, RESULT),
        (KEY | {"kind": "ab", "trials": [{"sounds": {"a": "x"}}]}, RESULT | {"answers": [{"trial": 0, "choice": "a"}]}),
        (KEY, RESULT | {"listener": ["me"]}),
        (KEY, RESULT | {"answers": [{"trial": 0, "scores": {"a": 10**400}}]}),
    ],
)
def test_damaged_files_are_refused(tmp_path, key, result):
    (tmp_path / "key.json").write_text(json.dumps(key))
    (tmp_path / "one.json").write_text(json.dumps(result))
    with pytest.raises(CodecError):
        read_results(tmp_path / "key.json", [tmp_path / "one.json"])


def test_deeply_nested_results_are_refused(tmp_path):
    (tmp_path / "key.json").write_text(json.dumps(KEY))
    (tmp_path / "one.json").write_text("[" * 200000)
    with pytest.raises(CodecError):
        read_results(tmp_path / "key.json", [tmp_path / "one.json"])

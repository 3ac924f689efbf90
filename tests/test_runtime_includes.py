"""Reading include lines without compiling."""

import pytest

includes = pytest.importorskip("metalwright.runtime.includes")


def test_include_lines_are_found():
    source = '#include <metal_stdlib>\n  #  include "a/b.h"\n// #include <x>\n#import <c.h>\n'
    found = includes.scan(source)
    assert found.names == (("metal_stdlib", False), ("a/b.h", True), ("c.h", False))
    assert not found.computed


@pytest.mark.parametrize(
    "source", ["#include NAME\n", "#if __has_include(<a.h>)\n#include <a.h>\n"]
)
def test_computed_includes_are_noticed(source):
    assert includes.scan(source).computed
    assert includes.fingerprint(includes.scan(source), []) is None


def test_torch_headers_add_torchs_folder():
    pytest.importorskip("torch")
    folders = includes.search_path(includes.scan("#include <c10/metal/utils.h>"), ["mine"])
    assert folders[0] == "mine"
    assert folders[1].endswith("include")
    assert includes.search_path(includes.scan("#include <metal_stdlib>"), ["mine"]) == ("mine",)


def test_the_fingerprint_follows_includes_and_changes_with_content(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.h").write_text('#include "sub/b.h"\n')
    (tmp_path / "sub" / "b.h").write_text('#include "c.h"\n#include <a.h>\n')
    inner = tmp_path / "sub" / "c.h"
    inner.write_text("// one\n")
    scanned = includes.scan("#include <a.h>\n#include <nowhere.h>\n")
    first = includes.fingerprint(scanned, [str(tmp_path)])
    assert [path.rsplit("/", 1)[1] for path, _ in first] == ["a.h", "b.h", "c.h"]
    assert includes.fingerprint(scanned, [str(tmp_path)]) == first
    inner.write_text("// three\n")
    assert includes.fingerprint(scanned, [str(tmp_path)]) != first

"""Language versions: what each defines, and what it does not have yet."""

import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"
VERSIONS = ("2.4", "3.0", "3.1", "3.2", "4.0")


def number(version: str) -> int:
    major, minor = version.split(".")
    return int(major) * 100 + int(minor) * 10


@pytest.mark.parametrize("version", VERSIONS)
def test_the_version_macro(version):
    source = (
        f'{HEADER}static_assert(__METAL_VERSION__ == {number(version)}, "");\n'
        "#if __METAL_VERSION__ >= 310\n"
        "#ifndef __HAVE_BFLOAT__\n#error no bfloat\n#endif\n"
        "#elif defined(__HAVE_BFLOAT__)\n#error bfloat\n#endif\n"
        "kernel void f(device float* a) {}"
    )
    metalwright.compile(source, language_version=version)


@pytest.mark.parametrize(
    ("body", "since"),
    [
        ("bfloat x = bfloat(a[0]); a[0] = x;", "3.1"),
        ("threadgroup atomic_float x; (void)x;", "3.0"),
        ("atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst);", "3.2"),
        ('os_log_default.log("x");', "3.2"),
    ],
)
def test_what_a_version_lacks_is_an_error_that_names_the_version(body, since):
    source = f"{HEADER}kernel void f(device float* a) {{ {body} }}"
    for version in VERSIONS:
        if number(version) >= number(since):
            metalwright.compile(source, language_version=version)
            continue
        with pytest.raises(metalwright.CompileError) as caught:
            metalwright.compile(source, language_version=version)
        first = caught.value.diagnostics[0]
        assert f"requires Metal language version {since} or newer" in first.message
        assert first.line == 3


def test_an_older_program_may_use_the_name_for_its_own_in_a_branch():
    source = HEADER + (
        "#if __METAL_VERSION__ >= 310\ntypedef bfloat number;\n"
        "#else\ntypedef float number;\n#endif\n"
        "kernel void f(device float* a) { a[0] = number(1); }"
    )
    for version in VERSIONS:
        metalwright.compile(source, language_version=version)

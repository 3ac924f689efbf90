"""Textures, samplers and argument buffers as Python sees them."""

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

SOURCE = """#include <metal_stdlib>
using namespace metal;
kernel void copy(texture2d<float> from [[texture(3)]], sampler how [[sampler(2)]],
                 texture2d<float, access::write> to [[texture(1)]], device float* sums,
                 uint2 p [[thread_position_in_grid]]) {
  float4 v = from.sample(how, float2(p) + 0.5f);
  to.write(v, p);
  sums[p.y * 2 + p.x] = v.x;
}
struct Args { device float* x; constant int* n; float4 scale; };
kernel void scaled(constant Args& args, uint i [[thread_position_in_grid]]) {
  if (int(i) < args.n[0]) args.x[i] *= args.scale.y;
}
"""
IMAGE = np.array([[1, 2], [3, 4]], np.float32)


@pytest.fixture(scope="module")
def library():
    return metalwright.compile(SOURCE, device="cpu")


def test_reflection_names_textures_and_samplers(library):
    found = [(a.kind, a.index, a.name, a.type_name, a.access) for a in library.copy.arguments]
    assert found == [
        ("texture", 3, "from", "texture2d<float, sample>", "read"),
        ("sampler", 2, "how", "sampler", "read"),
        ("texture", 1, "to", "texture2d<float, write>", "write"),
        ("buffer", 0, "sums", "float", "read_write"),
    ]
    assert "texture2d<float, sample> from [[texture(3)]]" in repr(library.copy)


def test_arguments_are_found_by_what_they_are_and_by_name(library):
    sampler = metalwright.Sampler(coordinates="pixel")
    for call in (
        lambda to, sums: library.copy(
            to, metalwright.Texture(IMAGE), sums, sampler, threads=(2, 2)
        ),
        lambda to, sums: library.copy(
            sums, how=sampler, to=to, threads=(2, 2), **{"from": metalwright.Texture(IMAGE)}
        ),
    ):
        to, sums = metalwright.Texture.empty((2, 2), format="r32float"), np.zeros(4, np.float32)
        call(to, sums)
        assert np.array_equal(to.numpy(), IMAGE)
        assert np.array_equal(sums, IMAGE.ravel())


def test_what_does_not_fit_is_refused_with_the_arguments_name(library):
    to = metalwright.Texture.empty((2, 2), format="r32float")
    sums, sampler = np.zeros(4, np.float32), metalwright.Sampler()
    cases = [
        ((to, metalwright.Texture(IMAGE), sums), "missing-argument", "'how'"),
        ((to, to, to, sums, sampler), "too-many-arguments", "textures"),
        (
            (to, metalwright.Texture(IMAGE.astype(np.int32)), sums, sampler),
            "wrong-texture",
            "'from'",
        ),
        ((to, metalwright.Texture(IMAGE[0], kind="1d"), sums, sampler), "wrong-texture", "'1d'"),
    ]
    for arguments, code, text in cases:
        with pytest.raises(metalwright.Error, match=text) as caught:
            library.copy(*arguments, threads=(2, 2))
        assert caught.value.code == code
    with pytest.raises(metalwright.Error, match=r"metalwright\.Sampler") as caught:
        library.copy(to, metalwright.Texture(IMAGE), sums, how=3, threads=(2, 2))
    assert caught.value.code == "not-bindable"


@pytest.mark.parametrize(
    ("values", "options", "code"),
    [
        (np.zeros(4), {}, "bad-shape"),
        (np.zeros((2, 2, 3), np.float32), {}, "bad-shape"),
        (np.zeros((2, 2), np.float64), {}, "wrong-dtype"),
        (IMAGE, {"format": "rgba8unorm"}, "bad-shape"),
        (IMAGE, {"format": "r8uint"}, "wrong-dtype"),
        (IMAGE, {"format": "r7float"}, "bad-option"),
        (IMAGE, {"kind": "cube"}, "bad-option"),
    ],
)
def test_arrays_that_are_no_texture(values, options, code):
    with pytest.raises(metalwright.Error) as caught:
        metalwright.Texture(values, **options)
    assert caught.value.code == code


def test_floats_become_what_a_normalised_format_stores():
    texture = metalwright.Texture(np.array([[0, 0.5, 2, -1]], np.float32), format="r8unorm")
    assert texture.numpy().tolist() == [[0, 128, 255, 0]]
    coloured = metalwright.Texture(np.array([[[1, 0.5, 0, 1]]]), format="bgra8unorm")
    assert coloured.numpy().tolist() == [[[0, 128, 255, 255]]]


def test_a_view_keeps_the_texture_alive():
    view = metalwright.Texture(IMAGE).numpy()
    assert np.array_equal(view, IMAGE)


def test_an_argument_buffer_is_encoded_member_by_member(library):
    (argument,) = library.scaled.arguments
    members = [(m.name, m.id, m.is_pointer, m.type_name, m.offset) for m in argument.members]
    assert members == [
        ("x", 0, True, "float", 0),
        ("n", 1, True, "int", 8),
        ("scale", 2, False, "float4", 16),
    ]
    x, n = np.arange(4, dtype=np.float32), np.array([3], np.int32)
    encoded = metalwright.argument_buffer(library.scaled, 0, [x, n, (0, 2, 0, 0)])
    library.scaled(encoded, threads=4)
    assert x.tolist() == [0, 2, 4, 3]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"x": IMAGE, "n": None}, "missing-member"),
        ({"x": IMAGE, "n": None, "scale": 1, "y": 2}, "unknown-member"),
        ({"x": IMAGE.astype(np.float64), "n": None, "scale": (1, 1, 1, 1)}, "wrong-dtype"),
        ({"x": 3.0, "n": None, "scale": (1, 1, 1, 1)}, "not-bindable"),
        ({"x": None, "n": None, "scale": (1, 1)}, "wrong-dtype"),
    ],
)
def test_what_does_not_fit_an_argument_buffer(library, values, code):
    with pytest.raises(metalwright.Error) as caught:
        metalwright.argument_buffer(library.scaled, "args", values)
    assert caught.value.code == code


def test_textures_and_the_sanitiser():
    checked = metalwright.compile(SOURCE, device="cpu", check=True)
    to, sums = metalwright.Texture.empty((2, 2), format="r32float"), np.zeros(4, np.float32)
    sampler = metalwright.Sampler(coordinates="pixel")
    checked.copy(to, metalwright.Texture(IMAGE), sums, sampler, threads=(2, 2))
    assert np.array_equal(sums, IMAGE.ravel())
    with pytest.raises(metalwright.Error) as caught:
        metalwright.argument_buffer(checked.scaled, "args", [])
    assert caught.value.code == "not-supported"

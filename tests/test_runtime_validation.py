"""Shader validation: what Metal's layers print, as findings; the process in which they run."""

import pytest

metalwright = pytest.importorskip("metalwright.runtime")

from metalwright.runtime.validation_findings import Finding, parse_findings  # noqa: E402

pytestmark = pytest.mark.native


def test_an_access_outside_of_a_buffer_is_found():
    (finding,) = parse_findings(
        "2026-01-01 12:00:00.000 python3[77:1234] Metal GPU Validation Enabled\n"
        'Invalid device store at offset 4000064, executing kernel function: "quantize"\n'
        "buffer: cache, length:4000000, resident:Read Write\n"
    )
    assert finding == Finding(
        kind="invalid-access",
        text='Invalid device store at offset 4000064, executing kernel function: "quantize"',
        access="store",
        address_space="device",
        offset=4_000_064,
        kernel="quantize",
        buffer="cache",
        length=4_000_000,
    )


def test_the_same_finding_is_counted_and_others_are_kept_apart():
    line = 'Invalid constant load at offset {}, executing kernel function: "k"\n'
    findings = parse_findings(line.format(8) * 3 + line.format(12))
    assert [(f.offset, f.count, f.access, f.address_space) for f in findings] == [
        (8, 3, "load", "constant"),
        (12, 1, "load", "constant"),
    ]


def test_a_finding_in_the_middle_of_a_line_is_found():
    (finding,) = parse_findings(
        'test one ... Invalid device load at offset 16, executing kernel function: "k" ok'
    )
    assert (finding.offset, finding.kernel, finding.buffer) == (16, "k", None)


def test_where_the_source_position_is_given_it_is_kept():
    (finding,) = parse_findings(
        'Invalid threadgroup store at offset 64, executing kernel function: "k", '
        "program_source:12:7"
    )
    assert (finding.line, finding.column, finding.address_space) == (12, 7, "threadgroup")


def test_a_failed_assertion_of_the_debug_layer_is_found():
    first, finding = parse_findings(
        "-[MTLDebugComputeCommandEncoder _validateThreadsPerThreadgroup:]:1310: failed assertion "
        "`(threadsPerThreadgroup.width(1024)) must be <= 768.'\n"
        "validateComputeFunctionArguments:1066: failed assertion `Compute Function(k): missing "
        "buffer binding at index 2'\n"
    )
    assert first.text.startswith("_validateThreadsPerThreadgroup: (threadsPerThreadgroup")
    assert finding.kind == "assertion"
    assert finding.text == (
        "validateComputeFunctionArguments: Compute Function(k): missing buffer binding at index 2"
    )


def test_the_banner_alone_is_no_finding():
    assert parse_findings("Metal API Validation Enabled\nMetal GPU Validation Enabled\n") == ()


def test_it_is_refused_on_a_device_that_is_not_metal():
    with pytest.raises(metalwright.Error) as caught:
        metalwright.validate("kernel void k() {}", "k", threads=1, device="cpu")
    assert caught.value.code == "not-a-metal-device"

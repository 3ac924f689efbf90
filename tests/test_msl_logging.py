"""os_log reaches Python's logging."""

import logging

import numpy as np
import pytest

metalwright = pytest.importorskip("metalwright.runtime")

pytestmark = pytest.mark.native

HEADER = "#include <metal_stdlib>\n#include <metal_logging>\nusing namespace metal;\n"


def run(body: str, caplog, arguments=(), outside: str = "", **call) -> list[logging.LogRecord]:
    source = (
        f"{HEADER}{outside}kernel void k(device float* a, uint i [[thread_position_in_grid]])"
        f"{{ {body} }}"
    )
    array = np.array([0.5, -2.0], np.float32)
    with caplog.at_level(logging.DEBUG, "metalwright.kernel"):
        metalwright.compile(source).k(array, **{"threads": 1, **call})
    return caplog.records


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('"plain"', "plain"),
        ('"%d %i %u", -3, 7, 4000000000u', "-3 7 4000000000"),
        ('"%5.2f|%-6g|%e", 1.5f, 2.0h, a[1]', " 1.50|2     |-2.000000e+00"),
        ('"%x %X %o %c%%", 255, 255u, 8, 65', "ff FF 10 A%"),
        ('"%x", -1', "ffffffff"),
        ('"%ld %lu", -9000000000l, 18446744073709551615ul', "-9000000000 18446744073709551615"),
        ('"%v2f %v4d", float2(1, 2), int4(1, -2, 3, 4)', "1.000000, 2.000000 1, -2, 3, 4"),
        ('"%s", "inner"', "inner"),
        ('"%hd %hhu", short(-5), uchar(200)', "-5 200"),
        ('"%f", bfloat(3)', "3.000000"),
        ('"missing %d"', "missing %d"),
    ],
)
def test_a_message_is_formatted_as_printf_does(caplog, arguments, text):
    (record,) = run(f"os_log_default.log({arguments});", caplog)
    assert record.getMessage() == text
    assert (record.name, record.levelno) == ("metalwright.kernel", logging.INFO)
    assert record.kernel == "k"


@pytest.mark.parametrize(
    ("call", "level"),
    [
        ("log_debug", logging.DEBUG),
        ("log_info", logging.INFO),
        ("log_error", logging.ERROR),
        ("log_fault", logging.CRITICAL),
    ],
)
def test_the_type_is_the_level(caplog, call, level):
    (record,) = run(f'os_log_default.{call}("x");', caplog)
    assert record.levelno == level


def test_subsystem_and_category_name_the_logger(caplog):
    outside = 'constant os_log mine("com.example", "sums");\n'
    (record,) = run('mine.log("x");', caplog, outside=outside)
    assert record.name == "metalwright.kernel.com.example.sums"
    assert (record.subsystem, record.category) == ("com.example", "sums")


def test_every_thread_may_write_and_a_flood_is_counted(caplog):
    assert len(run('if (i < 3) os_log_default.log("%u", i);', caplog, threads=100)) == 3
    caplog.clear()
    records = run('os_log_default.log("%u", i);', caplog, threads=12_000)
    assert len(records) == 10_001
    assert records[-1].getMessage() == "kernel 'k' wrote 2000 more messages than are kept"


def test_what_was_written_before_a_failure_is_there(caplog):
    with pytest.raises(metalwright.DispatchError):
        run('os_log_default.log("before"); for (;;) a[0] += 1;', caplog, deadline=0.3)
    assert [record.getMessage() for record in caplog.records] == ["before"]

"""Points the CMake exports of the ROS wheels at this environment's Python and numpy headers.

The wheels contain the include folders of the machine that built them, which CMake refuses because they do not exist.
Run this with the Python of the environment to fix; it can be run again. It handles ``numpy/core`` (numpy 1.x) and
``numpy/_core`` (2.x).
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

FOREIGN_HEADERS = re.compile(r"""[^;"]*/site-packages/numpy/_?core/include|[^;"]*/include/python3\.\d+""")


def relocate(prefix: Path) -> int:
    """Rewrite the include folders in all CMake exports under ``prefix``; return the number of changed files."""

    def local(match: re.Match[str]) -> str:
        return numpy.get_include() if "/numpy/" in match[0] else sysconfig.get_path("include")

    changed = 0
    for export in prefix.glob("share/*/cmake/*Export.cmake"):
        text = export.read_text()
        relocated = FOREIGN_HEADERS.sub(local, text)
        if relocated != text:
            export.write_text(relocated)
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"relocated {relocate(Path(sys.prefix))} CMake exports")

"""Points the CMake exports of the ROS wheels at this environment's Python and numpy headers.

The wheels carry the include folders of the machine that built them, which CMake refuses as non-existent paths. Runs in
the environment to be mended; doing it again changes nothing, and it follows numpy from ``numpy/core`` (1.x) to
``numpy/_core`` (2.x).
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

FOREIGN_HEADERS = re.compile(r"""[^;"]*/site-packages/numpy/_?core/include|[^;"]*/include/python3\.\d+""")


def relocate(prefix: Path) -> int:
    """Rewrite the include folders in every CMake export below ``prefix``; returns the number of files changed."""

    def local(match: re.Match[str]) -> str:
        return numpy.get_include() if "/numpy/" in match[0] else sysconfig.get_path("include")

    changed = 0
    for export in prefix.glob("share/*/cmake/*Export.cmake"):
        text = export.read_text()
        mended = FOREIGN_HEADERS.sub(local, text)
        if mended != text:
            export.write_text(mended)
            changed += 1
    return changed


if __name__ == "__main__":
    print(f"relocated {relocate(Path(sys.prefix))} CMake exports")

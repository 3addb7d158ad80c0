#!/usr/bin/env bash
# Sets up this checkout: .venv with the pinned requirements, ROS (an apt ROS if there is one, else the wheels), and the
# colcon build in install/. Steps that are up to date are skipped. Usage: scripts/setup.sh [run|test|lint|docs]
set -euo pipefail
unset CDPATH
cd "$(dirname "$0")/.."
purpose=${1:-run}
python=${PYTHON:-python3}
venv=.venv

stop() { echo "setup: $*" >&2; exit 1; }
say() { echo "setup: $*"; }

# --- requirements of the machine ----------------------------------------------------------------------------------
command -v "$python" >/dev/null || stop "no $python: install Python 3.10 to 3.13 (apt install python3 python3-venv)"
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
version=$(version_of "$python") || stop "$python does not run: set PYTHON to a Python 3.10 to 3.13"
case $version in
  3.10 | 3.11 | 3.12 | 3.13) ;;
  *) stop "$python is Python $version, which ROS 2 Jazzy has no packages for: set PYTHON to a Python 3.10 to 3.13" ;;
esac
"$python" -c 'import ensurepip, venv' 2>/dev/null || stop "$python has no venv: apt install python3-venv"

# An apt ROS has its own rclpy for the system's Python, which the venv can then import.
ros_setup=
for prefix in "/opt/ros/${ROS_DISTRO:-jazzy}" /opt/ros/jazzy; do
  [ -f "$prefix/setup.bash" ] && ros_setup=$prefix/setup.bash && break
done
if [ -z "$ros_setup" ] && [ "$(uname -m)" != x86_64 ]; then
  stop "no ROS in /opt/ros, and ROS wheels exist for x86-64 only: apt install ros-jazzy-ros-base"
fi

# --- Python packages ---------------------------------------------------------------------------------------------
is_usable() ( # does .venv have pip for the Python that it finds now, and paths in its scripts that lead to this folder?
  found=$(version_of $venv/bin/python) && [ -d "$venv/lib/python$found/site-packages/pip" ] || return
  set +u
  # shellcheck disable=SC1091
  source $venv/bin/activate && [ "$VIRTUAL_ENV" -ef $venv ]
)
if ! is_usable; then
  [ ! -e $venv ] || say "$venv cannot be used: it is incomplete, the folder was moved, or its Python was replaced"
  say "creating $venv with Python $version"
  rm -rf $venv build # CMake keeps paths in build
  "$python" -m venv ${ros_setup:+--system-site-packages} $venv
elif [ "$(version_of $venv/bin/python)" != "$version" ]; then
  say "$venv stays with Python $(version_of $venv/bin/python): remove it to change to Python $version"
fi
touch $venv/COLCON_IGNORE

install_once() { # install_once NAME FILE...: pip install, again only when the files changed
  local stamp=$venv/.installed-$1 sum
  shift
  sum=$(cat "$@" requirements/constraints.txt | sha256sum)
  [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return
  say "installing $*"
  if ! $venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements/constraints.txt \
    "${@/#/--requirement=}" 2>$venv/pip.log; then
    grep -E '^ERROR' $venv/pip.log >&2 || tail -n 5 $venv/pip.log >&2
    stop "pip could not install the requirements: is the network up? (whole log: $venv/pip.log)"
  fi
  echo "$sum" >"$stamp"
}

if [ "$purpose" = docs ]; then # scripts/setup.sh docs: the pages are made from the sources alone, without ROS
  install_once docs requirements/docs.txt
  exit 0
fi
install_once run requirements/runtime.txt requirements/build.txt requirements/evaluation.txt \
  $([ -n "$ros_setup" ] || echo requirements/ros.txt)
if [ "$purpose" = lint ]; then # mypy reads the packages above
  install_once lint requirements/lint.txt
  exit 0
fi
[ "$purpose" = test ] && install_once test requirements/test.txt requirements/fleet.txt

# --- the ROS package ---------------------------------------------------------------------------------------------
is_outdated() { # is any source newer than the last build?
  [ ! -f install/.built ] || [ ! -f install/setup.bash ] ||
    [ -n "$(find CMakeLists.txt package.xml msg srv config launch weights scripts perception_common yolc_ros loftr_ros \
      flight_sim replay_ros $venv/.installed-run -newer install/.built -not -path '*/__pycache__*' -print -quit)" ]
}
if is_outdated; then
  command -v c++ >/dev/null || command -v g++ >/dev/null ||
    stop "no C++ compiler, which the ROS messages need: apt install build-essential"
  headers=$($venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [ -f "$headers/Python.h" ] || stop "no Python headers in $headers: apt install python3-dev"
  command -v cmake >/dev/null || install_once cmake requirements/cmake.txt
  say "building the ROS package"
  rm -rf install # removes installed copies of deleted or renamed files
  export PATH=$PWD/$venv/bin:$PATH
  if [ -n "$ros_setup" ]; then
    set +u
    # shellcheck disable=SC1090
    source "$ros_setup"
    set -u
  else
    python scripts/relocate_ros_wheels.py
    export AMENT_PREFIX_PATH=$PWD/$venv CMAKE_PREFIX_PATH=$PWD/$venv
  fi
  mkdir -p build
  touch build/.started # sources that change during the build make it outdated
  # Not with the defaults that a user keeps for colcon, such as another install folder: its extension may be installed.
  if ! env -u COLCON_DEFAULTS_FILE COLCON_HOME="$PWD/build" python -m colcon --log-base log build --base-paths . \
    --packages-select yolc_ros --merge-install --event-handlers console_direct+ \
    --cmake-args -DBUILD_TESTING=OFF >build/colcon.log 2>&1; then
    grep -nE -A4 'error|Error' build/colcon.log | head -n 20 >&2
    stop "the build failed (whole log: build/colcon.log)"
  fi
  touch -r build/.started install/.built
fi

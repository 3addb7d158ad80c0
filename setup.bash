# `source setup.bash` (after `make`): a shell in which the command `yolc`, the Python packages and ROS work.
_yolc_ros_root=$(unset CDPATH && cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ ! -f "$_yolc_ros_root/install/setup.bash" ]; then
  echo "setup.bash: nothing is built yet: run 'make' in $_yolc_ros_root first" >&2
  return 1 2>/dev/null || exit 1
fi
for _yolc_ros_prefix in "/opt/ros/${ROS_DISTRO:-jazzy}" /opt/ros/jazzy; do
  if [ -f "$_yolc_ros_prefix/setup.bash" ]; then
    source "$_yolc_ros_prefix/setup.bash"
    break
  fi
done
source "$_yolc_ros_root/.venv/bin/activate"
case ":${AMENT_PREFIX_PATH:-}:" in
  *:"$_yolc_ros_root/.venv":*) ;;
  # The ROS wheels are a prefix of their own: the venv.
  *) export AMENT_PREFIX_PATH=$_yolc_ros_root/.venv${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH} ;;
esac
# colcon's file does not quote its Python, which therefore must not be the venv's: that may lie in a folder with blanks.
COLCON_PYTHON_EXECUTABLE=${COLCON_PYTHON_EXECUTABLE:-$(readlink -f "$_yolc_ros_root/.venv/bin/python")} \
  source "$_yolc_ros_root/install/local_setup.bash"
unset _yolc_ros_root _yolc_ros_prefix

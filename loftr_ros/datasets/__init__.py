"""Image pairs with known matches, to train LoFTR. numpy and OpenCV; no torch, no ROS."""

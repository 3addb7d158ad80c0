"""Image pairs with known correspondences to train LoFTR on. numpy and OpenCV; no torch, no ROS."""

"""YOLC: clustered detection of tiny objects in aerial images. (rosidl generates ``yolc_ros.msg`` beside this file.)"""

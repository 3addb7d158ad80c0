"""Images: conversion from and to ROS messages, and drawing."""

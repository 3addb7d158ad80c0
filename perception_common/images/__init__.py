"""Images: conversion of ROS messages, and drawing."""

"""The object classes of the simulator: those of the VisDrone data set (Zhu et al., "Vision Meets Drones")."""

CLASS_NAMES = ("pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus", "motor")

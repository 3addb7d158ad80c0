"""Where in a box an object stands on the ground: at the bottom in oblique views, at the centre in nadir views.

An object of height H over a ground of length L that is seen at an angle a below the horizon covers L sin a + H cos a
across the line of sight. Its lower edge is the near edge of the ground that it covers, so the middle of that ground
lies L/2 sin a above it. Measured from the centre of the box, along the direction in which the image shows gravity,
it lies

    extent / 2 * H cos a / (L sin a + H cos a)

below: nothing at nadir, half of the extent at the horizon. The direction of gravity also places a tall object right
that leans outwards at the margin of a nadir view, and one in a rolled image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perception_common.cameras.camera import Camera

ASPECTS = {
    "pedestrian": 2.6,
    "people": 1.4,
    "bicycle": 1.1,
    "motor": 1.1,
    "tricycle": 0.8,
    "awning-tricycle": 0.9,
    "car": 0.5,
    "van": 0.6,
    "truck": 0.6,
    "bus": 0.5,
}
"""Height over the mean length of the covered ground over all headings, by class of VisDrone: of usual sizes."""
OTHER_ASPECT = 0.6  # of other classes: between vehicles and people
FOOTING = 0.05
"""Standard deviation of the place in the box on each axis, as a share of its diagonal. Measured on the meshes of
flight_sim, in 3,540 views that no figure is of: 0.047 (0.055 along gravity, 0.035 across)."""


def contact_points(
    camera: Camera, rotation: np.ndarray, boxes: np.ndarray, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels (N, 2) where objects stand, and the standard deviations (N,) of the rule, pixels.

    rotation: (3, 3), world from optical. boxes: (N, 4), x0 y0 x1 y1, pixels whose centres are at integers.
    class_names: N. Where the ray has no inverse, or looks up, the bottom of the box is taken.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    centres, halves = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    rays = np.insert(camera.rays(centres), 2, 1.0, axis=1) @ camera.rotation
    lengths = np.linalg.norm(rays, axis=1)
    down = -rotation[2]  # gravity in the optical frame
    sine = np.clip(rays @ down / lengths, 0.0, 1.0)
    cosine = np.sqrt(1.0 - sine**2)
    # Gravity at the place of the object moves its ray by down - ray * down_z: the part across the line of sight.
    moved = rays / rays[:, 2:]
    moves = down[:2] - moved[:, :2] * down[2]
    moves = np.where(np.isfinite(moves), moves, [0.0, 1.0]) * camera.matrix[[0, 1], [0, 1]]
    norms = np.linalg.norm(moves, axis=1, keepdims=True)
    directions = np.where(norms > 1e-9, moves / np.maximum(norms, 1e-9), [0.0, 1.0])
    with np.errstate(divide="ignore"):
        extents = np.min(halves / np.abs(directions), axis=1)  # from the centre to the border of the box
    aspects = np.array([ASPECTS.get(name, OTHER_ASPECT) for name in class_names])
    shares = aspects * cosine / (sine + aspects * cosine)
    shares = np.where(np.isfinite(shares), shares, 1.0)
    points = centres + directions * (extents * shares)[:, None]
    return points, FOOTING * 2 * np.linalg.norm(halves, axis=1)

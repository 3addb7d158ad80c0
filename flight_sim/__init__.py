"""Simulated drone flights with exact ground truth: numpy and OpenCV only.

    flight = start_flight(seed=7)              # flight.py; builds a scene (scene.py) and plans a path (flight_path.py)
    frame = flight.frame(0)                    # rendered on demand: image, stamp, truth (truth.py)
    view = sample_view(seed=7)                 # sampling.py; single views and overlapping pairs for training

A scene is built in this order: map_generation/ draws the map (city_map/), ground/ paints it with textures/, traffic/
adds vehicles and people (meshes/), buildings/ adds textured walls and roofs. rendering/ draws the scene; degradation.py
adds the effects of camera and weather.

Sizes, colours and probabilities of the generators are empirical unless a comment names their source.
"""

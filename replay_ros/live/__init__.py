"""Live replay: a bag through running nodes over DDS."""

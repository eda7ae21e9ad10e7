//! Holds no code: in `tests/`, Keyroom meets mls-rs and OpenMLS in one group.

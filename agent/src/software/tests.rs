//! Archives as people make them, and as an enemy does.

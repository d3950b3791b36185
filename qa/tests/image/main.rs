//! What the built image holds, and what it must not hold.

//! What needs root and a piece of the machine of its own: 200 partitions, made natively, and the machine left as it was.

mod partitions;

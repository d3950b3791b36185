//! What the master shall hear, in order and until it has heard it. The queue is pure; `send` is its only I/O.

mod node;
mod queue;
mod send;

pub use node::{Facts, node_report};
pub use queue::Queue;
pub use send::send;

//! What the product does, as stories: each boots the image as it is shipped, on machines of its own.

mod builds;
mod clocks;
mod debian;
mod meshes;
mod serves;
mod spoilt;
mod tokens;

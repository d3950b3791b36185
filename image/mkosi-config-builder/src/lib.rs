//! Typed configuration of mkosi 25.3, systemd-repart 257, systemd-sysupdate 257 and apt, rendered as text.
//!
//! A value that is wrong by itself cannot be built, what is wrong together is refused by `validate()`.
//! The crate does no I/O: it returns text, and the caller writes it.

pub mod apt;
mod choice;
pub mod mkosi;
mod nearest;
mod path;
pub mod repart;
mod section;
mod setting;
mod size;
mod specifier;
pub mod sysupdate;
mod text;
pub mod tree;
mod uuid;
mod value;

pub use path::{BuildPath, ImagePath, TreePath};
pub use section::Section;
pub use setting::{FileKind, Setting, UnknownSetting};
pub use size::Size;
pub use text::{Item, Name, Text, Word};
pub use tree::Tree;
pub use uuid::Uuid;
pub use value::{Value, ValueError, list};

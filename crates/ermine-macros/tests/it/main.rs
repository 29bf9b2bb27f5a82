//! What the derived code does.

mod bodies;
mod serde_settings;

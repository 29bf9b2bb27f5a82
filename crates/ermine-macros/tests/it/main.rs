//! What the derived code does.

mod bodies;
mod evolution;
mod serde_settings;

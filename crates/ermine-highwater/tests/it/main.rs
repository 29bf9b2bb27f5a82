//! The tracker against a small model of a database, and pace against a plain clock.

mod follower;
mod model;
mod operation;
mod pace;
mod properties;
mod scenarios;
mod timed;

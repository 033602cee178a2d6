//! The cases, by what they ask of the engine.

pub mod beside;
pub mod compaction;
pub mod open;
pub mod reads;
pub mod writes;

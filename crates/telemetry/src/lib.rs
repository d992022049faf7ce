//! The machine: what it is doing, read from `/proc` and `/sys`.
//!
//! Owns: how the kernel's files are read, rates between two readings, the JSON in which samples leave the program. Depends on:
//! record. Never: stores, sends or waits for what hangs. Start reading at [`Sampler`] for how it is used, at
//! [`Machine`] for what is read; the words are in [`taffrail_record::sample`].

pub mod counters;
mod envelope;
mod figures;
mod inventory;
mod machine;
mod roots;
mod sampler;

pub use envelope::envelope;
pub use figures::figures;
pub use inventory::inventory;
pub use machine::Machine;
pub use roots::Roots;
pub use sampler::Sampler;

#[cfg(test)]
mod tests;

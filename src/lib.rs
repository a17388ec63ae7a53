//! Sealgate: an inline audit proxy for AI traffic.
//!
//! Every request is identified, classified, decided by policy and **sealed** — a signed record is durable
//! on disk — before one byte of it reaches a vendor. `ARCHITECTURE.md` describes the rooms of this house;
//! `tests/layers.rs` holds the walls: a module names only modules of strictly lower rank.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod egress;
pub mod env;
pub mod identity;
pub mod index;
pub mod json;
pub mod ledger;
pub mod pipeline;
pub mod policy;
pub mod record;
pub mod scan;
pub mod serve;
pub mod store;
pub mod telemetry;
pub mod types;
pub mod upstream;
pub mod vendor;

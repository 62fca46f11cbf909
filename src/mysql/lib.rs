//! mysql

pub mod config;

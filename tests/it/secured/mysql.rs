//! Databases

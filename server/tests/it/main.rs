//! The real binary, as people and programs meet it.
//!
//! Each test has a data folder of its own, with a PostgreSQL of its own in it. Nothing waits by the clock: a test reads what the process
//! prints, and its end is the end of its output.

mod catalog;
mod commands;
mod console;
mod counted;
mod database;
mod farebox;
mod faults;
mod http;
mod lending;
mod life;
mod limits;
mod prices;
mod projects;
mod proof;
mod read_only;
mod relay;
mod rights;
mod root;
mod spool;
mod stripe;
mod upstream;
mod watched;

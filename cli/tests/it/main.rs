//! The command line, tested from outside.

#[cfg(test)]
mod commands;

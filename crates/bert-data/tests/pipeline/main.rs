//! From text files to batches, through the public interface and through the program itself.

#![allow(clippy::unwrap_used)]

mod bad_files;
mod bad_input;
mod byte_level;
mod cleaning;
mod command_line;
mod corpus;
mod extending;
mod fuzz;
mod loading;
mod masks;
mod packing;
mod packs;
mod pairs;
mod parts;
mod real_tasks;
mod same_bytes;
mod sentences_gold;
mod sources;
mod stopped;
mod unigram;
mod verifying;

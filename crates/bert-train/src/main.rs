//! The command line of `bert-train`. Exit code 0: success, 1: the work failed, 2: the request was wrong.

mod cli;

use std::process::ExitCode;

/// Keeps the memory of a step's tensors for the next step; the system's allocator gives it back and pays a page fault
/// for every 4 KiB it gets again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let wrong_request = error.downcast_ref::<bert_train::Error>().is_some_and(bert_train::Error::is_request);
            ExitCode::from(if wrong_request { 2 } else { 1 })
        }
    }
}

//! The command line of `bert-train`. Exit code 0: success, 1: the work failed, 2: the request was wrong.

mod cli;

use std::process::ExitCode;

/// Keeps the memory of a step's tensors for the next step; the system's allocator gives it back and pays a page fault
/// for every 4 KiB it gets again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Left alone, the allocator gives pages back that were free for a second: a large model's step takes longer.
#[allow(unsafe_code)]
fn keep_pages() {
    // `mi_option_purge_delay` in mimalloc.h (2.1 to 3); the crate does not name it.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    const NEVER: std::ffi::c_long = -1;
    // SAFETY: sets a number in the allocator's table of options; no other thread runs yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER) }
}

fn main() -> ExitCode {
    keep_pages();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let wrong_request = error.downcast_ref::<bert_train::Error>().is_some_and(bert_train::Error::is_request);
            ExitCode::from(if wrong_request { 2 } else { 1 })
        }
    }
}

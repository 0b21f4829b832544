//! The command line of `bert-train`. Exit code 0: success, 1: the work failed, 2: the request was wrong.

mod cli;

use std::process::ExitCode;

/// Keeps the memory of a step's tensors for the next step. Left alone, glibc gives large blocks back to the system and pays a page
/// fault for every 4 KiB it gets again. Other allocators keep their pages too, in size classes that fit gradients badly into the
/// gaps that activations leave (measured, `docs/performance.md`).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
fn keep_memory() {
    // SAFETY: sets numbers in the allocator's table of options; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0); // no mapping of its own for any block
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1); // the heap never shrinks
        libc::mallopt(libc::M_ARENA_MAX, 1); // what one thread frees, any other can have
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_memory() {}

/// Makes this thread one of those that parallel loops run on. Otherwise it would sleep through each of them and be woken at its end,
/// which takes longer than many of them (measured, `docs/performance.md`).
fn take_part() {
    // It fails where a pool exists already, which then serves.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
}

fn main() -> ExitCode {
    keep_memory();
    take_part();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let wrong_request = error.downcast_ref::<bert_train::Error>().is_some_and(bert_train::Error::is_request);
            ExitCode::from(if wrong_request { 2 } else { 1 })
        }
    }
}

//! The kernels compiled for the CPU, for tests (`kernels/host/emulation.h`).

use super::{Argument, Grid};
use candle_core::{Result, bail};
use libloading::Library;
#[cfg(feature = "emulation")]
use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The library, or why there is none. One launch at a time: its threads are fibers of one stack of global state.
static EMULATION: LazyLock<std::result::Result<Mutex<Library>, String>> = LazyLock::new(|| build().map(Mutex::new));

type Emulate = unsafe extern "C" fn(*const c_char, *const u32, u32, u32, *mut *mut c_void) -> c_int;

/// Whether kernels can be run here; says once a test why not.
pub(super) fn is_there() -> bool {
    match &*EMULATION {
        Ok(_) => true,
        Err(reason) => {
            eprintln!("skipped: the kernels are not emulated: {reason}");
            false
        }
    }
}

fn build() -> std::result::Result<Library, String> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/host/emulation.cpp");
    let folder = std::env::temp_dir().join(format!("bert-kernels-emulation-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let library = folder.join("kernels.so");
    let run = Command::new(&compiler)
        .args([
            "-std=c++17",
            "-O1",
            "-ffp-contract=off",
            "-fno-strict-aliasing",
            "-fPIC",
            "-shared",
            "-U_FORTIFY_SOURCE",
            "-Wno-unknown-pragmas",
            "-x",
            "c++",
        ])
        .arg(&source)
        .arg("-o")
        .arg(&library)
        .output()
        .map_err(|e| format!("no C++ compiler {compiler}: {e} (CXX names another)"))?;
    // A kernel that does not compile is a failure and not a reason to skip.
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    // SAFETY: built just now from this project's sources; it has no initialisers with effects.
    let loaded = unsafe { Library::new(&library) }.map_err(|e| e.to_string());
    // What is loaded stays mapped.
    let _ = std::fs::remove_dir_all(&folder);
    loaded
}

#[cfg(feature = "emulation")]
thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread takes the CUDA forms for tensors in main memory.
#[cfg(feature = "emulation")]
pub(crate) fn is_on() -> bool {
    IS_ON.get()
}

/// Runs `f` with the CUDA forms for all tensors in main memory, their kernels emulated and products as candle has them: so models and
/// trainings, bf16 and f16 included, can be tested where there is no GPU. `None` where kernels cannot be compiled for the processor.
/// It holds for the thread that calls, for tests that may panic.
#[cfg(feature = "emulation")]
pub fn emulated<R>(f: impl FnOnce() -> R) -> Option<R> {
    if !is_there() {
        return None;
    }
    IS_ON.set(true);
    let result = f();
    IS_ON.set(false);
    Some(result)
}

pub(super) fn launch(kernel: &str, grid: Grid, arguments: &[Argument]) -> Result<()> {
    let library = match &*EMULATION {
        Ok(library) => library.lock().unwrap_or_else(PoisonError::into_inner),
        Err(reason) => bail!("the kernels are not emulated: {reason}"),
    };
    let name = CString::new(kernel).map_err(candle_core::Error::wrap)?;
    let mut pointers: Vec<*mut c_void> = arguments.iter().map(Argument::pointer).collect();
    let blocks = [grid.blocks.0, grid.blocks.1];
    // SAFETY: the library's one function has this type; the arguments are the kernel's, as for the driver.
    let code = unsafe {
        let emulate = library.get::<Emulate>(b"emulate").map_err(candle_core::Error::wrap)?;
        emulate(name.as_ptr(), blocks.as_ptr(), grid.threads, grid.shared, pointers.as_mut_ptr())
    };
    match code {
        0 => Ok(()),
        1 => bail!("there is no kernel {kernel}"),
        _ => bail!("kernel {kernel}: no device takes {grid:?}"),
    }
}

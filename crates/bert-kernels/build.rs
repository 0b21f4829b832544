//! Finds Intel's Math Kernel Library for the feature `mkl`; compiles the kernels for the feature `cuda`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the kernels are compiled for. PTX of 8.0 runs on that architecture and every later one: the driver compiles it
/// for the device at first use.
const ARCHITECTURE: &str = "compute_80";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(kernels)");
    let feature = |name| std::env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    if feature("MKL") {
        link_mkl();
    }
    // The CUDA forms are in the library, for a GPU or for the emulation.
    if feature("CUDA") || feature("EMULATION") {
        println!("cargo::rustc-cfg=kernels");
    }
    if feature("CUDA")
        && let Err(problem) = compile_kernels()
    {
        println!("cargo::error=the feature `cuda`: {problem}");
    }
}

fn link_mkl() {
    println!("cargo::rerun-if-env-changed=MKLROOT");
    let Some(root) = std::env::var_os("MKLROOT").map(PathBuf::from) else {
        println!("cargo::error=the feature `mkl` needs MKLROOT, the folder of Intel's oneMKL; its setvars.sh sets it");
        return;
    };
    for folder in ["lib", "lib/intel64"] {
        println!("cargo::rustc-link-search=native={}", root.join(folder).display());
    }
    println!("cargo::rustc-link-lib=dylib=mkl_rt");
}

/// Every `kernels/NAME.cu` becomes `OUT_DIR/NAME.ptx`.
fn compile_kernels() -> Result<(), String> {
    let nvcc = find_nvcc();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo gives no OUT_DIR")?);
    println!("cargo::rerun-if-changed=kernels");
    let folder = std::fs::read_dir("kernels").map_err(|e| format!("the folder kernels: {e}"))?;
    let mut sources: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
    sources.retain(|path| path.extension().is_some_and(|ending| ending == "cu"));
    sources.sort();
    for source in &sources {
        compile(&nvcc, source, &out.join(source.with_extension("ptx").file_name().unwrap_or_default()))?;
    }
    Ok(())
}

fn compile(nvcc: &Path, source: &Path, ptx: &Path) -> Result<(), String> {
    let run = Command::new(nvcc)
        .args(["-ptx", "-O3", "-std=c++17", &format!("-arch={ARCHITECTURE}"), "-o"])
        .args([ptx, source])
        .output()
        .map_err(|e| {
            format!(
                "cannot run {}: {e}. Install the CUDA toolkit 12.4 or newer and set CUDA_HOME, or NVCC to the compiler; \
                 scripts/cuda-toolkit.sh sets one up without root",
                nvcc.display()
            )
        })?;
    if run.status.success() {
        return Ok(());
    }
    Err(format!(
        "{} on {}: {}",
        nvcc.display(),
        source.display(),
        String::from_utf8_lossy(&run.stderr).replace('\n', " ")
    ))
}

fn find_nvcc() -> PathBuf {
    for name in ["NVCC", "CUDA_HOME", "CUDA_PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let toolkit = ["CUDA_HOME", "CUDA_PATH"].into_iter().find_map(std::env::var_os);
    match (std::env::var_os("NVCC"), toolkit) {
        (Some(nvcc), _) => nvcc.into(),
        (None, Some(folder)) => Path::new(&folder).join("bin/nvcc"),
        (None, None) => "nvcc".into(),
    }
}

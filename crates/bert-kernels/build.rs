//! Finds Intel's Math Kernel Library for the feature `mkl`.

fn main() {
    println!("cargo::rerun-if-env-changed=MKLROOT");
    if std::env::var_os("CARGO_FEATURE_MKL").is_none() {
        return;
    }
    let Some(root) = std::env::var_os("MKLROOT").map(std::path::PathBuf::from) else {
        println!("cargo::error=the feature `mkl` needs MKLROOT, the folder of Intel's oneMKL; its setvars.sh sets it");
        return;
    };
    for folder in ["lib", "lib/intel64"] {
        println!("cargo::rustc-link-search=native={}", root.join(folder).display());
    }
    println!("cargo::rustc-link-lib=dylib=mkl_rt");
}

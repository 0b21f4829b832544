//! Where tensors live and operations run: the meaning of `--device`.

use candle_core::Device;

use crate::error::{Error, Result};

/// The device that `cpu`, `cuda`, `cuda:N` or `metal` names.
///
/// # Errors
/// [`Error::Request`] for another name, for a device that this build was made without, and where there is none.
pub fn device(name: &str) -> Result<Device> {
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (kind, number.parse().ok()),
        None => (name, Some(0)),
    };
    match (kind, number) {
        ("cpu", Some(0)) => Ok(Device::Cpu),
        ("cuda", Some(_)) if !cfg!(feature = "cuda") => Err(built_without(name, "cuda")),
        ("cuda", Some(number)) => bert_kernels::cuda_device(number).map_err(|error| none_there(name, &error)),
        ("metal", Some(0)) if !cfg!(feature = "metal") => Err(built_without(name, "metal")),
        ("metal", Some(0)) => Device::new_metal(0).map_err(|error| none_there(name, &error)),
        _ => Err(Error::Request(format!("device {name}: there are cpu, cuda, cuda:N and metal"))),
    }
}

fn built_without(name: &str, feature: &str) -> Error {
    Error::Request(format!(
        "device {name}: this bert-train was built without it; build it with `cargo build --release --features {feature}`"
    ))
}

fn none_there(name: &str, error: &candle_core::Error) -> Error {
    let reason = error.to_string();
    let reason = reason.lines().next().unwrap_or_default();
    Error::Request(format!("device {name} cannot be used: {reason}; --device cpu runs everywhere"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        assert!(device("cpu").unwrap().is_cpu());
    }

    #[test]
    fn what_is_not_there_is_a_wrong_request() {
        for name in ["", "gpu", "cuda:", "cuda:x", "metal:1", "cpu:1", "cuda:99"] {
            let error = device(name).unwrap_err();
            assert!(error.is_request() && error.to_string().starts_with(&format!("device {name}")), "{error}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_how_to_get_it() {
        assert!(device("cuda").unwrap_err().to_string().contains("--features cuda"));
    }
}

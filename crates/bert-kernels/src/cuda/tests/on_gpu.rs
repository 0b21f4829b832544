//! The tests of this folder on a GPU. They skip with a line where there is none.

use super::DEVICE;
use candle_core::{Device, Result};
use std::sync::{LazyLock, Mutex, PoisonError};

/// The first GPU, or why there is none. One test at a time: they share its stream and cuBLAS's work space.
static GPU: LazyLock<std::result::Result<Mutex<Device>, String>> = LazyLock::new(|| {
    let device = crate::cuda_device(0).map_err(|e| e.to_string().lines().next().unwrap_or_default().to_owned())?;
    Ok(Mutex::new(device))
});

fn run(name: &str, test: fn() -> Result<()>) -> Result<()> {
    match &*GPU {
        Ok(gpu) => {
            let gpu = gpu.lock().unwrap_or_else(PoisonError::into_inner);
            DEVICE.set(gpu.clone());
            let result = test();
            DEVICE.set(Device::Cpu);
            result
        }
        Err(reason) => {
            eprintln!("skipped {name}: no GPU: {reason}");
            Ok(())
        }
    }
}

macro_rules! on_gpu {
    ($($module:ident: $($test:ident),+;)+) => {
        $(mod $module {
            $(#[test]
            fn $test() -> candle_core::Result<()> {
                super::run(stringify!($test), crate::cuda::tests::$module::$test)
            })+
        })+
    };
}

on_gpu! {
    attention: sequences_of_all_lengths, selected_rows, heads_beyond_the_kernels_are_refused;
    layers: masks_are_those_of_the_cpu, layer_norm_with_dropout_and_residual, activations_and_sums_of_their_gradients,
        linear_maps_and_ranges_of_their_outputs, embeddings_and_their_gradients_by_sorting;
    loss: cross_entropy_over_a_vocabulary, scores_of_any_size, of_equal_scores_the_first_is_the_guess;
    optim: the_norm_of_all_gradients, adamw_and_lamb;
}

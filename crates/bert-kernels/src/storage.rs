//! Access to the memory of f32 CPU tensors. All slices handed out are contiguous.

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;
use std::cell::RefCell;

/// Calls `f` with the elements of contiguous f32 tensors on the CPU.
pub(crate) fn with_slices<const N: usize, R>(tensors: [&Tensor; N], f: impl FnOnce([&[f32]; N]) -> R) -> Result<R> {
    let guards = tensors.map(|t| t.storage_and_layout());
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        *slice = match (&**storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => &values[start..end],
            _ => bail!("the fast CPU form needs a contiguous f32 tensor, not {layout:?}"),
        };
    }
    Ok(f(slices))
}

/// As [`with_slices`] for one tensor.
pub(crate) fn with_slice<R>(t: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    with_slices([t], |[values]| f(values))
}

/// Calls `f` with the elements, mutable. Candle allows writing in place only inside an [`InplaceOp1`].
pub(crate) fn with_slice_mut<R>(t: &Tensor, f: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
    struct Write<F, R>(RefCell<(Option<F>, Option<R>)>);
    impl<F: FnOnce(&mut [f32]) -> R, R> InplaceOp1 for Write<F, R> {
        fn name(&self) -> &'static str {
            "write"
        }
        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
                bail!("the fast CPU form needs a contiguous f32 tensor")
            };
            let mut state = self.0.borrow_mut();
            let result = state.0.take().map(|f| f(&mut values[start..end]));
            state.1 = result;
            Ok(())
        }
    }
    let op = Write(RefCell::new((Some(f), None)));
    t.inplace_op1(&op)?;
    match op.0.into_inner().1 {
        Some(result) => Ok(result),
        None => bail!("an in-place operation did not run: the tensor is not on the CPU"),
    }
}

/// `target += source`, in place where the tensors are f32 on the CPU.
pub(crate) fn add_assign(target: &Tensor, source: &Tensor) -> Result<()> {
    if target.shape() != source.shape() {
        bail!("gradient of shape {:?} for a parameter of shape {:?}", source.shape(), target.shape())
    }
    let source = source.detach().contiguous()?;
    if !crate::has_fast_form(target) || !target.device().is_cpu() {
        // `slice_set` copies into the existing buffer, which keeps the gradient's identity.
        let sum = (target.detach() + source)?;
        return copy_into(target, &sum);
    }
    with_slice(&source, |source| {
        with_slice_mut(target, |target| {
            target
                .par_chunks_mut(crate::cpu::CHUNK)
                .zip(source.par_chunks(crate::cpu::CHUNK))
                .for_each(|(t, s)| t.iter_mut().zip(s).for_each(|(t, s)| *t += s));
        })
    })?
}

/// Copies `source` into the buffer of `target`.
pub(crate) fn copy_into(target: &Tensor, source: &Tensor) -> Result<()> {
    if target.rank() == 0 {
        return target.reshape(1)?.slice_set(&source.reshape(1)?.contiguous()?, 0, 0);
    }
    target.slice_set(&source.contiguous()?, 0, 0)
}

/// Memory for `n` floats whose content is arbitrary: every caller writes all of it before anything reads it.
///
/// Filling it first would cost one more pass over every activation of a step.
#[allow(clippy::uninit_vec)]
pub(crate) fn uninitialised(n: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(n);
    // SAFETY: the capacity is n, f32 has no invalid bit pattern and no destructor, and the kernels that call
    // this write each element before it is read.
    unsafe { values.set_len(n) };
    values
}

/// A tensor of the given shape whose elements `fill` writes, all of them.
pub(crate) fn tensor<S: Into<candle_core::Shape>>(shape: S, fill: impl FnOnce(&mut [f32])) -> Result<Tensor> {
    let shape = shape.into();
    let mut values = uninitialised(shape.elem_count());
    fill(&mut values);
    Tensor::from_vec(values, shape, &candle_core::Device::Cpu)
}

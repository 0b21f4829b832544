//! Joins computations with a hand-written backward to candle's graph.

use crate::has_fast_form;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Layout, MetalStorage, Result, Shape, Storage, Tensor, Var, bail,
};
use std::sync::Mutex;

type Backward = dyn Fn(&Tensor) -> Result<Option<Tensor>> + Send + Sync;

struct Node {
    /// Taken when the node is made: the graph keeps a copy, and both for the whole step would be one too many.
    value: Mutex<Option<Tensor>>,
    backward: Box<Backward>,
}

/// Puts `y`, computed from `x` outside of the graph, into the graph as one node.
///
/// `backward` gets the gradient of `y`, contiguous, and returns that of `x`; gradients of parameters it adds to
/// [`Parameter::grad`](crate::Parameter::grad) itself. It runs once per backward pass.
pub fn join(
    x: &Tensor,
    y: Tensor,
    backward: impl Fn(&Tensor) -> Result<Option<Tensor>> + Send + Sync + 'static,
) -> Result<Tensor> {
    x.apply_op1(Node { value: Mutex::new(Some(y.detach())), backward: Box::new(backward) })
}

/// `x` as a leaf of the graph, so that the backward pass reaches what was computed from it.
///
/// Candle follows only paths that end in a variable. A network begins with integer ids, and its parameters are not
/// operands of the fast operations: its first node hangs on such a leaf.
pub fn root(x: &Tensor) -> Result<Tensor> {
    Ok(Var::from_tensor(&x.contiguous()?)?.into_inner())
}

impl Node {
    fn take(&self) -> Result<Tensor> {
        match self.value.lock().ok().and_then(|mut value| value.take()) {
            Some(value) => Ok(value),
            None => bail!("a graph node is made once"),
        }
    }
}

impl CustomOp1 for Node {
    fn name(&self) -> &'static str {
        "hand-written backward"
    }

    // One copy of [T, H] a node: a third of what candle itself spends on zeroing and adding its gradient.
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let value = self.take()?.contiguous()?;
        let (storage, layout) = value.storage_and_layout();
        let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
            bail!("the value of a graph node is not where its operand is")
        };
        let copy = match storage {
            CpuStorage::F32(values) => CpuStorage::F32(values[start..end].to_vec()),
            CpuStorage::BF16(values) => CpuStorage::BF16(values[start..end].to_vec()),
            CpuStorage::F16(values) => CpuStorage::F16(values[start..end].to_vec()),
            _ => bail!("a graph node of the type {:?}", value.dtype()),
        };
        Ok((copy, value.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        let value = self.take()?.contiguous()?;
        let (storage, layout) = value.storage_and_layout();
        let (Storage::Cuda(storage), 0) = (&*storage, layout.start_offset()) else {
            bail!("the value of a graph node is not where its operand is")
        };
        Ok((storage.try_clone(layout)?, value.shape().clone()))
    }

    #[cfg(not(feature = "cuda"))]
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        bail!("this build is without CUDA")
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        bail!("nodes with a hand-written backward run on the CPU and on CUDA; use the reference forms")
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.detach().contiguous()?;
        if !has_fast_form(&grad) {
            bail!("the gradient of a graph node is of a type and on a device without fast forms: {:?}", grad)
        }
        (self.backward)(&grad)
    }
}

//! Matrix products whose result goes where it is wanted: with a bias, or added to what is there, gradients of weights in f32.
//!
//! On a GPU they are single calls of cublasLt (`blas`). Elsewhere, and for the odd shape that cublasLt has no algorithm for, they are
//! put together from candle's product and kernels, so that tests on the CPU run everything around them.

use super::{Argument, Grid, add_scaled, at, launch, typed};
use crate::storage::copy_into;
use crate::timing::count_product;
use candle_core::{DType, Result, Tensor, bail};

/// A contiguous matrix as one of the two factors, as it stands or turned.
#[derive(Clone, Copy)]
pub(crate) struct Factor<'a> {
    pub matrix: &'a Tensor,
    pub turned: bool,
}

impl<'a> Factor<'a> {
    pub fn plain(matrix: &'a Tensor) -> Self {
        Self { matrix, turned: false }
    }

    pub fn turned(matrix: &'a Tensor) -> Self {
        Self { matrix, turned: true }
    }

    /// Rows and columns as the product sees them.
    pub fn sizes(&self) -> Result<(usize, usize)> {
        let (rows, columns) = self.matrix.dims2()?;
        Ok(if self.turned { (columns, rows) } else { (rows, columns) })
    }

    fn view(&self) -> Result<Tensor> {
        let matrix = self.matrix.detach();
        if self.turned { matrix.t() } else { Ok(matrix) }
    }
}

/// m, n and k of [m, k] [k, n], counted for benchmarks.
fn sizes(a: &Factor, b: &Factor) -> Result<[usize; 3]> {
    let ((m, k), (inner, n)) = (a.sizes()?, b.sizes()?);
    if k != inner || a.matrix.dtype() != b.matrix.dtype() {
        bail!("a product of {:?} and {:?}, {:?} and {:?}", (m, k), (inner, n), a.matrix.dtype(), b.matrix.dtype())
    }
    count_product(m, k, n);
    Ok([m, n, k])
}

/// a b [m, n] in the factors' type, plus a bias [n] of that type in every row.
pub(crate) fn multiply(a: Factor, b: Factor, bias: Option<&Tensor>) -> Result<Tensor> {
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables, reason = "only the GPU's path asks for the sizes"))]
    let sizes = sizes(&a, &b)?;
    #[cfg(feature = "cuda")]
    if let candle_core::Device::Cuda(device) = a.matrix.device() {
        let [m, n, _] = sizes;
        let c = super::empty((m, n), a.matrix.dtype(), a.matrix.device())?;
        if super::blas::product(device, &c, sizes, (a, b), (1.0, 0.0), bias)? {
            return Ok(c);
        }
    }
    let product = a.view()?.matmul(&b.view()?)?;
    if let Some(bias) = bias {
        let arguments =
            [at(&product)?, at(bias)?, Argument::U64(product.elem_count() as u64), Argument::U32(bias.dim(0)? as u32)];
        let kernel = typed("add_bias", product.dtype())?;
        launch(product.device(), "linear", &kernel, Grid::striding(product.elem_count()), &arguments)?;
    }
    Ok(product)
}

/// c += scale a b, in place: c [m, n] of the factors' type or in f32, contiguous.
pub(crate) fn multiply_onto(c: &Tensor, scale: f32, a: Factor, b: Factor) -> Result<()> {
    let sizes = sizes(&a, &b)?;
    if c.dims2()? != (sizes[0], sizes[1]) {
        bail!("a product of {sizes:?} onto {:?}", c.dims())
    }
    #[cfg(feature = "cuda")]
    if let candle_core::Device::Cuda(device) = c.device()
        && super::blas::product(device, c, sizes, (a, b), (scale, 1.0), None)?
    {
        return Ok(());
    }
    let product = a.view()?.matmul(&b.view()?)?;
    if c.dtype() == DType::F32 {
        return add_scaled(c, &product, scale);
    }
    copy_into(c, &(c.detach() + (product * f64::from(scale))?)?)
}

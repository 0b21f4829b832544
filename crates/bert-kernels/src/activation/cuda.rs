use super::Activation;
use crate::Parameter;
use crate::cuda::{Argument, Grid, Strips, add_partials, at, at_or_null, empty, launch, typed};
use candle_core::{D, DType, Result, Tensor};

/// As the enumeration in `kernels/activation.cu`.
fn kind_argument(kind: Activation) -> Argument {
    Argument::U32(match kind {
        Activation::Gelu => 0,
        Activation::GeluTanh => 1,
        Activation::Relu => 2,
    })
}

pub(crate) fn forward(x: &Tensor, kind: Activation) -> Result<Tensor> {
    let (y, elements) = (empty(x.shape(), x.dtype(), x.device())?, x.elem_count());
    let arguments = [at(x)?, at(&y)?, Argument::U64(elements as u64), kind_argument(kind)];
    let kernel = typed("activation_forward", x.dtype())?;
    launch(x.device(), "activation", &kernel, Grid::striding(elements.div_ceil(8)), &arguments)?;
    Ok(y)
}

/// dy f'(x).
pub(crate) fn backward(x: &Tensor, dy: &Tensor, kind: Activation) -> Result<Tensor> {
    run_backward(x, dy, kind, None, None)
}

/// f(x), and dy f'(x).
pub(crate) fn forward_and_backward(
    x: &Tensor,
    dy: &Tensor,
    kind: Activation,
    bias_of_x: Option<&Parameter>,
) -> Result<(Tensor, Tensor)> {
    let y = empty(x.shape(), x.dtype(), x.device())?;
    let dx = run_backward(x, dy, kind, Some(&y), bias_of_x)?;
    Ok((y, dx))
}

fn run_backward(
    x: &Tensor,
    dy: &Tensor,
    kind: Activation,
    y: Option<&Tensor>,
    bias_of_x: Option<&Parameter>,
) -> Result<Tensor> {
    let (dx, width) = (empty(x.shape(), x.dtype(), x.device())?, x.dim(D::Minus1)?);
    let rows = x.elem_count() / width.max(1);
    let strips = Strips::new(rows, width);
    let partial = empty((strips.blocks, 1, width), DType::F32, x.device())?;
    let sizes = [rows as u32, width as u32, strips.block_rows].map(Argument::U32);
    let arguments =
        [at(x)?, at(dy)?, at(&dx)?, at_or_null(y)?, at(&partial)?, sizes[0], sizes[1], sizes[2], kind_argument(kind)];
    launch(x.device(), "activation", &typed("activation_backward", x.dtype())?, strips.grid, &arguments)?;
    if let Some(bias) = bias_of_x {
        add_partials(&partial, [Some(&bias.grad()), None, None], 1.0)?;
    }
    Ok(dx)
}

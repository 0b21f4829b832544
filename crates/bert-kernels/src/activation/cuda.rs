use super::Activation;
use crate::cuda::{Argument, Grid, at, at_or_null, empty, launch, typed};
use candle_core::{Result, Tensor};

/// As the enumeration in `kernels/activation.cu`.
fn kind_argument(kind: Activation) -> Argument {
    Argument::U32(match kind {
        Activation::Gelu => 0,
        Activation::GeluTanh => 1,
        Activation::Relu => 2,
    })
}

/// f(x + bias); without a bias f(x).
pub(crate) fn forward(x: &Tensor, bias: Option<&Tensor>, kind: Activation) -> Result<Tensor> {
    let (y, elements) = (empty(x.shape(), x.dtype(), x.device())?, x.elem_count());
    let arguments = [
        at(x)?,
        at_or_null(bias)?,
        at(&y)?,
        Argument::U64(elements as u64),
        Argument::U32(bias.map_or(1, Tensor::elem_count) as u32),
        kind_argument(kind),
    ];
    launch(x.device(), "activation", &typed("activation_forward", x.dtype())?, Grid::striding(elements), &arguments)?;
    Ok(y)
}

/// dy f'(x + bias).
pub(crate) fn backward(x: &Tensor, bias: Option<&Tensor>, dy: &Tensor, kind: Activation) -> Result<Tensor> {
    run_backward(x, bias, dy, kind, None)
}

/// f(x + bias), and dy f'(x + bias).
pub(crate) fn forward_and_backward(
    x: &Tensor,
    bias: Option<&Tensor>,
    dy: &Tensor,
    kind: Activation,
) -> Result<(Tensor, Tensor)> {
    let y = empty(x.shape(), x.dtype(), x.device())?;
    let dx = run_backward(x, bias, dy, kind, Some(&y))?;
    Ok((y, dx))
}

fn run_backward(
    x: &Tensor,
    bias: Option<&Tensor>,
    dy: &Tensor,
    kind: Activation,
    y: Option<&Tensor>,
) -> Result<Tensor> {
    let (dx, elements) = (empty(x.shape(), x.dtype(), x.device())?, x.elem_count());
    let arguments = [
        at(x)?,
        at_or_null(bias)?,
        at(dy)?,
        at(&dx)?,
        at_or_null(y)?,
        Argument::U64(elements as u64),
        Argument::U32(bias.map_or(1, Tensor::elem_count) as u32),
        kind_argument(kind),
    ];
    launch(x.device(), "activation", &typed("activation_backward", x.dtype())?, Grid::striding(elements), &arguments)?;
    Ok(dx)
}

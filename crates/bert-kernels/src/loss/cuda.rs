use super::Forward;
use crate::Parameter;
use crate::cuda::product::{Factor, multiply};
use crate::cuda::{Argument, Grid, THREADS, at, empty, launch, typed, upload};
use crate::linear::cuda::{backward_input, backward_parameters, weight_rows};
use candle_core::{DType, Result, Tensor};

/// Threads that add up the losses of all rows.
const SUMMING: u32 = 1024;

pub(crate) fn forward(x: &Tensor, weight: &Parameter, bias: &Parameter, labels: &[u32]) -> Result<Forward> {
    let (rows, classes) = (x.dim(0)?, weight.value().dim(0)?);
    let device = x.device();
    // In the type of x: of the vocabulary's scores there is one copy, and it becomes the gradient.
    let d_logits = multiply(Factor::plain(x), Factor::turned(&weight_rows(weight, &(0..classes), x.dtype())?), None)?;
    let labels = upload(labels.to_vec(), device)?;
    let (losses, hits) = (empty(rows, DType::F32, device)?, empty(rows, DType::F32, device)?);
    let arguments =
        [at(&d_logits)?, at(bias.value())?, at(&labels)?, at(&losses)?, at(&hits)?, Argument::U32(classes as u32)];
    let kernel = typed("cross_entropy", x.dtype())?;
    launch(device, "loss", &kernel, Grid::new(rows as u32, THREADS), &arguments)?;
    // They stay on the device: the host reads the losses of all micro batches together, once a step.
    let (sum, correct) = (empty((), DType::F32, device)?, empty((), DType::F32, device)?);
    let arguments = [at(&losses)?, at(&hits)?, at(&sum)?, at(&correct)?, Argument::U32(rows as u32)];
    launch(device, "loss", "sum_losses", Grid::new(1, SUMMING), &arguments)?;
    Ok(Forward { sum, correct, d_logits })
}

/// Scales the gradient of the logits where it stands; what follows is the backward pass of a linear map. Scaled first and multiplied
/// then: in f16 the products must see what the scaler of losses has made of the gradient, or it could not keep them from overflowing.
pub(crate) fn backward(
    x: &Tensor,
    weight: &Parameter,
    bias: &Parameter,
    d_logits: &Tensor,
    d_sum: &Tensor,
) -> Result<Tensor> {
    let (classes, elements) = (weight.value().dim(0)?, d_logits.elem_count());
    let arguments = [at(d_logits)?, at(d_sum)?, Argument::U64(elements as u64)];
    launch(x.device(), "loss", &typed("scale", x.dtype())?, Grid::striding(elements), &arguments)?;
    backward_parameters(x, weight, bias, 0..classes, d_logits)?;
    backward_input(weight, 0..classes, d_logits, None)
}

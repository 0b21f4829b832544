use super::cpu::Forward;
use crate::Parameter;
use crate::cuda::{Argument, Grid, THREADS, add_scaled, at, empty, launch, typed, upload};
use crate::linear::cuda::{add_column_sums, weight_rows};
use candle_core::{DType, Result, Tensor};

/// Threads that add up the losses of all rows.
const SUMMING: u32 = 1024;

pub(crate) fn forward(x: &Tensor, weight: &Parameter, bias: &Parameter, labels: &[u32]) -> Result<Forward> {
    let (rows, classes) = (x.dim(0)?, weight.value().dim(0)?);
    let device = x.device();
    // In the type of x: of the vocabulary's scores there is one copy, and it becomes the gradient.
    let d_logits = x.matmul(&weight_rows(weight, &(0..classes), x.dtype())?.t()?)?;
    let labels = upload(labels.to_vec(), device)?;
    let (losses, hits) = (empty(rows, DType::F32, device)?, empty(rows, DType::F32, device)?);
    let arguments =
        [at(&d_logits)?, at(bias.value())?, at(&labels)?, at(&losses)?, at(&hits)?, Argument::U32(classes as u32)];
    let kernel = typed("cross_entropy", x.dtype())?;
    launch(device, "loss", &kernel, Grid::new(rows as u32, THREADS), &arguments)?;
    let totals = empty(2, DType::F32, device)?;
    let arguments = [at(&losses)?, at(&hits)?, at(&totals)?, Argument::U32(rows as u32)];
    launch(device, "loss", "sum_losses", Grid::new(1, SUMMING), &arguments)?;
    let totals = totals.to_vec1::<f32>()?;
    Ok(Forward { sum: f64::from(totals[0]), correct: totals[1] as usize, d_logits })
}

pub(crate) fn backward(
    x: &Tensor,
    weight: &Parameter,
    bias: &Parameter,
    d_logits: &Tensor,
    scale: f32,
) -> Result<Tensor> {
    let classes = weight.value().dim(0)?;
    add_column_sums(d_logits, &bias.grad(), scale)?;
    add_scaled(&weight.grad(), &d_logits.t()?.matmul(x)?, scale)?;
    d_logits.matmul(&weight_rows(weight, &(0..classes), x.dtype())?)? * f64::from(scale)
}

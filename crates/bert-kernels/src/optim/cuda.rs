use super::{AdamWStep, Update};
use crate::cuda::{Argument, Grid, RatesArgument, THREADS, address, at, empty, launch, upload};
use candle_core::{DType, Device, Result, Tensor};

/// Elements of a piece: the share of one block.
const PIECE: usize = 1 << 16;

/// The two tables by which a block finds its piece: `Slot` and `Piece` in `kernels/optim.cu`.
struct Tables {
    slots: Tensor,
    pieces: Tensor,
    count: u32,
    /// The first piece of every parameter, and the number of all.
    firsts: Vec<u32>,
}

impl Tables {
    /// Of parameters with these fields (addresses of value, gradient, moments and copy; two flags) and sizes.
    fn new(parameters: &[([u64; 6], usize)], device: &Device) -> Result<Self> {
        let (mut slots, mut pieces, mut firsts) = (Vec::new(), Vec::new(), vec![0]);
        for (slot, (fields, elements)) in parameters.iter().enumerate() {
            slots.extend(fields.iter().flat_map(|&f| [f as u32, (f >> 32) as u32]));
            for start in (0..*elements).step_by(PIECE) {
                let count = PIECE.min(elements - start);
                pieces.extend([start as u32, (start as u64 >> 32) as u32, slot as u32, count as u32]);
            }
            firsts.push(pieces.len() as u32 / 4);
        }
        let count = pieces.len() as u32 / 4;
        Ok(Self { slots: upload(slots, device)?, pieces: upload(pieces, device)?, count, firsts })
    }

    fn of(updates: &[Update], device: &Device) -> Result<Self> {
        let slot = |u: &Update| {
            let copy = u.copy.as_ref().map_or(Ok(0), address)?;
            let copy_is_f16 = u.copy.as_ref().is_some_and(|copy| copy.dtype() == DType::F16);
            let flags = u64::from(u.decays) | u64::from(copy_is_f16) << 32;
            let fields = [address(u.value)?, address(&u.grad)?, address(u.m)?, address(u.v)?, copy, flags];
            Ok((fields, u.value.elem_count()))
        };
        Self::new(&updates.iter().map(slot).collect::<Result<Vec<_>>>()?, device)
    }
}

fn rates(step: &AdamWStep) -> Argument {
    let (correction1, correction2) = step.corrections();
    Argument::Rates(RatesArgument {
        lr: step.lr as f32,
        beta1: step.beta1 as f32,
        rest1: (1.0 - step.beta1) as f32,
        beta2: step.beta2 as f32,
        rest2: (1.0 - step.beta2) as f32,
        epsilon: step.eps as f32,
        decay: step.weight_decay as f32,
        correction1: correction1 as f32,
        correction2: correction2 as f32,
        scale: step.gradient_scale as f32,
    })
}

pub(crate) fn adamw(updates: &[Update], step: &AdamWStep) -> Result<()> {
    let Some(first) = updates.first() else { return Ok(()) };
    let device = first.value.device();
    let tables = Tables::of(updates, device)?;
    let arguments = [at(&tables.slots)?, at(&tables.pieces)?, rates(step)];
    launch(device, "optim", "adamw", Grid::new(tables.count, THREADS), &arguments)
}

/// You et al., "Large Batch Optimization for Deep Learning", 2020. Gradients are overwritten.
pub(crate) fn lamb(updates: &[Update], step: &AdamWStep) -> Result<()> {
    let Some(first) = updates.first() else { return Ok(()) };
    let device = first.value.device();
    let tables = Tables::of(updates, device)?;
    let sums = empty(2 * tables.count as usize, DType::F64, device)?;
    let (slots, pieces, sums, rates) = (at(&tables.slots)?, at(&tables.pieces)?, at(&sums)?, rates(step));
    let grid = Grid::new(tables.count, THREADS);
    launch(device, "optim", "lamb_update", grid, &[slots, pieces, sums, rates])?;
    let firsts = upload(tables.firsts.clone(), device)?;
    launch(device, "optim", "lamb_apply", grid, &[slots, pieces, at(&firsts)?, sums, rates])
}

/// The sum of squares of all gradients together: [1] in f64, on the device.
pub(crate) fn sum_of_squares(grads: &[Tensor], device: &Device) -> Result<Tensor> {
    let slot = |grad: &Tensor| Ok(([0, address(grad)?, 0, 0, 0, 0], grad.elem_count()));
    let tables = Tables::new(&grads.iter().map(slot).collect::<Result<Vec<_>>>()?, device)?;
    let sums = empty(tables.count as usize, DType::F64, device)?;
    let arguments = [at(&tables.slots)?, at(&tables.pieces)?, at(&sums)?];
    launch(device, "optim", "squares", Grid::new(tables.count, THREADS), &arguments)?;
    let total = empty(1, DType::F64, device)?;
    let arguments = [at(&sums)?, at(&total)?, Argument::U32(tables.count)];
    launch(device, "optim", "sum_doubles", Grid::new(1, THREADS), &arguments)?;
    Ok(total)
}

/// The norm of all gradients together and the values of f32 scalars, in one copy to the host.
pub(crate) fn norm_and(grads: &[Tensor], scalars: &[Tensor], device: &Device) -> Result<(f64, Vec<f64>)> {
    let total = sum_of_squares(grads, device)?;
    let all = if scalars.is_empty() {
        total
    } else {
        let rows = scalars.iter().map(|scalar| scalar.detach().reshape(1)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&[total, Tensor::cat(&rows, 0)?.to_dtype(DType::F64)?], 0)?
    };
    let mut values = all.to_vec1::<f64>()?;
    let scalars = values.split_off(1);
    Ok((values[0].sqrt(), scalars))
}

use super::Lookup;
use candle_core::{Result, Tensor, bail};

/// The plain candle form of [`embedding`](super::embedding).
pub fn reference(lookups: &[Lookup]) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for Lookup { table, ids } in lookups {
        let table = table.value();
        let rows = table.index_select(&Tensor::new(*ids, table.device())?, 0)?;
        sum = Some(match sum {
            Some(sum) => (sum + rows)?,
            None => rows,
        });
    }
    match sum {
        Some(sum) => Ok(sum),
        None => bail!("embedding: no table"),
    }
}

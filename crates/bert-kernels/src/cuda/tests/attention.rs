//! Attention over packed and padded sequences, all rows and selected rows.

use super::{Rows, TYPES, and_random, assert_close, device, is_ready, tolerance};
use crate::attention::cuda::Kernels;
use crate::attention::operands::Operands;
use crate::attention::{self, reference};
use crate::{Dropout, Selection, Spans};
use candle_core::{DType, Device, Result, Tensor};

fn operands(qkv: &Tensor, spans: &Spans, heads: usize, dropout: Option<Dropout>) -> Result<Operands> {
    let hidden = qkv.dim(1)? / 3;
    Ok(Operands {
        queries: qkv.clone(),
        memory: qkv.clone(),
        spans: spans.clone(),
        selection: None,
        heads,
        sizes: (hidden / heads, hidden),
        dropout,
    })
}

#[test]
pub(super) fn sequences_of_all_lengths() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    let packed = |lengths: &[usize]| Spans::packed(lengths.iter().copied());
    let cases = [
        (packed(&[1]), 1, 4, 0.0),
        (packed(&[5, 1, 33, 7]), 2, 5, 0.1),
        (packed(&[64, 131, 31]), 1, 64, 0.1),
        (packed(&[40, 1]), 1, 128, 0.0),
        (Spans::padded(&[3, 17, 9], 17)?, 3, 8, 0.2),
        (packed(&[150]), 1, 8, 0.1),
        // Around the tiles of the tensor cores, and every width they have.
        (packed(&[1, 2, 15, 17]), 2, 16, 0.1),
        (packed(&[63, 64, 65]), 2, 32, 0.3),
        (packed(&[129, 127, 3]), 1, 48, 0.0),
        (packed(&[300, 7]), 1, 64, 0.1),
        (Spans::padded(&[33, 0, 70], 71)?, 2, 80, 0.1),
        (packed(&[40, 97]), 1, 112, 0.5),
        (packed(&[140]), 2, 128, 0.1),
    ];
    let mut cases = and_random(cases, |draw| {
        let lengths: Vec<usize> = (0..1 + draw.below(4)).map(|_| draw.size(60)).collect();
        (packed(&lengths), 1 + draw.below(2), 1 + draw.below(128), draw.probability())
    });
    if device().is_cuda() {
        cases.extend([
            (packed(&[8192]), 1, 64, 0.1),
            (packed(&[1, 4095, 1]), 2, 32, 0.0),
            (packed(&[2049; 3]), 1, 8, 0.1),
        ]);
    }
    for dtype in TYPES {
        for (spans, heads, size, p) in &cases {
            let (heads, hidden) = (*heads, heads * size);
            let dropout = Dropout::new(*p, 1, 2, 3);
            let (qkv, dy) =
                (Rows::new(&[spans.rows(), 3 * hidden], 4, dtype)?, Rows::new(&[spans.rows(), hidden], 5, dtype)?);
            let operands = operands(&qkv.of_type, spans, heads, dropout)?;
            let tensor = dtype != DType::F32 && size % 16 == 0;
            assert_eq!(operands.kernels()? != Kernels::Plain, tensor, "{dtype:?}, heads of {size}");
            let (y, saved) = attention::cuda::forward(operands)?;
            let wide = reference(qkv.wide.as_tensor(), spans, heads, dropout)?;
            let what = format!("{dtype:?} {spans:?} heads of {size}");
            // Of many keys each weighs little, and what is left of their sum carries the rounding of all.
            let tolerance = tolerance(dtype) * (spans.longest() as f64 / 256.0).sqrt().max(1.0);
            assert_close(&what, &y, &wide, tolerance);
            let d_qkv = attention::cuda::backward(&saved, &dy.of_type)?;
            let grads = (wide * dy.wide.as_tensor())?.sum_all()?.backward()?;
            let wide = grads.get(qkv.wide.as_tensor()).expect("qkv is in the graph");
            assert_close(&format!("{what}: gradient"), &d_qkv, wide, tolerance);
            // The same bits on every run.
            let again = attention::cuda::backward(&saved, &dy.of_type)?;
            assert_close("again", &again, &d_qkv, 0.0);
        }
    }
    Ok(())
}

#[test]
pub(super) fn selected_rows() -> Result<()> {
    if !is_ready() {
        return Ok(());
    }
    let spans = Spans::packed([9, 40, 1, 12]);
    let selection = Selection::new(&spans, vec![0, 4, 9, 10, 30, 48, 49])?; // none of the last sequence
    let index = Tensor::new(selection.rows(), &Device::Cpu)?;
    for dtype in TYPES {
        for (heads, size) in [(2, 8), (1, 64)] {
            let hidden = heads * size;
            let dropout = Dropout::new(0.1, 4, 5, 6);
            let qkv = Rows::new(&[spans.rows(), 3 * hidden], 7, dtype)?;
            let dy = Rows::new(&[selection.rows().len(), hidden], 8, dtype)?;
            let own_index = index.to_device(&device())?;
            let queries = qkv.of_type.narrow(1, 0, hidden)?.contiguous()?.index_select(&own_index, 0)?;
            let memory = qkv.of_type.narrow(1, hidden, 2 * hidden)?.contiguous()?;
            let operands = Operands {
                queries,
                memory,
                spans: spans.clone(),
                selection: Some(selection.clone()),
                heads,
                sizes: (size, hidden),
                dropout,
            };
            let (y, saved) = attention::cuda::forward(operands)?;
            let wide = reference(qkv.wide.as_tensor(), &spans, heads, dropout)?.index_select(&index, 0)?;
            assert_close("selected", &y, &wide, tolerance(dtype));
            let (d_queries, d_memory) = attention::cuda::backward_at(&saved, &dy.of_type)?;
            let grads = (wide * dy.wide.as_tensor())?.sum_all()?.backward()?;
            let wide = grads.get(qkv.wide.as_tensor()).expect("qkv is in the graph");
            let wide_queries = wide.narrow(1, 0, hidden)?.contiguous()?.index_select(&index, 0)?;
            assert_close("d queries", &d_queries, &wide_queries, tolerance(dtype));
            assert_close("d memory", &d_memory, &wide.narrow(1, hidden, 2 * hidden)?, tolerance(dtype));
        }
    }
    Ok(())
}

#[test]
pub(super) fn heads_beyond_the_kernels_are_refused() -> Result<()> {
    let spans = Spans::packed([2]);
    let qkv = Tensor::zeros((2, 3 * 160), DType::F32, &device())?;
    let error = attention::cuda::forward(operands(&qkv, &spans, 1, None)?).expect_err("160 columns").to_string();
    assert!(error.contains("160") && error.contains("128"), "{error}");
    Ok(())
}

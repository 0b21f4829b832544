//! The whole model through the CUDA forms in f32, bf16 and f16, their kernels emulated, against the reference forms in f32.
#![allow(clippy::unwrap_used)]

use bert_kernels::emulated;
use bert_model::{BertConfig, BertForPreTraining, Pass, PretrainingBatch, Sequences, backward};
use candle_core::{DType, Device};

/// Heads of 16 columns: in bf16 and f16 attention runs on the tensor cores' kernels.
fn model() -> BertForPreTraining {
    let config = BertConfig {
        vocab_size: 50,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 64,
        max_position_embeddings: 40,
        initializer_range: 0.1,
        ..BertConfig::default()
    };
    BertForPreTraining::new(&config, 1, &Device::Cpu).unwrap()
}

fn batch() -> PretrainingBatch {
    let ids: Vec<u32> = (0..50).collect();
    let sequences = Sequences::packed(&[(&ids[0..17], 9), (&ids[20..25], 2), (&ids[17..50], 20)]);
    PretrainingBatch {
        masked_rows: vec![sequences.row(0, 3), sequences.row(0, 16), sequences.row(1, 2), sequences.row(2, 30)],
        masked_labels: vec![5, 49, 22, 9],
        next_sentence_labels: vec![0, 1, 0],
        sequences,
    }
}

/// The losses, and the gradients of all parameters, of a loss scaled by 1,024 as f16 needs it.
fn gradients(model: &BertForPreTraining, pass: &Pass) -> (Vec<f32>, Vec<Vec<f32>>) {
    model.parameters().zero_grad();
    let parts = model.loss(&batch(), pass).unwrap();
    let loss = parts.iter().map(|p| (&p.sum / p.weight).unwrap()).reduce(|a, b| (a + b).unwrap()).unwrap();
    backward(&(loss * 1024.0).unwrap(), model.parameters()).unwrap();
    let losses = parts.iter().map(|part| part.sum.to_scalar().unwrap()).collect();
    let flat = |p: &bert_model::Parameter| p.grad().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (losses, model.parameters().iter().map(flat).collect())
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn losses_and_gradients_are_those_of_the_reference_forms() {
    let model = model();
    let pass = Pass::train(3, 8);
    let (losses, wide) = gradients(&model, &pass.as_reference());
    let all = norm(wide.iter().flatten().copied());
    for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::BF16, 0.08), (DType::F16, 0.01)] {
        let pass = pass.computing_in(dtype);
        let Some((ours, narrow)) = emulated(|| gradients(&model, &pass)) else { return };
        for (ours, loss) in ours.iter().zip(&losses) {
            assert!(f64::from((ours / loss - 1.0).abs()) < tolerance, "{dtype:?}: a loss of {ours}, not {loss}");
        }
        for ((parameter, narrow), wide) in model.parameters().iter().zip(&narrow).zip(&wide) {
            let off = norm(narrow.iter().zip(wide).map(|(a, b)| a - b));
            let share = off / norm(wide.iter().copied()).max(0.01 * all);
            // Written so that what is not a number fails.
            assert!(share < tolerance, "{dtype:?}: the gradient of {} is off by {share:.1e}", parameter.name());
        }
        // Computed again, the same bits.
        let again = emulated(|| gradients(&model, &pass.recomputing(true))).unwrap();
        assert!((ours, narrow) == again, "{dtype:?}: recomputing changed something");
    }
}

#[test]
fn without_kernels_there_is_no_half_precision() {
    let error = model().loss(&batch(), &Pass::train(1, 1).computing_in(DType::BF16)).unwrap_err();
    assert!(error.is_request() && error.to_string().contains("bf16"), "{error}");
}

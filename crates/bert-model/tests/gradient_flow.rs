//! No gradient is cut anywhere: each preset, in small dimensions, gives every trainable parameter a finite gradient
//! that is not zero, in the fast and in the reference form, with dropout on; and both forms agree.
#![allow(clippy::unwrap_used)]

mod common;

use bert_model::{
    BertConfig, BertForPreTraining, BertForSequenceClassification, HiddenAct, PRESETS, ParameterStore, Pass,
    PretrainingBatch, Sequences, Targets, backward,
};
use candle_core::{Device, Tensor};
use common::{largest, relative};

/// A preset with its number of layers and heads, at 8 values a head.
fn small(preset: &str) -> BertConfig {
    let config = BertConfig::preset(preset).unwrap();
    let hidden = 8 * config.num_attention_heads;
    BertConfig {
        vocab_size: 23,
        hidden_size: hidden,
        intermediate_size: 4 * hidden,
        max_position_embeddings: 9,
        initializer_range: 0.1,
        hidden_act: if preset == "mini" { HiddenAct::GeluTanh } else { HiddenAct::Gelu },
        ..config
    }
}

/// Every token, every position and both segments occur, so that no row of a table is left out.
fn sequences() -> Sequences {
    let ids: Vec<u32> = (0..23).collect();
    Sequences::packed(&[(&ids[0..9], 5), (&ids[9..16], 3), (&ids[16..23], 7)])
}

fn assert_flow(store: &ParameterStore, what: &str) {
    for parameter in store.iter() {
        let grad = parameter.grad().to_vec_f32();
        assert!(grad.iter().all(|g| g.is_finite()), "{what}: {} has a gradient that is not finite", parameter.name());
        let share = grad.iter().filter(|&&g| g != 0.0).count() as f64 / grad.len() as f64;
        assert!(share > 0.5, "{what}: only {share:.2} of the gradient of {} is not zero", parameter.name());
    }
}

trait ToVec {
    fn to_vec_f32(&self) -> Vec<f32>;
}

impl ToVec for Tensor {
    fn to_vec_f32(&self) -> Vec<f32> {
        self.flatten_all().unwrap().to_vec1().unwrap()
    }
}

/// Runs both forms; checks that gradients flow and that the two agree.
fn compare_forms(store: &ParameterStore, what: &str, loss: impl Fn(&Pass) -> Tensor) {
    let mut gradients = Vec::new();
    for pass in [Pass::train(3, 8), Pass::train(3, 8).as_reference()] {
        store.zero_grad();
        backward(&loss(&pass), store).unwrap();
        assert_flow(store, &format!("{what}, reference {}", pass.reference));
        gradients.push(store.iter().map(|p| p.grad().copy().unwrap()).collect::<Vec<_>>());
    }
    let scale = gradients[1].iter().map(largest).fold(0.0, f64::max);
    for ((fast, slow), parameter) in gradients[0].iter().zip(&gradients[1]).zip(store.iter()) {
        let error = relative(fast, slow, 1e-3 * scale);
        assert!(error < 2e-3, "{what}: the forms differ by {error:.1e} in {}", parameter.name());
    }
}

#[test]
fn pretraining_presets() {
    for preset in PRESETS {
        let model = BertForPreTraining::new(&small(preset), 1, &Device::Cpu).unwrap();
        let sequences = sequences();
        let batch = PretrainingBatch {
            masked_rows: vec![sequences.row(0, 3), sequences.row(1, 2), sequences.row(2, 6)],
            masked_labels: vec![5, 22, 9],
            next_sentence_labels: vec![0, 1, 0],
            sequences,
        };
        compare_forms(model.parameters(), preset, |pass| {
            let parts = model.loss(&batch, pass).unwrap();
            parts.iter().map(|p| (&p.sum / p.weight).unwrap()).reduce(|a, b| (a + b).unwrap()).unwrap()
        });
    }
}

#[test]
fn classification_presets() {
    for preset in PRESETS {
        for (labels, targets) in [(3, Targets::Classes(vec![2, 0, 1])), (1, Targets::Scores(vec![0.5, 4.0, 2.5]))] {
            let model = BertForSequenceClassification::new(&small(preset), labels, 1, &Device::Cpu).unwrap();
            compare_forms(model.parameters(), preset, |pass| model.loss(&sequences(), &targets, pass).unwrap().sum);
        }
    }
}

/// The alarm works: candle's own layer norm cuts the gradient, and the check above would have said so.
#[test]
fn a_cut_gradient_is_noticed() {
    let device = Device::Cpu;
    let parameter = bert_model::Parameter::new("w", &Tensor::ones((2, 4), candle_core::DType::F32, &device).unwrap());
    let parameter = parameter.unwrap();
    let (gain, bias) = (
        Tensor::ones(4, candle_core::DType::F32, &device).unwrap(),
        Tensor::zeros(4, candle_core::DType::F32, &device).unwrap(),
    );
    let y = candle_nn::ops::layer_norm(parameter.value(), &gain, &bias, 1e-5).unwrap();
    let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    assert!(grads.get(parameter.value()).is_none(), "candle has learnt to differentiate its layer norm");
}

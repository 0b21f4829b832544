//! What surrounds the arithmetic of AdamW: groups, clipping, gradients that are not finite, saving.
#![allow(clippy::unwrap_used)]

use bert_model::{BertConfig, BertForPreTraining, ParameterStore};
use bert_train::config::OptimizerConfig;
use bert_train::optimizer::AdamW;
use candle_core::{Device, Tensor};

fn model() -> BertForPreTraining {
    let config = BertConfig {
        vocab_size: 20,
        hidden_size: 8,
        num_attention_heads: 2,
        intermediate_size: 12,
        max_position_embeddings: 10,
        ..BertConfig::preset("tiny").unwrap()
    };
    BertForPreTraining::new(&config, 1, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn all_values(store: &ParameterStore) -> Vec<Vec<f32>> {
    store.iter().map(|parameter| values(parameter.value())).collect()
}

/// Adds a gradient that is a function of place and `scale`.
fn add_gradients(store: &ParameterStore, scale: f32) {
    for parameter in store.iter() {
        let shape = parameter.value().shape();
        let ramp: Vec<f32> = (0..shape.elem_count()).map(|i| scale * ((i % 7) as f32 - 2.5)).collect();
        parameter.add_grad(&Tensor::from_vec(ramp, shape, &Device::Cpu).unwrap()).unwrap();
    }
}

#[test]
fn decay_shrinks_matrices_and_leaves_biases_and_layer_norms() {
    let model = model();
    let store = model.parameters();
    let before = all_values(store);
    let config = OptimizerConfig { weight_decay: 0.1, ..OptimizerConfig::default() };
    // Gradients of zero: nothing but the decay moves.
    AdamW::new(&config, store).unwrap().step(store, 0.5).unwrap();
    let mut decayed = 0;
    for (parameter, before) in store.iter().zip(before) {
        let name = parameter.name();
        let kept = name.ends_with("bias") || name.contains("LayerNorm");
        let factor = if kept { 1.0 } else { 1.0 - 0.5 * 0.1 };
        decayed += usize::from(!kept);
        for (after, before) in values(parameter.value()).iter().zip(before) {
            assert!((after - factor * before).abs() < 1e-6, "{name}: {before} became {after}");
        }
    }
    assert!(decayed >= 10);
}

#[test]
fn gradients_are_clipped_to_the_global_norm() {
    let model = model();
    let store = model.parameters();
    add_gradients(store, 3.0);
    let gradients: Vec<Vec<f32>> = store.iter().map(|parameter| values(&parameter.grad())).collect();
    let norm = gradients.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    let config = OptimizerConfig { clip_norm: 2.0, ..OptimizerConfig::default() };
    let mut optimizer = AdamW::new(&config, store).unwrap();
    let outcome = optimizer.step(store, 1e-3).unwrap();
    assert!((outcome.norm - norm).abs() < 1e-6 * norm, "{} is not {norm}", outcome.norm);
    let moments = optimizer.tensors(store);
    for (parameter, gradient) in store.iter().zip(&gradients) {
        let first = values(&moments[&format!("{}.m", parameter.name())]);
        for (moment, gradient) in first.iter().zip(gradient) {
            // The first moment is (1 - beta1) times the clipped gradient.
            let expected = 0.1 * f64::from(*gradient) * 2.0 / norm;
            assert!((f64::from(*moment) - expected).abs() < 1e-7, "{moment} is not {expected}");
        }
        assert!(values(&parameter.grad()).iter().all(|g| *g == 0.0), "the gradient is not zero after the step");
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing_and_is_gone_afterwards() {
    let model = model();
    let store = model.parameters();
    let mut optimizer = AdamW::new(&OptimizerConfig::default(), store).unwrap();
    let before = all_values(store);
    for bad in [f32::NAN, f32::INFINITY] {
        let victim = store.iter().nth(3).unwrap();
        let shape = victim.value().shape();
        victim.add_grad(&Tensor::full(bad, shape, &Device::Cpu).unwrap()).unwrap();
        let outcome = optimizer.step(store, 1e-3).unwrap();
        assert!(!outcome.applied && !outcome.norm.is_finite());
        assert_eq!(all_values(store), before);
        assert_eq!(optimizer.updates(), 0);
    }
    add_gradients(store, 0.1);
    assert!(optimizer.step(store, 1e-3).unwrap().applied);
    assert_ne!(all_values(store), before);
}

#[test]
fn moments_saved_and_loaded_go_on_as_if_never_saved() {
    let (kept, loaded) = (model(), model());
    let mut optimizer = AdamW::new(&OptimizerConfig::default(), kept.parameters()).unwrap();
    for scale in [0.1, -0.3] {
        add_gradients(kept.parameters(), scale);
        optimizer.step(kept.parameters(), 1e-2).unwrap();
    }
    let weights = kept.parameters().tensors().unwrap().into_iter().collect();
    loaded.parameters().load(&weights).unwrap();
    let mut again = AdamW::new(&OptimizerConfig::default(), loaded.parameters()).unwrap();
    let saved = optimizer.tensors(kept.parameters());
    again.load(loaded.parameters(), &saved, optimizer.updates()).unwrap();
    for (model, optimizer) in [(&kept, &mut optimizer), (&loaded, &mut again)] {
        add_gradients(model.parameters(), 0.2);
        optimizer.step(model.parameters(), 1e-2).unwrap();
    }
    assert_eq!(all_values(kept.parameters()), all_values(loaded.parameters()));

    let mut missing = saved.clone();
    let name = kept.parameters().iter().next().unwrap().name().to_owned();
    missing.remove(&format!("{name}.v"));
    let problem = again.load(loaded.parameters(), &missing, 2).unwrap_err();
    assert!(problem.contains(&format!("{name}.v")), "{problem}");
}

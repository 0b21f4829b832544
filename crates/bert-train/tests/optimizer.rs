//! What surrounds the arithmetic of the update: groups, clipping, the scale of the loss, gradients that are not finite, saving.
#![allow(clippy::unwrap_used)]

use bert_model::{BertConfig, BertForPreTraining, ParameterStore};
use bert_train::config::{OptimizerConfig, OptimizerKind, Precision};
use bert_train::loss_scale::LossScale;
use bert_train::optimizer::Optimizer;
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

fn new(config: &OptimizerConfig, store: &ParameterStore) -> bert_train::Result<Optimizer> {
    Optimizer::new(config, Precision::F32, store)
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
    new(&config, store).unwrap().step(store, 0.5).unwrap();
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
    let mut optimizer = new(&config, store).unwrap();
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
    let mut optimizer = new(&OptimizerConfig::default(), store).unwrap();
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
    let mut optimizer = new(&OptimizerConfig::default(), kept.parameters()).unwrap();
    for scale in [0.1, -0.3] {
        add_gradients(kept.parameters(), scale);
        optimizer.step(kept.parameters(), 1e-2).unwrap();
    }
    let weights = kept.parameters().tensors().unwrap().into_iter().collect();
    loaded.parameters().load(&weights).unwrap();
    let mut again = new(&OptimizerConfig::default(), loaded.parameters()).unwrap();
    let saved = optimizer.tensors(kept.parameters());
    again.load(loaded.parameters(), &saved, optimizer.updates(), None).unwrap();
    for (model, optimizer) in [(&kept, &mut optimizer), (&loaded, &mut again)] {
        add_gradients(model.parameters(), 0.2);
        optimizer.step(model.parameters(), 1e-2).unwrap();
    }
    assert_eq!(all_values(kept.parameters()), all_values(loaded.parameters()));

    let mut missing = saved.clone();
    let name = kept.parameters().iter().next().unwrap().name().to_owned();
    missing.remove(&format!("{name}.v"));
    let problem = again.load(loaded.parameters(), &missing, 2, None).unwrap_err();
    assert!(problem.contains(&format!("{name}.v")), "{problem}");
}

/// A power of two costs no bit: with the loss scaled the update is the same, and so is the norm that is reported.
#[test]
fn a_scaled_loss_changes_nothing_but_the_gradient() {
    for (kind, clip_norm) in [(OptimizerKind::Adamw, 2.0), (OptimizerKind::Adamw, 0.0), (OptimizerKind::Lamb, 1.0)] {
        let config = OptimizerConfig { kind, clip_norm, ..OptimizerConfig::default() };
        let (plain, scaled) = (model(), model());
        let mut ours = new(&config, plain.parameters()).unwrap();
        let mut f16 = Optimizer::new(&config, Precision::F16, scaled.parameters()).unwrap();
        for step in 1..4 {
            add_gradients(plain.parameters(), 0.3 / step as f32);
            let loss = Tensor::new(0.3 / step as f32, &Device::Cpu).unwrap();
            let loss = f16.scaled(loss).unwrap().to_scalar::<f32>().unwrap();
            assert_eq!(loss, 65_536.0 * (0.3 / step as f32));
            add_gradients(scaled.parameters(), loss);
            let outcomes = [ours.step(plain.parameters(), 1e-2).unwrap(), f16.step(scaled.parameters(), 1e-2).unwrap()];
            assert_eq!(outcomes[0], outcomes[1]);
            assert_eq!(all_values(plain.parameters()), all_values(scaled.parameters()), "{kind:?}, step {step}");
        }
    }
}

/// Overflow costs a step and half of the scale; saved and loaded, the scale goes on from where it was.
#[test]
fn a_gradient_that_overflows_halves_the_scale_and_changes_nothing_else() {
    let model = model();
    let store = model.parameters();
    let mut optimizer = Optimizer::new(&OptimizerConfig::default(), Precision::F16, store).unwrap();
    let before = all_values(store);
    for factor in [32_768.0, 16_384.0] {
        add_gradients(store, f32::INFINITY);
        assert!(!optimizer.step(store, 1e-3).unwrap().applied);
        assert_eq!(optimizer.loss_scale().unwrap().factor(), factor);
        assert_eq!((all_values(store), optimizer.updates()), (before.clone(), 0));
    }
    add_gradients(store, 1.0);
    assert!(optimizer.step(store, 1e-3).unwrap().applied);
    let (saved, scale) = (optimizer.tensors(store), optimizer.loss_scale());
    let mut again = Optimizer::new(&OptimizerConfig::default(), Precision::F16, store).unwrap();
    assert_eq!(again.loss_scale(), Some(LossScale::default()));
    again.load(store, &saved, 1, scale).unwrap();
    assert_eq!(again.loss_scale(), scale);
    let problem = again.load(store, &saved, 1, None).unwrap_err();
    assert!(problem.contains("scale of the loss"), "{problem}");
}

/// What passes left on the device comes back in its order, and the step is that without it.
#[test]
fn scalars_are_read_along_with_the_norm() {
    let (one, other) = (model(), model());
    let mut steps = Vec::new();
    for (model, scalars) in [(&one, vec![0.5f32, -3.0, 7.25]), (&other, vec![])] {
        let mut optimizer = new(&OptimizerConfig::default(), model.parameters()).unwrap();
        add_gradients(model.parameters(), 0.2);
        let tensors: Vec<Tensor> = scalars.iter().map(|&v| Tensor::new(v, &Device::Cpu).unwrap()).collect();
        let (outcome, values) = optimizer.step_reading(model.parameters(), 1e-3, &tensors).unwrap();
        assert_eq!(values, scalars.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
        steps.push((outcome, all_values(model.parameters())));
    }
    assert_eq!(steps[0], steps[1]);
}

/// LAMB, by its formula in f64 over three steps: normalisation beforehand, moments, bias correction, decay, and the ratio of norms
/// where decay applies.
#[test]
fn lamb_is_that_of_the_paper_with_the_normalisation_of_nvidia() {
    let model = model();
    let store = model.parameters();
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<f64>>();
    let mut weights: Vec<Vec<f64>> = all_values(store).into_iter().map(wide).collect();
    let mut moments: Vec<Vec<(f64, f64)>> = weights.iter().map(|w| vec![(0.0, 0.0); w.len()]).collect();
    let config = OptimizerConfig { kind: OptimizerKind::Lamb, ..OptimizerConfig::default() };
    let mut optimizer = new(&config, store).unwrap();
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    for (step, scale) in [(1, 2.0), (2, 0.001), (3, -0.5)] {
        add_gradients(store, scale);
        let gradients: Vec<Vec<f64>> = store.iter().map(|parameter| wide(values(&parameter.grad()))).collect();
        let global = norm(&gradients.concat());
        optimizer.step(store, 0.05).unwrap();
        for (i, parameter) in store.iter().enumerate() {
            let decays = !(parameter.name().ends_with("bias") || parameter.name().contains("LayerNorm"));
            let mut update = Vec::new();
            for (j, gradient) in gradients[i].iter().enumerate() {
                let g = gradient / global.max(1.0);
                let (m, v) = &mut moments[i][j];
                (*m, *v) = (0.9 * *m + 0.1 * g, 0.999 * *v + 0.001 * g * g);
                let (m, v) = (*m / (1.0 - 0.9f64.powi(step)), *v / (1.0 - 0.999f64.powi(step)));
                update.push(m / (v.sqrt() + 1e-6) + if decays { 0.01 * weights[i][j] } else { 0.0 });
            }
            let (of_weights, of_update) = (norm(&weights[i]), norm(&update));
            let ratio = if decays && of_weights > 0.0 && of_update > 0.0 { of_weights / of_update } else { 1.0 };
            for (weight, update) in weights[i].iter_mut().zip(&update) {
                *weight -= 0.05 * ratio * update;
            }
            for (ours, expected) in values(parameter.value()).into_iter().zip(&weights[i]) {
                let off = (f64::from(ours) - expected).abs();
                assert!(off < 1e-6 + 1e-4 * expected.abs(), "step {step}, {}: {ours} for {expected}", parameter.name());
            }
        }
    }
}

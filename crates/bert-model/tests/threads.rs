//! Neither the number of threads nor recomputation changes anything, not the last bit: gradients of a step with dropout.
#![allow(clippy::unwrap_used)]

use bert_model::{BertConfig, BertForPreTraining, Pass, PretrainingBatch, Sequences, backward};
use candle_core::Device;

fn gradients(threads: usize, recompute: bool) -> Vec<Vec<u32>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let config = BertConfig { vocab_size: 3_001, ..BertConfig::preset("mini").unwrap() };
        let model = BertForPreTraining::new(&config, 1, &Device::Cpu).unwrap();
        let ids: Vec<u32> = (0..1_000).map(|i| i * 17 % 3_001).collect();
        let items: Vec<(&[u32], usize)> = ids.chunks(93).map(|ids| (ids, ids.len() / 2)).collect();
        let sequences = Sequences::packed(&items);
        let batch = PretrainingBatch {
            masked_rows: (0..1_000).step_by(7).collect(),
            masked_labels: (0..1_000).step_by(7).map(|i| i * 3).collect(),
            next_sentence_labels: (0..items.len() as u32).map(|i| i % 2).collect(),
            sequences,
        };
        let parts = model.loss(&batch, &Pass::train(5, 6).recomputing(recompute)).unwrap();
        let loss = (&parts[0].sum + &parts[1].sum).unwrap();
        backward(&loss, model.parameters()).unwrap();
        let all = model.parameters().iter().map(|p| p.grad().flatten_all().unwrap().to_vec1::<f32>().unwrap());
        all.map(|grad| grad.into_iter().map(f32::to_bits).collect()).collect()
    })
}

#[test]
fn gradients_do_not_depend_on_the_threads() {
    let one = gradients(1, false);
    for threads in [2, 3, 7] {
        assert!(one == gradients(threads, false), "{threads} threads give other bits than one");
    }
}

#[test]
fn gradients_do_not_depend_on_recomputation() {
    assert!(gradients(2, false) == gradients(2, true), "recomputed activations give other bits than kept ones");
}

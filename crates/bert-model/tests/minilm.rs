//! A real encoder, `all-MiniLM-L6-v2`: hidden states against Transformers and against candle-transformers.
#![allow(clippy::unwrap_used)]

mod common;

use bert_model::{BertConfig, BertForPreTraining, Pass, load_tensors};
use candle_core::{DType, Device, IndexOp, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert;
use common::{Golden, layouts, relative, shared_data};

#[test]
fn hidden_states_of_a_real_encoder() -> Result<()> {
    let Some(dir) = shared_data().map(|dir| dir.join("weights/all-MiniLM-L6-v2")) else { return Ok(()) };
    let golden = Golden::open("minilm.safetensors");
    let config = BertConfig::from_file(&dir.join("config.json")).unwrap();
    let model = BertForPreTraining::new(&config, 0, &Device::Cpu).unwrap();
    let report = model.parameters().load(&load_tensors(&dir).unwrap()).unwrap();
    assert!(report.new.iter().all(|name| name.starts_with("cls.")), "only the heads are new: {report:?}");

    // candle-transformers' BERT on the padded batch.
    let weights = candle_core::safetensors::load(dir.join("model.safetensors"), &Device::Cpu)?;
    let theirs: bert::Config = serde_json::from_str(&std::fs::read_to_string(dir.join("config.json"))?).unwrap();
    let theirs = bert::BertModel::load(VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu), &theirs)?;
    let ids = golden.get("input.input_ids").to_dtype(DType::U32)?;
    let mask = golden.get("input.attention_mask").to_dtype(DType::U32)?;
    let theirs = theirs.forward(&ids, &ids.zeros_like()?, Some(&mask))?;

    let items = golden.items();
    for sequences in layouts(&items) {
        for pass in [Pass::eval(), Pass::eval().as_reference()] {
            let hidden = model.hidden_states(&sequences, &pass).unwrap();
            for (i, span) in sequences.spans.iter().enumerate() {
                let ours: Tensor = hidden.narrow(0, span.start, span.len())?;
                let expected = golden.get("output.last_hidden_state").i(i)?.narrow(0, 0, span.len())?;
                let error = relative(&ours, &expected, 0.0);
                assert!(error < 1e-4, "Transformers: sentence {i} is off by {error:.1e}");
                let error = relative(&ours, &theirs.i(i)?.narrow(0, 0, span.len())?, 0.0);
                assert!(error < 1e-4, "candle-transformers: sentence {i} is off by {error:.1e}");
            }
        }
    }
    Ok(())
}

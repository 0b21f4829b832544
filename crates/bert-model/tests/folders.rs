//! Model folders: old layouts in, partial loading reported, what is saved comes back unchanged.
#![allow(clippy::unwrap_used)]

mod common;

use bert_model::{
    BertConfig, BertForPreTraining, BertForSequenceClassification, Error, load_tensors, read_labels, save_pretrained,
};
use candle_core::{Device, Tensor};
use common::{Golden, path};

fn equal(a: &Tensor, b: &Tensor) -> bool {
    let bits = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
    let (a, b): (Vec<u32>, Vec<u32>) = (bits(a), bits(b));
    a == b
}

#[test]
fn pickle_with_gamma_and_beta_and_no_prefix() {
    let golden = Golden::open("pretraining.safetensors");
    let folder = path("old_layout");
    let config = BertConfig::from_file(&folder.join("config.json")).unwrap();
    let model = BertForPreTraining::new(&config, 0, &Device::Cpu).unwrap();
    let report = model.parameters().load(&load_tensors(&folder).unwrap()).unwrap();
    assert_eq!(report.ignored, ["embeddings.position_ids"]);
    assert_eq!(report.new.len(), 7, "the heads stay as they were: {:?}", report.new);
    for (name, value) in model.parameters().tensors().unwrap() {
        if report.new.contains(&name) {
            assert!(name.starts_with("cls."), "{name}");
        } else {
            assert!(equal(&value, golden.get(&name)), "{name}");
        }
    }
}

#[test]
fn what_is_saved_comes_back_unchanged() {
    let config = BertConfig { vocab_size: 50, ..BertConfig::preset("tiny").unwrap() };
    let saved = BertForSequenceClassification::new(&config, 3, 7, &Device::Cpu).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let labels = ["no", "maybe", "yes"];
    save_pretrained(dir.path(), &config, saved.parameters(), "BertForSequenceClassification", &labels).unwrap();
    assert_eq!(BertConfig::from_file(&dir.path().join("config.json")).unwrap(), config);
    assert_eq!(read_labels(&dir.path().join("config.json")).unwrap(), labels);
    let loaded = BertForSequenceClassification::new(&config, 3, 8, &Device::Cpu).unwrap();
    let report = loaded.parameters().load(&load_tensors(dir.path()).unwrap()).unwrap();
    assert!(report.new.is_empty() && report.ignored.is_empty());
    for ((name, a), (_, b)) in saved.parameters().tensors().unwrap().iter().zip(loaded.parameters().tensors().unwrap())
    {
        assert!(equal(a, &b), "{name}");
    }
}

#[test]
fn weights_of_another_configuration_change_nothing() {
    let small = BertConfig { vocab_size: 50, ..BertConfig::preset("tiny").unwrap() };
    let big = BertConfig { vocab_size: 60, ..small.clone() };
    let source = BertForPreTraining::new(&big, 1, &Device::Cpu).unwrap();
    let model = BertForPreTraining::new(&small, 2, &Device::Cpu).unwrap();
    let before: Vec<Tensor> = model.parameters().iter().map(|p| p.value().copy().unwrap()).collect();
    let tensors = source.parameters().tensors().unwrap().into_iter().collect();
    let error = model.parameters().load(&tensors).unwrap_err();
    assert!(matches!(&error, Error::Shape { expected, found, .. } if expected[0] == 50 && found[0] == 60), "{error}");
    assert!(model.parameters().iter().zip(&before).all(|(p, b)| equal(p.value(), b)));
}

#[test]
fn missing_and_broken_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let message = load_tensors(dir.path()).unwrap_err().to_string();
    assert!(message.contains("neither model.safetensors nor pytorch_model.bin"), "{message}");
    std::fs::write(dir.path().join("model.safetensors"), b"not a tensor file").unwrap();
    let message = load_tensors(dir.path()).unwrap_err().to_string();
    assert!(message.contains("model.safetensors"), "{message}");
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"model_type": "roberta"}"#).unwrap();
    assert!(BertConfig::from_file(&config).unwrap_err().to_string().contains("roberta"));
    std::fs::write(&config, r#"{"hidden_size": "wide"}"#).unwrap();
    assert!(BertConfig::from_file(&config).unwrap_err().to_string().contains("config.json"));
}

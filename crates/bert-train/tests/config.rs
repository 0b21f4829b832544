//! Configurations: what is built in is sound, and each mistake gets one error with file, key and cure.
#![allow(clippy::unwrap_used)]

use bert_model::{BertConfig, PRESETS};
use bert_train::Error;
use bert_train::config::{FinetuneConfig, Kind, PretrainConfig, Raw, changed_keys, digest, model_config, names};

fn load(overrides: &[&str]) -> Result<PretrainConfig, Error> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    PretrainConfig::load("quickstart", &overrides)
}

#[test]
fn every_built_in_configuration_resolves() {
    for name in names(Kind::Pretrain) {
        PretrainConfig::load(name, &["data.input=[\"sample\"]".into()]).unwrap();
    }
    for name in names(Kind::Finetune) {
        FinetuneConfig::load(name, &[]).unwrap();
    }
    for name in names(Kind::Models) {
        assert_eq!(model_config(name).unwrap(), BertConfig::preset(name).unwrap(), "{name}");
    }
    assert_eq!(names(Kind::Models).collect::<Vec<_>>(), PRESETS);
}

/// The BERT paper, appendix A.2, and `google-research/bert`.
#[test]
fn base_and_large_are_those_of_the_paper() {
    for name in ["base", "large"] {
        let config = PretrainConfig::load(name, &["data.input=[\"sample\"]".into()]).unwrap();
        let phases: Vec<_> = config.phase.iter().map(|p| (p.seq_len, p.steps, p.batch, p.max_predictions)).collect();
        assert_eq!(phases, [(128, 900_000, 256, 20), (512, 100_000, 256, 80)]);
        assert_eq!((config.optimizer.lr, config.optimizer.weight_decay, config.optimizer.clip_norm), (1e-4, 0.01, 1.0));
        assert_eq!((config.optimizer.betas, config.optimizer.eps), ([0.9, 0.999], 1e-6));
        assert_eq!(config.schedule.warmup_steps, 10_000);
        assert!(config.phase.iter().all(|phase| phase.schedule.is_none()), "one schedule spans both phases");
        assert_eq!((config.masking.rate, config.masking.mask, config.masking.random), (0.15, 0.8, 0.1));
    }
}

#[test]
fn overrides_reach_every_kind_of_key() {
    let config = load(&[
        "optimizer.lr=5e-4",
        "phase.1.steps=7",
        "model.hidden_dropout_prob=0",
        "data.input=[\"a.txt\", \"b.txt\"]",
        "data.tokenizer=some/folder",
        "seed=9",
        "phase.1.schedule.warmup_steps=3",
    ])
    .unwrap();
    assert_eq!((config.optimizer.lr, config.phase[1].steps, config.seed), (5e-4, 7, 9));
    assert_eq!(config.model.hidden_dropout_prob, 0.0);
    assert_eq!(config.model.hidden_size, 128, "the preset's other keys stay");
    assert_eq!(config.data.input, ["a.txt", "b.txt"]);
    assert_eq!(config.data.tokenizer.as_deref(), Some("some/folder"));
    assert_eq!(config.phase[1].schedule.as_ref().unwrap().warmup_steps, 3);
    // With data for every phase there is nothing to build, and so no need of text.
    let built = load(&["data.input=[]", "phase.0.data=a", "phase.1.data=b"]).unwrap();
    assert_eq!(built.phase[1].data.as_deref(), Some("b"));
    assert!(load(&["data.input=[]", "phase.0.data=a"]).is_err());
    // A later override wins, and a model may be exchanged whole.
    assert_eq!(load(&["seed=1", "seed=2"]).unwrap().seed, 2);
    assert_eq!(load(&["model=L-4_H-512"]).unwrap().model.hidden_size, 512);
}

/// Override, key named, words of the message.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("optimizer.lrr=1e-4", "optimizer.lrr", "did you mean `lr`"),
    ("optimiser.lr=1e-4", "optimiser", "did you mean `optimizer`"),
    ("model.hiden_size=64", "model.hiden_size", "did you mean `hidden_size`"),
    ("model=tinny", "model", "did you mean `tiny`"),
    ("optimizer.lr=fast", "optimizer.lr", "invalid type: string \"fast\""),
    ("optimizer.lr=0", "optimizer.lr", "not above zero"),
    ("optimizer.kind=lam", "optimizer.kind", "did you mean `lamb`"),
    ("precision=fp16", "precision", "did you mean `f16`"),
    ("optimizer.lr=nan", "optimizer.lr", "not above zero"),
    ("optimizer.betas=[0.9, 1.0]", "optimizer.betas", "not in [0, 1)"),
    ("schedule.kind=liner", "schedule.kind", "did you mean `linear`"),
    ("schedule.warmup_steps=100000", "schedule.warmup_steps", "do not fit"),
    ("phase.1.schedule.warmup_steps=100000", "phase.1.schedule.warmup_steps", "do not fit"),
    ("model.num_attention_heads=3", "model.num_attention_heads", "do not divide hidden_size 128"),
    ("model.num_hidden_layers=0", "model", "num_hidden_layers"),
    ("phase.0.seq_len=513", "phase.0.seq_len", "above model.max_position_embeddings 512"),
    ("phase.0.steps=0", "phase.0.steps", "0 is too few"),
    ("phase.0.steps=-5", "phase.0.steps", "expected u64"),
    ("masking.kind=permutation", "masking.kind", "two streams of attention"),
    ("phase.0.micro_batch=5", "phase.0.batch", "not a multiple of micro_batch 5"),
    ("phase.0.micro_batch=0", "phase.0.micro_batch", "0 is too few"),
    ("phase.0.micro_batch=most", "phase.0.micro_batch", "a number or \"auto\""),
    ("phase.0.micro_batch=-1", "phase.0.micro_batch", "a number or \"auto\""),
    ("phase.7.steps=1", "phase.7.steps", "items 0 to 1"),
    ("phase=[]", "phase", "there is no phase"),
    ("data.input=[]", "data.input", "there is no input"),
    ("data.validation=0", "data.validation", "not between 0 and 1"),
    ("data.format=jsn", "data.format", "not one of its values"),
    ("masking.rate=1.5", "masking.rate", "not between 0 and 1"),
    ("masking.random=0.5", "masking.random", "is above 1"),
    ("checkpoint.keep=0", "checkpoint.keep", "0 is too few"),
    ("evaluation.log_every=0", "evaluation.log_every", "0 is too few"),
];

#[test]
fn each_mistake_names_file_key_and_cure() {
    for (set, key, words) in MISTAKES {
        let error = load(&[set]).expect_err(set);
        assert!(error.is_request(), "{set}: {error}");
        let message = error.to_string();
        let Error::Config(error) = error else { panic!("{set}: {message}") };
        assert_eq!(error.key, *key, "{set}: {message}");
        assert!(message.contains(words), "{set}: {message}");
        assert!(error.origin.contains("quickstart.toml") || error.origin.contains("--set"), "{set}: {message}");
        assert!(!error.cure.is_empty() && !message.contains('\n'), "{set}: {message}");
    }
}

#[test]
fn mistakes_in_a_file_name_the_file() {
    for (text, words) in [
        ("seed = 1", "model: the key is missing"),
        ("model = \"tiny\"", "the key `data` is missing"),
        ("model = 3", "a integer, not a name"),
        ("model = \"tiny\"\n[data]\ninput = [\"sample\"]\n[[phase]]\nseq_len = 8\nsteps = 2\nbatch = 1", "phase.0"),
    ] {
        let raw = Raw::parse(text, "mine.toml".into()).unwrap();
        let message = PretrainConfig::resolve(raw).unwrap_err().to_string();
        assert!(message.starts_with("mine.toml: ") && message.contains(words), "{message}");
    }
    let message = Raw::parse("seed = = 1", "mine.toml".into()).unwrap_err().to_string();
    assert!(message.starts_with("mine.toml: not valid TOML"), "{message}");
    let message = PretrainConfig::load("quikstart", &[]).unwrap_err().to_string();
    assert!(message.contains("did you mean `quickstart`"), "{message}");
    let message = PretrainConfig::load("no/such.toml", &[]).unwrap_err().to_string();
    assert!(message.contains("no/such.toml: cannot read the file"), "{message}");
    let message = load(&["seed"]).unwrap_err().to_string();
    assert!(message.contains("--set key=value"), "{message}");
}

#[test]
fn only_keys_that_the_weights_depend_on_count_as_changes() {
    let config = load(&[]).unwrap();
    let watched =
        load(&["evaluation.every=7", "checkpoint.keep=9", "evaluation.log_every=3", "phase.0.recompute=true"]).unwrap();
    assert_eq!(digest(&config), digest(&watched));
    assert!(changed_keys(&config, &watched).is_empty());

    // What is left at its default is not there: runs that were begun before the keys existed go on.
    let named = load(&["precision=f32", "optimizer.kind=adamw"]).unwrap();
    assert_eq!(digest(&config), digest(&named));
    let bf16 = load(&["precision=bf16", "optimizer.kind=lamb"]).unwrap();
    assert_eq!(changed_keys(&config, &bf16), ["optimizer.kind: not set -> \"lamb\"", "precision: not set -> \"bf16\""]);

    let before = load(&["phase.1.batch=32", "optimizer.lr=1e-3"]).unwrap();
    let after = load(&["phase.1.batch=64", "optimizer.lr=2e-3", "phase.0.micro_batch=16"]).unwrap();
    assert_ne!(digest(&before), digest(&after));
    assert_eq!(
        changed_keys(&before, &after),
        ["optimizer.lr: 0.001 -> 0.002", "phase.0.micro_batch: not set -> 16", "phase.1.batch: 32 -> 64"]
    );
}

#[test]
fn a_resolved_configuration_written_as_toml_resolves_to_itself() {
    let settings =
        ["optimizer.lr=5e-4", "model.hidden_dropout_prob=0.2", "phase.0.micro_batch=8", "phase.1.micro_batch=auto"];
    let config = load(&settings).unwrap();
    let text = toml::to_string(&config).unwrap();
    let again = PretrainConfig::resolve(Raw::parse(&text, "config.toml".into()).unwrap()).unwrap();
    assert_eq!(config, again);
}
